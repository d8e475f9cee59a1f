import { describe, expect, test } from "vitest";
import { contents } from "../support/contents.ts";
import { useDatabase } from "../support/database.ts";
import { type Balance, Project, type User } from "../support/project.ts";

const { sql } = useDatabase();

const BEFORE = "2031-01-20T00:00:00Z";
/** By then 60 tokens of January have rolled over, and 3 of 5 tokens have come. */
const at = "2031-02-18T00:00:00Z";

/** A user of 100 tokens a month with calls in January, and grants that come due in February. */
async function userWithDueGrants() {
  const project = await Project.create(sql);
  const planId = await project.plan({ quota: 100, rollover: { maxTokens: 60, periods: 2 } });
  const user = await project.user("ada", {
    billingAnchor: "2031-01-01T00:00:00Z",
    createdAt: "2031-01-01T00:00:00Z",
  });
  const { grant_id } = await user.grant(7, { at: "2031-01-10T00:00:00Z", priority: 90 });
  await user.consume(10, { at: BEFORE, requestId: "c" });
  await user.recurringGrant(5, "1 week", {
    startsAt: "2031-02-03T00:00:00Z",
    endsAt: "2031-02-24T00:00:00Z",
  });
  return { project, planId, user, grantId: grant_id };
}

const due = [
  { grant_type: "rollover", tokens_left: 60, effective_at: "2031-02-01T00:00:00+00:00" },
  { grant_type: "bonus", tokens_left: 5, effective_at: "2031-02-03T00:00:00+00:00" },
  { grant_type: "bonus", tokens_left: 5, effective_at: "2031-02-10T00:00:00+00:00" },
  { grant_type: "bonus", tokens_left: 5, effective_at: "2031-02-17T00:00:00+00:00" },
  { grant_type: "bonus", tokens_left: 7, priority: 90 },
];

const written = async (user: User) =>
  (await sql`select transfer_number, amount, grants_left from token_transfers
    where user_id = ${user.id!} and created_at > ${BEFORE} order by transfer_number`)
    .map(({ amount, grants_left }) => [amount, grants_left]);

describe("grants that are due and not written down", () => {
  test("are in the balance, in the order in which they will be spent", async () => {
    const { user } = await userWithDueGrants();

    expect(await user.balance(at)).toMatchObject({
      quota_left: 100,
      grants_left: 82,
      tokens_left: 182,
      grants: due,
    });
  });

  test("are there from the instant on at which each is due", async () => {
    const { user } = await userWithDueGrants();

    for (
      const [instant, left] of [
        ["2031-01-31T23:59:59.999Z", 7],
        ["2031-02-01T00:00:00Z", 67],
        ["2031-02-02T23:59:59.999Z", 67],
        ["2031-02-03T00:00:00Z", 72],
        ["2031-02-10T00:00:00Z", 77],
        ["2031-02-17T00:00:00Z", 82],
        ["2031-03-31T23:59:59.999Z", 82 + 60],
        ["2031-04-01T00:00:00Z", 22 + 60 + 60],
      ] as const
    ) {
      expect([instant, (await user.balance(instant)).grants_left]).toEqual([instant, left]);
    }
  });

  test("make no row when somebody reads", async () => {
    const { project, user } = await userWithDueGrants();
    // By the real clock, for the functions and views that take no time.
    await user.recurringGrant(1, "1 day", { startsAt: "2031-01-01T00:00:00Z" });
    const before = await contents(sql);

    await user.balance(at);
    expect(await user.check(182, { at })).toMatchObject({ success: true });
    expect(await user.check(999, { at })).toMatchObject({ success: false });
    expect(await user.check(999, { at, mode: "up_to" })).toMatchObject({ success: true });
    await sql`select * from get_user_balance(${project.id}, 'ada')`;
    await sql`select * from check_tokens(${project.id}, 'ada', 500)`;
    await sql`select * from current_balances`;
    await sql`select * from restriction_status`;
    await sql`select * from get_user_transfers(${project.id}, 'ada')`;

    expect(await contents(sql)).toEqual(before);
  });

  test("can be spent by the first call, which says what they paid", async () => {
    const { user } = await userWithDueGrants();
    const checked = await user.check(170, { at });
    const { grants } = await user.balance(at);

    const receipt = await user.consume(170, { at });

    expect(receipt).toMatchObject({ base_quota_used: 100, grants_used: 70, grants_left: 12 });
    expect(receipt.sources).toEqual(checked.sources);
    expect(receipt.sources.map(({ grant_id }) => grant_id))
      .toEqual([undefined, ...grants.slice(0, 3).map(({ grant_id }) => grant_id)]);
  });

  test("are the same grants when they are written down", async () => {
    const { user } = await userWithDueGrants();
    const { grants } = await user.balance(at);
    await user.consume(1000, { at });

    expect((await user.balance(at)).grants).toEqual(grants);
    expect(
      await sql`select id from user_token_grants
        where user_id = ${user.id!} and recurring_grant_id is not null order by effective_at`,
    ).toEqual(grants.slice(0, 4).map(({ grant_id }) => ({ id: grant_id })));
  });
});

