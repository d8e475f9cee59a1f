import { randomUUID } from "node:crypto";
import { expect, test } from "vitest";
import { service, Tenant, verifyLedgerAtEnd } from "../support/tenant.ts";

verifyLedgerAtEnd();

const ada = (tenant: Tenant) => ({ p_project_id: tenant.id, p_external_user_id: "ada" });

test("consume_tokens_v2 answers the five columns of the source document", async () => {
  const tenant = await Tenant.create({ quota: 300 });
  await tenant.grant("ada", 1000);

  const { data } = await service.rpc("consume_tokens_v2", {
    ...ada(tenant),
    p_tokens_consumed: 500,
    p_tag_id: await tenant.tagId("GPT-4"),
    p_metadata: { chat: 1 },
  }).throwOnError();

  expect(data).toEqual([{
    success: true,
    tokens_consumed: 500,
    base_quota_used: 300,
    grants_used: 200,
    message: "Consumed 500 tokens: 300 from base quota, 200 from grants",
  }]);
});

test("consume_tokens_v2 answers a denial as a row, not as an error", async () => {
  const tenant = await Tenant.create({ quota: 300 });

  const { data, error } = await service.rpc("consume_tokens_v2", {
    ...ada(tenant),
    p_tokens_consumed: 301,
  });

  expect(error).toBeNull();
  expect(data).toEqual([{
    success: false,
    tokens_consumed: 0,
    base_quota_used: 0,
    grants_used: 0,
    message: "Not enough tokens: 301 requested, 300 left",
  }]);
});

test.each([
  ["TG009", "an unknown project", { p_project_id: randomUUID() }],
  ["TG005", "an unknown tag", { p_tag_id: randomUUID() }],
  ["TG001", "no tokens", { p_tokens_consumed: 0 }],
  ["TG001", "an empty user id", { p_external_user_id: "" }],
  ["TG001", "metadata that is no object", { p_metadata: [1] }],
])("consume_tokens_v2 raises %s for %s", async (code, _, wrong) => {
  const tenant = await Tenant.create({ quota: 300 });

  const { status, error } = await service.rpc("consume_tokens_v2", {
    ...ada(tenant),
    p_tokens_consumed: 1,
    ...wrong,
  });

  expect(status).toBe(400);
  expect(error).toMatchObject({ code, message: expect.any(String), hint: expect.any(String) });
});

test("grant_tokens, get_user_balance and get_user_transfers agree with each other", async () => {
  const tenant = await Tenant.create({ quota: 300 });

  const { data: grant } = await service.rpc("grant_tokens", {
    ...ada(tenant),
    p_tokens: 1000,
    p_grant_type: "purchase",
    p_request_id: "order-7",
  }).throwOnError();
  const { data: [balance] } = await service.rpc("get_user_balance", ada(tenant)).throwOnError();
  const { data: transfers } = await service.rpc("get_user_transfers", ada(tenant)).throwOnError();

  expect(grant).toMatchObject({ tokens: 1000, grants_left: 1000, transfer_number: 1 });
  expect(balance).toMatchObject({ quota_left: 300, grants_left: 1000, tokens_left: 1300 });
  expect(transfers).toEqual([
    expect.objectContaining({
      transfer_number: 1,
      amount: 1000,
      transaction_type: "grant",
      grant_id: grant.grant_id,
      request_id: "order-7",
    }),
  ]);
});

