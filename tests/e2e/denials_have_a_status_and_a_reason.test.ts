import { createHash } from "node:crypto";
import { expect, test } from "vitest";
import { type Receipt, service, Tenant, verifyLedgerAtEnd } from "../support/tenant.ts";

verifyLedgerAtEnd();

/** So many seconds later it is time to retry, and no more than a second later. */
function expectToEndAt(retryAfter: string | null, { created_at, retry_at }: Receipt) {
  const waited = Date.parse(created_at) + Number(retryAfter) * 1000;
  expect(waited).toBeGreaterThanOrEqual(Date.parse(retry_at));
  expect(waited).toBeLessThan(Date.parse(retry_at) + 1000);
}

test("too few tokens are denied with 402 insufficient_tokens", async () => {
  const tenant = await Tenant.create({ type: "pay_as_you_go" });
  await tenant.grant("ada", 100);

  const { status, headers, body } = await tenant.consume("ada", 101);

  expect(status).toBe(402);
  expect(headers.has("retry-after")).toBe(false);
  expect(body).toEqual({
    success: false,
    tokens_requested: 101,
    tokens_consumed: 0,
    base_quota_used: 0,
    grants_used: 0,
    message: "Not enough tokens: 101 requested, 100 left",
    reason: "insufficient_tokens",
    hint: "Grant what is lacking (1).",
    shortfall: 1,
    retry_at: null,
    user_id: "ada",
    quota_left: 0,
    grants_left: 100,
    tokens_held: 0,
    sources: [],
    nearest_limit: null,
    transfer_number: null,
    request_id: expect.stringMatching(/^[0-9a-f-]{36}$/),
    replayed: false,
    created_at: expect.any(String),
  });
});

test("a denial for want of quota says when the next period begins", async () => {
  const tenant = await Tenant.create({ quota: 100, period: "1 year" });
  await tenant.consume("ada", 60);

  const { status, headers, body } = await tenant.consume("ada", 41);

  expect(status).toBe(402);
  expect(body).toMatchObject({
    reason: "insufficient_tokens",
    hint: "Grant what is lacking (1), or call again at retry_at.",
    shortfall: 1,
    retry_at: (await tenant.balance("ada")).body.quota_resets_at,
  });
  expectToEndAt(headers.get("retry-after"), body);
});

test("a quota closed by a failed payment is denied with 402 payment_inactive", async () => {
  const tenant = await Tenant.create();
  const plan = await tenant.plan({ quota: 1000 });
  await tenant.user("ada", plan, { paymentStatus: "past_due" });

  const { status, body } = await tenant.consume("ada", 10);

  expect(status).toBe(402);
  expect(body).toMatchObject({
    success: false,
    reason: "payment_inactive",
    message: "Not enough tokens: 10 requested, and base quota is closed while payment is past_due",
    retry_at: null,
    quota_left: 0,
  });
});

test("a restriction denies with 429, and Retry-After ends with its window", async () => {
  const tenant = await Tenant.create({
    quota: 1000,
    restrictions: [{ tag: "GPT-4", maxTokens: 200, duration: "1 month" }],
  });
  await tenant.consume("ada", 150, { tag: "GPT-4" });

  const { status, headers, body } = await tenant.consume("ada", 51, { tag: "GPT-4" });

  expect(status).toBe(429);
  expectToEndAt(headers.get("retry-after"), body);
  expect(body).toMatchObject({
    success: false,
    tokens_consumed: 0,
    reason: "restriction_exceeded",
    message: "Limit reached: 51 tokens requested, 50 of 200 per month left for GPT-4",
    quota_left: 850,
    sources: [],
    nearest_limit: { tag: "GPT-4", max_tokens: 200, used: 150, left: 50, resets_at: body.retry_at },
  });
});

test("more than a restriction ever lets through is denied without Retry-After", async () => {
  const tenant = await Tenant.create({
    quota: 1000,
    restrictions: [{ maxTokens: 200, duration: "1 month" }],
  });

  const { status, headers, body } = await tenant.consume("ada", 201);

  expect(status).toBe(429);
  expect(headers.has("retry-after")).toBe(false);
  expect(body).toMatchObject({ reason: "restriction_exceeded", retry_at: null });
});

