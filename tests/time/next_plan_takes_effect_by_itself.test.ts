import { describe, expect, test } from "vitest";
import { useDatabase } from "../support/database.ts";
import { type Period, type PlanOptions, Project, type User } from "../support/project.ts";

const { sql } = useDatabase();

const start = "2026-04-01T00:00:00Z";
const middle = "2026-04-16T00:00:00Z";
const justBefore = "2026-04-30T23:59:59.999Z";
const end = "2026-05-01T00:00:00Z";

const free: PlanOptions = { quota: 100 };
const pro: PlanOptions = { quota: 1000, restrictions: [{ maxTokens: 700, duration: "1 day" }] };

/** A user on the first of some plans: free, with a month from the first on, unless said otherwise. */
async function userOf(plans: Record<string, PlanOptions> = { free, pro }) {
  const project = await Project.create(sql);
  const ids: Record<string, string> = {};
  for (const [name, plan] of Object.entries(plans)) ids[name] = await project.plan(plan, name);
  const user = await project.user("ada", {
    planId: Object.values(ids)[0]!,
    billingAnchor: start,
    createdAt: "2026-01-01T00:00:00Z",
  });
  return { project, ids, user };
}

const rowOf = async (user: User) => {
  const [row] = await sql<Record<string, unknown>[]>`
    select p.name as plan, n.name as next_plan, u.next_plan_at, u.plan_since
    from tracked_users u join plans p on p.id = u.plan_id left join plans n on n.id = u.next_plan_id
    where u.id = ${user.id!}`;
  return row!;
};

test("nothing changes before the period's end", async () => {
  const { user } = await userOf();
  await user.consume(30, { at: middle });

  expect(await user.change({ plan: "pro", when: "period_end", at: middle })).toMatchObject({
    plan: "free",
    next_plan: "pro",
    next_plan_at: new Date(end),
    quota_left: 70,
  });
  expect(await user.balance(justBefore)).toMatchObject({
    plan: "free",
    next_plan: "pro",
    next_plan_at: new Date(end),
    quota_amount: 100,
    quota_left: 70,
    restrictions: [],
  });
  // What the next plan gives is its own affair: no instant is promised.
  expect(await user.consume(71, { at: justBefore })).toMatchObject({
    reason: "insufficient_tokens",
    retry_at: null,
  });
  expect(await user.consume(70, { at: justBefore })).toMatchObject({ quota_left: 0 });
});

test("at that very instant the user is on the next plan, with its full quota and restrictions", async () => {
  const { user } = await userOf();
  await user.consume(100, { at: middle });
  await user.change({ plan: "pro", when: "period_end", at: middle });

  expect(await user.balance(end)).toMatchObject({
    plan: "pro",
    next_plan: null,
    next_plan_at: null,
    quota_amount: 1000,
    quota_used: 0,
    quota_left: 1000,
    quota_resets_at: new Date("2026-06-01T00:00:00Z"),
    restrictions: [{ max_tokens: 700, used: 0 }],
  });
  expect(await user.check(701, { at: end })).toMatchObject({ reason: "restriction_exceeded" });
  expect(await user.hold(200, { at: end })).toMatchObject({ success: true, quota_left: 800 });
  expect(await user.consume(500, { at: end })).toMatchObject({ success: true, quota_left: 300 });
  expect(await user.project.consumeBatch([{ user_id: "ada", tokens_to_consume: 1 }], { at: end }))
    .toMatchObject([{ reason: "restriction_exceeded" }]);
});

test("nobody has to look, for months", async () => {
  const { user } = await userOf();
  await user.change({ plan: "pro", when: "period_end", at: middle });

  expect(await user.balance("2026-09-15T00:00:00Z")).toMatchObject({
    plan: "pro",
    quota_left: 1000,
    quota_resets_at: new Date("2026-10-01T00:00:00Z"),
  });
  expect(await user.consume(600, { at: "2026-09-15T00:00:00Z" })).toMatchObject({
    quota_left: 400,
  });
  expect(
    await sql`select transaction_type, created_at from token_transfers
    where user_id = ${user.id!} order by transfer_number`,
  ).toEqual([
    { transaction_type: "account_change", created_at: new Date(middle) },
    { transaction_type: "consumption", created_at: new Date("2026-09-15T00:00:00Z") },
  ]);
});

