import { expect, test } from "vitest";
import { atOnce } from "../support/concurrency.ts";
import { type TestSql, useDatabase } from "../support/database.ts";
import { type HoldReceipt, Project, type Receipt, type User } from "../support/project.ts";

const { sql, connect } = useDatabase();
const crowd = connect(33);

const numbers = (count: number) => Array.from({ length: count }, (_, n) => n);

/**
 * Every connection makes every call, in the same order, so that the copies of each meet. Answers what
 * the one that was applied answered, call by call.
 */
async function duplicate<T extends { replayed: boolean }>(
  connections: number,
  calls: number,
  call: (connection: TestSql, n: number) => Promise<T>,
): Promise<T[]> {
  const answers = await atOnce(crowd, connections, async (connection) => {
    const mine: T[] = [];
    for (const n of numbers(calls)) mine.push(await call(connection, n));
    return mine;
  });
  return numbers(calls).map((n) => {
    const copies = answers.map((mine) => mine[n]!);
    const applied = copies.filter(({ replayed }) => !replayed);
    expect(applied).toHaveLength(1);
    const receipts = copies.map((copy) => JSON.stringify({ ...copy, replayed: false }));
    expect([...new Set(receipts)]).toEqual([JSON.stringify(applied[0])]);
    return applied[0]!;
  });
}

/** A user whose calls draw on quota and a grant, and count against restrictions. */
async function subscriber(quota = 50) {
  const project = await Project.create(sql);
  await project.plan({
    quota,
    restrictions: [
      { maxTokens: 100_000, duration: "1 month" },
      { tag: "GPT-4", maxTokens: 50_000, duration: "1 month" },
    ],
  });
  const user = await project.user("ada");
  await user.grant(1000, { requestId: "start" });
  return user;
}

async function twentyHolds(user: User) {
  const holds: HoldReceipt[] = [];
  for (const _ of numbers(20)) holds.push(await user.hold(7, { tag: "GPT-4" }));
  return holds;
}

/** How many transfers of each type a project has. */
async function transfers(project: Project) {
  const rows = await sql<{ type: string; count: number }[]>`
    select t.transaction_type as type, count(*)::integer as count
    from token_transfers t join tracked_users u on u.id = t.user_id
    where u.project_id = ${project.id} group by 1`;
  return Object.fromEntries(rows.map(({ type, count }) => [type, count]));
}

test("of 32 copies of each of 300 calls one is applied, and 31 answer its receipt", async () => {
  const { project } = await subscriber(500);
  // Twelve users, eleven of whom the first of their calls creates.
  const names = ["ada", ...numbers(11).map((n) => `newcomer ${n}`)];
  const calls = numbers(300).map((n) => ({ name: names[n % 12]!, tokens: n % 7 + 1 }));

  const receipts = await duplicate(32, 300, async (connection, n) => {
    const [receipt] = await connection<Receipt[]>`
      select * from consume_tokens(${project.id}, ${calls[n]!.name}, ${calls[n]!.tokens},
        ${n % 2 ? "GPT-4" : null}, ${sql.json({ n })}, ${`call ${n}`})`;
    return receipt!;
  });

  expect(receipts.map(({ user_id, tokens_consumed }) => [user_id, tokens_consumed]))
    .toEqual(calls.map(({ name, tokens }) => [name, tokens]));
  expect(await transfers(project)).toEqual({ grant: 1, consumption: 300 });
  for (const name of names) {
    const mine = calls.filter((call) => call.name === name);
    expect(await project.unknownUser(name).balance())
      .toMatchObject({ quota_used: mine.reduce((sum, { tokens }) => sum + tokens, 0) });
  }
});

test("of 16 copies of each of 20 grants one is made", async () => {
  const user = await subscriber();

  await duplicate(16, 20, (connection, n) => user.on(connection).grant(5, { requestId: `g${n}` }));

  expect(await user.balance()).toMatchObject({ grants_left: 1000 + 20 * 5 });
  expect(await transfers(user.project)).toEqual({ grant: 21 });
});

test("of 16 copies of each of 20 holds one sets tokens aside", async () => {
  const user = await subscriber();

  await duplicate(
    16,
    20,
    (connection, n) => user.on(connection).hold(7, { tag: "GPT-4", requestId: `h${n}` }),
  );

  expect(await user.balance()).toMatchObject({ tokens_held: 140, tokens_left: 910 });
  expect(await transfers(user.project)).toEqual({ grant: 1, hold: 20 });
});

test("of 16 copies of each of 20 settlements one charges, below the hold and beyond it", async () => {
  const user = await subscriber();
  const holds = await twentyHolds(user);

  const settlements = await duplicate(
    16,
    20,
    (connection, n) =>
      user.on(connection).settle(holds[n]!.hold_id, n % 2 ? 9 : 4, {
        requestId: `s${n}`,
        allowExcess: true,
      }),
  );

  expect(settlements.map(({ tokens_consumed, excess_consumed }) => [
    tokens_consumed,
    excess_consumed,
  ])).toEqual(numbers(20).map((n) => n % 2 ? [9, 2] : [4, 0]));
  expect(await user.balance()).toMatchObject({ tokens_held: 0, tokens_left: 1050 - 130 });
  expect(await transfers(user.project)).toEqual({ grant: 1, hold: 20, consumption: 30 });
});

test("of 16 copies of each of 20 extensions and releases one counts", async () => {
  const user = await subscriber();
  const holds = await twentyHolds(user);

  await duplicate(16, 20, (connection, n) => {
    const { hold_id } = holds[n]!;
    const own = user.on(connection);
    return n % 2
      ? own.extend(hold_id, 7200, { requestId: `c${n}` })
      : own.release(hold_id, { requestId: `c${n}` });
  });

  expect(await user.balance()).toMatchObject({ tokens_held: 70, tokens_left: 980 });
  expect(await transfers(user.project)).toEqual({ grant: 1, hold: 20, extension: 10, release: 10 });
});

test("of 16 copies of each of 20 refunds one gives tokens back", async () => {
  const user = await subscriber();
  for (const n of numbers(20)) await user.consume(7, { requestId: `call ${n}` });

  await duplicate(
    16,
    20,
    (connection, n) => user.on(connection).refund(`call ${n}`, { tokens: 5, requestId: `r${n}` }),
  );

  expect(await user.balance()).toMatchObject({ tokens_left: 1050 - 20 * (7 - 5) });
  expect(await transfers(user.project)).toEqual({ grant: 1, consumption: 20, refund: 20 });
});
