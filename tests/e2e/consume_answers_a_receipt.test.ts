import { expect, test } from "vitest";
import { type ErrorJson, service, stack, Tenant, verifyLedgerAtEnd } from "../support/tenant.ts";

verifyLedgerAtEnd();

test("the fetch of the source document works as it is written there", async () => {
  const tenant = await Tenant.create({ quota: 1000 });
  await tenant.tagId("GPT-4");

  // No content type: fetch() says text/plain for a string.
  const result = await fetch(`${stack.url}/functions/v1/api/v1/consume`, {
    method: "POST",
    headers: { authorization: `Bearer ${tenant.apiKey}` },
    body: JSON.stringify({
      user_id: "user_123",
      tokens_to_consume: 500,
      tag: "GPT-4",
    }),
  });
  const { success, tokens_consumed, message } = await result.json();

  expect(result.status).toBe(200);
  expect({ success, tokens_consumed, message }).toEqual({
    success: true,
    tokens_consumed: 500,
    message: "Consumed 500 tokens: 500 from base quota, 0 from grants",
  });
});

test("the receipt tells everything about the consumption", async () => {
  const tenant = await Tenant.create({
    quota: 1000,
    restrictions: [{ tag: "GPT-4", maxTokens: 2000, duration: "1 month" }],
  });

  const { status, headers, body } = await tenant.consume("ada", 300, {
    tag: "GPT-4",
    request_id: "order-7",
  });

  expect(status).toBe(200);
  expect(headers.get("content-type")).toBe("application/json");
  expect(headers.get("x-request-id")).toBe("order-7");
  expect(body).toEqual({
    success: true,
    tokens_requested: 300,
    tokens_consumed: 300,
    base_quota_used: 300,
    grants_used: 0,
    message: "Consumed 300 tokens: 300 from base quota, 0 from grants",
    reason: null,
    hint: null,
    shortfall: 0,
    retry_at: null,
    user_id: "ada",
    quota_left: 700,
    grants_left: 0,
    tokens_held: 0,
    sources: [{ type: "quota", tokens: 300, left: 700 }],
    nearest_limit: {
      tag: "GPT-4",
      tags: ["GPT-4"],
      max_tokens: 2000,
      duration: "1 month",
      window: "calendar",
      used: 300,
      held: 0,
      left: 1700,
      resets_at: expect.stringMatching(/^\d{4}-\d\d-01T00:00:00\+00:00$/),
    },
    transfer_number: 1,
    request_id: "order-7",
    replayed: false,
    created_at: expect.any(String),
  });
});

test("sources come in the order of use: the quota, then grants by expiry, never-expiring last", async () => {
  const tenant = await Tenant.create({ quota: 100 });
  const { body: never } = await tenant.grant("ada", 100);
  const { body: late } = await tenant.grant("ada", 100, { expires_at: "2090-01-01T00:00:00Z" });
  const { body: soon } = await tenant.grant("ada", 100, { expires_at: "2080-01-01T00:00:00Z" });

  const { body } = await tenant.consume("ada", 350);

  expect(body.sources).toEqual([
    { type: "quota", tokens: 100, left: 0 },
    { type: "grant", grant_id: soon.grant_id, tokens: 100, left: 0 },
    { type: "grant", grant_id: late.grant_id, tokens: 100, left: 0 },
    { type: "grant", grant_id: never.grant_id, tokens: 50, left: 50 },
  ]);
  expect(body).toMatchObject({
    base_quota_used: 100,
    grants_used: 250,
    quota_left: 0,
    grants_left: 50,
    nearest_limit: null,
    transfer_number: 4,
  });
});

test("of several restrictions the receipt names the one with the least left", async () => {
  const tenant = await Tenant.create({
    quota: 1000,
    restrictions: [
      { maxTokens: 900, duration: "1 month" },
      { tag: "GPT-4", maxTokens: 500, duration: "1 month" },
    ],
  });

  const tagged = await tenant.consume("ada", 100, { tag: "GPT-4" });
  const untagged = await tenant.consume("ada", 100);

  expect(tagged.body.nearest_limit).toMatchObject({ tag: "GPT-4", max_tokens: 500, left: 400 });
  expect(untagged.body.nearest_limit).toMatchObject({ tag: null, max_tokens: 900, left: 700 });
});

