import { randomUUID } from "node:crypto";
import postgres, { type Sql } from "postgres";
import { afterAll, beforeAll, expect, inject } from "vitest";
import { createDatabase, databaseUrl } from "../../local/database.ts";

/** bigint as number: no test counts past 2^53. */
export type TestSql = Sql<{ bigint: number }>;

export const types = {
  bigint: { to: 20, from: [20], parse: Number, serialize: String },
  // Instants that are given as text go to Postgres as they are, with their microseconds.
  date: {
    to: 1184,
    from: [1082, 1114, 1184],
    parse: (text: string) => new Date(text),
    serialize: (instant: Date | string) =>
      typeof instant === "string" ? instant : instant.toISOString(),
  },
};

export interface TestDatabase {
  url: string;
  /** Connections as `postgres`, the role of Studio and of migrations. */
  sql: TestSql;
  /** A further pool, for tests that need real connections of their own. */
  connect(max: number): TestSql;
}

/** A database of its own for the test file, migrated and empty; its ledger must verify at the end. */
export function useDatabase(): TestDatabase {
  const { own } = inject("stack");
  if (!own) throw new Error("SQL tests need a stack of our own: unset SUPABASE_URL.");
  const name = `test_${randomUUID().replaceAll("-", "")}`;
  const pools: TestSql[] = [];
  const url = databaseUrl(own.dbPort, "postgres", name);
  const connect = (max: number) => {
    const sql = postgres(url, { max, types, onnotice() {} });
    pools.push(sql);
    return sql;
  };
  const database: TestDatabase = { url, sql: connect(4), connect };

  beforeAll(() => createDatabase(own.dbPort, name));
  afterAll(async () => {
    expect(await database.sql`select * from verify_ledger()`).toEqual([]);
    await Promise.all(pools.map((sql) => sql.end()));
  });
  return database;
}