test("void_grant, change_user and recurring grants are calls like those of the API", async () => {
  const tenant = await Tenant.create({ quota: 300 });
  await tenant.plan({ quota: 500 }, "Pro");
  const { data: grant } = await service.rpc("grant_tokens", {
    ...{ ...ada(tenant), p_tokens: 1000, p_grant_type: "purchase" },
    ...{ p_effective_at: "2026-01-01T00:00:00Z", p_priority: 10 },
    ...{ p_cost_basis: 1999, p_cost_currency: "EUR" },
  }).throwOnError();

  const { data: made } = await service.rpc("create_recurring_grant", {
    ...{ ...ada(tenant), p_tokens: 7, p_grant_type: "bonus", p_every: "1 week" },
  }).throwOnError();
  const { data: ended } = await service.rpc("end_recurring_grant", {
    ...ada(tenant),
    p_recurring_grant_id: made.recurring_grant_id!,
  }).throwOnError();
  const { data: voided } = await service.rpc("void_grant", {
    ...ada(tenant),
    p_grant_id: grant.grant_id!,
  }).throwOnError();
  const { data: changed } = await service.rpc("change_user", {
    ...{ ...ada(tenant), p_plan: "Pro", p_time_zone: "Asia/Tokyo" },
  }).throwOnError();

  expect(grant).toMatchObject({ priority: 10, cost_basis: 1999, cost_currency: "EUR" });
  expect(ended.ends_at).not.toBeNull();
  expect(voided).toMatchObject({ tokens_voided: 1000, grants_left: 7 });
  expect(changed).toMatchObject({ plan: "Pro", time_zone: "Asia/Tokyo", quota_left: 500 });
});

test("get_usage and get_user_balance look into the past", async () => {
  const tenant = await Tenant.create({ quota: 300 });
  const { body: first } = await tenant.consume("ada", 10);
  await tenant.consume("ada", 20);

  const { data: usage } = await service.rpc("get_usage", {
    p_project_id: tenant.id,
    p_from: first.created_at,
    p_step: "month",
    p_group_by: "user",
  }).throwOnError();
  const { data: [balance] } = await service.rpc("get_user_balance", {
    ...ada(tenant),
    p_as_of: first.created_at,
  }).throwOnError();

  expect(usage.reduce((sum, { tokens_used }) => sum + tokens_used, 0)).toBe(30);
  expect(usage[0]!.groups).toContainEqual(expect.objectContaining({ group: "ada" }));
  expect(balance).toMatchObject({ quota_left: 290, as_of: first.created_at });
});

test("get_user_transfers goes on where p_before says", async () => {
  const tenant = await Tenant.create({ quota: 300 });
  for (const _ of "abc") await tenant.consume("ada", 1);

  const { data } = await service.rpc("get_user_transfers", {
    ...ada(tenant),
    p_limit: 1,
    p_before: 3,
  }).throwOnError();

  expect(data.map(({ transfer_number }) => transfer_number)).toEqual([2]);
});

test("10^15 tokens come through exactly", async () => {
  const tenant = await Tenant.create({ type: "pay_as_you_go" });

  const { data: grant } = await service.rpc("grant_tokens", {
    ...ada(tenant),
    p_tokens: 999_999_999_999_999,
    p_grant_type: "purchase",
  }).throwOnError();
  await service.rpc("consume_tokens_v2", { ...ada(tenant), p_tokens_consumed: 2_147_483_647 })
    .throwOnError();

  const { data: [balance] } = await service.rpc("get_user_balance", ada(tenant)).throwOnError();
  const { data: [transfer] } = await service.rpc("get_user_transfers", ada(tenant)).throwOnError();
  expect(grant.tokens).toBe(999_999_999_999_999);
  expect(balance!.tokens_left).toBe(999_997_852_516_352);
  expect(transfer).toMatchObject({ amount: -2_147_483_647, grants_left: 999_997_852_516_352 });
});

test("a row inserted into user_token_grants is a grant like any other", async () => {
  const tenant = await Tenant.create();
  const userId = await tenant.user("ada", await tenant.plan({ type: "pay_as_you_go" }));

  await service.from("user_token_grants")
    .insert({ user_id: userId, token_amount: 500, grant_type: "refund" }).throwOnError();

  expect((await tenant.consume("ada", 200)).body).toMatchObject({
    success: true,
    grants_left: 300,
  });
});

test.each(
  [
    ["update", "token_transfers", { amount: 1 }],
    ["update", "user_token_grants", { token_amount: 1_000_000 }],
    ["update", "user_usage", { last_transfer_number: 0 }],
    ["update", "user_usage_buckets", { tokens_used: 0 }],
    ["update", "recurring_grants", { token_amount: 1_000_000 }],
  ] as const,
)("even service_role cannot %s %s", async (_, table, values) => {
  const { error } = await service.from(table).update(values).eq("user_id", randomUUID());

  expect(error?.code).toBe("42501");
});
