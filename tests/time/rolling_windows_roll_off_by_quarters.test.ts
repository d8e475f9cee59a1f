import { describe, expect, test } from "vitest";
import { useDatabase } from "../support/database.ts";
import { before } from "../support/instants.ts";
import { type Duration, Project, type Receipt, type User } from "../support/project.ts";

const { sql } = useDatabase();

/** A user with plenty of tokens, and 100 of them for any 5 hours. */
async function userOf5Hours(
  { duration = "5 hours", tag }: { duration?: Duration; tag?: string } = {},
) {
  const project = await Project.create(sql);
  await project.plan({
    type: "pay_as_you_go",
    restrictions: [{ maxTokens: 100, duration, window: "rolling", ...(tag && { tag }) }],
  });
  const user = await project.user("ada");
  await user.grant(100_000, { at: "2020-01-01T00:00Z" });
  return user;
}

/** The call was denied, and will be until retry_at. */
async function expectWait(user: User, denied: Receipt, until: string, tag?: string) {
  const call = { ...(tag && { tag }) };
  expect(denied).toMatchObject({ reason: "restriction_exceeded", retry_at: new Date(until) });
  const tokens = denied.tokens_requested;
  expect(await user.check(tokens, { ...call, at: before(until) })).toMatchObject({
    reason: "restriction_exceeded",
    retry_at: new Date(until),
  });
  expect(await user.check(tokens, { ...call, at: until })).toMatchObject({ success: true });
}

test.each([
  ["2026-05-06T09:00:00Z", "2026-05-06T14:15:00Z"],
  ["2026-05-06T09:07:30Z", "2026-05-06T14:15:00Z"],
  ["2026-05-06T09:14:59.999999Z", "2026-05-06T14:15:00Z"],
  ["2026-05-06T09:15:00Z", "2026-05-06T14:30:00Z"],
  ["2026-05-06T23:59:59Z", "2026-05-07T05:00:00Z"],
])(
  "what was used at %s has rolled off 5 hours later, at the end of a quarter: %s",
  async (at, until) => {
    const user = await userOf5Hours();
    await user.consume(100, { at });

    await expectWait(user, await user.check(1, { at }), until);
    await expectWait(user, await user.check(100, { at }), until);
  },
);

test("each use rolls off by itself, and a call waits for as much as it needs", async () => {
  const user = await userOf5Hours();
  await user.consume(40, { at: "2026-05-06T09:00Z" });
  await user.consume(30, { at: "2026-05-06T10:05Z" });
  await user.consume(10, { at: "2026-05-06T10:10Z" });
  await user.consume(15, { at: "2026-05-06T11:50Z" });
  const at = "2026-05-06T12:00Z";

  expect(await user.check(5, { at })).toMatchObject({ success: true });
  await expectWait(user, await user.check(6, { at }), "2026-05-06T14:15Z");
  await expectWait(user, await user.check(45, { at }), "2026-05-06T14:15Z");
  await expectWait(user, await user.check(46, { at }), "2026-05-06T15:15Z");
  await expectWait(user, await user.check(85, { at }), "2026-05-06T15:15Z");
  await expectWait(user, await user.check(86, { at }), "2026-05-06T17:00Z");
  await expectWait(user, await user.check(100, { at }), "2026-05-06T17:00Z");
  expect(await user.check(101, { at })).toMatchObject({
    retry_at: null,
    hint: "Ask for at most 100 tokens a call, or raise the restriction.",
  });
});

test("the message, the receipt and the balance say how it stands", async () => {
  const user = await userOf5Hours({ tag: "GPT-4" });
  const call = { tag: "GPT-4", at: "2026-05-06T10:05Z" };
  await user.consume(40, { tag: "GPT-4", at: "2026-05-06T09:00Z" });
  const limit = {
    tag: "GPT-4",
    tags: ["GPT-4"],
    max_tokens: 100,
    duration: "5 hours",
    window: "rolling",
    held: 0,
  };

  expect((await user.consume(30, call)).nearest_limit).toEqual({
    ...limit,
    used: 70,
    left: 30,
    resets_at: "2026-05-06T15:15:00+00:00",
  });
  expect(await user.check(31, call)).toMatchObject({
    message: "Limit reached: 31 tokens requested, 30 of 100 per 5 hours left for GPT-4",
    hint: "Call again at retry_at, or raise the restriction.",
    shortfall: 1,
  });
  const { restrictions } = await user.balance("2026-05-06T14:15Z");
  expect(restrictions).toEqual([
    { ...limit, used: 30, left: 70, resets_at: "2026-05-06T19:30:00+00:00" },
  ]);
  expect((await user.balance("2026-05-06T15:15Z")).restrictions).toMatchObject([{ used: 0 }]);
});

