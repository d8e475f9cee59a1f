import { expect, test } from "vitest";
import { useDatabase } from "../support/database.ts";

const { sql } = useDatabase();

test("a form needs only what nobody can guess", async () => {
  const required = await sql`
    select c.relname as table, array_agg(a.attname::text order by a.attnum) as columns
    from pg_class c
    join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
    where c.relnamespace = 'public'::regnamespace and c.relkind = 'r'
      and a.attnotnull and not a.atthasdef
      and c.relname in ('projects', 'project_members', 'plans', 'plan_quotas', 'tags',
        'plan_restrictions', 'tracked_users', 'user_token_grants', 'recurring_grants')
    group by c.relname`;

  expect(Object.fromEntries(required.map(({ table, columns }) => [table, columns]))).toEqual({
    projects: ["name"],
    project_members: ["project_id", "user_id"],
    plans: ["project_id", "name"],
    plan_quotas: ["plan_id", "token_amount"],
    tags: ["project_id", "name"],
    plan_restrictions: ["plan_id", "restriction_type", "restriction_config"],
    // plan_id is filled with the project's default plan.
    tracked_users: ["project_id", "external_id", "plan_id"],
    user_token_grants: ["user_id", "token_amount", "grant_type"],
    recurring_grants: ["user_id", "token_amount", "grant_type", "every"],
  });
});

test("a project is set up with nothing but these fields", async () => {
  const [project] = await sql`insert into projects (name) values ('Studio') returning id`;
  const { id } = project!;
  const [plan] = await sql`
    insert into plans (project_id, name) values (${id}, 'Pro') returning id`;
  await sql`update projects set default_plan_id = ${plan!["id"]} where id = ${id}`;
  await sql`insert into plan_quotas (plan_id, token_amount) values (${plan!["id"]}, 100)`;
  await sql`insert into tags (project_id, name) values (${id}, 'GPT-4')`;
  await sql`insert into plan_restrictions (plan_id, restriction_type, restriction_config)
    values (${plan!["id"]}, 'tag', '{"tag_name": "GPT-4", "max_tokens": 50, "duration": "1 day"}')`;
  const [user] = await sql`
    insert into tracked_users (project_id, external_id) values (${id}, 'ada') returning id`;
  await sql`insert into user_token_grants (user_id, token_amount, grant_type)
    values (${user!["id"]}, 7, 'bonus')`;
  await sql`insert into recurring_grants (user_id, token_amount, grant_type, every)
    values (${user!["id"]}, 3, 'bonus', '1 week')`;

  const [balance] = await sql`select * from get_user_balance(${id}, 'ada')`;

  expect(balance).toMatchObject({
    plan: "Pro",
    plan_type: "subscription",
    payment_status: "active",
    tokens_left: 110,
    restrictions: [{ tag: "GPT-4", max_tokens: 50, left: 50 }],
  });
});

test("what is one of a few is an enum: Studio shows a list", async () => {
  const enums = await sql`
    select c.relname || '.' || a.attname as column from pg_attribute a
    join pg_class c on c.oid = a.attrelid
    join pg_type t on t.oid = a.atttypid
    where c.relnamespace = 'public'::regnamespace and c.relkind = 'r' and a.attnum > 0
      and (t.typtype = 'e' or t.typcategory = 'A'
        and exists (select from pg_type e where e.oid = t.typelem and e.typtype = 'e'))
    order by 1`;

  expect(enums.map(({ column }) => column)).toEqual([
    "api_keys.scopes",
    "plan_quotas.counted_from",
    "plan_quotas.period",
    "plan_restrictions.restriction_type",
    "plans.plan_type",
    "project_members.role",
    "projects.week_start",
    "recurring_grants.every",
    "recurring_grants.grant_type",
    "recurring_grants.valid_for",
    "token_transfers.transaction_type",
    "tracked_users.payment_status",
    "user_token_grants.grant_type",
    "user_usage.week_start",
  ]);
});

test("what names a row of another table is a foreign key, but for rows of the kernel: Studio shows a picker", async () => {
  const without = await sql`
    select c.relname || '.' || a.attname as column from pg_attribute a
    join pg_class c on c.oid = a.attrelid
    where c.relnamespace = 'public'::regnamespace and c.relkind = 'r' and a.attnum > 0
      and a.atttypid = 'uuid'::regtype and a.attname <> 'id'
      and c.relname not in
        ('token_transfers', 'user_token_grants_consume', 'token_holds', 'user_usage_buckets')
      and (c.relname, a.attname) not in
        (('user_token_grants', 'recurring_grant_id'), ('plan_restrictions', 'counter_id'))
      and not exists (
        select from pg_constraint f
        where f.conrelid = c.oid and f.contype = 'f' and a.attnum = any (f.conkey)
      )`;

  expect([...without]).toEqual([]);
});
