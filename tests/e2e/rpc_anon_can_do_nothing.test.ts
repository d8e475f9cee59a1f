import { expect, test } from "vitest";
import type { Database } from "../../supabase/functions/_shared/database.types.ts";
import { connectAs, service, stack, Tenant } from "../support/tenant.ts";

type Public = Database["public"];

const tenant = await Tenant.create({ quota: 1000 });
await tenant.consume("ada", 1);
const anon = connectAs(stack.publishableKey);

// The types make the lists complete: with a table or a function more, this does not compile.
const tables: Record<keyof Public["Tables"], true> = {
  api_keys: true,
  plan_quotas: true,
  plan_restrictions: true,
  plans: true,
  project_members: true,
  projects: true,
  recurring_grants: true,
  tags: true,
  token_holds: true,
  token_transfers: true,
  tracked_users: true,
  user_quota_usage: true,
  user_tags: true,
  user_token_grants: true,
  user_token_grants_consume: true,
  user_usage: true,
  user_usage_buckets: true,
};
const views: Record<keyof Public["Views"], true> = {
  current_balances: true,
  open_holds: true,
  recent_transfers: true,
  restriction_status: true,
  usage_by_day_and_tag: true,
};
const ada = { p_project_id: tenant.id, p_external_user_id: "ada" };
const byKey = { p_key_hash: `\\x${"00".repeat(32)}`, p_external_user_id: "ada" };
const { data: [key] } = await service.from("api_keys").select("id").eq("project_id", tenant.id)
  .throwOnError();
const hold = { p_hold_id: `hold_${"0".repeat(32)}_1` };
const recurring = { p_tokens: 1, p_grant_type: "bonus", p_every: "1 day" } as const;
const someId = "00000000-0000-4000-8000-000000000000";
const calls: { [Name in keyof Public["Functions"]]: Public["Functions"][Name]["Args"] } = {
  balance_with_api_key: byKey,
  batch_with_api_key: { p_key_hash: byKey.p_key_hash, p_items: [] },
  change_user: { ...ada, p_plan: "Free" },
  change_user_with_api_key: { ...byKey, p_plan: "Free" },
  check_tokens: { ...ada, p_tokens: 1 },
  check_with_api_key: { ...byKey, p_tokens: 1 },
  consume_batch: { p_project_id: tenant.id, p_items: [] },
  consume_tokens: { ...ada, p_tokens: 1 },
  consume_tokens_v2: { ...ada, p_tokens_consumed: 1 },
  consume_with_api_key: { ...byKey, p_tokens: 1 },
  create_api_key: { p_project_id: tenant.id, p_name: "stolen" },
  create_project: { p_name: "squatted" },
  create_recurring_grant: { ...ada, ...recurring },
  end_recurring_grant: { ...ada, p_recurring_grant_id: someId },
  end_recurring_grant_with_api_key: { ...byKey, p_recurring_grant_id: someId },
  extend_hold: { p_project_id: tenant.id, ...hold },
  extend_with_api_key: { p_key_hash: byKey.p_key_hash, ...hold },
  get_usage: { p_project_id: tenant.id, p_from: "2026-01-01T00:00:00Z" },
  get_user_balance: ada,
  get_user_transfers: ada,
  grant_tokens: { ...ada, p_tokens: 1, p_grant_type: "bonus" },
  grant_with_api_key: { ...byKey, p_tokens: 1, p_grant_type: "bonus" },
  hold_tokens: { ...ada, p_tokens: 1 },
  hold_with_api_key: { ...byKey, p_tokens: 1 },
  link_user: ada,
  link_user_with_api_key: byKey,
  recurring_grant_with_api_key: { ...byKey, ...recurring },
  refund_tokens: { ...ada, p_transfer_number: 1 },
  refund_with_api_key: { ...byKey, p_transfer_number: 1 },
  release_hold: { p_project_id: tenant.id, ...hold },
  release_with_api_key: { p_key_hash: byKey.p_key_hash, ...hold },
  revoke_api_key: { p_key_id: key!.id },
  rotate_api_key: { p_key_id: key!.id },
  settle_hold: { p_project_id: tenant.id, ...hold, p_tokens: 1 },
  settle_with_api_key: { p_key_hash: byKey.p_key_hash, ...hold, p_tokens: 1 },
  transfers_with_api_key: byKey,
  usage_with_api_key: { p_key_hash: byKey.p_key_hash, p_from: "2026-01-01T00:00:00Z" },
  verify_ledger: {},
  void_grant: { ...ada, p_grant_id: someId },
  void_grant_with_api_key: { ...byKey, p_grant_id: someId },
};

const namesOf = <Name extends string>(record: Record<Name, unknown>) =>
  Object.keys(record) as Name[];

test.each(namesOf(tables))("anon cannot read %s", async (table) => {
  const { data, error } = await anon.from(table).select("*").limit(1);

  expect(data).toBeNull();
  expect(error).toMatchObject({
    code: "42501",
    message: `permission denied for table ${table}`,
  });
});

test.each(namesOf(views))("anon cannot read %s", async (view) => {
  const { data, error } = await anon.from(view).select("*").limit(1);

  expect(data).toBeNull();
  expect(error).toMatchObject({
    code: "42501",
    message: `permission denied for view ${view}`,
  });
});

test.each(["projects", "tags", "tracked_users", "token_transfers"] as const)(
  "anon cannot delete from %s",
  async (table) => {
    const { error } = await anon.from(table).delete().gte("created_at", "1970-01-01T00:00:00Z");

    expect(error?.code).toBe("42501");
  },
);

test.each(namesOf(calls))("anon cannot call %s", async (name) => {
  const { data, error } = await anon.rpc(name, calls[name]);

  expect(data).toBeNull();
  expect(error).toMatchObject({
    code: "42501",
    message: `permission denied for function ${name}`,
  });
});

test("without any key there is not even anon", async () => {
  const response = await fetch(`${stack.url}/rest/v1/projects?select=id`);

  expect(response.status).toBe(401);
});

test("anon has changed nothing", async () => {
  expect((await tenant.balance("ada")).body.tokens_left).toBe(999);
});