test.each<[Duration, string]>([
  ["1 hour", "2026-03-08T06:45Z"],
  ["24 hours", "2026-03-09T05:45Z"],
  ["1 day", "2026-03-09T05:45Z"],
  ["7 days", "2026-03-15T05:45Z"],
  ["1 week", "2026-03-15T05:45Z"],
  ["999 weeks", "2045-04-30T05:45Z"],
])("%s are elapsed time, also where clocks are changed", async (duration, until) => {
  const user = await userOf5Hours({ duration });
  await sql`update projects set time_zone = 'America/New_York' where id = ${user.project.id}`;
  const at = "2026-03-08T05:30Z"; // Half past midnight of a day of 23 hours.
  await user.consume(100, { at });

  await expectWait(user, await user.check(1, { at }), until);
});

test("a tag's rolling window counts that tag alone", async () => {
  const user = await userOf5Hours({ tag: "GPT-4" });
  await user.consume(500, { tag: "Claude", at: "2026-05-06T08:00Z" });
  await user.consume(60, { tag: "GPT-4", at: "2026-05-06T09:00Z" });
  await user.consume(500, { at: "2026-05-06T09:02Z" });
  const call = { tag: "GPT-4", at: "2026-05-06T10:00Z" };

  expect(await user.check(40, call)).toMatchObject({ success: true });
  await expectWait(user, await user.check(41, call), "2026-05-06T14:15Z", "GPT-4");
});

test("calls of other tags in between leave a tag's count as exact as it was", async () => {
  const user = await userOf5Hours({ tag: "GPT-4" });
  await user.consume(10, { tag: "GPT-4", at: "2026-05-06T09:00Z" });
  await user.consume(20, { tag: "GPT-4", at: "2026-05-06T11:00Z" });
  for (const hour of [12, 13, 14, 15]) {
    await user.consume(500, { tag: "Claude", at: `2026-05-06T${hour}:30Z` });
  }

  expect(await user.consume(80, { tag: "GPT-4", at: "2026-05-06T15:31Z" })).toMatchObject({
    success: true,
    nearest_limit: { used: 100 },
  });
});

describe("after idleness", () => {
  test.each([
    ["shorter than the window", "2026-05-06T13:59Z", 60],
    ["after which half has rolled off", "2026-05-06T14:15Z", 30],
    ["after which all has just rolled off", "2026-05-06T16:15Z", 0],
    ["of months", "2026-12-31T23:59Z", 0],
    ["of years", "2036-05-06T09:00Z", 0],
  ])("%s, exactly what is left of it counts", async (_, at, used) => {
    const user = await userOf5Hours();
    await user.consume(30, { at: "2026-05-06T09:00Z" });
    await user.consume(30, { at: "2026-05-06T11:00Z" });

    expect((await user.balance(at)).restrictions).toMatchObject([{ used }]);
    expect(await user.check(101 - used, { at })).toMatchObject({ success: false });
    expect(await user.consume(100 - used, { at })).toMatchObject({
      success: true,
      nearest_limit: { used: 100, left: 0 },
    });
  });

  test("a window of weeks still counts what was used long before", async () => {
    const user = await userOf5Hours({ duration: "100 weeks" });
    await user.consume(60, { at: "2026-05-06T09:00Z" });
    await user.consume(20, { at: "2027-05-06T09:00Z" });

    await expectWait(
      user,
      await user.check(21, { at: "2028-04-05T09:14:59Z" }),
      "2028-04-05T09:15Z",
    );
    await expectWait(
      user,
      await user.check(81, { at: "2028-04-05T09:15Z" }),
      "2029-04-05T09:15Z",
    );
  });
});

