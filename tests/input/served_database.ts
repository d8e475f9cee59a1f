import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll } from "vitest";
import { type ApiServer, startApiServer } from "../../local/api_server_client.ts";
import { type Child, launch, type LaunchOptions } from "../../local/children.ts";
import { readConfig } from "../../local/config.ts";
import { databaseUrl } from "../../local/database.ts";
import { findFunctions, functionEnv, startFunction } from "../../local/functions.ts";
import { signUserJwt } from "../../local/keys.ts";
import { SUPERUSER } from "../../local/postgres.ts";
import { type TestSql, useDatabase } from "../support/database.ts";
import { stack } from "../support/tenant.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));

export interface ServedDatabase {
  sql: TestSql;
  /** Where its REST interface and the API are; known once tests run. */
  url(): string;
  serviceKey: string;
  userToken(userId: string): Promise<string>;
}

/** A database of the file's own behind a PostgREST and a real edge function of its own: whatever
 * changes in it, a request of this file has changed. */
export function serveDatabase(): ServedDatabase {
  const database = useDatabase();
  const { jwtSecret, dbPort } = stack.own!;
  const { publishableKey, secretKey } = stack;
  const name = new URL(database.url).pathname.slice(1);
  const children: Child[] = [];
  const quietly = async (options: LaunchOptions) => {
    const child = await launch({ ...options, onLine: options.onLine ?? (() => {}) });
    children.push(child);
    return child;
  };
  let folder: string;
  let server: ApiServer;

  beforeAll(async () => {
    folder = mkdtempSync(path.join(tmpdir(), "served-database-"));
    const config = readConfig(ROOT);
    server = await startApiServer(0, folder, quietly);
    const keys = { jwtSecret, publishableKey, secretKey, anonKey: "", serviceRoleKey: "" };
    const api = await startFunction(findFunctions(ROOT, config).find((it) => it.name === "api")!, {
      ...{ root: ROOT, folder, watch: false, launch: quietly },
      env: functionEnv(server.url, database.url, keys),
    });
    const as = (user: string) => databaseUrl(dbPort, user, name);
    await server.connect({
      rest: {
        urls: {
          authenticator: as("authenticator"),
          authAdmin: as("supabase_auth_admin"),
          superuser: as(SUPERUSER),
        },
        keys,
        api: {
          schemas: config.api.schemas,
          extraSearchPath: config.api.extra_search_path,
          maxRows: config.api.max_rows,
        },
        auth: { siteUrl: server.url, jwtExpiry: 3600, enableSignup: false },
        poolSize: 8,
      },
      functions: { api: api.port },
    });
  });
  afterAll(async () => {
    await Promise.all(children.map((child) => child.stop("SIGTERM", 1000)));
    rmSync(folder, { recursive: true });
  });

  return {
    sql: database.sql,
    url: () => server.url,
    serviceKey: secretKey,
    userToken: (userId) => signUserJwt(jwtSecret, userId),
  };
}
