import { describe, expect, test } from "vitest";
import { useDatabase } from "../support/database.ts";
import { Project, type User } from "../support/project.ts";

const { sql } = useDatabase();
const at = "2026-05-06T09:30:00Z";
const expiry = "2026-05-06T09:40:00Z";

async function userWith(quota: number): Promise<User> {
  const project = await Project.create(sql);
  await project.plan({ quota });
  return project.user("ada", { billingAnchor: "2026-05-01T00:00:00Z" });
}

describe("settling", () => {
  test("charges the real amount and returns the rest", async () => {
    const user = await userWith(100);
    const { hold_id } = await user.hold(80, { at, tag: "GPT-4" });

    expect(await user.settle(hold_id, 30, { at, metadata: { chat: 7 }, requestId: "s-1" })).toEqual(
      {
        success: true,
        hold_id,
        tokens_consumed: 30,
        tokens_returned: 50,
        excess_consumed: 0,
        base_quota_used: 30,
        grants_used: 0,
        message: "Settled 30 of 80 tokens",
        reason: null,
        hint: null,
        shortfall: 0,
        retry_at: null,
        user_id: "ada",
        quota_left: 70,
        grants_left: 0,
        tokens_held: 0,
        sources: [{ type: "quota", tokens: 30, left: 70 }],
        nearest_limit: null,
        transfer_number: 2,
        excess_transfer_number: null,
        request_id: "s-1",
        replayed: false,
        created_at: new Date(at),
      },
    );
    expect(await user.balance(at)).toMatchObject({ quota_used: 30, quota_held: 0, quota_left: 70 });
    expect(
      await sql`select amount, transaction_type, tag.name as tag, refers_to, metadata
        from token_transfers t left join tags tag on tag.id = t.tag_id
        where user_id = ${user.id!} order by transfer_number`,
    ).toEqual([
      { amount: 0, transaction_type: "hold", tag: "GPT-4", refers_to: null, metadata: null },
      {
        amount: -30,
        transaction_type: "consumption",
        tag: "GPT-4",
        refers_to: 1,
        metadata: { chat: 7 },
      },
    ]);
  });

  test.each([0, 80])("may charge %i of 80", async (tokens) => {
    const user = await userWith(100);
    const { hold_id } = await user.hold(80, { at });

    expect(await user.settle(hold_id, tokens, { at })).toMatchObject({
      tokens_consumed: tokens,
      tokens_returned: 80 - tokens,
      quota_left: 100 - tokens,
    });
  });

  test("charges the sources in the order in which they were set aside", async () => {
    const project = await Project.create(sql);
    await project.plan({ quota: 100 });
    const user = await project.user("ada", { billingAnchor: "2026-05-01T00:00:00Z" });
    const last = await user.grant(70, { at });
    const first = await user.grant(30, { at, expiresAt: "2026-05-07T00:00:00Z" });
    const { hold_id } = await user.hold(190, { at });

    expect(await user.settle(hold_id, 140, { at })).toMatchObject({
      base_quota_used: 100,
      grants_used: 40,
      quota_left: 0,
      grants_left: 60,
      sources: [
        { type: "quota", tokens: 100, left: 0 },
        { type: "grant", grant_id: first.grant_id, tokens: 30, left: 0 },
        { type: "grant", grant_id: last.grant_id, tokens: 10, left: 60 },
      ],
    });
  });

  test("more than is held is refused and leaves the hold open", async () => {
    const user = await userWith(100);
    const { hold_id } = await user.hold(80, { at });

    await expect(user.settle(hold_id, 81, { at })).rejects.toMatchObject({
      code: "TG013",
      message: "The hold has 80 tokens, fewer than 81",
      hint: "Settle at most what is held, or allow the excess to be consumed.",
    });
    expect(await user.balance(at)).toMatchObject({ tokens_held: 80 });
  });

  test("more than is held is refused, too, where the caller leaves open whether it may be", async () => {
    const user = await userWith(100);
    const { hold_id } = await user.hold(80, { at });

    await expect(
      sql`select tollgate.settle_hold(${user.project.id}, ${hold_id}, 81, null, null, null, ${at})`,
    ).rejects.toMatchObject({ code: "TG013" });
  });

  test("with the excess allowed consumes it too, as a transfer of its own", async () => {
    const user = await userWith(100);
    const { hold_id } = await user.hold(80, { at });

    expect(await user.settle(hold_id, 95, { at, allowExcess: true, requestId: "s-1" }))
      .toMatchObject({
        success: true,
        tokens_consumed: 95,
        tokens_returned: 0,
        excess_consumed: 15,
        base_quota_used: 95,
        quota_left: 5,
        transfer_number: 2,
        excess_transfer_number: 3,
        sources: [{ type: "quota", tokens: 80 }, { type: "quota", tokens: 15, left: 5 }],
      });
    expect(
      await sql`select amount, refers_to, request_id from token_transfers
        where user_id = ${user.id!} and amount < 0 order by transfer_number`,
    ).toEqual([
      { amount: -80, refers_to: 1, request_id: "s-1" },
      { amount: -15, refers_to: 1, request_id: null },
    ]);
  });

  test("with an excess that is denied charges nothing and leaves the hold open", async () => {
    const user = await userWith(100);
    const { hold_id } = await user.hold(80, { at });

    expect(await user.settle(hold_id, 101, { at, allowExcess: true })).toMatchObject({
      success: false,
      hold_id,
      tokens_consumed: 0,
      reason: "insufficient_tokens",
      shortfall: 1,
      tokens_held: 80,
    });
    expect(await user.balance(at)).toMatchObject({ quota_used: 0, quota_held: 80, quota_left: 20 });
    expect(await user.settle(hold_id, 80, { at })).toMatchObject({ success: true });
  });

  test("counts in the windows in which the hold was made", async () => {
    const project = await Project.create(sql);
    await project.plan({
      quota: 1000,
      restrictions: [{ maxTokens: 100, duration: "1 hour" }, { maxTokens: 500, duration: "1 day" }],
    });
    const user = await project.user("ada", { billingAnchor: "2026-05-01T00:00:00Z" });
    const { hold_id } = await user.hold(90, { at: "2026-05-06T09:59:00Z", ttl: 3600 });

    await user.settle(hold_id, 80, { at: "2026-05-06T10:01:00Z" });

    expect((await user.balance("2026-05-06T10:01:00Z")).restrictions).toMatchObject([
      { duration: "1 hour", used: 0, left: 100 },
      { duration: "1 day", used: 80, left: 420 },
    ]);
  });

  test("the excess counts in the windows in which it is consumed", async () => {
    const project = await Project.create(sql);
    await project.plan({ quota: 1000, restrictions: [{ maxTokens: 100, duration: "1 hour" }] });
    const user = await project.user("ada", { billingAnchor: "2026-05-01T00:00:00Z" });
    const later = "2026-05-06T10:01:00Z";
    const { hold_id } = await user.hold(90, { at: "2026-05-06T09:59:00Z", ttl: 3600 });
    await user.consume(95, { at: later });

    expect(await user.settle(hold_id, 96, { at: later, allowExcess: true }))
      .toMatchObject({ success: false, reason: "restriction_exceeded", shortfall: 1 });
    await user.settle(hold_id, 95, { at: later, allowExcess: true });

    expect((await user.balance(later)).restrictions).toMatchObject([{ used: 100, left: 0 }]);
  });

  test("draws on a grant that has expired since; what returns to it lapses", async () => {
    const project = await Project.create(sql);
    await project.plan({ type: "pay_as_you_go" });
    const user = await project.user("ada");
    const { grant_id } = await user.grant(100, { at, expiresAt: "2026-05-06T09:35:00Z" });
    const { hold_id } = await user.hold(60, { at });

    expect(await user.settle(hold_id, 25, { at: "2026-05-06T09:36:00Z" })).toMatchObject({
      tokens_consumed: 25,
      tokens_returned: 35,
      grants_used: 25,
      grants_left: 0,
      sources: [{ type: "grant", grant_id, tokens: 25, left: 0 }],
    });
    expect(await sql`select tokens_used from user_token_grants where id = ${grant_id}`)
      .toEqual([{ tokens_used: 25 }]);
    expect(await user.balance("2026-05-06T09:36:00Z")).toMatchObject({ tokens_left: 0 });
  });

  test("draws on the quota period in which the hold was made", async () => {
    const project = await Project.create(sql);
    await project.plan({ quota: 100, period: "1 day" });
    const user = await project.user("ada", { billingAnchor: "2026-05-01T00:00:00Z" });
    const { hold_id } = await user.hold(60, { at: "2026-05-06T23:59:00Z" });

    await user.settle(hold_id, 50, { at: "2026-05-07T00:01:00Z" });

    expect(
      await sql`select period_start, tokens_used from user_quota_usage where user_id = ${user.id!}`,
    ).toEqual([{ period_start: new Date("2026-05-06T00:00:00Z"), tokens_used: 50 }]);
    expect(await user.balance("2026-05-07T00:01:00Z")).toMatchObject({ quota_left: 100 });
  });

  test("is paid as held, though the quota has been lowered or payment has lapsed since", async () => {
    const user = await userWith(100);
    const { hold_id } = await user.hold(80, { at });
    await sql`update plan_quotas set token_amount = 10 where plan_id =
      (select default_plan_id from projects where id = ${user.project.id})`;
    await user.change({ paymentStatus: "past_due", at });

    expect(await user.settle(hold_id, 80, { at })).toMatchObject({ base_quota_used: 80 });
    expect(await user.balance(at)).toMatchObject({ quota_used: 80, quota_left: 0 });
  });
});

