import { describe, expect, test } from "vitest";
import { useDatabase } from "../support/database.ts";
import { type Change, type PlanOptions, Project, type User } from "../support/project.ts";

const { sql } = useDatabase();

// April 2026 has 30 days, and the user's periods begin with it: 16 April is the middle.
const april = (day: number, time = "00:00:00") =>
  `2026-04-${String(day).padStart(2, "0")}T${time}Z`;
const start = april(1);
const middle = april(16);
const lastSecond = april(30, "23:59:59");
const end = "2026-05-01T00:00:00Z";

const small = { quota: 1000 };
const large = { quota: 3000 };
const payAsYouGo = { type: "pay_as_you_go" as const };
const daily = { quota: 100, period: "1 day" as const };
const calendar = { quota: 3000, countedFrom: "calendar" as const };

/** A user on the first plan, the others by name: plan 1, plan 2, ... */
async function userOf(plans: PlanOptions[], billingAnchor = start) {
  const project = await Project.create(sql);
  for (const [index, plan] of plans.entries()) await project.plan(plan, `plan ${index}`);
  const [first] = await sql<{ id: string }[]>`
    select id from plans where project_id = ${project.id} and name = 'plan 0'`;
  return project.user("ada", {
    planId: first!.id,
    billingAnchor,
    createdAt: "2026-01-01T00:00:00Z",
  });
}

/** To plan 1, unless said otherwise. */
const change = (user: User, quotaPolicy: Change["quotaPolicy"], at: string, plan = 1) =>
  user.change({ plan: `plan ${plan}`, ...(quotaPolicy && { quotaPolicy }), at });

interface Case {
  name: string;
  from: PlanOptions;
  to: PlanOptions;
  at: string;
  billingAnchor?: string;
  /** [instant, tokens], before the change. */
  used?: [string, number][];
  keep: number;
  prorate: number;
  reset: number;
  resetsAt?: string;
}

