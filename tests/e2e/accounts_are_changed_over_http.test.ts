import { expect, test } from "vitest";
import { type ErrorJson, service, Tenant, verifyLedgerAtEnd } from "../support/tenant.ts";

verifyLedgerAtEnd();

const DAY = 86_400_000;

/** A project with the plans Free (the default one, 1000 tokens) and Pro (5000). */
async function tenantWithPlans() {
  const tenant = await Tenant.create();
  const planId = await tenant.plan({ quota: 1000 }, "Free");
  await tenant.plan({ quota: 5000 }, "Pro");
  await service.from("projects").update({ default_plan_id: planId }).eq("id", tenant.id)
    .throwOnError();
  return tenant;
}

test("a plan takes effect at once, and the answer is the account as it then is", async () => {
  const tenant = await tenantWithPlans();
  const { body: first } = await tenant.consume("ada", 400);
  await tenant.grant("ada", 50);

  const { status, headers, body } = await tenant.change("ada", {
    plan: "Pro",
    request_id: "upgrade-1",
  });

  expect(status).toBe(200);
  expect(headers.has("idempotent-replayed")).toBe(false);
  expect(body).toEqual({
    user_id: "ada",
    plan: "Pro",
    next_plan: null,
    next_plan_at: null,
    payment_status: "active",
    quota_open_until: null,
    billing_anchor: first.created_at,
    time_zone: null,
    quota_left: 4600,
    grants_left: 50,
    transfer_number: 3,
    request_id: "upgrade-1",
    replayed: false,
    created_at: expect.any(String),
  });
  expect((await tenant.balance("ada")).body).toMatchObject({ plan: "Pro", tokens_left: 4650 });
});

test("with the policy reset the new quota is full", async () => {
  const tenant = await tenantWithPlans();
  await tenant.consume("ada", 400);

  const { body } = await tenant.change("ada", { plan: "Pro", quota_policy: "reset" });

  expect(body.quota_left).toBe(5000);
});

test("prorated, a plan adds its share of the time that remains", async () => {
  const tenant = await tenantWithPlans();
  await tenant.change("ada", { billing_anchor: new Date(Date.now() - 14 * DAY).toISOString() });

  const { body } = await tenant.change("ada", { plan: "Pro", quota_policy: "prorate" });

  // A little more than half of the month remains, however long it is.
  expect(body.quota_left).toBeGreaterThan(1000 + 4000 * 0.49);
  expect(body.quota_left).toBeLessThan(1000 + 4000 * 0.56);
});

test("at the end of the period a plan waits, and a plan given for now takes it back", async () => {
  const tenant = await tenantWithPlans();
  await tenant.consume("ada", 400);
  const { body: before } = await tenant.balance("ada");

  const { body: waiting } = await tenant.change("ada", { plan: "Pro", when: "period_end" });
  const { body: balance } = await tenant.balance("ada");
  const { body: now } = await tenant.change("ada", { plan: "Free" });

  expect(waiting).toMatchObject({
    plan: "Free",
    next_plan: "Pro",
    next_plan_at: before.quota_resets_at,
    quota_left: 600,
  });
  expect(balance).toMatchObject({ next_plan: "Pro", next_plan_at: before.quota_resets_at });
  expect(now).toMatchObject({ plan: "Free", next_plan: null, next_plan_at: null, quota_left: 600 });
});

test("paused closes the quota, active opens it again", async () => {
  const tenant = await tenantWithPlans();

  const { body: paused } = await tenant.change("ada", { payment_status: "paused" });
  const denied = await tenant.consume("ada", 1);
  const { body: active } = await tenant.change("ada", { payment_status: "active" });

  expect(paused).toMatchObject({ payment_status: "paused", quota_left: 0 });
  expect(denied.body).toMatchObject({ success: false, reason: "payment_inactive" });
  expect(active).toMatchObject({ payment_status: "active", quota_left: 1000 });
});

test("who cancels at the end of the period keeps the quota until then", async () => {
  const tenant = await tenantWithPlans();
  await tenant.consume("ada", 400);
  const { body: before } = await tenant.balance("ada");

  const { body } = await tenant.change("ada", { payment_status: "canceled", when: "period_end" });

  expect(body).toMatchObject({
    payment_status: "canceled",
    quota_open_until: before.quota_resets_at,
    quota_left: 600,
  });
  expect((await tenant.consume("ada", 600)).status).toBe(200);
});

