import { describe, expect, test } from "vitest";
import { useDatabase } from "../support/database.ts";
import { type PlanOptions, Project, type User } from "../support/project.ts";

const { sql } = useDatabase();

const ANCHOR = "2031-01-01T00:00:00Z";
const JANUARY = "2031-01-20T00:00:00Z";
const FEBRUARY = "2031-02-10T00:00:00Z";
const MARCH = "2031-03-10T00:00:00Z";
const APRIL = "2031-04-10T00:00:00Z";

/** A user since January with 100 tokens a month, of which 80 roll over for 2 periods. */
async function userOf(plan: PlanOptions = {}) {
  const project = await Project.create(sql);
  const planId = await project.plan(
    { quota: 100, rollover: { maxTokens: 80, periods: 2 }, ...plan },
    "Basic",
  );
  const user = await project.user("ada", { billingAnchor: ANCHOR, createdAt: ANCHOR });
  return { project, planId, user };
}

/** What has rolled over, is in force and is left: tokens and expiry. */
async function rolledAt(user: User, at: string) {
  const { grants } = await user.balance(at);
  return grants.filter(({ grant_type }) => grant_type === "rollover")
    .map(({ tokens_left, expires_at }) => [tokens_left, expires_at!.slice(0, 10)]);
}

/** All that ever rolled over and was written down: tokens, instant, expiry. */
async function writtenOf(user: User) {
  const rows = await sql<{ token_amount: number; effective_at: Date; expires_at: Date }[]>`
    select token_amount, effective_at, expires_at from user_token_grants
    where user_id = ${user.id!} and grant_type = 'rollover' order by effective_at`;
  return rows.map(({ token_amount, effective_at, expires_at }) => [
    token_amount,
    effective_at.toISOString().slice(0, 10),
    expires_at.toISOString().slice(0, 10),
  ]);
}

const setQuota = (planId: string, change: string) =>
  sql.unsafe(`update plan_quotas set ${change} where plan_id = '${planId}'`);

describe("what a period leaves unused", () => {
  test("is a grant from its end on, until the end of the last of the periods after it", async () => {
    const { user } = await userOf();
    await user.consume(40, { at: JANUARY });

    expect(await rolledAt(user, "2031-01-31T23:59:59.999Z")).toEqual([]);
    expect(await rolledAt(user, "2031-02-01T00:00:00Z")).toEqual([[60, "2031-04-01"]]);
    expect(await user.balance(FEBRUARY)).toMatchObject({
      quota_left: 100,
      grants_left: 60,
      grants: [{ priority: 50, tags: null, effective_at: "2031-02-01T00:00:00+00:00" }],
    });
    await user.consume(110, { at: FEBRUARY });
    expect(await rolledAt(user, "2031-03-31T23:59:59.999Z")).toEqual([[50, "2031-04-01"]]);
    expect(await rolledAt(user, "2031-04-01T00:00:00Z")).toEqual([[80, "2031-06-01"]]);
  });

  test("is at most the maximum", async () => {
    const { user } = await userOf();
    await user.consume(19, { at: JANUARY });
    await user.consume(20, { at: FEBRUARY });

    expect(await rolledAt(user, MARCH)).toEqual([[80, "2031-04-01"], [80, "2031-05-01"]]);
  });

  test("is all of the quota for a period in which nothing was used", async () => {
    const { user } = await userOf({ rollover: { maxTokens: 1000, periods: 1 } });

    expect(await rolledAt(user, FEBRUARY)).toEqual([[100, "2031-03-01"]]);
    expect(await user.consume(200, { at: FEBRUARY })).toMatchObject({ grants_used: 100 });
  });

  test("is nothing where all was used, or the maximum is 0", async () => {
    const { user } = await userOf();
    await user.consume(100, { at: JANUARY });
    expect(await rolledAt(user, FEBRUARY)).toEqual([]);
    await user.consume(1, { at: FEBRUARY });
    expect(await writtenOf(user)).toEqual([]);

    const none = await userOf({ rollover: { maxTokens: 0, periods: 12 } });
    expect(await rolledAt(none.user, FEBRUARY)).toEqual([]);
  });

  test("is nothing for the periods before the user was there", async () => {
    const { user } = await userOf({ rollover: { maxTokens: 80, periods: 12 } });

    expect(await rolledAt(user, JANUARY)).toEqual([]);
    expect(await rolledAt(user, FEBRUARY)).toHaveLength(1);
  });

  test("is not carried over again: what rolled over is no quota", async () => {
    const { user } = await userOf({ rollover: { maxTokens: 1000, periods: 1 } });
    await user.consume(30, { at: JANUARY });
    await user.consume(1, { at: FEBRUARY });

    expect(await rolledAt(user, MARCH)).toEqual([[99, "2031-04-01"]]);
  });

  test("is spent after the quota, the oldest first, before what expires later", async () => {
    const { user } = await userOf();
    await user.consume(90, { at: JANUARY });
    await user.consume(95, { at: FEBRUARY });
    const later = await user.grant(50, { at: MARCH });

    expect((await user.consume(120, { at: MARCH })).sources).toMatchObject([
      { type: "quota", tokens: 100 },
      { type: "grant", tokens: 10, left: 0 },
      { type: "grant", tokens: 5, left: 0 },
      { grant_id: later.grant_id, tokens: 5, left: 45 },
    ]);
  });
});

