import { describe, expect, test } from "vitest";
import { useDatabase } from "../support/database.ts";
import { Project, type User } from "../support/project.ts";

const { sql, connect } = useDatabase();
const connection = connect(1);

const start = "2026-04-01T00:00:00+00:00";
const middle = "2026-04-16T00:00:00+00:00";
const end = "2026-05-01T00:00:00+00:00";

async function userOnFree() {
  const project = await Project.create(sql, "UTC", { graceDays: 7 });
  const ids = {
    pro: await project.plan({ quota: 1000 }, "pro"),
    free: await project.plan({ quota: 100 }, "free"),
  };
  const user = await project.user("ada", { billingAnchor: start, createdAt: "2026-01-01Z" });
  const settings = {
    plan_id: ids.free,
    plan: "free",
    plan_since: "-infinity",
    next_plan_id: null,
    next_plan: null,
    next_plan_at: null,
    payment_status: "active",
    quota_open_until: null,
    quota_open_since: "-infinity",
    billing_anchor: start,
    time_zone: null,
    changed_at: expect.any(String),
  };
  return { project, ids, user, settings };
}

interface ChangeTransfer {
  transfer_number: number;
  amount: number;
  transaction_type: string;
  request_id: string | null;
  quota_left: number;
  metadata: Record<"before" | "after", Record<string, string | null>> & {
    quota_policy: string | null;
  };
  created_at: Date;
}

const transfersOf = (user: User) =>
  sql<ChangeTransfer[]>`
    select transfer_number, amount, transaction_type, request_id, quota_left, metadata, created_at
    from token_transfers where user_id = ${user.id!} order by transfer_number`;

describe("by function", () => {
  test("a change of plan says what was before and after, and what became of the quota", async () => {
    const { user, ids, settings } = await userOnFree();
    await user.consume(30, { at: "2026-04-10T00:00:00Z" });
    await user.change({ plan: "pro", quotaPolicy: "prorate", requestId: "c-1", at: middle });

    expect((await transfersOf(user))[1]).toEqual({
      transfer_number: 2,
      amount: 0,
      transaction_type: "account_change",
      request_id: "c-1",
      quota_left: 520, // 70 left - 50 + 500
      metadata: {
        before: settings,
        after: { ...settings, plan_id: ids.pro, plan: "pro", plan_since: middle },
        quota_policy: "prorate",
      },
      created_at: new Date(middle),
    });
  });

  test("a change of all else is one transfer too, and leaves the quota alone", async () => {
    const { user, settings } = await userOnFree();
    await user.change({
      paymentStatus: "past_due",
      billingAnchor: middle,
      timeZone: "Asia/Tokyo",
      at: middle,
    });

    expect(await transfersOf(user)).toEqual([{
      transfer_number: 1,
      amount: 0,
      transaction_type: "account_change",
      request_id: null,
      quota_left: 100,
      metadata: {
        before: settings,
        after: {
          ...settings,
          payment_status: "past_due",
          quota_open_until: "2026-04-23T00:00:00+00:00",
          billing_anchor: middle,
          time_zone: "Asia/Tokyo",
        },
        quota_policy: null,
      },
      created_at: new Date(middle),
    }]);
  });

  test("what is to come is in the trail when it is said, and when it is written down", async () => {
    const { user, ids, settings } = await userOnFree();
    await user.change({ plan: "pro", when: "period_end", at: middle });
    await user.change({ timeZone: "Asia/Tokyo", at: "2026-06-01T00:00:00Z" });

    const scheduled = { ...settings, next_plan_id: ids.pro, next_plan: "pro", next_plan_at: end };
    expect((await transfersOf(user)).map(({ metadata }) => metadata)).toEqual([
      { before: settings, after: scheduled, quota_policy: null },
      {
        before: { ...settings, plan_id: ids.pro, plan: "pro", plan_since: end },
        after: {
          ...settings,
          plan_id: ids.pro,
          plan: "pro",
          plan_since: end,
          time_zone: "Asia/Tokyo",
        },
        quota_policy: null,
      },
    ]);
  });

  test("a payment that opens the quota again says since when", async () => {
    const { user } = await userOnFree();
    await user.change({ paymentStatus: "paused", at: middle });
    await user.change({ paymentStatus: "active", at: "2026-04-20T00:00:00Z" });
    const { metadata } = (await transfersOf(user))[1]!;
    expect(metadata.before["quota_open_since"]).toBe("-infinity");
    expect(metadata.after["quota_open_since"]).toBe("2026-04-20T00:00:00+00:00");
  });
});

