import { expect, test } from "vitest";
import { type ErrorJson, Tenant, verifyLedgerAtEnd } from "../support/tenant.ts";

verifyLedgerAtEnd();

const DAY = 86_400_000;
const daysAgo = (days: number) => new Date(Date.now() - days * DAY).toISOString();

test("a recurring grant is answered 201 with all that it is", async () => {
  const tenant = await Tenant.create({ type: "pay_as_you_go" });
  await tenant.tagId("GPT-4");

  const { status, body } = await tenant.recurringGrant("ada", 500, {
    grant_type: "trial",
    every: "3 months",
    starts_at: "2090-01-31T00:00:00+02:00",
    ends_at: "2091-01-31T00:00:00Z",
    valid_for: "1 month",
    priority: 10,
    tags: ["GPT-4"],
    metadata: { campaign: "launch" },
    request_id: "recurring-1",
  });

  expect(status).toBe(201);
  expect(body).toEqual({
    recurring_grant_id: expect.stringMatching(/^[0-9a-f-]{36}$/),
    user_id: "ada",
    tokens: 500,
    grant_type: "trial",
    every: "3 months",
    starts_at: "2090-01-30T22:00:00+00:00",
    ends_at: "2091-01-31T00:00:00+00:00",
    valid_for: "1 month",
    priority: 10,
    tags: ["GPT-4"],
    metadata: { campaign: "launch" },
    request_id: "recurring-1",
    replayed: false,
    created_at: expect.any(String),
  });
});

test("by itself it starts now, has no end and gives tokens for ever, for anything", async () => {
  const tenant = await Tenant.create({ quota: 100 });

  const { body } = await tenant.recurringGrant("newcomer", 500);

  expect(body).toMatchObject({ ends_at: null, valid_for: null, priority: 50, tags: null });
  const { body: balance } = await tenant.balance("newcomer");
  expect(balance).toMatchObject({ quota_left: 100, grants_left: 500 });
  expect(balance.grants).toMatchObject([
    { tokens_left: 500, effective_at: body.starts_at, expires_at: null },
  ]);
});

test("what came due while nobody called is there, and is written down by the next call", async () => {
  const tenant = await Tenant.create({ type: "pay_as_you_go" });
  await tenant.recurringGrant("ada", 500, { starts_at: daysAgo(15) });

  const balance = await tenant.balance("ada");
  const before = await tenant.transfers("ada");
  const consumed = await tenant.consume("ada", 1200);
  const after = await tenant.transfers("ada");

  expect(balance.body).toMatchObject({ grants_left: 1500, tokens_left: 1500 });
  expect(balance.body.grants).toHaveLength(3);
  expect(before.body.data).toEqual([]);
  expect(consumed.body).toMatchObject({ success: true, grants_left: 300 });
  expect(after.body.data.map(({ amount }) => amount)).toEqual([-1200, 500, 500, 500]);
});

test("tokens that are valid for a time only have lapsed by then", async () => {
  const tenant = await Tenant.create({ type: "pay_as_you_go" });

  const { body } = await tenant.recurringGrant("ada", 500, {
    starts_at: daysAgo(15),
    valid_for: "1 week",
  });

  const [grant, ...others] = (await tenant.balance("ada")).body.grants as {
    expires_at: string;
    effective_at: string;
  }[];
  expect(others).toEqual([]);
  expect(Date.parse(grant!.effective_at)).toBe(Date.parse(body.starts_at) + 14 * DAY);
  expect(Date.parse(grant!.expires_at)).toBe(Date.parse(body.starts_at) + 21 * DAY);
});

test.each([
  ["request_id", { request_id: "r1" }, {}],
  ["Idempotency-Key", {}, { "idempotency-key": "r1" }],
])("repeated with its %s it is one recurring grant", async (_, more, headers) => {
  const tenant = await Tenant.create({ type: "pay_as_you_go" });
  const request = {
    ...{ user_id: "ada", tokens: 500, grant_type: "bonus", every: "1 week", ...more },
    ends_at: "2090-01-01T00:00:00Z",
  };
  const first = await tenant.post<object>("/v1/recurring-grants", request, headers);

  const second = await tenant.post<object>("/v1/recurring-grants", request, headers);

  expect([first.status, second.status]).toEqual([201, 201]);
  expect(first.headers.has("idempotent-replayed")).toBe(false);
  expect(second.headers.get("idempotent-replayed")).toBe("true");
  expect(second.body).toEqual({ ...first.body, replayed: true });
  expect((await tenant.balance("ada")).body.grants_left).toBe(500);
});

test.each([
  ["tokens", { tokens: 501 }],
  ["grant_type", { grant_type: "trial" }],
  ["every", { every: "2 weeks" }],
  ["starts_at", { starts_at: "2090-01-01T00:00:00Z" }],
  ["ends_at", { ends_at: "2090-01-01T00:00:00Z" }],
  ["valid_for", { valid_for: "1 week" }],
  ["priority", { priority: 1 }],
  ["tags", { tags: ["GPT-4"] }],
  ["metadata", { metadata: { a: 1 } }],
])("a request_id with another %s is refused", async (_, change) => {
  const tenant = await Tenant.create({ type: "pay_as_you_go" });
  await tenant.tagId("GPT-4");
  await tenant.recurringGrant("ada", 500, { request_id: "r1" });

  const { status, body } = await tenant.post<ErrorJson>("/v1/recurring-grants", {
    ...{ user_id: "ada", tokens: 500, grant_type: "bonus", every: "1 week", request_id: "r1" },
    ...change,
  });

  expect(status).toBe(422);
  expect(body.error).toMatchObject({ code: "idempotency_mismatch", request_id: "r1" });
});

