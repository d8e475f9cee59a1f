import { expect, test } from "vitest";
import { service, signUp, Tenant } from "../support/tenant.ts";

async function ownedProject() {
  const owner = await signUp();
  const { data: project } = await owner.supabase
    .rpc("create_project", { p_name: "Mine", p_time_zone: "Asia/Kathmandu" }).throwOnError();
  return { owner, project };
}

test("create_project makes the caller its owner", async () => {
  const { owner, project } = await ownedProject();
  const { data } = await owner.supabase.from("project_members").select("user_id, role")
    .eq("project_id", project.id).throwOnError();

  expect(project).toMatchObject({ name: "Mine", time_zone: "Asia/Kathmandu" });
  expect(data).toEqual([{ user_id: owner.id, role: "owner" }]);
});

test("a project needs a name and a known time zone", async () => {
  const { supabase } = await signUp();
  const unnamed = await supabase.rpc("create_project", { p_name: "" });
  const nowhere = await supabase.rpc("create_project", { p_name: "x", p_time_zone: "Mars/Base" });

  expect(unnamed.error).toMatchObject({ code: "TG001", message: expect.stringContaining("name") });
  expect(nowhere.error).toMatchObject({
    code: "TG001",
    message: expect.stringContaining("time_zone"),
  });
});

test("an owner sets a project up and runs it, with supabase-js alone", async () => {
  const { owner: { supabase }, project } = await ownedProject();
  const { data: plan } = await supabase.from("plans")
    .insert({ project_id: project.id, name: "Pro" }).select("id").single().throwOnError();
  await supabase.from("plan_quotas").insert({ plan_id: plan.id, token_amount: 100 })
    .throwOnError();
  await supabase.from("tags").insert({ project_id: project.id, name: "GPT-4" }).throwOnError();
  await supabase.from("plan_restrictions").insert({
    plan_id: plan.id,
    restriction_type: "tag",
    restriction_config: { tag_name: "GPT-4", max_tokens: 50, duration: "1 day" },
  }).throwOnError();
  await supabase.from("tracked_users")
    .insert({ project_id: project.id, external_id: "ada", plan_id: plan.id }).throwOnError();
  await supabase.rpc("grant_tokens", {
    p_project_id: project.id,
    p_external_user_id: "ada",
    p_tokens: 7,
    p_grant_type: "trial",
  }).throwOnError();

  const { data } = await supabase.rpc("get_user_balance", {
    p_project_id: project.id,
    p_external_user_id: "ada",
  }).single().throwOnError();

  expect(data).toMatchObject({
    tokens_left: 107,
    restrictions: [{ tag: "GPT-4", max_tokens: 50, left: 50 }],
  });
});

test("an admin changes users' accounts and tags by hand, with supabase-js alone; a viewer does not", async () => {
  const tenant = await Tenant.create({ quota: 100 });
  const [admin, viewer] = [await signUp(), await signUp()];
  await service.from("project_members").insert([
    { project_id: tenant.id, user_id: admin.id, role: "admin" },
    { project_id: tenant.id, user_id: viewer.id, role: "viewer" },
  ]).throwOnError();
  const pro = await tenant.plan({ quota: 1000 });
  await tenant.consume("ada", 10);
  for (const name of ["one", "two", "three"]) await tenant.tagId(name);
  const { supabase } = admin;
  await supabase.from("plan_restrictions").insert({
    plan_id: pro,
    restriction_type: "tag",
    restriction_config: { tag_names: ["one", "two", "three"], max_tokens: 5, duration: "2 weeks" },
  }).throwOnError();
  const change = { plan_id: pro, time_zone: "Asia/Tokyo" };

  const refused = await viewer.supabase.from("tracked_users").update(change)
    .eq("project_id", tenant.id).select();
  await supabase.from("tracked_users").update(change).eq("project_id", tenant.id).throwOnError();
  await supabase.from("tags").delete().in("name", ["one", "two"]).throwOnError();
  await supabase.from("tags").update({ name: "3" }).eq("name", "three").throwOnError();

  const { data: [transfer] } = await viewer.supabase.rpc("get_user_transfers", {
    ...{ p_project_id: tenant.id, p_external_user_id: "ada" },
  }).throwOnError();
  const { data: balance } = await viewer.supabase.rpc("get_user_balance", {
    ...{ p_project_id: tenant.id, p_external_user_id: "ada" },
  }).single().throwOnError();
  expect(refused.data).toEqual([]);
  expect(transfer).toMatchObject({
    transfer_number: 2,
    transaction_type: "account_change",
    metadata: { before: { time_zone: null }, after: { plan_id: pro, time_zone: "Asia/Tokyo" } },
  });
  expect(balance).toMatchObject({
    time_zone: "Asia/Tokyo",
    quota_left: 990,
    restrictions: [{ tags: ["3"], max_tokens: 5, left: 5 }],
  });
});

