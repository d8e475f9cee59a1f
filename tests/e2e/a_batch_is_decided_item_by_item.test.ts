import { expect, test } from "vitest";
import {
  type BatchResult,
  type ErrorJson,
  type Receipt,
  Tenant,
  verifyLedgerAtEnd,
} from "../support/tenant.ts";

verifyLedgerAtEnd();

const item = (user_id: string, tokens_to_consume: number, more: object = {}) => ({
  user_id,
  tokens_to_consume,
  ...more,
});

/** Users have 100 tokens, 50 of them for GPT-4; `known` and `late` exist, others come by first use. */
async function createTenant() {
  const tenant = await Tenant.create({
    quota: 100,
    restrictions: [{ tag: "GPT-4", maxTokens: 50, duration: "1 month" }],
  });
  await tenant.consume("known", 10, { request_id: "used" });
  await tenant.user("late", await tenant.plan({ quota: 100 }), { paymentStatus: "past_due" });
  return tenant;
}

const reasonsOf = ({ results }: BatchResult) =>
  results.map(({ reason }) => reason as string | null);

test("items are answered in order, each as it would have been alone", async () => {
  const tenant = await createTenant();
  const twin = await createTenant();
  const items = [
    item("ada", 40, { tag: "GPT-4", metadata: { chat: 1 }, request_id: "a" }),
    item("bob", 101, { request_id: "b" }),
    item("ada", 40, { tag: "GPT-4", request_id: "c" }),
    item("bob", 101, { request_id: "d", mode: "up_to" }),
    item("late", 1, { request_id: "e" }),
  ];

  const { status, body } = await tenant.batch(items);
  const alone: Receipt[] = [];
  for (const single of items) {
    alone.push((await twin.post<Receipt>("/v1/consume", single)).body);
  }

  expect(status).toBe(200);
  expect(body).toEqual({
    results: alone.map((receipt) => ({ ...receipt, created_at: expect.any(String) })),
    applied: 2,
    refused: 3,
  });
  expect(reasonsOf(body)).toEqual([
    null,
    "insufficient_tokens",
    "restriction_exceeded",
    null,
    "payment_inactive",
  ]);
  expect((await tenant.balance("ada")).body.tokens_left).toBe(60);
  expect((await tenant.balance("bob")).body.tokens_left).toBe(0);
});

test("what would be an error of a single call is a result of its item alone", async () => {
  const tenant = await createTenant();

  const { status, body } = await tenant.batch([
    item("ada", 1, { tag: "gpt-4" }),
    item("known", 11, { request_id: "used" }),
    item("ada", 1),
  ]);

  expect(status).toBe(200);
  expect(reasonsOf(body)).toEqual(["unknown_tag", "idempotency_mismatch", null]);
  expect(body).toMatchObject({ applied: 1, refused: 2 });
  expect((await tenant.balance("known")).body.tokens_left).toBe(90);
});

test("an unknown user of a project without a default plan is refused", async () => {
  const tenant = await Tenant.create();

  const { status, body } = await tenant.batch([item("nobody", 1)]);

  expect(status).toBe(200);
  expect(reasonsOf(body)).toEqual(["unknown_user"]);
});

test("all_or_nothing applies all of it", async () => {
  const tenant = await createTenant();

  const { status, body } = await tenant.batch([item("ada", 40), item("bob", 50), item("ada", 60)], {
    all_or_nothing: true,
  });

  expect(status).toBe(200);
  expect(body).toMatchObject({ applied: 3, refused: 0 });
  expect((await tenant.balance("ada")).body.tokens_left).toBe(0);
});

test.each([
  [429, "restriction_exceeded", item("ada", 51, { tag: "GPT-4" })],
  [402, "insufficient_tokens", item("ada", 101)],
  [402, "payment_inactive", item("late", 1)],
  [400, "unknown_tag", item("ada", 1, { tag: "gpt-4" })],
  [422, "idempotency_mismatch", item("known", 11, { request_id: "used" })],
])("all_or_nothing is answered %i if %s refused the first item at fault", async (...row) => {
  const [expected, reason, wrong] = row;
  const tenant = await createTenant();

  const { status, body } = await tenant.batch([
    item("ada", 10, { request_id: "a" }),
    wrong,
    item("bob", 500),
  ], { all_or_nothing: true });

  expect(status).toBe(expected);
  expect(body).toMatchObject({ applied: 0, refused: 3 });
  expect(reasonsOf(body)).toEqual(["batch_denied", reason, "insufficient_tokens"]);
  const { body: later } = await tenant.consume("ada", 10, { request_id: "a" });
  expect(later).toMatchObject({ success: true, replayed: false, transfer_number: 1 });
});

