import postgres from "postgres";
import { afterAll, beforeAll, expect, inject, test } from "vitest";
import { createDatabase, databaseUrl } from "../../local/database.ts";
import { SUPERUSER } from "../../local/postgres.ts";
import { type TestSql, types } from "../support/database.ts";
import { Project, type User } from "../support/project.ts";

// A session keeps the plans that it made when the product was new and its tables were empty. Nothing
// replaces them until statistics are gathered: until then they must find rows by key, too.
//
// The past that is written here makes no sense: so the database is not verified at the end.

const USERS = 3_000;
const ROWS = 20_000;
const GRANTS = 1_000;

let sql: TestSql;
let session: TestSql;
let superuser: TestSql;
let user: User;
let tagId: string;
let recurringGrantId: string;
const grantIds: string[] = [];
let holdId: string;

const calls = {
  consume: (n: number) =>
    `tollgate.consume('${user.project.id}', 'ada', 3, '${tagId}',
      null, 'consume-${n}')`,
  check: (n: number) =>
    `tollgate.consume('${user.project.id}', 'ada', 3, '${tagId}',
      null, 'check-${n}', null, 'up_to', true)`,
  hold: (n: number) =>
    `tollgate.hold('${user.project.id}', 'ada', 1, '${tagId}', 60,
      null, 'hold-${n}')`,
  extend: (n: number) =>
    `tollgate.change_hold('${user.project.id}', '${holdId}', 86400, 'extend-${n}')`,
  batch: (n: number) =>
    `tollgate.consume_batch('${user.project.id}', '[{"user_id": "ada", "tokens_to_consume": 1,
      "tag": "GPT-4", "request_id": "batch-${n}"}]', false)`,
  refund: (n: number) =>
    `tollgate.refund_tokens('${user.project.id}', 'ada', 2, null, 1, false, null, null, 'refund-${n}')`,
  grant: (n: number) =>
    `tollgate.grant_tokens('${user.project.id}', 'ada', 1, 'bonus', now() + interval '3 years', null,
      'grant-${n}')`,
  balance: () => `tollgate.balance('${user.id}')`,
  link: () => `tollgate.link_user('${user.project.id}', 'ada', null)`,
  usage: () =>
    `tollgate.usage('${user.project.id}', '2026-04-01Z', '2026-06-01Z', 'day', 'tag', 'ada', null)`,
  change: (n: number) =>
    `tollgate.change_user('${user.project.id}', 'ada', null, '${n % 2 ? "trial" : "active"}', 'now',
      'keep', null, null, null, 'change-${n}')`,
  recur: (n: number) =>
    `tollgate.create_recurring_grant('${user.project.id}', 'ada', 1, 'bonus', '1 year',
      '2999-01-01Z', null, null, 50, null, null, 'recur-${n}')`,
  end: () => `tollgate.end_recurring_grant('${user.project.id}', 'ada', '${recurringGrantId}')`,
  void: (n: number) =>
    `tollgate.void_grant('${user.project.id}', 'ada', '${
      grantIds[n < 100 ? n : n - 94]
    }', null, 'void-${n}')`,
};

beforeAll(async () => {
  const { dbPort } = inject("stack").own!;
  await createDatabase(dbPort, "small_then_grown");
  const url = databaseUrl(dbPort, "postgres", "small_then_grown");
  sql = postgres(url, { max: 1, types, onnotice() {} });
  session = postgres(url, { max: 1, types, onnotice() {} });
  superuser = postgres(databaseUrl(dbPort, SUPERUSER, "small_then_grown"), {
    ...{ max: 1, types, onnotice() {} },
  });
  const project = await Project.create(sql);
  await project.plan({
    quota: 1_000,
    period: "1 day",
    restrictions: [{ tag: "GPT-4", maxTokens: 1_000_000, duration: "1 month" }],
  });
  tagId = await project.tagId("GPT-4");
  user = await project.user("ada", { billingAnchor: "1950-01-01T00:00Z" });
  await user.grant(1_000_000, { at: "2026-05-01T00:00Z" });
  await user.consume(5_000, { at: "2026-05-01T00:00Z", tag: "GPT-4", mode: "up_to" });
  holdId = (await user.hold(1, { ttl: 86_400 })).hold_id;
  recurringGrantId = await user.recurringGrant(1, "1 year", { startsAt: "2999-01-01T00:00Z" });
  for (let n = 0; n < 12; n++) grantIds.push((await user.grant(1)).grant_id);
  for (
    const { name } of await sql<{ name: string }[]>`
    select c.oid::regclass::text as name from pg_class c
    where c.relkind = 'r' and c.relnamespace in ('public'::regnamespace, 'tollgate'::regnamespace)`
  ) await sql.unsafe(`alter table ${name} set (autovacuum_enabled = false)`);
  await sql`analyze`;
});

