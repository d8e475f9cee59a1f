import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { format, MatrixRun } from "./matrix.ts";

// Loosens each policy and each grant once, and each rule that they rest on, and expects the matrix to
// differ: TOLLGATE_MUTATE=1, alone on a stack of its own, since other tests would see the holes.

interface Mutant {
  name: string;
  /** The object whose lines must differ. */
  object: string;
  loosen: string;
  restore: string;
}

const EXPECTED = readFileSync(new URL("matrix.expected.txt", import.meta.url), "utf8");

describe.runIf(process.env["TOLLGATE_MUTATE"])("the matrix sees", () => {
  const run = new MatrixRun();
  const { sql } = run;

  const everything = async (object: string) => format(await run.observe([object]));
  /** Without the list of grants: what somebody could really do. */
  const cells = async (object: string) => format({ ...await run.observe([object]), grants: [] });

  async function policies(): Promise<Mutant[]> {
    return await sql<Mutant[]>`
      select
        format('policy %I on %s', policyname, tablename) as name,
        tablename as object,
        concat_ws(' ',
          format('alter policy %I on public.%I', policyname, tablename),
          case when cmd <> 'INSERT' then 'using (true)' end,
          case when cmd in ('INSERT', 'UPDATE') then 'with check (true)' end
        ) as loosen,
        concat_ws(' ',
          format('drop policy %I on public.%I;', policyname, tablename),
          format('create policy %I on public.%I for %s to %s',
            policyname, tablename, cmd, array_to_string(roles, ', ')),
          format('using (%s)', qual),
          format('with check (%s)', with_check)
        ) as restore
      from pg_policies where schemaname = 'public' order by 1`.then((mutants) =>
      mutants.map((mutant) => ({
        ...mutant,
        restore: mutant.restore.replace(/ using \(\)| with check \(\)/g, ""),
      }))
    );
  }

  async function grants(): Promise<Mutant[]> {
    return await sql<Mutant[]>`
      with before as (
        select c.oid, c.relname, role, string_agg(format('grant %s on public.%I to %I',
          case when a.attname is null then acl.privilege_type
            else format('%s (%I)', acl.privilege_type, a.attname) end,
          c.relname, role), '; ') filter (where acl.privilege_type is not null) as restore
        from unnest('{anon,authenticated}'::text[]) role
        cross join pg_class c
        left join lateral (
          select null::name as attname, c.relacl as acl
          union all
          select attname, attacl from pg_attribute where attrelid = c.oid and attacl is not null
        ) a on true
        left join lateral aclexplode(a.acl) acl on acl.grantee = role::regrole
        where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'v')
        group by c.oid, c.relname, role
      )
      select format('grant all on %s to %s', relname, role) as name, relname::text as object,
        format('grant all on public.%I to %I', relname, role) as loosen,
        concat_ws('; ', format('revoke all on public.%I from %I', relname, role), restore) as restore
      from before order by 1`;
  }

  async function functionGrants(): Promise<Mutant[]> {
    return await sql<Mutant[]>`
      select format('execute on %s to %s', p.oid::regprocedure, role) as name, p.proname::text as object,
        format('grant execute on function %s to %I', p.oid::regprocedure, role) as loosen,
        format('revoke execute on function %s from %I', p.oid::regprocedure, role) as restore
      from pg_proc p, unnest('{anon,authenticated,service_role}'::text[]) role
      where p.pronamespace = 'public'::regnamespace
        and not has_function_privilege(role, p.oid, 'execute') order by 1`;
  }

  /** Functions that the policies and the public functions ask: made to allow everything. */
  async function rules(): Promise<Mutant[]> {
    const loosened: [string, string, string][] = [
      ["tollgate.is_trusted()", "create_api_key", "begin return true; end;"],
      ["tollgate.require_role(uuid, public.project_role)", "grant_tokens", "begin end;"],
      ["tollgate.require_reader(uuid)", "get_user_balance", "begin end;"],
      ["tollgate.require_reader(uuid)", "get_usage", "begin end;"],
      ["tollgate.require_consumer(uuid)", "consume_tokens_v2", "begin end;"],
      ["tollgate.require_known_user()", "recurring_grants", "begin return new; end;"],
      [
        "tollgate.my_projects(public.project_role)",
        "plans",
        "select m.project_id from public.project_members m where m.user_id = (select auth.uid())",
      ],
      ["tollgate.my_projects(public.project_role)", "plans", "select p.id from public.projects p"],
      ["tollgate.my_plans(public.project_role)", "plan_quotas", "select p.id from public.plans p"],
    ];
    return await Promise.all(loosened.map(async ([name, object, body]) => {
      const [row] = await sql<{ definition: string; body: string }[]>`
        select pg_get_functiondef(oid) as definition, prosrc as body
        from pg_proc where oid = ${name}::regprocedure`;
      const { definition, body: original } = row!;
      return {
        name: `${name} loosened`,
        object,
        loosen: definition.replace(original, () => body),
        restore: definition,
      };
    }));
  }

  test.each([
    ["each loosened policy", policies, cells],
    ["each loosened rule", rules, cells],
    ["each grant of everything on a table or view", grants, everything],
    ["each grant of a function", functionGrants, everything],
  ])("%s", { timeout: 600_000 }, async (_, mutants, look) => {
    expect(await survivors(await mutants(), look)).toEqual([]);
  });

  async function survivors(mutants: Mutant[], look: (object: string) => Promise<string>) {
    const found: string[] = [];
    const usual = new Map<string, string>();
    expect(mutants.length).toBeGreaterThan(0);
    for (const { name, object, loosen, restore } of mutants) {
      if (!usual.has(object)) usual.set(object, await look(object));
      await sql.unsafe(loosen);
      try {
        if (await look(object) === usual.get(object)) found.push(name);
      } finally {
        await sql.unsafe(restore);
      }
    }
    return found;
  }

  test("nothing once all is restored", async () => {
    expect(format(await run.observe())).toBe(EXPECTED);
  }, 240_000);
});
