import { expect, test } from "vitest";
import { type ErrorJson, Tenant, verifyLedgerAtEnd } from "../support/tenant.ts";

verifyLedgerAtEnd();

test("a grant is answered 201 with all that it is", async () => {
  const tenant = await Tenant.create({ type: "pay_as_you_go" });
  await tenant.grant("ada", 50);
  await tenant.tagId("GPT-4");
  await tenant.tagId("GPT-5");

  const { status, body } = await tenant.grant("ada", 1000, {
    grant_type: "purchase",
    effective_at: "2026-01-01T00:00:00-05:00",
    expires_at: "2090-12-31T23:59:59+02:00",
    priority: 10,
    tags: ["GPT-5", "GPT-4", "GPT-5"],
    cost_basis: 1999,
    cost_currency: "EUR",
    metadata: { invoice: "in_1" },
    request_id: "order-7",
  });

  expect(status).toBe(201);
  expect(body).toEqual({
    grant_id: expect.stringMatching(/^[0-9a-f-]{36}$/),
    user_id: "ada",
    tokens: 1000,
    grant_type: "purchase",
    effective_at: "2026-01-01T05:00:00+00:00",
    expires_at: "2090-12-31T21:59:59+00:00",
    priority: 10,
    tags: ["GPT-4", "GPT-5"],
    cost_basis: 1999,
    cost_currency: "EUR",
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
  await tenant.tagId("GPT-4");
  const details = {
    ...{ effective_at: "2026-01-01T00:00:00Z", expires_at: "2090-01-01T00:00:00Z", priority: 10 },
    ...{ tags: ["GPT-4"], cost_basis: 0, cost_currency: "EUR" },
    ...{ metadata: { a: 1 }, request_id: "order-7" },
  };
  const first = await tenant.grant("ada", 1000, details);
  await tenant.consume("ada", 300, { tag: "GPT-4" });

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
  ["effective_at", { effective_at: "2026-01-01T00:00:00Z" }],
  ["expires_at", { expires_at: "2090-01-01T00:00:00Z" }],
  ["priority", { priority: 49 }],
  ["tags", { tags: ["GPT-4"] }],
  ["cost", { cost_basis: 1, cost_currency: "EUR" }],
])("a request_id with another %s is refused", async (_, change) => {
  const tenant = await Tenant.create({ type: "pay_as_you_go" });
  const request = {
    user_id: "ada",
    tokens: 1000,
    grant_type: "purchase",
    request_id: "order-7",
  };
  await tenant.tagId("GPT-4");
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

test("without more it can be spent on anything, now and for ever, at priority 50", async () => {
  const tenant = await Tenant.create({ type: "pay_as_you_go" });

  const { body } = await tenant.grant("ada", 1);

  expect(body).toMatchObject({
    effective_at: body.created_at,
    expires_at: null,
    priority: 50,
    tags: null,
    cost_basis: null,
    cost_currency: null,
  });
});

test("a grant that is not in force yet is in the balance, but cannot be spent", async () => {
  const tenant = await Tenant.create({ type: "pay_as_you_go" });

  const { body } = await tenant.grant("ada", 1000, { effective_at: "2090-01-01T00:00:00Z" });

  expect(body.grants_left).toBe(0);
  const denied = await tenant.consume("ada", 1);
  expect(denied.status).toBe(402);
  expect(denied.body).toMatchObject({
    reason: "insufficient_tokens",
    retry_at: "2090-01-01T00:00:00+00:00",
  });
  expect((await tenant.balance("ada")).body).toMatchObject({
    grants_left: 0,
    grants: [{ grant_id: body.grant_id, tokens_left: 1000 }],
  });
});

test("grants of a lower priority number are spent first, those of other tags not at all", async () => {
  const tenant = await Tenant.create({ type: "pay_as_you_go" });
  await tenant.tagId("GPT-4");
  const { body: last } = await tenant.grant("ada", 10, { priority: 90 });
  const { body: first } = await tenant.grant("ada", 10, { priority: 20 });
  await tenant.grant("ada", 10, { priority: 1, tags: ["GPT-4"] });

  const { body } = await tenant.consume("ada", 15);

  expect(body.sources).toEqual([
    { type: "grant", grant_id: first.grant_id, tokens: 10, left: 0 },
    { type: "grant", grant_id: last.grant_id, tokens: 5, left: 5 },
  ]);
  expect((await tenant.consume("ada", 6)).status).toBe(402);
  expect((await tenant.consume("ada", 15, { tag: "GPT-4" })).status).toBe(200);
});

test("a tag that the project does not have is named, and no user is created", async () => {
  const tenant = await Tenant.create({ quota: 1 });
  await tenant.tagId("GPT-4");

  const { status, body } = await tenant.post<ErrorJson>("/v1/grants", {
    ...{ user_id: "ada", tokens: 1, grant_type: "bonus" },
    tags: ["GPT-4", "gpt-4"],
  });

  expect(status).toBe(400);
  expect(body.error).toMatchObject({
    code: "unknown_tag",
    message: "The tag 'gpt-4' is not known in this project",
  });
  expect((await tenant.balance("ada")).status).toBe(404);
});

test("a grant cannot expire before it takes effect", async () => {
  const tenant = await Tenant.create({ quota: 1 });

  const { status, body } = await tenant.post<ErrorJson>("/v1/grants", {
    ...{ user_id: "ada", tokens: 1, grant_type: "bonus" },
    effective_at: "2090-01-01T00:00:00Z",
    expires_at: "2090-01-01T00:00:00Z",
  });

  expect(status).toBe(400);
  expect(body.error.message).toBe("expires_at 2090-01-01 00:00:00+00 is not after effective_at");
});

test("no expiry, or null, is for ever", async () => {
  const tenant = await Tenant.create({ type: "pay_as_you_go" });

  const without = await tenant.grant("ada", 1);
  const withNull = await tenant.grant("ada", 1, { expires_at: null });

  expect([without.body.expires_at, withNull.body.expires_at]).toEqual([null, null]);
});

test("with a quota at its largest besides, grants total no more than JSON can count", async () => {
  const tenant = await Tenant.create({ quota: 1e15 });
  await tenant.grant("ada", 1e15 - 1);
  await Promise.all(Array.from({ length: 7 }, () => tenant.grant("ada", 1e15)));

  const { status, body } = await tenant.post<ErrorJson>("/v1/grants", {
    user_id: "ada",
    tokens: 2,
    grant_type: "bonus",
  });

  expect(status).toBe(400);
  expect(body.error.message).toBe(
    "A user's grants may not total more than 8000000000000000 tokens",
  );
  expect((await tenant.balance("ada")).body.tokens_left).toBe(9e15 - 1);
});
