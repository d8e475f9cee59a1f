import { describe, expect, test } from "vitest";
import { useDatabase } from "../support/database.ts";
import { type Balance, type PlanOptions, Project, type User } from "../support/project.ts";

const { sql } = useDatabase();

const april = (day: number, time = "00:00:00Z") =>
  `2026-04-${String(day).padStart(2, "0")}T${time}`;

async function userOf(plan: PlanOptions = { quota: 1000 }) {
  const project = await Project.create(sql);
  await project.plan({ quota: 5000 }, "pro");
  await project.plan(plan, "free");
  const user = await project.user("ada", {
    billingAnchor: april(1),
    createdAt: "2026-01-01T00:00:00Z",
  });
  return { project, user };
}

/** By the public function, as callers ask. */
async function asOf(user: User, at: string): Promise<Balance> {
  const [balance] = await sql<Balance[]>`
    select * from get_user_balance(${user.project.id}, ${user.externalId}, ${at})`;
  return balance!;
}

describe("the instant", () => {
  test.each([
    ["before the user's creation", "2025-12-31T23:59:59.999Z"],
    ["in the future", "2999-01-01T00:00:00Z"],
  ])("%s is refused", async (_, at) => {
    const { user } = await userOf();
    await expect(asOf(user, at)).rejects.toMatchObject({
      code: "TG001",
      hint: "Give an instant between the user's creation and now, or none for now.",
    });
  });

  test("of the user's creation is not", async () => {
    const { user } = await userOf();
    await user.consume(1, { at: april(10) });
    expect(await asOf(user, "2026-01-01T00:00:00Z")).toMatchObject({
      quota_left: 1000,
      as_of: new Date("2026-01-01T00:00:00Z"),
    });
  });

  test("of a transfer includes it, and all others of that instant", async () => {
    const { user } = await userOf();
    await user.consume(100, { at: april(10, "12:00:00.5Z") });
    await user.consume(200, { at: april(10, "12:00:00.5Z") });
    await user.grant(50, { at: april(10, "12:00:00.5Z") });
    await user.consume(1, { at: april(20) });
    const of = async (time: string) => {
      const { quota_left, grants_left } = await asOf(user, april(10, time));
      return [quota_left, grants_left];
    };
    expect(await of("12:00:00.499999Z")).toEqual([1000, 0]);
    expect(await of("12:00:00.5Z")).toEqual([700, 50]);
  });

  test("of an unknown user is nobody's", async () => {
    const { project } = await userOf();
    await expect(asOf(project.unknownUser("bob"), april(10)))
      .rejects.toMatchObject({ code: "TG004" });
  });

  test("may lie in a period or window in which nothing happened", async () => {
    const { user } = await userOf({
      quota: 1000,
      restrictions: [{ maxTokens: 500, duration: "1 day" }],
    });
    await user.consume(400, { at: "2026-02-10T00:00:00Z" });
    await user.consume(300, { at: april(10) });
    expect(await asOf(user, "2026-03-10T00:00:00Z")).toMatchObject({
      quota_left: 1000,
      quota_resets_at: new Date(april(1)),
      restrictions: [{ used: 0, resets_at: "2026-03-11T00:00:00+00:00" }],
    });
  });
});

