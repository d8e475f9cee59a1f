import { expect, test } from "vitest";
import {
  type ErrorJson,
  service,
  Tenant,
  type TransferPage,
  verifyLedgerAtEnd,
} from "../support/tenant.ts";

verifyLedgerAtEnd();

test("the balance tells what can be spent, and the state of every restriction", async () => {
  const tenant = await Tenant.create({
    quota: 1000,
    restrictions: [
      { maxTokens: 700, duration: "1 month" },
      { tag: "GPT-4", maxTokens: 500, duration: "1 month" },
    ],
  });
  const { body: grant } = await tenant.grant("ada", 50);
  await tenant.consume("ada", 300, { tag: "GPT-4" });
  const { body: hold } = await tenant.hold("ada", 40, { tag: "GPT-4" });

  const { status, body } = await tenant.balance("ada");

  expect(status).toBe(200);
  const window = {
    duration: "1 month",
    window: "calendar",
    used: 300,
    held: 40,
    resets_at: expect.any(String),
  };
  expect(body).toEqual({
    user_id: "ada",
    plan: expect.any(String),
    plan_type: "subscription",
    next_plan: null,
    next_plan_at: null,
    payment_status: "active",
    quota_open_until: null,
    time_zone: "UTC",
    tokens_left: 710,
    tokens_held: 40,
    tokens_settled: 750,
    quota_amount: 1000,
    quota_used: 300,
    quota_held: 40,
    quota_left: 660,
    quota_resets_at: expect.any(String),
    grants_left: 50,
    grants: [{
      grant_id: grant.grant_id,
      grant_type: "bonus",
      tokens_left: 50,
      priority: 50,
      effective_at: grant.created_at,
      expires_at: null,
      tags: null,
    }],
    restrictions: [
      { ...window, tag: null, tags: null, max_tokens: 700, left: 360 },
      { ...window, tag: "GPT-4", tags: ["GPT-4"], max_tokens: 500, left: 160 },
    ],
    as_of: expect.any(String),
  });
  expect(Date.parse(body.as_of)).toBeGreaterThanOrEqual(Date.parse(hold.created_at));
  expect(Date.parse(body.quota_resets_at)).toBeGreaterThan(Date.parse(body.as_of));
});

test("a plan without quota has a balance of grants alone", async () => {
  const tenant = await Tenant.create({ type: "pay_as_you_go" });
  await tenant.grant("ada", 50);

  const { body } = await tenant.balance("ada");

  expect(body).toMatchObject({
    plan_type: "pay_as_you_go",
    tokens_left: 50,
    quota_amount: null,
    quota_used: null,
    quota_held: null,
    quota_left: 0,
    quota_resets_at: null,
    grants_left: 50,
    restrictions: [],
  });
});

test("restrictions of any window are told as they were written, tags that share one together", async () => {
  const tenant = await Tenant.create({
    quota: 1000,
    restrictions: [
      { maxTokens: 700, duration: "5 hours", window: "rolling" },
      { tags: ["GPT-5", "GPT-4"], maxTokens: 100, duration: "2 weeks" },
      { tag: "GPT-4", maxTokens: 90, duration: "1 day", endsAt: "2020-01-01T00:00:00Z" },
    ],
  });
  await tenant.consume("ada", 10, { tag: "GPT-4" });
  await tenant.consume("ada", 20, { tag: "GPT-5" });
  await tenant.consume("ada", 30);

  const { body } = await tenant.balance("ada");

  const state = { held: 0, resets_at: expect.any(String) };
  expect(body.restrictions).toEqual([
    {
      ...{ tag: null, tags: null, max_tokens: 700, duration: "5 hours", window: "rolling" },
      ...{ used: 60, left: 640 },
      ...state,
    },
    {
      ...{ tag: null, tags: ["GPT-5", "GPT-4"], max_tokens: 100, duration: "2 weeks" },
      ...{ window: "calendar", used: 30, left: 70 },
      ...state,
    },
  ]);
});

