import { expect, test } from "vitest";
import { type ErrorJson, Tenant, verifyLedgerAtEnd } from "../support/tenant.ts";

verifyLedgerAtEnd();

const secondsBetween = (from: string, to: string) => (Date.parse(to) - Date.parse(from)) / 1000;

test("a hold is answered 201 with all that it is", async () => {
  const tenant = await Tenant.create({
    quota: 100,
    restrictions: [{ tag: "GPT-4", maxTokens: 200, duration: "1 month" }],
  });
  const { body: grant } = await tenant.grant("ada", 50);

  const { status, headers, body } = await tenant.hold("ada", 120, {
    tag: "GPT-4",
    ttl_seconds: 3600,
    metadata: { chat: 1 },
    request_id: "r1",
  });

  expect(status).toBe(201);
  expect(headers.get("x-request-id")).toBe("r1");
  expect(body).toEqual({
    success: true,
    hold_id: expect.stringMatching(/^hold_[0-9a-f]{32}_2$/),
    state: "open",
    tokens_held: 120,
    tag: "GPT-4",
    expires_at: expect.any(String),
    message: "Holding 120 tokens",
    reason: null,
    hint: null,
    shortfall: 0,
    retry_at: null,
    user_id: "ada",
    quota_left: 0,
    grants_left: 30,
    sources: [
      { type: "quota", tokens: 100, left: 0 },
      { type: "grant", grant_id: grant.grant_id, tokens: 20, left: 30 },
    ],
    nearest_limit: {
      tag: "GPT-4",
      tags: ["GPT-4"],
      max_tokens: 200,
      duration: "1 month",
      window: "calendar",
      used: 0,
      held: 120,
      left: 80,
      resets_at: expect.any(String),
    },
    transfer_number: 2,
    request_id: "r1",
    replayed: false,
    created_at: expect.any(String),
  });
  expect(secondsBetween(body.created_at, body.expires_at)).toBe(3600);
  const { data: [transfer] } = (await tenant.transfers("ada")).body;
  expect(transfer).toMatchObject({ transaction_type: "hold", metadata: { chat: 1 }, tag: "GPT-4" });
});

test("held tokens cannot be spent, and count in restrictions", async () => {
  const tenant = await Tenant.create({
    quota: 100,
    restrictions: [{ tag: "GPT-4", maxTokens: 80, duration: "1 month" }],
  });
  await tenant.hold("ada", 60, { tag: "GPT-4" });

  const beyond = await tenant.consume("ada", 41);
  const limited = await tenant.consume("ada", 21, { tag: "GPT-4" });
  const within = await tenant.consume("ada", 20, { tag: "GPT-4" });

  expect(beyond.status).toBe(402);
  expect(beyond.body).toMatchObject({ quota_left: 40, tokens_held: 60 });
  expect(limited.status).toBe(429);
  expect(limited.body.nearest_limit).toMatchObject({ used: 0, held: 60, left: 20 });
  expect(within.body).toMatchObject({ success: true, quota_left: 20, tokens_held: 60 });
  expect((await tenant.balance("ada")).body).toMatchObject({
    tokens_left: 20,
    tokens_held: 60,
    tokens_settled: 80,
    quota_held: 60,
    restrictions: [{ used: 20, held: 60, left: 0 }],
  });
});

test("a hold lasts 600 seconds if nothing is said", async () => {
  const tenant = await Tenant.create({ quota: 100 });

  const { body } = await tenant.hold("ada", 1);

  expect(secondsBetween(body.created_at, body.expires_at)).toBe(600);
});

test("a hold for want of tokens is denied with 402, and changes nothing", async () => {
  const tenant = await Tenant.create({ type: "pay_as_you_go" });
  await tenant.grant("ada", 100);

  const { status, body } = await tenant.hold("ada", 101, { request_id: "r1" });

  expect(status).toBe(402);
  expect(body).toEqual({
    success: false,
    hold_id: null,
    state: null,
    tokens_held: 0,
    tag: null,
    expires_at: null,
    message: "Not enough tokens: 101 requested, 100 left",
    reason: "insufficient_tokens",
    hint: "Grant what is lacking (1).",
    shortfall: 1,
    retry_at: null,
    user_id: "ada",
    quota_left: 0,
    grants_left: 100,
    sources: [],
    nearest_limit: null,
    transfer_number: null,
    request_id: "r1",
    replayed: false,
    created_at: expect.any(String),
  });
  expect((await tenant.balance("ada")).body).toMatchObject({ tokens_left: 100, tokens_held: 0 });
});

