import { createHash } from "node:crypto";
import { expect, test } from "vitest";
import { callApi, connectAs, type ErrorJson, stack } from "../support/tenant.ts";
import { type Receipt, type Scope, service, Tenant, verifyLedgerAtEnd } from "../support/tenant.ts";

verifyLedgerAtEnd();

const tenant = await Tenant.create({ quota: 1_000_000 });
await tenant.consume("ada", 1);

const sha256 = (text: string) => createHash("sha256").update(text).digest("hex");

function readBalance(headers: Record<string, string>) {
  return callApi<ErrorJson>("/v1/users/ada/balance", { headers });
}

const withKey = (key: string) => readBalance({ authorization: `Bearer ${key}` });

test.each([
  ["Authorization: Bearer", (key: string) => ({ authorization: `Bearer ${key}` })],
  ["authorization: bearer", (key: string) => ({ authorization: `bearer ${key}` })],
  ["x-api-key", (key: string) => ({ "x-api-key": key })],
  ["both", (key: string) => ({ authorization: `Bearer ${key}`, "x-api-key": key })],
  ["x-api-key beside a Supabase key", (key: string) => ({
    authorization: `Bearer ${stack.publishableKey}`,
    "x-api-key": key,
  })],
])("a key is taken by %s", async (_, headers) => {
  const { status } = await readBalance(headers(tenant.apiKey));

  expect(status).toBe(200);
});

test("supabase.functions.invoke() can call with the key in x-api-key", async () => {
  const supabase = connectAs(stack.publishableKey);

  const { data, error } = await supabase.functions.invoke<Receipt>("api/v1/consume", {
    headers: { "x-api-key": tenant.apiKey },
    body: { user_id: "invoked", tokens_to_consume: 5 },
  });

  expect(error).toBeNull();
  expect(data).toMatchObject({ success: true, tokens_consumed: 5 });
});

test("without a key the answer is 401 missing_api_key, and says where to put it", async () => {
  const { status, headers, body } = await readBalance({});

  expect(status).toBe(401);
  expect(headers.get("www-authenticate")).toBe("Bearer");
  expect(body.error).toMatchObject({
    code: "missing_api_key",
    hint: "Send the project's key in the header Authorization: Bearer tg_live_... (or x-api-key).",
  });
});

const payload = `tg_live_${"0123456789".repeat(4)}`;
const unknownKey = payload + sha256(payload).slice(0, 8);

test.each([
  ["too short", tenant.apiKey.slice(0, -1), "The API key is malformed."],
  ["too long", `${tenant.apiKey}0`, "The API key is malformed."],
  ["in upper case", tenant.apiKey.toUpperCase(), "The API key is malformed."],
  [
    "mistyped",
    tenant.apiKey.slice(0, -1) + (tenant.apiKey.endsWith("0") ? "1" : "0"),
    "The API key has a typo: its checksum does not match.",
  ],
  ["that no project has", unknownKey, "The API key is not known"],
  ["that is the stored hash of one", sha256(tenant.apiKey), "The API key is malformed."],
  ["that is the stored hash as SQL", `\\x${sha256(tenant.apiKey)}`, "The API key is malformed."],
])("a key %s is refused by either header", async (_, key, message) => {
  const answers = await Promise.all([
    readBalance({ "x-api-key": key }),
    readBalance({ "x-api-key": key, authorization: `Bearer ${key}` }),
  ]);

  for (const { status, body } of answers) {
    expect(status).toBe(401);
    expect(body.error).toMatchObject({ code: "invalid_api_key", message });
  }
});

test.each([
  ["the secret key of Supabase", `Bearer ${stack.secretKey}`],
  ["the publishable key of Supabase", `Bearer ${stack.publishableKey}`],
  ["the stored hash", `Bearer ${sha256(tenant.apiKey)}`],
  ["a Basic header", `Basic ${Buffer.from(`${tenant.apiKey}:`).toString("base64")}`],
  ["a key without Bearer", tenant.apiKey],
])("%s is no API key", async (_, authorization) => {
  const { status, body } = await readBalance({ authorization });

  expect(status).toBe(401);
  expect(body.error).toMatchObject({
    code: "invalid_api_key",
    message: "The Authorization header holds no Tollgate API key.",
  });
});

test("two different keys are refused", async () => {
  const other = await tenant.key();

  const { status, body } = await readBalance({
    authorization: `Bearer ${tenant.apiKey}`,
    "x-api-key": other.api_key,
  });

  expect(status).toBe(401);
  expect(body.error.message).toBe("Authorization and x-api-key hold different API keys.");
});

test("a key of the query string is ignored", async () => {
  const { status, body } = await callApi<ErrorJson>(
    `/v1/users/ada/balance?api_key=${tenant.apiKey}`,
  );

  expect(status).toBe(401);
  expect(body.error.code).toBe("missing_api_key");
});

test("the call after a key is revoked is refused", async () => {
  const { id, api_key } = await tenant.key();
  const before = await withKey(api_key);
  await service.rpc("revoke_api_key", { p_key_id: id }).throwOnError();

  const { status, body } = await withKey(api_key);

  expect(before.status).toBe(200);
  expect(status).toBe(401);
  expect(body.error).toMatchObject({
    code: "invalid_api_key",
    message: "The API key has been revoked",
  });
});