describe("the first call that writes, whatever becomes of it, writes them down:", () => {
  const soon = "2031-01-20T12:00:00Z";

  /** What a call of each kind leaves in grants after the due ones are in. */
  test.each<[string, (user: User, grantId: string) => Promise<unknown>, number[][]]>([
    ["a consumption", (user) => user.consume(1, { at }), [[-1, 82]]],
    ["a denied consumption", (user) => user.consume(999, { at }), []],
    ["a hold", (user) => user.hold(1, { at }), [[0, 82]]],
    ["a denied hold", (user) => user.hold(999, { at }), []],
    [
      "a batch",
      ({ project }) => project.consumeBatch([{ user_id: "ada", tokens_to_consume: 1 }], { at }),
      [[-1, 82]],
    ],
    [
      "a batch that is denied as a whole",
      ({ project }) =>
        project.consumeBatch([
          { user_id: "ada", tokens_to_consume: 1 },
          { user_id: "ada", tokens_to_consume: 999 },
        ], { at, allOrNothing: true }),
      [],
    ],
    ["a refund", (user) => user.refund("c", { at, tokens: 3 }), [[3, 82]]],
    ["a grant", (user) => user.grant(1000, { at }), [[1000, 1082]]],
    ["a void", (user, grantId) => user.voidGrant(grantId, { at }), [[-7, 75]]],
    ["a change of payment", (user) => user.change({ at, paymentStatus: "paused" }), [[0, 82]]],
    ["a change of zone", (user) => user.change({ at, timeZone: "Asia/Tokyo" }), [[0, 82]]],
  ])("%s", async (_, call, own) => {
    const { user, grantId } = await userWithDueGrants();

    await call(user, grantId);

    expect(await written(user)).toEqual([[60, 67], [5, 72], [5, 77], [5, 82], ...own]);
    expect(await user.balance(at)).toMatchObject({
      grants_left: own.at(-1)?.[1] ?? 82,
    });
  });

  test.each<[string, (user: User, holdId: string) => Promise<unknown>, number[]]>([
    ["a settlement", (user, holdId) => user.settle(holdId, 1, { at: soon }), [-1, 89, 13, 0]],
    ["an extension", (user, holdId) => user.extend(holdId, 86_400, { at: soon }), [0, 88, 13, 2]],
    ["a release", (user, holdId) => user.release(holdId, { at: soon }), [0, 90, 13, 0]],
  ])("%s", async (_, step, own) => {
    const { user } = await userWithDueGrants();
    const { hold_id } = await user.hold(2, { at: BEFORE, ttl: 86_400 });
    await user.recurringGrant(3, "1 day", { startsAt: "2031-01-19T12:00:00Z" });

    await step(user, hold_id);

    // Until the step itself the hold is open.
    expect(
      (await sql`select amount, quota_left, grants_left, tokens_held from token_transfers
        where user_id = ${user.id!} and created_at = ${soon} order by transfer_number`)
        .map((transfer) => Object.values(transfer)),
    ).toEqual([[3, 88, 10, 2], [3, 88, 13, 2], own]);
  });

  test.each<[string, (user: User) => Promise<unknown>]>([
    [
      "a grant by hand",
      ({ id }) =>
        sql`insert into user_token_grants (user_id, token_amount, grant_type)
        values (${id!}, 20, 'bonus'), (${id!}, 30, 'bonus')`,
    ],
    [
      "a change by hand",
      ({ id }) => sql`update tracked_users set payment_status = 'paused' where id = ${id!}`,
    ],
  ])("%s", async (_, edit) => {
    const project = await Project.create(sql);
    await project.plan({ type: "pay_as_you_go" });
    const user = await project.user("ada");
    const startsAt = new Date(Date.now() - 36 * 3_600_000).toISOString();
    await user.recurringGrant(5, "1 day", { startsAt });

    await edit(user);

    const transfers = await sql<{ amount: number }[]>`select amount from token_transfers
      where user_id = ${user.id!} order by transfer_number`;
    expect(transfers.slice(0, 2).map(({ amount }) => amount)).toEqual([5, 5]);
  });

  test("but none that is refused as a mistake, or answers a replay", async () => {
    const { user, project } = await userWithDueGrants();
    const before = await contents(sql);

    await user.consume(10, { at, requestId: "c" });
    await expect(user.refund(999, { at })).rejects.toMatchObject({ code: "TG014" });
    await expect(user.voidGrant(project.id, { at })).rejects.toMatchObject({ code: "TG016" });
    await expect(user.consume(9, { at, requestId: "c" })).rejects.toMatchObject({ code: "TG006" });

    expect(await contents(sql)).toEqual(before);
  });
});

