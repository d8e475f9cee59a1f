import { expect, test } from "vitest";
import { service, signUp, Tenant, verifyLedgerAtEnd } from "../../support/tenant.ts";

verifyLedgerAtEnd();

// Linked to ada, who has used one tag of the project, and bob another one.
const tenant = await Tenant.create({ quota: 1000 });
await tenant.tagId("used by nobody");
for (const [user, tag, tokens] of [["ada", "adas-tag", 10], ["bob", "bobs-tag", 20]] as const) {
  await tenant.tagId(tag);
  await tenant.consume(user, tokens, { tag });
}
const past = new Date().toISOString();
await tenant.consume("ada", 5, { tag: "adas-tag" });
const { id, supabase: user } = await signUp();
await service.rpc("link_user", {
  ...{ p_project_id: tenant.id, p_external_user_id: "ada", p_auth_user_id: id },
}).throwOnError();

const usage = (args: object) =>
  user.rpc("get_usage", { p_project_id: tenant.id, p_from: past, p_step: "month", ...args });
const ada = { p_external_user_id: "ada" };

test.each(
  [
    [{}, null],
    [{ p_tag: "adas-tag" }, null],
    [{ p_group_by: "tag" }, [{ group: "adas-tag", tokens_used: 15, calls: 2 }]],
    [{ p_group_by: "user" }, [{ group: "ada", tokens_used: 15, calls: 2 }]],
    [{ p_group_by: "source" }, [{ group: "base_quota", tokens_used: 15, calls: 2 }]],
  ] as const,
)("their own usage: %j", async (args, groups) => {
  const { data } = await usage({ ...ada, ...args }).throwOnError();

  expect(data).toMatchObject([{ tokens_used: 15, calls: 2, groups }]);
});

test("not by key, which is for members", async () => {
  const { error } = await usage({ ...ada, p_group_by: "key" });

  expect(error).toMatchObject({ code: "TG008" });
});

test("not of others, who look unknown", async () => {
  const { error } = await usage({ p_external_user_id: "bob" });

  expect(error).toMatchObject({ code: "TG004" });
  expect((await usage({ p_external_user_id: "nobody" })).error).toEqual(error);
  expect((await usage({ p_external_user_id: "bob", p_group_by: "key" })).error).toEqual(error);
  expect((await usage({ p_external_user_id: "bob", p_tag: "bobs-tag" })).error).toEqual(error);
});

test("not of the project, which looks unknown", async () => {
  const { error } = await usage({});

  expect(error).toMatchObject({ code: "TG009" });
  expect((await usage({ p_project_id: crypto.randomUUID() })).error).toEqual(error);
});

test.each(["bobs-tag", "used by nobody"])(
  "not of the tag %j, which looks unknown",
  async (p_tag) => {
    const errorOf = async (p_tag: string) => {
      const { error } = await usage({ ...ada, p_tag });
      return { ...error, message: error?.message.replaceAll(p_tag, "TAG") };
    };

    expect(await errorOf(p_tag)).toMatchObject({ code: "TG005" });
    expect(await errorOf(p_tag)).toEqual(await errorOf("no tag at all"));
  },
);

test("their own balance of the past, and none of others", async () => {
  const balance = (p_external_user_id: string, p_as_of: string) =>
    user.rpc("get_user_balance", { p_project_id: tenant.id, p_external_user_id, p_as_of });

  expect((await balance("ada", past)).data).toMatchObject([{ quota_used: 10 }]);
  const { error } = await balance("bob", past);
  expect(error).toMatchObject({ code: "TG004" });
  expect((await balance("nobody", past)).error).toEqual(error);
  expect((await balance("bob", "1999-01-01T00:00:00Z")).error).toEqual(error);
  expect((await balance("bob", "2999-01-01T00:00:00Z")).error).toEqual(error);
});

test("of tables their own rows alone", async () => {
  const { data: tags } = await user.from("tags").select("name").throwOnError();
  const { data: ofUser } = await user.from("user_tags").select("tag_id").throwOnError();
  const { data: buckets } = await user.from("user_usage_buckets").select("tokens_used")
    .throwOnError();
  const { data: days } = await user.from("usage_by_day_and_tag").select("tag, tokens")
    .throwOnError();

  expect(tags).toEqual([{ name: "adas-tag" }]);
  expect(ofUser).toHaveLength(1);
  expect(buckets.reduce((sum, { tokens_used }) => sum + tokens_used, 0)).toBe(15);
  expect(days).toEqual([]); // It is of projects, whose clocks they do not see.
});

test.each(
  [
    ["change_user", { p_payment_status: "active" }],
    ["change_user", { p_time_zone: "Asia/Tokyo" }],
    ["void_grant", { p_grant_id: crypto.randomUUID() }],
    ["create_recurring_grant", { p_tokens: 5, p_grant_type: "bonus", p_every: "1 day" }],
    ["end_recurring_grant", { p_recurring_grant_id: crypto.randomUUID() }],
  ] as const,
)("nothing of their own account is theirs to change: %s", async (name, args) => {
  const { error } = await user.rpc(name as "change_user", {
    ...{ p_project_id: tenant.id, p_external_user_id: "ada" },
    ...args as object,
  });

  expect(error).toMatchObject({ code: "TG009" });
});
