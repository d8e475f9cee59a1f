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

/** How often tables were scanned in the meantime, by this transaction. */
async function scansOf(query: (tx: typeof sql) => Promise<unknown>) {
  const connection = await sql.reserve();
  const scans = async () =>
    Object.fromEntries((await connection<{ relname: string; scans: number }[]>`
      select relname, seq_scan + coalesce(idx_scan, 0) as scans from pg_stat_xact_user_tables
      where relname in ('token_transfers', 'user_usage_buckets', 'user_token_grants_consume')`)
      .map(({ relname, scans }) => [relname, scans]));
  try {
    await connection`begin`;
    const before = await scans();
    await query(connection);
    const after = await scans();
    await connection`rollback`;
    return Object.fromEntries(
      Object.entries(after).map(([name, count]) => [name, count - before[name]!]),
    );
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
  const scans = await scansOf((tx) => year(tx, groupBy, user));

  expect(scans).toMatchObject({ token_transfers: 0, user_token_grants_consume: 0 });
  expect(scans["user_usage_buckets"]).toBeGreaterThan(0);
});

test("nor does a restriction that is counted anew", async () => {
  const ada = project.unknownUser("ada");
  await sql`update plan_restrictions
    set restriction_config = '{"max_tokens": 1460, "duration": "24 months"}'`;
  const scans = await scansOf(async (tx) => {
    expect(await ada.on(tx).check(1, { at: "2027-01-01T00:00Z" })).toMatchObject({
      reason: "restriction_exceeded",
    });
  });

  expect(scans).toMatchObject({ token_transfers: 0 });
  expect(scans["user_usage_buckets"]).toBeGreaterThan(0);
});

test("a call reads no bucket, where the restriction was counted before", async () => {
  const ada = project.unknownUser("ada");
  await sql`update plan_restrictions
    set restriction_config = '{"max_tokens": 9000, "duration": "24 months"}'`;
  await ada.consume(1, { at: "2027-01-01T00:00Z" });
  const scans = await scansOf((tx) => ada.on(tx).check(1, { at: "2027-01-01T01:00Z" }));

  expect(scans).toMatchObject({ user_usage_buckets: 0 });
});
