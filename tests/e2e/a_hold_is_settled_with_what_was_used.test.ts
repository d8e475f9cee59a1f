import { expect, test } from "vitest";
import { type ErrorJson, Tenant, verifyLedgerAtEnd } from "../support/tenant.ts";

verifyLedgerAtEnd();

test("what was used is charged to the sources set aside, the rest returns", async () => {
  const tenant = await Tenant.create({
    quota: 100,
    restrictions: [{ tag: "GPT-4", maxTokens: 200, duration: "1 month" }],
  });
  const { body: grant } = await tenant.grant("ada", 50);
  const { body: hold } = await tenant.hold("ada", 130, { tag: "GPT-4" });

  const { status, headers, body } = await tenant.settle(hold.hold_id, 110, {
    metadata: { chat: 1 },
    request_id: "r1",
  });

  expect(status).toBe(200);
  expect(headers.get("x-request-id")).toBe("r1");
  expect(body).toEqual({
    success: true,
    hold_id: hold.hold_id,
    tokens_consumed: 110,
    tokens_returned: 20,
    excess_consumed: 0,
    base_quota_used: 100,
    grants_used: 10,
    message: "Settled 110 of 130 tokens",
    reason: null,
    hint: null,
    shortfall: 0,
    retry_at: null,
    user_id: "ada",
    quota_left: 0,
    grants_left: 40,
    tokens_held: 0,
    sources: [
      { type: "quota", tokens: 100, left: 0 },
      { type: "grant", grant_id: grant.grant_id, tokens: 10, left: 40 },
    ],
    nearest_limit: {
      tag: "GPT-4",
      tags: ["GPT-4"],
      max_tokens: 200,
      duration: "1 month",
      window: "calendar",
      used: 110,
      held: 0,
      left: 90,
      resets_at: expect.any(String),
    },
    transfer_number: 3,
    excess_transfer_number: null,
    request_id: "r1",
    replayed: false,
    created_at: expect.any(String),
  });
  expect((await tenant.balance("ada")).body).toMatchObject({ tokens_left: 40, tokens_held: 0 });
  expect((await tenant.transfers("ada")).body.data[0]).toMatchObject({
    amount: -110,
    transaction_type: "consumption",
    refers_to: 2,
    metadata: { chat: 1 },
  });
});

test.each([[0, 100], [40, 60]])("%i of 40 tokens leave %i", async (tokens, left) => {
  const tenant = await Tenant.create({ quota: 100 });
  const { body: hold } = await tenant.hold("ada", 40);

  const { status, body } = await tenant.settle(hold.hold_id, tokens);

  expect(status).toBe(200);
  expect(body).toMatchObject({ tokens_consumed: tokens, tokens_returned: 40 - tokens });
  expect((await tenant.balance("ada")).body).toMatchObject({ tokens_left: left, tokens_held: 0 });
});

test("more than is held is refused, and the hold stays open", async () => {
  const tenant = await Tenant.create({ quota: 100 });
  const { body: hold } = await tenant.hold("ada", 40);

  const { status, body } = await tenant.post<ErrorJson>(`/v1/holds/${hold.hold_id}/settle`, {
    tokens: 41,
  });

  expect(status).toBe(422);
  expect(body.error).toMatchObject({
    code: "exceeds_hold",
    message: "The hold has 40 tokens, fewer than 41",
  });
  expect((await tenant.balance("ada")).body).toMatchObject({ tokens_left: 60, tokens_held: 40 });
  expect((await tenant.settle(hold.hold_id, 40)).status).toBe(200);
});

test("an allowed excess is consumed as a transfer of its own", async () => {
  const tenant = await Tenant.create({ quota: 100 });
  const { body: hold } = await tenant.hold("ada", 40);
  const excess = { allow_excess: true, request_id: "r1" };

  const first = await tenant.settle(hold.hold_id, 70, excess);
  const second = await tenant.settle(hold.hold_id, 70, excess);

  expect(first.status).toBe(200);
  expect(first.body).toMatchObject({
    tokens_consumed: 70,
    tokens_returned: 0,
    excess_consumed: 30,
    base_quota_used: 70,
    quota_left: 30,
    transfer_number: 2,
    excess_transfer_number: 3,
  });
  expect(second.body).toEqual({ ...first.body, replayed: true });
  expect((await tenant.balance("ada")).body).toMatchObject({ tokens_left: 30, tokens_held: 0 });
});

