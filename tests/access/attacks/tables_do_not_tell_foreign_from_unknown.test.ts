import { randomUUID } from "node:crypto";
import { expect, test } from "vitest";
import { connectToStack, rest, signedIn, userToken } from "../../support/rest.ts";
import { addPeople, createWorld, type World } from "../world.ts";

// Mallory owns a project of her own and knows every id of another one. Nothing that she is answered
// may tell her so, and nothing may bring a row of the other project into hers.
const sql = connectToStack();
const people = await addPeople(sql);
const theirs = await createWorld(sql, people);
const mine = await createWorld(sql, { owner: people.other_owner });
const mallory = signedIn(await userToken(people.other_owner));

const id = randomUUID;
const unknown: World = {
  ...{ id: id(), emptyProject: id(), tag: id(), spareTag: id(), restriction: id(), plan: id() },
  ...{ sparePlan: id(), spareQuota: id(), key: id(), keyHash: `\\x${"00".repeat(32)}` },
  users: { ada: id(), bob: id(), idle: id() },
  hold: `hold_${id().replaceAll("-", "")}_1`,
  ...{ grant: id(), recurringGrant: id(), then: theirs.then },
};

const limit = { max_tokens: 1, duration: "1 day" };
type Request = [method: string, path: (w: World) => string, body?: (w: World) => object];

