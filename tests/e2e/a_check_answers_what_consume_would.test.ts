import { expect, test } from "vitest";
import { type ErrorJson, service, Tenant, verifyLedgerAtEnd } from "../support/tenant.ts";

verifyLedgerAtEnd();

const plan = {
  quota: 100,
  restrictions: [{ tag: "GPT-4", maxTokens: 50, duration: "1 month" } as const],
};

test.each([
  ["applied", 200, 40, { tag: "GPT-4", metadata: { chat: 1 } }],
  ["applied in part", 200, 400, { mode: "up_to" }],
  ["denied for want of tokens", 402, 101, {}],
  ["denied by a restriction", 429, 51, { tag: "GPT-4" }],
])("of a call that would be %s: %i, with the same body", async (_, status, tokens, more) => {
  const tenant = await Tenant.create(plan);
  const request = { ...more, request_id: "r1" };

  const checked = await tenant.check("ada", tokens, request);
  const consumed = await tenant.consume("ada", tokens, request);

  expect(checked.status).toBe(status);
  expect(consumed.status).toBe(status);
  expect(consumed.body).toEqual({ ...checked.body, created_at: expect.any(String) });
  expect(checked.headers.has("retry-after")).toBe(consumed.headers.has("retry-after"));
  expect(checked.headers.get("ratelimit-policy")).toBe(consumed.headers.get("ratelimit-policy"));
});

test.each([
  ["tag", { tag: "gpt-4" }, 400, "unknown_tag"],
  ["request_id", { request_id: "used" }, 422, "idempotency_mismatch"],
])("of a call with a wrong %s is the same mistake", async (_, more, status, code) => {
  const tenant = await Tenant.create(plan);
  await tenant.consume("ada", 1, { request_id: "used" });

  const body = { user_id: "ada", tokens_to_consume: 2, ...more };
  const checked = await tenant.post<ErrorJson>("/v1/check", body);
  const consumed = await tenant.post<ErrorJson>("/v1/consume", body);

  expect(checked.status).toBe(status);
  expect(checked.body.error.code).toBe(code);
  expect({ ...checked.body.error, request_id: "" })
    .toEqual({ ...consumed.body.error, request_id: "" });
});

test("of a user whom the project does not know is a mistake", async () => {
  const tenant = await Tenant.create();

  const { status, body } = await tenant.post<ErrorJson>("/v1/check", {
    user_id: "nobody",
    tokens_to_consume: 1,
  });

  expect([status, body.error.code]).toEqual([404, "unknown_user"]);
});

test("changes nothing: no tokens, no request id, no transfer", async () => {
  const tenant = await Tenant.create(plan);
  await tenant.consume("ada", 10);
  const before = await tenant.balance("ada");

  for (const _ of "abc") await tenant.check("ada", 50, { request_id: "r1", tag: "GPT-4" });

  const after = await tenant.balance("ada");
  expect(after.body).toEqual({ ...before.body, as_of: expect.any(String) });
  expect((await tenant.transfers("ada")).body.data).toHaveLength(1);
});

test("creates no user", async () => {
  const tenant = await Tenant.create(plan);

  const { status, body } = await tenant.check("newcomer", 10);

  expect(status).toBe(200);
  expect(body).toMatchObject({ success: true, quota_left: 90, transfer_number: 1 });
  const { data } = await service.from("tracked_users").select("id").eq("project_id", tenant.id)
    .throwOnError();
  expect(data).toEqual([]);
});

test("of a request_id that was applied is answered with its first receipt", async () => {
  const tenant = await Tenant.create(plan);
  const { body: first } = await tenant.consume("ada", 10, { request_id: "r1" });

  const { status, headers, body } = await tenant.check("ada", 10, { request_id: "r1" });

  expect(status).toBe(200);
  expect(headers.get("idempotent-replayed")).toBe("true");
  expect(body).toEqual({ ...first, replayed: true });
});
