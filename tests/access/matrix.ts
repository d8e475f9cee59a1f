import type { TestSql } from "../support/database.ts";
import {
  type Caller,
  connectToStack,
  rest,
  type RestAnswer,
  signedIn,
  userToken,
} from "../support/rest.ts";
import { stack } from "../support/tenant.ts";
import { addPeople, createWorld, type People, type World } from "./world.ts";

// Tries what every actor can do with every table, view and function of the exposed schema, over HTTP,
// and writes it down as text. What there is to try comes from the catalog.

type DatabaseRole = "anon" | "authenticated" | "service_role";

interface Actor {
  name: string;
  role: DatabaseRole;
  caller: Caller;
}

async function actors(people: People): Promise<Actor[]> {
  const user = async (name: string, token: Promise<string>): Promise<Actor> => ({
    name,
    role: "authenticated",
    caller: signedIn(await token),
  });
  const pretended = { role: "owner", project_role: "owner", is_admin: true, sub: people.owner };
  return [
    { name: "anon", role: "anon", caller: { apikey: stack.publishableKey } },
    await user("owner", userToken(people.owner)),
    await user("admin", userToken(people.admin)),
    await user("viewer", userToken(people.viewer)),
    await user("other owner", userToken(people.other_owner)),
    await user("linked user", userToken(people.linked_user)),
    await user("other user", userToken(people.other_user)),
    await user("stranger", userToken(people.stranger)),
    await user(
      "forged claims",
      userToken(people.stranger, {
        claims: {
          user_metadata: pretended,
          app_metadata: { ...pretended, role: "service_role" },
          user_role: "owner",
          email: "owner@example.com",
        },
      }),
    ),
    await user("expired token", userToken(people.owner, { expiresAt: 1_700_000_000 })),
    { name: "service_role", role: "service_role", caller: { apikey: stack.secretKey } },
  ];
}

type Row = Record<string, unknown>;

/** What an actor tries with a table: rows of the world that nothing stands in the way of. */
interface Attempt {
  insert: Row;
  update: Row;
  /** The row to update or delete, as a filter of PostgREST. */
  row: string;
}

