import type { TestSql } from "./database.ts";
import type { User } from "./project.ts";

/** Returns once so many connections of this database wait for a lock. */
export async function untilWaiting(sql: TestSql, count: number): Promise<void> {
  let waiting: number | undefined;
  while (waiting !== count) {
    const [row] = await sql<{ waiting: number }[]>`
      select count(*)::integer as waiting from pg_stat_activity
      where datname = current_database() and wait_event_type = 'Lock'`;
    waiting = row!.waiting;
  }
}

/** Runs a call on `count` connections of the pool, all let go at the same moment. */
export async function atOnce<T>(
  pool: TestSql,
  count: number,
  call: (sql: TestSql, index: number) => Promise<T>,
): Promise<T[]> {
  const gate = await pool.reserve();
  await gate`select pg_advisory_lock(1)`;
  const calls = Array.from({ length: count }, async (_, index) => {
    const connection = await pool.reserve();
    try {
      await connection`select pg_advisory_lock_shared(1)`;
      return await call(connection, index);
    } finally {
      await connection`select pg_advisory_unlock_shared(1)`;
      connection.release();
    }
  });
  await untilWaiting(gate, count);
  await gate`select pg_advisory_unlock(1)`;
  gate.release();
  return Promise.all(calls);
}

/** Holds the lock of one user while `use` runs. */
export async function whileLocked(
  sql: TestSql,
  user: User,
  use: (holder: TestSql) => Promise<void>,
): Promise<void> {
  const holder = await sql.reserve();
  try {
    await holder`begin`;
    await holder`select from user_usage where user_id = ${user.id!} for no key update`;
    await use(holder);
  } finally {
    await holder`rollback`;
    holder.release();
  }
}

/** Makes calls that all wait for the user's lock, in this order; then lets them go. Answers receipts,
 * and the codes of errors. */
export async function inQueue(
  sql: TestSql,
  user: User,
  calls: (() => Promise<object>)[],
): Promise<(object | string)[]> {
  const running: Promise<object | string>[] = [];
  await whileLocked(sql, user, async () => {
    for (const call of calls) {
      running.push(call().catch((error: { code: string }) => error.code));
      await untilWaiting(sql, running.length);
    }
  });
  return Promise.all(running);
}