test("who is past due has the project's days of grace, or those that are given", async () => {
  const tenant = await tenantWithPlans();
  await service.from("projects").update({ grace_days: 3 }).eq("id", tenant.id).throwOnError();

  const { body: grace } = await tenant.change("ada", { payment_status: "past_due" });
  const { body: given } = await tenant.change("ada", { quota_open_until: "2020-01-01T00:00:00Z" });

  expect(Date.parse(grace.quota_open_until)).toBe(Date.parse(grace.created_at) + 3 * DAY);
  expect(grace.quota_left).toBe(1000);
  expect(given).toMatchObject({
    payment_status: "past_due",
    quota_open_until: "2020-01-01T00:00:00+00:00",
    quota_left: 0,
  });
});

test("a trial is open until its end", async () => {
  const tenant = await tenantWithPlans();

  const { body } = await tenant.change("ada", {
    payment_status: "trial",
    quota_open_until: "2090-01-01T00:00:00+01:00",
  });

  expect(body).toMatchObject({
    payment_status: "trial",
    quota_open_until: "2089-12-31T23:00:00+00:00",
    quota_left: 1000,
  });
});

test("null gives a user the project's time zone back", async () => {
  const tenant = await tenantWithPlans();

  const { body: own } = await tenant.change("ada", { time_zone: "Asia/Kolkata" });
  const { body: balance } = await tenant.balance("ada");
  const { body: same } = await tenant.change("ada", { billing_anchor: "2026-01-31T10:00:00Z" });
  const { body: none } = await tenant.change("ada", { time_zone: null });

  expect(own.time_zone).toBe("Asia/Kolkata");
  expect(balance.time_zone).toBe("Asia/Kolkata");
  expect(same).toMatchObject({
    time_zone: "Asia/Kolkata",
    billing_anchor: "2026-01-31T10:00:00+00:00",
  });
  expect(none.time_zone).toBeNull();
  expect((await tenant.balance("ada")).body.time_zone).toBe("UTC");
});

test("every change is in the audit trail, with what was before and after", async () => {
  const tenant = await tenantWithPlans();
  await tenant.consume("ada", 400);

  const { body } = await tenant.change("ada", {
    plan: "Pro",
    payment_status: "trial",
    quota_policy: "prorate",
  });

  const [transfer] = (await tenant.transfers("ada")).body.data;
  expect(transfer).toMatchObject({
    transfer_number: body.transfer_number,
    transaction_type: "account_change",
    amount: 0,
    request_id: body.request_id,
    created_at: body.created_at,
    metadata: {
      before: { plan: "Free", payment_status: "active" },
      after: { plan: "Pro", payment_status: "trial" },
      quota_policy: "prorate",
    },
  });
});

test.each([
  ["request_id", { request_id: "c1" }, {}],
  ["Idempotency-Key", {}, { "idempotency-key": "c1" }],
])("repeated with its %s a change is answered as at first", async (_, more, headers) => {
  const tenant = await tenantWithPlans();
  const change = { plan: "Pro", quota_policy: "reset", ...more };
  const first = await tenant.change("ada", change, headers);
  await tenant.consume("ada", 100);
  await tenant.change("ada", { plan: "Free" });

  const second = await tenant.change("ada", change, headers);

  expect(second.status).toBe(200);
  expect(second.headers.get("idempotent-replayed")).toBe("true");
  expect(second.body).toEqual({ ...first.body, replayed: true });
  expect((await tenant.balance("ada")).body).toMatchObject({ plan: "Free" });
});

test.each([
  ["plan", { plan: "Free" }],
  ["when", { when: "period_end" }],
  ["quota_policy", { quota_policy: "reset" }],
  ["payment_status", { payment_status: "trial" }],
  ["quota_open_until", { quota_open_until: "2090-01-01T00:00:00Z" }],
  ["billing_anchor", { billing_anchor: "2026-01-01T00:00:00Z" }],
  ["time_zone", { time_zone: null }],
])("a request_id with another %s is refused", async (_, more) => {
  const tenant = await tenantWithPlans();
  await tenant.change("ada", { plan: "Pro", request_id: "c1" });

  const { status, body } = await tenant.change<ErrorJson>("ada", {
    ...{ plan: "Pro", request_id: "c1" },
    ...more,
  });

  expect(status).toBe(422);
  expect(body.error).toMatchObject({ code: "idempotency_mismatch", request_id: "c1" });
});