test("a rolling window denies until enough has rolled off, quarter by quarter of an hour", async () => {
  const tenant = await Tenant.create({
    quota: 1000,
    restrictions: [{ maxTokens: 200, duration: "5 hours", window: "rolling" }],
  });
  const { body: used } = await tenant.consume("ada", 150);

  const { status, headers, body } = await tenant.consume("ada", 51);

  const quarter = 15 * 60_000;
  const begun = Math.floor(Date.parse(used.created_at) / quarter) * quarter;
  expect(status).toBe(429);
  expectToEndAt(headers.get("retry-after"), body);
  expect(Date.parse(body.retry_at)).toBe(begun + 5 * 3_600_000 + quarter);
  expect(body.message).toBe(
    "Limit reached: 51 tokens requested, 50 of 200 per 5 hours left",
  );
});

test("a restriction of 0 tokens forbids, and says so", async () => {
  const tenant = await Tenant.create({
    quota: 1000,
    restrictions: [{ tags: ["GPT-4", "GPT-5"], maxTokens: 0, duration: "1 day" }],
  });

  const { status, headers, body } = await tenant.consume("ada", 1, { tag: "GPT-5" });

  expect(status).toBe(429);
  expect(headers.has("retry-after")).toBe(false);
  expect(headers.get("ratelimit-policy")).toBe('"day-GPT-4,GPT-5";q=0;qu="tokens";w=86400');
  expect(body).toMatchObject({
    message: "The plan does not allow GPT-4, GPT-5",
    hint: "Move the user to another plan, or raise the restriction.",
    retry_at: null,
  });
});

test("the browser may read Retry-After", async () => {
  const tenant = await Tenant.create({
    quota: 1000,
    restrictions: [{ maxTokens: 1, duration: "1 month" }],
  });
  await tenant.consume("ada", 1);

  const { headers } = await tenant.api("/v1/consume", {
    method: "POST",
    headers: { origin: "https://app.example" },
    body: JSON.stringify({ user_id: "ada", tokens_to_consume: 1 }),
  });

  expect(headers.get("retry-after")).toMatch(/^\d+$/);
  expect(headers.get("access-control-expose-headers")).toContain("retry-after");
});

test("denied calls leave the user as it was", async () => {
  const tenant = await Tenant.create({ quota: 100 });
  await tenant.consume("ada", 60);
  const before = await tenant.balance("ada");

  for (const tokens of [41, 1e15]) {
    expect((await tenant.consume("ada", tokens)).status).toBe(402);
  }

  const after = await tenant.balance("ada");
  expect(after.body).toEqual({ ...before.body, as_of: expect.any(String) });
  expect((await tenant.transfers("ada")).body.data).toHaveLength(1);
});

test("a denial creates no user", async () => {
  const tenant = await Tenant.create({ quota: 100 });

  const { status } = await tenant.consume("newcomer", 101);

  expect(status).toBe(402);
  expect((await tenant.balance("newcomer")).status).toBe(404);
});

const answers: [string, number][] = [
  ["applied and replayed", 10],
  ["denied for want of tokens", 91],
  ["denied by a restriction", 51],
];
test.each(answers)("the body of a call %s is what SQL answers", async (_, tokens) => {
  const tenant = await Tenant.create({
    quota: 90,
    restrictions: [{ tag: "GPT-4", maxTokens: 50, duration: "1 month" }],
  });
  const tag = tokens === 91 ? undefined : "GPT-4";
  const request = { tag, request_id: "same" };

  const http = await tenant.consume("ada", tokens, request);
  const { data: sql } = await service.rpc("consume_with_api_key", {
    p_key_hash: `\\x${createHash("sha256").update(tenant.apiKey).digest("hex")}`,
    p_external_user_id: "ada",
    p_tokens: tokens,
    p_request_id: "same",
    ...(tag && { p_tag: tag }),
  }).throwOnError();

  const { success } = http.body;
  expect(sql).toEqual(
    success ? { ...http.body, replayed: true } : { ...http.body, created_at: expect.any(String) },
  );
});