test.each<[Period, string]>([
  ["1 hour", "2026-04-16T01:00:00Z"],
  ["1 day", "2026-04-17T00:00:00Z"],
  ["1 week", "2026-04-22T00:00:00Z"],
  ["2 weeks", "2026-04-29T00:00:00Z"],
  ["3 months", "2026-07-01T00:00:00Z"],
  ["6 months", "2026-10-01T00:00:00Z"],
  ["1 year", "2027-04-01T00:00:00Z"],
])("a period of %s ends at %s", async (period, endsAt) => {
  const { user } = await userOf({ free: { quota: 100, period }, pro });
  expect(await user.change({ plan: "pro", when: "period_end", at: middle }))
    .toMatchObject({ next_plan_at: new Date(endsAt) });
});

test("a period that began before the anchor was moved ends where it was to end", async () => {
  const { user } = await userOf();
  await user.consume(1, { at: middle });
  await user.change({ billingAnchor: "2026-04-10T00:00:00Z", at: middle });
  expect(await user.change({ plan: "pro", when: "period_end", at: middle }))
    .toMatchObject({ next_plan_at: new Date(end) });
});

test("restrictions of the next plan count what the current window has used already", async () => {
  const { user } = await userOf({
    free: { quota: 5000 },
    pro: {
      quota: 5000,
      restrictions: [{ maxTokens: 700, duration: "1 month", window: "calendar" }],
    },
  });
  await user.change({ billingAnchor: "2026-04-20T00:00:00Z", at: start });
  await user.consume(600, { at: "2026-04-19T00:00:00Z" });
  await user.change({ plan: "pro", when: "period_end", at: "2026-04-19T00:00:00Z" });
  expect(await user.consume(101, { at: "2026-04-20T00:00:00Z" }))
    .toMatchObject({ reason: "restriction_exceeded" });
  expect(await user.consume(100, { at: "2026-04-20T00:00:00Z" })).toMatchObject({ success: true });
});

test("to pay-as-you-go the quota ends with its period", async () => {
  const { user } = await userOf({ free, flex: { type: "pay_as_you_go" } });
  await user.grant(50, { at: middle });
  await user.change({ plan: "flex", when: "period_end", at: middle });
  expect(await user.consume(120, { at: justBefore })).toMatchObject({ grants_used: 20 });
  expect(await user.balance(end)).toMatchObject({ quota_amount: null, tokens_left: 30 });
});

test("a plan without a quota has no period that ends", async () => {
  const { user } = await userOf({ flex: { type: "pay_as_you_go", quota: 10 }, pro });
  for (const change of [{ plan: "pro" }, { paymentStatus: "canceled" as const }]) {
    await expect(user.change({ ...change, when: "period_end", at: middle })).rejects.toMatchObject({
      code: "TG001",
      message: "The plan 'flex' has no base quota, and so no period that ends",
      hint: "Make the change now.",
    });
  }
});

