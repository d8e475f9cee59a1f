// npm run bench: what calls cost, against the least that metering could do (the floor) and against the
// source document's own sums (naive). On a throw-away Postgres with fsync and synchronous_commit on.
// Only ratios within one run mean anything: variants take turns in each round, and medians are shown
// with their spread. Writes bench/results.json and, from it, the report (see report.ts).
// TOLLGATE_ROUNDS (default 5) and TOLLGATE_SECONDS (whole ones, default 1) make it longer or shorter;
// TOLLGATE_UPDATES=1000000 goes on until the hot rows have had so many updates.
import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { cpus, totalmem } from "node:os";
import postgres from "postgres";
import { SUPERUSER } from "../local/postgres.ts";
import { type Stack, startStack } from "../local/stack.ts";
import { loadGenerator, type Workload } from "./load.ts";
import { RESULTS, writeReport } from "./report.ts";
import type { Results } from "./results.ts";
import { latency, median, type Round, summarise } from "./statistics.ts";

const rounds = Number(process.env["TOLLGATE_ROUNDS"] ?? 5);
const secondsEach = Number(process.env["TOLLGATE_SECONDS"] ?? 1);
const updates = Number(process.env["TOLLGATE_UPDATES"] ?? 0);
const started = performance.now();

const stack = await startStack({ durable: true, seed: false });
try {
  const results = await bench(stack);
  writeFileSync(RESULTS, JSON.stringify(results, null, 2) + "\n");
  writeReport(results);
  console.log("\nWritten: bench/results.json, docs/performance.md, docs/performance.svg");
} finally {
  await stack.stop();
}

/** A line for each step, which tells that something goes on. */
function progress(step: string) {
  console.log(`${((performance.now() - started) / 60_000).toFixed(1)} min: ${step}`);
}