describe("several periods in which nobody looked", () => {
  test("leave what is still in force, each once", async () => {
    const { user } = await userOf({ rollover: { maxTokens: 80, periods: 3 } });
    await user.consume(90, { at: JANUARY });

    expect(await rolledAt(user, APRIL))
      .toEqual([[10, "2031-05-01"], [80, "2031-06-01"], [80, "2031-07-01"]]);
    expect(await rolledAt(user, "2031-05-10T00:00:00Z"))
      .toEqual([[80, "2031-06-01"], [80, "2031-07-01"], [80, "2031-08-01"]]);
    await user.consume(1000, { at: "2031-05-10T00:00:00Z" });
    await user.consume(1000, { at: "2031-05-11T00:00:00Z" });
    expect(await writtenOf(user)).toEqual([
      [80, "2031-03-01", "2031-06-01"],
      [80, "2031-04-01", "2031-07-01"],
      [80, "2031-05-01", "2031-08-01"],
    ]);
  });

  test("leave the rest of one that was used in between", async () => {
    const { user } = await userOf({ rollover: { maxTokens: 100, periods: 4 } });
    await user.consume(30, { at: "2031-03-10T00:00:00Z" });
    await user.consume(1000, { at: "2031-05-10T00:00:00Z" });

    expect(await writtenOf(user)).toEqual([
      [100, "2031-02-01", "2031-06-01"],
      [100, "2031-03-01", "2031-07-01"],
      [70, "2031-04-01", "2031-08-01"],
      [100, "2031-05-01", "2031-09-01"],
    ]);
  });

  test("each snapshot shows what was left after it", async () => {
    const { user } = await userOf();
    await user.grant(7, { at: JANUARY });
    await user.consume(100, { at: APRIL });

    expect(
      await sql`select amount, quota_left, grants_left from token_transfers
        where user_id = ${user.id!} order by transfer_number`,
    ).toEqual([
      { amount: 7, quota_left: 100, grants_left: 7 },
      { amount: 80, quota_left: 100, grants_left: 87 },
      { amount: 80, quota_left: 100, grants_left: 167 },
      { amount: -100, quota_left: 0, grants_left: 167 },
    ]);
  });
});