function attempts({ id, ...w }: World, { guest, newcomer }: People): Record<string, Attempt> {
  const ada = { user_id: w.users.ada };
  const ofAda = `user_id=eq.${w.users.ada}`;
  const created_at = "2026-01-01T00:00:00Z";
  const view = {
    insert: { project_id: id },
    update: { project_id: id },
    row: `project_id=eq.${id}`,
  };
  return {
    projects: {
      insert: { name: `${id} new` },
      update: { time_zone: "Europe/Paris" },
      row: `id=eq.${w.emptyProject}`,
    },
    project_members: {
      insert: { project_id: id, user_id: newcomer, role: "owner" },
      update: { role: "owner" },
      row: `project_id=eq.${id}&user_id=eq.${guest}`,
    },
    plans: {
      insert: { project_id: id, name: "New" },
      update: { plan_type: "pay_as_you_go" },
      row: `id=eq.${w.sparePlan}`,
    },
    plan_quotas: {
      insert: { plan_id: w.sparePlan, token_amount: 5 },
      update: { token_amount: 5 },
      row: `id=eq.${w.spareQuota}`,
    },
    tags: {
      insert: { project_id: id, name: "New" },
      update: { name: "Renamed" },
      row: `id=eq.${w.spareTag}`,
    },
    plan_restrictions: {
      insert: {
        plan_id: w.plan,
        restriction_type: "total",
        restriction_config: { max_tokens: 5, duration: "1 day" },
      },
      update: { restriction_config: { tag_name: "GPT-4", max_tokens: 5, duration: "1 day" } },
      row: `id=eq.${w.restriction}`,
    },
    tracked_users: {
      insert: { project_id: id, external_id: "new", plan_id: w.plan },
      update: { payment_status: "canceled" },
      row: `id=eq.${w.users.idle}`,
    },
    user_token_grants: {
      insert: { ...ada, token_amount: 5, grant_type: "bonus" },
      update: { expires_at: "2999-01-01T00:00:00Z" },
      row: ofAda,
    },
    user_token_grants_consume: {
      insert: {
        ...ada,
        transfer_number: 9,
        user_token_grants_id: id,
        token_deduction: 5,
        tokens_left: 0,
        created_at,
        position: 1,
      },
      update: { token_deduction: 5 },
      row: ofAda,
    },
    user_quota_usage: {
      insert: {
        ...ada,
        quota_id: w.spareQuota,
        period_start: created_at,
        period_end: "2026-02-01T00:00:00Z",
        token_amount: 5,
        tokens_used: 5,
      },
      update: { tokens_used: 0 },
      row: ofAda,
    },
    token_transfers: {
      insert: {
        ...ada,
        transfer_number: 9,
        amount: 5,
        transaction_type: "grant",
        user_token_grants_id: id,
        quota_left: 0,
        grants_left: 5,
        tokens_held: 0,
        created_at,
      },
      update: { metadata: {} },
      row: ofAda,
    },
    token_holds: {
      insert: {
        ...ada,
        transfer_number: 9,
        token_amount: 5,
        sources: '{"(,5,0)"}',
        expires_at: "2999-01-01T00:00:00Z",
        created_at,
      },
      update: { token_amount: 1 },
      row: ofAda,
    },
    user_usage: { insert: ada, update: { last_transfer_number: 0 }, row: ofAda },
    user_usage_buckets: {
      insert: {
        ...ada,
        starts_at: created_at,
        tag_id: w.tag,
        api_key_id: w.key,
        calls: 0,
        tokens_used: 0,
        base_quota_used: 0,
        grants_used: 0,
      },
      update: { tokens_used: 0 },
      row: ofAda,
    },
    user_tags: {
      insert: { ...ada, tag_id: w.spareTag },
      update: { tag_id: w.spareTag },
      row: ofAda,
    },
    recurring_grants: {
      insert: { ...ada, token_amount: 5, grant_type: "bonus", every: "1 day" },
      update: { ends_at: "2999-06-01T00:00:00Z" },
      row: ofAda,
    },
    api_keys: {
      insert: {
        project_id: id,
        name: "New",
        key_hash: `\\x${"00".repeat(32)}`,
        key_hint: "tg_live_0000",
      },
      update: { name: "Renamed" },
      row: `id=eq.${w.key}`,
    },
    current_balances: view,
    restriction_status: view,
    usage_by_day_and_tag: view,
    recent_transfers: view,
    open_holds: view,
  };
}

interface Call {
  args: Row;
  /** May signed-in users consume their own tokens? By default not. */
  clientsConsume?: boolean;
}

