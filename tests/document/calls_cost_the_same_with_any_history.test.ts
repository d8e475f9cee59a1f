import postgres from "postgres";
import { beforeAll, describe, expect, inject, test } from "vitest";
import { databaseUrl } from "../../local/database.ts";
import { SUPERUSER } from "../../local/postgres.ts";
import { types, useDatabase } from "../support/database.ts";
import { Project, type User } from "../support/project.ts";

const { sql, url, connect } = useDatabase();
const TRANSFERS = 20_000;
const GRANTS = 4000;
const STATEMENTS = 15;

/** Calls go over one connection, whose caches are warm; buffers then depend on the data alone. */
const connection = connect(1);
let fresh: User;
let veteran: User;

beforeAll(async () => {
  const project = await Project.create(sql);
  await project.plan({
    quota: 10,
    period: "1 day",
    restrictions: [
      { maxTokens: 1_000_000, duration: "1 month" },
      { tag: "GPT-4", maxTokens: 1_000_000, duration: "1 day" },
    ],
  });
  fresh = await project.user("fresh", { billingAnchor: "1950-01-01T00:00Z" });
  veteran = await project.user("veteran", { billingAnchor: "1950-01-01T00:00Z" });
  await addHistory(veteran);
  for (const user of [fresh, veteran]) {
    for (let grant = 0; grant < 3; grant++) {
      await user.grant(1_000_000, { at: "2026-05-01T00:00Z" });
    }
    await user.consume(1, { tag: "GPT-4", at: "2026-05-01T12:00Z" });
  }
  await sql`vacuum analyze`;
});

/** Years of grants that were spent, later ones that expired, and of daily quota that was used; written
 * past the triggers, which would take a minute. */
async function addHistory(user: User) {
  const { pathname } = new URL(url);
  const superuser = postgres(
    databaseUrl(inject("stack").own!.dbPort, SUPERUSER, pathname.slice(1)),
    { max: 1, types, onnotice() {} },
  );
  await superuser.begin(async (tx) => {
    await tx`set local session_replication_role = replica`;
    await tx`
      insert into user_token_grants
        (user_id, token_amount, tokens_used, is_spent, grant_type, effective_at, created_at,
         expires_at)
      select ${user.id!}, 10, case when is_spent then 10 else 0 end, is_spent, 'bonus', day, day,
        case when not is_spent then day + interval '12 hours' end
      from generate_series(1, ${GRANTS}::integer) n,
      lateral (select timestamptz '1950-01-01T00:00Z' + n * interval '1 day' as day),
      lateral (select n <= ${TRANSFERS / 10} as is_spent)`;
    await tx`
      insert into token_transfers
        (user_id, transfer_number, amount, transaction_type, user_token_grants_id, quota_left,
         grants_left, tokens_held, created_at)
      select user_id, row_number() over (order by created_at), 10, 'grant', id, 0, 10, 0, created_at
      from user_token_grants where user_id = ${user.id!}`;
    await tx`
      insert into token_transfers
        (user_id, transfer_number, amount, transaction_type, quota_id, quota_period_start,
         base_quota_used, grants_used, quota_left, grants_left, tokens_held, request_id,
         request_hash, created_at)
      select ${user.id!}, ${GRANTS} + n, -10, 'consumption', case when from_quota > 0 then q.id end,
        case when from_quota > 0 then day end, from_quota, 10 - from_quota, 0, 0, 0, 'old-' || n, 0, day
      from generate_series(1, ${TRANSFERS}::integer) n,
      lateral (select timestamptz '1965-01-01T00:00Z' + n * interval '1 day' as day),
      lateral (select case when n % 10 = 0 then 0 else 10 end as from_quota),
      plan_quotas q`;
    await tx`
      insert into user_usage_buckets
      select user_id, created_at, uuid_nil.id, uuid_nil.id, 1, 10, base_quota_used, grants_used
      from token_transfers, (select '00000000-0000-0000-0000-000000000000'::uuid as id) uuid_nil
      where user_id = ${user.id!} and transaction_type = 'consumption'`;
    await tx`
      insert into user_quota_usage
        (user_id, quota_id, period_start, period_end, token_amount, tokens_used, begun_at)
      select user_id, quota_id, created_at, created_at + interval '1 day', 10, 10, created_at
      from token_transfers where user_id = ${user.id!} and base_quota_used > 0`;
    await tx`
      insert into user_token_grants_consume
        (user_id, transfer_number, user_token_grants_id, token_deduction, tokens_left, created_at,
         position)
      select user_id, t.transfer_number, g.id, 10, 0, t.created_at, 1
      from (
        select id, row_number() over (order by created_at) as number
        from user_token_grants where user_id = ${user.id!} and is_spent
      ) g
      join token_transfers t
        on t.user_id = ${user.id!} and t.transfer_number = ${GRANTS} + 10 * g.number`;
    await tx`
      update user_usage set last_transfer_number = ${GRANTS + TRANSFERS},
        not_before = (select max(created_at) from token_transfers where user_id = ${user.id!})
      where user_id = ${user.id!}`;
  });
  await superuser.end();
}

