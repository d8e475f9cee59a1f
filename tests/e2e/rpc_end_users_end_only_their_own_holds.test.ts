import { expect, test } from "vitest";
import { service, signUp, Tenant, verifyLedgerAtEnd } from "../support/tenant.ts";

verifyLedgerAtEnd();

// A project whose users may consume from a browser, and so may hold and settle: but a user who could
// settle for nothing what the backend has set aside would never pay.
const tenant = await Tenant.create({ quota: 1000 });
await service.from("projects").update({ allow_client_consumption: true }).eq("id", tenant.id)
  .throwOnError();
await tenant.consume("ada", 1);
const { id, supabase: user } = await signUp();
await tenant.api("/v1/users/ada/link", {
  method: "PUT",
  body: JSON.stringify({ auth_user_id: id }),
});

const hold = (p_tokens: number) => ({
  p_project_id: tenant.id,
  p_external_user_id: "ada",
  p_tokens,
});
const of = (p_hold_id: string) => ({ p_project_id: tenant.id, p_hold_id });

test("a user holds, extends, settles and releases own tokens", async () => {
  const { data: first } = await user.rpc("hold_tokens", hold(100)).throwOnError();
  const { data: second } = await user.rpc("hold_tokens", hold(50)).throwOnError();

  const extended = await user.rpc("extend_hold", of(first.hold_id!)).throwOnError();
  const settled = await user.rpc("settle_hold", { ...of(first.hold_id!), p_tokens: 30 })
    .throwOnError();
  const released = await user.rpc("release_hold", of(second.hold_id!)).throwOnError();

  expect(extended.data).toMatchObject({ success: true, state: "open" });
  expect(settled.data).toMatchObject({ success: true, tokens_consumed: 30, tokens_returned: 70 });
  expect(released.data).toMatchObject({ success: true, state: "released" });
});

test("the backend's hold is seen by its user, and is no hold of the user's to end", async () => {
  const { body: placed } = await tenant.hold("ada", 200);
  const { data: seen } = await user.from("open_holds").select("hold_id, token_amount")
    .throwOnError();
  expect(seen).toEqual([{ hold_id: placed.hold_id, token_amount: 200 }]);

  const unknown = await user.rpc("release_hold", of(placed.hold_id!.replace(/_\d+$/, "_999")));
  const answers = [
    await user.rpc("release_hold", of(placed.hold_id!)),
    await user.rpc("extend_hold", of(placed.hold_id!)),
    await user.rpc("settle_hold", { ...of(placed.hold_id!), p_tokens: 0 }),
  ];

  for (const answer of answers) expect(answer).toEqual(unknown);
  expect(unknown.error?.code).toBe("TG011");
  expect((await tenant.settle(placed.hold_id!, 200)).status).toBe(200);
});

test("a hold that a user has placed is no replay to the backend, which could not rely on it", async () => {
  const request = { p_ttl_seconds: 600, p_request_id: "job 17" };
  const { data: placed } = await user.rpc("hold_tokens", { ...hold(20), ...request })
    .throwOnError();

  const backend = await tenant.hold("ada", 20, { ttl_seconds: 600, request_id: "job 17" });
  expect(backend).toMatchObject({
    status: 422,
    body: { error: { code: "idempotency_mismatch" } },
  });
  const { data: again } = await user.rpc("hold_tokens", { ...hold(20), ...request })
    .throwOnError();
  expect(again).toMatchObject({ hold_id: placed.hold_id, replayed: true });
  await user.rpc("release_hold", of(placed.hold_id!)).throwOnError();
});

test("the backend may end a user's hold", async () => {
  const { data: placed } = await user.rpc("hold_tokens", hold(10)).throwOnError();

  expect((await tenant.release(placed.hold_id!)).status).toBe(200);
});
