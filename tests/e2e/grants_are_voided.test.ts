import { expect, test } from "vitest";
import { type ErrorJson, service, Tenant, verifyLedgerAtEnd } from "../support/tenant.ts";

verifyLedgerAtEnd();

test("voiding a grant takes what is left of it, and says how much that was", async () => {
  const tenant = await Tenant.create({ quota: 100 });
  const { body: grant } = await tenant.grant("ada", 500);
  await tenant.grant("ada", 50);
  await tenant.consume("ada", 300);

  const { status, headers, body } = await tenant.voidGrant("ada", grant.grant_id, {
    metadata: { reason: "chargeback" },
    request_id: "void-1",
  });

  expect(status).toBe(200);
  expect(headers.has("idempotent-replayed")).toBe(false);
  expect(body).toEqual({
    grant_id: grant.grant_id,
    user_id: "ada",
    tokens_voided: 300,
    tokens_held: 0,
    message: "Voided 300 tokens",
    quota_left: 0,
    grants_left: 50,
    transfer_number: 4,
    request_id: "void-1",
    replayed: false,
    created_at: expect.any(String),
  });
  const [transfer] = (await tenant.transfers("ada")).body.data;
  expect(transfer).toMatchObject({
    transfer_number: 4,
    transaction_type: "void",
    amount: -300,
    grant_id: grant.grant_id,
    metadata: { reason: "chargeback" },
  });
  expect((await tenant.consume("ada", 51)).status).toBe(402);
});

test("what a hold has set aside of it may still be settled, and does not return", async () => {
  const tenant = await Tenant.create({ type: "pay_as_you_go" });
  const { body: grant } = await tenant.grant("ada", 500);
  const { body: hold } = await tenant.hold("ada", 200);

  const { body } = await tenant.voidGrant("ada", grant.grant_id);

  expect(body).toMatchObject({ tokens_voided: 300, tokens_held: 200, grants_left: 0 });
  expect((await tenant.settle(hold.hold_id, 150)).body).toMatchObject({
    success: true,
    tokens_consumed: 150,
    tokens_returned: 50,
    grants_left: 0,
  });
});

test.each([
  ["request_id", { request_id: "void-1" }, {}],
  ["Idempotency-Key", {}, { "idempotency-key": "void-1" }],
])("repeated with its %s it is answered as at first", async (_, more, headers) => {
  const tenant = await Tenant.create({ type: "pay_as_you_go" });
  const { body: grant } = await tenant.grant("ada", 500);
  const path = `/v1/grants/${grant.grant_id}/void`;
  const first = await tenant.post<object>(path, { user_id: "ada", ...more }, headers);
  await tenant.grant("ada", 20);

  const second = await tenant.post<object>(path, { user_id: "ada", ...more }, headers);

  expect([first.status, second.status]).toEqual([200, 200]);
  expect(second.headers.get("idempotent-replayed")).toBe("true");
  expect(second.body).toEqual({ ...first.body, replayed: true });
});

test("its request_id with another grant, or of another call, is refused", async () => {
  const tenant = await Tenant.create({ type: "pay_as_you_go" });
  const { body: grant } = await tenant.grant("ada", 500, { request_id: "order-7" });
  const { body: other } = await tenant.grant("ada", 500);
  await tenant.voidGrant("ada", other.grant_id, { request_id: "void-1" });

  for (const request_id of ["order-7", "void-1"]) {
    const { status, body } = await tenant.post<ErrorJson>(`/v1/grants/${grant.grant_id}/void`, {
      user_id: "ada",
      request_id,
    });

    expect(status).toBe(422);
    expect(body.error.code).toBe("idempotency_mismatch");
  }
  expect((await tenant.balance("ada")).body.grants_left).toBe(500);
});

test("a grant that was spent, voided or has expired is 409, which says so", async () => {
  const tenant = await Tenant.create({ type: "pay_as_you_go" });
  const { body: spent } = await tenant.grant("ada", 10);
  await tenant.consume("ada", 10);
  const { body: voided } = await tenant.grant("ada", 10);
  await tenant.voidGrant("ada", voided.grant_id);
  const { body: expired } = await tenant.grant("ada", 10);
  await service.from("user_token_grants").update({ expires_at: "2020-01-01T00:00:00Z" })
    .eq("id", expired.grant_id).throwOnError();

  const answers = await Promise.all(
    [spent, voided, expired].map(({ grant_id }) =>
      tenant.post<ErrorJson>(`/v1/grants/${grant_id}/void`, { user_id: "ada" })
    ),
  );

  expect(answers.map(({ status }) => status)).toEqual([409, 409, 409]);
  expect(answers.map(({ body }) => [body.error.code, body.error.message])).toEqual([
    ["grant_ended", "The grant has been spent"],
    ["grant_ended", "The grant has been voided"],
    // An end in the past is that of the last transfer.
    ["grant_ended", expect.stringMatching(/^The grant expired at 20/)],
  ]);
  expect(answers[0]!.body.error.hint).toBe("Nothing is left of it to be voided.");
});

test("a grant that the user does not have is 404, whoever else has it", async () => {
  const tenant = await Tenant.create({ type: "pay_as_you_go" });
  const stranger = await Tenant.create({ type: "pay_as_you_go" });
  await tenant.grant("ada", 10);
  const { body: bobs } = await tenant.grant("bob", 10);
  const { body: theirs } = await stranger.grant("ada", 10);

  for (const id of [bobs.grant_id, theirs.grant_id, crypto.randomUUID(), "grant_7"]) {
    const { status, body } = await tenant.post<ErrorJson>(`/v1/grants/${id}/void`, {
      user_id: "ada",
    });

    expect(status).toBe(404);
    expect(body.error).toMatchObject({
      code: "unknown_grant",
      message: expect.stringMatching(/^The user has no such grant/),
    });
  }
  expect((await tenant.balance("bob")).body.grants_left).toBe(10);
  expect((await stranger.balance("ada")).body.grants_left).toBe(10);
});

test("of an unknown user nothing can be voided, and no user is created", async () => {
  const tenant = await Tenant.create({ quota: 100 });

  const { status, body } = await tenant.post<ErrorJson>(
    `/v1/grants/${crypto.randomUUID()}/void`,
    { user_id: "nobody" },
  );

  expect(status).toBe(404);
  expect(body.error.code).toBe("unknown_user");
  expect((await tenant.balance("nobody")).status).toBe(404);
});
