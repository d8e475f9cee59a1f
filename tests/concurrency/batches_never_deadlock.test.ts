import { expect, test } from "vitest";
import { atOnce } from "../support/concurrency.ts";
import { type TestSql, useDatabase } from "../support/database.ts";
import { type BatchItem, Project } from "../support/project.ts";
import { Random, seed } from "../support/random.ts";

const { sql, connect } = useDatabase();
const crowd = connect(17);

const names = (count: number, prefix: string) =>
  Array.from({ length: count }, (_, n) => `${prefix} ${n}`);

const itemsOf = (users: string[], tokens: number, more: Partial<BatchItem> = {}) =>
  users.map((user_id): BatchItem => ({ user_id, tokens_to_consume: tokens, ...more }));

/** What the ledger says that each user of a project has consumed. */
async function consumed(project: Project) {
  const rows = await sql<{ name: string; tokens: number }[]>`
    select u.external_id as name, (- sum(t.amount))::bigint as tokens
    from tracked_users u join token_transfers t on t.user_id = u.id
    where u.project_id = ${project.id} and t.transaction_type = 'consumption'
    group by u.external_id`;
  return Object.fromEntries(rows.map(({ name, tokens }) => [name, tokens]));
}

/** Sends one batch on each connection at once; every item of every batch must be applied. */
async function sendAtOnce(project: Project, batches: BatchItem[][]) {
  const answers = await atOnce(crowd, batches.length, async (connection, index) => {
    // Half find users in the order of the index, half in that of the table: no plan may matter.
    await connection`
      select set_config('enable_indexscan', ${index % 4 < 2 ? "on" : "off"}, false),
        set_config('enable_bitmapscan', ${index % 4 < 2 ? "off" : "on"}, false)`;
    return project.on(connection).consumeBatch(batches[index]!);
  });
  expect(answers.flat().filter(({ success }) => !success)).toEqual([]);
}

test("sixteen batches over the same fifty users, in opposite orders, never deadlock", async () => {
  const project = await Project.create(sql);
  await project.plan({ quota: 1_000_000 });
  const users = names(50, "user");
  for (const name of users.filter((_, n) => n % 2)) await project.user(name);

  for (let round = 1; round <= 5; round++) {
    await sendAtOnce(
      project,
      Array.from(
        { length: 16 },
        (_, index) => itemsOf(index % 2 ? users : users.toReversed(), index + 1),
      ),
    );
    expect(await consumed(project)).toEqual(
      Object.fromEntries(users.map((name) => [name, round * 136])),
    );
  }
});

test(`batches over some of the same users, known and new, in any order, never deadlock (TOLLGATE_SEED=${seed})`, async () => {
  const random = new Random();
  const some = (users: string[], count: number) => {
    const left = [...users];
    return Array.from(
      { length: count },
      () => left.splice(random.integer(0, left.length - 1), 1)[0]!,
    );
  };
  const project = await Project.create(sql);
  await project.plan({ quota: 1_000_000 });
  const known = names(50, "known");
  for (const name of known) await project.user(name);
  const totals: Record<string, number> = {};

  for (let round = 0; round < 10; round++) {
    // Who waits for a new user has locked no known one: every other round is without.
    const users = round % 2 ? known : [...known.slice(25), ...names(25, `new in round ${round}`)];
    const batches = Array.from(
      { length: 16 },
      () => itemsOf(some(users, random.integer(2, 50)), random.integer(1, 9)),
    );
    await sendAtOnce(project, batches);
    for (const { user_id, tokens_to_consume } of batches.flat()) {
      totals[user_id] = (totals[user_id] ?? 0) + tokens_to_consume;
    }
  }

  expect(await consumed(project)).toEqual(totals);
});

test("batches, single calls, holds and grants at once, over the same users: exact totals", async () => {
  const project = await Project.create(sql);
  await project.plan({ quota: 1000 });
  const users = names(20, "user");
  for (const name of users.filter((_, n) => n % 2)) await project.user(name);

  await atOnce(crowd, 16, async (connection, index) => {
    const own = project.on(connection);
    const order = index % 8 < 4 ? users : users.toReversed();
    if (index % 4 === 0) {
      for (let n = 0; n < 3; n++) await own.consumeBatch(itemsOf(order, 5));
      return;
    }
    for (const name of order) {
      const user = own.unknownUser(name);
      if (index % 4 === 1) await user.consume(3);
      else if (index % 4 === 2) await user.grant(10);
      else await user.settle((await user.hold(9)).hold_id, 2);
    }
  });

  const spent = 4 * (3 * 5 + 3 + 2);
  expect(await consumed(project)).toEqual(Object.fromEntries(users.map((name) => [name, spent])));
  for (const name of users) {
    expect(await project.unknownUser(name).balance())
      .toMatchObject({ quota_used: spent, grants_left: 40, tokens_held: 0 });
  }
});

test("first use of forty users by sixteen batches at once makes each of them once", async () => {
  const project = await Project.create(sql);
  await project.plan({ quota: 1000 });
  const users = names(40, "newcomer");

  await sendAtOnce(
    project,
    Array.from(
      { length: 16 },
      (_, index) => itemsOf([...users.slice(index), ...users.slice(0, index)], 3),
    ),
  );

  expect(await consumed(project)).toEqual(Object.fromEntries(users.map((name) => [name, 48])));
  // Their first transfer makes them and begins their first quota period, all at one instant.
  expect(
    await sql`
      select u.external_id
      from tracked_users u
      left join token_transfers t on t.user_id = u.id and t.transfer_number = 1
      left join user_quota_usage q on q.user_id = u.id
      where u.project_id = ${project.id} and (
        u.created_at is distinct from t.created_at
        or u.billing_anchor is distinct from t.created_at
        or q.period_start is distinct from t.created_at)`,
  ).toEqual([]);
});

test("batches that are all or nothing race for one user's last tokens: the others pay as often", async () => {
  const project = await Project.create(sql);
  await project.plan({ quota: 10 });
  const [poor, ...rich] = names(6, "user");
  for (const name of rich) await project.unknownUser(name).grant(1000);
  const users = [poor!, ...rich];

  const answers = await atOnce(
    crowd,
    16,
    (connection, index) =>
      project.on(connection).consumeBatch(itemsOf(index % 2 ? users : users.toReversed(), 3), {
        allOrNothing: true,
      }),
  );

  const applied = answers.filter((receipts) => receipts.every(({ success }) => success));
  expect(applied).toHaveLength(3);
  expect(answers.flat().filter(({ success }) => success)).toHaveLength(18);
  expect(await consumed(project)).toEqual(Object.fromEntries(users.map((name) => [name, 9])));
});

test("batches and single calls with the same request ids at once: each is applied once", async () => {
  const project = await Project.create(sql);
  await project.plan({ quota: 100 });
  const users = names(20, "user");
  const single = (connection: TestSql) =>
    Promise.all(
      users.map((name) => project.on(connection).unknownUser(name).consume(7, { requestId: "r1" })),
    );

  const answers = await atOnce(
    crowd,
    16,
    (connection, index) =>
      index % 2
        ? single(connection)
        : project.on(connection).consumeBatch(itemsOf(users, 7, { request_id: "r1" })),
  );

  for (const n of users.keys()) {
    const receipts = answers.map((answer) => JSON.stringify({ ...answer[n]!, replayed: false }));
    expect(new Set(receipts).size).toBe(1);
  }
  expect(answers.flat().filter(({ replayed }) => !replayed)).toHaveLength(20);
  expect(await consumed(project)).toEqual(Object.fromEntries(users.map((name) => [name, 7])));
});