test("a grant that was prolonged by hand to infinity expires never, for clients too", async () => {
  const tenant = await Tenant.create({ type: "pay_as_you_go" });
  const { body: grant } = await tenant.grant("ada", 50, { expires_at: "2090-01-01T00:00:00Z" });
  await service.from("user_token_grants").update({ expires_at: "infinity" })
    .eq("id", grant.grant_id).throwOnError();

  const { body } = await tenant.balance("ada");

  expect(body.grants).toMatchObject([{ grant_id: grant.grant_id, expires_at: null }]);
});

test("the balance as of an instant is what it was then", async () => {
  const tenant = await Tenant.create({
    quota: 1000,
    restrictions: [{ tag: "GPT-4", maxTokens: 500, duration: "1 month" }],
  });
  const { body: grant } = await tenant.grant("ada", 50);
  const { body: first } = await tenant.consume("ada", 300, { tag: "GPT-4" });
  await tenant.consume("ada", 600);
  await tenant.voidGrant("ada", grant.grant_id);

  const { status, body } = await tenant.balance("ada", first.created_at);

  expect(status).toBe(200);
  expect(body).toMatchObject({
    quota_used: 300,
    grants_left: 50,
    tokens_left: 750,
    grants: [{ grant_id: grant.grant_id, tokens_left: 50 }],
    restrictions: [{ tag: "GPT-4", used: 300, left: 200 }],
    as_of: first.created_at,
  });
  expect((await tenant.balance("ada")).body.tokens_left).toBe(100);
});