describe("releasing", () => {
  test("gives everything back", async () => {
    const user = await userWith(100);
    const { hold_id } = await user.hold(80, { at });

    expect(await user.release(hold_id, { at })).toMatchObject({
      success: true,
      state: "released",
      tokens_held: 80,
      message: "Released 80 tokens",
      quota_left: 100,
      transfer_number: 2,
    });
    expect(await user.balance(at)).toMatchObject({
      tokens_held: 0,
      quota_left: 100,
      quota_used: 0,
    });
  });
});

describe("extending", () => {
  test("lets the hold last until so many seconds from now", async () => {
    const user = await userWith(100);
    const { hold_id } = await user.hold(80, { at });

    expect(await user.extend(hold_id, 3600, { at: "2026-05-06T09:39:00Z" })).toMatchObject({
      state: "open",
      expires_at: new Date("2026-05-06T10:39:00Z"),
      quota_left: 20,
    });
    expect(await user.settle(hold_id, 80, { at: "2026-05-06T10:38:00Z" }))
      .toMatchObject({ success: true });
  });

  test("never shortens it", async () => {
    const user = await userWith(100);
    const { hold_id } = await user.hold(80, { at });

    expect(await user.extend(hold_id, 1, { at })).toMatchObject({ expires_at: new Date(expiry) });
  });

  test.each([0, 86_401])("by %i seconds is refused", async (ttl) => {
    const user = await userWith(100);
    const { hold_id } = await user.hold(80, { at });

    await expect(user.extend(hold_id, ttl, { at })).rejects.toMatchObject({ code: "TG001" });
  });
});