test("the call after a key has expired is refused", async () => {
  const { id, api_key } = await tenant.key();
  const before = await withKey(api_key);
  await service.from("api_keys").update({ expires_at: "2020-01-01T00:00:00Z" }).eq("id", id)
    .throwOnError();

  const { status, body } = await withKey(api_key);

  expect(before.status).toBe(200);
  expect(status).toBe(401);
  expect(body.error).toMatchObject({
    code: "invalid_api_key",
    message: "The API key has expired",
  });
});

test("a rotated key works until its grace ends, its successor from now on", async () => {
  const { id, api_key } = await tenant.key();
  const rotate = { p_key_id: id, p_grace: "1 hour" };
  const { data: [successor] } = await service.rpc("rotate_api_key", rotate).throwOnError();

  const inGrace = await withKey(api_key);
  await service.from("api_keys").update({ expires_at: "2020-01-01T00:00:00Z" }).eq("id", id)
    .throwOnError();
  const afterGrace = await withKey(api_key);
  const next = await withKey(successor!.api_key);

  expect([inGrace.status, afterGrace.status, next.status]).toEqual([200, 401, 200]);
});

const consume = { user_id: "ada", tokens_to_consume: 1 };
const grant = { user_id: "ada", tokens: 1, grant_type: "bonus" };
const hold = { user_id: "ada", tokens: 1 };
const settlement = { tokens: 1 };
const link = { auth_user_id: null };
const recurring = { ...grant, every: "1 week" };
const { body: given } = await tenant.grant("ada", 1);
const { body: recurs } = await tenant.recurringGrant("ada", 1);
const { body: held } = await tenant.hold("ada", 1);
const { body: heldToo } = await tenant.hold("ada", 1);
test.each<[Scope, string, string, object | undefined]>([
  ["consume", "POST", "/v1/consume", consume],
  ["consume", "POST", "/v1/check", consume],
  ["consume", "POST", "/v1/consume/batch", { items: [consume] }],
  ["consume", "POST", "/v1/holds", hold],
  ["consume", "POST", `/v1/holds/${held.hold_id}/extend`, {}],
  ["consume", "POST", `/v1/holds/${held.hold_id}/settle`, settlement],
  ["consume", "POST", `/v1/holds/${heldToo.hold_id}/release`, {}],
  ["refund", "POST", "/v1/refunds", { user_id: "ada", transfer_number: 1 }],
  ["grant", "POST", "/v1/grants", grant],
  ["grant", "POST", `/v1/grants/${given.grant_id}/void`, { user_id: "ada" }],
  ["grant", "POST", "/v1/recurring-grants", recurring],
  ["grant", "POST", `/v1/recurring-grants/${recurs.recurring_grant_id}/end`, { user_id: "ada" }],
  ["manage", "PATCH", "/v1/users/ada", { time_zone: null }],
  ["read", "GET", "/v1/usage?from=2026-01-01T00:00:00Z&step=month", undefined],
  ["read", "GET", "/v1/users/ada/balance", undefined],
  ["read", "GET", "/v1/users/ada/transfers", undefined],
  ["link", "PUT", "/v1/users/ada/link", link],
])(
  "without the scope %s, %s %s is 403; with it alone it works",
  async (scope, method, path, body) => {
    const scopes: Scope[] = ["consume", "read", "grant", "link", "refund", "manage"];
    const without = await tenant.key(scopes.filter((other) => other !== scope));
    const alone = await tenant.key([scope]);
    const call = ({ api_key }: { api_key: string }) =>
      callApi<ErrorJson>(path, {
        method,
        headers: { authorization: `Bearer ${api_key}` },
        ...(body && { body: JSON.stringify(body) }),
      });

    const refused = await call(without);
    const allowed = await call(alone);

    expect(refused.status).toBe(403);
    expect(refused.body.error).toMatchObject({
      code: "missing_scope",
      message: `The API key lacks the scope ${scope}`,
      hint: `Use a key with the scope ${scope}, or create one with create_api_key().`,
    });
    expect([200, 201]).toContain(allowed.status);
  },
);

test("the key of another project does not know this project's users", async () => {
  const stranger = await Tenant.create({ quota: 1000 });

  const balance = await stranger.api<ErrorJson>("/v1/users/ada/balance");
  const transfers = await stranger.api<ErrorJson>("/v1/users/ada/transfers");

  expect(balance.body.error.code).toBe("unknown_user");
  expect(transfers.body.error.code).toBe("unknown_user");
});

test("users of the same id in two projects are two", async () => {
  const stranger = await Tenant.create({ quota: 1000 });
  await tenant.tagId("GPT-4");
  await tenant.consume("eve", 100, { tag: "GPT-4", request_id: "r1" });

  const { status, body } = await stranger.consume("eve", 200, { request_id: "r1" });

  expect(status).toBe(200);
  expect(body).toMatchObject({ replayed: false, quota_left: 800, transfer_number: 1 });
  expect((await tenant.balance("eve")).body.quota_used).toBe(100);
});

test("the tag of another project is unknown", async () => {
  const stranger = await Tenant.create({ quota: 1000 });
  await tenant.tagId("GPT-4");

  const { status, body } = await stranger.post<ErrorJson>("/v1/consume", {
    user_id: "ada",
    tokens_to_consume: 1,
    tag: "GPT-4",
  });

  expect(status).toBe(400);
  expect(body.error.code).toBe("unknown_tag");
});

test("no client can read a stored hash", async () => {
  const { error } = await service.from("api_keys").select("key_hash").eq("project_id", tenant.id);

  expect(error?.code).toBe("42501");
});
