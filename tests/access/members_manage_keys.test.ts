import { expect, test } from "vitest";
import { callApi, service, signUp, Tenant } from "../support/tenant.ts";

const tenant = await Tenant.create({ quota: 1000 });
await tenant.consume("ada", 1);

async function member(role: "owner" | "admin" | "viewer") {
  const { id, supabase } = await signUp();
  await service.from("project_members").insert({ project_id: tenant.id, user_id: id, role })
    .throwOnError();
  return supabase;
}
const admin = await member("admin");
const viewer = await member("viewer");

const statusWith = async (key: string) =>
  (await callApi("/v1/users/ada/balance", { headers: { "x-api-key": key } })).status;

async function newKey(options: object = {}) {
  const { data } = await admin.rpc("create_api_key", {
    p_project_id: tenant.id,
    p_name: "test",
    ...options,
  }).throwOnError();
  return data[0]!;
}

test("an admin creates a key that works", async () => {
  const { api_key } = await newKey();

  expect(await statusWith(api_key)).toBe(200);
});

test("an admin lists keys, without their hashes", async () => {
  const { id } = await newKey();
  const columns = "id, name, scopes, key_hint, expires_at, revoked_at, last_used_at, created_at";
  const { data } = await admin.from("api_keys").select(columns).eq("id", id).single()
    .throwOnError();
  const hash = await admin.from("api_keys").select("key_hash").eq("id", id);

  expect(data).toMatchObject({ id, name: "test", last_used_at: null });
  expect(hash.error?.code).toBe("42501");
});

test("an admin renames a key and ends it at a time", async () => {
  const { id, api_key } = await newKey();
  await admin.from("api_keys").update({ name: "old", expires_at: new Date().toISOString() })
    .eq("id", id).throwOnError();

  expect(await statusWith(api_key)).toBe(401);
});

test("a rotated key works beside the old one for the grace time", async () => {
  const old = await newKey({ p_scopes: ["read"] });
  const { data } = await admin.rpc("rotate_api_key", { p_key_id: old.id, p_grace: "1 hour" })
    .throwOnError();

  expect(data[0]).toMatchObject({ name: "test", scopes: ["read"], expires_at: null });
  expect(await statusWith(old.api_key)).toBe(200);
  expect(await statusWith(data[0]!.api_key)).toBe(200);
});

test("a key rotated without grace time ends at once", async () => {
  const old = await newKey();
  await admin.rpc("rotate_api_key", { p_key_id: old.id, p_grace: "0" }).throwOnError();

  expect(await statusWith(old.api_key)).toBe(401);
});

test("a key that has ended cannot be rotated", async () => {
  const old = await newKey();
  await admin.rpc("revoke_api_key", { p_key_id: old.id }).throwOnError();
  const { error } = await admin.rpc("rotate_api_key", { p_key_id: old.id });

  expect(error?.code).toBe("TG002");
  expect(await statusWith(old.api_key)).toBe(401);
});

test.each(["-1 hour", "91 days"])("a grace time of %s is refused", async (p_grace) => {
  const { id, api_key } = await newKey();
  const { error } = await admin.rpc("rotate_api_key", { p_key_id: id, p_grace });

  expect(error?.code).toBe("TG001");
  expect(await statusWith(api_key)).toBe(200);
});

test("a viewer can do none of this", async () => {
  const { id, api_key } = await newKey();
  const create = await viewer.rpc("create_api_key", { p_project_id: tenant.id, p_name: "x" });
  const rotate = await viewer.rpc("rotate_api_key", { p_key_id: id });
  const revoke = await viewer.rpc("revoke_api_key", { p_key_id: id });
  const list = await viewer.from("api_keys").select("id");

  expect([create.error?.code, rotate.error?.code, revoke.error?.code])
    .toEqual(["TG008", "TG002", "TG002"]);
  expect(list.data).toEqual([]);
  expect(await statusWith(api_key)).toBe(200);
});

test("last use is kept to the hour", async () => {
  const { id, api_key } = await newKey();
  await statusWith(api_key);
  const { data } = await admin.from("api_keys").select("last_used_at").eq("id", id).single()
    .throwOnError();

  expect(data.last_used_at).toMatch(/T\d\d:00:00\+00:00$/);
});