afterAll(async () => {
  await Promise.all([sql.end(), session.end(), superuser.end()]);
});

async function buffersOf(call: (n: number) => string, first: number): Promise<number> {
  const pages: number[] = [];
  for (let n = first; n < first + 6; n++) {
    const [row] = await session.unsafe<
      { "QUERY PLAN": { Plan: { "Shared Hit Blocks": number; "Shared Read Blocks": number } }[] }[]
    >(`explain (analyze, buffers, format json) select * from ${call(n)}`);
    const { Plan } = row!["QUERY PLAN"][0]!;
    pages.push(Plan["Shared Hit Blocks"] + Plan["Shared Read Blocks"]);
  }
  return Math.min(...pages);
}

/** Other plans, tags and users of the project, and a long past of the user. */
async function grow() {
  await sql`insert into plans (project_id, name)
    select ${user.project.id}, 'plan ' || n from generate_series(1, ${USERS}::integer) n`;
  await sql`insert into plan_restrictions (plan_id, restriction_type, restriction_config)
    select id, 'total', '{"max_tokens": 1, "duration": "1 day"}' from plans where name like 'plan %'`;
  await sql`insert into tags (project_id, name)
    select ${user.project.id}, 'tag ' || n from generate_series(1, ${USERS}::integer) n`;
  await sql`insert into tracked_users (project_id, external_id)
    select ${user.project.id}, 'user ' || n from generate_series(1, ${USERS}::integer) n`;
  // Past the triggers, which would leave a thousand dead rows of running state behind.
  await superuser.begin(async (tx) => {
    await tx`set local session_replication_role = replica`;
    await tx`insert into user_token_grants
        (user_id, token_amount, tokens_used, is_spent, grant_type, effective_at, expires_at)
      select ${user.id!}, 5, 5, true, 'bonus', now(), now() + n * interval '1 day'
      from generate_series(1, ${GRANTS}::integer) n`;
  });
  await sql.begin(async (tx) => {
    await tx`set local role tollgate_kernel`;
    await tx`insert into user_tags
      select u.id, g.tag_id from tracked_users u, user_tags g where g.user_id <> u.id`;
    await tx`insert into user_usage_buckets
      select u.id, b.starts_at, b.tag_id, b.api_key_id, 0, 0, 0, 0
      from tracked_users u, user_usage_buckets b where b.user_id <> u.id`;
    await tx`insert into user_usage_buckets
      select b.user_id, timestamptz '2020-01-01Z' + n * interval '15 minutes', b.tag_id, b.api_key_id,
        0, 0, 0, 0
      from (select * from user_usage_buckets where user_id = ${user.id!} limit 1) b,
        generate_series(1, ${ROWS}::integer) n`;
    await tx`insert into user_quota_usage
      select u.id, q.quota_id, q.period_start, q.period_end, 10, false, 1
      from tracked_users u, user_quota_usage q where u.id <> q.user_id`;
    await tx`insert into user_quota_usage
      select user_id, quota_id, timestamptz '1800-01-01Z' + n * interval '1 day',
        timestamptz '1800-01-02Z' + n * interval '1 day', 10, false, 1
      from (select * from user_quota_usage where user_id = ${user.id!} limit 1) q,
        generate_series(1, ${ROWS}::integer) n`;
    await tx`insert into token_holds
      select ${user
      .id!}, - n, 5, null, null, null, array[row(gen_random_uuid(), 5, 0)::token_source],
        null, null, now() - n * interval '1 minute', now() - n * interval '2 minutes'
      from generate_series(1, ${ROWS}::integer) n`;
    await tx`insert into token_transfers
        (user_id, transfer_number, amount, transaction_type, quota_left, grants_left, tokens_held,
         refers_to, request_id, created_at)
      select ${user.id!}, - n, 0, 'extension', 0, 0, 0, - n, 'old-' || n, '2020-01-01Z'
      from generate_series(1, ${ROWS}::integer) n`;
  });
}

test(
  "every call reads about as much when tables have grown as it did when it was planned",
  async () => {
    const small: Record<string, number> = {};
    for (const [name, call] of Object.entries(calls)) small[name] = await buffersOf(call, 0);

    await grow();

    const grown: Record<string, number> = {};
    for (const [name, call] of Object.entries(calls)) grown[name] = await buffersOf(call, 100);
    for (const [name, pages] of Object.entries(grown)) {
      // Indexes have become a level or two deeper.
      expect(pages, name).toBeLessThanOrEqual(2 * small[name]!);
    }
  },
  60_000,
);