test("one that has ended gives no more; what it gave stays", async () => {
  const tenant = await Tenant.create({ type: "pay_as_you_go" });
  const { body: made } = await tenant.recurringGrant("ada", 500, { starts_at: daysAgo(15) });

  const { status, headers, body } = await tenant.endRecurringGrant("ada", made.recurring_grant_id);

  expect(status).toBe(200);
  expect(headers.has("idempotent-replayed")).toBe(false);
  expect(body).toEqual({ ...made, ends_at: expect.any(String) });
  expect(Date.parse(body.ends_at)).toBeGreaterThanOrEqual(Date.parse(made.created_at));
  expect((await tenant.balance("ada")).body.grants_left).toBe(1500);
});

test("one that ends before it starts gives nothing", async () => {
  const tenant = await Tenant.create({ type: "pay_as_you_go" });
  const { body: made } = await tenant.recurringGrant("ada", 500, {
    starts_at: "2090-01-01T00:00:00Z",
  });

  const { body } = await tenant.endRecurringGrant("ada", made.recurring_grant_id);

  expect(body.ends_at).toBe(made.starts_at);
});

test("ended again it is as it was", async () => {
  const tenant = await Tenant.create({ type: "pay_as_you_go" });
  const { body: made } = await tenant.recurringGrant("ada", 500);
  const first = await tenant.endRecurringGrant("ada", made.recurring_grant_id);

  const second = await tenant.endRecurringGrant("ada", made.recurring_grant_id);

  expect(second.status).toBe(200);
  expect(second.headers.get("idempotent-replayed")).toBe("true");
  expect(second.body).toEqual({ ...first.body, replayed: true });
});

test("a recurring grant that the user does not have is 404, whoever else has it", async () => {
  const tenant = await Tenant.create({ type: "pay_as_you_go" });
  const stranger = await Tenant.create({ type: "pay_as_you_go" });
  const { body: grant } = await tenant.grant("ada", 10);
  const { body: bobs } = await tenant.recurringGrant("bob", 10);
  const { body: theirs } = await stranger.recurringGrant("ada", 10);

  for (
    const id of [grant.grant_id, bobs.recurring_grant_id, theirs.recurring_grant_id, "recurring_7"]
  ) {
    const { status, body } = await tenant.post<ErrorJson>(`/v1/recurring-grants/${id}/end`, {
      user_id: "ada",
    });

    expect(status).toBe(404);
    expect(body.error.code).toBe("unknown_grant");
  }
  const unknownUser = await tenant.post<ErrorJson>(
    `/v1/recurring-grants/${bobs.recurring_grant_id}/end`,
    { user_id: "nobody" },
  );
  expect([unknownUser.status, unknownUser.body.error.code]).toEqual([404, "unknown_user"]);
});

test.each([
  ["an end in the past", { ends_at: daysAgo(1) }, /^ends_at .* is not after starts_at$/],
  [
    "an end at the start",
    { starts_at: "2090-01-01T00:00:00Z", ends_at: "2090-01-01T00:00:00Z" },
    /^ends_at .* is not after starts_at$/,
  ],
  [
    "a start 1001 times ago",
    { every: "1 day", starts_at: daysAgo(1001.5) },
    /^starts_at .* lies more than 1000 times in the past$/,
  ],
])("%s is refused, and creates no user", async (_, more, message) => {
  const tenant = await Tenant.create({ quota: 1 });

  const { status, body } = await tenant.post<ErrorJson>("/v1/recurring-grants", {
    ...{ user_id: "ada", tokens: 1, grant_type: "bonus", every: "1 week" },
    ...more,
  });

  expect(status).toBe(400);
  expect(body.error).toMatchObject({
    code: "invalid_request",
    message: expect.stringMatching(message),
  });
  expect((await tenant.balance("ada")).status).toBe(404);
});

test("repeated after its end it is still answered as at first", async () => {
  const tenant = await Tenant.create({ type: "pay_as_you_go" });
  const request = { starts_at: daysAgo(15), ends_at: daysAgo(7), request_id: "r1" };
  const first = await tenant.recurringGrant("ada", 500, request);

  const second = await tenant.recurringGrant("ada", 500, request);

  expect(second.body).toEqual({ ...first.body, replayed: true });
  expect((await tenant.balance("ada")).body.grants_left).toBe(1000);
});

test("an unknown tag, or an unknown user of a project without a default plan, is a mistake", async () => {
  const tenant = await Tenant.create({ quota: 1 });
  const without = await Tenant.create();
  const request = { user_id: "ada", tokens: 1, grant_type: "bonus", every: "1 week" };

  const tag = await tenant.post<ErrorJson>("/v1/recurring-grants", { ...request, tags: ["GPT-9"] });
  const user = await without.post<ErrorJson>("/v1/recurring-grants", request);

  expect([tag.status, tag.body.error.code]).toEqual([400, "unknown_tag"]);
  expect([user.status, user.body.error.code]).toEqual([404, "unknown_user"]);
});
