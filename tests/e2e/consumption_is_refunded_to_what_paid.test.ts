import { expect, test } from "vitest";
import { type ErrorJson, service, Tenant, verifyLedgerAtEnd } from "../support/tenant.ts";

verifyLedgerAtEnd();

test("a refund is answered 201 and goes to what paid, the last source first", async () => {
  const tenant = await Tenant.create({
    quota: 100,
    restrictions: [{ maxTokens: 500, duration: "1 month" }],
  });
  const { body: grant } = await tenant.grant("ada", 50);
  const { body: receipt } = await tenant.consume("ada", 130);

  const { status, headers, body } = await tenant.refund("ada", {
    transfer_number: receipt.transfer_number,
    tokens: 40,
    metadata: { ticket: 7 },
    request_id: "r1",
  });

  expect(status).toBe(201);
  expect(headers.get("x-request-id")).toBe("r1");
  expect(body).toEqual({
    transfer_number: 3,
    refunded_transfer_number: 2,
    tokens_refunded: 40,
    base_quota_restored: 10,
    grants_restored: 30,
    tokens_lapsed: 0,
    tokens_regranted: 0,
    grant_id: null,
    refundable_left: 90,
    message: "Refunded 40 tokens of transfer 2",
    user_id: "ada",
    quota_left: 10,
    grants_left: 50,
    tokens_held: 0,
    sources: [
      { type: "quota", tokens: 10, left: 10 },
      { type: "grant", grant_id: grant.grant_id, tokens: 30, left: 50 },
    ],
    request_id: "r1",
    replayed: false,
    created_at: expect.any(String),
  });
  expect((await tenant.balance("ada")).body).toMatchObject({
    tokens_left: 60,
    restrictions: [{ used: 90 }],
  });
  expect((await tenant.transfers("ada")).body.data[0]).toMatchObject({
    amount: 40,
    transaction_type: "refund",
    refers_to: 2,
    metadata: { ticket: 7 },
  });
});

test("without tokens all that is left is refunded, by the request id as well", async () => {
  const tenant = await Tenant.create({ quota: 100 });
  await tenant.consume("ada", 60, { request_id: "chat-1" });
  await tenant.refund("ada", { original_request_id: "chat-1", tokens: 10 });

  const { status, body } = await tenant.refund("ada", { original_request_id: "chat-1" });

  expect(status).toBe(201);
  expect(body).toMatchObject({ tokens_refunded: 50, refundable_left: 0, quota_left: 100 });
  expect((await tenant.balance("ada")).body.tokens_left).toBe(100);
});

test("a settlement is refunded like any consumption", async () => {
  const tenant = await Tenant.create({ quota: 100 });
  const { body: hold } = await tenant.hold("ada", 40);
  const { body: settlement } = await tenant.settle(hold.hold_id, 30);

  const { status } = await tenant.refund("ada", { transfer_number: settlement.transfer_number });

  expect(status).toBe(201);
  expect((await tenant.balance("ada")).body.tokens_left).toBe(100);
});

/** A user whose whole grant of 50 is spent and has ended since. */
async function tenantWithLapsedGrant() {
  const tenant = await Tenant.create({ type: "pay_as_you_go" });
  const { body: grant } = await tenant.grant("ada", 50);
  await tenant.consume("ada", 50, { request_id: "chat-1" });
  await service.from("user_token_grants").update({ expires_at: new Date().toISOString() })
    .eq("id", grant.grant_id).throwOnError();
  return tenant;
}

test("what was paid by a grant that has ended lapses", async () => {
  const tenant = await tenantWithLapsedGrant();

  const { body } = await tenant.refund("ada", { original_request_id: "chat-1" });

  expect(body).toMatchObject({ tokens_refunded: 50, tokens_lapsed: 50, tokens_regranted: 0 });
  expect((await tenant.balance("ada")).body.tokens_left).toBe(0);
});

