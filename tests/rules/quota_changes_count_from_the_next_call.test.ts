import { expect, test } from "vitest";
import { useDatabase } from "../support/database.ts";
import { Project } from "../support/project.ts";

const { sql } = useDatabase();

test("a quota raised in mid-period has the difference more", async () => {
  const project = await Project.create(sql);
  const planId = await project.plan({ quota: 100 });
  const user = await project.user("ada");
  await user.consume(60);
  await sql`update plan_quotas set token_amount = 150 where plan_id = ${planId}`;

  expect(await user.consume(90)).toMatchObject({ base_quota_used: 90, quota_left: 0 });
});

test("a quota lowered below what was used is empty, and grants go on", async () => {
  const project = await Project.create(sql);
  const planId = await project.plan({ quota: 100 });
  const user = await project.user("ada");
  await user.grant(500);
  await user.consume(60);
  await sql`update plan_quotas set token_amount = 50 where plan_id = ${planId}`;

  expect(await user.balance()).toMatchObject({ quota_amount: 50, quota_used: 60, quota_left: 0 });
  expect(await user.consume(10)).toMatchObject({ base_quota_used: 0, grants_used: 10 });
});

test("a quota lowered and raised again has what it had", async () => {
  const project = await Project.create(sql);
  const planId = await project.plan({ quota: 100 });
  const user = await project.user("ada");
  await user.consume(60);
  await sql`update plan_quotas set token_amount = 50 where plan_id = ${planId}`;
  await sql`update plan_quotas set token_amount = 100 where plan_id = ${planId}`;

  expect(await user.balance()).toMatchObject({ quota_used: 60, quota_left: 40 });
});

test("a quota added to a plan is there for the next call", async () => {
  const project = await Project.create(sql);
  const planId = await project.plan({});
  const user = await project.user("ada");
  expect(await user.consume(10)).toMatchObject({ success: false });
  await sql`insert into plan_quotas (plan_id, token_amount) values (${planId}, 100)`;

  expect(await user.consume(10)).toMatchObject({ base_quota_used: 10, quota_left: 90 });
});

test("a quota that nobody has used can be deleted", async () => {
  const project = await Project.create(sql);
  const planId = await project.plan({ quota: 100 });
  const user = await project.user("ada");
  await sql`delete from plan_quotas where plan_id = ${planId}`;

  expect(await user.consume(10)).toMatchObject({ reason: "insufficient_tokens", quota_left: 0 });
  expect(await user.balance()).toMatchObject({ quota_amount: null, quota_left: 0 });
});

test("a quota of 0 pays nothing", async () => {
  const project = await Project.create(sql);
  await project.plan({ quota: 0 });
  const user = await project.user("ada");

  expect(await user.consume(1)).toMatchObject({ reason: "insufficient_tokens", retry_at: null });
});

test("a lack that the next period ends says when it begins", async () => {
  const project = await Project.create(sql);
  await project.plan({ quota: 100 });
  const user = await project.user("ada", { billingAnchor: "2026-05-04T09:00:00Z" });
  await user.consume(60, { at: "2026-05-10T09:00:00Z" });

  expect(await user.consume(100, { at: "2026-05-10T09:00:00Z" })).toMatchObject({
    reason: "insufficient_tokens",
    message: "Not enough tokens: 100 requested, 40 left",
    retry_at: new Date("2026-06-04T09:00:00Z"),
    quota_left: 40,
  });
});

test("a lack that no period ends names no time", async () => {
  const project = await Project.create(sql);
  await project.plan({ quota: 100 });
  const user = await project.user("ada");

  expect(await user.consume(101)).toMatchObject({ reason: "insufficient_tokens", retry_at: null });
});

test("a plan has one quota", async () => {
  const project = await Project.create(sql);
  const planId = await project.plan({ quota: 100 });

  await expect(sql`insert into plan_quotas (plan_id, token_amount) values (${planId}, 100)`)
    .rejects.toMatchObject({ code: "23505", constraint_name: "plan_has_one_quota" });
});

test.each([-1, 1_000_000_000_000_001])("a quota of %d tokens is refused", async (amount) => {
  const project = await Project.create(sql);
  const planId = await project.plan({});

  await expect(sql`insert into plan_quotas (plan_id, token_amount) values (${planId}, ${amount})`)
    .rejects.toMatchObject({ code: "23514", constraint_name: "amount_is_0_to_1e15" });
});
