import { expect, test } from "vitest";
import { type ErrorJson, Tenant, verifyLedgerAtEnd } from "../support/tenant.ts";

verifyLedgerAtEnd();

test("a grant is answered 201 with all that it is", async () => {
  const tenant = await Tenant.create({ type: "pay_as_you_go" });
  await tenant.grant("ada", 50);

  const { status, body } = await tenant.grant("ada", 1000, {
    grant_type: "purchase",
    expires_at: "2090-12-31T23:59:59+02:00",
    metadata: { invoice: "in_1" },
    request_id: "order-7",
  });

  expect(status).toBe(201);
  expect(body).toEqual({
    grant_id: expect.stringMatching(/^[0-9a-f-]{36}$/),
    user_id: "ada",
    tokens: 1000,
    grant_type: "purchase",
    expires_at: "2090-12-31T21:59:59+00:00",
    metadata: { invoice: "in_1" },
    grants_left: 1050,
    transfer_number: 2,
    request_id: "order-7",
    replayed: false,
    created_at: expect.any(String),
  });
});

test("a repeated grant is answered as at first and gives nothing", async () => {
  const tenant = await Tenant.create({ type: "pay_as_you_go" });
  const details = { expires_at: "2090-01-01T00:00:00Z", metadata: { a: 1 }, request_id: "order-7" };
  const first = await tenant.grant("ada", 1000, details);
  await tenant.consume("ada", 300);

  const second = await tenant.grant("ada", 1000, details);

  expect([first.status, second.status]).toEqual([201, 201]);
  expect(first.headers.has("idempotent-replayed")).toBe(false);
  expect(second.headers.get("idempotent-replayed")).toBe("true");
  expect(second.body).toEqual({ ...first.body, replayed: true });
  expect((await tenant.balance("ada")).body.grants_left).toBe(700);
});

test.each([
  ["tokens", { tokens: 1001 }],
  ["grant_type", { grant_type: "refund" }],
  ["metadata", { metadata: { a: 2 } }],
])("a request_id with another %s is refused", async (_, change) => {
  const tenant = await Tenant.create({ type: "pay_as_you_go" });
  const request = {
    user_id: "ada",
    tokens: 1000,
    grant_type: "purchase",
    request_id: "order-7",
  };
  await tenant.post("/v1/grants", request);

  const { status, body } = await tenant.post<ErrorJson>("/v1/grants", { ...request, ...change });

  expect(status).toBe(422);
  expect(body.error).toMatchObject({ code: "idempotency_mismatch", request_id: "order-7" });
  expect((await tenant.balance("ada")).body.grants_left).toBe(1000);
});

test("an unknown user is created on the default plan", async () => {
  const tenant = await Tenant.create({ quota: 100 });

  const { status } = await tenant.grant("newcomer", 1000);

  expect(status).toBe(201);
  expect((await tenant.balance("newcomer")).body).toMatchObject({
    quota_left: 100,
    grants_left: 1000,
    tokens_left: 1100,
  });
});

test("an unknown user of a project without a default plan is a mistake", async () => {
  const tenant = await Tenant.create();

  const { status, body } = await tenant.post<ErrorJson>("/v1/grants", {
    user_id: "newcomer",
    tokens: 1,
    grant_type: "bonus",
  });

  expect(status).toBe(404);
  expect(body.error.code).toBe("unknown_user");
});

test("there are five types of grants", async () => {
  const tenant = await Tenant.create({ quota: 1 });
  const types = ["trial", "bonus", "purchase", "refund", "adjustment"];

  const answers = await Promise.all(
    types.map((type) => tenant.grant("ada", 1, { grant_type: type })),
  );

  expect(answers.map(({ status }) => status)).toEqual(types.map(() => 201));
  expect(answers.map(({ body }) => body.grant_type)).toEqual(types);
});

test("another grant type is refused with the list of those there are", async () => {
  const tenant = await Tenant.create({ quota: 1 });

  const { status, body } = await tenant.post<ErrorJson>("/v1/grants", {
    user_id: "ada",
    tokens: 1,
    grant_type: "gift",
  });

  expect(status).toBe(400);
  expect(body.error).toMatchObject({
    code: "invalid_request",
    message: "grant_type must be one of trial, bonus, purchase, refund, adjustment.",
  });
});

test("an expiry in the past is refused, and creates no user", async () => {
  const tenant = await Tenant.create({ quota: 1 });

  const { status, body } = await tenant.post<ErrorJson>("/v1/grants", {
    user_id: "ada",
    tokens: 1,
    grant_type: "bonus",
    expires_at: "2020-01-01T00:00:00Z",
  });

  expect(status).toBe(400);
  expect(body.error).toMatchObject({
    code: "invalid_request",
    message: "expires_at 2020-01-01 00:00:00+00 is not in the future",
  });
  expect((await tenant.balance("ada")).status).toBe(404);
});

test("a grant may expire in the last second of the year 9999", async () => {
  const tenant = await Tenant.create({ type: "pay_as_you_go" });

  const { status, body } = await tenant.grant("ada", 1, { expires_at: "9999-12-31T23:59:59Z" });

  expect(status).toBe(201);
  expect(body.expires_at).toBe("9999-12-31T23:59:59+00:00");
});

test("no expiry, or null, is for ever", async () => {
  const tenant = await Tenant.create({ type: "pay_as_you_go" });

  const without = await tenant.grant("ada", 1);
  const withNull = await tenant.grant("ada", 1, { expires_at: null });

  expect([without.body.expires_at, withNull.body.expires_at]).toEqual([null, null]);
});

test("grants that would total more than JSON can count are refused", async () => {
  const tenant = await Tenant.create({ type: "pay_as_you_go" });
  await Promise.all(Array.from({ length: 9 }, () => tenant.grant("ada", 1e15)));

  const { status, body } = await tenant.post<ErrorJson>("/v1/grants", {
    user_id: "ada",
    tokens: 1e15,
    grant_type: "bonus",
  });

  expect(status).toBe(400);
  expect(body.error.message).toBe(
    "A user's grants may not total more than 9007199254740991 tokens",
  );
  expect((await tenant.balance("ada")).body.grants_left).toBe(9e15);
});
