import { describe, expect, test } from "vitest";
import { atOnce, untilWaiting, whileLocked } from "../support/concurrency.ts";
import { useDatabase } from "../support/database.ts";
import { type AccountReceipt, Project, type Receipt, type User } from "../support/project.ts";

const { sql, connect } = useDatabase();
const crowd = connect(33);

async function userOnFree() {
  const project = await Project.create(sql, "UTC", { graceDays: 7 });
  const ids = {
    pro: await project.plan({ quota: 1000 }, "pro"),
    free: await project.plan({ quota: 400 }, "free"),
  };
  return { project, ids, user: await project.user("ada") };
}

interface Change {
  number: number;
  before: { plan: string; payment_status: string; time_zone: string | null };
  after: { plan: string; payment_status: string; time_zone: string | null };
}

const changesOf = (user: User) =>
  sql<Change[]>`
    select transfer_number as number, metadata -> 'before' as before, metadata -> 'after' as after
    from token_transfers
    where user_id = tollgate.tracked_user_id(${user.project.id}, ${user.externalId})
      and transaction_type = 'account_change'
    order by transfer_number`;

/** Base quota that was used by all plans. */
async function quotaUsed(user: User): Promise<number> {
  const [row] = await sql<{ used: number }[]>`
    select coalesce(sum(tokens_used), 0)::integer as used from user_quota_usage
    where user_id = ${user.id!}`;
  return row!.used;
}

/** Each change begins with what the one before left. */
function expectChain(changes: Change[]) {
  for (const [n, change] of changes.slice(1).entries()) {
    expect(change.before).toMatchObject({ ...changes[n]!.after, changed_at: expect.any(String) });
  }
}

test("of 32 copies of a change one is applied, and 31 answer its receipt", async () => {
  const { user } = await userOnFree();
  await user.consume(100);
  const receipts = await atOnce(
    crowd,
    32,
    (connection) =>
      user.on(connection).change({ plan: "pro", paymentStatus: "trial", requestId: "c-1" }),
  );

  const applied = receipts.filter(({ replayed }) => !replayed);
  expect(applied).toMatchObject([{ plan: "pro", quota_left: 900, transfer_number: 2 }]);
  expect(new Set(receipts.map((receipt) => JSON.stringify({ ...receipt, replayed: false }))).size)
    .toBe(1);
  expect(await changesOf(user)).toHaveLength(1);
  expect(await user.balance()).toMatchObject({ plan: "pro", quota_left: 900 });
});

test("of 32 copies of a change one creates the user", async () => {
  const { project } = await userOnFree();
  const receipts = await atOnce(
    crowd,
    32,
    (connection) =>
      project.on(connection).unknownUser("newcomer").change({ plan: "pro", requestId: "c-1" }),
  );
  expect(receipts.filter(({ replayed }) => !replayed)).toHaveLength(1);
  expect(await changesOf(project.unknownUser("newcomer"))).toHaveLength(1);
});

test("a change and consumptions may create one user at once", async () => {
  const { project } = await userOnFree();
  await atOnce(crowd, 32, async (connection, index) => {
    const user = project.on(connection).unknownUser("newcomer");
    if (index % 4) expect(await user.consume(1)).toMatchObject({ success: true });
    else await user.change({ plan: "pro" });
  });
  const newcomer = project.unknownUser("newcomer");
  expect(await changesOf(newcomer)).toHaveLength(8);
  const { plan, quota_left } = await newcomer.balance();
  expect([plan, quota_left]).toEqual(["pro", 1000 - 24]);
});