describe("before it takes effect", () => {
  async function userWithNextPlan() {
    const { user, ...rest } = await userOf({ free, pro, team: { quota: 5000 } });
    await user.consume(30, { at: middle });
    await user.change({ plan: "pro", when: "period_end", at: middle });
    return { user, ...rest };
  }

  test("another one replaces it", async () => {
    const { user } = await userWithNextPlan();
    await user.change({ plan: "team", when: "period_end", at: "2026-04-20T00:00:00Z" });
    expect(await user.balance(end)).toMatchObject({ plan: "team", quota_left: 5000 });
  });

  test("a change now takes it back", async () => {
    const { user } = await userWithNextPlan();
    expect(await user.change({ plan: "team", at: "2026-04-20T00:00:00Z" }))
      .toMatchObject({ plan: "team", next_plan: null, next_plan_at: null, quota_left: 4970 });
    expect(await user.balance(end)).toMatchObject({ plan: "team" });
  });

  test.each(["now", "period_end"] as const)(
    "the plan that the user is on, given for %s, takes it back, and leaves the quota alone",
    async (when) => {
      const { user } = await userWithNextPlan();
      expect(await user.change({ plan: "free", when, at: "2026-04-20T00:00:00Z" }))
        .toMatchObject({ plan: "free", next_plan: null, quota_left: 70 });
      expect(await user.balance(end)).toMatchObject({ plan: "free", quota_left: 100 });
    },
  );

  test("other changes leave it alone", async () => {
    const { user } = await userWithNextPlan();
    await user.change({ paymentStatus: "paused", at: "2026-04-20T00:00:00Z" });
    await user.change({ timeZone: "Asia/Tokyo", at: "2026-04-20T00:00:00Z" });
    expect(await user.change({ paymentStatus: "active", at: "2026-04-21T00:00:00Z" }))
      .toMatchObject({ next_plan: "pro", next_plan_at: new Date(end) });
  });

  test("its plan cannot be deleted", async () => {
    const { ids } = await userWithNextPlan();
    await expect(sql`delete from plans where id = ${ids["pro"]!}`)
      .rejects.toMatchObject({ code: "23503", constraint_name: "next_plan_belongs_to_project" });
  });
});

describe("after it took effect, with nothing written since", () => {
  async function userOnNextPlan() {
    const { user, ...rest } = await userOf({ free, pro, team: { quota: 5000 } });
    await user.change({ plan: "pro", when: "period_end", at: middle });
    return { user, ...rest };
  }

  test("a change starts from the next plan, and counts what it has used", async () => {
    const { user } = await userOnNextPlan();
    await user.consume(600, { at: "2026-05-10T00:00:00Z" });
    expect(await user.change({ plan: "team", at: "2026-05-16T00:00:00Z" }))
      .toMatchObject({ plan: "team", quota_left: 4400 });
    expect(await rowOf(user)).toEqual({
      plan: "team",
      next_plan: null,
      next_plan_at: null,
      plan_since: new Date("2026-05-16T00:00:00Z"),
    });
  });

  test("a change of something else writes it down", async () => {
    const { user } = await userOnNextPlan();
    await user.change({ timeZone: "Asia/Tokyo", at: "2026-05-16T00:00:00Z" });
    expect(await rowOf(user)).toEqual({
      plan: "pro",
      next_plan: null,
      next_plan_at: null,
      plan_since: new Date(end),
    });
  });

  test("a change back is a change like any other", async () => {
    const { user } = await userOnNextPlan();
    await user.consume(60, { at: "2026-05-10T00:00:00Z" });
    expect(await user.change({ plan: "free", at: "2026-05-16T00:00:00Z" }))
      .toMatchObject({ plan: "free", quota_left: 40 });
  });

  test("the next change at the end of a period is of the next plan's period", async () => {
    const { user } = await userOnNextPlan();
    await user.consume(60, { at: "2026-05-10T00:00:00Z" });
    expect(await user.change({ plan: "team", when: "period_end", at: "2026-05-16T00:00:00Z" }))
      .toMatchObject({ plan: "pro", next_plan: "team", next_plan_at: new Date("2026-06-01Z") });
    expect(await user.balance("2026-06-01T00:00:00Z")).toMatchObject({ plan: "team" });
  });

  test("a change by hand of something else writes it down", async () => {
    const { user } = await userOnNextPlan();
    await sql`update tracked_users set time_zone = 'Asia/Tokyo' where id = ${user.id!}`;
    expect(await rowOf(user)).toEqual({
      plan: "pro",
      next_plan: null,
      next_plan_at: null,
      plan_since: new Date(end),
    });
  });

  test("a change by hand of what is to come does not bring the old plan back", async () => {
    const { user, ids } = await userOnNextPlan();
    await user.consume(600, { at: "2026-05-10T00:00:00Z" });
    await sql`update tracked_users
      set next_plan_id = ${ids["team"]!}, next_plan_at = '2031-05-01T00:00:00Z'
      where id = ${user.id!}`;
    expect(await rowOf(user)).toEqual({
      plan: "pro",
      next_plan: "team",
      next_plan_at: new Date("2031-05-01T00:00:00Z"),
      plan_since: new Date(end),
    });
    await sql`update tracked_users set next_plan_id = null, next_plan_at = null
      where id = ${user.id!}`;
    expect(await user.balance("2031-05-01T00:00:00Z")).toMatchObject({ plan: "pro" });
  });

  test("a change by hand to the plan that is due is none", async () => {
    const { user, ids } = await userOnNextPlan();
    await sql`update tracked_users set plan_id = ${ids["pro"]!} where id = ${user.id!}`;
    expect(await rowOf(user)).toEqual({
      plan: "pro",
      next_plan: null,
      next_plan_at: null,
      plan_since: new Date(end),
    });
    expect(await sql`select count(*)::integer from user_quota_usage where user_id = ${user.id!}`)
      .toEqual([{ count: 0 }]);
  });
});

