import { randomUUID } from "node:crypto";
import { describe, expect, test } from "vitest";
import { type ErrorJson, service, signUp, Tenant } from "../../support/tenant.ts";

const mine = await Tenant.create({ quota: 1000 });
const theirs = await Tenant.create({ quota: 1000 });
await theirs.consume("their-user", 10);
await theirs.tagId("their-tag");
const { body: { grant_id: theirGrant } } = await theirs.grant("their-user", 5);
const { data: { recurring_grant_id: theirRecurringGrant } } = await service
  .rpc("create_recurring_grant", {
    ...{ p_project_id: theirs.id, p_external_user_id: "their-user" },
    ...{ p_tokens: 5, p_grant_type: "bonus", p_every: "1 week" },
  }).throwOnError();
const past = new Date().toISOString();
const { supabase } = await signUp();

const errorOf = async (answer: Promise<{ status: number; body: unknown }>, name: string) => {
  const { status, body } = await answer;
  const { request_id: _, ...error } = (body as ErrorJson).error;
  return { status, error: JSON.parse(JSON.stringify(error).replaceAll(name, "NAME")) as object };
};

test.each(["balance", "transfers"] as const)("by %s over HTTP", async (route) => {
  const foreign = await errorOf(mine[route]("their-user"), "their-user");
  const unknown = await errorOf(mine[route]("nobody"), "nobody");

  expect(foreign).toEqual(unknown);
  expect(foreign.status).toBe(404);
});

test.each([
  ["a balance of the past", (user: string) => mine.api(`/v1/users/${user}/balance?as_of=${past}`)],
  ["usage", (user: string) => mine.api(`/v1/usage?from=2026-01-01T00:00:00Z&user_id=${user}`)],
])("by %s of a user over HTTP", async (_, ask) => {
  const foreign = await errorOf(ask("their-user"), "their-user");

  expect(foreign).toEqual(await errorOf(ask("nobody"), "nobody"));
  expect(foreign.status).toBe(404);
});

test.each([
  [
    "void",
    theirGrant,
    (id: string) => mine.post(`/v1/grants/${id}/void`, { user_id: "ada" }),
  ],
  [
    "end a recurring grant",
    theirRecurringGrant!,
    (id: string) => mine.post(`/v1/recurring-grants/${id}/end`, { user_id: "ada" }),
  ],
  [
    "change the plan",
    (await theirs.balance("their-user")).body.plan,
    (name: string) =>
      mine.api("/v1/users/ada", { method: "PATCH", body: JSON.stringify({ plan: name }) }),
  ],
  [
    "ask for the usage of a tag",
    "their-tag",
    (name: string) => mine.api(`/v1/usage?from=2026-01-01T00:00:00Z&tag=${name}`),
  ],
])("by what is named to %s over HTTP", async (_, name, ask) => {
  await mine.consume("ada", 1);
  const unknown = randomUUID();

  const foreign = await errorOf(ask(name), name);

  expect(foreign.status).toBeGreaterThanOrEqual(400);
  expect(foreign).toEqual(await errorOf(ask(unknown), unknown));
});

test("by a tag over HTTP", async () => {
  const foreign = await errorOf(mine.consume("ada", 1, { tag: "their-tag" }), "their-tag");
  const unknown = await errorOf(mine.consume("ada", 1, { tag: "no-tag" }), "no-tag");

  expect(foreign).toEqual(unknown);
});

test("by a hold over HTTP", async () => {
  const { body: { hold_id } } = await theirs.hold("their-user", 10);
  const { body: { hold_id: mineOnly } } = await mine.hold("ada", 10);
  const unknown = mineOnly.replace(/\d+$/, "999");

  for (const step of ["settle", "extend", "release"] as const) {
    const errors = await Promise.all(
      [hold_id, unknown, "hold_1", "%00"].map((id) =>
        errorOf(mine.post(`/v1/holds/${id}/${step}`, step === "settle" ? { tokens: 1 } : {}), id)
      ),
    );

    expect(new Set(errors.map((error) => JSON.stringify(error))).size).toBe(1);
    expect(errors[0]?.status).toBe(404);
  }
  expect((await theirs.balance("their-user")).body.tokens_held).toBe(10);
});

