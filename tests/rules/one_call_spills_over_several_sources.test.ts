import { expect, test } from "vitest";
import { useDatabase } from "../support/database.ts";
import { Project } from "../support/project.ts";

const { sql } = useDatabase();
const at = "2026-05-10T12:00:00Z";

/** A user with 100 tokens of quota, and grants of 30, 50 and 70 in the order in which they are spent. */
async function userWithSources() {
  const project = await Project.create(sql);
  await project.plan({ quota: 100 });
  const user = await project.user("ada", { billingAnchor: "2026-05-01T00:00:00Z" });
  const last = await user.grant(70, { at: "2026-05-01T00:00:00Z" });
  const second = await user.grant(50, {
    at: "2026-05-01T00:00:00Z",
    expiresAt: "2026-07-01T00:00:00Z",
  });
  const first = await user.grant(30, {
    at: "2026-05-01T00:00:00Z",
    expiresAt: "2026-06-01T00:00:00Z",
  });
  return { project, user, grants: [first.grant_id, second.grant_id, last.grant_id] as const };
}

test("each grant that pays has a row with its share", async () => {
  const { user, grants } = await userWithSources();

  await user.consume(190, { at });

  const rows = await sql`
    select user_id, transfer_number, user_token_grants_id, token_deduction, created_at
    from user_token_grants_consume where user_id = ${user.id!} order by token_deduction`;
  const common = { user_id: user.id, transfer_number: 4, created_at: new Date(at) };
  expect(rows).toEqual([
    { ...common, user_token_grants_id: grants[2], token_deduction: 10 },
    { ...common, user_token_grants_id: grants[0], token_deduction: 30 },
    { ...common, user_token_grants_id: grants[1], token_deduction: 50 },
  ]);
});

test("the quota's period has a row with what was used", async () => {
  const { project, user } = await userWithSources();

  await user.consume(40, { at });
  await user.consume(150, { at });

  const rows = await sql`
    select user_id, period_start, period_end, token_amount, tokens_used,
      quota_id = (select q.id from plan_quotas q join projects p on p.default_plan_id = q.plan_id
        where p.id = ${project.id}) as of_the_plan
    from user_quota_usage where user_id = ${user.id!}`;
  expect(rows).toEqual([{
    user_id: user.id,
    of_the_plan: true,
    period_start: new Date("2026-05-01T00:00:00Z"),
    period_end: new Date("2026-06-01T00:00:00Z"),
    token_amount: 100,
    tokens_used: 100,
  }]);
});

test("one transfer has the whole call and what was left after it", async () => {
  const { project, user } = await userWithSources();
  const tagId = await project.tagId("GPT-4");
  const [quota] = await sql<{ id: string }[]>`
    select q.id from plan_quotas q join projects p on p.default_plan_id = q.plan_id
    where p.id = ${project.id}`;

  await user.consume(190, { tag: "GPT-4", at, metadata: { chat: 7 }, requestId: "r-1" });

  const transfers = await sql`
    select * from token_transfers where user_id = ${user.id!} and transaction_type = 'consumption'`;
  expect(transfers).toEqual([{
    user_id: user.id,
    transfer_number: 4,
    amount: -190,
    transaction_type: "consumption",
    tag_id: tagId,
    user_token_grants_id: null,
    quota_id: quota!.id,
    quota_period_start: new Date("2026-05-01T00:00:00Z"),
    base_quota_used: 100,
    grants_used: 90,
    quota_left: 0,
    grants_left: 60,
    tokens_held: 0,
    refers_to: null,
    counted_at: null,
    hold_expires_at: null,
    nearest_limit: null,
    request_id: "r-1",
    request_hash: expect.anything(),
    api_key_id: null,
    metadata: { chat: 7 },
    created_at: new Date(at),
    hash: null,
  }]);
});

test("the receipt has the same figures as the transfer", async () => {
  const { user } = await userWithSources();

  expect(await user.consume(190, { at, requestId: "r-1" })).toEqual({
    success: true,
    tokens_requested: 190,
    tokens_consumed: 190,
    base_quota_used: 100,
    grants_used: 90,
    message: "Consumed 190 tokens: 100 from base quota, 90 from grants",
    reason: null,
    hint: null,
    shortfall: 0,
    retry_at: null,
    user_id: user.externalId,
    quota_left: 0,
    grants_left: 60,
    tokens_held: 0,
    sources: [
      { type: "quota", tokens: 100, left: 0 },
      { type: "grant", grant_id: expect.any(String), tokens: 30, left: 0 },
      { type: "grant", grant_id: expect.any(String), tokens: 50, left: 0 },
      { type: "grant", grant_id: expect.any(String), tokens: 10, left: 60 },
    ],
    nearest_limit: null,
    transfer_number: 4,
    request_id: "r-1",
    replayed: false,
    created_at: new Date(at),
  });
});

test("a call may take the last token of every source", async () => {
  const { user } = await userWithSources();

  expect(await user.consume(250, { at })).toMatchObject({
    success: true,
    quota_left: 0,
    grants_left: 0,
  });
  const grants = await sql`
    select token_amount, tokens_used, is_spent from user_token_grants
    where user_id = ${user.id!} order by token_amount`;
  expect(grants).toEqual([
    { token_amount: 30, tokens_used: 30, is_spent: true },
    { token_amount: 50, tokens_used: 50, is_spent: true },
    { token_amount: 70, tokens_used: 70, is_spent: true },
  ]);
});

test("a call for one token too many takes none", async () => {
  const { user } = await userWithSources();

  expect(await user.consume(251, { at })).toMatchObject({
    success: false,
    tokens_consumed: 0,
    base_quota_used: 0,
    grants_used: 0,
    message: "Not enough tokens: 251 requested, 250 left",
    quota_left: 100,
    grants_left: 150,
    transfer_number: null,
  });
});

test("a call that the quota pays alone leaves no grant rows", async () => {
  const { user } = await userWithSources();

  await user.consume(100, { at });

  expect(await sql`select from user_token_grants_consume where user_id = ${user.id!}`).toEqual([]);
});

test("a call that grants pay alone leaves no quota row", async () => {
  const { user } = await userWithSources();
  await user.change({ paymentStatus: "canceled", at });

  await user.consume(100, { at });

  expect(await sql`select from user_quota_usage where user_id = ${user.id!}`).toEqual([]);
});

test("the receipt lists the sources in the order in which they were drawn on, and what is left in each", async () => {
  const project = await Project.create(sql);
  await project.plan({ quota: 100 });
  const user = await project.user("ada");
  const last = await user.grant(70);
  const first = await user.grant(30, { expiresAt: "2999-01-01T00:00:00Z" });
  const [key] = await sql`select api_key from create_api_key(${project.id}, 'Backend')`;

  const [receipt] = await sql`
    select sources from consume_with_api_key(sha256(${key!["api_key"]}::bytea), 'ada', 150)`;

  expect(receipt!["sources"]).toEqual([
    { type: "quota", tokens: 100, left: 0 },
    { type: "grant", grant_id: first.grant_id, tokens: 30, left: 0 },
    { type: "grant", grant_id: last.grant_id, tokens: 20, left: 50 },
  ]);
});