/** By the function's name; what follows a comma tells two calls of one function apart. */
function calls(w: World, { newcomer }: People): Record<string, Call> {
  const ada = { p_project_id: w.id, p_external_user_id: "ada" };
  const key = { p_key_hash: w.keyHash, p_external_user_id: "ada" };
  const consumption = { ...ada, p_tokens_consumed: 5, p_tag_id: w.tag };
  const tokens = { ...ada, p_tokens: 1, p_tag: "GPT-4" };
  const batch = {
    p_project_id: w.id,
    p_items: [{ user_id: "ada", tokens_to_consume: 1, tag: "GPT-4" }],
  };
  const hold = { p_project_id: w.id, p_hold_id: w.hold };
  const holdOfKey = { p_key_hash: w.keyHash, p_hold_id: w.hold };
  // The number of ada's consumption.
  const refund = { p_transfer_number: 2, p_tokens: 1 };
  const change = { p_payment_status: "canceled" };
  const recurring = { p_tokens: 5, p_grant_type: "bonus", p_every: "1 week" };
  const end = { p_recurring_grant_id: w.recurringGrant };
  const usage = { p_from: "2026-01-01", p_to: "2099-01-01", p_step: "month" };
  return {
    create_project: { args: { p_name: `${w.id} new` } },
    consume_tokens_v2: { args: consumption },
    "consume_tokens_v2, clients may": { args: consumption, clientsConsume: true },
    consume_tokens: { args: tokens },
    "consume_tokens, clients may": { args: tokens, clientsConsume: true },
    check_tokens: { args: tokens },
    "check_tokens, clients may": { args: tokens, clientsConsume: true },
    consume_batch: { args: batch },
    "consume_batch, clients may": { args: batch, clientsConsume: true },
    hold_tokens: { args: tokens },
    "hold_tokens, clients may": { args: tokens, clientsConsume: true },
    settle_hold: { args: { ...hold, p_tokens: 1 } },
    "settle_hold, clients may": { args: { ...hold, p_tokens: 1 }, clientsConsume: true },
    extend_hold: { args: hold },
    "extend_hold, clients may": { args: hold, clientsConsume: true },
    release_hold: { args: hold },
    "release_hold, clients may": { args: hold, clientsConsume: true },
    refund_tokens: { args: { ...ada, ...refund } },
    grant_tokens: { args: { ...ada, p_tokens: 5, p_grant_type: "bonus" } },
    void_grant: { args: { ...ada, p_grant_id: w.grant } },
    create_recurring_grant: { args: { ...ada, ...recurring } },
    end_recurring_grant: { args: { ...ada, ...end } },
    change_user: { args: { ...ada, ...change } },
    get_user_balance: { args: ada },
    "get_user_balance, as of then": { args: { ...ada, p_as_of: w.then } },
    get_usage: { args: { p_project_id: w.id, ...usage } },
    "get_usage, by key": { args: { p_project_id: w.id, ...usage, p_group_by: "key" } },
    "get_usage, of one user": { args: { ...ada, ...usage, p_group_by: "tag" } },
    "get_usage, of one user by key": { args: { ...ada, ...usage, p_group_by: "key" } },
    "get_usage, of one user and a tag": { args: { ...ada, ...usage, p_tag: "GPT-4" } },
    "get_usage, of one user and another tag": { args: { ...ada, ...usage, p_tag: "spare" } },
    get_user_transfers: { args: ada },
    create_api_key: { args: { p_project_id: w.id, p_name: "New" } },
    revoke_api_key: { args: { p_key_id: w.key } },
    rotate_api_key: { args: { p_key_id: w.key } },
    link_user: { args: { ...ada, p_external_user_id: "idle", p_auth_user_id: newcomer } },
    consume_with_api_key: { args: { ...key, p_tokens: 5 } },
    check_with_api_key: { args: { ...key, p_tokens: 1 } },
    batch_with_api_key: { args: { p_key_hash: w.keyHash, p_items: batch.p_items } },
    hold_with_api_key: { args: { ...key, p_tokens: 1 } },
    settle_with_api_key: { args: { ...holdOfKey, p_tokens: 1 } },
    extend_with_api_key: { args: holdOfKey },
    release_with_api_key: { args: holdOfKey },
    refund_with_api_key: { args: { ...key, ...refund } },
    grant_with_api_key: { args: { ...key, p_tokens: 5, p_grant_type: "bonus" } },
    void_grant_with_api_key: { args: { ...key, p_grant_id: w.grant } },
    recurring_grant_with_api_key: { args: { ...key, ...recurring } },
    end_recurring_grant_with_api_key: { args: { ...key, ...end } },
    change_user_with_api_key: { args: { ...key, ...change } },
    usage_with_api_key: { args: { p_key_hash: w.keyHash, ...usage } },
    balance_with_api_key: { args: key },
    transfers_with_api_key: { args: key },
    link_user_with_api_key: {
      args: { ...key, p_external_user_id: "idle", p_auth_user_id: newcomer },
    },
    verify_ledger: { args: {} },
  };
}