const requests: Record<string, Request> = {
  "read a project": ["GET", (w) => `projects?id=eq.${w.id}`],
  "read members": ["GET", (w) => `project_members?project_id=eq.${w.id}`],
  "read a plan": ["GET", (w) => `plans?id=eq.${w.plan}`],
  "read a quota": ["GET", (w) => `plan_quotas?id=eq.${w.spareQuota}`],
  "read a restriction": ["GET", (w) => `plan_restrictions?id=eq.${w.restriction}`],
  "read a tag": ["GET", (w) => `tags?id=eq.${w.tag}`],
  "read a user": ["GET", (w) => `tracked_users?id=eq.${w.users.ada}`],
  "read a key": ["GET", (w) => `api_keys?select=id&id=eq.${w.key}`],
  "read transfers": ["GET", (w) => `token_transfers?user_id=eq.${w.users.ada}`],
  "read recurring grants": ["GET", (w) => `recurring_grants?user_id=eq.${w.users.ada}`],
  "read usage": ["GET", (w) => `user_usage_buckets?user_id=eq.${w.users.ada}`],
  "read tags of a user": ["GET", (w) => `user_tags?user_id=eq.${w.users.ada}`],
  "read who used a tag": ["GET", (w) => `user_tags?tag_id=eq.${w.tag}`],
  "read balances": ["GET", (w) => `current_balances?project_id=eq.${w.id}`],
  "add a plan": ["POST", () => "plans", (w) => ({ project_id: w.id, name: "x" })],
  "add a tag": ["POST", () => "tags", (w) => ({ project_id: w.id, name: "GPT-4" })],
  "add a quota": ["POST", () => "plan_quotas", (w) => ({ plan_id: w.plan, token_amount: 1 })],
  "add a restriction": ["POST", () => "plan_restrictions", (w) => ({
    ...{ plan_id: w.plan, restriction_type: "total", restriction_config: limit },
  })],
  "add a restriction of a tag": ["POST", () => "plan_restrictions", (w) => ({
    plan_id: w.plan,
    restriction_type: "tag",
    restriction_config: { ...limit, tag_name: "GPT-4" },
  })],
  "add a user": ["POST", () => "tracked_users", (w) => ({
    ...{ project_id: w.id, external_id: "ada", plan_id: w.plan },
  })],
  "add a user on the default plan": ["POST", () => "tracked_users", (w) => ({
    ...{ project_id: w.id, external_id: "ada" },
  })],
  "add a grant": ["POST", () => "user_token_grants", (w) => ({
    ...{ user_id: w.users.ada, token_amount: 1, grant_type: "bonus" },
  })],
  "add a grant out of range": ["POST", () => "user_token_grants", (w) => ({
    ...{ user_id: w.users.ada, token_amount: 0, grant_type: "bonus" },
  })],
  "add an own grant for a tag": ["POST", () => "user_token_grants", (w) => ({
    ...{ user_id: mine.users.idle, token_amount: 1, grant_type: "bonus", tag_ids: [w.tag] },
  })],
  "add a recurring grant": ["POST", () => "recurring_grants", (w) => ({
    ...{ user_id: w.users.ada, token_amount: 1, grant_type: "bonus", every: "1 day" },
  })],
  "add a recurring grant out of range": ["POST", () => "recurring_grants", (w) => ({
    ...{ user_id: w.users.ada, token_amount: 0, grant_type: "bonus", every: "1 hour" },
  })],
  "add an own recurring grant for a tag": ["POST", () => "recurring_grants", (w) => ({
    ...{ user_id: mine.users.idle, token_amount: 1, grant_type: "bonus", every: "1 day" },
    tag_ids: [mine.tag, w.tag],
  })],
  "end recurring grants": ["PATCH", (w) => `recurring_grants?user_id=eq.${w.users.ada}`, () => ({
    ends_at: "2999-01-01",
  })],
  "end a recurring grant": ["PATCH", (w) => `recurring_grants?id=eq.${w.recurringGrant}`, () => ({
    ends_at: "2020-01-01",
  })],
  "join": ["POST", () => "project_members", (w) => ({
    ...{ project_id: w.id, user_id: people.other_owner, role: "owner" },
  })],
  "change a project": ["PATCH", (w) => `projects?id=eq.${w.id}`, () => ({ name: "x" })],
  "change a user": ["PATCH", (w) => `tracked_users?id=eq.${w.users.ada}`, () => ({
    payment_status: "canceled",
  })],
  "end grants": ["PATCH", (w) => `user_token_grants?user_id=eq.${w.users.ada}`, () => ({
    expires_at: "2020-01-01",
  })],
  "revoke a key by hand": ["PATCH", (w) => `api_keys?id=eq.${w.key}`, () => ({
    revoked_at: "2020-01-01",
  })],
  "remove a plan in use": ["DELETE", (w) => `plans?id=eq.${w.plan}`],
  "remove a tag in use": ["DELETE", (w) => `tags?id=eq.${w.tag}`],
  "remove a user with history": ["DELETE", (w) => `tracked_users?id=eq.${w.users.ada}`],
  "remove a member": ["DELETE", (w) => `project_members?project_id=eq.${w.id}`],
  "take a plan as default": ["PATCH", () => `projects?id=eq.${mine.id}`, (w) => ({
    default_plan_id: w.plan,
  })],
  "put an own user on a plan": ["PATCH", () => `tracked_users?id=eq.${mine.users.idle}`, (w) => ({
    plan_id: w.plan,
  })],
  "put an own user on a plan to come": [
    "PATCH",
    () => `tracked_users?id=eq.${mine.users.idle}`,
    (w) => ({ next_plan_id: w.plan, next_plan_at: "2999-01-01T00:00:00Z" }),
  ],
  "change a user's zone": ["PATCH", (w) => `tracked_users?id=eq.${w.users.ada}`, () => ({
    time_zone: "EST",
  })],
  "add an own user on a plan": ["POST", () => "tracked_users", (w) => ({
    ...{ project_id: mine.id, external_id: "new", plan_id: w.plan },
  })],
  "revoke a key": ["POST", () => "rpc/revoke_api_key", (w) => ({ p_key_id: w.key })],
  "rotate a key": ["POST", () => "rpc/rotate_api_key", (w) => ({ p_key_id: w.key })],
  "make a key": ["POST", () => "rpc/create_api_key", (w) => ({ p_project_id: w.id, p_name: "x" })],
  "void a grant": ["POST", () => "rpc/void_grant", (w) => ({
    ...{ p_project_id: w.id, p_external_user_id: "ada", p_grant_id: w.grant },
  })],
  "void a grant as an own user's": ["POST", () => "rpc/void_grant", (w) => ({
    ...{ p_project_id: mine.id, p_external_user_id: "ada", p_grant_id: w.grant },
  })],
  "end a recurring grant as an own user's": ["POST", () => "rpc/end_recurring_grant", (w) => ({
    ...{ p_project_id: mine.id, p_external_user_id: "ada", p_recurring_grant_id: w.recurringGrant },
  })],
  "change a user by function": ["POST", () => "rpc/change_user", (w) => ({
    ...{ p_project_id: w.id, p_external_user_id: "ada", p_payment_status: "canceled" },
  })],
  "read the usage of a project": ["POST", () => "rpc/get_usage", (w) => ({
    ...{ p_project_id: w.id, p_from: "2026-01-01" },
  })],
  "read a balance of the past": ["POST", () => "rpc/get_user_balance", (w) => ({
    ...{ p_project_id: w.id, p_external_user_id: "ada", p_as_of: w.then },
  })],
  "link a user": ["POST", () => "rpc/link_user", (w) => ({
    ...{ p_project_id: w.id, p_external_user_id: "ada", p_auth_user_id: people.other_owner },
  })],
};

/** The answer to a request, with the ids in it made alike. */
async function ask([method, path, body]: Request, world: World) {
  const answer = await rest(mallory, method, path(world), body?.(world));
  const ids = [world.id, world.emptyProject, world.plan, world.tag, world.restriction, world.key];
  ids.push(world.spareQuota, world.grant, world.recurringGrant);
  const text = [...ids, ...Object.values(world.users)]
    .reduce((text, id) => text.replaceAll(id, "ID"), JSON.stringify(answer));
  return JSON.parse(text) as typeof answer;
}

