import postgres from "postgres";
import { expect, test } from "vitest";
import { untilWaiting } from "../support/concurrency.ts";
import { contents } from "../support/contents.ts";
import { type TestSql, types, useDatabase } from "../support/database.ts";
import { createMutant, SWALLOWS_TIMEOUTS } from "../support/mutant.ts";
import { Project, type User } from "../support/project.ts";

const { url } = useDatabase();

const TIMEOUTS = [["statement_timeout", "57014"], ["lock_timeout", "55P03"]] as const;

/** Somebody whose call of 12 tokens draws on quota and on two grants. */
async function subscriber(sql: TestSql): Promise<User> {
  const project = await Project.create(sql);
  await project.plan({ quota: 6, restrictions: [{ maxTokens: 100, duration: "1 month" }] });
  const user = await project.user("ada");
  await user.grant(3, { expiresAt: "2100-01-01T00:00:00Z" });
  await user.grant(3);
  return user;
}

/** Makes the call while its second grant is locked, with quota and the first grant already drawn. */
async function timeOut(user: User, { sql, timeout }: { sql: TestSql; timeout: string }) {
  const [holder, victim] = [await sql.reserve(), await sql.reserve()];
  try {
    await holder`begin`;
    await holder`select from user_token_grants
      where user_id = ${user.id!} and expires_at is null for update`;
    await user.on(victim).check(12); // A first call plans, and must not be timed out by that.
    await victim`select set_config(${timeout}, '700', false)`;
    const call = user.on(victim).consume(12, { requestId: "r1" })
      .catch((error: { code: string }) => error.code);
    await untilWaiting(sql, 1);
    return await call;
  } finally {
    await victim`select set_config(${timeout}, '0', false)`;
    await holder`rollback`;
    holder.release();
    victim.release();
  }
}

async function withSql<T>(url: string, use: (sql: TestSql) => Promise<T>): Promise<T> {
  const sql = postgres(url, { max: 4, types, onnotice() {} });
  try {
    return await use(sql);
  } finally {
    await sql.end();
  }
}

test.each(TIMEOUTS)("a %s in mid-call writes nothing, and the retry is applied once", async (
  timeout,
  code,
) => {
  await withSql(url, async (sql) => {
    const user = await subscriber(sql);
    const before = await contents(sql);

    expect(await timeOut(user, { sql, timeout })).toBe(code);

    expect(await contents(sql)).toEqual(before);
    const retry = { requestId: "r1" };
    expect(await user.consume(12, retry)).toMatchObject({ success: true, replayed: false });
    expect(await user.consume(12, retry)).toMatchObject({ success: true, replayed: true });
    expect(await user.balance()).toMatchObject({ tokens_left: 0 });
  });
});

test.each(TIMEOUTS)("a kernel that swallows a %s does a call by half", async (timeout) => {
  await withSql(await createMutant(SWALLOWS_TIMEOUTS), async (sql) => {
    const user = await subscriber(sql);
    const before = await contents(sql);

    expect(await timeOut(user, { sql, timeout })).toMatchObject({ success: true });

    expect(await contents(sql)).not.toEqual(before);
    expect(await sql`select * from verify_ledger()`).not.toEqual([]);
  });
});
