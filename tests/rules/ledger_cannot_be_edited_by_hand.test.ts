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
  await user.recurringGrant(5, "1 week", { startsAt: "2999-01-01T00:00:00Z" });
  await sql`select * from create_api_key(${project.id}, 'Backend')`;
  await Project.create(sql);
});

const transfers = "Use consume_tokens() to take tokens, refund_tokens() to give some back.";
const consumption = "Use consume_tokens() to take tokens.";
const quota = "Use grant_tokens() to give more, or change plan_quotas.token_amount.";
const restriction = "Change the restriction in plan_restrictions instead.";
const holds = "Use release_hold() or settle_hold() to end a hold.";
const refund = "Use refund_tokens() to take a consumption back.";
const tags = "Consume tokens for the tag.";
const grant = "Use grant_tokens() for more tokens, void_grant() to end this grant.";
const ending = "Use void_grant() to end a grant.";
const recurring = "Set ends_at to now() to stop it, and insert another.";
const stopping = "Set ends_at to now() to stop it.";
const filled = "Change plan_id, payment_status or quota_open_until instead.";
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
  ["update user_usage set limits = '{}'", restriction],
  ["update user_usage set due_at = 'infinity'", restriction],
  ["delete from user_usage", "Delete the tracked user instead."],
  ["truncate user_usage", restriction],
  ["insert into user_usage_buckets select * from user_usage_buckets", refund],
  ["update user_usage_buckets set tokens_used = 0", refund],
  ["delete from user_usage_buckets", refund],
  ["truncate user_usage_buckets", refund],
  ["insert into user_tags select * from user_tags", tags],
  ["update user_tags set tag_id = gen_random_uuid()", tags],
  ["delete from user_tags", tags],
  ["truncate user_tags", tags],
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
  ["update user_token_grants set tag_ids = array(select id from tags)", grant],
  ["update user_token_grants set effective_at = now()", grant],
  ["update user_token_grants set voided_at = now()", grant],
  ["update user_token_grants set voided_at = null", grant],
  ["update user_token_grants set priority = 1", grant],
  ["update user_token_grants set cost_basis = 1", grant],
  ["update user_token_grants set cost_currency = 'EUR'", grant],
  ["update user_token_grants set recurring_grant_id = id", grant],
  ["update user_token_grants set refund_of = 1", grant],
  ["update user_token_grants set request_id = 'r-1'", grant],
  ["update user_token_grants set expires_at = now(), token_amount = 1", grant],
  ["delete from user_token_grants", ending],
  ["truncate user_token_grants", ending],
  ["update recurring_grants set token_amount = 1000", recurring],
  ["update recurring_grants set grant_type = 'trial'", recurring],
  ["update recurring_grants set every = '1 day'", recurring],
  ["update recurring_grants set starts_at = now()", recurring],
  ["update recurring_grants set valid_for = '1 year'", recurring],
  ["update recurring_grants set priority = 1", recurring],
  ["update recurring_grants set tag_ids = array(select id from tags)", recurring],
  ["update recurring_grants set metadata = '{}'", recurring],
  ["update recurring_grants set request_id = 'r-1'", recurring],
  ["update recurring_grants set request_hash = 1", recurring],
  ["update recurring_grants set occurrences_booked = 0", recurring],
  ["update recurring_grants set created_at = now()", recurring],
  ["update recurring_grants set id = gen_random_uuid()", recurring],
  ["update recurring_grants set user_id = gen_random_uuid()", recurring],
  ["update recurring_grants set ends_at = now(), priority = 1", recurring],
  ["delete from recurring_grants", stopping],
  ["truncate recurring_grants", stopping],
  [
    "delete from tracked_users",
    "Set payment_status to canceled, or move the user to another plan.",
  ],
  ["update tracked_users set external_id = 'grace'", "Insert a new tracked user."],
  ["update tracked_users set id = gen_random_uuid()", "Insert a new tracked user."],
  [`update tracked_users set project_id = ${otherProject}`, "Insert a new tracked user."],
  ["update tracked_users set plan_since = now()", filled],
  ["update tracked_users set quota_open_since = now()", filled],
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

test("a user without history can be deleted with recurring grants", async () => {
  const project = await Project.create(sql);
  await project.plan({ quota: 100 });
  const user = await project.user("ada");
  await user.recurringGrant(5, "1 week", { startsAt: "2026-01-01T00:00:00Z" });
  await sql`delete from tracked_users where project_id = ${project.id}`;

  expect(await sql`select from recurring_grants where user_id = ${user.id!}`).toEqual([]);
  await expect(user.balance()).rejects.toMatchObject({ code: "TG004" });
});

test("a project without users can be deleted with all it has", async () => {
  const project = await Project.create(sql);
  await project.plan({
    quota: 100,
    restrictions: [
      { tag: "GPT-4", maxTokens: 500, duration: "1 day" },
      { tags: ["GPT-4", "GPT-5"], maxTokens: 800, duration: "2 weeks", window: "rolling" },
    ],
  });
  await sql`select * from create_api_key(${project.id}, 'Backend')`;
  const others = await sql`select id from projects where id <> ${project.id} order by id`;

  await sql`delete from projects where id = ${project.id}`;

  expect(await sql`select id from projects order by id`).toEqual(others);
});
