import { describe, expect, test } from "vitest";
import { useDatabase } from "../support/database.ts";
import { Project, type User } from "../support/project.ts";

const { sql } = useDatabase();
const at = "2026-05-06T09:30:00Z";

/** A consumption of 190: all of a quota of 100, then 40, 30 and 20 of three grants. */
async function userWhoSpent190(): Promise<{ user: User; grants: string[] }> {
  const project = await Project.create(sql);
  await project.plan({ quota: 100 });
  const user = await project.user("ada", { billingAnchor: "2026-05-01T00:00:00Z" });
  const grants: string[] = [];
  for (const [tokens, day] of [[40, "10"], [30, "11"], [50, "12"]] as const) {
    const { grant_id } = await user.grant(tokens, { at, expiresAt: `2026-05-${day}T00:00:00Z` });
    grants.push(grant_id);
  }
  await user.consume(190, { at, requestId: "c-1" });
  return { user, grants };
}

async function usedOf(user: User): Promise<number[]> {
  const [quota] = await sql<{ tokens_used: number }[]>`
    select tokens_used from user_quota_usage where user_id = ${user.id!}`;
  const grants = await sql<{ tokens_used: number }[]>`
    select tokens_used from user_token_grants where user_id = ${user.id!} order by expires_at`;
  return [quota!.tokens_used, ...grants.map(({ tokens_used }) => tokens_used)];
}