test("changes of different columns at once all stand", async () => {
  const { user, ids } = await userOnFree();
  await atOnce(crowd, 4, async (connection, index) => {
    const own = user.on(connection);
    if (index === 0) await own.change({ plan: "pro" });
    if (index === 1) await own.change({ paymentStatus: "trial" });
    if (index === 2) {
      await connection`update tracked_users set time_zone = 'Asia/Tokyo' where id = ${user.id!}`;
    }
    if (index === 3) {
      await connection`update tracked_users
      set next_plan_id = ${ids.free}, next_plan_at = '2031-01-01Z' where id = ${user.id!}`;
    }
  });

  const changes = await changesOf(user);
  expect(changes).toHaveLength(4);
  expectChain(changes);
  expect(await user.balance()).toMatchObject({
    payment_status: "trial",
    time_zone: "Asia/Tokyo",
    plan: "pro",
  });
});

test("a storm of changes by function and by hand never deadlocks, and none is lost", async () => {
  const { user, ids } = await userOnFree();
  await atOnce(crowd, 16, async (connection, index) => {
    const own = user.on(connection);
    for (let n = 0; n < 4; n++) {
      const plan = (index + n) % 2 ? "pro" : "free";
      if (index % 2) await own.change({ plan, timeZone: n % 2 ? "Asia/Tokyo" : "" });
      else {
        await connection`update tracked_users
          set plan_id = ${ids[plan]}, payment_status = ${n % 2 ? "active" : "trial"}
          where id = ${user.id!}`;
      }
    }
  });

  const changes = await changesOf(user);
  // By hand, what is so already is no change.
  expect(changes.length).toBeGreaterThanOrEqual(32);
  expect(changes.map(({ number }) => number)).toEqual(changes.map((_, n) => n + 1));
  expectChain(changes);
  expect(await user.balance()).toMatchObject({ plan: changes.at(-1)!.after.plan });
});

test("changes amid a storm of consumptions, holds and refunds: no quota is given twice", async () => {
  const { user } = await userOnFree();
  const consumed = await atOnce(crowd, 32, async (connection, index) => {
    const own = user.on(connection);
    let tokens = 0;
    for (let n = 0; n < 4; n++) {
      if (index % 8 === 0) await own.change({ plan: n % 2 ? "free" : "pro" });
      else if (index % 8 === 1) {
        const { hold_id } = await own.hold(20);
        if (hold_id) tokens += (await own.settle(hold_id, 15)).tokens_consumed;
      } else tokens += (await own.consume(20, { mode: "up_to" })).tokens_consumed;
    }
    return tokens;
  });

  const total = consumed.reduce((sum, tokens) => sum + tokens, 0);
  expect(await quotaUsed(user)).toBe(total);
  expect(total).toBeLessThanOrEqual(1000);
  expect(await changesOf(user)).toHaveLength(16);
});

describe("in turn", () => {
  test("a change counts what a call used for which it waited", async () => {
    const { user } = await userOnFree();
    let change: Promise<AccountReceipt> | undefined;
    await whileLocked(sql, user, async (holder) => {
      change = user.on(crowd).change({ plan: "pro" });
      await untilWaiting(sql, 1);
      await user.on(holder).consume(400);
      await holder`commit`;
    });
    expect(await change).toMatchObject({ plan: "pro", quota_left: 600 });
  });

  test("a call is decided by the plan for whose change it waited", async () => {
    const { user } = await userOnFree();
    let call: Promise<Receipt> | undefined;
    await whileLocked(sql, user, async (holder) => {
      call = user.on(crowd).consume(700);
      await untilWaiting(sql, 1);
      await user.on(holder).change({ plan: "pro" });
      await holder`commit`;
    });
    expect(await call).toMatchObject({ success: true, quota_left: 300 });
  });
});

