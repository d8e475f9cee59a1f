import { createHash } from "node:crypto";
import { expect, test } from "vitest";
import { addAuthUsers, connectToStack, rest, signedIn, userToken } from "../../support/rest.ts";
import { callApi, Tenant } from "../../support/tenant.ts";

const sql = connectToStack();
const { mallory } = await addAuthUsers(sql, ["mallory"]);
const tenant = await Tenant.create({ quota: 1000 });
const hash = createHash("sha256").update(tenant.apiKey).digest("hex");

const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url");

test.each([
  ["in hex", hash],
  ["as bytea", `\\x${hash}`],
  ["behind the prefix", `tg_live_${hash.slice(0, 48)}`],
])("the stored hash of a key, %s, is no key", async (_, credential) => {
  for (const headers of [{ authorization: `Bearer ${credential}` }, { "x-api-key": credential }]) {
    const { status } = await callApi("/v1/users/ada/balance", { headers });
    expect(status).toBe(401);
  }
});

test("a good token is the control: it is accepted", async () => {
  const { status } = await rest(signedIn(await userToken(mallory)), "GET", "projects");
  expect(status).toBe(200);
});

test.each([
  ["signed with another secret", (token: Promise<string>) => token, { secret: "x".repeat(40) }],
  ["for service_role, signed with another secret", (token: Promise<string>) => token, {
    secret: "x".repeat(40),
    claims: { role: "service_role" },
  }],
  ["that has expired", (token: Promise<string>) => token, { expiresAt: 1_600_000_000 }],
  ["with a changed payload", async (token: Promise<string>) => {
    const [header, , signature] = (await token).split(".");
    const claims = { sub: mallory, role: "service_role", exp: 4_000_000_000 };
    return `${header}.${encode(claims)}.${signature}`;
  }, {}],
  ["without a signature", async () => {
    const claims = { sub: mallory, role: "service_role", exp: 4_000_000_000 };
    return await Promise.resolve(`${encode({ alg: "none", typ: "JWT" })}.${encode(claims)}.`);
  }, {}],
])("a token %s is refused", async (_, change, options) => {
  const token = await change(userToken(mallory, options));

  const { status, body } = await rest(signedIn(token), "GET", "api_keys?select=id");

  expect(status).toBe(401);
  expect(body).not.toBeInstanceOf(Array);
});

test("the private schema cannot be asked for", async () => {
  const caller = signedIn(await userToken(mallory));
  const profile = { "content-profile": "tollgate", "accept-profile": "tollgate" };
  const args = { p_user_id: mallory };

  const call = await rest(caller, "POST", "rpc/balance", args, profile);
  const read = await rest(caller, "GET", "accounts", undefined, profile);

  for (const { status } of [call, read]) {
    expect(status).toBeGreaterThanOrEqual(400);
    expect(status).toBeLessThan(500);
  }
});
