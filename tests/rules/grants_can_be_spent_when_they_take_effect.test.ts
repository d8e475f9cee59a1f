import { describe, expect, test } from "vitest";
import { useDatabase } from "../support/database.ts";
import { type PlanOptions, Project } from "../support/project.ts";

const { sql } = useDatabase();

const GIVEN = "2031-05-01T00:00:00Z";
const BEFORE = "2031-05-10T08:59:59.999999Z";
const FROM = "2031-05-10T09:00:00Z";
const EXPIRY = "2031-05-20T00:00:00Z";

async function userOf(plan: PlanOptions) {
  const project = await Project.create(sql);
  await project.plan(plan);
  return project.user("ada", { billingAnchor: GIVEN });
}

/** A user with 10 tokens now, and 100 more from the 10th on. */
async function userWithFutureGrant() {
  const user = await userOf({ type: "pay_as_you_go" });
  await user.grant(10, { at: GIVEN });
  const { grant_id } = await user.grant(100, { at: GIVEN, effectiveAt: FROM, expiresAt: EXPIRY });
  return { user, grantId: grant_id };
}

describe("a grant that takes effect later", () => {
  test("cannot be spent before, and can from its very instant on", async () => {
    const { user, grantId } = await userWithFutureGrant();

    expect(await user.consume(11, { at: BEFORE })).toMatchObject({
      success: false,
      shortfall: 1,
      grants_left: 10,
      message: "Not enough tokens: 11 requested, 10 left",
    });
    expect(await user.consume(101, { at: FROM })).toMatchObject({
      success: true,
      grants_left: 9,
      sources: [
        { type: "grant", grant_id: grantId, tokens: 100, left: 0 },
        { type: "grant", tokens: 1, left: 9 },
      ],
    });
  });

  test("is not taken by up_to before", async () => {
    const { user } = await userWithFutureGrant();

    expect(await user.check(50, { at: BEFORE, mode: "up_to" })).toMatchObject({
      tokens_consumed: 10,
    });
    expect(await user.check(50, { at: FROM, mode: "up_to" })).toMatchObject({
      tokens_consumed: 50,
    });
  });

  test("is not set aside by a hold before", async () => {
    const { user } = await userWithFutureGrant();

    expect(await user.hold(11, { at: BEFORE })).toMatchObject({ success: false });
    expect(await user.hold(11, { at: FROM })).toMatchObject({ success: true, grants_left: 99 });
  });

  test("is not spent by a batch before", async () => {
    const { user } = await userWithFutureGrant();
    const items = [{ user_id: "ada", tokens_to_consume: 11 }];

    expect(await user.project.consumeBatch(items, { at: BEFORE })).toMatchObject([
      { success: false, grants_left: 10 },
    ]);
    expect(await user.project.consumeBatch(items, { at: FROM })).toMatchObject([
      { success: true, grants_left: 99 },
    ]);
  });

  test("pays no excess of a settlement before", async () => {
    const { user } = await userWithFutureGrant();
    const { hold_id } = await user.hold(5, { at: "2031-05-10T08:55:00Z" });

    const settle = (at: string) => user.settle(hold_id, 20, { at, allowExcess: true });
    expect(await settle(BEFORE)).toMatchObject({
      success: false,
      retry_at: new Date(FROM),
    });
    expect(await settle(FROM)).toMatchObject({ success: true, excess_consumed: 15 });
  });

  test("is in the balance, but counts in no sum before", async () => {
    const { user, grantId } = await userWithFutureGrant();
    const future = expect.objectContaining({
      grant_id: grantId,
      tokens_left: 100,
      effective_at: "2031-05-10T09:00:00+00:00",
    });

    expect(await user.balance(BEFORE)).toMatchObject({
      grants_left: 10,
      tokens_left: 10,
      grants: [future, { tokens_left: 10 }],
    });
    expect(await user.balance(FROM)).toMatchObject({
      grants_left: 110,
      tokens_left: 110,
      grants: [future, { tokens_left: 10 }],
    });
  });

  test("counts in the snapshots of transfers from its instant on", async () => {
    const { user } = await userWithFutureGrant();
    await user.consume(1, { at: BEFORE });
    await user.consume(1, { at: FROM });

    expect(
      await sql`select amount, grants_left from token_transfers
        where user_id = ${user.id!} order by transfer_number`,
    ).toEqual([
      { amount: 10, grants_left: 10 },
      { amount: 100, grants_left: 10 },
      { amount: -1, grants_left: 9 },
      { amount: -1, grants_left: 108 },
    ]);
  });

  test("expires as any other", async () => {
    const { user } = await userWithFutureGrant();

    expect(await user.consume(11, { at: EXPIRY })).toMatchObject({
      success: false,
      grants_left: 10,
    });
  });

  test("answers as from when it can be spent; one without, from now on", async () => {
    const user = await userOf({ type: "pay_as_you_go" });

    expect(await user.grant(1, { at: GIVEN, effectiveAt: FROM })).toMatchObject({
      effective_at: new Date(FROM),
      grants_left: 0,
    });
    expect(await user.grant(1, { at: GIVEN })).toMatchObject({
      effective_at: new Date(GIVEN),
      grants_left: 1,
    });
  });

  test("may be given when it has taken effect already", async () => {
    const user = await userOf({ type: "pay_as_you_go" });

    expect(await user.grant(5, { at: FROM, effectiveAt: GIVEN })).toMatchObject({
      effective_at: new Date(GIVEN),
      grants_left: 5,
    });
    expect(await user.consume(5, { at: FROM })).toMatchObject({ success: true });
  });

  test("inserted by hand is not there yet either", async () => {
    const user = await userOf({ type: "pay_as_you_go" });
    await sql`insert into user_token_grants (user_id, token_amount, grant_type, effective_at)
      values (${user.id!}, 100, 'bonus', ${FROM})`;

    expect(await user.balance()).toMatchObject({ grants_left: 0, grants: [{ tokens_left: 100 }] });
    expect(await user.consume(100, { at: FROM })).toMatchObject({ success: true });
  });
});