describe("a refund", () => {
  test("frees what it gives back at once, and the rest when it rolls off", async () => {
    const user = await userOf5Hours();
    const { transfer_number } = await user.consume(70, { at: "2026-05-06T09:00Z" });
    await user.consume(30, { at: "2026-05-06T12:00Z" });
    await user.refund(transfer_number!, { tokens: 50, at: "2026-05-06T13:00Z" });
    const at = "2026-05-06T13:00Z";

    expect(await user.check(50, { at })).toMatchObject({ success: true });
    await expectWait(user, await user.check(51, { at }), "2026-05-06T14:15Z");
    await expectWait(user, await user.check(70, { at }), "2026-05-06T14:15Z");
    await expectWait(user, await user.check(71, { at }), "2026-05-06T17:15Z");
  });

  test("of what has rolled off changes nothing", async () => {
    const user = await userOf5Hours();
    const { transfer_number } = await user.consume(70, { at: "2026-05-06T09:00Z" });
    await user.consume(30, { at: "2026-05-06T12:00Z" });
    await user.refund(transfer_number!, { at: "2026-05-06T14:15Z" });

    expect(await user.check(70, { at: "2026-05-06T14:15Z" })).toMatchObject({ success: true });
    expect(await user.check(71, { at: "2026-05-06T14:15Z" })).toMatchObject({ success: false });
    expect((await user.balance("2026-05-06T14:15Z")).restrictions).toMatchObject([{ used: 30 }]);
  });

  test("of part of a quarter that is still counted counts once", async () => {
    const user = await userOf5Hours();
    const { transfer_number } = await user.consume(70, { at: "2026-05-06T09:00Z" });
    await user.consume(20, { at: "2026-05-06T09:10Z" });
    await user.refund(transfer_number!, { tokens: 60, at: "2026-05-06T14:14:59Z" });

    expect((await user.balance("2026-05-06T14:14:59Z")).restrictions).toMatchObject([{ used: 30 }]);
    expect((await user.balance("2026-05-06T14:15Z")).restrictions).toMatchObject([{ used: 0 }]);
  });
});

describe("a hold", () => {
  test("counts until it expires", async () => {
    const user = await userOf5Hours();
    await user.consume(20, { at: "2026-05-06T09:00Z" });
    await user.hold(60, { at: "2026-05-06T09:20Z", ttl: 600 });
    const at = "2026-05-06T09:21Z";

    expect(await user.check(20, { at })).toMatchObject({ success: true });
    await expectWait(user, await user.check(21, { at }), "2026-05-06T09:30Z");
    await expectWait(user, await user.check(80, { at }), "2026-05-06T09:30Z");
    await expectWait(user, await user.check(81, { at }), "2026-05-06T14:15Z");
  });

  test("that lasts longer than the window rolls off like what was used", async () => {
    const user = await userOf5Hours();
    await user.hold(60, { at: "2026-05-06T09:20Z", ttl: 86_400 });

    await expectWait(
      user,
      await user.check(41, { at: "2026-05-06T09:21Z" }),
      "2026-05-06T14:30Z",
    );
  });

  test("that is settled counts in the quarter in which it was made", async () => {
    const user = await userOf5Hours();
    const { hold_id } = await user.hold(60, { at: "2026-05-06T09:20Z", ttl: 86_400 });
    await user.settle(hold_id, 50, { at: "2026-05-06T13:00Z" });
    const at = "2026-05-06T13:00Z";

    expect((await user.balance(at)).restrictions).toMatchObject([{ used: 50, held: 0 }]);
    await expectWait(user, await user.check(51, { at }), "2026-05-06T14:30Z");
  });

  test("that is settled within its quarter counts there once", async () => {
    const user = await userOf5Hours();
    const { hold_id } = await user.hold(60, { at: "2026-05-06T09:20Z" });
    await user.settle(hold_id, 50, { at: "2026-05-06T09:25Z" });

    await expectWait(
      user,
      await user.check(51, { at: "2026-05-06T09:26Z" }),
      "2026-05-06T14:30Z",
    );
  });

  test("that is settled when its quarter has rolled off counts no more", async () => {
    const user = await userOf5Hours();
    const { hold_id } = await user.hold(60, { at: "2026-05-06T09:20Z", ttl: 86_400 });
    await user.settle(hold_id, 50, { at: "2026-05-06T14:30Z" });

    expect((await user.balance("2026-05-06T14:30Z")).restrictions).toMatchObject([
      { used: 0, held: 0 },
    ]);
    expect(await user.consume(100, { at: "2026-05-06T14:30Z" })).toMatchObject({ success: true });
  });

  test("that is released counts no more", async () => {
    const user = await userOf5Hours();
    const { hold_id } = await user.hold(60, { at: "2026-05-06T09:20Z" });
    await user.release(hold_id, { at: "2026-05-06T09:21Z" });

    expect(await user.check(100, { at: "2026-05-06T09:21Z" })).toMatchObject({ success: true });
  });

  test("is denied like a consumption, until as much has rolled off", async () => {
    const user = await userOf5Hours();
    await user.consume(60, { at: "2026-05-06T09:00Z" });

    expect(await user.hold(41, { at: "2026-05-06T10:00Z" })).toMatchObject({
      success: false,
      reason: "restriction_exceeded",
      retry_at: new Date("2026-05-06T14:15Z"),
    });
    expect(await user.hold(41, { at: "2026-05-06T14:15Z" })).toMatchObject({ success: true });
  });

  test("that is settled for more waits until the excess has room too", async () => {
    const user = await userOf5Hours();
    const { hold_id } = await user.hold(60, { at: "2026-05-06T09:20Z", ttl: 86_400 });
    await user.consume(30, { at: "2026-05-06T12:00Z" });
    const settle = (at: string) => user.settle(hold_id, 71, { allowExcess: true, at });

    expect(await settle("2026-05-06T13:00Z")).toMatchObject({
      success: false,
      retry_at: new Date("2026-05-06T14:30Z"),
    });
    expect(await settle(before("2026-05-06T14:30Z"))).toMatchObject({ success: false });
    expect(await settle("2026-05-06T14:30Z")).toMatchObject({ success: true, excess_consumed: 11 });
  });
});