describe("tokens that a hold has set aside when the period ends", () => {
  const end = "2031-01-31T23:55:00Z";
  const inHold = "2031-02-01T00:10:00Z";
  const after = "2031-02-01T02:00:00Z";

  /** 40 tokens used and 35 held of 100 when January ends. */
  async function userWithHold() {
    const { user } = await userOf({ rollover: { maxTokens: 1000, periods: 1 } });
    await user.consume(40, { at: JANUARY });
    const { hold_id } = await user.hold(35, { at: end, ttl: 3600 });
    return { user, holdId: hold_id };
  }

  test("do not roll over, and lapse when they are released", async () => {
    const { user, holdId } = await userWithHold();
    expect(await rolledAt(user, inHold)).toEqual([[25, "2031-03-01"]]);

    expect(await user.release(holdId, { at: inHold })).toMatchObject({
      quota_left: 100,
      grants_left: 25,
    });
    expect(await rolledAt(user, after)).toEqual([[25, "2031-03-01"]]);
  });

  test("do not roll over when the hold expires, whenever somebody looks", async () => {
    const { user } = await userWithHold();

    expect(await rolledAt(user, after)).toEqual([[25, "2031-03-01"]]);
    await user.consume(1, { at: after });
    expect(await writtenOf(user)).toEqual([[25, "2031-02-01", "2031-03-01"]]);
  });

  test("are charged to their period when they are settled later", async () => {
    const { user, holdId } = await userWithHold();

    expect(await user.settle(holdId, 30, { at: inHold })).toMatchObject({
      base_quota_used: 30,
      quota_left: 100,
      grants_left: 25,
    });
    expect(
      await sql`select period_start, tokens_used, token_amount from user_quota_usage
        where user_id = ${user.id!} order by period_start`,
    ).toMatchObject([
      { tokens_used: 70, token_amount: 100 },
      { tokens_used: 0, token_amount: 100 },
    ]);
  });

  test("do not roll over later where nothing else was left", async () => {
    const { user } = await userOf();
    await user.consume(60, { at: JANUARY });
    const released = await user.hold(15, { at: end, ttl: 3600 });
    const settled = await user.hold(25, { at: end, ttl: 3600 });
    await user.release(released.hold_id, { at: inHold });
    await user.settle(settled.hold_id, 5, { at: inHold });

    expect(await rolledAt(user, after)).toEqual([]);
    await user.consume(100, { at: after });
    await user.consume(1, { at: MARCH });
    expect(await writtenOf(user)).toEqual([]);
  });

  test("roll over where the hold had ended before", async () => {
    const { user } = await userOf();
    await user.consume(40, { at: JANUARY });
    await user.hold(20, { at: "2031-01-31T22:00:00Z", ttl: 3600 });
    const { hold_id } = await user.hold(20, { at: end });
    await user.release(hold_id, { at: end });

    expect(await rolledAt(user, inHold)).toEqual([[60, "2031-04-01"]]);
  });

  test("of a grant are no matter", async () => {
    const { user } = await userOf();
    await user.consume(100, { at: JANUARY });
    await user.grant(50, { at: JANUARY });
    await user.hold(50, { at: end, ttl: 3600 });

    expect(await rolledAt(user, inHold)).toEqual([]);
  });
});

describe("a refund to a period that has rolled over", () => {
  test("lapses", async () => {
    const { user } = await userOf();
    await user.consume(40, { at: JANUARY, requestId: "c" });

    expect(await user.refund("c", { at: FEBRUARY })).toMatchObject({
      base_quota_restored: 40,
      tokens_lapsed: 40,
      quota_left: 100,
      grants_left: 60,
    });
    expect(await rolledAt(user, FEBRUARY)).toEqual([[60, "2031-04-01"]]);
    await user.consume(1, { at: MARCH });
    expect(await writtenOf(user)).toEqual([
      [60, "2031-02-01", "2031-04-01"],
      [80, "2031-03-01", "2031-05-01"],
    ]);
  });

  test("lapses too where nothing was left of it", async () => {
    const { user } = await userOf();
    await user.consume(100, { at: JANUARY, requestId: "c" });
    await user.refund("c", { at: FEBRUARY, tokens: 70 });

    expect(await rolledAt(user, FEBRUARY)).toEqual([]);
    await user.consume(100, { at: FEBRUARY });
    expect(await writtenOf(user)).toEqual([]);
  });

  test("lapses too when a recurring grant comes due after it", async () => {
    const { user } = await userOf();
    await user.consume(100, { at: JANUARY, requestId: "c" });
    await user.recurringGrant(5, "1 week", { startsAt: "2031-02-15T00:00:00Z" });
    await user.refund("c", { at: FEBRUARY, tokens: 70 });
    await user.consume(1, { at: "2031-02-16T00:00:00Z" });

    expect(await writtenOf(user)).toEqual([]);
    expect(await user.balance("2031-02-16T00:00:00Z")).toMatchObject({ grants_left: 5 });
  });

  test("rolls over where it is made in time", async () => {
    const { user } = await userOf();
    await user.consume(100, { at: JANUARY, requestId: "c" });
    await user.refund("c", { at: "2031-01-31T23:59:59.999Z", tokens: 70 });

    expect(await rolledAt(user, FEBRUARY)).toEqual([[70, "2031-04-01"]]);
  });

  test("may make a new grant", async () => {
    const { user } = await userOf();
    await user.consume(40, { at: JANUARY, requestId: "c" });

    expect(await user.refund("c", { at: FEBRUARY, regrantLapsed: true })).toMatchObject({
      tokens_regranted: 40,
      grants_left: 100,
    });
  });
});

