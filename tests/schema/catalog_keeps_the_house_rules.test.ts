import { expect, test } from "vitest";
import { errorKinds } from "../../supabase/functions/_shared/errors.ts";
import { useDatabase } from "../support/database.ts";

const { sql } = useDatabase();

const names = async (query: PromiseLike<{ name: string }[]>) =>
  (await query).map(({ name }) => name);

test("every function sets an empty search_path", async () => {
  const offenders = sql<{ name: string }[]>`
    select p.oid::regprocedure::text as name from pg_proc p
    where p.pronamespace in ('public'::regnamespace, 'tollgate'::regnamespace)
      and not coalesce('search_path=""' = any (p.proconfig), false)`;
  expect(await names(offenders)).toEqual([]);
});

test("no function of the exposed schema is SECURITY DEFINER", async () => {
  const offenders = sql<{ name: string }[]>`
    select p.oid::regprocedure::text as name from pg_proc p
    where p.pronamespace = 'public'::regnamespace and p.prosecdef`;
  expect(await names(offenders)).toEqual([]);
});

test("nothing of ours can be executed or read by PUBLIC or anon", async () => {
  const functions = sql<{ name: string }[]>`
    select p.oid::regprocedure::text as name from pg_proc p
    where p.pronamespace in ('public'::regnamespace, 'tollgate'::regnamespace)
      and has_function_privilege('anon', p.oid, 'execute')`;
  expect(await names(functions)).toEqual([]);
  const tables = sql<{ name: string }[]>`
    select c.oid::regclass::text as name from pg_class c
    where c.relnamespace in ('public'::regnamespace, 'tollgate'::regnamespace)
      and c.relkind in ('r', 'v')
      and has_any_column_privilege('anon', c.oid, 'select, insert, update, references')`;
  expect(await names(tables)).toEqual([]);
});

test("every table has row level security", async () => {
  const offenders = sql<{ name: string }[]>`
    select c.oid::regclass::text as name from pg_class c
    where c.relnamespace = 'public'::regnamespace and c.relkind = 'r' and not c.relrowsecurity`;
  expect(await names(offenders)).toEqual([]);
});

test("every view is security_invoker", async () => {
  const offenders = sql<{ name: string }[]>`
    select c.oid::regclass::text as name from pg_class c
    where c.relnamespace in ('public'::regnamespace, 'tollgate'::regnamespace) and c.relkind = 'v'
      and not coalesce('security_invoker=true' = any (c.reloptions), false)`;
  expect(await names(offenders)).toEqual([]);
});

test("Studio shows help for every table, column, enum and public function", async () => {
  const offenders = sql<{ name: string }[]>`
    select c.oid::regclass::text as name from pg_class c
    where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'v')
      and obj_description(c.oid, 'pg_class') is null
    union all
    select format('%s.%s', c.oid::regclass, a.attname) from pg_class c
    join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
    where c.relnamespace = 'public'::regnamespace and c.relkind = 'r'
      and col_description(c.oid, a.attnum) is null
    union all
    select t.oid::regtype::text from pg_type t
    where t.typnamespace = 'public'::regnamespace and t.typtype in ('e', 'd')
      and obj_description(t.oid, 'pg_type') is null
    union all
    select p.oid::regprocedure::text from pg_proc p
    where p.pronamespace = 'public'::regnamespace and obj_description(p.oid, 'pg_proc') is null`;
  expect(await names(offenders)).toEqual([]);
});

test("every per-user table begins its keys with user_id and has no key across users", async () => {
  const offenders = sql<{ name: string }[]>`
    select i.indexrelid::regclass::text as name
    from pg_index i
    join pg_class c on c.oid = i.indrelid
    join pg_attribute u on u.attrelid = c.oid and u.attname = 'user_id'
    where c.relnamespace = 'public'::regnamespace and c.relname <> 'project_members'
      and i.indisunique and i.indkey[0] <> u.attnum`;
  expect(await names(offenders)).toEqual([]);
});

test("the database raises exactly the SQLSTATEs that the API maps", async () => {
  const raised = sql<{ name: string }[]>`
    select distinct m[1] as name from pg_proc p, regexp_matches(p.prosrc, 'TG\\d{3}', 'g') m
    where p.pronamespace in ('public'::regnamespace, 'tollgate'::regnamespace) order by 1`;
  const mapped = Object.values(errorKinds).flatMap((kind) =>
    "sqlstate" in kind ? [kind.sqlstate] : []
  );
  expect(await names(raised)).toEqual(mapped.sort());
});