describe("expiry", () => {
  test("makes the tokens available to the very next call, with nothing run in between", async () => {
    const user = await userWith(100);
    await user.hold(80, { at });

    expect(await user.check(100, { at: "2026-05-06T09:39:59.999999Z" }))
      .toMatchObject({ success: false, retry_at: new Date(expiry) });
    expect(await user.balance(expiry)).toMatchObject({ tokens_held: 0, quota_left: 100 });
    expect(await user.consume(100, { at: expiry })).toMatchObject({ success: true });
  });

  test("is told to who settles too late, with what to do", async () => {
    const user = await userWith(100);
    const { hold_id } = await user.hold(80, { at });

    for (
      const call of [
        user.settle(hold_id, 1, { at: expiry }),
        user.extend(hold_id, 60, { at: expiry }),
      ]
    ) {
      await expect(call).rejects.toMatchObject({
        code: "TG012",
        message: "The hold expired at 2026-05-06 09:40:00+00, and its 80 tokens were given back",
        hint: expect.stringMatching(/^Consume what was used with a new call/),
      });
    }
  });
});

test.each(["settled", "released"])(
  "a hold that has been %s is not open any more",
  async (state) => {
    const user = await userWith(100);
    const { hold_id } = await user.hold(80, { at });
    await (state === "settled" ? user.settle(hold_id, 80, { at }) : user.release(hold_id, { at }));

    for (
      const call of [
        () => user.settle(hold_id, 1, { at }),
        () => user.release(hold_id, { at }),
        () => user.extend(hold_id, 60, { at }),
      ]
    ) {
      await expect(call()).rejects.toMatchObject({
        code: "TG012",
        message: `The hold has been ${state}`,
      });
    }
  },
);

test.each([
  "",
  "hold_1",
  "hold_00000000000000000000000000000000_1",
  "hold_00000000000000000000000000000000_99999999999999999999",
])("the hold %j is unknown", async (holdId) => {
  const user = await userWith(100);
  await user.hold(80, { at });

  await expect(user.settle(holdId, 1)).rejects.toMatchObject({ code: "TG011" });
});

test("another project's hold is unknown, and so is a transfer that is not a hold", async () => {
  const [user, stranger] = [await userWith(100), await userWith(100)];
  const { hold_id } = await user.hold(80, { at });
  await user.consume(1, { at });

  await expect(stranger.release(hold_id)).rejects.toMatchObject({ code: "TG011" });
  await expect(user.release(hold_id.replace(/_1$/, "_2"))).rejects.toMatchObject({ code: "TG011" });
});

test("every step is applied once for its request id", async () => {
  const user = await userWith(100);
  const held = await user.hold(80, { at, requestId: "h" });
  const extended = await user.extend(held.hold_id, 900, { at, requestId: "e" });
  const settled = await user.settle(held.hold_id, 90, { at, allowExcess: true, requestId: "s" });
  const other = await user.hold(5, { at, requestId: "h-2" });
  const released = await user.release(other.hold_id, { at, requestId: "r" });
  const again = (receipt: object) => ({ ...receipt, replayed: true });

  expect(await user.hold(80, { requestId: "h" })).toEqual(again(held));
  expect(await user.extend(held.hold_id, 900, { requestId: "e" })).toEqual(again(extended));
  expect(await user.settle(held.hold_id, 90, { allowExcess: true, requestId: "s" }))
    .toEqual(again(settled));
  expect(await user.release(other.hold_id, { requestId: "r" })).toEqual(again(released));

  for (
    const call of [
      () => user.hold(81, { requestId: "h" }),
      () => user.hold(80, { requestId: "h", ttl: 601 }),
      () => user.extend(held.hold_id, 901, { requestId: "e" }),
      () => user.settle(held.hold_id, 89, { allowExcess: true, requestId: "s" }),
      () => user.settle(held.hold_id, 90, { requestId: "s" }),
      () => user.release(held.hold_id, { requestId: "r" }),
      () => user.consume(80, { requestId: "h" }),
    ]
  ) await expect(call()).rejects.toMatchObject({ code: "TG006" });
});
