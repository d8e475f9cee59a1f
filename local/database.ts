import { readFileSync } from "node:fs";
import postgres, { type Sql } from "postgres";
import { HOST } from "./ports.ts";
import { PASSWORD, SUPERUSER } from "./postgres.ts";

const TEMPLATE = "tollgate_template";

export function databaseUrl(port: number, user = "postgres", database = "postgres"): string {
  return `postgresql://${user}:${PASSWORD}@${HOST}:${port}/${database}`;
}

/** Runs `use` with one connection, closed afterwards. */
export async function withConnection<T>(url: string, use: (sql: Sql) => Promise<T>): Promise<T> {
  const sql = postgres(url, { max: 1, fetch_types: false, onnotice: () => {} });
  try {
    return await use(sql);
  } finally {
    await sql.end({ timeout: 1 });
  }
}

/** Makes an empty server look like a hosted project, once. */
export function bootstrap(port: number, authSchema: string, autoExpose: boolean): Promise<void> {
  return withConnection(databaseUrl(port, SUPERUSER), async (sql) => {
    const [done] = await sql`select from pg_roles where rolname = 'authenticator'`;
    if (done) return;
    await sql.begin(async (tx) => {
      await tx.unsafe(script("bootstrap.sql"));
      await tx`set local role supabase_auth_admin`;
      await tx.unsafe(authSchema);
      await tx`reset role`;
      if (autoExpose) await tx.unsafe(script("auto_expose.sql"));
    });
  });
}

function script(name: string): string {
  return readFileSync(new URL(name, import.meta.url), "utf8");
}

/** Keeps the migrated, unseeded state for `createDatabase`. A template must have no connections, so
 * this comes before the REST layer connects. */
export async function keepTemplate(port: number): Promise<void> {
  await copyDatabase(port, TEMPLATE, "postgres");
}

/** Makes a database with all migrations and no rows, in well under a second. */
export async function createDatabase(port: number, name: string): Promise<void> {
  await copyDatabase(port, name, TEMPLATE);
}

function copyDatabase(port: number, name: string, template: string): Promise<void> {
  return withConnection(databaseUrl(port, SUPERUSER, "template1"), async (sql) => {
    await sql`
      create database ${sql(name)} template ${sql(template)} strategy file_copy owner postgres`;
    // A copy has the objects of its template, but not the rights and settings of the database.
    await sql`grant create on database ${sql(name)} to supabase_auth_admin`;
    await sql`alter database ${sql(name)} set search_path = "$user", public, extensions`;
  });
}