test("all_or_nothing is answered 404 if the first item at fault has an unknown user", async () => {
  const tenant = await Tenant.create();

  const { status, body } = await tenant.batch([item("nobody", 1)], { all_or_nothing: true });

  expect(status).toBe(404);
  expect(body).toMatchObject({ applied: 0, refused: 1, results: [{ reason: "unknown_user" }] });
});

test("a refused batch says when to retry", async () => {
  const tenant = await createTenant();
  await tenant.consume("ada", 50, { tag: "GPT-4" });

  const { status, headers, body } = await tenant.batch([item("ada", 1, { tag: "GPT-4" })], {
    all_or_nothing: true,
  });

  const [{ created_at, retry_at }] = body.results as [Receipt];
  const waited = Date.parse(created_at) + Number(headers.get("retry-after")) * 1000;
  expect(status).toBe(429);
  expect(waited).toBeGreaterThanOrEqual(Date.parse(retry_at));
  expect(waited).toBeLessThan(Date.parse(retry_at) + 1000);
});

test.each([false, true])("a batch may be retried whole: all_or_nothing %s", async (all) => {
  const tenant = await createTenant();
  const items = [item("ada", 40), item("bob", 50), item("ada", 40, { request_id: "own" })];
  const send = () => tenant.batch(items, { all_or_nothing: all }, { "idempotency-key": "order-7" });

  const first = await send();
  const second = await send();

  expect(first.status).toBe(200);
  expect(first.headers.has("idempotent-replayed")).toBe(false);
  expect(first.headers.get("x-request-id")).toBe("order-7");
  expect(first.body.results.map(({ request_id }) => request_id))
    .toEqual(["order-7:0", "order-7:1", "own"]);
  expect(second.status).toBe(200);
  expect(second.headers.get("idempotent-replayed")).toBe("true");
  expect(second.body).toEqual({
    ...first.body,
    results: first.body.results.map((receipt) => ({ ...receipt, replayed: true })),
  });
  expect((await tenant.balance("ada")).body.tokens_left).toBe(20);
});

test("a retry applies what was refused before, and nothing twice", async () => {
  const tenant = await createTenant();
  const send = () =>
    tenant.batch([item("ada", 40), item("ada", 80)], {}, { "idempotency-key": "order-7" });
  await send();
  await tenant.grant("ada", 20);

  const { headers, body } = await send();

  expect(body.results.map(({ replayed }) => replayed)).toEqual([true, false]);
  expect(body).toMatchObject({ applied: 2, refused: 0 });
  expect(headers.has("idempotent-replayed")).toBe(false);
  expect((await tenant.balance("ada")).body.tokens_left).toBe(0);
});

test("the generated ids of a batch can be used to repeat its items", async () => {
  const tenant = await createTenant();
  const { headers, body } = await tenant.batch([item("ada", 40)]);
  const [first] = body.results as [Receipt];

  const second = await tenant.consume("ada", 40, { request_id: first.request_id });

  expect(first.request_id).toBe(`${headers.get("x-request-id")}:0`);
  expect(second.body).toEqual({ ...first, replayed: true });
});

test("a key with no room for the index is refused, naming the header", async () => {
  const tenant = await createTenant();

  const { status, body } = await tenant.post<ErrorJson>("/v1/consume/batch", {
    items: [item("ada", 1)],
  }, { "idempotency-key": "k".repeat(254) });

  expect(status).toBe(400);
  expect(body.error.message).toContain("Idempotency-Key header");
});

test("1000 items of almost 1 MiB are applied", async () => {
  const tenant = await Tenant.create({ quota: 1_000_000 });
  const items = Array.from(
    { length: 1000 },
    (_, index) =>
      item(`user ${index % 50}`, 1 + index % 7, { metadata: { note: "x".repeat(900) } }),
  );

  const { status, body } = await tenant.batch(items);

  expect(status).toBe(200);
  expect(body.applied).toBe(1000);
  expect(body.results.map(({ tokens_consumed }) => tokens_consumed))
    .toEqual(items.map(({ tokens_to_consume }) => tokens_to_consume));
  const spent = items.filter(({ user_id }) => user_id === "user 7")
    .reduce((total, { tokens_to_consume }) => total + tokens_to_consume, 0);
  expect((await tenant.balance("user 7")).body.quota_used).toBe(spent);
});