const cases: Case[] = [
  {
    name: "an upgrade at the first instant of the period",
    from: small,
    to: large,
    at: start,
    keep: 3000,
    prorate: 3000, // 1000 left - 1000 + 3000
    reset: 3000,
  },
  {
    name: "a downgrade at the first instant of the period",
    from: large,
    to: small,
    at: start,
    keep: 1000,
    prorate: 1000, // 3000 left - 3000 + 1000
    reset: 1000,
  },
  {
    name: "an upgrade in the middle",
    from: small,
    to: large,
    at: middle,
    used: [[april(10), 400]],
    keep: 2600, // 3000 - 400
    prorate: 1600, // 600 left - 500 + 1500
    reset: 3000,
  },
  {
    name: "a downgrade in the middle",
    from: large,
    to: small,
    at: middle,
    used: [[april(10), 400]],
    keep: 600, // 1000 - 400
    prorate: 1600, // 2600 left - 1500 + 500
    reset: 1000,
  },
  {
    name: "a downgrade after more was used than the new plan has",
    from: large,
    to: small,
    at: middle,
    used: [[april(10), 1200]],
    keep: 0, // 1000 - 1200
    prorate: 800, // 1800 left - 1500 + 500
    reset: 1000,
  },
  {
    name: "a downgrade after all was used",
    from: large,
    to: small,
    at: middle,
    used: [[april(10), 3000]],
    keep: 0, // 1000 - 3000
    prorate: 0, // nothing left - 1500 + 500
    reset: 1000,
  },
  {
    name: "an upgrade in the last second",
    from: small,
    to: large,
    at: lastSecond,
    used: [[april(10), 400]],
    keep: 2600,
    prorate: 600, // 600 left + 2000 / 2592000 seconds, rounded down
    reset: 3000,
  },
  {
    name: "a downgrade in the last second",
    from: large,
    to: small,
    at: lastSecond,
    used: [[april(10), 400]],
    keep: 600,
    prorate: 2599, // 2600 left - 2000 / 2592000 seconds, rounded down
    reset: 1000,
  },
  {
    name: "a share without a remainder, of amounts of very different size",
    from: { quota: 100 },
    to: { quota: 1_000_000 },
    at: april(21), // a third of the period remains
    keep: 1_000_000,
    prorate: 333_400, // 100 left + 999900 / 3
    reset: 1_000_000,
  },
  {
    name: "from pay-as-you-go",
    from: payAsYouGo,
    to: large,
    at: middle,
    keep: 3000,
    prorate: 1500,
    reset: 3000,
  },
  {
    name: "from pay-as-you-go with a quota that it ignores",
    from: { ...payAsYouGo, quota: 500 },
    to: large,
    at: middle,
    keep: 3000,
    prorate: 1500,
    reset: 3000,
  },
  {
    name: "from days to months",
    from: daily,
    to: large,
    at: april(16, "12:00:00"),
    used: [[april(10), 100], [april(16, "06:00:00"), 60]],
    keep: 2840, // 3000 - 160 since April 1st
    prorate: 1440, // 40 left - 50 for half a day + 1450 for 14.5 of 30 days
    reset: 3000,
  },
  {
    name: "from months to days",
    from: large,
    to: daily,
    at: april(16, "12:00:00"),
    used: [[april(10), 500], [april(16, "06:00:00"), 30]],
    keep: 70, // 100 - 30 of today
    prorate: 1070, // 2470 left - 1450 for 14.5 of 30 days + 50 for half a day
    reset: 100,
    resetsAt: april(17),
  },
  {
    name: "from the billing anchor's months to those of the calendar",
    from: small,
    to: calendar,
    billingAnchor: april(11), // 30 days, to 11 May
    at: middle,
    used: [[april(5), 100], [april(12), 200]],
    keep: 2700, // 3000 - 300 since April 1st
    prorate: 1466, // 800 left - 833.3 for 25 of 30 days + 1500 for 15 of 30
    reset: 3000,
  },
  {
    name: "from the calendar's months to those of the billing anchor",
    from: calendar,
    to: small,
    billingAnchor: april(11),
    at: middle,
    used: [[april(5), 100], [april(12), 200]],
    keep: 800, // 1000 - 200 since April 11th
    prorate: 2033, // 2700 left - 1500 for 15 of 30 days + 833.3 for 25 of 30
    reset: 1000,
    resetsAt: "2026-05-11T00:00:00Z",
  },
];

describe.each(cases)("$name", ({ from, to, at, billingAnchor, used = [], ...expected }) => {
  test.each(["keep", "prorate", "reset"] as const)("%s", async (policy) => {
    const user = await userOf([from, to], billingAnchor);
    for (const [at, tokens] of used) await user.consume(tokens, { at });

    expect(await change(user, policy, at)).toMatchObject({
      plan: "plan 1",
      quota_left: expected[policy],
      created_at: new Date(at),
    });
    expect(await user.balance(at)).toMatchObject({
      plan: "plan 1",
      quota_left: expected[policy],
      quota_resets_at: new Date(expected.resetsAt ?? end),
    });
    expect(await user.consume(expected[policy] + 1, { at })).toMatchObject({ success: false });
  });
});

test("keep is what is done where nothing is said", async () => {
  const user = await userOf([large, small]);
  await user.consume(400, { at: april(10) });
  expect(await change(user, undefined, middle)).toMatchObject({ quota_left: 600 });
});

test("to pay-as-you-go no quota is left, whatever the policy", async () => {
  for (const policy of ["keep", "prorate", "reset"] as const) {
    const user = await userOf([large, payAsYouGo]);
    await user.grant(5, { at: april(10) });
    expect(await change(user, policy, middle)).toMatchObject({ quota_left: 0, grants_left: 5 });
    expect(await user.balance(middle)).toMatchObject({ quota_amount: null, quota_resets_at: null });
  }
});

test("what the quota paid before pay-as-you-go counts after it", async () => {
  const user = await userOf([large, payAsYouGo, { quota: 2000 }]);
  await user.consume(1400, { at: april(5) });
  await change(user, "keep", april(10), 1);
  expect(await change(user, "keep", middle, 2)).toMatchObject({ quota_left: 600 });
});

