import { describe, expect, test } from "vitest";
import { useDatabase } from "../support/database.ts";
import { Project, type User } from "../support/project.ts";

const { sql } = useDatabase();
const at = "2026-05-06T09:30:00Z";

/** 100 of quota a month, then 30 that expire first, then 70 that never do. */
async function userWithSources(): Promise<User> {
  const project = await Project.create(sql);
  await project.plan({ quota: 100 });
  const user = await project.user("ada", { billingAnchor: "2026-05-01T00:00:00Z" });
  await user.grant(70, { at: "2026-05-02T00:00:00Z" });
  await user.grant(30, { at: "2026-05-02T00:00:00Z", expiresAt: "2026-05-07T00:00:00Z" });
  return user;
}

describe("a hold", () => {
  test("takes from the same sources in the same order as a consumption", async () => {
    const [holder, consumer] = [await userWithSources(), await userWithSources()];

    const held = await holder.hold(150, { at });
    const consumed = await consumer.consume(150, { at });

    const anonymous = (sources: object[]) => sources.map((source) => ({ ...source, grant_id: "" }));
    expect(anonymous(held.sources)).toEqual(anonymous(consumed.sources));
    expect([held.quota_left, held.grants_left]).toEqual([
      consumed.quota_left,
      consumed.grants_left,
    ]);
  });

  test("is answered by its id, its end and what is left beside it", async () => {
    const user = await userWithSources();

    expect(await user.hold(150, { at, ttl: 90, requestId: "r-1" })).toEqual({
      success: true,
      hold_id: expect.stringMatching(/^hold_[0-9a-f]{32}_3$/),
      state: "open",
      tokens_held: 150,
      tag: null,
      expires_at: new Date("2026-05-06T09:31:30Z"),
      message: "Holding 150 tokens",
      reason: null,
      hint: null,
      shortfall: 0,
      retry_at: null,
      user_id: "ada",
      quota_left: 0,
      grants_left: 50,
      sources: [
        { type: "quota", tokens: 100, left: 0 },
        { type: "grant", grant_id: expect.any(String), tokens: 30, left: 0 },
        { type: "grant", grant_id: expect.any(String), tokens: 20, left: 50 },
      ],
      nearest_limit: null,
      transfer_number: 3,
      request_id: "r-1",
      replayed: false,
      created_at: new Date(at),
    });
  });

  test("leaves what it holds to nobody else", async () => {
    const user = await userWithSources();
    await user.hold(150, { at });

    expect(await user.consume(51, { at })).toMatchObject({
      success: false,
      reason: "insufficient_tokens",
      shortfall: 1,
    });
    expect(await user.hold(51, { at })).toMatchObject({ success: false, shortfall: 1 });
    expect(await user.consume(50, { at })).toMatchObject({ success: true, grants_left: 0 });
  });

  test("shows in the balance: settled, held and available apart", async () => {
    const user = await userWithSources();
    await user.consume(20, { at });
    await user.hold(150, { at });

    expect(await user.balance(at)).toMatchObject({
      tokens_left: 30,
      tokens_held: 150,
      tokens_settled: 180,
      quota_used: 20,
      quota_held: 80,
      quota_left: 0,
      grants_left: 30,
    });
  });

  test("is an open hold for those who can see the user", async () => {
    const user = await userWithSources();
    const { hold_id } = await user.hold(150, { tag: "GPT-4" });

    expect(
      await sql`select user_id, hold_id, token_amount, tag from open_holds
        where project_id = ${user.project.id}`,
    ).toEqual([{ user_id: "ada", hold_id, token_amount: 150, tag: "GPT-4" }]);
  });

  test("lasts ten minutes unless told otherwise", async () => {
    const user = await userWithSources();

    const [hold] = await sql`select * from hold_tokens(${user.project.id}, 'ada', 5)`;

    expect(hold!["expires_at"].getTime() - hold!["created_at"].getTime()).toBe(600_000);
  });

  test.each([0, -1, 86_401])("for %i seconds is refused", async (ttl) => {
    const user = await userWithSources();

    await expect(user.hold(5, { ttl })).rejects.toMatchObject({
      code: "TG001",
      message: "ttl_seconds must be a whole number from 1 to 86400",
    });
  });

  test("counts in the restrictions of its windows until it ends", async () => {
    const project = await Project.create(sql);
    await project.plan({
      quota: 1000,
      restrictions: [{ maxTokens: 100, duration: "1 day" }, {
        tag: "GPT-4",
        maxTokens: 60,
        duration: "1 hour",
      }],
    });
    const user = await project.user("ada", { billingAnchor: "2026-05-01T00:00:00Z" });
    await user.consume(10, { at });

    const hold = await user.hold(50, { at, tag: "GPT-4", ttl: 86_400 });

    expect(hold.nearest_limit).toMatchObject({ tag: "GPT-4", used: 0, held: 50, left: 10 });
    expect((await user.balance(at)).restrictions).toMatchObject([
      { tag: null, used: 10, held: 50, left: 40 },
      { tag: "GPT-4", used: 0, held: 50, left: 10 },
    ]);
    expect(await user.consume(41, { at })).toMatchObject({ reason: "restriction_exceeded" });
    // The hour in which it was made is over, the day is not.
    const later = "2026-05-06T10:00:00Z";
    expect((await user.balance(later)).restrictions).toMatchObject([
      { tag: null, held: 50 },
      { tag: "GPT-4", held: 0, left: 60 },
    ]);
    await user.release(hold.hold_id, { at: later });
    expect((await user.balance(later)).restrictions).toMatchObject([{ held: 0 }, { held: 0 }]);
  });

  test("that a restriction denies sets nothing aside", async () => {
    const project = await Project.create(sql);
    await project.plan({ quota: 1000, restrictions: [{ maxTokens: 100, duration: "1 day" }] });
    const user = await project.user("ada");

    expect(await user.hold(101, { at })).toMatchObject({
      success: false,
      hold_id: null,
      state: null,
      reason: "restriction_exceeded",
      shortfall: 1,
      sources: [],
    });
    expect(await user.balance(at)).toMatchObject({ tokens_left: 1000, tokens_held: 0 });
    expect(await sql`select from token_transfers where user_id = ${user.id!}`).toEqual([]);
  });

  test("of a user's first call creates the user, a denied one does not", async () => {
    const project = await Project.create(sql);
    await project.plan({ quota: 100 });

    expect(await project.unknownUser("greedy").hold(101)).toMatchObject({ success: false });
    expect(await project.unknownUser("ada").hold(100)).toMatchObject({ success: true });

    expect(
      await sql`select external_id from tracked_users where project_id = ${project.id}`,
    ).toEqual([{ external_id: "ada" }]);
  });

  test("keeps its tag and its quota period, though nothing was consumed", async () => {
    const project = await Project.create(sql);
    await project.plan({ quota: 100 });
    const user = await project.user("ada", { billingAnchor: "2026-05-01T00:00:00Z" });
    await user.hold(60, { at, tag: "GPT-4", ttl: 86_400 });

    await expect(sql`delete from tags where project_id = ${project.id}`)
      .rejects.toMatchObject({ code: "TG007" });
    await user.change({ billingAnchor: "2026-05-04T00:00:00Z", at });
    expect(await user.balance(at)).toMatchObject({ quota_held: 60, quota_left: 40 });
  });
});

test("100 holds may be open at once; the next is told when there is room again", async () => {
  const project = await Project.create(sql);
  await project.plan({ quota: 1000 });
  const user = await project.user("ada");
  const first = await user.hold(1, { at, ttl: 100 });
  await sql`select tollgate.hold(${project.id}, 'ada', 1, null, 200, null, null, ${at})
    from generate_series(1, 99)`;

  expect(await user.hold(1, { at })).toMatchObject({
    success: false,
    reason: "too_many_holds",
    retry_at: first.expires_at,
  });
  expect(await user.hold(1, { at: "2026-05-06T09:31:40Z" })).toMatchObject({ success: true });
});