test("a hold beyond a restriction is denied with 429 and Retry-After", async () => {
  const tenant = await Tenant.create({
    quota: 100,
    restrictions: [{ maxTokens: 50, duration: "1 month" }],
  });
  await tenant.consume("ada", 30);

  const { status, headers, body } = await tenant.hold("ada", 21);

  expect(status).toBe(429);
  expect(body).toMatchObject({ reason: "restriction_exceeded", shortfall: 1 });
  expect(headers.get("retry-after")).toMatch(/^\d+$/);
});

test("the 101st open hold of a user is denied with 429 until the first ends", async () => {
  const tenant = await Tenant.create({ quota: 1000 });
  const { body: first } = await tenant.hold("ada", 1, { ttl_seconds: 60 });
  // In turn: a queue of so many might be told to retry.
  for (let n = 2; n <= 100; n++) expect(await tenant.hold("ada", 1)).toMatchObject({ status: 201 });

  const { status, headers, body } = await tenant.hold("ada", 1, { request_id: "r1" });
  await tenant.release(first.hold_id);
  const retried = await tenant.hold("ada", 1, { request_id: "r1" });

  expect(status).toBe(429);
  expect(body).toMatchObject({ reason: "too_many_holds", retry_at: first.expires_at });
  expect(headers.get("retry-after")).toMatch(/^\d+$/);
  expect(retried.status).toBe(201);
});

test.each([
  ["an unknown tag", { tag: "gpt-4" }, 400, "unknown_tag"],
  ["an unknown user", { user_id: "nobody" }, 404, "unknown_user"],
])("a hold with %s is a mistake", async (_, change, status, code) => {
  const tenant = await Tenant.create();
  await tenant.user("ada", await tenant.plan({ quota: 100 }));

  const answer = await tenant.post<ErrorJson>("/v1/holds", {
    user_id: "ada",
    tokens: 1,
    ...change,
  });

  expect([answer.status, answer.body.error.code]).toEqual([status, code]);
});

test("a repeated hold is answered as at first, and holds nothing more", async () => {
  const tenant = await Tenant.create({ quota: 100 });
  const details = { ttl_seconds: 60, metadata: { chat: 1 }, request_id: "r1" };
  const first = await tenant.hold("ada", 40, details);
  await tenant.extend(first.body.hold_id, 3600);

  const second = await tenant.hold("ada", 40, details);

  expect(second.status).toBe(201);
  expect(second.headers.get("idempotent-replayed")).toBe("true");
  expect(second.body).toEqual({ ...first.body, replayed: true });
  expect((await tenant.balance("ada")).body.tokens_held).toBe(40);
});

test.each([
  ["tokens", { tokens: 41 }],
  ["ttl_seconds", { ttl_seconds: 61 }],
  ["metadata", { metadata: { chat: 1 } }],
])("a request_id with another %s is refused", async (_, change) => {
  const tenant = await Tenant.create({ quota: 100 });
  const request = { user_id: "ada", tokens: 40, ttl_seconds: 60, request_id: "r1" };
  await tenant.post("/v1/holds", request);

  const { status, body } = await tenant.post<ErrorJson>("/v1/holds", { ...request, ...change });

  expect([status, body.error.code]).toEqual([422, "idempotency_mismatch"]);
  expect((await tenant.balance("ada")).body.tokens_held).toBe(40);
});

test("a hold is extended from now on, and never shortened", async () => {
  const tenant = await Tenant.create({ quota: 100 });
  const { body: hold } = await tenant.hold("ada", 40, { ttl_seconds: 600 });

  const extended = await tenant.extend(hold.hold_id, 3600);
  const shortened = await tenant.extend(hold.hold_id, 1);

  expect(extended.status).toBe(200);
  expect(extended.body).toMatchObject({
    hold_id: hold.hold_id,
    state: "open",
    tokens_held: 40,
    message: "Holding 40 tokens",
    sources: hold.sources,
    transfer_number: 2,
  });
  expect(secondsBetween(extended.body.created_at, extended.body.expires_at)).toBe(3600);
  expect(shortened.body.expires_at).toBe(extended.body.expires_at);
  expect((await tenant.balance("ada")).body).toMatchObject({ tokens_left: 60, tokens_held: 40 });
});