test("windows of restrictions are those of then", async () => {
  const { user } = await userOf({
    quota: 100_000,
    restrictions: [
      { maxTokens: 5000, duration: "1 day" },
      { maxTokens: 5000, duration: "5 hours", window: "rolling" },
      { tag: "GPT-4", maxTokens: 5000, duration: "1 day" },
      { tags: ["GPT-4", "GPT-5"], maxTokens: 5000, duration: "1 week" },
      { maxTokens: 5000, duration: "1 month", startsAt: april(8, "12:00:00Z"), endsAt: april(9) },
    ],
  });
  const calls: [string, number, string?][] = [
    ["22:00:00Z", 1, "GPT-5"],
    ["23:59:59Z", 10, "GPT-4"],
  ];
  for (const [time, tokens, tag] of calls) {
    await user.consume(tokens, { at: april(7, time), ...(tag && { tag }) });
  }
  const { transfer_number } = await user.consume(100, { at: april(8, "03:00:00Z"), tag: "GPT-4" });
  await user.consume(1000, { at: april(8, "04:00:00Z") });
  await user.refund(transfer_number!, { tokens: 40, at: april(8, "13:00:00Z") });
  await user.consume(1, { at: april(20) });

  const used = async (time: string) =>
    (await asOf(user, april(8, time))).restrictions.map((limit) =>
      [limit.tags?.join(), limit.duration, limit.used].join(" ")
    ).toSorted();
  // Rolling: from the quarter of five hours ago on.
  expect(await used("03:30:00Z")).toEqual([
    " 1 day 100",
    " 5 hours 110",
    "GPT-4 1 day 100",
    "GPT-4,GPT-5 1 week 111",
  ]);
  expect(await used("05:30:00Z")).toEqual([
    " 1 day 1100",
    " 5 hours 1100",
    "GPT-4 1 day 100",
    "GPT-4,GPT-5 1 week 111",
  ]);
  // The refund counts where the tokens were counted, from when it was made.
  expect(await used("12:59:59Z")).toEqual([
    " 1 day 1100",
    " 1 month 1111",
    " 5 hours 0",
    "GPT-4 1 day 100",
    "GPT-4,GPT-5 1 week 111",
  ]);
  expect(await used("13:00:00Z")).toEqual([
    " 1 day 1060",
    " 1 month 1071",
    " 5 hours 0",
    "GPT-4 1 day 60",
    "GPT-4,GPT-5 1 week 71",
  ]);
});

describe("holds", () => {
  const heldAt = async (user: User, time: string) =>
    (await asOf(user, april(10, time))).tokens_held;

  test("that were open then are held, whatever became of them", async () => {
    const { user } = await userOf({
      quota: 1000,
      restrictions: [{ maxTokens: 500, duration: "1 day" }],
    });
    const first = await user.hold(100, { at: april(10, "01:00:00Z"), ttl: 7200 });
    const second = await user.hold(20, { at: april(10, "01:30:00Z"), ttl: 7200 });
    await user.hold(3, { at: april(10, "02:00:00Z"), ttl: 1800 });
    await user.settle(first.hold_id, 60, { at: april(10, "02:15:00Z") });
    await user.release(second.hold_id, { at: april(10, "02:45:00Z") });
    await user.consume(1, { at: april(20) });

    const held: [string, number][] = [
      ["00:59:59Z", 0],
      ["01:00:00Z", 100],
      ["01:30:00Z", 120],
      ["02:00:00Z", 123],
      ["02:15:00Z", 23],
      ["02:29:59Z", 23],
      ["02:30:00Z", 20],
      ["02:45:00Z", 0],
    ];
    for (const [time, tokens] of held) expect(await heldAt(user, time), time).toBe(tokens);
    expect(await asOf(user, april(10, "02:00:00Z"))).toMatchObject({
      quota_used: 0,
      quota_held: 123,
      quota_left: 877,
      restrictions: [{ used: 0, held: 123, left: 377 }],
    });
    expect(await asOf(user, april(10, "02:15:00Z"))).toMatchObject({
      quota_used: 60,
      quota_held: 23,
      restrictions: [{ used: 60, held: 23 }],
    });
  });

  test("that were extended are so from then on", async () => {
    const { user } = await userOf();
    const { hold_id } = await user.hold(100, { at: april(10, "01:00:00Z"), ttl: 3600 });
    await user.extend(hold_id, 7200, { at: april(10, "01:30:00Z") });
    await user.consume(1, { at: april(20) });
    expect(await heldAt(user, "03:29:59Z")).toBe(100);
    expect(await heldAt(user, "03:30:00Z")).toBe(0);

    const other = await user.hold(7, { at: april(21, "01:00:00Z"), ttl: 3600 });
    await user.consume(1, { at: april(21, "01:10:00Z") });
    await user.extend(other.hold_id, 86_400, { at: april(21, "01:30:00Z") });
    // Then nobody knew that it would last longer; it was held all the same.
    expect((await asOf(user, april(21, "01:20:00Z"))).tokens_held).toBe(7);
  });
});

