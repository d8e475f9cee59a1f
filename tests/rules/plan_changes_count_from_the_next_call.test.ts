import { expect, test } from "vitest";
import { useDatabase } from "../support/database.ts";
import { Project } from "../support/project.ts";

const { sql } = useDatabase();
const at = "2026-05-06T09:30:00Z";
const later = "2026-05-06T09:45:00Z";

test("a user moved to another plan draws on the quota of that plan, less what was used", async () => {
  const project = await Project.create(sql);
  const free = await project.plan({ quota: 100 });
  const pro = await project.plan({ quota: 1000 });
  const user = await project.user("ada", { planId: free });
  await user.consume(100);
  await sql`update tracked_users set plan_id = ${pro} where id = ${user.id!}`;

  expect(await user.consume(300)).toMatchObject({ base_quota_used: 300, quota_left: 600 });
});

test("a user moved there and back finds the quota less what was used on both plans", async () => {
  const project = await Project.create(sql);
  const free = await project.plan({ quota: 100 });
  const pro = await project.plan({ quota: 1000 });
  const user = await project.user("ada", { planId: free });
  await user.consume(60);
  await sql`update tracked_users set plan_id = ${pro} where id = ${user.id!}`;
  await user.consume(30);
  await sql`update tracked_users set plan_id = ${free} where id = ${user.id!}`;

  expect(await user.balance()).toMatchObject({ quota_amount: 10, quota_used: 0, quota_left: 10 });
});

test("the restrictions of the new plan count what was used under the old one", async () => {
  const project = await Project.create(sql);
  const free = await project.plan({ quota: 1000 });
  await project.plan({ quota: 1000, restrictions: [{ maxTokens: 100, duration: "1 day" }] }, "Pro");
  const user = await project.user("ada", { planId: free });
  await user.consume(80, { at });
  await user.change({ plan: "Pro", at: later });

  expect(await user.consume(21, { at: later })).toMatchObject({ reason: "restriction_exceeded" });
  expect(await user.consume(20, { at: later })).toMatchObject({ success: true });
});

test("a plan turned to pay-as-you-go closes its quota, and turned back opens it as it was", async () => {
  const project = await Project.create(sql);
  const planId = await project.plan({ quota: 100 });
  const user = await project.user("ada");
  await user.grant(50);
  await user.consume(60);

  await sql`update plans set plan_type = 'pay_as_you_go' where id = ${planId}`;
  expect(await user.consume(10)).toMatchObject({ base_quota_used: 0, grants_used: 10 });

  await sql`update plans set plan_type = 'subscription' where id = ${planId}`;
  expect(await user.consume(10)).toMatchObject({ base_quota_used: 10, quota_left: 30 });
});

test("a plan of another project is refused", async () => {
  const project = await Project.create(sql);
  await project.plan({ quota: 100 });
  const user = await project.user("ada");
  const foreign = await (await Project.create(sql)).plan({ quota: 100 });

  await expect(sql`update tracked_users set plan_id = ${foreign} where id = ${user.id!}`)
    .rejects.toMatchObject({ code: "23503", constraint_name: "plan_belongs_to_project" });
});

test("a default plan of another project is refused", async () => {
  const project = await Project.create(sql);
  const foreign = await (await Project.create(sql)).plan({ quota: 100 });

  await expect(sql`update projects set default_plan_id = ${foreign} where id = ${project.id}`)
    .rejects.toMatchObject({ code: "23503", constraint_name: "default_plan_belongs_to_project" });
});

test("a plan that users are on cannot be deleted", async () => {
  const project = await Project.create(sql);
  const planId = await project.plan({ quota: 100 });
  await project.user("ada");

  await expect(sql`delete from plans where id = ${planId}`)
    .rejects.toMatchObject({ code: "23503", constraint_name: "plan_belongs_to_project" });
});

test("a deleted default plan leaves the project without one", async () => {
  const project = await Project.create(sql);
  const planId = await project.plan({ quota: 100 });
  await sql`delete from plans where id = ${planId}`;

  const [row] = await sql`select default_plan_id from projects where id = ${project.id}`;

  expect(row).toEqual({ default_plan_id: null });
});