const state = async () =>
  await sql`select * from (
    select 'user' as kind, to_jsonb(u)::text as row from tracked_users u
    union all select 'project', to_jsonb(p)::text from projects p
    union all select 'plan', to_jsonb(p)::text from plans p
    union all select 'tag', to_jsonb(t)::text from tags t
    union all select 'key', to_jsonb(k)::text from api_keys k
    union all select 'member', to_jsonb(m)::text from project_members m
    union all select 'transfer', to_jsonb(t)::text from token_transfers t
    union all select 'grant', to_jsonb(g)::text from user_token_grants g
    union all select 'recurring grant', to_jsonb(r)::text from recurring_grants r
  ) rows
  where strpos(row, ${theirs.id}) > 0 or strpos(row, ${mine.id}) > 0
    or strpos(row, ${theirs.users.ada}) > 0 or strpos(row, ${mine.users.idle}) > 0
  order by 1, 2`;

test.each(Object.keys(requests))("%s", async (name) => {
  const before = await state();

  const foreign = await ask(requests[name]!, theirs);

  expect(foreign).toEqual(await ask(requests[name]!, unknown));
  expect(await state()).toEqual(before);
});

test.each([
  ["another project", "spare"],
  ["no project", "no-such-tag"],
])("a restriction of the own plan cannot name a tag of %s", async (_, tag_name) => {
  await sql`delete from tags where id = ${mine.spareTag}`;
  const { code, body } = await rest(mallory, "POST", "plan_restrictions", {
    plan_id: mine.plan,
    restriction_type: "tag",
    restriction_config: { ...limit, tag_name },
  });

  expect(code).toBe("TG001");
  expect(body).toMatchObject({
    message:
      `restriction_config names tag_name '${tag_name}', which is not a tag of the plan's project`,
  });
});

test.each([
  ["created_at of a grant", "user_token_grants", { created_at: "2020-01-01" }],
  ["tokens_used of a grant", "user_token_grants", { tokens_used: 0 }],
  ["is_spent of a grant", "user_token_grants", { is_spent: false }],
  ["the id of a grant", "user_token_grants", { id: id() }],
  ["voided_at of a grant", "user_token_grants", { voided_at: "2020-01-01" }],
  ["where a grant comes from", "user_token_grants", { recurring_grant_id: id() }],
  ["the refund of a grant", "user_token_grants", { refund_of: 1 }],
  ["what a recurring grant has given", "recurring_grants", { occurrences_booked: 9 }],
  ["the request of a recurring grant", "recurring_grants", { request_hash: 9 }],
  ["created_at of a recurring grant", "recurring_grants", { created_at: "2020-01-01" }],
  ["since when a user is on a plan", "tracked_users", { plan_since: "2020-01-01" }],
  ["since when the quota is open", "tracked_users", { quota_open_since: "2020-01-01" }],
  ["created_at of a user", "tracked_users", { created_at: "2020-01-01" }],
  ["who a user is", "tracked_users", { auth_user_id: people.other_owner }],
])("nobody sets %s over HTTP", async (_, table, field) => {
  const [row, column] = table === "tracked_users"
    ? [{ project_id: mine.id, external_id: "new", plan_id: mine.plan }, "id"]
    : [{ user_id: mine.users.idle, token_amount: 1, grant_type: "bonus" }, "user_id"];
  const every = table === "recurring_grants" && { every: "1 day" };

  const insert = await rest(mallory, "POST", table, { ...row, ...every, ...field });
  const update = await rest(mallory, "PATCH", `${table}?${column}=eq.${mine.users.ada}`, field);

  expect([insert.code, update.code]).toEqual(["42501", "42501"]);
});

test.each([
  ["consume_tokens_v2", { p_tokens_consumed: 1 }],
  ["grant_tokens", { p_tokens: 1, p_grant_type: "bonus" }],
  ["void_grant", { p_grant_id: mine.grant }],
  ["create_recurring_grant", { p_tokens: 1, p_grant_type: "bonus", p_every: "1 day" }],
  ["end_recurring_grant", { p_recurring_grant_id: mine.recurringGrant }],
  ["change_user", { p_payment_status: "canceled" }],
  ["get_user_balance", {}],
])("nobody places %s in time: there is no p_at", async (name, args) => {
  const { status, code } = await rest(mallory, "POST", `rpc/${name}`, {
    ...{ p_project_id: mine.id, p_external_user_id: "ada" },
    ...args,
    p_at: "2020-01-01T00:00:00Z",
  });

  expect([status, code]).toEqual([404, "PGRST202"]);
});
