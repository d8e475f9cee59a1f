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
  Plans?: Node[];
}

/** Node types of a query's plan, with the names of indexes, from top to bottom. */
async function plan(query: string): Promise<string[]> {
  const [row] = await sql.begin(async (tx) => {
    await tx`set local enable_seqscan = off`;
    await tx`set local enable_sort = off`;
    return tx.unsafe<{ "QUERY PLAN": { Plan: Node }[] }[]>(`explain (format json) ${query}`);
  });
  const nodes = (node: Node): string[] => [
    [node["Node Type"], node["Index Name"]].filter(Boolean).join(" "),
    ...(node.Plans ?? []).flatMap(nodes),
  ];
  return nodes(row!["QUERY PLAN"][0]!.Plan);
}

test("a user is found by project and external id", async () => {
  expect(
    await plan(`select * from tracked_users
      where project_id = '${project.id}' and external_id = 'ada'`),
  ).toEqual(["Index Scan idx_tracked_users_project_external"]);
});

test("grants come in order of expiry without sorting", async () => {
  expect(
    await plan(`select * from user_token_grants
      where user_id = '${userId}' and not is_spent and coalesce(expires_at, 'infinity') > now()
      order by coalesce(expires_at, 'infinity'), created_at, id`),
  ).toEqual(["Index Scan idx_user_token_grants_expires"]);
});

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