interface Catalog {
  /** Tables and views, with the columns that each role may select. */
  relations: { name: string; columns: Record<DatabaseRole, string[] | null> }[];
  functions: string[];
  grants: { name: string; lines: string[] }[];
}

async function readCatalog(sql: TestSql): Promise<Catalog> {
  const relations = await sql<Catalog["relations"]>`
    select c.relname as name, (
      select jsonb_object_agg(role, (
        select jsonb_agg(a.attname order by a.attnum) from pg_attribute a
        where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
          and has_column_privilege(role, c.oid, a.attnum, 'select')
      )) from unnest('{anon,authenticated,service_role}'::text[]) role
    ) as columns
    from pg_class c
    where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p', 'v', 'm', 'f')
    order by c.relname`;
  const functions = await sql<{ name: string }[]>`
    select distinct p.proname as name from pg_proc p
    where p.pronamespace = 'public'::regnamespace order by 1`;
  const grants = await sql<Catalog["grants"]>`
    with roles as (select unnest('{anon,authenticated,service_role}'::text[]) as role),
    relations as (
      select c.oid, c.relname::text as name from pg_class c
      where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p', 'v', 'm', 'f')
    ),
    verbs as (
      select name, role, verb, ordinality, case
        when has_table_privilege(role, oid, verb) then verb
        when verb in ('select', 'insert', 'update', 'references') then (
          select format('%s (%s)', verb, string_agg(a.attname, ', ' order by a.attnum))
          from pg_attribute a
          where a.attrelid = oid and a.attnum > 0 and not a.attisdropped
            and has_column_privilege(role, oid, a.attnum, verb)
          having count(*) > 0
        )
      end as may
      from relations, roles,
        unnest('{select,insert,update,delete,truncate,references,trigger,maintain}'::text[])
          with ordinality v (verb, ordinality)
    ),
    granted as (
      select name, format('%s: %s', role, string_agg(may, ', ' order by ordinality)) as line
      from verbs group by name, role having count(may) > 0
      union all
      select p.oid::regprocedure::text, role || ': execute' from pg_proc p, roles
      where p.pronamespace = 'public'::regnamespace and has_function_privilege(role, p.oid, 'execute')
    )
    select name, array_agg(line order by line) as lines from granted group by name order by name`;
  return { relations, functions: functions.map(({ name }) => name), grants };
}

/** One line of the matrix: an actor's cells for one object. */
export interface Line {
  object: string;
  actor: string;
  cells: string[];
}

export interface Matrix {
  relations: Line[];
  functions: Line[];
  grants: Catalog["grants"];
}

export class MatrixRun {
  readonly sql = connectToStack();

  /** Tries all objects, or those named. */
  async observe(only?: string[]): Promise<Matrix> {
    const { sql } = this;
    const catalog = await readCatalog(sql);
    const isWanted = (name: string) => only === undefined || only.includes(name);
    const relations = catalog.relations.filter(({ name }) => isWanted(name));
    const functions = catalog.functions.filter(isWanted);

    const people = await addPeople(sql);
    const everybody = await actors(people);
    const here = await createWorld(sql, people);
    const there = await createWorld(sql, { owner: people.other_owner });
    const rows = await this.#rows(relations.map(({ name }) => name), here, there);

    // All reading comes before any writing: the writes make worlds that the actors would see, too.
    const selected = await Promise.all(everybody.map(async (actor) => {
      const cells = new Map<string, string>();
      for (const { name, columns } of relations) {
        const scope = actor.role === "service_role" ? rows.get(name)!.scope : "";
        cells.set(name, await select(actor, name, columns[actor.role], rows.get(name)!, scope));
      }
      return cells;
    }));
    const swept = await Promise.all(everybody.map(({ name }) => this.#sweep(name, relations)));
    const written = await Promise.all(everybody.map((actor) =>
      this.#write(actor, people, {
        relations: relations.map(({ name }) => name),
        functions,
      })
    ));

    return {
      relations: relations.flatMap(({ name: object }) =>
        everybody.map(({ name: actor }, i) => ({
          object,
          actor,
          cells: [
            selected[i]!.get(object)!,
            ...written[i]!.relations.get(object)!,
            swept[i]!.get(object)!,
          ],
        }))
      ),
      functions: [...written[0]!.functions.keys()].flatMap((object) =>
        everybody.map(({ name: actor }, i) => ({
          object,
          actor,
          cells: [written[i]!.functions.get(object)!],
        }))
      ),
      grants: catalog.grants,
    };
  }

