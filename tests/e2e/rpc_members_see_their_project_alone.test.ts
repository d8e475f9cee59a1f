import { expect, test } from "vitest";
import { service, signUp, Tenant, verifyLedgerAtEnd } from "../support/tenant.ts";

verifyLedgerAtEnd();

async function project() {
  const tenant = await Tenant.create({
    quota: 1000,
    restrictions: [{ tag: "GPT-4", maxTokens: 500, duration: "1 day" }],
  });
  await tenant.grant("ada", 100);
  await tenant.recurringGrant("ada", 1, { starts_at: "2090-01-01T00:00:00Z" });
  await tenant.consume("ada", 10, { tag: "GPT-4" });
  return tenant;
}
async function member(tenant: Tenant, role: "viewer" | "admin" | "owner") {
  const { id, supabase } = await signUp();
  await service.from("project_members").insert({ project_id: tenant.id, user_id: id, role })
    .throwOnError();
  return supabase;
}

const own = await project();
const other = await project();
const owner = await member(own, "owner");
const viewer = await member(own, "viewer");

const ada = (tenant: Tenant) => ({ p_project_id: tenant.id, p_external_user_id: "ada" });

test.each(["api_keys", "plans", "project_members", "tags", "tracked_users"] as const)(
  "an owner reads the %s of the own project, and no others",
  async (table) => {
    const { data } = await owner.from(table).select("project_id").throwOnError();

    expect(new Set(data.map(({ project_id }) => project_id))).toEqual(new Set([own.id]));
  },
);

test.each(
  ["current_balances", "recent_transfers", "restriction_status", "usage_by_day_and_tag"] as const,
)("an owner reads the view %s of the own project, and no others", async (view) => {
  const { data } = await owner.from(view).select("project_id").throwOnError();

  expect(new Set(data.map(({ project_id }) => project_id))).toEqual(new Set([own.id]));
});

test.each(
  [
    ...["user_usage", "user_usage_buckets", "user_tags", "user_quota_usage"] as const,
    ...["user_token_grants", "recurring_grants"] as const,
  ],
)(
  "an owner reads the %s of the own users, and no others",
  async (table) => {
    const { data: users } = await owner.from("tracked_users").select("id").throwOnError();

    const { data } = await owner.from(table).select("user_id").throwOnError();

    expect(users).toHaveLength(1);
    expect(data).toEqual([{ user_id: users[0]!.id }]);
  },
);

test("an owner reads one project: the own", async () => {
  const { data } = await owner.from("projects").select("id").throwOnError();

  expect(data).toEqual([{ id: own.id }]);
});

test("an owner reads balance and transfers by function, for the own project only", async () => {
  const balance = await owner.rpc("get_user_balance", ada(own)).throwOnError();
  const transfers = await owner.rpc("get_user_transfers", ada(own)).throwOnError();
  const others = await owner.rpc("get_user_balance", ada(other));
  const nobodys = await owner.rpc("get_user_balance", { ...ada(own), p_external_user_id: "x" });

  expect(balance.data[0]).toMatchObject({ user_id: "ada", tokens_left: 1090 });
  expect(transfers.data.map(({ amount }) => amount)).toEqual([-10, 100]);
  expect(others.error?.code).toBe("TG004");
  expect(others.error).toEqual(nobodys.error);
});

test("an owner reads usage by function, for the own project only", async () => {
  const { body: { data: [consumption] } } = await own.transfers("ada");
  const usage = (tenant: Tenant, more: object = {}) =>
    owner.rpc("get_usage", {
      ...{ p_project_id: tenant.id, p_from: consumption!.created_at, p_step: "month" },
      ...more,
    });
  const sumOf = ({ data }: Awaited<ReturnType<typeof usage>>) =>
    data?.reduce((sum, { tokens_used }) => sum + tokens_used, 0);

  const all = await usage(own, { p_group_by: "key" });
  const ofAda = await usage(own, { p_external_user_id: "ada" });
  const others = await usage(other);
  const ofTheirAda = await usage(other, { p_external_user_id: "ada" });
  const nobodys = await usage(own, { p_external_user_id: "x" });

  expect([sumOf(all), sumOf(ofAda)]).toEqual([10, 10]);
  expect(all.data?.[0]?.groups).toEqual([{ group: "e2e", tokens_used: 10, calls: 1 }]);
  expect(others.error?.code).toBe("TG009");
  expect(ofTheirAda.error?.code).toBe("TG004");
  expect(ofTheirAda.error).toEqual(nobodys.error);
});