describe("a refund", () => {
  test("of the whole gives each source what it paid", async () => {
    const { user, grants } = await userWhoSpent190();

    expect(await user.refund("c-1", { at, requestId: "r-1", metadata: { why: "failed" } })).toEqual(
      {
        transfer_number: 5,
        refunded_transfer_number: 4,
        tokens_refunded: 190,
        base_quota_restored: 100,
        grants_restored: 90,
        tokens_lapsed: 0,
        tokens_regranted: 0,
        grant_id: null,
        refundable_left: 0,
        message: "Refunded 190 tokens of transfer 4",
        user_id: "ada",
        quota_left: 100,
        grants_left: 120,
        tokens_held: 0,
        sources: [
          { type: "quota", tokens: 100, left: 100 },
          { type: "grant", grant_id: grants[2], tokens: 20, left: 50 },
          { type: "grant", grant_id: grants[1], tokens: 30, left: 30 },
          { type: "grant", grant_id: grants[0], tokens: 40, left: 40 },
        ],
        request_id: "r-1",
        replayed: false,
        created_at: new Date(at),
      },
    );
    expect(await usedOf(user)).toEqual([0, 0, 0, 0]);
    expect(
      await sql`select amount, transaction_type, refers_to, metadata from token_transfers
        where user_id = ${user.id!} and transfer_number = 5`,
    ).toEqual([{
      amount: 190,
      transaction_type: "refund",
      refers_to: 4,
      metadata: { why: "failed" },
    }]);
  });

  test("of parts goes back to the last source first, until nothing is left", async () => {
    const { user } = await userWhoSpent190();

    expect(await user.refund(4, { at, tokens: 35 })).toMatchObject({ refundable_left: 155 });
    expect(await usedOf(user)).toEqual([100, 40, 15, 0]);
    expect(await user.refund(4, { at, tokens: 60 })).toMatchObject({ refundable_left: 95 });
    expect(await usedOf(user)).toEqual([95, 0, 0, 0]);
    await expect(user.refund(4, { at, tokens: 96 })).rejects.toMatchObject({
      code: "TG015",
      message: "Of transfer 4 only 95 tokens are left to refund",
    });
    expect(await user.refund(4, { at })).toMatchObject({ tokens_refunded: 95, refundable_left: 0 });
    expect(await usedOf(user)).toEqual([0, 0, 0, 0]);
    await expect(user.refund(4, { at })).rejects.toMatchObject({ code: "TG015" });
  });

  test("makes the tokens spendable again, also of a grant that was spent", async () => {
    const { user } = await userWhoSpent190();
    await user.refund(4, { at });

    expect(await user.consume(220, { at })).toMatchObject({ success: true, grants_left: 0 });
  });

  test("gives the restrictions of the window their room back", async () => {
    const project = await Project.create(sql);
    await project.plan({
      quota: 1000,
      restrictions: [
        { maxTokens: 100, duration: "1 hour" },
        { tag: "GPT-4", maxTokens: 90, duration: "1 day" },
      ],
    });
    const user = await project.user("ada", { billingAnchor: "2026-05-01T00:00:00Z" });
    await user.consume(80, { at, tag: "GPT-4" });

    await user.refund(1, { at: "2026-05-06T10:10:00Z", tokens: 50 });

    expect((await user.balance("2026-05-06T10:10:00Z")).restrictions).toMatchObject([
      { duration: "1 hour", used: 0 },
      { duration: "1 day", used: 30 },
    ]);
    await user.refund(1, { at: "2026-05-07T10:00:00Z" });
    expect((await user.balance("2026-05-07T10:00:00Z")).restrictions).toMatchObject([
      { used: 0 },
      { used: 0 },
    ]);
  });

  test("does not bring a lapsed source back", async () => {
    const { user } = await userWhoSpent190();
    const later = "2026-06-01T00:00:00Z"; // All grants have expired, and the quota period is over.

    expect(await user.refund(4, { at: later })).toMatchObject({
      tokens_refunded: 190,
      base_quota_restored: 100,
      grants_restored: 90,
      tokens_lapsed: 190,
      quota_left: 100,
      grants_left: 0,
    });
    expect(await usedOf(user)).toEqual([0, 0, 0, 0]);
    expect(await user.balance(later)).toMatchObject({ quota_used: 0, tokens_left: 100 });
  });

  test("may make a new grant of what has lapsed", async () => {
    const { user } = await userWhoSpent190();
    const later = "2026-05-11T00:00:00Z"; // Two of the grants have expired.

    const refund = await user.refund(4, {
      at: later,
      regrantLapsed: true,
      grantExpiresAt: "2027-01-01T00:00:00Z",
      requestId: "r-1",
    });

    expect(refund).toMatchObject({
      tokens_refunded: 190,
      base_quota_restored: 100,
      grants_restored: 20,
      tokens_lapsed: 0,
      tokens_regranted: 70,
      grant_id: expect.any(String),
      quota_left: 100,
      grants_left: 120,
    });
    expect(await usedOf(user)).toEqual([0, 40, 30, 0, 0]);
    expect(
      await sql`select token_amount, grant_type, refund_of, expires_at from user_token_grants
        where user_id = ${user.id!} and id = ${refund.grant_id}`,
    ).toEqual([{
      token_amount: 70,
      grant_type: "refund",
      refund_of: refund.transfer_number,
      expires_at: new Date("2027-01-01T00:00:00Z"),
    }]);
    expect(
      await user.refund(4, {
        regrantLapsed: true,
        grantExpiresAt: "2027-01-01T00:00:00Z",
        requestId: "r-1",
      }),
    ).toEqual({ ...refund, replayed: true });
    expect(await user.consume(220, { at: later })).toMatchObject({ success: true, grants_left: 0 });
  });

  test("of a settlement restores what the hold's sources paid, in the hold's windows", async () => {
    const project = await Project.create(sql);
    await project.plan({ quota: 100, restrictions: [{ maxTokens: 500, duration: "1 hour" }] });
    const user = await project.user("ada", { billingAnchor: "2026-05-01T00:00:00Z" });
    const { hold_id } = await user.hold(80, { at, ttl: 7200 });
    const { transfer_number } = await user.settle(hold_id, 60, { at });

    await user.refund(transfer_number!, { at, tokens: 25 });

    expect(await user.balance(at)).toMatchObject({
      quota_used: 35,
      restrictions: [{ used: 35, held: 0 }],
    });
  });

  test("leaves what holds set aside of the same source alone", async () => {
    const project = await Project.create(sql);
    await project.plan({ type: "pay_as_you_go" });
    const user = await project.user("ada");
    await user.grant(100, { at });
    await user.consume(60, { at });
    await user.hold(40, { at });

    expect(await user.refund(2, { at, tokens: 10 })).toMatchObject({
      grants_left: 10,
      tokens_held: 40,
      sources: [{ type: "grant", tokens: 10, left: 10 }],
    });
    expect(await user.consume(11, { at })).toMatchObject({ success: false });
  });

  test("is applied once for its request id", async () => {
    const { user } = await userWhoSpent190();
    const first = await user.refund("c-1", { at, tokens: 50, requestId: "r-1" });
    await user.refund("c-1", { at, tokens: 50, requestId: "r-2" });

    expect(await user.refund("c-1", { tokens: 50, requestId: "r-1" }))
      .toEqual({ ...first, replayed: true });
    await expect(user.refund("c-1", { tokens: 51, requestId: "r-1" }))
      .rejects.toMatchObject({ code: "TG006" });
    await expect(user.refund(4, { tokens: 50, requestId: "c-1" }))
      .rejects.toMatchObject({ code: "TG006" });
  });

  test.each([
    ["an unknown number", 99, "The user has no such transfer"],
    ["an unknown request id", "c-9", "The user has no such transfer"],
    ["a grant", 1, "Transfer 1 is a grant: only consumptions can be refunded"],
  ])("of %s is refused", async (_, original, message) => {
    const { user } = await userWhoSpent190();

    await expect(user.refund(original, { at })).rejects.toMatchObject({ code: "TG014", message });
  });

  test("of a refund, or of a hold, is refused", async () => {
    const { user } = await userWhoSpent190();
    const { transfer_number } = await user.refund(4, { at, tokens: 5 });
    const hold = await user.hold(5, { at });

    for (const number of [transfer_number, hold.transfer_number!]) {
      await expect(user.refund(number, { at })).rejects.toMatchObject({ code: "TG014" });
    }
  });

  test("by both number and request id, or by neither, is refused", async () => {
    const { user } = await userWhoSpent190();

    for (
      const args of ["p_transfer_number => 4, p_original_request_id => 'c-1'", "p_tokens => 1"]
    ) {
      await expect(
        sql.unsafe(`select refund_tokens('${user.project.id}', 'ada', ${args})`),
      ).rejects.toMatchObject({ code: "TG001" });
    }
  });

  test("of an unknown user is refused", async () => {
    const { user } = await userWhoSpent190();

    await expect(user.project.unknownUser("bob").refund(1)).rejects.toMatchObject({
      code: "TG004",
    });
  });
});