test("up_to takes what the window has left, and waits for 1", async () => {
  const user = await userOf5Hours();
  await user.consume(60, { at: "2026-05-06T09:00Z" });
  const call = { mode: "up_to", at: "2026-05-06T10:00Z" } as const;

  expect(await user.consume(1000, call)).toMatchObject({ success: true, tokens_consumed: 40 });
  expect(await user.consume(1000, call)).toMatchObject({
    reason: "restriction_exceeded",
    retry_at: new Date("2026-05-06T14:15Z"),
  });
  expect(await user.consume(1000, { ...call, at: "2026-05-06T14:15Z" })).toMatchObject({
    tokens_consumed: 60,
  });
});

test("items of a batch count for those after them", async () => {
  const user = await userOf5Hours();
  await user.consume(50, { at: "2026-05-06T09:00Z" });
  const item = (tokens: number) => ({ user_id: "ada", tokens_to_consume: tokens });
  const batch = (at: string) =>
    user.project.consumeBatch([item(30), item(21), item(71), item(20)], { at });

  expect(await batch("2026-05-06T10:00Z")).toMatchObject([
    { success: true },
    { success: false, retry_at: new Date("2026-05-06T14:15Z") },
    // Needs what the first item has used, too.
    { success: false, retry_at: new Date("2026-05-06T15:15Z") },
    { success: true },
  ]);
  expect((await user.balance("2026-05-06T10:00Z")).restrictions).toMatchObject([{ used: 100 }]);
  await expectWait(
    user,
    await user.check(51, { at: "2026-05-06T10:00Z" }),
    "2026-05-06T15:15Z",
  );
});

test("of a rolling and a calendar window the last to have room is named", async () => {
  const project = await Project.create(sql);
  await project.plan({
    quota: 1000,
    restrictions: [
      { maxTokens: 100, duration: "5 hours", window: "rolling" },
      { maxTokens: 100, duration: "1 day" },
    ],
  });
  const user = await project.user("ada", { billingAnchor: "2026-05-01T00:00Z" });
  await user.consume(100, { at: "2026-05-06T17:00Z" });

  expect(await user.check(1, { at: "2026-05-06T17:00Z" })).toMatchObject({
    retry_at: new Date("2026-05-07T00:00Z"),
    nearest_limit: { window: "calendar", duration: "1 day" },
  });
  await user.consume(100, { at: "2026-05-07T17:00Z" });
  await user.consume(100, { at: "2026-05-08T19:50Z" });
  expect(await user.check(1, { at: "2026-05-08T19:50Z" })).toMatchObject({
    retry_at: new Date("2026-05-09T01:00Z"),
    nearest_limit: { window: "rolling", duration: "5 hours" },
  });
});

test("a calendar window that is turned into a rolling one counts anew, and back", async () => {
  const project = await Project.create(sql);
  const planId = await project.plan({
    quota: 1000,
    restrictions: [{ maxTokens: 100, duration: "1 day" }],
  });
  const user = await project.user("ada", { billingAnchor: "2026-05-01T00:00Z" });
  const turn = (window: string) =>
    sql`update plan_restrictions
      set restriction_config = restriction_config || ${sql.json({ window })}
      where plan_id = ${planId}`;
  await user.consume(30, { at: "2026-05-05T20:00Z" });
  await user.consume(40, { at: "2026-05-06T09:00Z" });
  const used = async () => (await user.balance("2026-05-06T09:00Z")).restrictions[0]!.used;

  expect(await used()).toBe(40);
  await turn("rolling");
  expect(await used()).toBe(70);
  await user.consume(1, { at: "2026-05-06T09:00Z" });
  await turn("calendar");
  expect(await used()).toBe(41);
});
