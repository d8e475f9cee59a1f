// Workarounds for @supabase/lite 0.10.0, first part: how REST requests reach the database.
import { AsyncLocalStorage } from "node:async_hooks";
import { inspect } from "node:util";
import type {
  AnyAST,
  ConnectionContextOptions,
  IntrospectResult,
  VarsContext,
} from "@supabase/lite";
import { type IPostgresConnectionConfig, PostgresConnection } from "@supabase/lite/postgres";
import { sql, type Transaction } from "kysely";
import { z } from "zod";
import { restStatus } from "./rest_status.ts";

export interface ExposedApi {
  schemas: string[];
  extraSearchPath: string[];
  maxRows: number;
}

export interface RequestFacts {
  method: string;
  path: string;
  schema: string | null;
  headers: Record<string, string>;
}

/** Stock tells the connection the role and claims of a request only; PostgREST also sets its method,
 * path, headers and schema. */
export const currentRequest = new AsyncLocalStorage<RequestFacts>();

export class HostedConnection extends PostgresConnection {
  readonly #catalogue: PostgresConnection;
  readonly #api: ExposedApi;
  #exposed: { from: IntrospectResult; schema: IntrospectResult } | undefined;
  #roleSettings: Promise<Map<string, [string, string][]>> | undefined;

  constructor(
    catalogue: PostgresConnection,
    api: ExposedApi,
    config: IPostgresConnectionConfig,
  ) {
    super(config);
    this.#catalogue = catalogue;
    this.#api = api;
  }

  // Stock reads information_schema as the request's login role; `authenticator` (noinherit) sees
  // nothing there. The superuser reads it here, and only exposed schemas are kept: stock would serve
  // the others too, and walks every column on every request.
  override async introspect(options?: { useCache?: boolean }): Promise<IntrospectResult> {
    const from = await this.#catalogue.introspect(options);
    if (this.#exposed?.from !== from) {
      const isExposed = (item: unknown) =>
        typeof item !== "object" || item === null || !("schema" in item) ||
        this.#api.schemas.some((schema) => schema === item.schema);
      const schema = Object.fromEntries(
        Object.entries(from).map((
          [key, value],
        ) => [key, Array.isArray(value) ? value.filter(isExposed) : value]),
      );
      this.#exposed = { from, schema: { ...from, ...schema } };
    }
    return this.#exposed.schema;
  }

  override async clearSchemaCache(): Promise<void> {
    this.#roleSettings = undefined;
    await super.clearSchemaCache();
    await this.#catalogue.clearSchemaCache();
  }