test.each([
  ["in the future", "2090-01-01T00:00:00Z"],
  ["before the user", "2020-01-01T00:00:00+02:00"],
])("there is no balance as of an instant %s", async (_, asOf) => {
  const tenant = await Tenant.create({ quota: 1000 });
  await tenant.consume("ada", 1);

  const { status, body } = await tenant.api<ErrorJson>(
    `/v1/users/ada/balance?as_of=${encodeURIComponent(asOf)}`,
  );

  expect(status).toBe(400);
  expect(body.error).toMatchObject({
    code: "invalid_request",
    message: expect.stringMatching(/^as_of .* is not an instant of the user's past$/),
    hint: "Give an instant between the user's creation and now, or none for now.",
  });
});

test.each(["balance", "transfers"])("the %s of an unknown user is 404", async (what) => {
  const tenant = await Tenant.create({ quota: 1000 });

  const { status, body } = await tenant.api<ErrorJson>(`/v1/users/nobody/${what}`);

  expect(status).toBe(404);
  expect(body.error).toMatchObject({
    code: "unknown_user",
    message: "The user is not known in this project",
  });
});

test("transfers come newest first, grants and consumption alike", async () => {
  const tenant = await Tenant.create({ quota: 100 });
  await tenant.tagId("GPT-4");
  const { body: grant } = await tenant.grant("ada", 50, {
    metadata: { invoice: "in_1" },
    request_id: "order-7",
  });
  const { body: receipt } = await tenant.consume("ada", 120, {
    tag: "GPT-4",
    metadata: { chat: 1 },
    request_id: "chat-1",
  });

  const { status, body } = await tenant.transfers("ada");

  expect(status).toBe(200);
  expect(body).toEqual({
    data: [
      {
        transfer_number: 2,
        amount: -120,
        transaction_type: "consumption",
        tag: "GPT-4",
        base_quota_used: 100,
        grants_used: 20,
        quota_left: 0,
        grants_left: 30,
        tokens_held: 0,
        grant_id: null,
        refers_to: null,
        request_id: "chat-1",
        metadata: { chat: 1 },
        created_at: receipt.created_at,
      },
      {
        transfer_number: 1,
        amount: 50,
        transaction_type: "grant",
        tag: null,
        base_quota_used: 0,
        grants_used: 0,
        quota_left: 100,
        grants_left: 50,
        tokens_held: 0,
        grant_id: grant.grant_id,
        refers_to: null,
        request_id: "order-7",
        metadata: { invoice: "in_1" },
        created_at: grant.created_at,
      },
    ],
    next_cursor: null,
  });
});

test("steps of holds and refunds are transfers that refer to others", async () => {
  const tenant = await Tenant.create({ quota: 100 });
  const { body: settled } = await tenant.hold("ada", 60);
  const { body: released } = await tenant.hold("ada", 20);
  await tenant.extend(released.hold_id, 3600);
  await tenant.settle(settled.hold_id, 50);
  await tenant.release(released.hold_id);
  await tenant.refund("ada", { transfer_number: 4, tokens: 30 });

  const { body } = await tenant.transfers("ada");

  const row = (transaction_type: string, refers_to: number | null, amounts: number[]) => {
    const [amount, base_quota_used, quota_left, tokens_held] = amounts;
    const numbers = { amount, base_quota_used, quota_left, tokens_held };
    return expect.objectContaining({ transaction_type, refers_to, grants_used: 0, ...numbers });
  };
  expect(body.data).toEqual([
    row("refund", 4, [30, -30, 80, 0]),
    row("release", 2, [0, 0, 50, 0]),
    row("consumption", 1, [-50, 50, 30, 20]),
    row("extension", 2, [0, 0, 20, 80]),
    row("hold", null, [0, 0, 20, 80]),
    row("hold", null, [0, 0, 40, 60]),
  ]);
});

async function tenantWithTransfers(count: number) {
  const tenant = await Tenant.create({ quota: 100_000 });
  await Promise.all(Array.from({ length: count }, () => tenant.consume("ada", 1)));
  return tenant;
}

async function walk(tenant: Tenant, limit: number, betweenPages = async () => {}) {
  const pages: number[][] = [];
  let page: TransferPage | undefined;
  do {
    const cursor: string = page ? `&cursor=${page.next_cursor}` : "";
    page = (await tenant.transfers("ada", `?limit=${limit}${cursor}`)).body;
    pages.push(page.data.map(({ transfer_number }) => transfer_number));
    await betweenPages();
  } while (page.next_cursor !== null);
  return pages;
}

test("walking the pages visits every transfer exactly once, in order", async () => {
  const tenant = await tenantWithTransfers(7);

  expect(await walk(tenant, 3)).toEqual([[7, 6, 5], [4, 3, 2], [1]]);
  expect(await walk(tenant, 7)).toEqual([[7, 6, 5, 4, 3, 2, 1]]);
  expect(await walk(tenant, 1)).toEqual([[7], [6], [5], [4], [3], [2], [1]]);
});

test("transfers made during a walk do not disturb it", async () => {
  const tenant = await tenantWithTransfers(5);

  const pages = await walk(tenant, 2, async () => void await tenant.consume("ada", 1));

  expect(pages).toEqual([[5, 4], [3, 2], [1]]);
});

test("a page has 50 transfers unless asked otherwise, and 100 at most", async () => {
  const tenant = await tenantWithTransfers(102);

  const [usual, most] = await Promise.all([
    tenant.transfers("ada"),
    tenant.transfers("ada", "?limit=100"),
  ]);

  expect([usual.body.data.length, usual.body.next_cursor]).toEqual([50, "53"]);
  expect([most.body.data.length, most.body.next_cursor]).toEqual([100, "3"]);
});

const bare = await Tenant.create();

test.each(["0", "101", "-1", "1.5", "ten", "", "1e1", "9999999999999999999", "%00"])(
  "a limit of %j is refused",
  async (limit) => {
    const { status, body } = await bare.api<ErrorJson>(
      `/v1/users/ada/transfers?limit=${limit}`,
    );

    expect(status).toBe(400);
    expect(body.error).toMatchObject({
      code: "invalid_request",
      message: "limit must be a whole number from 1 to 100.",
    });
  },
);

test.each(["0", "-1", "abc", "", "1.5", "9999999999999999999"])(
  "a cursor of %j is refused",
  async (cursor) => {
    const { status, body } = await bare.api<ErrorJson>(
      `/v1/users/ada/transfers?cursor=${cursor}`,
    );

    expect(status).toBe(400);
    expect(body.error.message).toBe(
      "cursor must be the next_cursor of an earlier answer: digits.",
    );
  },
);

test("beyond the oldest transfer there is nothing", async () => {
  const tenant = await tenantWithTransfers(1);

  const { status, body } = await tenant.transfers("ada", "?cursor=1");

  expect(status).toBe(200);
  expect(body).toEqual({ data: [], next_cursor: null });
});