describe("by hand", () => {
  test("an update of several columns is one transfer, which keeps what was used", async () => {
    const { user, ids, settings } = await userOnFree();
    const { created_at } = await user.consume(30);
    await sql`update tracked_users
      set plan_id = ${ids.pro}, payment_status = 'past_due', time_zone = 'Asia/Tokyo'
      where id = ${user.id!}`;

    const [, change, ...others] = await transfersOf(user) as ChangeTransfer[];
    expect(others).toEqual([]);
    const { before, after, quota_policy } = change!.metadata;
    expect(change).toMatchObject({ transfer_number: 2, amount: 0, quota_left: 970 });
    expect(quota_policy).toBe("keep");
    expect(before).toEqual(settings);
    expect(after).toMatchObject({
      plan: "pro",
      payment_status: "past_due",
      time_zone: "Asia/Tokyo",
      billing_anchor: start,
    });
    // All of it at one instant, that of the transfer, after the transfer before.
    expect(change!.created_at.getTime()).toBeGreaterThanOrEqual(created_at.getTime());
    expect(
      await sql`select u.plan_since = t.created_at as plan, u.changed_at = t.created_at as change,
          u.quota_open_until = t.created_at + interval '7 days' as grace,
          q.period_start = t.created_at as period
        from tracked_users u
        join token_transfers t on t.user_id = u.id and t.transfer_number = 2
        join user_quota_usage q on q.user_id = u.id and q.is_fixed
        where u.id = ${user.id!}`,
    ).toEqual([{ plan: true, change: true, grace: true, period: true }]);
  });

  test("an update answers what follows from it", async () => {
    const { user, ids } = await userOnFree();
    const [row] = await sql<Record<string, Date | null>[]>`
      update tracked_users set payment_status = 'past_due', plan_id = ${ids.pro}
      where id = ${user.id!} returning quota_open_until, plan_since, changed_at`;
    expect(row!["plan_since"]).toEqual(row!["changed_at"]);
    expect(row!["quota_open_until"]!.getTime() - row!["changed_at"]!.getTime())
      .toBe(7 * 86_400_000);
  });

  test.each([
    "plan_id = plan_id",
    "payment_status = 'active', billing_anchor = billing_anchor, time_zone = null",
    "plan_id = plan_id, next_plan_id = null, next_plan_at = null, quota_open_until = null",
    "auth_user_id = null",
  ])("an update that changes nothing books nothing: %s", async (assignments) => {
    const { user } = await userOnFree();
    await sql.unsafe(`update tracked_users set ${assignments} where id = '${user.id!}'`);
    expect(await transfersOf(user)).toEqual([]);
  });

  test("an update that changes nothing does not write down what is due either", async () => {
    const { user } = await userOnFree();
    await user.change({ plan: "pro", when: "period_end", at: middle });
    await sql`update tracked_users set plan_id = plan_id where id = ${user.id!}`;
    expect(await transfersOf(user)).toHaveLength(1);
    expect(await user.balance()).toMatchObject({ plan: "pro" });
  });

  test("an update that is due folds the next plan, and its own change counts beside it", async () => {
    const { user, ids, settings } = await userOnFree();
    await user.change({ plan: "pro", when: "period_end", at: middle });
    await user.consume(600, { at: "2026-05-10T00:00:00Z" });
    await sql`update tracked_users set payment_status = 'paused' where id = ${user.id!}`;

    const [, , change] = await transfersOf(user) as ChangeTransfer[];
    expect(change!.metadata).toEqual({
      before: { ...settings, plan_id: ids.pro, plan: "pro", plan_since: end },
      after: {
        ...settings,
        plan_id: ids.pro,
        plan: "pro",
        plan_since: end,
        payment_status: "paused",
      },
      quota_policy: null,
    });
    expect(
      await sql`select period_start, tokens_used from user_quota_usage
      where user_id = ${user.id!}`,
    )
      .toEqual([{ period_start: new Date(end), tokens_used: 600 }]);
  });

  test("an update of many users is a transfer of each who changed", async () => {
    const { project, ids, user } = await userOnFree();
    const others = [];
    for (let n = 0; n < 20; n++) {
      const planId = n % 4 === 0 ? ids.pro : ids.free;
      others.push(await project.user(`user ${n}`, { planId, billingAnchor: start }));
    }
    await sql`update tracked_users set plan_id = ${ids.pro} where project_id = ${project.id}`;
    expect(await transfersOf(user)).toHaveLength(1);
    for (const [n, other] of others.entries()) {
      expect(await transfersOf(other)).toHaveLength(n % 4 === 0 ? 0 : 1);
    }
  });

  test("updates of one transaction are booked one after the other, or not at all", async () => {
    const { user, ids } = await userOnFree();
    await connection`begin`;
    for (const id of [ids.pro, ids.free, ids.pro]) {
      await connection`update tracked_users set plan_id = ${id} where id = ${user.id!}`;
      await user.on(connection).consume(1);
    }
    await connection`commit`;
    await connection`begin`;
    await connection`update tracked_users set plan_id = ${ids.free} where id = ${user.id!}`;
    await connection`rollback`;

    expect((await transfersOf(user)).map((t) => [t.transfer_number, t.quota_left])).toEqual([
      [1, 1000],
      [2, 999],
      [3, 99],
      [4, 98],
      [5, 998],
      [6, 997],
    ]);
    expect(await user.balance()).toMatchObject({ plan: "pro", quota_left: 997 });
  });

  test("an update is dated after the user's last transfer, be that in the future", async () => {
    const { user, ids } = await userOnFree();
    await user.consume(30, { at: "2031-04-10T00:00:00Z" });
    await sql`update tracked_users set plan_id = ${ids.pro} where id = ${user.id!}`;
    expect((await transfersOf(user))[1]!.created_at).toEqual(new Date("2031-04-10T00:00:00Z"));
    expect(await user.balance("2031-04-10T00:00:01Z")).toMatchObject({ quota_left: 970 });
  });

  test("the user's insertion is none", async () => {
    const { user } = await userOnFree();
    expect(await transfersOf(user)).toEqual([]);
  });
});

test("transfers are numbered without gaps, by hand and by function", async () => {
  const { user, ids } = await userOnFree();
  await user.consume(1);
  await sql`update tracked_users set plan_id = ${ids.pro} where id = ${user.id!}`;
  await user.grant(5);
  await user.change({ plan: "free", paymentStatus: "paused" });
  await expect(user.change({ plan: "unknown" })).rejects.toMatchObject({ code: "TG001" });
  await expect(sql`update tracked_users set time_zone = 'UTC+5' where id = ${user.id!}`)
    .rejects.toMatchObject({ code: "TG001" });
  expect(await user.consume(50)).toMatchObject({ success: false });
  await sql`update tracked_users set payment_status = 'active' where id = ${user.id!}`;
  await user.consume(50);

  expect((await transfersOf(user)).map((t) => [t.transfer_number, t.transaction_type])).toEqual([
    [1, "consumption"],
    [2, "account_change"],
    [3, "grant"],
    [4, "account_change"],
    [5, "account_change"],
    [6, "consumption"],
  ]);
});
