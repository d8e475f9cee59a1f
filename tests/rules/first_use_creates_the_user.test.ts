import { expect, test } from "vitest";
import { useDatabase } from "../support/database.ts";
import { Project } from "../support/project.ts";

const { sql } = useDatabase();

test("a first consumption creates the user on the default plan", async () => {
  const project = await Project.create(sql);
  const planId = await project.plan({ quota: 100 });

  const receipt = await project.unknownUser("ada").consume(30, { at: "2026-05-04T09:00:00Z" });

  expect(receipt).toMatchObject({ success: true, quota_left: 70, transfer_number: 1 });
  const users = await sql`
    select plan_id, payment_status, billing_anchor, auth_user_id, created_at
    from tracked_users where project_id = ${project.id} and external_id = 'ada'`;
  expect(users).toEqual([{
    plan_id: planId,
    payment_status: "active",
    billing_anchor: new Date("2026-05-04T09:00:00Z"),
    auth_user_id: null,
    created_at: new Date("2026-05-04T09:00:00Z"),
  }]);
});

test("a first consumption through consume_tokens_v2 creates the user too", async () => {
  const project = await Project.create(sql);
  await project.plan({ quota: 100 });

  await sql`select * from consume_tokens_v2(${project.id}, 'ada', 30)`;

  expect(await project.unknownUser("ada").balance()).toMatchObject({ quota_used: 30 });
});

test("a first grant creates the user on the default plan", async () => {
  const project = await Project.create(sql);
  await project.plan({ quota: 100 });

  await sql`select * from grant_tokens(${project.id}, 'ada', 50, 'trial')`;

  expect(await project.unknownUser("ada").balance()).toMatchObject({
    quota_left: 100,
    grants_left: 50,
  });
});

test("a user created in SQL without a plan is on the default plan", async () => {
  const project = await Project.create(sql);
  const planId = await project.plan({ quota: 100 });
  await sql`insert into tracked_users (project_id, external_id) values (${project.id}, 'ada')`;

  const [user] = await sql`select plan_id from tracked_users where project_id = ${project.id}`;

  expect(user).toEqual({ plan_id: planId });
});

test("a user created in SQL without a plan is refused where there is no default plan", async () => {
  const project = await Project.create(sql);

  await expect(
    sql`insert into tracked_users (project_id, external_id) values (${project.id}, 'ada')`,
  ).rejects.toMatchObject({
    code: "TG001",
    message: "plan_id is empty and the project has no default plan",
    hint: "Give plan_id, or set projects.default_plan_id first.",
  });
});

test("a known user goes on when the project has no default plan any more", async () => {
  const project = await Project.create(sql);
  await project.plan({ quota: 100 });
  const user = await project.user("ada");
  await sql`update projects set default_plan_id = null where id = ${project.id}`;

  expect(await user.consume(30)).toMatchObject({ success: true });
});

test("the id of a user is the same whoever creates it", async () => {
  const project = await Project.create(sql);
  await project.plan({ quota: 100 });
  await project.unknownUser("ada").consume(30);

  await expect(project.user("ada")).rejects.toMatchObject({ code: "23505" });
});
