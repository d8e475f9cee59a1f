import { beforeAll, expect, test } from "vitest";
import { useDatabase } from "../support/database.ts";
import { Project } from "../support/project.ts";

const { sql } = useDatabase();
let project: Project;

/** A user who has used a token every six hours of a year. */
beforeAll(async () => {
  project = await Project.create(sql, "America/New_York");
  await project.plan({ quota: 100_000, restrictions: [{ maxTokens: 1e6, duration: "12 months" }] });
  await project.user("ada", { billingAnchor: "2026-01-01T00:00Z" });
  const tag = await project.tagId("GPT-4");
  await sql`select tollgate.consume(${project.id}, 'ada', 1, ${tag}, null, null, at)
    from generate_series(timestamptz '2026-01-01T06:00Z', '2027-01-01T00:00Z', '6 hours') at`;
});

/** How often a query scanned tables, and how many of their rows it read. */
async function readsOf(query: (tx: typeof sql) => Promise<unknown>) {
  const connection = await sql.reserve();
  const reads = async () =>
    new Map((await connection<{ relname: string; scans: number; rows: number }[]>`
      select relname, seq_scan + coalesce(idx_scan, 0) as scans,
        seq_tup_read + coalesce(idx_tup_fetch, 0) as rows
      from pg_stat_xact_user_tables where schemaname = 'public'`)
      .map(({ relname, scans, rows }) => [relname, { scans, rows }]));
  try {
    await connection`begin`;
    const before = await reads();
    await query(connection);
    const after = await reads();
    await connection`rollback`;
    return (table: string) => ({
      scans: after.get(table)!.scans - before.get(table)!.scans,
      rows: after.get(table)!.rows - before.get(table)!.rows,
    });
  } finally {
    connection.release();
  }
}

const year = (tx: typeof sql, groupBy: string | null, user: string | null) =>
  tx<{ days: number; tokens: number; calls: number }[]>`
    select count(*)::integer as days, sum(tokens_used)::integer as tokens, sum(calls)::integer as calls
    from get_usage(${project.id}, '2026-01-01T05:00Z', '2027-01-01T05:00Z', 'day', ${groupBy}, ${user})`;

test("a year by day is what was used", async () => {
  expect(await year(sql, null, null)).toEqual([{ days: 365, tokens: 1460, calls: 1460 }]);
});

test.each([
  [null, null],
  ["tag", null],
  ["user", null],
  ["key", null],
  ["source", null],
  ["tag", "ada"],
])("a year by day, by %s, of %s, reads no transfer", async (groupBy, user) => {
  const read = await readsOf((tx) => year(tx, groupBy, user));

  expect(read("token_transfers")).toEqual({ scans: 0, rows: 0 });
  expect(read("user_token_grants_consume")).toEqual({ scans: 0, rows: 0 });
  expect(read("user_usage_buckets").rows).toBe(1460);
});

test("that of one user reads no other user's, however many there are", async () => {
  await sql`insert into tracked_users (project_id, external_id)
    select ${project.id}, 'user ' || n from generate_series(1, 1000) n`;
  await sql`analyze`;
  const read = await readsOf((tx) => year(tx, "tag", "ada"));

  expect(read("tracked_users").rows).toBeLessThan(10);
  expect(read("user_usage_buckets").rows).toBe(1460);
});

test("a restriction that is counted anew reads no transfer either", async () => {
  const ada = project.unknownUser("ada");
  await sql`update plan_restrictions
    set restriction_config = '{"max_tokens": 1460, "duration": "24 months"}'`;
  const read = await readsOf(async (tx) => {
    expect(await ada.on(tx).check(1, { at: "2027-01-01T00:00Z" })).toMatchObject({
      reason: "restriction_exceeded",
    });
  });

  expect(read("token_transfers")).toEqual({ scans: 0, rows: 0 });
  expect(read("user_usage_buckets").rows).toBe(1460);
});

test("one that was counted before reads no bucket", async () => {
  const ada = project.unknownUser("ada");
  await sql`update plan_restrictions
    set restriction_config = '{"max_tokens": 9000, "duration": "24 months"}'`;
  await ada.consume(1, { at: "2027-01-01T00:00Z" });
  const read = await readsOf((tx) => ada.on(tx).check(1, { at: "2027-01-01T01:00Z" }));

  expect(read("user_usage_buckets")).toEqual({ scans: 0, rows: 0 });
});
