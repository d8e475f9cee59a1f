import { expect, test } from "vitest";
import { type ErrorJson, service, signUp, Tenant, verifyLedgerAtEnd } from "../support/tenant.ts";

verifyLedgerAtEnd();

// Linked to ada, who lives beside bob.
const tenant = await Tenant.create({ quota: 1000 });
await tenant.grant("ada", 100);
await tenant.recurringGrant("ada", 5, { starts_at: "2090-01-01T00:00:00Z" });
await tenant.recurringGrant("bob", 5, { starts_at: "2090-01-01T00:00:00Z" });
const { body: consumption } = await tenant.consume("ada", 10);
await tenant.consume("bob", 20);
const { id: authUserId, supabase: user } = await signUp();
const linked = await tenant.api("/v1/users/ada/link", {
  method: "PUT",
  body: JSON.stringify({ auth_user_id: authUserId }),
});

const of = (externalId: string) => ({ p_project_id: tenant.id, p_external_user_id: externalId });

test("a link is answered as it is now", () => {
  expect(linked.status).toBe(200);
  expect(linked.body).toEqual({ user_id: "ada", auth_user_id: authUserId });
});

test("a linked user reads the own balance and transfers", async () => {
  const balance = await user.rpc("get_user_balance", of("ada")).throwOnError();
  const transfers = await user.rpc("get_user_transfers", of("ada")).throwOnError();

  expect(balance.data[0]).toMatchObject({ user_id: "ada", tokens_left: 1090 });
  expect(transfers.data.map(({ amount }) => amount)).toEqual([-10, 100]);
});

test.each(["get_user_balance", "get_user_transfers"] as const)(
  "%s of another user fails exactly as that of an unknown one",
  async (name) => {
    const others = await user.rpc(name, of("bob"));
    const unknown = await user.rpc(name, of("nobody"));

    expect(others.error).toMatchObject({ code: "TG004" });
    expect(others).toEqual(unknown);
  },
);

test.each(
  [
    ["tracked_users", "external_id", [{ external_id: "ada" }]],
    ["token_transfers", "amount", [{ amount: 100 }, { amount: -10 }]],
    ["user_token_grants", "token_amount", [{ token_amount: 100 }]],
    ["user_usage_buckets", "tokens_used", [{ tokens_used: 10 }]],
    ["user_tags", "tag_id", []],
    ["recurring_grants", "token_amount", [{ token_amount: 5 }]],
    ["projects", "name", []],
    ["plans", "name", []],
    ["tags", "name", []],
    ["project_members", "role", []],
    ["api_keys", "name", []],
  ] as const,
)("of %s a linked user reads the own rows only", async (table, column, rows) => {
  const { data } = await user.from(table).select(column)
    .order(column, { ascending: false }).throwOnError();

  expect(data).toEqual(rows);
});

test("the view of balances shows a linked user the own", async () => {
  const { data } = await user.from("current_balances").select("user_id, tokens_left")
    .throwOnError();

  expect(data).toEqual([{ user_id: "ada", tokens_left: 1090 }]);
});

test("a linked user cannot grant", async () => {
  const byFunction = await user.rpc("grant_tokens", {
    ...of("ada"),
    p_tokens: 1_000_000,
    p_grant_type: "bonus",
  });
  const { data: [self] } = await user.from("tracked_users").select("id").throwOnError();
  const byHand = await user.from("user_token_grants")
    .insert({ user_id: self!.id, token_amount: 1_000_000, grant_type: "bonus" });

  expect(byFunction.error?.code).toBe("TG009");
  expect(byHand.error?.code).toBe("42501");
});

test("a linked user reads the own usage, but not that of the project or by its keys", async () => {
  const usage = (more: object) =>
    user.rpc("get_usage", {
      ...{ p_project_id: tenant.id, p_from: consumption.created_at, p_step: "month" },
      ...more,
    });

  const own = await usage({ p_external_user_id: "ada", p_group_by: "source" });
  const byKey = await usage({ p_external_user_id: "ada", p_group_by: "key" });
  const all = await usage({});
  const others = await usage({ p_external_user_id: "bob" });
  const unknown = await usage({ p_external_user_id: "nobody" });

  expect(own.data?.[0]).toMatchObject({
    tokens_used: 10,
    groups: [{ group: "base_quota", tokens_used: 10, calls: 1 }],
  });
  expect(byKey.error?.code).toBe("TG008");
  expect(all.error?.code).toBe("TG009");
  expect(others.error?.code).toBe("TG004");
  expect(others).toEqual(unknown);
});

test("a linked user cannot change the own plan, payment or link", async () => {
  const change = user.from("tracked_users").update({ payment_status: "active" })
    .eq("external_id", "ada").select("id");
  const link = await user.rpc("link_user", { ...of("bob"), p_auth_user_id: authUserId });

  const byFunction = await user.rpc("change_user", {
    ...of("ada"),
    p_payment_status: "active",
  });

  expect((await change.throwOnError()).data).toEqual([]);
  expect(byFunction.error?.code).toBe("TG009");
  expect(link.error?.code).toBe("TG009");
});

test("the edge function's own calls are closed to signed-in users", async () => {
  const { error } = await user.rpc("consume_with_api_key", {
    p_key_hash: `\\x${"00".repeat(32)}`,
    p_external_user_id: "ada",
    p_tokens: 1,
  });

  expect(error?.code).toBe("42501");
});

test("a linked user consumes only where the project allows it, and only own tokens", async () => {
  const consume = (externalId: string) =>
    user.rpc("consume_tokens_v2", { ...of(externalId), p_tokens_consumed: 7 });
  const closed = await consume("ada");
  await service.from("projects").update({ allow_client_consumption: true }).eq("id", tenant.id)
    .throwOnError();

  const open = await consume("ada");
  const others = await consume("bob");
  const unknown = await consume("nobody");

  expect(closed.error?.code).toBe("TG008");
  expect(open.data).toEqual([
    expect.objectContaining({ success: true, tokens_consumed: 7, base_quota_used: 7 }),
  ]);
  expect(others.error?.code).toBe("TG004");
  expect(others).toEqual(unknown);
});

test("a user who is linked to another auth user stays so", async () => {
  const stranger = await signUp();

  const { status, body } = await tenant.api<ErrorJson>("/v1/users/ada/link", {
    method: "PUT",
    body: JSON.stringify({ auth_user_id: stranger.id }),
  });

  expect(status).toBe(409);
  expect(body.error.code).toBe("link_conflict");
});

test("after the link is taken back nothing is seen", async () => {
  const { id, supabase } = await signUp();
  const link = (auth_user_id: string | null) =>
    tenant.api("/v1/users/eve/link", { method: "PUT", body: JSON.stringify({ auth_user_id }) });
  await link(id);
  const before = await supabase.rpc("get_user_balance", of("eve")).throwOnError();

  await link(null);

  expect(before.data[0]).toMatchObject({ user_id: "eve", tokens_left: 1000 });
  expect((await supabase.rpc("get_user_balance", of("eve"))).error?.code).toBe("TG004");
  expect((await supabase.from("tracked_users").select("id").throwOnError()).data).toEqual([]);
});