describe("by hand", () => {
  // Edits by hand are dated now, so that the user's calls are in the future.
  const nextPlanAt = "2031-05-15T12:34:56.789Z";

  async function userEdited() {
    const { user, ids, project } = await userOf();
    await sql`update tracked_users set next_plan_id = ${ids["pro"]!}, next_plan_at = ${nextPlanAt}
      where id = ${user.id!}`;
    return { user, ids, project };
  }

  test("any instant will do", async () => {
    const { user } = await userEdited();
    expect(await user.balance("2031-05-15T12:34:56.788Z")).toMatchObject({
      plan: "free",
      next_plan: "pro",
      next_plan_at: new Date(nextPlanAt),
      quota_left: 100,
    });
    expect(await user.balance(nextPlanAt)).toMatchObject({
      plan: "pro",
      quota_left: 1000,
      quota_resets_at: new Date("2031-06-01T00:00:00Z"),
    });
    expect(await user.consume(600, { at: nextPlanAt })).toMatchObject({ quota_left: 400 });
  });

  test("in mid-period, it ends the old plan's period only if the user comes back", async () => {
    const { user } = await userEdited();
    await user.consume(60, { at: "2031-05-10T00:00:00Z" });
    await user.consume(30, { at: "2031-05-20T00:00:00Z" });
    expect(await user.change({ plan: "free", at: "2031-05-25T00:00:00Z" }))
      .toMatchObject({ plan: "free", quota_left: 10 });
    expect(await user.balance("2031-05-12T00:00:00Z")).toMatchObject({
      plan: "free",
      quota_left: 40,
      quota_resets_at: new Date("2031-06-01T00:00:00Z"),
    });
  });

  test("it is taken back", async () => {
    const { user } = await userEdited();
    await sql`update tracked_users set next_plan_id = null, next_plan_at = null
      where id = ${user.id!}`;
    expect(await user.balance(nextPlanAt)).toMatchObject({ plan: "free" });
  });

  test("a user may be inserted with it", async () => {
    const { project, ids } = await userOf();
    await sql`insert into tracked_users
        (project_id, external_id, plan_id, next_plan_id, next_plan_at, billing_anchor)
      values (${project.id}, 'bob', ${ids["free"]!}, ${ids["pro"]!}, ${nextPlanAt}, ${start})`;
    const user = project.unknownUser("bob");
    expect(await user.balance("2031-05-15T12:34:56.788Z")).toMatchObject({ plan: "free" });
    expect(await user.balance(nextPlanAt)).toMatchObject({ plan: "pro" });
  });

  test("an instant that has passed is refused", async () => {
    const { user, ids } = await userOf();
    await expect(sql`update tracked_users
      set next_plan_id = ${ids["pro"]!}, next_plan_at = '2026-01-01T00:00:00Z'
      where id = ${user.id!}`).rejects.toMatchObject({
      code: "TG001",
      message: "next_plan_at 2026-01-01 00:00:00+00 is not in the future",
      hint: "Set plan_id for a change of plan now.",
    });
  });

  test.each([
    ["a plan without an instant", "next_plan_at = null", "next_plan_has_an_instant"],
    ["an instant without a plan", "next_plan_id = null", "next_plan_has_an_instant"],
  ])("%s is refused", async (_, assignment, constraint_name) => {
    const { user } = await userEdited();
    await expect(sql.unsafe(`update tracked_users set ${assignment} where id = '${user.id!}'`))
      .rejects.toMatchObject({ code: "23514", constraint_name });
  });

  test.each([
    ["next_plan_at", "infinity"],
    ["next_plan_at", "-infinity"],
    ["billing_anchor", "-infinity"],
    ["quota_open_until", "infinity"],
    ["quota_open_until", "10000-01-01 UTC"],
    ["billing_anchor", "10000-01-01Z"],
    ["billing_anchor", "0001-12-31Z BC"],
  ])("%s must be an instant: %s is refused", async (column, value) => {
    const { user, project } = await userEdited();
    const refused = {
      code: "TG001",
      message:
        "next_plan_at, billing_anchor and quota_open_until must be instants of the years 1 to 9999",
    };
    await expect(
      sql.unsafe(`update tracked_users set ${column} = '${value}' where id = '${user.id!}'`),
    ).rejects.toMatchObject(refused);
    await expect(sql.unsafe(`insert into tracked_users (project_id, external_id, ${column})
      values ('${project.id}', 'bob', '${value}')`)).rejects.toMatchObject(refused);
  });

  test("another project's plan is refused", async () => {
    const { user } = await userOf();
    const foreign = await (await Project.create(sql)).plan(free);
    await expect(sql`update tracked_users
      set next_plan_id = ${foreign}, next_plan_at = ${nextPlanAt} where id = ${user.id!}`)
      .rejects.toMatchObject({ code: "23503", constraint_name: "next_plan_belongs_to_project" });
  });
});

