import { describe, expect, test } from "vitest";
import { useDatabase } from "../support/database.ts";
import { type Change, type PaymentStatus, Project, type User } from "../support/project.ts";
import { Random, seed } from "../support/random.ts";

const { sql } = useDatabase();

const start = "2026-04-01T00:00:00Z";
const middle = "2026-04-16T00:00:00Z";
const end = "2026-05-01T00:00:00Z";
const justBefore = (instant: string) => new Date(Date.parse(instant) - 1).toISOString();

/** A user with a quota of 1000 from April 1st on, of which 400 are used. */
async function userWithQuota(graceDays = 0) {
  const project = await Project.create(sql, "UTC", { graceDays });
  await project.plan({ quota: 2000 }, "pro");
  await project.plan({ quota: 1000 }, "free");
  const user = await project.user("ada", {
    billingAnchor: start,
    createdAt: "2026-01-01T00:00:00Z",
  });
  await user.consume(400, { at: "2026-04-10T00:00:00Z" });
  return { project, user };
}

const left = async (user: User, at: string) => (await user.balance(at)).quota_left;

interface State {
  name: string;
  change: Change;
  graceDays?: number;
  /** null: from the change on, or never. */
  closesAt: string | null;
  isOpen: boolean;
}

const states: State[] = [
  { name: "active", change: { paymentStatus: "active" }, isOpen: true, closesAt: null },
  {
    name: "active with an end that does not concern it",
    change: { paymentStatus: "active", quotaOpenUntil: start },
    isOpen: true,
    closesAt: null,
  },
  {
    name: "trial without an end",
    change: { paymentStatus: "trial" },
    isOpen: true,
    closesAt: null,
  },
  {
    name: "trial with an end",
    change: { paymentStatus: "trial", quotaOpenUntil: "2026-04-20T12:00:00Z" },
    isOpen: true,
    closesAt: "2026-04-20T12:00:00Z",
  },
  {
    name: "trial that has ended",
    change: { paymentStatus: "trial", quotaOpenUntil: middle },
    isOpen: false,
    closesAt: null,
  },
  {
    name: "past_due without grace",
    change: { paymentStatus: "past_due" },
    isOpen: false,
    closesAt: null,
  },
  {
    name: "past_due with a grace of 7 days",
    change: { paymentStatus: "past_due" },
    graceDays: 7,
    isOpen: true,
    closesAt: "2026-04-23T00:00:00Z",
  },
  {
    name: "past_due with an end of its own",
    change: { paymentStatus: "past_due", quotaOpenUntil: "2026-04-18T00:00:00Z" },
    graceDays: 7,
    isOpen: true,
    closesAt: "2026-04-18T00:00:00Z",
  },
  {
    name: "paused",
    change: { paymentStatus: "paused" },
    graceDays: 7,
    isOpen: false,
    closesAt: null,
  },
  {
    name: "paused with an end that does not concern it",
    change: { paymentStatus: "paused", quotaOpenUntil: end },
    isOpen: false,
    closesAt: null,
  },
  {
    name: "canceled now",
    change: { paymentStatus: "canceled" },
    graceDays: 7,
    isOpen: false,
    closesAt: null,
  },
  {
    name: "canceled at the end of the period",
    change: { paymentStatus: "canceled", when: "period_end" },
    isOpen: true,
    closesAt: end,
  },
  {
    name: "canceled with an end of its own",
    change: { paymentStatus: "canceled", quotaOpenUntil: "2026-06-10T00:00:00Z" },
    isOpen: true,
    closesAt: "2026-06-10T00:00:00Z",
  },
];