test("what is left when a quota is given up for pay-as-you-go does not come back by prorating", async () => {
  const user = await userOf([large, payAsYouGo]);
  await user.consume(2000, { at: april(5) });
  await change(user, "keep", april(10), 1);
  // Half of 3000, but 2000 of 3000 are used.
  expect(await change(user, "prorate", middle, 0)).toMatchObject({ quota_left: 1000 });
});

test("what grants paid is not the quota's", async () => {
  const user = await userOf([small, large]);
  await user.grant(500, { at: april(5) });
  await user.consume(1300, { at: april(10) });
  expect(await change(user, "keep", middle)).toMatchObject({ quota_left: 2000, grants_left: 200 });
});

test("what was used in the period before does not count", async () => {
  const user = await userOf([small, large]);
  await user.consume(900, { at: "2026-03-31T23:59:59Z" });
  await user.consume(300, { at: april(1) });
  expect(await change(user, "keep", middle)).toMatchObject({ quota_left: 2700 });
});

test("the new plan's quota is full again when its period ends", async () => {
  for (const policy of ["keep", "prorate", "reset"] as const) {
    const user = await userOf([large, small]);
    await user.consume(3000, { at: april(10) });
    await change(user, policy, middle);
    expect(await user.balance(end)).toMatchObject({ quota_amount: 1000, quota_left: 1000 });
    expect(await user.consume(1001, { at: end })).toMatchObject({ success: false });
    expect(await user.consume(1000, { at: end })).toMatchObject({ success: true, quota_left: 0 });
  }
});

test("there and back at one instant, what was left is left", async () => {
  const user = await userOf([large, small]);
  await user.consume(1400, { at: middle });
  for (const policy of ["keep", "prorate"] as const) {
    for (const plan of [1, 0, 1, 0]) await change(user, policy, middle, plan);
    // By microseconds later: rounded down, each time.
    const { quota_left } = await user.balance(middle);
    expect(quota_left).toBeLessThanOrEqual(1600);
    expect(quota_left).toBeGreaterThanOrEqual(1596);
  }
});

test("there and back, what was used meanwhile counts", async () => {
  const user = await userOf([large, { quota: 4000 }]);
  await user.consume(1000, { at: april(5) });
  await change(user, "keep", april(10), 1);
  await user.consume(500, { at: april(11) });
  await change(user, "keep", april(12), 0);
  expect(await user.balance(april(12))).toMatchObject({ quota_left: 1500 });
});

test("a plan between two others takes nothing away that it need not", async () => {
  const user = await userOf([small, { quota: 100 }, { quota: 100 }]);
  // 1000 left - 500 + 50
  expect(await change(user, "prorate", middle, 1)).toMatchObject({ quota_left: 550 });
  // 550 left - 50 + 50, the later microsecond rounded down
  expect((await change(user, "prorate", middle, 2)).quota_left).toBeGreaterThanOrEqual(549);
});

test("a debt that a smaller plan could not take is not forgiven by a larger one", async () => {
  const user = await userOf([small, { quota: 100 }]);
  await user.consume(900, { at: april(10) });
  // 100 left - 500 + 50
  expect(await change(user, "prorate", middle, 1)).toMatchObject({ quota_left: 0 });
  // 0 - 50 + 500, but 900 of 1000 are used
  expect(await change(user, "prorate", middle, 0)).toMatchObject({ quota_left: 100 });
});

test("the shares of a day in a month are given once a day, however often plans change", async () => {
  const user = await userOf([{ quota: 300 }, daily]);
  await user.consume(300, { at: april(5) });
  const noon = april(30, "12:00:00");
  let used = 0;
  for (let n = 0; n < 6; n++) {
    const { quota_left } = await change(user, "prorate", noon, 1);
    if (quota_left > 0) used += (await user.consume(quota_left, { at: noon })).tokens_consumed;
    await change(user, "prorate", noon, 0);
  }
  expect(used).toBeLessThanOrEqual(100);
});