test("or becomes a new grant, if that is asked for", async () => {
  const tenant = await tenantWithLapsedGrant();

  const { body } = await tenant.refund("ada", {
    original_request_id: "chat-1",
    regrant_lapsed: true,
    grant_expires_at: "2090-01-01T00:00:00Z",
  });

  expect(body).toMatchObject({
    tokens_refunded: 50,
    tokens_lapsed: 0,
    tokens_regranted: 50,
    grant_id: expect.stringMatching(/^[0-9a-f-]{36}$/),
    grants_left: 50,
  });
  const { data } = await service.from("user_token_grants").select("grant_type, expires_at")
    .eq("id", body.grant_id).throwOnError();
  expect(data).toEqual([{ grant_type: "refund", expires_at: "2090-01-01T00:00:00+00:00" }]);
  expect((await tenant.balance("ada")).body.tokens_left).toBe(50);
});

test("a new grant that would have expired already is refused", async () => {
  const tenant = await tenantWithLapsedGrant();

  const { status, body } = await tenant.post<ErrorJson>("/v1/refunds", {
    user_id: "ada",
    original_request_id: "chat-1",
    regrant_lapsed: true,
    grant_expires_at: "2020-01-01T00:00:00Z",
  });

  expect([status, body.error.code]).toEqual([400, "invalid_request"]);
});

test.each([
  ["an unknown user", { user_id: "nobody" }, 404, "unknown_user"],
  ["an unknown number", { transfer_number: 99 }, 404, "unknown_transfer"],
  [
    "an unknown request id",
    { transfer_number: null, original_request_id: "chat-2" },
    404,
    "unknown_transfer",
  ],
  ["a grant", { transfer_number: 1 }, 404, "unknown_transfer"],
  ["more than was consumed", { tokens: 31 }, 422, "exceeds_refundable"],
])("a refund of %s is a mistake, and changes nothing", async (_, change, status, code) => {
  const tenant = await Tenant.create({ quota: 100 });
  await tenant.grant("ada", 50);
  await tenant.consume("ada", 30, { request_id: "chat-1" });

  const answer = await tenant.post<ErrorJson>("/v1/refunds", {
    user_id: "ada",
    transfer_number: 2,
    ...change,
  });

  expect([answer.status, answer.body.error.code]).toEqual([status, code]);
  expect((await tenant.balance("ada")).body.tokens_left).toBe(120);
});

test("what is refunded cannot be refunded again", async () => {
  const tenant = await Tenant.create({ quota: 100 });
  await tenant.consume("ada", 30);
  await tenant.refund("ada", { transfer_number: 1 });

  const { status, body } = await tenant.post<ErrorJson>("/v1/refunds", {
    user_id: "ada",
    transfer_number: 1,
  });

  expect(status).toBe(422);
  expect(body.error).toMatchObject({
    code: "exceeds_refundable",
    message: "Of transfer 1 only 0 tokens are left to refund",
  });
  expect((await tenant.balance("ada")).body.tokens_left).toBe(100);
});

test("a repeated refund is answered as at first, and gives nothing", async () => {
  const tenant = await Tenant.create({ quota: 100 });
  await tenant.consume("ada", 30);
  const details = { transfer_number: 1, tokens: 10, metadata: { ticket: 7 }, request_id: "r1" };
  const first = await tenant.refund("ada", details);
  await tenant.refund("ada", { transfer_number: 1, tokens: 5 });

  const second = await tenant.refund("ada", details);

  expect(second.status).toBe(201);
  expect(first.headers.has("idempotent-replayed")).toBe(false);
  expect(second.headers.get("idempotent-replayed")).toBe("true");
  expect(second.body).toEqual({ ...first.body, replayed: true });
  expect((await tenant.balance("ada")).body.tokens_left).toBe(85);
});

test.each([
  ["tokens", { tokens: 11 }],
  ["transfer", { transfer_number: 2 }],
  ["regrant_lapsed", { regrant_lapsed: true }],
  ["metadata", { metadata: { ticket: 7 } }],
])("a request_id with another %s is refused", async (_, change) => {
  const tenant = await Tenant.create({ quota: 100 });
  await tenant.consume("ada", 30);
  await tenant.consume("ada", 30);
  const request = { user_id: "ada", transfer_number: 1, tokens: 10, request_id: "r1" };
  await tenant.post("/v1/refunds", request);

  const { status, body } = await tenant.post<ErrorJson>("/v1/refunds", { ...request, ...change });

  expect([status, body.error.code]).toEqual([422, "idempotency_mismatch"]);
  expect((await tenant.balance("ada")).body.tokens_left).toBe(50);
});
