import http from "node:http";
import https from "node:https";
import { expect, test } from "vitest";
import { type ErrorJson, service, stack, Tenant, verifyLedgerAtEnd } from "../support/tenant.ts";

verifyLedgerAtEnd();

test.each([
  "a/b",
  "/",
  "100%",
  "%2F",
  "%",
  "a?b=c&d#e",
  "a+b c",
  " ",
  "..a",
  "...",
  "tab\tand\nnewline",
  'quotes " and \' and \\',
  "'; drop table tracked_users; --",
  '{"user":"ada"}',
  "null",
  "ключ",
  "日本語",
  "👩‍👩‍👧‍👦",
  "\u202Eright-to-left",
  "x".repeat(255),
  "ы".repeat(255),
  "🙂".repeat(255),
])("%j is a user id like any other", async (userId) => {
  const tenant = await Tenant.create({ quota: 1000 });

  const granted = await tenant.grant(userId, 50);
  const consumed = await tenant.consume(userId, 100);
  const balance = await tenant.balance(userId);
  const transfers = await tenant.transfers(userId);

  expect(granted.body.user_id).toBe(userId);
  expect(consumed.body.user_id).toBe(userId);
  expect(balance.body).toMatchObject({ user_id: userId, tokens_left: 950 });
  expect(transfers.body.data.map(({ amount }) => amount)).toEqual([-100, 50]);
  const { data } = await service.from("tracked_users").select("external_id")
    .eq("project_id", tenant.id).throwOnError();
  expect(data).toEqual([{ external_id: userId }]);
});

test.each([
  ["upper and lower case", "Ada", "ada"],
  ["composed and decomposed accents", "é", "e\u0301"],
  ["a trailing space", "ada", "ada "],
  ["a number's leading zero", "01", "1"],
])("%s make two users", async (_, one, other) => {
  const tenant = await Tenant.create({ quota: 1000 });
  await tenant.consume(one, 100);
  await tenant.consume(other, 200);

  const balances = await Promise.all([tenant.balance(one), tenant.balance(other)]);

  expect(balances.map(({ body }) => body.quota_left)).toEqual([900, 800]);
});

test.each([
  ["empty", ""],
  ["of 256 characters", "x".repeat(256)],
  ["of 256 emoji", "🙂".repeat(256)],
  ["with a NUL", "a\0b"],
  ["with half of a surrogate pair", "a\ud800"],
])("a user id %s is refused", async (_, userId) => {
  const tenant = await Tenant.create({ quota: 1000 });

  const { status, body } = await tenant.post<ErrorJson>("/v1/consume", {
    user_id: userId,
    tokens_to_consume: 1,
  });

  expect(status).toBe(400);
  expect(body.error).toMatchObject({
    code: "invalid_request",
    message: "user_id must be text of 1 to 255 characters, all of them valid and none NUL.",
  });
});

/** fetch() and URL would tidy the path up before it is sent. */
function getVerbatim(path: string, apiKey: string): Promise<{ status: number; body: string }> {
  const { protocol, hostname, port } = new URL(stack.url);
  return new Promise((resolve, reject) => {
    (protocol === "https:" ? https : http).get({
      hostname,
      port,
      path: `/functions/v1/api${path}`,
      headers: { authorization: `Bearer ${apiKey}` },
    }, (response) => {
      let body = "";
      response.setEncoding("utf8").on("data", (chunk: string) => body += chunk);
      response.on("end", () => resolve({ status: response.statusCode ?? 0, body }));
    }).on("error", reject);
  });
}

test.each([".", ".."])("the user %j exists, but has no URL", async (userId) => {
  const tenant = await Tenant.create({ quota: 1000 });
  const consumed = await tenant.consume(userId, 1);
  const dots = [userId, userId.replaceAll(".", "%2e")];

  const answers = await Promise.all(
    dots.map((dot) => getVerbatim(`/v1/users/${dot}/balance`, tenant.apiKey)),
  );

  expect(consumed.body.user_id).toBe(userId);
  expect(answers.map(({ status }) => status)).toEqual([404, 404]);
  for (const { body } of answers) expect(body).toContain('"unknown_route"');
});

test.each(["%", "%zz", "%c3%28", "%ff", "%ed%a0%80"])(
  "the malformed escape %s in a path is refused",
  async (escape) => {
    const tenant = await Tenant.create({ quota: 1000 });

    const { status, body } = await getVerbatim(`/v1/users/a${escape}/balance`, tenant.apiKey);

    expect(status).toBe(400);
    expect(body).toContain("The path holds a malformed percent-encoding.");
  },
);