/** Buffers touched by one call when everything is warm. */
async function buffers(call: (day: number) => string): Promise<number> {
  const counts: number[] = [];
  for (let day = 1; day <= 12; day++) {
    const [row] = await connection.unsafe<
      { "QUERY PLAN": { Plan: { "Shared Hit Blocks": number; "Shared Read Blocks": number } }[] }[]
    >(`explain (analyze, buffers, format json) select * from ${call(day)}`);
    const { Plan } = row!["QUERY PLAN"][0]!;
    counts.push(Plan["Shared Hit Blocks"] + Plan["Shared Read Blocks"]);
  }
  return Math.min(...counts.slice(-5));
}

const calls = {
  consume: ({ project, externalId }: User) => (day: number) =>
    `tollgate.consume('${project.id}', '${externalId}', 15, (select id from tags), null, 'r-${day}',
      '2030-01-01'::timestamptz + ${day} * interval '1 day')`,
  grant_tokens: ({ project, externalId }: User) => (day: number) =>
    `grant_tokens('${project.id}', '${externalId}', 5, 'bonus', now() + interval '9 years', null, 'g-${day}')`,
  get_user_balance: ({ project, externalId }: User) => () =>
    `get_user_balance('${project.id}', '${externalId}')`,
  get_user_transfers: ({ project, externalId }: User) => () =>
    `get_user_transfers('${project.id}', '${externalId}', 1)`,
  get_usage: ({ project, externalId }: User) => () =>
    `get_usage('${project.id}', '2026-04-01Z', '2026-06-01Z', 'day', 'source', '${externalId}')`,
  change_user: ({ project, externalId }: User) => (day: number) =>
    `change_user('${project.id}', '${externalId}', p_payment_status => '${
      day % 2 ? "trial" : "active"
    }')`,
};

test("a consumption stays within its bounds, whatever the history, and scans no table of users", async () => {
  const costs: { pages: number; bytes: number }[] = [];
  const consume =
    `select * from consume_tokens_v2('${veteran.project.id}', '${veteran.externalId}', 1,
    (select id from tags))`;
  for (let call = 0; call < 12; call++) {
    const [row] = await connection.unsafe<{ "QUERY PLAN": { Plan: Record<string, number> }[] }[]>(
      `explain (analyze, buffers, wal, format json) ${consume}`,
    );
    const plan = row!["QUERY PLAN"][0]!.Plan;
    costs.push({
      pages: plan["Shared Hit Blocks"]! + plan["Shared Read Blocks"]!,
      bytes: plan["WAL Bytes"]!,
    });
  }
  const scanned = await connection.begin(async (tx) => {
    await tx.unsafe(consume);
    return tx`select relname from pg_stat_xact_user_tables
      where seq_scan > 0 and (relname like 'user\\_%' or relname like 'token\\_%' or relname = 'tracked_users')`;
  });

  expect(Math.min(...costs.map(({ pages }) => pages))).toBeLessThanOrEqual(50);
  expect(Math.min(...costs.map(({ bytes }) => bytes))).toBeLessThanOrEqual(1000);
  expect(scanned).toEqual([]);
});

test("a consumption takes no more statements than it did", async () => {
  const { pathname } = new URL(url);
  const superuser = postgres(
    databaseUrl(inject("stack").own!.dbPort, SUPERUSER, pathname.slice(1)),
    { max: 1, types, onnotice() {} },
  );
  try {
    await superuser`create extension if not exists pg_stat_statements`;
    await superuser`set pg_stat_statements.track = 'all'`;
    // What the functions run, assignments that need a query included.
    const nested = async () => {
      const [row] = await superuser<{ calls: number }[]>`
        select coalesce(sum(calls), 0)::bigint as calls from pg_stat_statements
        where not toplevel and dbid = (select oid from pg_database where datname = current_database())`;
      return row!.calls;
    };
    const counts: number[] = [];
    for (let call = 0; call < 5; call++) {
      const before = await nested();
      await superuser.unsafe(`select * from consume_tokens_v2('${veteran.project.id}',
        '${veteran.externalId}', 1, (select id from tags))`);
      counts.push(await nested() - before);
    }

    // The first one may begin a period, or a window.
    expect(Math.min(...counts)).toBeGreaterThan(5);
    expect(Math.min(...counts)).toBeLessThanOrEqual(STATEMENTS);
  } finally {
    await superuser.end();
  }
});

describe.each(Object.entries(calls))("%s", (_, call) => {
  test(`touches as many buffers after ${TRANSFERS} transfers as after few`, async () => {
    const few = await buffers(call(fresh));
    const many = await buffers(call(veteran));

    // Deeper indexes: a few more pages for each index that is descended.
    expect(few).toBeGreaterThan(0);
    expect(many - few).toBeLessThanOrEqual(12);
  });
});