describe("a denial for lack of tokens", () => {
  test("can be tried again when a grant takes effect that is enough", async () => {
    const { user } = await userWithFutureGrant();

    expect(await user.consume(110, { at: GIVEN })).toMatchObject({
      reason: "insufficient_tokens",
      retry_at: new Date(FROM),
      hint: "Grant what is lacking (100), or call again at retry_at.",
    });
    expect(await user.consume(110, { at: FROM })).toMatchObject({ success: true });
  });

  test("has no such instant where even then there is too little", async () => {
    const { user } = await userWithFutureGrant();

    expect(await user.consume(111, { at: GIVEN })).toMatchObject({
      retry_at: null,
      hint: "Grant what is lacking (101).",
    });
  });

  test("waits for the second of two grants where it takes both", async () => {
    const { user } = await userWithFutureGrant();
    await user.grant(50, { at: GIVEN, effectiveAt: "2031-05-15T00:00:00Z" });

    expect(await user.check(160, { at: GIVEN })).toMatchObject({
      retry_at: new Date("2031-05-15T00:00:00Z"),
    });
    expect(await user.check(110, { at: GIVEN })).toMatchObject({ retry_at: new Date(FROM) });
  });

  test("does not count a grant that has expired when the other takes effect", async () => {
    const { user } = await userWithFutureGrant();
    await user.grant(50, { at: GIVEN, effectiveAt: EXPIRY });

    expect(await user.check(111, { at: GIVEN })).toMatchObject({ retry_at: null });
    expect(await user.check(60, { at: GIVEN })).toMatchObject({ retry_at: new Date(FROM) });
  });

  test("waits for the grant or the next quota period, whichever is enough first", async () => {
    const user = await userOf({ quota: 100 });
    await user.consume(100, { at: GIVEN });
    await user.grant(30, { at: GIVEN, effectiveAt: FROM });
    const nextPeriod = new Date("2031-06-01T00:00:00Z");

    expect(await user.check(30, { at: GIVEN })).toMatchObject({ retry_at: new Date(FROM) });
    expect(await user.check(31, { at: GIVEN })).toMatchObject({ retry_at: nextPeriod });
    expect(await user.check(130, { at: GIVEN })).toMatchObject({ retry_at: nextPeriod });
    expect(await user.check(131, { at: GIVEN })).toMatchObject({ retry_at: null });
  });

  test("waits for the grant too where it is payment that keeps the quota closed", async () => {
    const user = await userOf({ quota: 100 });
    await user.change({ paymentStatus: "paused", at: GIVEN });
    await user.grant(30, { at: GIVEN, effectiveAt: FROM });

    expect(await user.consume(30, { at: GIVEN })).toMatchObject({
      reason: "payment_inactive",
      retry_at: new Date(FROM),
      hint:
        "Set payment_status to active once the user has paid, or grant what is lacking (30), or call again at retry_at.",
    });
    expect(await user.consume(31, { at: GIVEN })).toMatchObject({
      reason: "payment_inactive",
      retry_at: null,
      hint: "Set payment_status to active once the user has paid, or grant what is lacking (31).",
    });
    expect(await user.consume(30, { at: FROM })).toMatchObject({ success: true });
  });

  test("counts what holds will have given back by then", async () => {
    const user = await userOf({ type: "pay_as_you_go" });
    await user.grant(10, { at: GIVEN });
    await user.grant(100, { at: GIVEN, effectiveAt: FROM });
    await user.hold(10, { at: GIVEN, ttl: 600 });

    expect(await user.check(10, { at: GIVEN })).toMatchObject({
      retry_at: new Date("2031-05-01T00:10:00Z"),
    });
    expect(await user.check(110, { at: GIVEN })).toMatchObject({ retry_at: new Date(FROM) });
  });
});