test("an excess for want of tokens is denied with 402, and the hold stays open", async () => {
  const tenant = await Tenant.create({ type: "pay_as_you_go" });
  await tenant.grant("ada", 100);
  const { body: hold } = await tenant.hold("ada", 40);

  const { status, headers, body } = await tenant.settle(hold.hold_id, 101, {
    allow_excess: true,
    request_id: "r1",
  });

  expect(status).toBe(402);
  expect(headers.has("retry-after")).toBe(false);
  expect(body).toMatchObject({
    success: false,
    hold_id: hold.hold_id,
    tokens_consumed: 0,
    tokens_returned: 0,
    reason: "insufficient_tokens",
    shortfall: 1,
    tokens_held: 40,
    sources: [],
    transfer_number: null,
    excess_transfer_number: null,
    request_id: "r1",
  });
  expect((await tenant.balance("ada")).body).toMatchObject({ tokens_left: 60, tokens_held: 40 });
  expect((await tenant.settle(hold.hold_id, 40, { request_id: "r1" })).status).toBe(200);
});

test("an excess beyond a restriction is denied with 429", async () => {
  const tenant = await Tenant.create({
    quota: 100,
    restrictions: [{ maxTokens: 50, duration: "1 month" }],
  });
  const { body: hold } = await tenant.hold("ada", 40);

  const { status, headers, body } = await tenant.settle(hold.hold_id, 91, { allow_excess: true });

  expect(status).toBe(429);
  expect(headers.get("retry-after")).toBeNull();
  expect(headers.get("ratelimit-policy")).toBe('"month";q=50;qu="tokens"');
  expect(body).toMatchObject({ reason: "restriction_exceeded", tokens_held: 40 });
});

test("a repeated settlement is answered as at first, and charges nothing", async () => {
  const tenant = await Tenant.create({ quota: 100 });
  const { body: hold } = await tenant.hold("ada", 40);
  const details = { metadata: { chat: 1 }, request_id: "r1" };
  const first = await tenant.settle(hold.hold_id, 30, details);
  await tenant.consume("ada", 5);

  const second = await tenant.settle(hold.hold_id, 30, details);

  expect(second.status).toBe(200);
  expect(second.headers.get("idempotent-replayed")).toBe("true");
  expect(second.body).toEqual({ ...first.body, replayed: true });
  expect((await tenant.balance("ada")).body.tokens_left).toBe(65);
});

test.each([
  ["tokens", { tokens: 31 }],
  ["allow_excess", { allow_excess: true }],
  ["metadata", { metadata: { chat: 1 } }],
])("a request_id with another %s is refused", async (_, change) => {
  const tenant = await Tenant.create({ quota: 100 });
  const { body: hold } = await tenant.hold("ada", 40);
  const request = { tokens: 30, request_id: "r1" };
  await tenant.post(`/v1/holds/${hold.hold_id}/settle`, request);

  const { status, body } = await tenant.post<ErrorJson>(`/v1/holds/${hold.hold_id}/settle`, {
    ...request,
    ...change,
  });

  expect([status, body.error.code]).toEqual([422, "idempotency_mismatch"]);
  expect((await tenant.balance("ada")).body.tokens_left).toBe(70);
});

test("settlements at the same time charge once", async () => {
  const tenant = await Tenant.create({ quota: 100 });
  const { body: hold } = await tenant.hold("ada", 40);

  const answers = await Promise.all(
    Array.from({ length: 8 }, () => tenant.settle(hold.hold_id, 30)),
  );

  expect(answers.map(({ status }) => status).toSorted((a, b) => a - b))
    .toEqual([200, ...Array(7).fill(409)]);
  expect((await tenant.balance("ada")).body).toMatchObject({ tokens_left: 70, tokens_held: 0 });
});