describe("a quota that is changed in mid-period", () => {
  test("rolls over what is left of its size when it was last drawn on", async () => {
    const { planId, user } = await userOf({ rollover: { maxTokens: 1000, periods: 1 } });
    await user.consume(40, { at: JANUARY });
    await setQuota(planId, "token_amount = 200");
    await user.consume(10, { at: "2031-01-25T00:00:00Z" });

    expect(await rolledAt(user, FEBRUARY)).toEqual([[150, "2031-03-01"]]);
    await user.consume(20, { at: FEBRUARY });
    await setQuota(planId, "token_amount = 50");
    await user.consume(10, { at: "2031-02-25T00:00:00Z" });
    expect(await rolledAt(user, MARCH)).toEqual([[20, "2031-04-01"]]);
  });

  test("rolls over no more than it leaves, though nobody draws on it any more", async () => {
    const { planId, user } = await userOf();
    await user.consume(60, { at: JANUARY });
    await setQuota(planId, "token_amount = 70");
    expect(await user.balance("2031-01-25T00:00:00Z")).toMatchObject({ quota_left: 10 });
    expect(await rolledAt(user, FEBRUARY)).toEqual([[10, "2031-04-01"]]);

    await setQuota(planId, "token_amount = 50");
    expect(await user.balance("2031-01-25T00:00:00Z")).toMatchObject({ quota_left: 0 });
    expect(await rolledAt(user, FEBRUARY)).toEqual([]);
  });

  test("to more when the period is over leaves what it has left as it is", async () => {
    const { planId, user } = await userOf({ rollover: { maxTokens: 1000, periods: 1 } });
    await user.consume(40, { at: JANUARY });
    await setQuota(planId, "token_amount = 5000");

    expect(await rolledAt(user, FEBRUARY)).toEqual([[60, "2031-03-01"]]);
  });

  test("keeps what has rolled over, whatever the maximum becomes", async () => {
    const { planId, user } = await userOf();
    await user.consume(40, { at: JANUARY });
    await user.consume(1, { at: FEBRUARY });
    await setQuota(planId, "rollover_max_tokens = 10");

    expect(await rolledAt(user, FEBRUARY)).toEqual([[60, "2031-04-01"]]);
    expect(await rolledAt(user, MARCH)).toEqual([[60, "2031-04-01"], [10, "2031-05-01"]]);
  });

  test("keeps what has rolled over when rollover is switched off", async () => {
    const { planId, user } = await userOf();
    await user.consume(40, { at: JANUARY });
    await user.consume(1, { at: FEBRUARY });
    await setQuota(planId, "rollover_max_tokens = null, rollover_periods = null");

    expect(await rolledAt(user, MARCH)).toEqual([[60, "2031-04-01"]]);
  });
});

