// kill -9 of Postgres with all its children, and of the REST layer before it, amid calls of the HTTP
// API. The edge function goes on, and its clients know nothing but to repeat what was answered 503,
// with the same Idempotency-Key. (The REST layer dies as well, since unlike PostgREST the driver of
// @supabase/lite may not survive the end of Postgres.)
import postgres from "postgres";
import { afterAll, beforeAll, expect, test } from "vitest";
import { report } from "../support/chaos.ts";
import { type TestSql, types } from "../support/database.ts";
import { Project } from "../support/project.ts";
import { Random, seed } from "../support/random.ts";
import { audit, byHttp, FLAWLESS, Load } from "./load.ts";
import { MortalPostgres } from "./mortal_postgres.ts";

const CLIENTS = 8;

let server: MortalPostgres;
beforeAll(async () => server = await MortalPostgres.start());
afterAll(() => server?.stop());

/** Each use has connections of its own: none survives a crash. */
async function withSql<T>(use: (sql: TestSql) => Promise<T>): Promise<T> {
  const sql = postgres(server.url(), { max: 1, types, onnotice() {} });
  try {
    return await use(sql);
  } finally {
    await sql.end();
  }
}

test(
  `what HTTP clients were told before a kill of Postgres is recorded, and what they repeat after it is recorded once (TOLLGATE_SEED=${seed})`,
  async () => {
    const { project, apiKey } = await withSql(async (sql) => {
      const created = await Project.create(sql);
      await created.plan({ quota: 1_000_000_000 });
      const [key] = await sql<{ api_key: string }[]>`
      select api_key from create_api_key(${created.id}, 'Test')`;
      return { project: created.id, apiKey: key!.api_key };
    });
    const http = await server.serveHttp();
    const load = new Load(CLIENTS, byHttp(http.functionUrl, apiKey));
    const goal = new Random().integer(20, 300);
    let kill: Promise<unknown[]> | undefined;

    // Each client stops at its first 503.
    await load.run({
      onBreak: "stop",
      isEnough: () => false,
      onAnswer(answers) {
        if (answers === goal) kill = Promise.all([http.killRest(), server.kill()]);
      },
    });
    await kill;
    await server.restart();
    await http.restartRest();
    const acknowledged = load.acknowledged.length;
    const { unacknowledged, ...found } = await withSql((sql) =>
      audit(sql, project, load.acknowledged)
    );
    expect({ ...found, unacknowledged: [] }).toEqual(FLAWLESS);
    expect(unacknowledged.length).toBeLessThanOrEqual(CLIENTS);

    await load.run({
      onBreak: "repeat",
      isEnough: () => load.acknowledged.length >= acknowledged + 10 * CLIENTS,
    });
    await withSql(async (sql) => {
      expect(await audit(sql, project, load.acknowledged)).toEqual(FLAWLESS);
      expect(await sql`select * from verify_ledger()`).toEqual([]);
    });
    expect(load.replays).toBe(unacknowledged.length);
    report("kill amid HTTP", { acknowledged, unacknowledged: unacknowledged.length });
  },
  60_000,
);
