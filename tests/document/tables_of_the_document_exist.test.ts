import { expect, test } from "vitest";
import { useDatabase } from "../support/database.ts";

const { sql } = useDatabase();

const trees = `
-- User token grants (FIFO consumption)
user_token_grants
├── token_amount (original grant)
├── expires_at (FIFO ordering)
└── grant_type (trial, bonus, purchase)

-- Grant consumption tracking
user_token_grants_consume
├── user_token_grants_id
├── token_deduction
└── created_at

-- Quota usage tracking
user_quota_usage
├── quota_id
├── period_start/period_end
└── tokens_used

-- Complete audit trail
token_transfers
├── amount (+ for grants, - for consumption)
├── transaction_type
└── metadata (full context)
`;

/** Each table with its columns. */
const tables = [...trees.matchAll(/^(\w+)\n((?:[├└].*\n)+)/gm)].map(([, table, tree]) => ({
  table: table!,
  columns: [...tree!.matchAll(/── (\w+)(?:\/(\w+))?/g)].flatMap((match) =>
    match.slice(1).filter((column) => column !== undefined)
  ),
}));

test("the trees name four tables and twelve columns", () => {
  expect(tables.map(({ table }) => table)).toEqual([
    "user_token_grants",
    "user_token_grants_consume",
    "user_quota_usage",
    "token_transfers",
  ]);
  expect(tables.flatMap(({ columns }) => columns)).toHaveLength(13);
});

test.each(tables)("$table has the columns $columns", async ({ table, columns }) => {
  const found = await sql<{ name: string }[]>`
    select column_name as name from information_schema.columns
    where table_schema = 'public' and table_name = ${table}`;

  expect(found.map(({ name }) => name)).toEqual(expect.arrayContaining(columns));
});

test("grants are of the document's types, and of some more", async () => {
  const types = await sql<{ type: string }[]>`
    select unnest(enum_range(null::grant_type))::text as type`;

  expect(types.map(({ type }) => type)).toEqual([
    "trial",
    "bonus",
    "purchase",
    "refund",
    "adjustment",
    "rollover",
  ]);
});

test.each([
  ["plan_restrictions", ["plan_id", "restriction_type", "restriction_config"]],
  ["tracked_users", ["project_id", "external_id"]],
  ["user_token_grants", ["id", "user_id", "token_amount", "expires_at"]],
  ["user_quota_usage", ["user_id", "period_start", "period_end"]],
])("the columns of %s that its SQL uses exist", async (table, columns) => {
  await sql`select ${sql(columns)} from ${sql(table)}`;
});