describe.each(states)("$name", ({ change, graceDays, isOpen, closesAt }) => {
  const status = change.paymentStatus!;

  test(`${isOpen ? "opens" : "closes"} the quota${closesAt ? ` until ${closesAt}` : ""}`, async () => {
    const { user } = await userWithQuota(graceDays);
    expect(await user.change({ ...change, at: middle })).toMatchObject({
      payment_status: status,
      quota_left: isOpen ? 600 : 0,
    });
    expect(await user.balance(middle)).toMatchObject({
      payment_status: status,
      quota_amount: 1000,
      quota_used: 400,
      quota_left: isOpen ? 600 : 0,
    });
    if (closesAt) {
      const last = justBefore(closesAt);
      const quotaLeft = last < end ? 600 : 1000;
      expect(await user.balance(last)).toMatchObject({
        quota_open_until: new Date(closesAt),
        quota_left: quotaLeft,
      });
      // Nobody does anything.
      expect(await left(user, closesAt)).toBe(0);
      expect(await user.consume(1, { at: last })).toMatchObject({ success: true });
      expect(await user.consume(1, { at: closesAt })).toMatchObject({ success: false });
    } else {
      expect(await left(user, "2036-04-16T00:00:00Z")).toBe(isOpen ? 1000 : 0);
    }
  });

  test("grants can be spent", async () => {
    const { user } = await userWithQuota(graceDays);
    await user.grant(500, { at: middle });
    await user.change({ ...change, at: middle });
    const at = closesAt ?? "2026-04-17T00:00:00Z";
    expect(await user.hold(100, { at })).toMatchObject({ success: true });
    expect(await user.consume(400, { at })).toMatchObject({ success: true });
  });

  if (!isOpen || closesAt) {
    const at = closesAt ?? middle;
    const atHand = at < end ? 600 : 1000;

    test("a call that only the quota could pay is denied for the payment", async () => {
      const { user } = await userWithQuota(graceDays);
      await user.grant(50, { at: middle });
      await user.change({ ...change, at: middle });
      expect(await user.consume(atHand + 50, { at })).toMatchObject({
        success: false,
        reason: "payment_inactive",
        message: `Not enough tokens: ${atHand + 50} requested, and base quota is closed while ` +
          `payment is ${status}`,
        hint: "Set payment_status to active once the user has paid, or grant what is lacking " +
          `(${atHand}).`,
        shortfall: atHand,
        retry_at: null,
      });
    });

    test("a call that payment would not help is denied for the tokens", async () => {
      const { user } = await userWithQuota(graceDays);
      await user.grant(50, { at: middle });
      await user.change({ ...change, at: middle });
      expect(await user.consume(atHand + 51, { at })).toMatchObject({
        reason: "insufficient_tokens",
        message: `Not enough tokens: ${atHand + 51} requested, 50 left`,
        hint: `Grant what is lacking (${atHand + 1}).`,
        retry_at: null,
      });
    });

    test("payment opens it again, with what it had left", async () => {
      const { user } = await userWithQuota(graceDays);
      await user.change({ ...change, at: middle });
      expect(await left(user, at)).toBe(0);
      expect(await user.change({ paymentStatus: "active", at })).toMatchObject({
        payment_status: "active",
        quota_open_until: null,
        quota_left: atHand,
      });
      expect(await left(user, "2036-04-16T00:00:00Z")).toBe(1000);
    });
  }
});

describe("a cancelation at the end of the period never opens for longer", () => {
  test.each<[string, Change, string | null]>([
    ["active", { paymentStatus: "active" }, end],
    ["active with an old end", { paymentStatus: "active", quotaOpenUntil: start }, end],
    ["trial without an end", { paymentStatus: "trial" }, end],
    [
      "trial that ends before",
      { paymentStatus: "trial", quotaOpenUntil: "2026-04-20T00:00:00Z" },
      "2026-04-20T00:00:00Z",
    ],
    [
      "trial that ends after",
      { paymentStatus: "trial", quotaOpenUntil: "2026-05-20T00:00:00Z" },
      end,
    ],
    ["trial that has ended", { paymentStatus: "trial", quotaOpenUntil: start }, null],
    [
      "past_due in its grace",
      { paymentStatus: "past_due", quotaOpenUntil: "2026-04-20T00:00:00Z" },
      "2026-04-20T00:00:00Z",
    ],
    ["past_due", { paymentStatus: "past_due" }, null],
    ["paused", { paymentStatus: "paused", quotaOpenUntil: end }, null],
    ["canceled", { paymentStatus: "canceled" }, null],
  ])("%s", async (_, before, until) => {
    const { user } = await userWithQuota();
    await user.change({ ...before, at: middle });
    expect(await user.change({ paymentStatus: "canceled", when: "period_end", at: middle }))
      .toMatchObject({ quota_left: until ? 600 : 0 });
    if (until) expect(await left(user, justBefore(until))).toBe(600);
    expect(await left(user, until ?? middle)).toBe(0);
    expect(await left(user, end)).toBe(0);
  });
});