test("what had rolled over when a plan was changed by hand stays", async () => {
  const project = await Project.create(sql);
  const planId = await project.plan({
    quota: 100,
    period: "1 hour",
    rollover: { maxTokens: 80, periods: 1 },
  });
  const other = await project.plan({ type: "pay_as_you_go" });
  const createdAt = new Date(Date.now() - 5 * 3_600_000).toISOString();
  const user = await project.user("ada", { planId, createdAt });
  // As if rollover had been switched on long ago.
  await sql`alter table plan_quotas disable trigger rollover_is_dated`;
  await sql`update plan_quotas set rollover_since = '-infinity' where plan_id = ${planId}`;
  await sql`alter table plan_quotas enable trigger rollover_is_dated`;
  expect(await user.balance()).toMatchObject({ grants_left: 80 });

  await sql`update tracked_users set plan_id = ${other} where id = ${user.id!}`;

  expect(await user.balance()).toMatchObject({ quota_left: 0, grants_left: 80 });
});

describe("written down", () => {
  test("each is dated then, and in force since it was due", async () => {
    const { user } = await userWithDueGrants();
    await user.consume(1, { at });

    expect(
      await sql`select g.token_amount, g.grant_type, g.effective_at, g.created_at, t.amount,
          t.transaction_type, t.created_at as booked_at
        from user_token_grants g
        join token_transfers t on t.user_token_grants_id = g.id and t.user_id = g.user_id
        where g.user_id = ${user.id!} and g.recurring_grant_id is not null
        order by g.effective_at limit 2`,
    ).toEqual([
      {
        token_amount: 60,
        grant_type: "rollover",
        effective_at: new Date("2031-02-01T00:00:00Z"),
        created_at: new Date(at),
        amount: 60,
        transaction_type: "grant",
        booked_at: new Date(at),
      },
      {
        token_amount: 5,
        grant_type: "bonus",
        effective_at: new Date("2031-02-03T00:00:00Z"),
        created_at: new Date(at),
        amount: 5,
        transaction_type: "grant",
        booked_at: new Date(at),
      },
    ]);
  });

  test("they are not written again by the next calls", async () => {
    const { user } = await userWithDueGrants();
    await user.consume(1, { at });
    const before = (await written(user)).length;

    await user.consume(1, { at });
    await user.consume(1, { at: "2031-02-18T01:00:00Z" });

    expect((await written(user)).length).toBe(before + 2);
  });

  test("they can be voided by the id that the balance showed", async () => {
    const { user } = await userWithDueGrants();
    const [rollover, first] = (await user.balance(at)).grants;

    expect(await user.voidGrant(first!.grant_id, { at })).toMatchObject({ tokens_voided: 5 });
    expect(await user.voidGrant(rollover!.grant_id, { at })).toMatchObject({ tokens_voided: 60 });
    expect(await user.balance(at)).toMatchObject({ grants_left: 17 });
    await user.consume(1, { at: "2031-02-19T00:00:00Z" });
    expect(await user.balance("2031-02-19T00:00:00Z")).toMatchObject({ grants_left: 17 });
  });
});