describe("by hand, while the user's lock is held by a call", () => {
  test("the update waits, counts what the call used, and is dated after it", async () => {
    const { user, ids } = await userOnFree();
    let update: Promise<unknown> | undefined;
    await whileLocked(sql, user, async (holder) => {
      update = crowd`update tracked_users set plan_id = ${ids.pro} where id = ${user.id!}`
        .execute();
      await untilWaiting(sql, 1);
      await user.on(holder).consume(300);
      await holder`commit`;
    });
    await update;
    expect(await user.balance()).toMatchObject({ plan: "pro", quota_left: 700 });
    expect(
      await sql`select u.plan_since = c.created_at and c.created_at > p.created_at as after_the_call
        from tracked_users u
        join token_transfers c on c.user_id = u.id and c.transaction_type = 'account_change'
        join token_transfers p on p.user_id = u.id and p.transaction_type = 'consumption'
        where u.id = ${user.id!}`,
    ).toEqual([{ after_the_call: true }]);
  });

  test("a plan that comes due while the update waits is folded once", async () => {
    const { user, ids } = await userOnFree();
    const [{ due }] = await sql<
      [{ due: Date }]
    >`select clock_timestamp() + interval '300 ms' as due`;
    await sql`update tracked_users set next_plan_id = ${ids.pro}, next_plan_at = ${due}
      where id = ${user.id!}`;
    let update: Promise<unknown> | undefined;
    await whileLocked(sql, user, async (holder) => {
      update = crowd`update tracked_users set time_zone = 'Asia/Tokyo' where id = ${user.id!}`
        .execute();
      await untilWaiting(sql, 1);
      let isDue = false;
      while (!isDue) {
        const [row] = await holder<{ is_due: boolean }[]>`
          select clock_timestamp() > ${due} as is_due`;
        isDue = row!.is_due;
      }
    });
    await update;
    expect(
      await sql`select plan_id, plan_since, next_plan_id, time_zone from tracked_users
        where id = ${user.id!}`,
    ).toEqual([{ plan_id: ids.pro, plan_since: due, next_plan_id: null, time_zone: "Asia/Tokyo" }]);
    expect(await sql`select * from user_quota_usage where user_id = ${user.id!}`).toEqual([]);
  });
});

test("a change by function waits for one by hand, without a deadlock", async () => {
  const { user, ids } = await userOnFree();
  const owner = connect(1);
  await owner`begin`;
  await owner`update tracked_users set payment_status = 'trial' where id = ${user.id!}`;
  const change: Promise<AccountReceipt> = user.on(crowd).change({ timeZone: "Asia/Tokyo" });
  await untilWaiting(sql, 1);
  // The function holds nothing that the owner needs to go on.
  await owner`update tracked_users set plan_id = ${ids.pro} where id = ${user.id!}`;
  await user.on(owner).consume(1);
  await owner`commit`;

  expect(await change).toMatchObject({
    plan: "pro",
    payment_status: "trial",
    time_zone: "Asia/Tokyo",
    quota_left: 999,
  });
});

test("users changed by hand in another order than a batch takes them: one of the two is ended, and can be repeated", async () => {
  const { project, ids } = await userOnFree();
  const [first, second] = [await project.user("one"), await project.user("two")]
    .toSorted((a, b) => a.id! < b.id! ? -1 : 1) as [User, User];
  const items = [first, second].map((user) => ({ user_id: user.externalId, tokens_to_consume: 1 }));
  const owner = connect(1);
  const move = async (users: User[]) => {
    await owner`begin`;
    for (const user of users) {
      await owner`update tracked_users set plan_id = ${ids.pro} where id = ${user.id!}`;
    }
  };
  const codeOf = (error: { code: string }) => error.code;

  await move([second]);
  const batch = project.on(crowd).consumeBatch(items).then(() => "done", codeOf);
  await untilWaiting(sql, 1);
  const update = owner`update tracked_users set plan_id = ${ids.pro} where id = ${first.id!}`
    .then(() => "done", codeOf);
  const updated = await update;
  await (updated === "done" ? owner`commit` : owner`rollback`);
  expect([updated, await batch].toSorted()).toEqual(["40P01", "done"]);

  if (updated === "done") await project.consumeBatch(items);
  else {
    await move([second, first]);
    await owner`commit`;
  }
  for (const user of [first, second]) {
    expect(await user.balance()).toMatchObject({ plan: "pro", quota_left: 999 });
    expect(await changesOf(user)).toHaveLength(1);
  }
});