test("an end that is given with a cancelation at the end of the period is what counts", async () => {
  const { user } = await userWithQuota();
  await user.change({
    paymentStatus: "canceled",
    when: "period_end",
    quotaOpenUntil: "2026-05-10T00:00:00Z",
    at: middle,
  });
  expect(await left(user, "2026-05-09T23:59:59Z")).toBe(1000);
  expect(await left(user, "2026-05-10T00:00:00Z")).toBe(0);
});

test("a cancelation and a plan may wait together", async () => {
  const { user } = await userWithQuota();
  expect(
    await user.change({ plan: "pro", paymentStatus: "canceled", when: "period_end", at: middle }),
  ).toMatchObject({ plan: "free", next_plan: "pro", quota_open_until: new Date(end) });
  expect(await user.balance(end)).toMatchObject({
    plan: "pro",
    quota_amount: 2000,
    quota_left: 0,
  });
  await user.change({ paymentStatus: "active", at: end });
  expect(await left(user, end)).toBe(2000);
});

test("a cancelation is taken back before the period ends as if it had not been", async () => {
  const { user } = await userWithQuota();
  await user.change({ paymentStatus: "canceled", when: "period_end", at: middle });
  await user.change({ paymentStatus: "active", at: "2026-04-20T00:00:00Z" });
  expect(await left(user, "2026-04-20T00:00:00Z")).toBe(600);
  expect(await left(user, end)).toBe(1000);
});

test("a trial that ends with the period closes the next plan's quota as well", async () => {
  const { user } = await userWithQuota();
  await user.change({ paymentStatus: "trial", quotaOpenUntil: end, at: middle });
  await user.change({ plan: "pro", when: "period_end", at: middle });
  expect(await user.balance(end)).toMatchObject({ plan: "pro", quota_amount: 2000, quota_left: 0 });
  expect(await user.consume(2000, { at: end })).toMatchObject({ reason: "payment_inactive" });
});