test("by a refund over HTTP", async () => {
  const ask = (user_id: string) =>
    errorOf(mine.post("/v1/refunds", { user_id, transfer_number: 1 }), user_id);

  expect(await ask("their-user")).toEqual(await ask("nobody"));
});

test("by a batch over HTTP", async () => {
  const ask = async (tag: string) => {
    const { body } = await mine.batch([{ user_id: "ada", tokens_to_consume: 1, tag }]);
    const { request_id: _, created_at: __, message, ...rest } = body.results[0]!;
    return { ...rest, message: message.replaceAll(tag, "NAME") };
  };

  expect(await ask("their-tag")).toEqual(await ask("no-tag"));
});

test.each(
  [
    ["get_user_balance", {}],
    ["get_user_balance", { p_as_of: past }],
    ["get_user_transfers", {}],
    ["get_usage", { p_from: "2026-01-01" }],
    ["get_usage", { p_from: "2026-01-01", p_group_by: "key" }],
    ["get_usage", { p_from: "2026-01-01", p_tag: "their-tag" }],
    ["consume_tokens_v2", { p_tokens_consumed: 1 }],
    ["consume_tokens", { p_tokens: 1, p_tag: "their-tag" }],
    ["check_tokens", { p_tokens: 1, p_tag: "their-tag" }],
    ["hold_tokens", { p_tokens: 1, p_tag: "their-tag" }],
    ["refund_tokens", { p_transfer_number: 1 }],
    ["grant_tokens", { p_tokens: 1, p_grant_type: "bonus", p_tags: ["their-tag"] }],
    ["void_grant", { p_grant_id: theirGrant }],
    ["create_recurring_grant", { p_tokens: 1, p_grant_type: "bonus", p_every: "1 day" }],
    ["end_recurring_grant", { p_recurring_grant_id: theirRecurringGrant }],
    ["change_user", { p_payment_status: "canceled" }],
    ["change_user", { p_plan: "Pro" }],
  ] as const,
)(
  "by %s as a signed-in stranger",
  async (name, more) => {
    const ask = async (projectId: string, userId: string) => {
      const { error, status } = await supabase.rpc(name as "get_user_balance", {
        p_project_id: projectId,
        p_external_user_id: userId,
        ...more,
      });
      return { status, code: error?.code, message: error?.message, hint: error?.hint };
    };
    const foreign = await ask(theirs.id, "their-user");

    expect(foreign.code).toMatch(/^TG00[49]$/);
    expect(await ask(theirs.id, "nobody")).toEqual(foreign);
    expect(await ask(randomUUID(), "nobody")).toEqual(foreign);
  },
);

test("by the usage of a project as a signed-in stranger", async () => {
  const ask = async (p_project_id: string, more: object = {}) => {
    const { error } = await supabase
      .rpc("get_usage", { p_project_id, p_from: "2026-01-01", ...more });
    return error;
  };
  const foreign = await ask(theirs.id);

  expect(foreign?.code).toBe("TG009");
  expect(await ask(randomUUID())).toEqual(foreign);
  expect(await ask(theirs.id, { p_group_by: "key", p_tag: "their-tag" })).toEqual(foreign);
});

