import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll } from "vitest";
import { type Child, launch, type LaunchOptions } from "../../local/children.ts";
import { databaseUrl } from "../../local/database.ts";
import { signUserJwt } from "../../local/keys.ts";
import { type TestSql, useDatabase } from "../support/database.ts";
import { type Http, serveHttp } from "../support/http.ts";
import { stack } from "../support/tenant.ts";

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
  let http: Http;

  beforeAll(async () => {
    folder = mkdtempSync(path.join(tmpdir(), "served-database-"));
    http = await serveHttp({
      folder,
      launch: quietly,
      dbUrl: (user) => databaseUrl(dbPort, user, name),
      keys: { jwtSecret, publishableKey, secretKey, anonKey: "", serviceRoleKey: "" },
    });
  });
  afterAll(async () => {
    await Promise.all(children.map((child) => child.stop("SIGTERM", 1000)));
    rmSync(folder, { recursive: true });
  });

  return {
    sql: database.sql,
    url: () => http.url,
    serviceKey: secretKey,
    userToken: (userId) => signUserJwt(jwtSecret, userId),
  };
}
