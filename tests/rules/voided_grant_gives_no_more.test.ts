import { describe, expect, test } from "vitest";
import { contents } from "../support/contents.ts";
import { useDatabase } from "../support/database.ts";
import { type PlanOptions, Project } from "../support/project.ts";

const { sql } = useDatabase();
const GIVEN = "2031-05-01T00:00:00Z";
const at = "2031-05-05T00:00:00Z";
const later = "2031-05-05T00:05:00Z";

const ended = (message: string) => ({
  code: "TG017",
  message,
  hint: "Nothing is left of it to be voided.",
});
const unknown = {
  code: "TG016",
  message: "The user has no such grant",
  hint: "Use the grant_id that the answer to the grant gave.",
};

/** A user with a grant of 100 that is spent first, and another of 50. */
async function userWithGrants(plan: PlanOptions = { type: "pay_as_you_go" }) {
  const project = await Project.create(sql);
  await project.plan(plan);
  const user = await project.user("ada", { billingAnchor: GIVEN });
  const { grant_id } = await user.grant(100, {
    at: GIVEN,
    expiresAt: "2031-06-01T00:00:00Z",
    tags: ["GPT-4"],
  });
  const other = await user.grant(50, { at: GIVEN });
  return { project, user, grantId: grant_id, otherId: other.grant_id };
}

describe("voiding a grant", () => {
  test("takes its rest, and leaves what was spent and all other grants", async () => {
    const { user, grantId, otherId } = await userWithGrants();
    await user.consume(30, { at, tag: "GPT-4" });

    expect(await user.voidGrant(grantId, { at: later })).toEqual({
      grant_id: grantId,
      user_id: "ada",
      tokens_voided: 70,
      tokens_held: 0,
      message: "Voided 70 tokens",
      quota_left: 0,
      grants_left: 50,
      transfer_number: 4,
      request_id: null,
      replayed: false,
      created_at: new Date(later),
    });
    expect(await user.balance(later)).toMatchObject({
      grants_left: 50,
      grants: [{ grant_id: otherId, tokens_left: 50 }],
    });
    expect(
      await sql`select token_amount, tokens_used, is_spent, voided_at from user_token_grants
        where id = ${grantId}`,
    ).toEqual([{
      token_amount: 100,
      tokens_used: 30,
      is_spent: false,
      voided_at: new Date(later),
    }]);
  });

  test("books a transfer of what it takes", async () => {
    const { user, grantId } = await userWithGrants({ quota: 10 });
    await user.consume(30, { at, tag: "GPT-4" });

    await user.voidGrant(grantId, { at, requestId: "v-1" });

    const [transfer] = await sql`select * from token_transfers
      where user_id = ${user.id!} and transfer_number = 4`;
    expect(transfer).toMatchObject({
      amount: -80,
      transaction_type: "void",
      user_token_grants_id: grantId,
      base_quota_used: 0,
      grants_used: 0,
      quota_left: 0,
      grants_left: 50,
      tokens_held: 0,
      tag_id: null,
      refers_to: null,
      request_id: "v-1",
      created_at: new Date(at),
    });
  });

  test("is no usage: restrictions count it not, nor do the sums of usage", async () => {
    const { user, grantId } = await userWithGrants({
      quota: 10,
      restrictions: [{ maxTokens: 40, duration: "1 day" }],
    });
    await user.consume(30, { at, tag: "GPT-4" });

    await user.voidGrant(grantId, { at });

    expect(await user.balance(at)).toMatchObject({ restrictions: [{ used: 30, left: 10 }] });
    expect(
      await sql`select sum(tokens_used)::integer as used, sum(calls)::integer as calls
        from user_usage_buckets where user_id = ${user.id!}`,
    ).toEqual([{ used: 30, calls: 1 }]);
  });

  test("counts for calls of the same instant", async () => {
    const { user, grantId } = await userWithGrants();
    await user.voidGrant(grantId, { at });

    expect(await user.consume(51, { at, tag: "GPT-4" })).toMatchObject({
      success: false,
      message: "Not enough tokens: 51 requested, 50 left",
      shortfall: 1,
      retry_at: null,
    });
    expect(await user.consume(50, { at, tag: "GPT-4" })).toMatchObject({ success: true });
  });

  test("that has not taken effect keeps it from ever doing so", async () => {
    const { user } = await userWithGrants();
    const future = await user.grant(1000, { at: GIVEN, effectiveAt: "2031-05-20T00:00:00Z" });

    expect(await user.voidGrant(future.grant_id, { at })).toMatchObject({
      tokens_voided: 1000,
      grants_left: 150,
    });
    expect(await user.check(200, { at, tag: "GPT-4" })).toMatchObject({ retry_at: null });
    expect(await user.balance("2031-05-20T00:00:00Z")).toMatchObject({ grants_left: 150 });
  });

  test("keeps its expiry from bringing it back", async () => {
    const { user, grantId } = await userWithGrants();
    await user.voidGrant(grantId, { at });
    await sql`update user_token_grants set expires_at = null where id = ${grantId}`;

    expect(await user.balance(later)).toMatchObject({ grants_left: 50 });
  });
});

