import postgres, { type Sql } from "postgres";
import { startStack } from "../local/stack.ts";

// What a consumption costs, relative to the least that any metering must do: find the user, update a
// balance, insert an audit row. Load comes from Node on the same machine, so read the ratios, the WAL
// bytes and the buffers, not the calls a second. Takes about two minutes.

const USERS = 1000;
const ROUNDS = 5;
const SECONDS = 2;
const PROJECT = "b0000000-0000-4000-8000-000000000001";
const TAG = "b0000000-0000-4000-8000-000000000021";

const setup = `
  insert into projects (id, name) values ('${PROJECT}', 'Bench');
  insert into tags (id, project_id, name) values ('${TAG}', '${PROJECT}', 'GPT-4');
  insert into plans (project_id, name, plan_type)
  values ('${PROJECT}', 'quota', 'subscription'), ('${PROJECT}', 'grants', 'pay_as_you_go');
  insert into plan_quotas (plan_id, token_amount) select id, 1e12 from plans where name = 'quota';
  insert into plan_restrictions (plan_id, restriction_type, restriction_config)
  select p.id, r.type::restriction_type, r.config::jsonb
  from plans p, (values
    ('tag', '{"tag_name": "GPT-4", "max_tokens": 1000000000, "duration": "1 day"}'),
    ('total', '{"max_tokens": 1000000000, "duration": "1 month"}')
  ) r (type, config);
  insert into tracked_users (project_id, external_id, plan_id)
  select '${PROJECT}', p.name || n, p.id from plans p, generate_series(1, ${USERS}) n;
  insert into user_token_grants (user_id, token_amount, grant_type, expires_at)
  select u.id, 1e9, 'purchase', now() + n * interval '30 days'
  from tracked_users u, generate_series(1, 5) n where u.external_id like 'grants%';

  create schema floor;
  create table floor.users (
    project_id uuid, external_id text, balance bigint, primary key (project_id, external_id)
  ) with (fillfactor = 80);
  create table floor.audit (
    id bigint generated always as identity primary key,
    user_id text, amount bigint, created_at timestamptz default now()
  );
  create index on floor.audit (user_id);
  insert into floor.users
  select '${PROJECT}', 'user' || n, 1e12 from generate_series(1, ${USERS}) n;
  create function floor.consume(p_project_id uuid, p_user text, p_tokens bigint) returns void
  language plpgsql as $$
  begin
    update floor.users set balance = balance - p_tokens
    where project_id = p_project_id and external_id = p_user and balance >= p_tokens;
    insert into floor.audit (user_id, amount) values (p_user, - p_tokens);
  end;
  $$;`;

type Call = (sql: Sql, user: number) => PromiseLike<unknown>;

const floor: Call = (sql, n) => sql`select floor.consume(${PROJECT}, ${"user" + n}, 3)`;
const consume = (user: string): Call => (sql, n) =>
  sql`select * from consume_tokens_v2(${PROJECT}, ${user + n}, 3, ${TAG})`;
const fromGrants = consume("grants");
const fromQuota = consume("quota");

const anyUser = () => 1 + Math.floor(Math.random() * USERS);

async function callsPerSecond(sql: Sql, clients: number, call: Call, user = anyUser) {
  const end = performance.now() + SECONDS * 1000;
  let calls = 0;
  const client = async () => {
    for (; performance.now() < end; calls++) await call(sql, user());
  };
  await Promise.all(Array.from({ length: clients }, client));
  return calls / SECONDS;
}

/** Each round measures all candidates one after another, so that neighbours disturb all alike. */
async function ratiosToFloor(sql: Sql, clients: number, candidates: Record<string, Call>) {
  const ratios: Record<string, number[]> = {};
  const floors: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const base = await callsPerSecond(sql, clients, floor);
    floors.push(base);
    for (const [name, call] of Object.entries(candidates)) {
      (ratios[name] ??= []).push(await callsPerSecond(sql, clients, call) / base);
    }
  }
  console.log(`| floor | ${clients} | ${summary(floors, 0)} calls/s |`);
  for (const [name, values] of Object.entries(ratios)) {
    console.log(`| ${name} | ${clients} | ${summary(values, 2)} |`);
  }
}

function summary(values: number[], digits: number): string {
  const sorted = values.toSorted((a, b) => a - b);
  const [low, middle, high] = [sorted[0], sorted[sorted.length >> 1], sorted.at(-1)];
  return `${middle?.toFixed(digits)} (${low?.toFixed(digits)} to ${high?.toFixed(digits)})`;
}

/** WAL bytes and buffers of one call, after warming up: they do not depend on the neighbours. */
async function footprint(sql: Sql, name: string, call: Call, query: string) {
  const wal = async () => {
    const [row] = await sql<
      { bytes: string }[]
    >`select pg_current_wal_insert_lsn() - '0/0' as bytes`;
    return Number(row?.bytes);
  };
  for (let user = 1; user <= USERS; user++) await call(sql, user);
  await sql`checkpoint`.catch(() => {});
  for (let user = 1; user <= USERS; user++) await call(sql, user); // Full-page images are paid here.
  const before = await wal();
  for (let user = 1; user <= USERS; user++) await call(sql, user);
  const bytes = Math.round((await wal() - before) / USERS);
  const [row] = await sql.unsafe<{ "QUERY PLAN": { Plan: { "Shared Hit Blocks": number } }[] }[]>(
    `explain (analyze, buffers, format json) ${query}`,
  );
  console.log(`| ${name} | ${bytes} | ${row?.["QUERY PLAN"][0]?.Plan["Shared Hit Blocks"]} |`);
}

const stack = await startStack({ durable: true, seed: false });
try {
  const one = postgres(stack.dbUrl(), { max: 1, onnotice() {} });
  const eight = postgres(stack.dbUrl(), { max: 8, onnotice() {} });
  await one.unsafe(setup);
  await one`
    vacuum analyze floor.users, tracked_users, user_token_grants, user_usage, plans, plan_restrictions`;

  console.log("| call | WAL bytes | buffers |\n| --- | --- | --- |");
  const v2 = (user: string) =>
    `select * from consume_tokens_v2('${PROJECT}', '${user}', 3, '${TAG}')`;
  await footprint(one, "floor", floor, `select floor.consume('${PROJECT}', 'user7', 3)`);
  await footprint(one, "paid from grants", fromGrants, v2("grants7"));
  await footprint(one, "paid from quota", fromQuota, v2("quota7"));

  console.log("\n| call | clients | of the floor: median (range) |\n| --- | --- | --- |");
  const candidates = { "paid from grants": fromGrants, "paid from quota": fromQuota };
  await ratiosToFloor(one, 1, candidates);
  await ratiosToFloor(eight, 8, candidates);

  const spread = await callsPerSecond(eight, 8, fromGrants);
  const hot = await callsPerSecond(eight, 8, fromGrants, () => 1);
  console.log(`| one hot user, of spread load | 8 | ${(hot / spread).toFixed(2)} |`);
  await Promise.all([one.end(), eight.end()]);
} finally {
  await stack.stop();
}