describe("grants", () => {
  test("have what they had then", async () => {
    const { user } = await userOf({ type: "pay_as_you_go" });
    await user.grant(100, { at: april(2), expiresAt: april(20) });
    const { grant_id } = await user.grant(200, { at: april(4), tags: ["GPT-4"] });
    const { transfer_number } = await user.consume(130, { at: april(6), tag: "GPT-4" });
    await user.voidGrant(grant_id, { at: april(8) });
    await user.refund(transfer_number!, { tokens: 50, at: april(10) });
    await user.grant(500, { at: april(12), effectiveAt: april(14) });
    await user.consume(1, { at: april(25) });

    const left = async (day: number) => {
      const { grants, grants_left } = await asOf(user, april(day));
      return [grants.map(({ tokens_left }) => tokens_left), grants_left];
    };
    expect(await left(1)).toEqual([[], 0]);
    expect(await left(2)).toEqual([[100], 100]);
    expect(await left(4)).toEqual([[100, 200], 300]);
    expect(await left(7)).toEqual([[170], 170]);
    expect(await left(8)).toEqual([[], 0]);
    // 30 of them to the voided grant, which stays so.
    expect(await left(10)).toEqual([[20], 20]);
    expect(await left(13)).toEqual([[20, 500], 20]);
    expect(await left(14)).toEqual([[20, 500], 520]);
    expect(await left(20)).toEqual([[500], 500]);
  });

  test("that come again were there when they came, written down or not", async () => {
    const { user } = await userOf({ type: "pay_as_you_go" });
    await sql`update tracked_users set created_at = '2020-01-01Z' where id = ${user.id!}`;
    await user.recurringGrant(10, "1 year", { startsAt: "2031-01-01T00:00:00Z" });
    await user.consume(5, { at: "2033-06-01T00:00:00Z" });
    const left = async (at: string) => (await user.balance(at)).grants_left;
    expect(await left("2030-12-31T23:59:59Z")).toBe(0);
    expect(await left("2031-01-01T00:00:00Z")).toBe(10);
    expect(await left("2033-01-01T00:00:00Z")).toBe(30);
    expect(await left("2033-06-01T00:00:00Z")).toBe(25);
  });

  test("that come again were not there before somebody arranged it", async () => {
    const { user } = await userOf({ type: "pay_as_you_go" });
    await user.consume(1, { at: april(1) });
    await user.recurringGrant(10, "1 month", { startsAt: april(1) });
    // Whether or not a call has written them down since.
    expect(await asOf(user, april(10))).toMatchObject({ grants_left: 0, grants: [] });
    await user.grant(1);
    expect(await asOf(user, april(10))).toMatchObject({ grants_left: 0, grants: [] });
    const { grants_left } = await user.balance();
    expect(grants_left).toBeGreaterThanOrEqual(81);
  });
});