  // Stock sets the role only once some table has RLS, and then grants all tables to the API roles.
  // Here every request is one transaction with PostgREST's settings: role, claims, search path, the
  // role's own settings (statement_timeout), read only for GET.
  override async withContext<T>(
    context: VarsContext | undefined,
    use: (tx: Transaction<unknown>) => Promise<T>,
    options?: ConnectionContextOptions,
  ): Promise<T> {
    if (options?.transaction || options?.forceRollback) {
      throw new Error("only the storage API and upstream's tests ask for this");
    }
    const caller = Caller.parse(context?.["auth"] ?? {});
    const request = currentRequest.getStore();
    const method = options?.rpc?.method ?? request?.method ?? "GET";
    const searchPath = new Set([
      request?.schema ?? this.#api.schemas[0] ?? "public",
      ...this.#api.extraSearchPath,
    ]);
    const settings: [string, string][] = [
      ...(await this.#settingsOf(caller.role)),
      ["search_path", [...searchPath].map((name) => `"${name.replaceAll('"', '""')}"`).join(", ")],
      ["role", caller.role],
      ["request.jwt.claims", JSON.stringify(caller.jwt ?? { role: caller.role })],
      ["request.method", method],
      ["request.path", options?.rpc?.path ?? request?.path ?? ""],
      ["request.headers", JSON.stringify(options?.rpc?.requestHeaders ?? request?.headers ?? {})],
      ["response.status", ""],
      ["response.headers", ""],
    ];
    const calls = settings.map(([name, value]) => sql`set_config(${name}, ${value}, true)`);
    const reads = method === "GET" || method === "HEAD";
    const transaction = this.kysely.transaction();
    try {
      return await (reads ? transaction.setAccessMode("read only") : transaction)
        .execute(async (tx) => {
          await sql`select ${sql.join(calls)}`.execute(tx);
          const result = await use(tx);
          // Stock returns its own refusals (such as PGRST116) as responses, and so commits.
          if (result instanceof Response && result.status >= 400) throw new Refusal(result);
          return result;
        });
    } catch (error) {
      if (error instanceof Refusal) return error.response as T;
      throw error;
    }
  }

  #settingsOf(role: string): Promise<[string, string][]> {
    this.#roleSettings ??= sql<{ role: string; name: string; value: string }>`
      select r.rolname as role, split_part(s, '=', 1) as name, substr(s, strpos(s, '=') + 1) as value
      from pg_roles r, unnest(r.rolconfig) as s
      where pg_has_role('authenticator', r.oid, 'member') and r.rolname <> 'authenticator'`
      .execute(this.kysely).then(({ rows }) => {
        const byRole = new Map<string, [string, string][]>();
        for (const { role, name, value } of rows) {
          byRole.set(role, [...byRole.get(role) ?? [], [name, value]]);
        }
        return byRole;
      });
    return this.#roleSettings.then((byRole) => byRole.get(role) ?? []);
  }

  // Stock encodes string arguments of type json or jsonb twice, or not at all: see rest_types.ts.
  // Others it converts as JavaScript does, so that [1] is an integer and "no" is true.
  override async onPostgrestAST(ast: AnyAST): Promise<AnyAST> {
    const checked = await super.onPostgrestAST(ast);
    const { function: name, args, schema = "public", httpMethod } = checked;
    if (!name || httpMethod !== "POST" || !args || Array.isArray(args)) return checked;
    const { functions } = await this.introspect({ useCache: true });
    const candidates = (functions ?? []).filter((fn) =>
      fn.name === name && fn.schema === schema &&
      Object.keys(args).every((argument) => fn.arg_names.includes(argument))
    );
    const [fn] = candidates;
    if (!fn || candidates.length > 1) return checked;
    const encoded = Object.entries(args).map(([argument, value]: [string, unknown]) => [
      argument,
      encodeArgument(value, fn.arg_types[fn.arg_names.indexOf(argument)] ?? ""),
    ]);
    return { ...checked, args: Object.fromEntries(encoded) };
  }

  // Stock answers 500 to RAISE and to most SQLSTATEs. Its escape hatch for a full answer is the PGRST
  // error of PostgREST, so each database error becomes one. It maps the excepted ones itself.
  override normalizeDbError(error: unknown): unknown {
    const parsed = DatabaseError.safeParse(error);
    if (!parsed.success) return error;
    const { code, message, detail, hint } = parsed.data;
    const isRpc = currentRequest.getStore()?.path.startsWith("/rest/v1/rpc/") ?? false;
    const isMappedUpstream = code === "PGRST" || code.startsWith("PT") || code === "42501" ||
      (code === "42703" && !isRpc);
    if (isMappedUpstream) return brief(error, code, message);
    const answer = new Error(
      JSON.stringify({ code, message, hint: hint ?? null, details: detail ?? null }),
    );
    const status = { status: restStatus(code, message), headers: {} };
    return brief(
      Object.assign(answer, { code: "PGRST", detail: JSON.stringify(status) }),
      code,
      message,
    );
  }
}

/** An argument of a function as PostgREST would hand it to Postgres, whose cast then judges it. */
function encodeArgument(value: unknown, type: string): unknown {
  if (/^jsonb?$/.test(type)) return typeof value === "string" ? JSON.stringify(value) : value;
  const isList = Array.isArray(value) && (type === "ARRAY" || /^_|\[\]$/.test(type));
  if (value === null || typeof value === "string" || isList) return value;
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

class Refusal extends Error {
  readonly response: Response;
  constructor(response: Response) {
    super();
    this.response = response;
  }
}

const Caller = z.object({
  role: z.string().min(1).catch("anon"),
  jwt: z.record(z.string(), z.unknown()).nullish(),
});

const DatabaseError = z.object({
  code: z.string().regex(/^[0-9A-Z]{5}$/),
  severity: z.string(),
  message: z.string(),
  detail: z.string().nullish(),
  hint: z.string().nullish(),
});

// Stock logs each error with its stack, query and parameters: one line is enough, and no secret.
function brief(error: unknown, code: string, message: string): unknown {
  return Object.assign(error as object, { [inspect.custom]: () => `${code} ${message}` });
}