test("an unknown user is created, on the plan that is given", async () => {
  const tenant = await tenantWithPlans();
  const without = await Tenant.create();
  await without.plan({ quota: 7 }, "Small");

  const onDefault = await tenant.change("newcomer", { time_zone: "Europe/Paris" });
  const onGiven = await without.change("newcomer", { plan: "Small" });
  const nowhere = await without.change<ErrorJson>("other", { payment_status: "paused" });

  expect(onDefault.body).toMatchObject({ plan: "Free", quota_left: 1000 });
  expect(onGiven.body).toMatchObject({ plan: "Small", quota_left: 7 });
  expect([nowhere.status, nowhere.body.error.code]).toEqual([404, "unknown_user"]);
});

test("any text is a user id here as well", async () => {
  const tenant = await tenantWithPlans();

  for (const userId of ["a/b", "100%", "?#", "👩‍💻", "..."]) {
    const { status, body } = await tenant.change(userId, { plan: "Pro" });

    expect([status, body.user_id, body.plan]).toEqual([200, userId, "Pro"]);
  }
});

test.each([
  [
    "a plan that the project does not have",
    { plan: "pro" },
    "plan 'pro' is not known in this project",
  ],
  [
    "payment that waits, but is no cancelation",
    { payment_status: "paused", when: "period_end" },
    "Only a plan or a cancelation can wait for the end of the period",
  ],
  [
    "an abbreviation for a time zone",
    { time_zone: "EST" },
    "time_zone 'EST' is not a known time zone",
  ],
  ["an offset", { time_zone: "UTC+5" }, "time_zone 'UTC+5' is not a known time zone"],
])("%s is refused, and nothing else of the change is made", async (_, change, message) => {
  const tenant = await tenantWithPlans();
  await tenant.consume("ada", 1);

  const { status, body } = await tenant.change<ErrorJson>("ada", {
    billing_anchor: "2026-01-31T00:00:00Z",
    ...change,
  });
  const newcomer = await tenant.change<ErrorJson>("newcomer", change);

  expect(status).toBe(400);
  expect(body.error).toMatchObject({ code: "invalid_request", message });
  expect(body.error.hint).toMatch(/\w/);
  expect(newcomer.status).toBe(400);
  expect((await tenant.transfers("ada")).body.data).toHaveLength(1);
  expect((await tenant.balance("newcomer")).status).toBe(404);
});

test("a plan without a quota has no period at whose end to change", async () => {
  const tenant = await tenantWithPlans();
  const planId = await tenant.plan({ type: "pay_as_you_go" }, "Pay as you go");
  await tenant.user("ada", planId);

  const { status, body } = await tenant.change<ErrorJson>("ada", {
    plan: "Pro",
    when: "period_end",
  });

  expect(status).toBe(400);
  expect(body.error.message).toBe(
    "The plan 'Pay as you go' has no base quota, and so no period that ends",
  );
});

test("a plan of another project is as unknown as one that nobody has", async () => {
  const tenant = await tenantWithPlans();
  const stranger = await Tenant.create({ quota: 1 });
  await stranger.plan({ quota: 1_000_000 }, "Theirs");

  const theirs = await tenant.change<ErrorJson>("ada", { plan: "Theirs" });
  const nobodys = await tenant.change<ErrorJson>("ada", { plan: "Nobody's" });

  expect(theirs.status).toBe(400);
  expect(theirs.body.error.message.replace("Theirs", "X"))
    .toBe(nobodys.body.error.message.replace("Nobody''s", "X"));
});

test.each(["0001-01-01T00:00:00Z", "1970-01-31T23:59:59-12:00", "9999-12-31T23:59:59Z"])(
  "an anchor at %s is as good as any",
  async (billing_anchor) => {
    const tenant = await tenantWithPlans();

    const { status, body } = await tenant.change("ada", { billing_anchor });

    expect(status).toBe(200);
    expect(Date.parse(body.billing_anchor)).toBe(Date.parse(billing_anchor));
    expect((await tenant.consume("ada", 1)).status).toBe(200);
    expect((await tenant.balance("ada")).body.quota_left).toBe(999);
  },
);