describe("grace", () => {
  test("runs from the first failure: telling once more does not extend it", async () => {
    const { user } = await userWithQuota(7);
    await user.change({ paymentStatus: "past_due", at: middle });
    expect(await user.change({ paymentStatus: "past_due", at: "2026-04-20T00:00:00Z" }))
      .toMatchObject({ quota_open_until: new Date("2026-04-23T00:00:00Z") });
  });

  test("is given anew after a payment", async () => {
    const { user } = await userWithQuota(7);
    await user.change({ paymentStatus: "past_due", at: middle });
    await user.change({ paymentStatus: "active", at: "2026-04-20T00:00:00Z" });
    expect(await user.change({ paymentStatus: "past_due", at: "2026-04-21T00:00:00Z" }))
      .toMatchObject({ quota_open_until: new Date("2026-04-28T00:00:00Z") });
  });

  test("that was given does not change with the project's", async () => {
    const { project, user } = await userWithQuota(7);
    await user.change({ paymentStatus: "past_due", at: middle });
    await sql`update projects set grace_days = 0 where id = ${project.id}`;
    expect(await left(user, "2026-04-22T23:59:59Z")).toBe(600);
    expect(await left(user, "2026-04-23T00:00:00Z")).toBe(0);
  });

  test("replaces what a trial had left", async () => {
    const { user } = await userWithQuota(7);
    await user.change({ paymentStatus: "trial", quotaOpenUntil: end, at: middle });
    expect(await user.change({ paymentStatus: "past_due", at: middle }))
      .toMatchObject({ quota_open_until: new Date("2026-04-23T00:00:00Z") });
  });

  test.each([0, 7])("of %i days by hand", async (graceDays) => {
    const { user } = await userWithQuota(graceDays);
    await sql`update tracked_users set payment_status = 'past_due' where id = ${user.id!}`;

    const [row] = await sql<{ quota_open_until: Date | null; created_at: Date; grace: string }[]>`
      select u.quota_open_until, t.created_at, (u.quota_open_until - t.created_at)::text as grace
      from tracked_users u
      join token_transfers t on t.user_id = u.id and t.transaction_type = 'account_change'
      where u.id = ${user.id!}`;
    if (graceDays === 0) {
      expect(row!.quota_open_until).toBeNull();
      expect(await user.consume(1)).toMatchObject({ reason: "payment_inactive" });
    } else {
      expect(row!.grace).toBe("7 days");
      const until = row!.quota_open_until!.toISOString();
      expect(await left(user, justBefore(until))).toBe(1000);
      expect(await left(user, new Date(Date.parse(until) + 1).toISOString())).toBe(0);
    }
  });

  test("by hand gives way to an end that is given by hand, and ends with the payment", async () => {
    const { user } = await userWithQuota(7);
    await sql`update tracked_users
      set payment_status = 'past_due', quota_open_until = '2031-05-01T00:00:00Z'
      where id = ${user.id!}`;
    expect(await user.balance()).toMatchObject({ quota_open_until: new Date("2031-05-01Z") });
    await sql`update tracked_users set payment_status = 'active' where id = ${user.id!}`;
    expect(await user.balance()).toMatchObject({ quota_open_until: null, quota_left: 1000 });
  });
});