test("an admin changes users and ends grants in the own project only", async () => {
  const tenant = await project();
  const admin = await member(tenant, "admin");
  const { data: grants } = await service.from("user_token_grants").select(
    "id, tracked_users!inner()",
  )
    .eq("tracked_users.project_id", own.id).throwOnError();
  const { body: grant } = await tenant.grant("ada", 5);
  const theirs = { ...ada(own), p_grant_id: grants[0]!.id };

  const voided = await admin.rpc("void_grant", { ...ada(tenant), p_grant_id: grant.grant_id })
    .throwOnError();
  const changed = await admin.rpc("change_user", { ...ada(tenant), p_payment_status: "paused" })
    .throwOnError();
  const refused = await Promise.all([
    admin.rpc("void_grant", theirs),
    admin.rpc("change_user", { ...ada(own), p_payment_status: "paused" }),
    admin.rpc("create_recurring_grant", {
      ...{ ...ada(own), p_tokens: 1, p_grant_type: "bonus", p_every: "1 day" },
    }),
    viewer.rpc("void_grant", theirs),
    viewer.rpc("change_user", { ...ada(own), p_payment_status: "paused" }),
  ]);

  expect(voided.data).toMatchObject({ tokens_voided: 5 });
  expect(changed.data).toMatchObject({ payment_status: "paused", quota_left: 0 });
  expect(refused.map(({ error }) => error?.code)).toEqual([
    ...["TG009", "TG009", "TG009", "TG008", "TG008"],
  ]);
  expect((await own.balance("ada")).body).toMatchObject({
    payment_status: "active",
    grants_left: 100,
  });
});

test("an admin grants in the own project only", async () => {
  const grant = { p_tokens: 5, p_grant_type: "bonus" } as const;
  const tenant = await project();
  const admin = await member(tenant, "admin");

  const granted = await admin.rpc("grant_tokens", { ...ada(tenant), ...grant }).throwOnError();
  const refused = await admin.rpc("grant_tokens", { ...ada(own), ...grant });

  expect(granted.data).toMatchObject({ user_id: "ada", tokens: 5, grants_left: 105 });
  expect(refused.error?.code).toBe("TG009");
});

test("an owner makes keys for the own project only, and they work", async () => {
  const made = await owner.rpc("create_api_key", { p_project_id: own.id, p_name: "by owner" })
    .throwOnError();
  const refused = await owner.rpc("create_api_key", { p_project_id: other.id, p_name: "stolen" });

  const { status } = await own.api("/v1/users/ada/balance", {
    headers: { authorization: `Bearer ${made.data[0]!.api_key}` },
  });
  expect(status).toBe(200);
  expect(refused.error?.code).toBe("TG009");
});

test("an owner cannot revoke a key of another project", async () => {
  const { id, api_key } = await other.key();

  const { error } = await owner.rpc("revoke_api_key", { p_key_id: id });

  expect(error?.code).toBe("TG002");
  const { status } = await other.api("/v1/users/ada/balance", {
    headers: { authorization: `Bearer ${api_key}` },
  });
  expect(status).toBe(200);
});

test("changing another project's rows changes nothing", async () => {
  const { data: projects } = await owner.from("projects").update({ name: "mine now" })
    .eq("id", other.id).select("id").throwOnError();
  const { data: tags } = await owner.from("tags").delete().eq("project_id", other.id).select("id")
    .throwOnError();

  expect(projects).toEqual([]);
  expect(tags).toEqual([]);
});

test("a member cannot join another project", async () => {
  const { data: { user } } = await owner.auth.getUser();

  const { error } = await owner.from("project_members")
    .insert({ project_id: other.id, user_id: user!.id, role: "owner" });

  expect(error?.code).toBe("42501");
});

test("not even an owner spends a user's tokens", async () => {
  const { error } = await owner.rpc("consume_tokens_v2", { ...ada(own), p_tokens_consumed: 1 });

  expect(error?.code).toBe("TG004");
});

test("a viewer reads, but neither grants nor makes keys", async () => {
  const balance = await viewer.rpc("get_user_balance", ada(own)).throwOnError();
  const grant = await viewer.rpc("grant_tokens", {
    ...ada(own),
    p_tokens: 5,
    p_grant_type: "bonus",
  });
  const key = await viewer.rpc("create_api_key", { p_project_id: own.id, p_name: "viewer's" });

  expect(balance.data[0]).toMatchObject({ user_id: "ada" });
  expect(grant.error?.code).toBe("TG008");
  expect(key.error?.code).toBe("TG008");
});

test("a signed-in user of no project sees nothing", async () => {
  const { supabase } = await signUp();

  const projects = await supabase.from("projects").select("id").throwOnError();
  const users = await supabase.from("tracked_users").select("id").throwOnError();
  const balance = await supabase.rpc("get_user_balance", ada(own));

  expect(projects.data).toEqual([]);
  expect(users.data).toEqual([]);
  expect(balance.error?.code).toBe("TG004");
});

test("a signed-in user makes a project and owns it", async () => {
  const { id, supabase } = await signUp();

  const { data: made } = await supabase.rpc("create_project", { p_name: "Mine" }).throwOnError();

  const { data } = await supabase.from("project_members").select("project_id, user_id, role")
    .throwOnError();
  expect(data).toEqual([{ project_id: made.id, user_id: id, role: "owner" }]);
});