test("a quota that was fixed by a change does not follow the plan's until the period ends", async () => {
  const project = await Project.create(sql);
  const planId = await project.plan({ quota: 1000 }, "large");
  const small = await project.plan({ quota: 100 }, "small");
  const user = await project.user("ada", { planId: small, billingAnchor: start });
  await user.consume(60, { at: april(10) });
  await user.change({ plan: "large", at: middle });
  await sql`update plan_quotas set token_amount = 2000 where plan_id = ${planId}`;
  expect(await user.balance(middle)).toMatchObject({ quota_amount: 940, quota_left: 940 });
  expect(await user.balance(end)).toMatchObject({ quota_amount: 2000, quota_left: 2000 });
});

describe("holds that are open across a change", () => {
  /** A user of plan 0 who has used 200 of 1000, and holds 300. */
  async function userWithHold(plans: PlanOptions[]) {
    const user = await userOf(plans);
    await user.consume(200, { at: april(10) });
    const { hold_id } = await user.hold(300, { at: april(15, "23:00:00"), ttl: 86_400 });
    return { user, hold_id };
  }

  test("count as used", async () => {
    for (
      const [policy, left] of [
        ["keep", 2500], // 3000 - 200 - 300
        ["prorate", 1500], // 500 left - 500 + 1500
        ["reset", 3000],
      ] as const
    ) {
      const { user } = await userWithHold([small, large]);
      expect(await change(user, policy, middle)).toMatchObject({ quota_left: left });
      expect(await user.balance(middle)).toMatchObject({ tokens_held: 300, quota_held: 0 });
    }
  });

  test("count as used by the plan after the next as well", async () => {
    for (const policy of ["keep", "prorate"] as const) {
      const { user, hold_id } = await userWithHold([small, { quota: 100 }, small]);
      await change(user, policy, middle, 1);
      const { quota_left } = await change(user, policy, april(16, "12:00:00"), 2);
      expect(quota_left).toBeLessThanOrEqual(500);
      await user.consume(quota_left, { at: april(16, "12:00:00") });
      await user.settle(hold_id, 300, { at: april(16, "12:00:00") });
      const [used] = await sql<{ total: number }[]>`
        select sum(tokens_used)::integer as total from user_quota_usage where user_id = ${user
        .id!}`;
      expect(used!.total).toBeLessThanOrEqual(1000);
    }
  });

  test("are settled by the old plan's period, and take nothing from the new one", async () => {
    const { user, hold_id } = await userWithHold([small, large]);
    await change(user, "keep", middle);
    expect(await user.settle(hold_id, 250, { at: april(16, "01:00:00") })).toMatchObject({
      success: true,
      base_quota_used: 250,
      tokens_returned: 50,
      quota_left: 2500,
    });
    expect(
      await sql`select period_start, period_end, token_amount, is_fixed, tokens_used
        from user_quota_usage where user_id = ${user.id!} order by period_start`,
    ).toEqual([
      {
        period_start: new Date(start),
        period_end: new Date(middle),
        token_amount: 1000,
        is_fixed: false,
        tokens_used: 450,
      },
      {
        period_start: new Date(middle),
        period_end: new Date(end),
        token_amount: 2500,
        is_fixed: true,
        tokens_used: 0,
      },
    ]);
  });

  test("take what is beyond them from the new plan", async () => {
    const { user, hold_id } = await userWithHold([small, large]);
    await change(user, "keep", middle);
    expect(await user.settle(hold_id, 310, { at: april(16, "01:00:00"), allowExcess: true }))
      .toMatchObject({ base_quota_used: 310, excess_consumed: 10, quota_left: 2490 });
  });

  test("released, return to the plan that they are of: to the next only by a change", async () => {
    const { user, hold_id } = await userWithHold([small, large]);
    await change(user, "keep", middle, 1);
    expect(await user.release(hold_id, { at: middle })).toMatchObject({ quota_left: 2500 });
    expect(await change(user, "keep", middle, 0)).toMatchObject({ quota_left: 800 });
  });

  test("expired, count no more", async () => {
    const { user } = await userWithHold([small, large]);
    expect(await change(user, "keep", april(17), 1)).toMatchObject({ quota_left: 2800 });
  });

  test("of grants do not concern the quota", async () => {
    const user = await userOf([payAsYouGo, large]);
    await user.grant(500, { at: april(10) });
    await user.hold(300, { at: april(15, "23:00:00"), ttl: 86_400 });
    expect(await change(user, "keep", middle)).toMatchObject({
      quota_left: 3000,
      grants_left: 200,
    });
  });

  test("of yesterday do not count in a plan whose day is today", async () => {
    const user = await userOf([small, daily]);
    await user.hold(30, { at: april(15, "23:00:00"), ttl: 86_400 });
    await user.hold(20, { at: april(16, "00:00:00"), ttl: 86_400 });
    expect(await change(user, "keep", april(16, "01:00:00"))).toMatchObject({ quota_left: 80 });
  });
});

