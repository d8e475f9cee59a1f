import { expect, test } from "vitest";
import { untilWaiting, whileLocked } from "../support/concurrency.ts";
import { type TestSql, useDatabase } from "../support/database.ts";
import { Project, type Receipt, type User } from "../support/project.ts";

const { sql, connect } = useDatabase();
const caller = connect(1);

/** A call that waits for the user's lock while its holder makes a change and commits it. */
async function consumeAcross(
  user: User,
  tokens: number,
  change: (holder: TestSql) => Promise<unknown>,
) {
  let call: Promise<Receipt> | undefined;
  await whileLocked(sql, user, async (holder) => {
    call = user.on(caller).consume(tokens, { tag: "GPT-4" });
    await untilWaiting(sql, 1);
    await change(holder);
    await holder`commit`;
  });
  return call!;
}

async function userWithQuota(quota: number) {
  const project = await Project.create(sql);
  const planId = await project.plan({ quota });
  return { project, planId, user: await project.user("ada") };
}

test("a payment that lapses closes the quota to calls that already wait", async () => {
  const { user } = await userWithQuota(10);
  expect(
    await consumeAcross(
      user,
      5,
      (holder) =>
        holder`update tracked_users set payment_status = 'past_due' where id = ${user.id!}`,
    ),
  ).toMatchObject({ success: false, reason: "payment_inactive", quota_left: 0 });
});

test("a payment that arrives opens the quota to calls that already wait", async () => {
  const { project } = await userWithQuota(10);
  const user = await project.user("bob", { paymentStatus: "past_due" });
  expect(
    await consumeAcross(
      user,
      5,
      (holder) => holder`update tracked_users set payment_status = 'active' where id = ${user.id!}`,
    ),
  ).toMatchObject({ success: true, quota_left: 5 });
});

test("a switch to another plan counts for calls that already wait", async () => {
  const { project, user } = await userWithQuota(10);
  await user.grant(7);
  const other = await project.plan({ type: "pay_as_you_go" });
  expect(
    await consumeAcross(
      user,
      5,
      (holder) => holder`update tracked_users set plan_id = ${other} where id = ${user.id!}`,
    ),
  ).toMatchObject({ success: true, base_quota_used: 0, grants_used: 5 });
});

test("a larger quota counts for calls that already wait", async () => {
  const { planId, user } = await userWithQuota(10);
  expect(
    await consumeAcross(
      user,
      12,
      (holder) => holder`update plan_quotas set token_amount = 20 where plan_id = ${planId}`,
    ),
  ).toMatchObject({ success: true, quota_left: 8 });
});

test("a new restriction counts for calls that already wait, with what was used before it", async () => {
  const { project, planId, user } = await userWithQuota(10);
  await user.consume(4, { tag: "GPT-4" });
  expect(
    await consumeAcross(
      user,
      2,
      (holder) =>
        project.on(holder).restrict(planId, { tag: "GPT-4", maxTokens: 5, duration: "1 month" }),
    ),
  ).toMatchObject({ success: false, reason: "restriction_exceeded" });
});

test("a restriction that is lifted lets calls through that already wait", async () => {
  const { project, planId, user } = await userWithQuota(10);
  await project.restrict(planId, { tag: "GPT-4", maxTokens: 1, duration: "1 month" });
  expect(
    await consumeAcross(
      user,
      2,
      (holder) => holder`delete from plan_restrictions where plan_id = ${planId}`,
    ),
  ).toMatchObject({ success: true, nearest_limit: null });
});

test("a grant that is ended by hand pays no call that already waits", async () => {
  const { user } = await userWithQuota(0);
  await user.grant(10);
  expect(
    await consumeAcross(
      user,
      5,
      (holder) =>
        holder`update user_token_grants set expires_at = now() where user_id = ${user.id!}`,
    ),
  ).toMatchObject({ success: false, reason: "insufficient_tokens", grants_left: 0 });
});

test("a plan that changes type while calls run changes it once and for all", async () => {
  const { planId, user } = await userWithQuota(1000);
  await user.grant(1000);
  const calls = connect(8);

  const running = Array.from({ length: 100 }, () => user.on(calls).consume(1));
  await Promise.race(running);
  await sql`update plans set plan_type = 'pay_as_you_go' where id = ${planId}`;
  await Promise.all(running);
  await user.consume(1);

  const sources = await sql<{ from_quota: boolean }[]>`
    select base_quota_used = 1 as from_quota from token_transfers
    where user_id = ${user.id!} and transaction_type = 'consumption' order by transfer_number`;
  const fromQuota = sources.findIndex(({ from_quota }) => !from_quota);
  expect(fromQuota).toBeGreaterThan(0);
  expect(sources).toEqual(
    Array.from({ length: 101 }, (_, index) => ({ from_quota: index < fromQuota })),
  );
  expect(await user.balance()).toMatchObject({ grants_left: 1000 - 101 + fromQuota });
});

test("a key that is revoked while in use stops: every call before counts, none after", async () => {
  const { project, user } = await userWithQuota(1000);
  const [key] = await sql<{ id: string; api_key: string }[]>`
    select id, api_key from create_api_key(${project.id}, 'Test')`;
  const calls = connect(8);
  const call = () =>
    calls<{ success: boolean }[]>`select success from consume_with_api_key(
      sha256(convert_to(${key!.api_key}, 'UTF8')), 'ada', 1)`
      .then(([receipt]) => receipt!.success, (error: { code: string }) => error.code);

  const running = Array.from({ length: 100 }, call);
  await Promise.race(running);
  await sql`select revoke_api_key(${key!.id})`;
  const after = await Promise.all(Array.from({ length: 8 }, call));
  const answers = [...await Promise.all(running), ...after];

  expect(after).toEqual(Array(8).fill("TG002"));
  const successes = answers.filter((answer) => answer === true);
  expect(answers.filter((answer) => answer === "TG002")).toHaveLength(108 - successes.length);
  expect(successes.length).toBeGreaterThan(0);
  expect(await user.balance()).toMatchObject({ quota_used: successes.length });
});
