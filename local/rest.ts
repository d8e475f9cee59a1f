// Every workaround for @supabase/lite 0.10.0 (alpha) is in this file and its two parts,
// rest_connection.ts and rest_types.ts. Bare, its Postgres mode is not safe to develop against: it
// re-grants revoked privileges and may skip SET ROLE. Each comment says what the stock version does;
// when an update makes one needless, delete it.
import { App, type AppRequestContext } from "@supabase/lite";
import { PostgresConnection } from "@supabase/lite/postgres";
import { jwtVerify } from "jose";
import { currentRequest, type ExposedApi, HostedConnection } from "./rest_connection.ts";
import type { RequestFacts } from "./rest_connection.ts";
import { restTypes } from "./rest_types.ts";

export interface RestSettings {
  /** A URL that logs in as the given role. */
  urls: { authenticator: string; authAdmin: string; superuser: string };
  keys: { jwtSecret: string; publishableKey: string; secretKey: string };
  api: ExposedApi;
  auth: { siteUrl: string; jwtExpiry: number; enableSignup: boolean };
  poolSize: number;
}

export interface Rest {
  /** Answers /rest/v1 and /auth/v1. */
  fetch(request: Request, context: AppRequestContext): Promise<Response>;
}

export async function createRest(settings: RestSettings): Promise<Rest> {
  const { urls, keys, api } = settings;
  const connect = (url: string, max: number, more = {}) => ({
    url,
    postgresOptions: { max, onnotice: () => {}, ...more },
  });
  const catalogue = new PostgresConnection(connect(urls.superuser, 2));
  const pool = connect(urls.authenticator, settings.poolSize, { types: restTypes });
  const rest = new HostedConnection(catalogue, api, pool);
  // Stock serves auth with the REST connection; as on hosted, it has a role of its own.
  const authDb = new PostgresConnection(
    connect(urls.authAdmin, 5, { connection: { search_path: "auth" } }),
  );
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
          const known = () => Promise.resolve({});
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
      const { status, headers: sent } = await answer(
        new Request(request.url, { headers }),
        context,
      );
      return new Response(null, { status, headers: sent });
    }
    const profile = method === "GET" || method === "HEAD" ? "accept-profile" : "content-profile";
    const facts: RequestFacts = {
      method,
      path: pathname,
      schema: headers.get(profile),
      headers: Object.fromEntries(headers),
    };
    const response = await currentRequest.run(facts, () => restApp.fetch(request, context));
    // Stock answers a CORS preflight of a function with 404; hosted projects' gateway allows all.
    const isPreflight = method === "OPTIONS" && headers.has("access-control-request-method");
    return isPreflight ? new Response(null, { status: 204, headers: response.headers }) : response;
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
