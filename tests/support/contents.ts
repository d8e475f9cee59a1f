import type { TestSql } from "./database.ts";

/** Every row of every public table, with the transaction that wrote it: equal only if nothing was written. */
export async function contents(sql: TestSql): Promise<Record<string, string[]>> {
  const tables = await sql<{ name: string }[]>`
    select tablename as name from pg_tables where schemaname = 'public' order by tablename`;
  const rows = tables.map(async ({ name }) => {
    const found = await sql<{ row: string }[]>`
      select concat_ws(' ', t.xmin::text, to_jsonb(t)::text) as row
      from public.${sql(name)} t order by to_jsonb(t)::text`;
    return [name, found.map(({ row }) => row)] as const;
  });
  return Object.fromEntries(await Promise.all(rows));
}