describe("tokens of a voided grant that a hold has set aside", () => {
  test("are not taken with the rest, and can still be settled", async () => {
    const { user, grantId } = await userWithGrants();
    const { hold_id } = await user.hold(60, { at, tag: "GPT-4" });

    expect(await user.voidGrant(grantId, { at })).toMatchObject({
      tokens_voided: 40,
      tokens_held: 60,
      grants_left: 50,
    });
    expect(await user.balance(at)).toMatchObject({ tokens_held: 60, grants_left: 50 });
    expect(await user.settle(hold_id, 45, { at: later })).toMatchObject({
      tokens_consumed: 45,
      tokens_returned: 15,
      grants_used: 45,
      grants_left: 50,
      sources: [{ grant_id: grantId, tokens: 45, left: 0 }],
    });
  });

  test("do not come back from a settlement of less", async () => {
    const { user, grantId } = await userWithGrants();
    const { hold_id } = await user.hold(60, { at, tag: "GPT-4" });
    await user.voidGrant(grantId, { at });
    await user.settle(hold_id, 0, { at: later });

    expect(await user.balance(later)).toMatchObject({ tokens_held: 0, tokens_left: 50 });
    expect(await user.consume(51, { at: later, tag: "GPT-4" })).toMatchObject({ success: false });
  });

  test("do not come back from a release", async () => {
    const { user, grantId } = await userWithGrants();
    const { hold_id } = await user.hold(60, { at, tag: "GPT-4" });
    await user.voidGrant(grantId, { at });

    expect(await user.release(hold_id, { at: later })).toMatchObject({ grants_left: 50 });
    expect(await user.balance(later)).toMatchObject({ tokens_left: 50 });
  });

  test("do not come back when the hold expires, and no denial says so", async () => {
    const { user, grantId } = await userWithGrants();
    await user.hold(60, { at, tag: "GPT-4", ttl: 600 });
    expect(await user.check(110, { at, tag: "GPT-4" })).toMatchObject({
      retry_at: new Date("2031-05-05T00:10:00Z"),
    });
    await user.voidGrant(grantId, { at });

    expect(await user.check(110, { at, tag: "GPT-4" })).toMatchObject({ retry_at: null });
    expect(await user.balance("2031-05-05T00:10:00Z")).toMatchObject({ tokens_left: 50 });
  });

  test("may be all that is left: then nothing is taken", async () => {
    const { user, grantId } = await userWithGrants();
    await user.hold(100, { at, tag: "GPT-4" });

    expect(await user.voidGrant(grantId, { at })).toMatchObject({
      tokens_voided: 0,
      tokens_held: 100,
      grants_left: 50,
    });
  });
});

describe("a refund of what a voided grant has paid", () => {
  test("lapses", async () => {
    const { user, grantId } = await userWithGrants();
    await user.consume(120, { at, tag: "GPT-4", requestId: "c" });
    await user.refund("c", { at, tokens: 60 });
    await user.voidGrant(grantId, { at });

    expect(await user.refund("c", { at: later })).toMatchObject({
      tokens_refunded: 60,
      grants_restored: 60,
      tokens_lapsed: 60,
      tokens_regranted: 0,
      grants_left: 50,
      sources: [{ grant_id: grantId, tokens: 60, left: 0 }],
    });
    expect(await user.balance(later)).toMatchObject({ tokens_left: 50 });
  });

  test("may make a new grant", async () => {
    const { user, grantId } = await userWithGrants();
    await user.consume(60, { at, tag: "GPT-4", requestId: "c" });
    await user.voidGrant(grantId, { at });

    expect(await user.refund("c", { at: later, regrantLapsed: true })).toMatchObject({
      tokens_refunded: 60,
      grants_restored: 0,
      tokens_lapsed: 0,
      tokens_regranted: 60,
      grants_left: 110,
    });
    expect(await user.consume(110, { at: later })).toMatchObject({ success: true });
  });

  test("of a settlement after the void lapses too", async () => {
    const { user, grantId } = await userWithGrants();
    const { hold_id } = await user.hold(60, { at, tag: "GPT-4" });
    await user.voidGrant(grantId, { at });
    const { transfer_number } = await user.settle(hold_id, 60, { at });

    expect(await user.refund(transfer_number!, { at })).toMatchObject({
      tokens_lapsed: 60,
      grants_left: 50,
    });
  });
});