test("an owner adds, promotes and removes members; an admin cannot", async () => {
  const { owner, project } = await ownedProject();
  const admin = await signUp();
  const guest = await signUp();
  const row = { project_id: project.id, user_id: guest.id, role: "viewer" as const };
  await owner.supabase.from("project_members")
    .insert({ project_id: project.id, user_id: admin.id, role: "admin" }).throwOnError();
  const refused = await admin.supabase.from("project_members").insert(row);
  await owner.supabase.from("project_members").insert(row).throwOnError();
  await admin.supabase.from("project_members").delete().eq("user_id", guest.id).throwOnError();
  await admin.supabase.from("project_members").update({ role: "owner" }).eq("user_id", admin.id)
    .throwOnError();
  const { data } = await owner.supabase.from("project_members").select("user_id, role")
    .eq("project_id", project.id).order("role").throwOnError();

  expect(refused.error?.code).toBe("42501");
  expect(data).toEqual([
    { user_id: guest.id, role: "viewer" },
    { user_id: admin.id, role: "admin" },
    { user_id: owner.id, role: "owner" },
  ]);
});

test("the last owner can neither leave nor step down", async () => {
  const { owner: { id, supabase }, project } = await ownedProject();
  const own = { project_id: project.id, user_id: id };
  const leave = await supabase.from("project_members").delete().match(own);
  const stepDown = await supabase.from("project_members").update({ role: "viewer" }).match(own);

  expect([leave.error?.code, stepDown.error?.code]).toEqual(["TG007", "TG007"]);
});

test("an owner may leave when another stays", async () => {
  const { owner, project } = await ownedProject();
  const other = await signUp();
  await owner.supabase.from("project_members")
    .insert({ project_id: project.id, user_id: other.id, role: "owner" }).throwOnError();
  const { error } = await owner.supabase.from("project_members").delete()
    .match({ project_id: project.id, user_id: owner.id });

  expect(error).toBeNull();
});

test("a key with scope link links a user, who then sees the balance", async () => {
  const tenant = await Tenant.create({ quota: 10 });
  const { id, supabase } = await signUp();
  const other = await signUp();
  const put = (auth_user_id: string | null) =>
    tenant.api("/v1/users/ada/link", { method: "PUT", body: JSON.stringify({ auth_user_id }) });
  const see = async () => {
    const { data } = await supabase.rpc("get_user_balance", {
      p_project_id: tenant.id,
      p_external_user_id: "ada",
    });
    return data?.[0]?.tokens_left;
  };

  expect(await see()).toBeUndefined();
  expect(await put(id)).toMatchObject({
    status: 200,
    body: { user_id: "ada", auth_user_id: id },
  });
  expect(await see()).toBe(10);
  expect((await put(other.id)).status).toBe(409);
  expect(await put(null)).toMatchObject({ body: { auth_user_id: null } });
  expect(await see()).toBeUndefined();
  expect((await put(other.id)).status).toBe(200);
});

test("a key without scope link is told so", async () => {
  const tenant = await Tenant.create({ quota: 10 });
  const { api_key } = await tenant.key(["consume", "read", "grant"]);
  const { status, body } = await tenant.api("/v1/users/ada/link", {
    method: "PUT",
    headers: { authorization: `Bearer ${api_key}` },
    body: JSON.stringify({ auth_user_id: null }),
  });

  expect(status).toBe(403);
  expect(body).toMatchObject({ error: { message: expect.stringContaining("link") } });
});