describe("a batch", () => {
  test("of several users spends what is due to each", async () => {
    const { project, user } = await userWithDueGrants();
    const grace = await project.user("grace", {
      billingAnchor: "2031-02-17T00:00:00Z",
      createdAt: "2031-02-17T00:00:00Z",
    });
    await grace.recurringGrant(50, "1 month", { startsAt: "2031-02-17T12:00:00Z" });

    const receipts = await project.consumeBatch([
      { user_id: "ada", tokens_to_consume: 100 },
      { user_id: "grace", tokens_to_consume: 120 },
      { user_id: "ada", tokens_to_consume: 62 },
      { user_id: "ada", tokens_to_consume: 30, mode: "up_to" },
      { user_id: "grace", tokens_to_consume: 31 },
    ], { at });

    expect(
      receipts.map(({ base_quota_used, grants_used, grants_left }) => [
        base_quota_used,
        grants_used,
        grants_left,
      ]),
    ).toEqual([[100, 0, 82], [100, 20, 30], [0, 62, 20], [0, 20, 0], [0, 0, 30]]);
    expect(await user.balance(at)).toMatchObject({ tokens_left: 0 });
  });
});

test("nobody looks for 18 months: then all are there, the oldest first", async () => {
  const project = await Project.create(sql);
  await project.plan({ type: "pay_as_you_go" });
  const user = await project.user("ada", { createdAt: "2030-01-01T00:00:00Z" });
  await user.recurringGrant(500, "1 week", { startsAt: "2031-01-06T00:00:00Z" });
  const later = "2032-07-05T00:00:00Z";
  const weeks = 79;
  const times = (balance: Balance) => balance.grants.map(({ effective_at }) => effective_at);

  const unseen = await user.balance(later);
  expect(unseen).toMatchObject({ grants_left: 500 * weeks });
  expect(times(unseen)).toEqual(
    Array.from(
      { length: weeks },
      (_, week) =>
        new Date(+new Date("2031-01-06T00:00:00Z") + week * 7 * 86_400_000).toISOString()
          .replace(".000Z", "+00:00"),
    ),
  );

  await user.consume(1250, { at: later });

  const seen = await user.balance(later);
  expect(times(seen)).toEqual(times(unseen).slice(2));
  expect(seen.grants[0]).toMatchObject({
    effective_at: "2031-01-20T00:00:00+00:00",
    tokens_left: 250,
  });
  expect(
    await sql`select count(*)::integer as grants, count(distinct effective_at)::integer as times
      from user_token_grants where user_id = ${user.id!}`,
  ).toEqual([{ grants: weeks, times: weeks }]);
});

test("of two that come together the one of a lower priority comes first, and tags are kept", async () => {
  const project = await Project.create(sql);
  await project.plan({ type: "pay_as_you_go" });
  const user = await project.user("ada", { createdAt: "2030-01-01T00:00:00Z" });
  const startsAt = "2031-02-01T00:00:00Z";
  await user.recurringGrant(10, "1 month", { startsAt });
  await user.recurringGrant(20, "1 month", { startsAt, priority: 1, tags: ["GPT-4"] });
  await user.recurringGrant(40, "1 month", { startsAt, priority: 49, validFor: "1 week" });

  const balance = await user.balance(at);
  expect(balance).toMatchObject({
    grants: [
      { priority: 1, tags: ["GPT-4"], tokens_left: 20, expires_at: null },
      { priority: 50, tags: null, tokens_left: 10 },
    ],
  });
  expect(await user.check(11, { at })).toMatchObject({ success: false, shortfall: 1 });
  expect(await user.consume(25, { at, tag: "GPT-4" })).toMatchObject({
    sources: [{ tokens: 20, left: 0 }, { tokens: 5, left: 5 }],
  });
  expect(await user.check(56, { at: "2031-03-01T00:00:00Z" })).toMatchObject({ success: false });
  expect((await user.check(55, { at: "2031-03-01T00:00:00Z" })).sources).toMatchObject([
    { tokens: 40 },
    { tokens: 5 },
    { tokens: 10 },
  ]);
});

test("the tokens of January are not spent by a call of December that a late clock has made", async () => {
  const { user } = await userWithDueGrants();
  await user.consume(1, { at });

  expect(await user.consume(182, { at: "2031-01-01T00:00:00Z" })).toMatchObject({
    success: false,
    created_at: new Date(at),
    grants_left: 82,
  });
});