describe("of rollover", () => {
  const rolling: PlanOptions = { quota: 1000, rollover: { maxTokens: 300, periods: 3 } };

  /** Created now: rollover looks at periods since. */
  async function userOnFree() {
    const project = await Project.create(sql);
    const ids = {
      free: await project.plan(free, "free"),
      pro: await project.plan(rolling, "pro"),
    };
    const user = await project.user("ada", { planId: ids.free, billingAnchor: start });
    return { user, ids };
  }

  test("the next plan carries over what is left of its own periods only", async () => {
    const { user } = await userOnFree();
    await user.change({ plan: "pro", when: "period_end", at: "2031-04-16T00:00:00Z" });
    expect(await user.balance("2031-05-16T00:00:00Z")).toMatchObject({ grants_left: 0 });
    expect(await user.balance("2031-06-16T00:00:00Z")).toMatchObject({ grants_left: 300 });
  });

  test("a plan carries nothing over of the time before it was chosen", async () => {
    const { user } = await userOnFree();
    await user.change({ plan: "pro", at: "2031-04-16T00:00:00Z" });
    expect(await user.balance("2031-04-20T00:00:00Z")).toMatchObject({ grants_left: 0 });
    expect(await user.balance("2031-05-16T00:00:00Z")).toMatchObject({ grants_left: 300 });
  });

  test("nor of the time before it was chosen by hand", async () => {
    const { user, ids } = await userOnFree();
    await sql`update tracked_users set plan_id = ${ids.pro} where id = ${user.id!}`;
    const { quota_resets_at } = await user.balance();
    expect(await user.balance(quota_resets_at!.toISOString())).toMatchObject({ grants_left: 300 });
  });
});

test("an owner's own next_plan_at takes effect in mid-period too, for a user in full swing", async () => {
  const { user, ids } = await userOf({ free, small: { quota: 10 } });
  await user.consume(30, { at: middle });
  await sql`update tracked_users set next_plan_id = ${ids["small"]!}, next_plan_at = '2126-04-17Z'
    where id = ${user.id!}`;

  expect(await user.consume(20, { at: "2126-04-16T23:59:59Z" })).toMatchObject({ quota_left: 80 });
  expect(await user.consume(10, { at: "2126-04-16T23:59:59Z" })).toMatchObject({ quota_left: 70 });
  expect(await user.consume(11, { at: "2126-04-17T00:00:00Z" })).toMatchObject({
    success: false,
    quota_left: 10,
  });
});
