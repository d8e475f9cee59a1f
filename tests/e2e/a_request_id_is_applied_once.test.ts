import { expect, test } from "vitest";
import { type ErrorJson, Tenant, verifyLedgerAtEnd } from "../support/tenant.ts";

verifyLedgerAtEnd();

async function tenantWithQuota() {
  const tenant = await Tenant.create({ quota: 1000 });
  await Promise.all([tenant.tagId("GPT-4"), tenant.tagId("GPT-5")]);
  return tenant;
}

/** For the tests that have a user of their own. */
const shared = await tenantWithQuota();

test("a repeated request_id is answered as at first, marked as a replay", async () => {
  const tenant = await tenantWithQuota();
  const details = { tag: "GPT-4", metadata: { chat: 1 }, request_id: "r1" };
  const first = await tenant.consume("ada", 100, details);
  await tenant.consume("ada", 100);

  const second = await tenant.consume("ada", 100, details);

  expect(first.body.replayed).toBe(false);
  expect(first.headers.has("idempotent-replayed")).toBe(false);
  expect(second.status).toBe(200);
  expect(second.headers.get("idempotent-replayed")).toBe("true");
  expect(second.body).toEqual({ ...first.body, replayed: true });
  expect((await tenant.balance("ada")).body.tokens_left).toBe(800);
});

test("a replay names the grants that paid at first", async () => {
  const tenant = await Tenant.create({ quota: 10 });
  await tenant.grant("ada", 50);
  await tenant.grant("ada", 50);
  const first = await tenant.consume("ada", 80, { request_id: "r1" });

  const second = await tenant.consume("ada", 80, { request_id: "r1" });

  expect(first.body.sources).toHaveLength(3);
  expect(second.body).toEqual({ ...first.body, replayed: true });
});

test("the Idempotency-Key header does the same as request_id", async () => {
  const tenant = await tenantWithQuota();
  const body = { user_id: "ada", tokens_to_consume: 100 };

  const first = await tenant.post<object>("/v1/consume", body, { "idempotency-key": "key 1" });
  const byHeader = await tenant.post("/v1/consume", body, { "Idempotency-Key": "key 1" });
  const byBody = await tenant.consume("ada", 100, { request_id: "key 1" });

  expect(first.body).toMatchObject({ request_id: "key 1", replayed: false });
  expect(byHeader.body).toEqual({ ...first.body, replayed: true });
  expect(byBody.body).toEqual({ ...first.body, replayed: true });
});

test("header and body may hold the same id, but not two", async () => {
  const tenant = await tenantWithQuota();
  const body = { user_id: "ada", tokens_to_consume: 100, request_id: "r1" };

  const same = await tenant.post("/v1/consume", body, { "idempotency-key": "r1" });
  const other = await tenant.post<ErrorJson>("/v1/consume", body, { "idempotency-key": "r2" });

  expect(same.status).toBe(200);
  expect(other.status).toBe(400);
  expect(other.body.error).toMatchObject({
    code: "invalid_request",
    message: "The Idempotency-Key header and request_id differ.",
  });
});

test.each([
  ["tokens", { tokens_to_consume: 101 }],
  ["tag", { tag: "GPT-5" }],
  ["no tag", { tag: undefined }],
  ["metadata", { metadata: { chat: 2 } }],
  ["no metadata", { metadata: undefined }],
  ["mode", { mode: "up_to" }],
])("a request_id with other parameters (%s) is refused", async (what, change) => {
  const request = {
    user_id: `other ${what}`,
    tokens_to_consume: 100,
    tag: "GPT-4",
    metadata: { chat: 1 },
    request_id: "r1",
  };
  await shared.post("/v1/consume", request);

  const { status, body } = await shared.post<ErrorJson>("/v1/consume", { ...request, ...change });

  expect(status).toBe(422);
  expect(body).toEqual({
    error: {
      code: "idempotency_mismatch",
      message: "The request id 'r1' was used for another request of this user",
      hint: "Repeat a request with exactly the same parameters, or use a new request id.",
      request_id: "r1",
    },
  });
  expect((await shared.balance(request.user_id)).body.tokens_left).toBe(900);
});

test("consumption and grants of a user share their request ids", async () => {
  const tenant = await tenantWithQuota();
  await tenant.consume("ada", 100, { request_id: "r1" });

  const { status } = await tenant.grant("ada", 100, { request_id: "r1" });

  expect(status).toBe(422);
});

test("request ids of two users have nothing to do with each other", async () => {
  const tenant = await tenantWithQuota();
  await tenant.consume("ada", 100, { request_id: "r1" });

  const { status, body } = await tenant.consume("bob", 200, { request_id: "r1" });

  expect(status).toBe(200);
  expect(body).toMatchObject({ replayed: false, quota_left: 800 });
});

test("the generated request id of an answer can be used to repeat the call", async () => {
  const tenant = await tenantWithQuota();
  const first = await tenant.consume("ada", 100);

  const second = await tenant.consume("ada", 100, { request_id: first.body.request_id });

  expect(first.headers.get("x-request-id")).toBe(first.body.request_id);
  expect(second.body).toEqual({ ...first.body, replayed: true });
});

test("two calls without request_id are two calls", async () => {
  const tenant = await tenantWithQuota();
  const first = await tenant.consume("ada", 100);

  const second = await tenant.consume("ada", 100);

  expect(second.body.request_id).not.toBe(first.body.request_id);
  expect(second.body.quota_left).toBe(800);
});

test("the request id of an error can be used for the corrected call", async () => {
  const tenant = await tenantWithQuota();
  const refused = await tenant.post<ErrorJson>("/v1/consume", {
    user_id: "ada",
    tokens_to_consume: 100,
    tag: "misspelt",
  });

  const { body } = await tenant.consume("ada", 100, { request_id: refused.body.error.request_id });

  expect(body).toMatchObject({ success: true, replayed: false });
});

test("a denied request id can be applied later", async () => {
  const tenant = await Tenant.create({ type: "pay_as_you_go" });
  await tenant.grant("ada", 50);
  const denied = await tenant.consume("ada", 100, { request_id: "r1" });
  await tenant.grant("ada", 50);

  const applied = await tenant.consume("ada", 100, { request_id: "r1" });
  const replayed = await tenant.consume("ada", 100, { request_id: "r1" });

  expect([denied.status, applied.status, replayed.status]).toEqual([402, 200, 200]);
  expect(applied.body.replayed).toBe(false);
  expect(replayed.body).toEqual({ ...applied.body, replayed: true });
});

test("calls at the same time with one request_id are applied once", async () => {
  const tenant = await tenantWithQuota();

  const answers = await Promise.all(
    Array.from({ length: 8 }, () => tenant.consume("ada", 100, { request_id: "r1" })),
  );

  expect(answers.map(({ status }) => status)).toEqual(Array(8).fill(200));
  expect(answers.filter(({ body }) => !body.replayed)).toHaveLength(1);
  expect((await tenant.balance("ada")).body.tokens_left).toBe(900);
});

test("a request id may be any printable ASCII, and comes back as it was sent", async () => {
  const tenant = await tenantWithQuota();

  for (const requestId of ["a/b?c=d&e", " spaced ", "x".repeat(255), "100%", '"']) {
    const first = await tenant.consume("ada", 100, { request_id: requestId });
    const second = await tenant.consume("ada", 100, { request_id: requestId });

    expect(first.body.request_id).toBe(requestId);
    expect(first.headers.get("x-request-id")).toBe(requestId.trim());
    expect(second.body).toEqual({ ...first.body, replayed: true });
  }
});