  /** The rows of two worlds, each with a label that says whose it is. */
  async #rows(names: string[], here: World, there: World): Promise<Map<string, LabeledRows>> {
    const { sql } = this;
    const owners = new Map<unknown, string>();
    for (const [world, suffix] of [[here, ""], [there, "'"]] as const) {
      const ids = [world.id, world.emptyProject];
      for (const id of ids) owners.set(id, `A${suffix}`);
      const plans = await sql<
        { id: string }[]
      >`select id from plans where project_id = ${world.id}`;
      for (const { id } of plans) owners.set(id, `A${suffix}`);
      for (const [name, id] of Object.entries(world.users)) {
        owners.set(id, name + suffix);
        owners.set(`${world.id} ${name}`, name + suffix);
      }
    }
    const labelOf = (row: Row) =>
      [
        `${row["project_id"]} ${row["user_id"]}`,
        `${row["project_id"]} ${row["external_id"]}`,
        ...[row["user_id"], row["project_id"], row["plan_id"], row["id"]],
      ].map((key) => owners.get(key)).find((label) => label !== undefined);

    const found = new Map<string, LabeledRows>();
    for (const name of names) {
      const all = await sql<{ row: Row }[]>`select to_jsonb(t) as row from ${sql(name)} t`;
      const labeled = all.map(({ row }) => ({ row, label: labelOf(row) }))
        .filter((row): row is LabeledRow => row.label !== undefined);
      const [first] = labeled;
      if (!first) {
        throw new Error(`The worlds have no row of ${name}: nobody could be seen to read it.`);
      }
      const column = ["project_id", "plan_id", "user_id", "id"].find((key) => key in first.row)!;
      const values = new Set(labeled.map(({ row }) => String(row[column])));
      found.set(name, { rows: labeled, scope: `&${column}=in.(${[...values].join()})` });
    }
    return found;
  }

  /**
   * Updates without a filter: such a request needs no right to read, and so no policy for select
   * applies. Tells whose rows it changed. Everybody has new people here, whose rows only two worlds are.
   */
  async #sweep(name: string, relations: Catalog["relations"]): Promise<Map<string, string>> {
    const cells = new Map<string, string>();
    if (relations.length === 0) return cells;
    const people = await addPeople(this.sql);
    const { caller, role } = (await actors(people)).find((actor) => actor.name === name)!;
    const here = await createWorld(this.sql, people);
    const there = await createWorld(this.sql, { owner: people.other_owner });
    for (const { name } of relations) {
      if (role === "service_role") {
        cells.set(name, "(not tried)"); // It would write to what other tests have in the database.
        continue;
      }
      const before = await Promise.all([here, there].map((world) => this.#contents(world)));
      const answer = await rest(caller, "PATCH", name, attempts(here, people)[name]!.update);
      const after = await Promise.all([here, there].map((world) => this.#contents(world)));
      const changed = ["A", "A'"].filter((_, i) => before[i] !== after[i]).join(" ");
      cells.set(name, changed || (answer.status < 300 ? "nothing" : refusal(answer)));
    }
    return cells;
  }

  /** Tries all writes of an actor, each in a world that nobody has changed yet. */
  async #write(
    { caller }: Actor,
    people: People,
    { relations, functions }: { relations: string[]; functions: string[] },
  ) {
    const { sql } = this;
    const pristine = async () => {
      const world = await createWorld(sql, people);
      return { world, before: await this.#contents(world) };
    };
    let state = await pristine();
    const attempt = async (request: (world: World) => Promise<RestAnswer>, read = "nothing") => {
      const { world, before } = state;
      const answer = await request(world);
      const { status, body } = answer;
      const isWritten = await this.#contents(world) !== before;
      if (isWritten) state = await pristine();
      if (status < 300) return { body, world, cell: isWritten ? "written" : read };
      const cell = refusal(answer);
      return { body, world, cell: isWritten ? `${cell}, but written` : cell };
    };

    const relationCells = new Map<string, string[]>();
    for (const name of relations) {
      const of = (world: World) => {
        const found = attempts(world, people)[name];
        if (!found) throw new Error(`attempts() says nothing about the relation ${name}: add it.`);
        return found;
      };
      const tried = [
        await attempt((world) => rest(caller, "POST", name, of(world).insert)),
        await attempt((world) =>
          rest(caller, "PATCH", `${name}?${of(world).row}`, of(world).update)
        ),
        await attempt((world) => rest(caller, "DELETE", `${name}?${of(world).row}`)),
      ];
      relationCells.set(name, tried.map(({ cell }) => cell));
    }

    const functionCells = new Map<string, string>();
    for (const name of functions) {
      const cases = Object.keys(calls(state.world, people))
        .filter((title) => title.split(",")[0] === name);
      if (cases.length === 0) {
        throw new Error(`calls() says nothing about the function ${name}: add it.`);
      }
      for (const title of cases) {
        if (calls(state.world, people)[title]!.clientsConsume) {
          const { id } = state.world;
          await sql`update projects set allow_client_consumption = true where id = ${id}`;
          state.before = await this.#contents(state.world);
        }
        const call = (world: World) => calls(world, people)[title]!;
        const { body, world, cell } = await attempt(
          (world) => rest(caller, "POST", `rpc/${name}`, call(world).args),
          "read",
        );
        const isRight = cell !== "read" ||
          canonical([body].flat()) === await this.#answer(name, call(world).args);
        functionCells.set(title, isRight ? cell : "read, but not what is so");
        if (call(world).clientsConsume) state = await pristine(); // In which clients may not.
      }
    }
    return { relations: relationCells, functions: functionCells };
  }

  /** What a function that only reads must answer: what it answers the superuser. */
  async #answer(name: string, args: Row): Promise<string> {
    const given = Object.entries(args).map(([arg, value]) => `${arg} => '${value}'`);
    const rows = await this.sql.unsafe<{ row: Row }[]>(
      `select to_jsonb(f) as row from public.${name}(${given.join()}) f`,
    );
    return canonical(rows.map(({ row }) => row));
  }

  /** Every row of a world, with the transaction that wrote it. */
  async #contents({ id }: World): Promise<string> {
    this.#contentsQuery ??= this.sql<{ name: string; scope: string }[]>`
      select c.relname as name, case
        when c.relname = 'projects' then 'starts_with(name, $1)'
        when 'project_id' = any (columns) then 'project_id in (select p.id from projects p where starts_with(p.name, $1))'
        when 'plan_id' = any (columns) then 'plan_id in (select p.id from plans p where p.project_id = $1::uuid)'
        else 'user_id in (select u.id from tracked_users u where u.project_id = $1::uuid)'
      end as scope
      from pg_class c, lateral (
        select array_agg(a.attname::text) as columns from pg_attribute a where a.attrelid = c.oid
      ) a
      where c.relnamespace = 'public'::regnamespace and c.relkind = 'r'`
      .then((tables) =>
        tables.map(({ name, scope }) =>
          `select concat_ws(' ', '${name}', t.xmin, to_jsonb(t)) as row from public.${name} t where ${scope}`
        ).join(" union all ")
      );
    const rows = await this.sql.unsafe<{ row: string }[]>(await this.#contentsQuery, [id]);
    return rows.map(({ row }) => row).sort().join("\n");
  }
  #contentsQuery: Promise<string> | undefined;
}

interface LabeledRow {
  row: Row;
  label: string;
}

interface LabeledRows {
  rows: LabeledRow[];
  /** Narrows a request to them. */
  scope: string;
}

/**
 * Equal texts for equal JSON, but for the instant of a balance or of a check, and for the sources of a
 * hold and the limits of a user: @supabase/lite answers arrays of a composite type as Postgres writes
 * them.
 */
function canonical(value: unknown): string {
  return JSON.stringify(
    value,
    (key, inner) =>
      ["as_of", "created_at", "sources", "limits"].includes(key)
        ? undefined
        : typeof inner === "object" && inner !== null && !Array.isArray(inner)
        ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => a < b ? -1 : 1))
        : inner,
  );
}

/** The SQLSTATE, or the status where the request did not come as far as the database. */
function refusal({ status, code }: RestAnswer): string {
  return code && !code.startsWith("PGRST") ? code : String(status);
}

/** Whose rows an actor sees, of all that there are: `A` is the whole project, `A'` the other one. */
async function select(
  { caller }: Actor,
  name: string,
  columns: string[] | null,
  { rows }: LabeledRows,
  scope: string,
): Promise<string> {
  const answer = await rest(caller, "GET", `${name}?select=${columns?.join() ?? "*"}${scope}`);
  if (answer.status !== 200) return refusal(answer);
  const pick = (row: Row) =>
    Object.fromEntries((columns ?? []).map((column) => [column, row[column]]));
  const labels = new Map(rows.map(({ row, label }) => [canonical(pick(row)), label]));
  const seen = (answer.body as Row[]).map((row) => labels.get(canonical(row)) ?? "unexpected rows");

  const count = (label: string, of: string[]) => of.filter((other) => other === label).length;
  const there = rows.map(({ label }) => label);
  const shown = [...new Set(seen)].map((label) => {
    const [some, all] = [count(label, seen), count(label, there)];
    return some === all ? label : `${label} (${some} of ${all})`;
  });
  for (const project of ["A", "A'"]) {
    const users = [...new Set(there)].filter((label) =>
      label.endsWith("'") === project.endsWith("'")
    );
    if (users.every((label) => shown.includes(label))) {
      shown.splice(0, shown.length, project, ...shown.filter((label) => !users.includes(label)));
    }
  }
  return shown.sort().join(" ") || "nothing";
}

const LEGEND = `\
Who may do what, as tests/access/matrix.test.ts found it, over HTTP with real tokens. After an intended
change, rewrite this file with UPDATE_MATRIX=1 and review the difference.

select   whose rows: all of project A, of its users ada and bob, of the other project A'
update all  without any filter: whose rows it wrote to
written  it was done, and the rows are there (or gone); everything else left all tables as they were
nothing  it was not refused, but no row was there to read or to write
42501    refused by grants or row level security; TG...: refused by a rule; 401: by the token
55000    this view cannot be written by anybody
read     the function answered what is so, and wrote nothing
`;

export function format({ relations, functions, grants }: Matrix): string {
  const table = (lines: Line[], headings: string[]) => {
    const line = (first: string, cells: string[]) =>
      `  ${[first.padEnd(14), ...cells.map((cell) => cell.padEnd(10))].join("  ")}`.trimEnd();
    return lines.flatMap(({ object, actor, cells }, i) => [
      ...(object === lines[i - 1]?.object ? [] : ["", object, line("", headings)]),
      line(actor, cells),
    ]);
  };
  const title = (text: string) => ["", "", text, "=".repeat(text.length)];
  return [
    LEGEND.trimEnd(),
    ...title("Tables and views"),
    ...table(relations, ["select", "insert", "update", "delete", "update all"]),
    ...title("Functions"),
    ...table(functions, ["call"]),
    ...title("Grants"),
    ...grants.flatMap(({ name, lines }) => ["", name, ...lines.map((line) => `  ${line}`)]),
    "",
  ].join("\n");
}
