import { expect, test } from "vitest";
import { type ErrorJson, Tenant, verifyLedgerAtEnd } from "../support/tenant.ts";

verifyLedgerAtEnd();

const tenant = await Tenant.create({ quota: 1000 });

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
  "quotes \" and ' and \\",
  "'; drop table tracked_users; --",
  '{"user":"ada"}',
  "null",
  "ключ",
  "日本語",
  "👩‍👩‍👧‍👦",
  "\u202Eright-to-left",
])("%j is a user id like any other", async (userId) => {
  const granted = await tenant.grant(userId, 50);
  const consumed = await tenant.consume(userId, 100);
  const balance = await tenant.balance(userId);
  const transfers = await tenant.transfers(userId);

  expect(granted.body.user_id).toBe(userId);
  expect(consumed.body.user_id).toBe(userId);
  expect(balance.body).toMatchObject({ user_id: userId, tokens_left: 950 });
  expect(transfers.body.data.map(({ amount }) => amount)).toEqual([-100, 50]);
});

test.each(["x", "ы", "🙂"])("255 times %s is a user id", async (character) => {
  const userId = character.repeat(255);

  await tenant.consume(userId, 100);

  expect((await tenant.balance(userId)).body).toMatchObject({ user_id: userId, tokens_left: 900 });
});

test.each([
  ["upper and lower case", "Bob", "bob"],
  ["composed and decomposed accents", "é", "e\u0301"],
  ["a space at the end", "eve", "eve "],
  ["leading zeros", "01", "1"],
])("users that differ by %s are two", async (_, one, other) => {
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

test.each([".", ".."])("the user %j exists, but has no URL", async (userId) => {
  const consumed = await tenant.consume(userId, 1);

  const { status, body } = await tenant.api<ErrorJson>(`/v1/users/${userId}/balance`);

  expect(consumed.body.user_id).toBe(userId);
  expect(status).toBe(404);
  expect(body.error.code).toBe("unknown_route");
});

test.each(["%", "%zz", "%c3%28", "%ff", "%ed%a0%80"])(
  "the malformed escape %s in a path is refused",
  async (escape) => {
    const { status, body } = await tenant.api<ErrorJson>(`/v1/users/a${escape}/balance`);

    expect(status).toBe(400);
    expect(body.error.message).toBe("The path holds a malformed percent-encoding.");
  },
);
