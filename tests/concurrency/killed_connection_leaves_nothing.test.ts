import { expect, test } from "vitest";
import { untilWaiting, whileLocked } from "../support/concurrency.ts";
import { type TestSql, useDatabase } from "../support/database.ts";
import { Project } from "../support/project.ts";

const { sql, connect } = useDatabase();

async function subscriber() {
  const project = await Project.create(sql);
  await project.plan({ quota: 10, restrictions: [{ maxTokens: 100, duration: "1 month" }] });
  const user = await project.user("ada");
  await user.consume(4);
  await user.grant(3, { expiresAt: "2100-01-01T00:00:00Z" });
  await user.grant(3);
  return user;
}

/** Everything that the ledger knows of a user. */
function ledger(userId: string) {
  return Promise.all([
    sql`select * from user_usage where user_id = ${userId}`,
    sql`select * from user_quota_usage where user_id = ${userId}`,
    sql`select * from user_token_grants where user_id = ${userId} order by id`,
    sql`select * from user_token_grants_consume where user_id = ${userId}`,
    sql`select * from token_transfers where user_id = ${userId} order by transfer_number`,
  ]);
}

async function backend(connection: TestSql): Promise<number> {
  const [row] = await connection<{ pid: number }[]>`select pg_backend_pid() as pid`;
  return row!.pid;
}

/** Kills the connection in the middle of its call. */
async function kill(pid: number, victim: TestSql, call: Promise<unknown>) {
  const killed = expect(call).rejects.toMatchObject({ code: "CONNECTION_CLOSED" });
  await untilWaiting(sql, 1);
  await sql`select pg_terminate_backend(${pid})`;
  await killed;
  // postgres.js tells the next query why, and could not close the pool before.
  await expect(victim`select`).rejects.toMatchObject({ code: "57P01" });
}

test("a call whose connection is killed while it waits for the user writes nothing", async () => {
  const user = await subscriber();
  const before = await ledger(user.id!);
  const victim = connect(1);
  const pid = await backend(victim);

  await whileLocked(sql, user, async () => {
    await kill(pid, victim, user.on(victim).consume(12));
  });

  expect(await ledger(user.id!)).toEqual(before);
});

test("a call whose connection is killed half-way through its writes leaves none of them", async () => {
  const user = await subscriber();
  const before = await ledger(user.id!);
  const victim = connect(1);
  const pid = await backend(victim);
  const owner = connect(1);

  // Quota and first grant are drawn; the second grant, which is spent last, holds the call up.
  await owner`begin`;
  await owner`select from user_token_grants
    where user_id = ${user.id!} and expires_at is null for update`;
  await kill(pid, victim, user.on(victim).consume(12));
  await owner`rollback`;

  expect(await ledger(user.id!)).toEqual(before);
  expect(await user.consume(12)).toMatchObject({ success: true, quota_left: 0, grants_left: 0 });
});

test("a call that is cancelled in mid-call can be repeated with its request id", async () => {
  const user = await subscriber();
  const victim = connect(1);
  const pid = await backend(victim);

  await whileLocked(sql, user, async () => {
    const call = user.on(victim).consume(12, { requestId: "r1" });
    const cancelled = expect(call).rejects.toMatchObject({ code: "57014" });
    await untilWaiting(sql, 1);
    await sql`select pg_cancel_backend(${pid})`;
    await cancelled;
  });

  expect(await user.consume(12, { requestId: "r1" }))
    .toMatchObject({ success: true, replayed: false, transfer_number: 4 });
});

test("a killed connection frees its user for the calls that wait", async () => {
  const user = await subscriber();
  const victim = connect(1);
  const pid = await backend(victim);

  await victim`begin`;
  await user.on(victim).consume(12);
  const call = user.on(connect(1)).consume(12);
  await untilWaiting(sql, 1);
  await sql`select pg_terminate_backend(${pid})`;

  expect(await call).toMatchObject({ success: true, transfer_number: 4 });
});