describe("what is promised", () => {
  /** Nothing of the quota is left, and the payment is as said. */
  async function userWithout(change: Change) {
    const { user } = await userWithQuota();
    await user.consume(600, { at: middle });
    await user.change({ ...change, at: middle });
    return user;
  }

  test.each<[string, Change, string | null]>([
    ["active", { paymentStatus: "active" }, end],
    ["a trial without an end", { paymentStatus: "trial" }, end],
    [
      "a trial past the period",
      { paymentStatus: "trial", quotaOpenUntil: "2026-05-01T00:00:01Z" },
      end,
    ],
    ["a trial that ends with the period", { paymentStatus: "trial", quotaOpenUntil: end }, null],
    [
      "a trial that ends before",
      { paymentStatus: "trial", quotaOpenUntil: "2026-04-20T00:00:00Z" },
      null,
    ],
    ["past_due past the period", {
      paymentStatus: "past_due",
      quotaOpenUntil: "2026-05-02T00:00:00Z",
    }, end],
    ["past_due", { paymentStatus: "past_due" }, null],
    ["paused", { paymentStatus: "paused" }, null],
    ["canceled at the period's end", { paymentStatus: "canceled", when: "period_end" }, null],
    ["another plan at the period's end", { plan: "pro", when: "period_end" }, null],
  ])("%s", async (_, change, retryAt) => {
    const user = await userWithout(change);
    expect(await user.consume(1, { at: middle })).toMatchObject({
      reason: "insufficient_tokens",
      retry_at: retryAt && new Date(retryAt),
      hint: `Grant what is lacking (1)${retryAt ? ", or call again at retry_at" : ""}.`,
    });
  });

  test.each<[string, string | null]>([
    ["2026-04-16T01:00:01Z", "2026-04-16T01:00:00Z"],
    ["2026-04-16T01:00:00Z", null],
  ])("a hold's tokens of a quota that closes at %s", async (quotaOpenUntil, retryAt) => {
    const { user } = await userWithQuota();
    await user.hold(600, { at: middle, ttl: 3600 });
    await user.change({ paymentStatus: "trial", quotaOpenUntil, at: middle });
    expect(await user.consume(600, { at: middle }))
      .toMatchObject({ retry_at: retryAt && new Date(retryAt) });
  });

  test("a grant that takes effect while the quota is closed", async () => {
    const user = await userWithout({ paymentStatus: "paused" });
    await user.grant(10, { at: middle, effectiveAt: "2026-04-20T00:00:00Z" });
    expect(await user.consume(10, { at: middle })).toMatchObject({
      reason: "insufficient_tokens",
      retry_at: new Date("2026-04-20T00:00:00Z"),
    });
  });

  test(`is kept, if nothing else happens (TOLLGATE_SEED=${seed})`, async () => {
    const random = new Random();
    const instant = () =>
      new Date(Date.parse(middle) + random.integer(0, 30 * 86_400) * 1000).toISOString();
    let promises = 0;
    for (let n = 0; n < 60; n++) {
      const { user } = await userWithQuota(random.pick([0, 7, 20]));
      await user.consume(random.integer(1, 600), { at: middle, mode: "up_to" });
      for (let holds = random.integer(0, 2); holds > 0; holds--) {
        await user.hold(random.integer(1, 300), { at: middle, ttl: random.integer(1, 86_400) });
      }
      if (random.integer(0, 1)) {
        await user.grant(random.integer(1, 500), { at: middle, effectiveAt: instant() });
      }
      const status = random.pick<PaymentStatus>([
        "trial",
        "active",
        "past_due",
        "paused",
        "canceled",
      ]);
      await user.change({
        paymentStatus: status,
        ...(random.integer(0, 2) > 0 && { quotaOpenUntil: instant() }),
        ...(status === "canceled" && random.integer(0, 1) && { when: "period_end" as const }),
        at: middle,
      });
      if (random.integer(0, 3) === 0) {
        await user.change({ plan: "pro", when: "period_end", at: middle });
      }
      const tokens = random.integer(1, 1300);
      const { retry_at, success } = await user.check(tokens, { at: middle });
      if (success || !retry_at) continue;
      promises++;
      expect(await user.check(tokens, { at: justBefore(retry_at.toISOString()) }))
        .toMatchObject({ success: false });
      expect(await user.check(tokens, { at: retry_at.toISOString() }))
        .toMatchObject({ success: true });
    }
    expect(promises).toBeGreaterThan(5);
  });
});

describe("rollover", () => {
  /** A user whose quota rolls over; periods are looked at since now, so calls are in the future. */
  async function userWithRollover() {
    const project = await Project.create(sql);
    await project.plan({ quota: 1000, rollover: { maxTokens: 300, periods: 1 } });
    return project.user("ada", { billingAnchor: start });
  }

  test("carries nothing over of a period at whose end the quota was closed", async () => {
    const user = await userWithRollover();
    await user.change({ paymentStatus: "paused", at: "2031-04-16T00:00:00Z" });
    await user.change({ paymentStatus: "active", at: "2031-05-02T00:00:00Z" });
    expect(await user.balance("2031-05-03T00:00:00Z")).toMatchObject({ grants_left: 0 });
    expect(await user.balance("2031-06-03T00:00:00Z")).toMatchObject({ grants_left: 300 });
  });

  test("goes on after a cancelation that was taken back", async () => {
    const user = await userWithRollover();
    await user.change({
      paymentStatus: "canceled",
      when: "period_end",
      at: "2031-04-16T00:00:00Z",
    });
    await user.change({ paymentStatus: "active", at: "2031-04-20T00:00:00Z" });
    expect(await user.balance("2031-05-03T00:00:00Z")).toMatchObject({ grants_left: 300 });
  });
});