describe("nothing rolls over", () => {
  test("of a period that ended before rollover was switched on", async () => {
    const { planId, user } = await userOf();
    await setQuota(planId, "rollover_max_tokens = null, rollover_periods = null");
    // By the real clock: the periods that it looks back on are those of the last months.
    await sql`update tracked_users set created_at = now() - interval '1 year' where id = ${user
      .id!}`;
    await setQuota(planId, "rollover_max_tokens = 80, rollover_periods = 12");

    expect(await user.balance()).toMatchObject({ grants: [] });
    await setQuota(planId, "rollover_max_tokens = 90, rollover_since = '-infinity'");
    expect(await user.balance()).toMatchObject({ grants: [] });
    expect(await rolledAt(user, FEBRUARY)).toHaveLength(12);
  });

  test("of the periods in which it was switched off", async () => {
    const { planId } = await userOf();
    await setQuota(planId, "rollover_max_tokens = null, rollover_periods = null");
    expect(await sql`select rollover_since from plan_quotas where plan_id = ${planId}`)
      .toEqual([{ rollover_since: null }]);

    await setQuota(planId, "rollover_max_tokens = 80, rollover_periods = 2");
    expect(
      await sql`select rollover_since > clock_timestamp() - interval '1 hour' as now
        from plan_quotas where plan_id = ${planId}`,
    ).toEqual([{ now: true }]);
  });

  test("of a plan that the user has left, nor of one before the user came to it", async () => {
    const { project, user } = await userOf();
    await project.plan({ quota: 500, rollover: { maxTokens: 500, periods: 3 } }, "Pro");
    await user.consume(40, { at: JANUARY });
    await user.change({ plan: "Pro", at: "2031-01-25T00:00:00Z" });

    expect(await rolledAt(user, FEBRUARY)).toEqual([[460, "2031-05-01"]]);
    await user.change({ plan: "Basic", at: "2031-02-20T00:00:00Z" });
    expect(await rolledAt(user, "2031-02-20T00:00:00Z")).toEqual([[460, "2031-05-01"]]);
    expect(await rolledAt(user, MARCH)).toEqual([[460, "2031-05-01"], [80, "2031-05-01"]]);
  });

  test("of the plan that ends with the period", async () => {
    const { project, user } = await userOf();
    await project.plan({ quota: 500, rollover: { maxTokens: 500, periods: 3 } }, "Pro");
    await user.change({ plan: "Pro", when: "period_end", at: JANUARY });

    expect(await rolledAt(user, FEBRUARY)).toEqual([]);
    expect(await rolledAt(user, MARCH)).toEqual([[500, "2031-06-01"]]);
  });

  test("while payment is paused, nor of the periods that ended meanwhile", async () => {
    const { user } = await userOf({ rollover: { maxTokens: 80, periods: 12 } });
    await user.consume(40, { at: JANUARY });
    await user.change({ paymentStatus: "paused", at: "2031-01-25T00:00:00Z" });
    expect(await rolledAt(user, FEBRUARY)).toEqual([]);

    await user.change({ paymentStatus: "active", at: "2031-03-20T00:00:00Z" });
    expect(await rolledAt(user, "2031-03-20T00:00:00Z")).toEqual([]);
    expect(await rolledAt(user, APRIL)).toEqual([[80, "2032-04-01"]]);
  });

  test("after a trial that has run out", async () => {
    const { user } = await userOf();
    await user.consume(40, { at: JANUARY });
    await user.change({
      paymentStatus: "trial",
      quotaOpenUntil: "2031-02-15T00:00:00Z",
      at: JANUARY,
    });

    expect(await rolledAt(user, FEBRUARY)).toEqual([[60, "2031-04-01"]]);
    expect(await rolledAt(user, "2031-02-15T00:00:00Z")).toEqual([]);
  });

  test("of a pay-as-you-go plan's quota", async () => {
    const { user } = await userOf({ type: "pay_as_you_go" });

    expect(await rolledAt(user, FEBRUARY)).toEqual([]);
  });
});

test("what has rolled over stays when payment is paused", async () => {
  const { user } = await userOf();
  await user.consume(40, { at: JANUARY });
  await user.change({ paymentStatus: "paused", at: FEBRUARY });

  expect(await rolledAt(user, FEBRUARY)).toEqual([[60, "2031-04-01"]]);
  expect(await user.consume(60, { at: FEBRUARY })).toMatchObject({ grants_used: 60 });
});

test("a user who comes to a plan and is changed there and back loses and doubles nothing", async () => {
  const { project, user } = await userOf();
  await project.plan({ quota: 500 }, "Pro");
  await user.consume(40, { at: "2031-02-01T00:00:00Z" });
  await user.change({ plan: "Pro", at: "2031-02-01T00:00:00Z" });
  await user.change({ plan: "Basic", at: FEBRUARY });
  await user.consume(10, { at: FEBRUARY });

  expect(await rolledAt(user, MARCH)).toEqual([[80, "2031-04-01"], [50, "2031-05-01"]]);
});

test("used and rolled over together never are more than the quota", async () => {
  const { user } = await userOf({ rollover: { maxTokens: 1000, periods: 1 } });
  await user.consume(30, { at: JANUARY, requestId: "c" });
  const settled = await user.hold(20, { at: "2031-01-31T23:59:00Z", ttl: 86_400 });
  const released = await user.hold(20, { at: "2031-01-31T23:59:00Z", ttl: 86_400 });
  await user.hold(10, { at: "2031-01-31T23:59:00Z", ttl: 600 });
  const at = "2031-02-01T01:00:00Z";
  await user.settle(settled.hold_id, 20, { at });
  await user.release(released.hold_id, { at });
  await user.refund("c", { at, tokens: 30 });

  const [sum] = await sql`
    select q.tokens_used as used, g.token_amount as rolled from user_quota_usage q
    join user_token_grants g on g.user_id = q.user_id and g.effective_at = q.period_end
    where q.user_id = ${user.id!}`;
  expect(sum).toEqual({ used: 20, rolled: 20 });
});
