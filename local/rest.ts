// Every workaround for @supabase/lite 0.10.0 (alpha), and nothing else. Bare, its Postgres mode is not
// safe to develop against: it re-grants revoked privileges and may skip SET ROLE. Each comment says
// what the stock version does; when an update makes one needless, delete it.
import { AsyncLocalStorage } from "node:async_hooks";
import { inspect } from "node:util";
import {
  type AnyAST,
  App,
  type AppRequestContext,
  type ConnectionContextOptions,
  type IntrospectResult,
  type VarsContext,
} from "@supabase/lite";
import { type IPostgresConnectionConfig, PostgresConnection } from "@supabase/lite/postgres";
import { jwtVerify } from "jose";
import { sql, type Transaction } from "kysely";
import { z } from "zod";
import { restStatus } from "./rest-status.ts";

export interface RestSettings {
  /** A URL that logs in as the given role. */
  urls: { authenticator: string; authAdmin: string; superuser: string };
  keys: { jwtSecret: string; publishableKey: string; secretKey: string };
  api: { schemas: string[]; extraSearchPath: string[]; maxRows: number };
  auth: { siteUrl: string; jwtExpiry: number; enableSignup: boolean };
  poolSize: number;
}

export interface Rest {
  /** Answers /rest/v1 and /auth/v1. */
  fetch(request: Request, context: AppRequestContext): Promise<Response>;
}

interface RequestFacts {
  method: string;
  path: string;
  schema: string | null;
  headers: Record<string, string>;
}

/** Stock tells the connection the role and claims of a request only; PostgREST also sets its method,
 * path, headers and schema. */
const currentRequest = new AsyncLocalStorage<RequestFacts>();

class HostedConnection extends PostgresConnection {
  readonly #catalogue: PostgresConnection;
  readonly #api: RestSettings["api"];
  #exposed: { from: IntrospectResult; schema: IntrospectResult } | undefined;
  #roleSettings: Promise<Map<string, [string, string][]>> | undefined;

  constructor(
    catalogue: PostgresConnection,
    api: RestSettings["api"],
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

  // Stock encodes string arguments of type json or jsonb twice, or not at all: see `postgresTypes`.
  override async onPostgrestAST(ast: AnyAST): Promise<AnyAST> {
    const { function: name, args, schema = "public", httpMethod } = await super.onPostgrestAST(ast);
    if (!name || httpMethod !== "POST" || !args || Array.isArray(args)) return ast;
    const { functions } = await this.introspect({ useCache: true });
    const candidates = (functions ?? []).filter((fn) =>
      fn.name === name && fn.schema === schema &&
      Object.keys(args).every((argument) => fn.arg_names.includes(argument))
    );
    const [fn] = candidates;
    if (!fn || candidates.length > 1) return ast;
    const encoded = Object.entries(args).map(([argument, value]: [string, unknown]) => {
      const type = fn.arg_types[fn.arg_names.indexOf(argument)] ?? "";
      return [argument, typeof value === "string" && /^jsonb?$/.test(type) ? JSON.stringify(value) : value];
    });
    return { ...ast, args: Object.fromEntries(encoded) };
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

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

const toJson = (value: unknown) =>
  typeof value === "string" && isJson(value) ? value : JSON.stringify(value);
const asIs = (value: unknown) => value;
const isoTime = (text: string) => text.replace(" ", "T").replace(/([+-]\d\d)$/, "$1:00");

// Stock prints numbers, times and bytea differently from PostgREST, which uses to_json().
const postgresTypes = {
  json: { to: 114, from: [114], serialize: toJson, parse: JSON.parse },
  jsonb: { to: 3802, from: [3802], serialize: toJson, parse: JSON.parse },
  numeric: { to: 1700, from: [1700], serialize: String, parse: Number },
  timestamptz: { to: 1184, from: [1184], serialize: asIs, parse: isoTime },
  timestamp: { to: 1114, from: [1114], serialize: asIs, parse: isoTime },
  bytea: { to: 17, from: [17], serialize: asIs, parse: asIs },
};

export async function createRest(settings: RestSettings): Promise<Rest> {
  const { urls, keys, api } = settings;
  const connect = (url: string, max: number, connection = {}) => ({
    url,
    postgresOptions: { max, onnotice: () => {}, types: postgresTypes, connection },
  });
  const catalogue = new PostgresConnection(connect(urls.superuser, 2));
  const rest = new HostedConnection(catalogue, api, connect(urls.authenticator, settings.poolSize));
  // Stock serves auth with the REST connection; as on hosted, it has a role of its own.
  const authDb = new PostgresConnection(connect(urls.authAdmin, 5, { search_path: "auth" }));
  const auth = {
    enabled: true,
    jwt_secret: keys.jwtSecret,
    publishable_key: keys.publishableKey,
    secret_key: keys.secretKey,
    site_url: settings.auth.siteUrl,
    jwt_expiry: settings.auth.jwtExpiry,
    enable_signup: settings.auth.enableSignup,
    email: { enable_confirmations: false },
  };
  const restApp = new App({
    connection: rest,
    api: { enabled: true, schemas: api.schemas, max_rows: api.maxRows },
    auth,
    studio: { enabled: false },
    options: {
      server: {
        // Stock looks the user and session of a JWT up with the REST connection; PostgREST trusts
        // the JWT alone.
        middlewares: [async (c, next) => {
          const known = async () => ({});
          const repo = { findUserById: known, findSessionById: known };
          c.set("authService", { repo } as never);
          await next();
        }],
        apiKeys: { resolver: (key) => resolveApiKey(key, keys) },
      },
    },
  });
  const authApp = new App({
    connection: authDb,
    api: { enabled: false },
    auth,
    studio: { enabled: false },
  });
  // `App.ensureSystemSchema()` is never called: it would alter what bootstrap.sql made.
  await Promise.all([restApp.init(), authApp.init(), rest.introspect({ useCache: true })]);
  await catalogue.driver.listen("pgrst", () => void rest.clearSchemaCache());

  async function answer(request: Request, context: AppRequestContext): Promise<Response> {
    const { pathname } = new URL(request.url);
    if (pathname.startsWith("/auth/v1")) return authApp.fetch(request, context);
    const { headers, method } = request;
    // Stock reads the arguments of a HEAD call as filters.
    if (method === "HEAD" && pathname.startsWith("/rest/v1/rpc/")) {
      const { status, headers: sent } = await answer(new Request(request.url, { headers }), context);
      return new Response(null, { status, headers: sent });
    }
    const profile = method === "GET" || method === "HEAD" ? "accept-profile" : "content-profile";
    const facts: RequestFacts = {
      method,
      path: pathname,
      schema: headers.get(profile),
      headers: Object.fromEntries(headers),
    };
    return currentRequest.run(facts, () => restApp.fetch(request, context));
  }
  return { fetch: answer };
}

// Stock knows the new API keys only; hosted projects also have their legacy JWT forms.
async function resolveApiKey(key: string, keys: RestSettings["keys"]) {
  const publishable = { type: "publishable" as const, claims: { role: "anon" } };
  const secret = { type: "secret" as const, claims: { role: "service_role" } };
  if (key === keys.publishableKey) return publishable;
  if (key === keys.secretKey) return secret;
  try {
    const jwtSecret = new TextEncoder().encode(keys.jwtSecret);
    const { payload } = await jwtVerify(key, jwtSecret, { algorithms: ["HS256"] });
    return payload["role"] === "anon"
      ? publishable
      : payload["role"] === "service_role"
      ? secret
      : null;
  } catch {
    return null;
  }
}
