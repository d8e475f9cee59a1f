import { beforeAll, expect, test } from "vitest";
import { useDatabase } from "../support/database.ts";
import { Project } from "../support/project.ts";

const { sql } = useDatabase();
let project: Project;
let userId: string;

beforeAll(async () => {
  project = await Project.create(sql);
  await project.plan({ quota: 10 });
  const user = await project.user("ada");
  userId = user.id!;
  await user.grant(100);
  await user.consume(20);
});

interface Node {
  "Node Type": string;
  "Index Name"?: string;
  "Actual Rows": number;
  Filter?: string;
  Plans?: Node[];
}

/** The nodes of a query's plan, run, from top to bottom. */
async function nodes(query: string): Promise<Node[]> {
  const [row] = await sql.begin(async (tx) => {
    await tx`set local enable_seqscan = off`;
    await tx`set local enable_sort = off`;
    return tx.unsafe<{ "QUERY PLAN": { Plan: Node }[] }[]>(
      `explain (analyze, format json) ${query}`,
    );
  });
  const from = (node: Node): Node[] => [node, ...(node.Plans ?? []).flatMap(from)];
  return from(row!["QUERY PLAN"][0]!.Plan);
}

/** Their types, with the names of indexes. */
async function plan(query: string): Promise<string[]> {
  return (await nodes(query)).map((node) =>
    [node["Node Type"], node["Index Name"]].filter(Boolean).join(" ")
  );
}

test("a user is found by project and external id", async () => {
  expect(
    await plan(`select * from tracked_users
      where project_id = '${project.id}' and external_id = 'ada'`),
  ).toEqual(["Index Scan idx_tracked_users_project_external"]);
});

test("of grants only those that can still be spent are read, and those few are sorted", async () => {
  const user = await project.user("grace");
  const at = "2026-05-01T00:00:00Z";
  await user.grant(3, { at, priority: 1 });
  await user.consume(13, { at, mode: "up_to" });
  await user.grant(5, { at, expiresAt: "2026-05-02T00:00:00Z" });
  const { grant_id } = await user.grant(5, { at });
  await user.voidGrant(grant_id, { at: "2026-05-03T00:00:00Z" });
  for (const priority of [50, 10]) await user.grant(5, { at: "2026-05-03T00:00:00Z", priority });

  const [sort, scan, ...others] = await nodes(`select * from user_token_grants
    where user_id = '${user.id}' and not is_spent
      and coalesce(voided_at, expires_at, 'infinity') > now()
    order by priority, coalesce(expires_at, 'infinity'), created_at, id`);

  expect(await sql`select id from user_token_grants where user_id = ${user.id!}`).toHaveLength(5);
  expect(sort).toMatchObject({ "Node Type": "Sort", "Actual Rows": 2 });
  expect(scan).toMatchObject({
    "Node Type": "Index Scan",
    "Index Name": "idx_user_token_grants_expires",
    "Actual Rows": 2,
  });
  expect(scan).not.toHaveProperty("Filter");
  expect(others).toEqual([]);
});

test("usage by quarters of an hour is found by user and time", async () => {
  const [scan, ...others] = await nodes(`select * from user_usage_buckets
    where user_id = '${userId}' and starts_at >= now() - interval '1 day'`);

  expect(scan).toMatchObject({
    "Node Type": "Index Scan",
    "Index Name": "user_usage_buckets_pkey",
    "Actual Rows": 1,
  });
  expect(scan).not.toHaveProperty("Filter");
  expect(others).toEqual([]);
});

test("changes of an account are found among all transfers", async () => {
  expect(
    await plan(`select * from token_transfers
      where user_id = '${userId}' and transaction_type = 'account_change' and transfer_number <= 9
      order by transfer_number desc limit 1`),
  ).toEqual(["Limit", "Index Scan idx_token_transfers_account_changes"]);
});

test.each(["user_token_grants", "recurring_grants", "plan_restrictions"])(
  "rows of %s are found by a tag",
  async (table) => {
    const [, scan] = await plan(
      `select * from ${table} where tag_ids @> array['${userId}'::uuid]`,
    );

    expect(scan).toMatch(/^Bitmap Index Scan idx_\w+_tags$/);
  },
);

test("quota usage is found by user and period", async () => {
  const [index] = await plan(`select * from user_quota_usage
    where user_id = '${userId}' and period_start <= now() and period_end > now()`);

  expect(index).toMatch(/^Index Scan /);
});

test("the newest transfers come without sorting", async () => {
  expect(
    await plan(`select * from token_transfers
      where user_id = '${userId}' order by transfer_number desc limit 50`),
  ).toEqual(["Limit", "Index Scan token_transfers_pkey"]);
});

test("a request id is found by user", async () => {
  expect(
    await plan(`select * from token_transfers where user_id = '${userId}' and request_id = 'r-1'`),
  ).toEqual(["Index Scan idx_token_transfers_request"]);
});