describe("as an owner of another project", async () => {
  const { id, supabase: owner } = await signUp();
  await service.from("project_members")
    .insert({ project_id: mine.id, user_id: id, role: "owner" }).throwOnError();
  const { body: { grant_id: myGrant } } = await mine.grant("ada", 5);

  test.each(
    [
      ["void_grant", "p_grant_id", theirGrant],
      ["end_recurring_grant", "p_recurring_grant_id", theirRecurringGrant],
      ["change_user", "p_plan", (await theirs.balance("their-user")).body.plan],
      ["get_usage", "p_tag", "their-tag"],
      ["grant_tokens", "p_tags", "their-tag"],
      ["create_recurring_grant", "p_tags", "their-tag"],
    ] as const,
  )("by what %s names in %s", async (name, argument, value) => {
    const ask = async (value: string) => {
      const { error } = await owner.rpc(name as "void_grant", {
        p_project_id: mine.id,
        p_external_user_id: "ada",
        ...(name === "get_usage" && { p_from: "2026-01-01" }),
        ...(argument === "p_tags" && { p_tokens: 1, p_grant_type: "bonus" }),
        ...(name === "create_recurring_grant" && { p_every: "1 day" }),
        p_grant_id: undefined as unknown as string,
        [argument]: argument === "p_tags" ? [value] : value,
      });
      return JSON.parse(JSON.stringify(error).replaceAll(value, "NAME")) as { code: string };
    };
    const foreign = await ask(value!);

    expect(foreign.code).toMatch(/^TG/);
    expect(await ask(randomUUID())).toEqual(foreign);
  });

  test("by a grant that is somebody else's of the own project", async () => {
    const ask = async (p_external_user_id: string, p_grant_id: string) => {
      const { error } = await owner
        .rpc("void_grant", { p_project_id: mine.id, p_external_user_id, p_grant_id });
      return error;
    };
    await mine.grant("bob", 5);

    expect((await ask("bob", myGrant))?.code).toBe("TG016");
    expect(await ask("bob", theirGrant)).toEqual(await ask("bob", myGrant));
    expect((await mine.balance("ada")).body.grants_left).toBe(5);
  });
});

test.each(["settle_hold", "extend_hold", "release_hold"] as const)(
  "by %s as a signed-in stranger",
  async (name) => {
    const { body: { hold_id } } = await theirs.hold("their-user", 10);
    const ask = async (p_project_id: string, p_hold_id: string) => {
      const { error } = await supabase.rpc(name as "release_hold", {
        p_project_id,
        p_hold_id,
        ...(name === "settle_hold" && { p_tokens: 1 }),
      });
      return error;
    };
    const foreign = await ask(theirs.id, hold_id);

    expect(foreign?.code).toBe("TG011");
    expect(await ask(theirs.id, hold_id.replace(/\d+$/, "999"))).toEqual(foreign);
    expect(await ask(randomUUID(), hold_id)).toEqual(foreign);
    expect(await ask(theirs.id, "hold_1")).toEqual(foreign);
  },
);

test("by a batch as a signed-in stranger", async () => {
  const ask = async (p_project_id: string, user_id: string) => {
    const { error } = await supabase.rpc("consume_batch", {
      p_project_id,
      p_items: [{ user_id, tokens_to_consume: 1, tag: "their-tag" }],
    });
    return error;
  };
  const foreign = await ask(theirs.id, "their-user");

  expect(foreign?.code).toMatch(/^TG00[49]$/);
  expect(await ask(theirs.id, "nobody")).toEqual(foreign);
  expect(await ask(randomUUID(), "nobody")).toEqual(foreign);
});

test("by a key's id as a signed-in stranger", async () => {
  const { id } = await theirs.key();
  const foreign = await supabase.rpc("revoke_api_key", { p_key_id: id });
  const unknown = await supabase.rpc("revoke_api_key", { p_key_id: randomUUID() });

  expect(foreign.error).toEqual(unknown.error);
  expect((await theirs.balance("their-user")).status).toBe(200);
});

test("by a tag's name in a restriction on a foreign plan", async () => {
  const planId = await theirs.plan({ quota: 1 });
  const restrict = async (tag_name: string) => {
    const { error } = await supabase.from("plan_restrictions").insert({
      plan_id: planId,
      restriction_type: "tag",
      restriction_config: { tag_name, max_tokens: 1, duration: "1 day" },
    });
    return { ...error, message: error?.message.replaceAll(tag_name, "NAME") };
  };

  expect(await restrict("their-tag")).toEqual(await restrict("no-tag"));
});
