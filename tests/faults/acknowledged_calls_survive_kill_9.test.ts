// kill -9 of Postgres and all its children amid load from another process, once; and 20 times by
//   TOLLGATE_CHAOS=1 npm test -- tests/load tests/faults
// What this proves: an answer is given only when its commit has left Postgres. A commit that has only
// reached the operating system survives kill -9, but not a power cut: for that there is fsync, which
// is on here, and which no test on one machine can prove.
import postgres from "postgres";
import { afterAll, beforeAll, expect, test } from "vitest";
import { SUPERUSER } from "../../local/postgres.ts";
import { chaos, report } from "../support/chaos.ts";
import { type TestSql, types } from "../support/database.ts";
import { Project } from "../support/project.ts";
import { Random, seed } from "../support/random.ts";
import { audit, FLAWLESS } from "./load.ts";
import { LoadClient } from "./load_client.ts";
import { MortalPostgres } from "./mortal_postgres.ts";

const CYCLES = chaos ? 20 : 1;
const CLIENTS = 8;
const TIMEOUT = 30_000 + CYCLES * 10_000;

const random = new Random();
let server: MortalPostgres;
beforeAll(async () => server = await MortalPostgres.start());
afterAll(() => server?.stop());

/** Each use has connections of its own: none survives a crash. */
async function withSql<T>(use: (sql: TestSql) => Promise<T>, user?: string): Promise<T> {
  const sql = postgres(server.url(user), { max: 1, types, onnotice() {} });
  try {
    return await use(sql);
  } finally {
    await sql.end();
  }
}

/** What amcheck finds wrong in the files of the tables and their indexes: an fsck. */
async function damages(sql: TestSql): Promise<object[]> {
  await sql`create extension if not exists amcheck`;
  // Raises where an index is damaged, or lacks a row of its table.
  await sql`select bt_index_check(i.indexrelid, true) from pg_index i
    join pg_class c on c.oid = i.indexrelid
    where c.relnamespace = 'public'::regnamespace
      and c.relam = (select oid from pg_am where amname = 'btree')`;
  return await sql`select c.relname, d.* from pg_class c, verify_heapam(c.oid) d
    where c.relnamespace = 'public'::regnamespace and c.relkind = 'r'`;
}

async function startLoad() {
  const project = await withSql(async (sql) => {
    const created = await Project.create(sql);
    await created.plan({ quota: 1_000_000_000 });
    return created.id;
  });
  return { project, load: await LoadClient.start(server.url(), project, CLIENTS) };
}

/** Kills the server at a random moment; gives what was acknowledged before, and starts it again. */
async function crash(load: LoadClient): Promise<number[]> {
  await load.reach(random.integer(1, 500));
  const killed = await server.kill();
  expect(killed).toBeGreaterThan(CLIENTS);
  const acknowledged = await load.stopped();
  await server.restart();
  return acknowledged;
}

test(
  `what was acknowledged before ${CYCLES} kills of Postgres is recorded, and what is repeated after them is recorded once (TOLLGATE_SEED=${seed})`,
  async () => {
    const { project, load } = await startLoad();
    const unacknowledged: number[] = [];
    for (let cycle = 1; cycle <= CYCLES; cycle++) {
      const acknowledged = await crash(load);
      await withSql(async (sql) => {
        const found = await audit(sql, project, acknowledged);
        // Of each client at most one call had been committed, but not answered.
        expect(found.unacknowledged.length).toBeLessThanOrEqual(CLIENTS);
        expect({ ...found, unacknowledged: [] }).toEqual(FLAWLESS);
        expect(await sql`select * from verify_ledger()`).toEqual([]);
        unacknowledged.push(found.unacknowledged.length);
      });
    }
    const acknowledged = await load.finish();
    await load.end();

    await withSql(async (sql) => {
      expect(await audit(sql, project, acknowledged)).toEqual(FLAWLESS);
      expect(await sql`select * from verify_ledger()`).toEqual([]);
    });
    expect(await withSql(damages, SUPERUSER)).toEqual([]);
    report(`${CYCLES} kills`, { acknowledged: acknowledged.length, unacknowledged });
  },
  TIMEOUT,
);

test(
  `with synchronous_commit off a kill of Postgres loses what was acknowledged (TOLLGATE_SEED=${seed})`,
  async () => {
    await withSql(async (sql) => {
      await sql`alter system set synchronous_commit = off`;
      // Else what was acknowledged a fifth of a second before the kill has been written.
      await sql`alter system set wal_writer_delay = '10s'`;
      await sql`select pg_reload_conf()`;
    }, SUPERUSER);
    const { project, load } = await startLoad();
    const acknowledged = await crash(load);
    await load.end();

    await withSql(async (sql) => {
      const { lost } = await audit(sql, project, acknowledged);
      report("synchronous_commit off", { acknowledged: acknowledged.length, lost: lost.length });
      expect(lost.length).toBeGreaterThan(0);
      expect(await sql`select * from verify_ledger()`).toEqual([]);
    });
  },
  TIMEOUT,
);
