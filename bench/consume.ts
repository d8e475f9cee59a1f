// npm run bench: what a call of consume_tokens_v2() costs, against the least that any ledger must do; and
// what the other calls cost, against one with a request id.
// Only ratios within one run mean anything: variants take turns, and medians are shown with their
// spread. TOLLGATE_ROUNDS (default 7) and TOLLGATE_SECONDS (default 2) make it longer or shorter.
import { readFileSync } from "node:fs";
import postgres from "postgres";
import { SUPERUSER } from "../local/postgres.ts";
import { startStack } from "../local/stack.ts";
import { loadGenerator, type Workload } from "./load.ts";

const rounds = Number(process.env["TOLLGATE_ROUNDS"] ?? 7);
const seconds = Number(process.env["TOLLGATE_SECONDS"] ?? 2);

const stack = await startStack({ durable: true, seed: false });
try {
  await bench();
} finally {
  await stack.stop();
}

async function bench() {
  const url = await stack.createDatabase("bench");
  const sql = postgres(stack.dbUrl(SUPERUSER, "bench"), { max: 1, onnotice() {} });
  const load = loadGenerator(url);
  // A checkpoint in the middle would make every page count as new in the WAL.
  await sql`alter system set checkpoint_timeout = '1h'`;
  await sql`alter system set max_wal_size = '20GB'`;
  await sql`select pg_reload_conf()`;
  await sql.unsafe(readFileSync(new URL("setup.sql", import.meta.url), "utf8"));
  await sql`vacuum analyze`;
  const [ids] = await sql<{ project: string; tag: string }[]>`select project, tag from bench_ids`;
  const consume = (user: string): Workload =>
    `select * from consume_tokens_v2('${ids!.project}', ${user}, 3, '${ids!.tag}')`;
  const floor = `select floor_consume('${ids!.project}', 'floor' || :n, 3)`;
  const fromGrants = consume("'grants' || :n");
  const fromQuota = consume("'quota' || :n");

  async function measure(workload: Workload, clients: number): Promise<Measurement> {
    const [before] = await sql<{ lsn: string }[]>`select pg_current_wal_insert_lsn()::text as lsn`;
    const calls = await load.run(workload, clients, seconds);
    const [wal] = await sql<{ bytes: number }[]>`
      select (pg_current_wal_insert_lsn() - ${before!.lsn}::pg_lsn)::float as bytes`;
    return { perSecond: calls / seconds, walPerCall: wal!.bytes / calls };
  }

  /** All workloads in each round, each time beginning with another one. */
  async function takeTurns(workloads: Workload[], clients: number): Promise<Measurement[][]> {
    const measurements: Measurement[][] = workloads.map(() => []);
    for (let round = 0; round < rounds; round++) {
      for (let turn = 0; turn < workloads.length; turn++) {
        const index = (round + turn) % workloads.length;
        measurements[index]!.push(await measure(workloads[index]!, clients));
      }
    }
    return measurements;
  }

  /** Pages touched by one call, in a session that has planned it before. */
  async function buffers(workload: Workload): Promise<number> {
    const statement = `explain (analyze, buffers, format json) ${workload.replaceAll(":n", "7")}`;
    const pages: number[] = [];
    for (let call = 0; call < 30; call++) {
      const [row] = await sql.unsafe<{ "QUERY PLAN": { Plan: Record<string, number> }[] }[]>(
        statement,
      );
      const plan = row!["QUERY PLAN"][0]!.Plan;
      if (call >= 10) pages.push(plan["Shared Hit Blocks"]! + plan["Shared Read Blocks"]!);
    }
    return median(pages);
  }

  const [server] = await sql<{ version: string }[]>`
    select current_setting('server_version') as version`;
  console.log(
    `PostgreSQL ${server!.version}, fsync on; load by ${load.generator}; ` +
      `${rounds} rounds of ${seconds} s. [lowest–highest] of all rounds.\n`,
  );

  await sql`checkpoint`;
  for (const workload of [floor, fromGrants, fromQuota]) await load.run(workload, 8, seconds);
  const one = await takeTurns([floor, fromGrants, fromQuota], 1);
  const eight = await takeTurns([floor, fromGrants, fromQuota], 8);
  const pages = [await buffers(floor), await buffers(fromGrants), await buffers(fromQuota)];
  console.log(table(
    [
      "",
      "calls/s, 1 client",
      "of the floor",
      "calls/s, 8 clients",
      "of the floor",
      "WAL bytes",
      "buffers",
    ],
    ["floor", "paid from grants", "paid from quota"].map((name, index) => [
      name,
      whole(median(one[index]!.map(perSecond))),
      ratio(one[index]!, one[0]!),
      whole(median(eight[index]!.map(perSecond))),
      ratio(eight[index]!, eight[0]!),
      whole(median(one[index]!.map(({ walPerCall }) => walPerCall))),
      whole(pages[index]!),
    ]),
  ));

  const sizes = [0, 1_000, 10_000, 100_000];
  const history = sizes.map((size) => consume(`'history${size}'`));
  for (const workload of history) await load.run(workload, 1, 1);
  const histories = await takeTurns(history, 1);
  const historyPages: number[] = [];
  for (const workload of history) historyPages.push(await buffers(workload));
  console.log(table(
    ["rows of history", "throughput against none", "buffers"],
    sizes.map((size, index) => [
      size.toLocaleString("en"),
      ratio(histories[index]!, histories[0]!),
      whole(historyPages[index]!),
    ]),
  ));

  const [spread, hot] = await takeTurns([fromGrants, consume("'grants1'")], 16);
  console.log(table(
    ["16 clients", "calls/s", "of spread load"],
    [
      ["1,000 users", whole(median(spread!.map(perSecond))), ratio(spread!, spread!)],
      ["one hot user", whole(median(hot!.map(perSecond))), ratio(hot!, spread!)],
    ],
  ));

  const call = `'${ids!.project}', 'grants' || :n, 3, 'GPT-4'`;
  const batch = (items: number): Workload =>
    `select count(*) from consume_batch('${ids!.project}', (
      select jsonb_agg(jsonb_build_object('user_id', 'grants' || (1 + (:n + i) % 1000),
        'tokens_to_consume', 3, 'tag', 'GPT-4', 'request_id', gen_random_uuid()))
      from generate_series(1, ${items}) i))`.replaceAll("\n", " ");
  const others: [name: string, workload: Workload, perCall: number][] = [
    ["consume", `select consume_tokens(${call}, null, gen_random_uuid()::text)`, 1],
    ["check", `select check_tokens(${call})`, 1],
    ["balance", `select * from get_user_balance('${ids!.project}', 'grants' || :n)`, 1],
    [
      "hold and settle",
      `select settle_hold('${ids!.project}', (hold_tokens(${call})).hold_id, 2)`,
      1,
    ],
    ["batch of 100, each item", batch(100), 100],
    ["batch of 1,000, each item", batch(1000), 1000],
  ];
  const taken = await takeTurns(others.map(([, workload]) => workload), 1);
  const items = taken.map((measurements, index) =>
    measurements.map(({ perSecond, walPerCall }) => {
      const perCall = others[index]![2];
      return { perSecond: perSecond * perCall, walPerCall: walPerCall / perCall };
    })
  );
  console.log(table(
    ["1 client, with request ids", "a second", "of single consumption", "WAL bytes"],
    others.map(([name], index) => [
      name,
      whole(median(items[index]!.map(perSecond))),
      ratio(items[index]!, items[0]!),
      whole(median(items[index]!.map(({ walPerCall }) => walPerCall))),
    ]),
  ));
  await sql.end();
}

interface Measurement {
  perSecond: number;
  walPerCall: number;
}

function perSecond(measurement: Measurement): number {
  return measurement.perSecond;
}

/** Round by round, so that what slows a whole round down does not count. */
function ratio(these: Measurement[], those: Measurement[]): string {
  const ratios = these.map((measurement, round) => measurement.perSecond / those[round]!.perSecond);
  const [low, high] = [Math.min(...ratios), Math.max(...ratios)];
  return `${median(ratios).toFixed(2)} [${low.toFixed(2)}–${high.toFixed(2)}]`;
}

function median(numbers: number[]): number {
  return numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)]!;
}

function whole(number: number): string {
  return Math.round(number).toLocaleString("en");
}

function table(head: string[], rows: string[][]): string {
  const line = (cells: string[]) => `| ${cells.join(" | ")} |\n`;
  return line(head) + line(head.map(() => "---")) + rows.map(line).join("");
}