test("a released hold gives all of its tokens back", async () => {
  const tenant = await Tenant.create({ quota: 100 });
  await tenant.grant("ada", 50);
  const { body: hold } = await tenant.hold("ada", 120);

  const { status, body } = await tenant.release(hold.hold_id, { request_id: "r1" });

  expect(status).toBe(200);
  expect(body).toMatchObject({
    hold_id: hold.hold_id,
    state: "released",
    tokens_held: 120,
    message: "Released 120 tokens",
    quota_left: 100,
    grants_left: 50,
    request_id: "r1",
  });
  expect((await tenant.balance("ada")).body).toMatchObject({ tokens_left: 150, tokens_held: 0 });
});

test("a release needs no body, and takes its request id from the header", async () => {
  const tenant = await Tenant.create({ quota: 100 });
  const { body: hold } = await tenant.hold("ada", 40);
  const release = () =>
    tenant.api<{ replayed: boolean }>(`/v1/holds/${hold.hold_id}/release`, {
      method: "POST",
      headers: { "idempotency-key": "r1" },
    });

  const first = await release();
  const second = await release();

  expect([first.status, second.status]).toEqual([200, 200]);
  expect(second.body).toEqual({ ...first.body, replayed: true });
  expect((await tenant.balance("ada")).body.tokens_left).toBe(100);
});

test("an expired hold gives its tokens back by itself, and can no longer be used", async () => {
  const tenant = await Tenant.create({ quota: 100 });
  const { body: hold } = await tenant.hold("ada", 40, { ttl_seconds: 1 });
  const balance = async () => (await tenant.balance("ada")).body;

  await expect.poll(balance, { timeout: 20_000 }).toMatchObject({
    tokens_left: 100,
    tokens_held: 0,
  });

  for (const step of ["settle", "extend", "release"]) {
    const { status, body } = await tenant.post<ErrorJson>(
      `/v1/holds/${hold.hold_id}/${step}`,
      step === "settle" ? { tokens: 1 } : {},
    );
    expect([status, body.error.code]).toEqual([409, "hold_not_open"]);
    expect(body.error.message).toContain("The hold expired at");
    expect(body.error.hint).toContain("Consume what was used with a new call");
  }
});

test.each(["extend", "release"])("a repeated %s is answered as at first", async (step) => {
  const tenant = await Tenant.create({ quota: 100 });
  const { body: hold } = await tenant.hold("ada", 40);
  const path = `/v1/holds/${hold.hold_id}/${step}`;
  const first = await tenant.post<object>(path, { request_id: "r1" });

  const second = await tenant.post(path, { request_id: "r1" });
  const other = await tenant.post<ErrorJson>(`/v1/holds/${hold.hold_id}/extend`, {
    ttl_seconds: 7,
    request_id: "r1",
  });

  expect(second.status).toBe(200);
  expect(second.headers.get("idempotent-replayed")).toBe("true");
  expect(second.body).toEqual({ ...first.body, replayed: true });
  expect([other.status, other.body.error.code]).toEqual([422, "idempotency_mismatch"]);
});

test.each(["released", "settled"])("a %s hold has ended", async (state) => {
  const tenant = await Tenant.create({ quota: 100 });
  const { body: hold } = await tenant.hold("ada", 40);
  await (state === "settled" ? tenant.settle(hold.hold_id, 10) : tenant.release(hold.hold_id));
  const before = await tenant.balance("ada");

  for (const step of ["settle", "extend", "release"]) {
    const { status, body } = await tenant.post<ErrorJson>(
      `/v1/holds/${hold.hold_id}/${step}`,
      step === "settle" ? { tokens: 1 } : {},
    );
    expect(status).toBe(409);
    expect(body.error).toMatchObject({
      code: "hold_not_open",
      message: `The hold has been ${state}`,
      hint: expect.stringContaining("send its request_id"),
    });
  }
  const after = await tenant.balance("ada");
  expect(after.body).toEqual({ ...before.body, as_of: expect.any(String) });
});

test.each([`hold_${"0".repeat(32)}_1`, "hold_1", "order-7", "%00", "%F0%9F%99%82"])(
  "the hold %s is unknown",
  async (id) => {
    const tenant = await Tenant.create({ quota: 100 });

    for (const step of ["settle", "extend", "release"]) {
      const { status, body } = await tenant.post<ErrorJson>(
        `/v1/holds/${id}/${step}`,
        step === "settle" ? { tokens: 1 } : {},
      );
      expect(status).toBe(404);
      expect(body.error).toMatchObject({
        code: "unknown_hold",
        message: "The hold is not known in this project",
        hint: "Use the hold_id that the answer to the hold gave.",
      });
    }
  },
);
