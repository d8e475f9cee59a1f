import { beforeAll, expect, test } from "vitest";
import { contents } from "../support/contents.ts";
import { useDatabase } from "../support/database.ts";
import { Project } from "../support/project.ts";

const { sql } = useDatabase();

// Every kind of row, so that each statement below would hit one.
beforeAll(async () => {
  const project = await Project.create(sql);
  await project.plan({});
  await project.plan({
    quota: 100,
    restrictions: [{ tag: "GPT-4", maxTokens: 500, duration: "1 day" }],
  });
  const user = await project.user("ada");
  await user.grant(100);
  await user.consume(150, { tag: "GPT-4" });
  await sql`select * from create_api_key(${project.id}, 'Backend')`;
  await Project.create(sql);
});

const transfers = "Use consume_tokens() to take tokens, refund_tokens() to give some back.";
const consumption = "Use consume_tokens() to take tokens.";
const quota = "Use grant_tokens() to give more, or change plan_quotas.token_amount.";
const restriction = "Change the restriction in plan_restrictions instead.";
const holds = "Use release_hold() or settle_hold() to end a hold.";
const grant = "Use grant_tokens() for more tokens; set expires_at to now() to end this grant.";
const ending = "Set expires_at to now() to end a grant.";
const otherProject = "(select id from projects where default_plan_id is null)";
const otherPlan = "(select id from plans where id not in (select plan_id from plan_quotas))";

test.each<[string, string]>([
  ["insert into token_transfers select * from token_transfers", transfers],
  ["update token_transfers set metadata = '{}'", transfers],
  ["delete from token_transfers", transfers],
  ["truncate token_transfers", transfers],
  ["insert into user_token_grants_consume select * from user_token_grants_consume", consumption],
  ["update user_token_grants_consume set token_deduction = 1", consumption],
  ["delete from user_token_grants_consume", consumption],
  ["truncate user_token_grants_consume", consumption],
  ["insert into user_quota_usage select * from user_quota_usage", quota],
  ["update user_quota_usage set tokens_used = 0", quota],
  ["update user_quota_usage set period_end = 'infinity'", quota],
  ["delete from user_quota_usage", quota],
  ["truncate user_quota_usage", quota],
  ["insert into user_usage select * from user_usage", restriction],
  ["update user_usage set day_used = 0", restriction],
  ["delete from user_usage", "Delete the tracked user instead."],
  ["truncate user_usage", restriction],
  ["insert into user_tag_usage select * from user_tag_usage", restriction],
  ["update user_tag_usage set day_used = 0", restriction],
  ["delete from user_tag_usage", restriction],
  ["truncate user_tag_usage", restriction],
  ["insert into token_holds (user_id) select id from tracked_users", holds],
  ["update token_holds set token_amount = 1", holds],
  ["delete from token_holds", holds],
  ["truncate token_holds", holds],
  ["update user_token_grants set token_amount = 1000", grant],
  ["update user_token_grants set tokens_used = 0", grant],
  ["update user_token_grants set is_spent = true", grant],
  ["update user_token_grants set grant_type = 'trial'", grant],
  ["update user_token_grants set created_at = now()", grant],
  ["update user_token_grants set id = gen_random_uuid()", grant],
  ["update user_token_grants set user_id = gen_random_uuid()", grant],
  ["update user_token_grants set metadata = '{}'", grant],
  ["update user_token_grants set request_id = 'r-1'", grant],
  ["update user_token_grants set expires_at = now(), token_amount = 1", grant],
  ["delete from user_token_grants", ending],
  ["truncate user_token_grants", ending],
  [
    "delete from tracked_users",
    "Set payment_status to canceled, or move the user to another plan.",
  ],
  ["update tracked_users set external_id = 'grace'", "Insert a new tracked user."],
  ["update tracked_users set id = gen_random_uuid()", "Insert a new tracked user."],
  [`update tracked_users set project_id = ${otherProject}`, "Insert a new tracked user."],
  [
    "delete from tags",
    "Rename the tag instead; delete its restrictions if they should no longer count.",
  ],
  [`update tags set project_id = ${otherProject}`, "Insert a new tag in the other project."],
  ["update tags set id = gen_random_uuid()", "Insert a new tag in the other project."],
  ["delete from plan_quotas", "Set token_amount to 0, or plan_type to pay_as_you_go."],
  ["update plan_quotas set id = gen_random_uuid()", "Insert a new quota for the other plan."],
  ["update plan_quotas set plan_id = gen_random_uuid()", "Insert a new quota for the other plan."],
  [`update plans set project_id = ${otherProject}`, "Insert a new plan in the other project."],
  ["update plans set id = gen_random_uuid()", "Insert a new plan in the other project."],
  [
    `update plan_restrictions set plan_id = ${otherPlan}`,
    "Insert a new restriction for the other plan.",
  ],
  [`update api_keys set project_id = ${otherProject}`, "Create a new key with create_api_key()."],
  ["update api_keys set key_hash = sha256('')", "Create a new key with create_api_key()."],
])("%s", async (statement, hint) => {
  const before = await contents(sql);

  await expect(sql.unsafe(statement)).rejects.toMatchObject({ code: "TG007", hint });
  expect(await contents(sql)).toEqual(before);
});

test.each(["projects", "tracked_users", "plans", "plan_quotas", "tags"])(
  "truncate %s cascade",
  async (table) => {
    await expect(sql`truncate ${sql(table)} cascade`).rejects.toMatchObject({ code: "TG007" });
  },
);

test("a refusal names the statement, the table and the reason", async () => {
  await expect(sql`update token_transfers set amount = 0`).rejects.toMatchObject({
    message: "Update of token_transfers is not possible: transfers are the audit trail",
  });
});

test("a project with users cannot be deleted", async () => {
  const project = await Project.create(sql);
  await project.plan({ quota: 100 });
  await project.user("ada");

  await expect(sql`delete from projects where id = ${project.id}`)
    .rejects.toMatchObject({ code: "23503" });
});

test("a user without history can be deleted", async () => {
  const project = await Project.create(sql);
  await project.plan({ quota: 100 });
  await project.user("ada");
  await sql`delete from tracked_users where project_id = ${project.id}`;

  await expect(project.unknownUser("ada").balance()).rejects.toMatchObject({ code: "TG004" });
});

test("a project without users can be deleted with all it has", async () => {
  const project = await Project.create(sql);
  await project.plan({
    quota: 100,
    restrictions: [{ tag: "GPT-4", maxTokens: 500, duration: "1 day" }],
  });
  await sql`select * from create_api_key(${project.id}, 'Backend')`;
  const others = await sql`select id from projects where id <> ${project.id} order by id`;

  await sql`delete from projects where id = ${project.id}`;

  expect(await sql`select id from projects order by id`).toEqual(others);
});