describe("a grant cannot be voided", () => {
  test("twice", async () => {
    const { user, grantId } = await userWithGrants();
    await user.voidGrant(grantId, { at });

    await expect(user.voidGrant(grantId, { at })).rejects
      .toMatchObject(ended("The grant has been voided"));
  });

  test("twice, even when a refund has gone back to it since", async () => {
    const { user, grantId } = await userWithGrants();
    await user.consume(60, { at, tag: "GPT-4", requestId: "c" });
    await user.voidGrant(grantId, { at });
    await user.refund("c", { at });

    await expect(user.voidGrant(grantId, { at: later })).rejects
      .toMatchObject(ended("The grant has been voided"));
  });

  test("when it has been spent", async () => {
    const { user, grantId } = await userWithGrants();
    await user.consume(100, { at, tag: "GPT-4" });

    await expect(user.voidGrant(grantId, { at })).rejects
      .toMatchObject(ended("The grant has been spent"));
  });

  test("when it has expired, from that instant on", async () => {
    const { user, grantId } = await userWithGrants();

    await expect(user.voidGrant(grantId, { at: "2031-06-01T00:00:00Z" })).rejects.toMatchObject(
      ended("The grant expired at 2031-06-01 00:00:00+00"),
    );
    expect(await user.voidGrant(grantId, { at: "2031-05-31T23:59:59.999999Z" })).toMatchObject({
      tokens_voided: 100,
    });
  });

  test("when nobody has given it, or to another", async () => {
    const { project, user } = await userWithGrants();
    const grace = await project.user("grace");
    const { grant_id } = await grace.grant(5, { at });
    const foreign = await userWithGrants();

    for (const id of [grant_id, foreign.grantId, project.id]) {
      await expect(user.voidGrant(id, { at })).rejects.toMatchObject(unknown);
    }
    await expect(foreign.user.voidGrant(grant_id, { at })).rejects.toMatchObject(unknown);
    expect(await grace.balance(at)).toMatchObject({ grants_left: 5 });
  });

  test("of an unknown user", async () => {
    const { project, grantId } = await userWithGrants();

    await expect(project.unknownUser("bob").voidGrant(grantId)).rejects.toMatchObject({
      code: "TG004",
    });
  });
});

describe("a void that is repeated", () => {
  test("with its request id answers the first receipt, and writes nothing", async () => {
    const { user, grantId } = await userWithGrants();
    await user.hold(10, { at, tag: "GPT-4" });
    const first = await user.voidGrant(grantId, { at, requestId: "v-1" });
    await user.consume(20, { at });
    const before = await contents(sql);

    expect(first).toMatchObject({ tokens_voided: 90, tokens_held: 10 });
    expect(await user.voidGrant(grantId, { at: later, requestId: "v-1" }))
      .toEqual({ ...first, replayed: true });
    expect(await contents(sql)).toEqual(before);
  });

  test("for another grant is refused", async () => {
    const { user, grantId, otherId } = await userWithGrants();
    await user.voidGrant(grantId, { at, requestId: "v-1" });

    await expect(user.voidGrant(otherId, { at, requestId: "v-1" })).rejects.toMatchObject({
      code: "TG006",
    });
    expect(await user.balance(at)).toMatchObject({ grants_left: 50 });
  });

  test("with other metadata is refused", async () => {
    const { project, grantId } = await userWithGrants();
    const voidGrant = (metadata: string) =>
      sql`select * from void_grant(${project.id}, 'ada', ${grantId}, ${metadata}::text::jsonb,
        'v-1')`;
    await voidGrant('{"ticket": 1}');

    await expect(voidGrant('{"ticket": 2}')).rejects.toMatchObject({ code: "TG006" });
    expect(await voidGrant('{"ticket": 1}')).toMatchObject([{ replayed: true }]);
    expect(
      await sql`select metadata from token_transfers where request_id = 'v-1'
        and user_token_grants_id = ${grantId}`,
    ).toEqual([{ metadata: { ticket: 1 } }]);
  });

  test("that was refused can be tried again with its request id", async () => {
    const { user, grantId, project } = await userWithGrants();
    await expect(user.voidGrant(project.id, { at, requestId: "v-1" })).rejects.toMatchObject(
      unknown,
    );

    expect(await user.voidGrant(grantId, { at, requestId: "v-1" })).toMatchObject({
      replayed: false,
    });
  });
});