describe("accounts", () => {
  test("have the plan, the payment and the zone of then", async () => {
    const { user } = await userOf({ quota: 1000, countedFrom: "calendar" });
    await user.consume(100, { at: april(2) });
    await user.change({ paymentStatus: "trial", quotaOpenUntil: april(8), at: april(4) });
    await user.change({ paymentStatus: "active", timeZone: "Asia/Tokyo", at: april(10) });
    await user.change({ plan: "pro", at: april(12) });
    await user.consume(1, { at: april(25) });

    expect(await asOf(user, april(3))).toMatchObject({
      plan: "free",
      payment_status: "active",
      quota_open_until: null,
      time_zone: "UTC",
      quota_left: 900,
    });
    expect(await asOf(user, april(4))).toMatchObject({
      payment_status: "trial",
      quota_open_until: new Date(april(8)),
      quota_left: 900,
    });
    expect(await asOf(user, april(8))).toMatchObject({ payment_status: "trial", quota_left: 0 });
    expect(await asOf(user, april(11))).toMatchObject({
      plan: "free",
      payment_status: "active",
      quota_open_until: null,
      time_zone: "Asia/Tokyo",
      quota_left: 900,
    });
    expect(await asOf(user, april(12))).toMatchObject({ plan: "pro", quota_left: 4900 });
  });

  test("had a quota until its period's end, though a change of plan ended it before", async () => {
    const { user } = await userOf();
    await user.consume(100, { at: april(2) });
    await user.change({ plan: "pro", at: april(12) });
    expect(await asOf(user, april(11))).toMatchObject({
      quota_used: 100,
      quota_resets_at: new Date("2026-05-01T00:00:00Z"),
    });
  });

  test("had the period that their anchor of then gave, though it was begun after a move", async () => {
    const { user } = await userOf();
    await user.change({ billingAnchor: april(5), at: april(6) });
    await user.consume(1, { at: april(7) });
    expect(await asOf(user, april(6, "12:00:00Z")))
      .toMatchObject({ quota_resets_at: new Date("2026-05-05T00:00:00Z") });
    await user.change({ billingAnchor: april(20), at: april(21) });
    expect(await asOf(user, april(5, "12:00:00Z")))
      .toMatchObject({ quota_resets_at: new Date("2026-05-01T00:00:00Z") });
  });

  test("were to come to a plan only since it was said, and came to it then", async () => {
    const { user } = await userOf();
    await user.consume(100, { at: april(2) });
    await user.change({ plan: "pro", when: "period_end", at: april(12) });
    await user.consume(30, { at: "2026-05-10T00:00:00Z" });
    await user.change({ plan: "free", at: "2026-06-10T00:00:00Z" });

    expect(await asOf(user, april(11))).toMatchObject({ plan: "free", next_plan: null });
    expect(await asOf(user, april(12))).toMatchObject({
      plan: "free",
      next_plan: "pro",
      next_plan_at: new Date("2026-05-01T00:00:00Z"),
      quota_left: 900,
    });
    expect(await asOf(user, "2026-05-01T00:00:00Z")).toMatchObject({
      plan: "pro",
      next_plan: null,
      quota_left: 5000,
    });
    expect(await asOf(user, "2026-05-20T00:00:00Z")).toMatchObject({
      plan: "pro",
      quota_left: 4970,
    });
  });

  test("are defined as plans and restrictions are today", async () => {
    const { project, user } = await userOf();
    await user.consume(100, { at: april(2) });
    await user.consume(1, { at: april(20) });
    await sql`update plan_quotas set token_amount = 3000
      where plan_id = (select plan_id from tracked_users where id = ${user.id!})`;
    const [free] = await sql<{ plan_id: string }[]>`
      select plan_id from tracked_users where id = ${user.id!}`;
    await project.restrict(free!.plan_id, { maxTokens: 700, duration: "1 month" });
    expect(await asOf(user, april(3))).toMatchObject({
      quota_amount: 3000,
      quota_left: 2900,
      restrictions: [{ max_tokens: 700, used: 100 }],
    });
  });
});

test("what is asked of the past writes nothing", async () => {
  const { user } = await userOf();
  await user.consume(100, { at: april(2) });
  await user.consume(100, { at: april(20) });
  await asOf(user, april(3));
  expect(await sql`select last_transfer_number from user_usage where user_id = ${user.id!}`)
    .toEqual([{ last_transfer_number: 2 }]);
});