test("an unknown user is created on the default plan", async () => {
  const tenant = await Tenant.create({ quota: 1000 });

  await tenant.consume("newcomer", 1);

  const { data } = await service.from("tracked_users")
    .select("external_id, payment_status, auth_user_id").eq("project_id", tenant.id).throwOnError();
  expect(data).toEqual([
    { external_id: "newcomer", payment_status: "active", auth_user_id: null },
  ]);
});

test("an unknown user of a project without a default plan is a mistake", async () => {
  const tenant = await Tenant.create();

  const { status, body } = await tenant.post<ErrorJson>("/v1/consume", {
    user_id: "newcomer",
    tokens_to_consume: 1,
  });

  expect(status).toBe(404);
  expect(body.error).toMatchObject({
    code: "unknown_user",
    message: "The user 'newcomer' is not known in this project",
  });
});

test("an unknown tag is a mistake that consumes nothing", async () => {
  const tenant = await Tenant.create({ quota: 1000 });
  await tenant.tagId("GPT-4");
  await tenant.consume("ada", 1, { tag: "GPT-4" });

  const { status, body } = await tenant.post<ErrorJson>("/v1/consume", {
    user_id: "ada",
    tokens_to_consume: 1,
    tag: "gpt-4",
    request_id: "typo",
  });

  expect(status).toBe(400);
  expect(body).toEqual({
    error: {
      code: "unknown_tag",
      message: "The tag 'gpt-4' is not known in this project",
      hint: "Insert it into tags first; names are case-sensitive.",
      request_id: "typo",
    },
  });
  expect((await tenant.balance("ada")).body.tokens_left).toBe(999);
});

test("metadata is kept with the transfer as it was sent", async () => {
  const tenant = await Tenant.create({ quota: 1000 });
  const metadata = { text: 'é "quoted" 🙂', deep: [{ n: 1.5, none: null }], flag: true };

  await tenant.consume("ada", 1, { metadata });

  expect((await tenant.transfers("ada")).body.data[0]?.metadata).toEqual(metadata);
});

test("an amount of 10^15 is exact all the way", async () => {
  const tenant = await Tenant.create({ type: "pay_as_you_go" });

  const granted = await tenant.grant("ada", 1_000_000_000_000_000);
  const consumed = await tenant.consume("ada", 999_999_999_999_999);

  expect(granted.body).toMatchObject({ tokens: 1e15, grants_left: 1e15 });
  expect(consumed.body).toMatchObject({
    tokens_consumed: 999_999_999_999_999,
    grants_used: 999_999_999_999_999,
    grants_left: 1,
  });
  expect((await tenant.balance("ada")).body.tokens_left).toBe(1);
  const { data } = (await tenant.transfers("ada")).body;
  expect(data.map(({ amount }) => amount)).toEqual([-999_999_999_999_999, 1e15]);
});

test("up_to takes as many tokens as there are", async () => {
  const tenant = await Tenant.create({
    quota: 100,
    restrictions: [{ tag: "GPT-4", maxTokens: 60, duration: "1 month" }],
  });

  const limited = await tenant.consume("ada", 500, { tag: "GPT-4", mode: "up_to" });
  const rest = await tenant.consume("ada", 500, { mode: "up_to" });
  const nothing = await tenant.consume("ada", 500, { mode: "up_to" });

  expect(limited.body).toMatchObject({
    tokens_requested: 500,
    tokens_consumed: 60,
    message: "Consumed 60 of 500 tokens: 60 from base quota, 0 from grants",
  });
  expect(rest.body).toMatchObject({ tokens_requested: 500, tokens_consumed: 40, quota_left: 0 });
  expect(nothing.status).toBe(402);
  expect(nothing.body).toMatchObject({ tokens_requested: 500, tokens_consumed: 0, shortfall: 1 });
});

test("metadata of 16 KiB is taken, however many members it has", async () => {
  const tenant = await Tenant.create({ quota: 100 });
  // Postgres writes a space after each comma and colon, and so more than was sent.
  const metadata = { a: Array(8188).fill(1) };
  expect(JSON.stringify(metadata)).toHaveLength(16 * 1024 - 1);

  expect((await tenant.consume("ada", 1, { metadata })).status).toBe(200);
});