describe("a refund of what the old plan paid", () => {
  async function userWhoMoved() {
    const user = await userOf([small, large]);
    const { transfer_number } = await user.consume(200, { at: april(10) });
    await change(user, "keep", middle);
    return { user, consumption: transfer_number! };
  }

  test("goes to that plan's period, which is over", async () => {
    const { user, consumption } = await userWhoMoved();
    expect(await user.refund(consumption, { at: april(17) })).toMatchObject({
      base_quota_restored: 200,
      tokens_lapsed: 200,
      quota_left: 2800,
    });
    expect(
      await sql`select tokens_used from user_quota_usage
      where user_id = ${user.id!} order by period_start`,
    )
      .toEqual([{ tokens_used: 0 }, { tokens_used: 0 }]);
  });

  test("becomes a grant instead, if wanted", async () => {
    const { user, consumption } = await userWhoMoved();
    expect(await user.refund(consumption, { at: april(17), regrantLapsed: true })).toMatchObject({
      tokens_regranted: 200,
      tokens_lapsed: 0,
      quota_left: 2800,
      grants_left: 200,
    });
  });

  test("counts with the next change", async () => {
    const { user, consumption } = await userWhoMoved();
    await user.refund(consumption, { at: april(17) });
    expect(await change(user, "keep", april(18), 0)).toMatchObject({ quota_left: 1000 });
  });

  test("is of the current period where the new plan paid", async () => {
    const { user } = await userWhoMoved();
    const { transfer_number } = await user.consume(100, { at: april(17) });
    expect(await user.refund(transfer_number!, { at: april(18) }))
      .toMatchObject({ tokens_lapsed: 0, quota_left: 2800 });
  });
});

test("restrictions of the new plan count what the old plan let through", async () => {
  const user = await userOf([
    large,
    { ...large, restrictions: [{ maxTokens: 500, duration: "1 month" }] },
  ]);
  await user.consume(400, { at: april(10) });
  await change(user, "reset", middle);
  expect(await user.consume(101, { at: middle })).toMatchObject({ reason: "restriction_exceeded" });
  expect(await user.consume(100, { at: middle })).toMatchObject({ success: true });
});

test("changes at one instant, or by a clock that runs late, are booked one after the other", async () => {
  const user = await userOf([large, small]);
  await user.consume(100, { at: middle });
  for (const plan of [1, 0, 1, 0, 1]) {
    await change(user, "keep", april(2), plan);
    await user.consume(100, { at: middle });
  }
  expect(await user.balance(april(16, "00:00:01"))).toMatchObject({ quota_left: 400 });
  expect(await sql`select * from verify_ledger()`).toEqual([]);
});

test("a plan may be changed at the very instant at which its period is begun", async () => {
  const user = await userOf([{ ...daily, rollover: { maxTokens: 100, periods: 1 } }, large]);

  // What rolls over is written down first, which begins the period.
  const receipt = await change(user, "keep", april(2));

  expect(receipt).toMatchObject({ quota_left: 3000 });
  expect(await change(user, "keep", april(2, "00:00:01"), 0)).toMatchObject({ quota_left: 100 });
});