async function bench(stack: Stack): Promise<Results> {
  progress("making 1,000 users of each kind, and a million transfers of history");
  const url = await stack.createDatabase("bench");
  const sql = postgres(stack.dbUrl(SUPERUSER, "bench"), { max: 1, onnotice() {} });
  const load = loadGenerator(url);
  // A checkpoint in the middle would make every page count as new in the WAL.
  await sql`alter system set checkpoint_timeout = '1h'`;
  await sql`alter system set max_wal_size = '20GB'`;
  await sql`select pg_reload_conf()`;
  const read = (name: string) => readFileSync(new URL(name, import.meta.url), "utf8");
  await sql.unsafe(read("setup.sql"));
  const naive = [
    ...[0, 1_000, 10_000, 100_000].map((rows) => ({ rows, users: 1, indexed: true })),
    // As written, 100,000 rows would take most of the run.
    ...[0, 1_000, 10_000].map((rows) => ({ rows, users: 1, indexed: false })),
    // Its GROUP BY reads every user's rows. Any number of users is a choice: the table says both.
    { rows: 10_000, users: 100, indexed: false },
  ].map((variant, index) => ({ ...variant, schema: `naive_${index}` }));
  for (const { rows, users, indexed, schema } of naive) {
    const files = indexed ? ["naive.sql", "naive_indexed.sql"] : ["naive.sql"];
    for (const file of files) {
      await sql.unsafe(
        read(file).replaceAll("%SCHEMA%", schema)
          .replaceAll("%SIZE%", `${rows}`).replaceAll("%USERS%", `${users}`),
      );
    }
  }
  await sql`vacuum analyze`;
  await sql`checkpoint`;
  const [ids] = await sql<{ project: string; tag: string }[]>`select project, tag from bench_ids`;
  const { project, tag } = ids!;

  const consume = (user: string): Workload =>
    `select * from consume_tokens_v2('${project}', ${user}, 3, '${tag}')`;
  const call = `'${project}', 'grants' || :n, 3, 'GPT-4'`;
  const withId = `select consume_tokens(${call}, null, gen_random_uuid()::text)`;
  const floor = `select floor_consume('${project}', 'floor' || :n, 3)`;
  const batch = (items: number): Workload =>
    `select count(*) from consume_batch('${project}', (
      select jsonb_agg(jsonb_build_object('user_id', 'grants' || (1 + (:n + i) % 1000),
        'tokens_to_consume', 3, 'tag', 'GPT-4', 'request_id', gen_random_uuid()))
      from generate_series(1, ${items}) i))`.replaceAll("\n", " ");

  async function measure(workload: Workload, clients: number): Promise<Round> {
    const [before] = await sql<{ lsn: string }[]>`select pg_current_wal_insert_lsn()::text as lsn`;
    const milliseconds = await load.run(workload, clients, secondsEach);
    const [wal] = await sql<{ bytes: number }[]>`
      select (pg_current_wal_insert_lsn() - ${before!.lsn}::pg_lsn)::float as bytes`;
    return { milliseconds, seconds: secondsEach, walBytes: wal!.bytes };
  }

  /** All workloads in each round, each time beginning with another one. */
  async function takeTurns(workloads: Workload[], clients: number): Promise<Round[][]> {
    const measured: Round[][] = workloads.map(() => []);
    for (let round = 0; round < rounds; round++) {
      for (let turn = 0; turn < workloads.length; turn++) {
        const index = (round + turn) % workloads.length;
        measured[index]!.push(await measure(workloads[index]!, clients));
      }
    }
    return measured;
  }

  /** Measured in turns at each number of clients, against the first of them; `items`: of a batch. */
  async function compare(
    workloads: { name: string; workload: Workload; items?: number }[],
    clients: number[],
  ) {
    const measurements = [];
    for (const number of clients) {
      progress(`${workloads.map(({ name }) => name).join(", ")}: ${number} clients`);
      const taken = await takeTurns(workloads.map(({ workload }) => workload), number);
      measurements.push(
        ...workloads.map(({ name, items }, index) =>
          summarise(name, number, taken[index]!, taken[0]!, items)
        ),
      );
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

  async function hotRows() {
    return await sql<{ table: string; updates: number; hot: number; bytes: number }[]>`
      select relname as table, n_tup_upd::float as updates, n_tup_hot_upd::float as hot,
        pg_table_size(relid)::float as bytes
      from pg_stat_user_tables
      where schemaname = 'public'
        and relname in ('user_usage', 'user_token_grants', 'user_quota_usage', 'user_usage_buckets')
      order by relname`;
  }

  const consumptions = [
    { name: "floor", workload: floor },
    { name: "from grants", workload: consume("'grants' || :n") },
    { name: "from quota", workload: consume("'quota' || :n") },
    { name: "from grants, with a request id", workload: withId },
  ];
  progress("warming up");
  for (const { workload } of consumptions) await load.run(workload, 8, 2);
  await sql`select pg_stat_force_next_flush()`;
  const hotRowsBefore = await hotRows();

  const consumption = await compare(consumptions, [1, 8, 32]);
  const pages: Record<string, number> = {};
  for (const { name, workload } of consumptions) pages[name] = await buffers(workload);

  const calls = await compare([
    { name: "consume", workload: withId },
    { name: "check", workload: `select check_tokens(${call})` },
    { name: "balance", workload: `select * from get_user_balance('${project}', 'grants' || :n)` },
    {
      name: "hold and settle",
      workload: `select settle_hold('${project}', (hold_tokens(${call})).hold_id, 2)`,
    },
    {
      name: "consume and refund",
      workload:
        `select refund_tokens('${project}', 'grants' || :n, (consume_tokens(${call})).transfer_number)`,
    },
    { name: "batch of 100, an item", workload: batch(100), items: 100 },
    { name: "batch of 1,000, an item", workload: batch(1000), items: 1000 },
  ], [1, 8]);

  progress("one hot user: 16 clients");
  const [spread, oneUser, floorSpread, floorOneUser] = await takeTurns([
    consume("'grants' || :n"),
    consume("'grants1'"),
    floor,
    `select floor_consume('${project}', 'floor1', 3)`,
  ], 16);
  const hot = {
    ours: [
      summarise("1,000 users", 16, spread!),
      summarise("one user", 16, oneUser!, spread!),
    ],
    floor: [
      summarise("1,000 users", 16, floorSpread!),
      summarise("one user", 16, floorOneUser!, floorSpread!),
    ],
    ofFloor: summarise("one user", 16, oneUser!, floorOneUser!).ratio,
  };

  const sizes = [0, 10_000, 100_000, 1_000_000];
  const histories = await compare(
    sizes.map((size) => ({ name: `${size} rows`, workload: consume(`'history${size}'`) })),
    [1],
  );
  const history = histories.map((measurement, index) => ({ ...measurement, rows: sizes[index]! }));
  const sums = await compare([
    { name: "ours", workload: consume("'history0'") },
    ...naive.map(({ schema }) => ({
      name: schema,
      workload: `select ${schema}.consume('${project}', 'user1', 3, '${tag}')`,
    })),
  ], [1]);

  if (updates > 0) progress(`updating hot rows until they have had ${updates} updates`);
  const all = async () => (await hotRows()).reduce((sum, { updates }) => sum + updates, 0);
  while (await all() < updates) {
    await load.run(consume("'grants' || :n"), 8, 5);
    await sql`select pg_stat_force_next_flush()`;
  }
  const hotRowsAfter = await hotRows();

  progress("what a consumption adds to tables and indexes");
  const size = async () => {
    const [row] = await sql<{ bytes: number }[]>`
      select sum(pg_total_relation_size(c))::float as bytes
      from unnest(array['token_transfers', 'user_token_grants_consume']::regclass[]) c`;
    return row!.bytes;
  };
  const sizeBefore = await size();
  const added = (await load.run(withId, 8, 5)).length;
  const bytesPerCall = (await size() - sizeBefore) / added;

  const ledger = await measureAudit(stack);

  progress("the whole chain: HTTP, REST, SQL");
  const { chain, edgeFunction } = await measureChain(stack);
  const [server] = await sql<{ version: string }[]>`
    select current_setting('server_version') as version`;
  await sql.end();
  return {
    date: new Date().toISOString().slice(0, 10),
    command: `${updates > 0 ? `TOLLGATE_UPDATES=${updates} ` : ""}npm run bench`,
    minutes: (performance.now() - started) / 60_000,
    rounds,
    secondsEach,
    machine: {
      cpu: cpus()[0]!.model,
      cores: cpus().length,
      memoryGiB: Math.round(totalmem() / 2 ** 30),
      postgres: server!.version,
      generator: load.generator,
      node: process.version,
    },
    consumption,
    buffers: pages,
    calls,
    hot,
    history,
    naive: sums.slice(1).map((measurement, index) => {
      const { rows, users, indexed } = naive[index]!;
      return { ...measurement, rows, users, indexed };
    }),
    ledger,
    chain,
    edgeFunction,
    storage: {
      bytesPerCall,
      hotRows: hotRowsAfter.map(({ table, updates, hot, bytes }, index) => {
        const before = hotRowsBefore[index]!;
        return {
          table,
          updates: updates - before.updates,
          hotShare: (hot - before.hot) / Math.max(1, updates - before.updates),
          mebibytesBefore: before.bytes / 2 ** 20,
          mebibytesAfter: bytes / 2 ** 20,
        };
      }),
    },
  };
}

/** How long verify_ledger() takes, in a database of its own, all in memory. */
async function measureAudit(stack: Stack): Promise<Results["ledger"]> {
  progress("making a ledger of a million transfers");
  await stack.createDatabase("ledger");
  const sql = postgres(stack.dbUrl(SUPERUSER, "ledger"), { max: 1, onnotice() {} });
  await sql.unsafe(readFileSync(new URL("ledger.sql", import.meta.url), "utf8"));
  await sql`vacuum analyze`;
  const [size] = await sql<{ transfers: number; users: number }[]>`
    select count(*)::float as transfers, count(distinct user_id)::float as users from token_transfers`;

  async function verify(project: string | null): Promise<number> {
    const start = performance.now();
    const disagreements = await sql`select * from verify_ledger(${project})`;
    if (disagreements.length > 0) {
      throw new Error(`The ledger is wrong: ${JSON.stringify(disagreements[0])}`);
    }
    return (performance.now() - start) / 1000;
  }
  progress("verifying it");
  const [project] = await sql<{ id: string }[]>`select id from projects`;
  const seconds = await verify(null);
  const secondsByProject = await verify(project!.id);
  await sql.end();
  return { ...size!, seconds, secondsByProject };
}

/** One client, one call after the other, by each way in turn; in the stack's own database. */
async function measureChain(stack: Stack): Promise<Pick<Results, "chain" | "edgeFunction">> {
  const sql = postgres(stack.dbUrl(SUPERUSER), { max: 1, onnotice() {} });
  const [project] = await sql<{ id: string }[]>`
    insert into projects (name) values ('Chain') returning id`;
  const { id } = project!;
  await sql`insert into tags (project_id, name) values (${id}, 'GPT-4')`;
  await sql`insert into plans (project_id, name) values (${id}, 'Quota')`;
  await sql`insert into plan_quotas (plan_id, token_amount) select id, 1e12 from plans`;
  await sql`update projects set default_plan_id = (select id from plans) where id = ${id}`;
  const [key] = await sql<{ api_key: string }[]>`select * from create_api_key(${id}, 'Bench')`;
  const json = { "content-type": "application/json" };
  async function post(path: string, headers: Record<string, string>, body: object) {
    const response = await fetch(stack.url + path, {
      method: "POST",
      headers: { ...json, ...headers },
      body: JSON.stringify(body),
    });
    const text = await response.text();
    if (response.status !== 200) throw new Error(`${path} answered ${response.status}: ${text}`);
  }
  const ways = {
    "HTTP API, by the edge function": () =>
      post("/functions/v1/api/v1/consume", { authorization: `Bearer ${key!.api_key}` }, {
        user_id: "user_123",
        tokens_to_consume: 3,
        tag: "GPT-4",
      }),
    "RPC, by the REST layer": () =>
      post("/rest/v1/rpc/consume_tokens", { apikey: stack.secretKey }, {
        p_project_id: id,
        p_external_user_id: "user_123",
        p_tokens: 3,
        p_tag: "GPT-4",
      }),
    "SQL": () => sql`select consume_tokens(${id}, 'user_123', 3, 'GPT-4')`,
  };
  const milliseconds = Object.keys(ways).map((): number[] => []);
  for (let block = 0; block < 20; block++) {
    for (const [index, call] of Object.values(ways).entries()) {
      for (let n = 0; n < 25; n++) {
        const start = performance.now();
        await call();
        // The first blocks warm up.
        if (block >= 4) milliseconds[index]!.push(performance.now() - start);
      }
    }
  }

  const [byHttp] = Object.values(ways);
  const deno = denoProcess();
  const lots = 10;
  const requestsEach = 100;
  const rpcs = async () => {
    const [row] = await sql<{ calls: number }[]>`
      select coalesce(sum(calls), 0)::float as calls from pg_stat_statements
      where toplevel and query like '%_with_api_key%'`;
    return row!.calls;
  };
  await sql`create extension if not exists pg_stat_statements`;
  const rpcsBefore = await rpcs();
  const cpu: number[] = [];
  for (let lot = 0; lot < lots; lot++) {
    const before = cpuMilliseconds(deno);
    for (let n = 0; n < requestsEach; n++) await byHttp!();
    cpu.push((cpuMilliseconds(deno) - before) / requestsEach);
  }
  const edgeFunction = {
    cpuMilliseconds: median(cpu),
    rpcsPerRequest: (await rpcs() - rpcsBefore) / (lots * requestsEach),
  };
  await sql.end();
  const chain = Object.keys(ways).map((name, index) => ({
    name,
    ...latency(milliseconds[index]!),
  }));
  return { chain, edgeFunction };
}

/** The process id of the edge function: a child of ours. */
function denoProcess(): number {
  const children = execFileSync("ps", ["-o", "pid=,args=", "--ppid", String(process.pid)], {
    encoding: "utf8",
  }).split("\n");
  const deno = children.find((line) => line.includes("functions/api/index.ts"));
  if (!deno) {
    throw new Error(`No child of this process is the edge function:\n${children.join("\n")}`);
  }
  return Number(/\d+/.exec(deno)![0]);
}

/** User and system time of a process and its threads; the kernel counts it in hundredths of a second. */
function cpuMilliseconds(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").replace(/^.*\) /, "").split(" ");
  return (Number(fields[11]) + Number(fields[12])) * 10;
}
