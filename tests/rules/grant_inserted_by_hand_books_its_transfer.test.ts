import { describe, expect, test } from "vitest";
import { useDatabase } from "../support/database.ts";
import { Project } from "../support/project.ts";

const { sql } = useDatabase();

async function payAsYouGoUser() {
  const project = await Project.create(sql);
  await project.plan({ type: "pay_as_you_go" });
  return project.user("ada");
}

test("a row that is inserted books a transfer", async () => {
  const user = await payAsYouGoUser();

  const [grant] = await sql<{ id: string; created_at: Date }[]>`
    insert into user_token_grants (user_id, token_amount, grant_type)
    values (${user.id!}, 100, 'purchase') returning id, created_at`;

  const transfers = await sql`select * from get_user_transfers(${user.project.id}, 'ada')`;
  expect(transfers).toEqual([{
    transfer_number: 1,
    amount: 100,
    transaction_type: "grant",
    tag: null,
    base_quota_used: 0,
    grants_used: 0,
    quota_left: 0,
    grants_left: 100,
    tokens_held: 0,
    refers_to: null,
    grant_id: grant!.id,
    request_id: null,
    metadata: null,
    created_at: grant!.created_at,
  }]);
});

test("the tokens can be spent by the next call", async () => {
  const user = await payAsYouGoUser();
  await sql`insert into user_token_grants (user_id, token_amount, grant_type)
    values (${user.id!}, 100, 'purchase')`;

  expect(await user.consume(60)).toMatchObject({ grants_used: 60, grants_left: 40 });
});

test("several rows in one statement book a transfer each, in order", async () => {
  const user = await payAsYouGoUser();
  await sql`insert into user_token_grants (user_id, token_amount, grant_type)
    values (${user.id!}, 10, 'bonus'), (${user.id!}, 20, 'bonus'), (${user.id!}, 30, 'bonus')`;

  const transfers = await sql`
    select transfer_number, amount from get_user_transfers(${user.project.id}, 'ada')`;

  expect(transfers).toEqual([
    { transfer_number: 3, amount: 30 },
    { transfer_number: 2, amount: 20 },
    { transfer_number: 1, amount: 10 },
  ]);
});

test("of several rows that are in force at once each transfer shows what was left after it", async () => {
  const user = await payAsYouGoUser();
  await sql`insert into user_token_grants (user_id, token_amount, grant_type, effective_at)
    values (${user.id!}, 10, 'bonus', '2020-01-01'), (${user.id!}, 20, 'bonus', '2020-01-01')`;

  const transfers = await sql`
    select amount, grants_left from get_user_transfers(${user.project.id}, 'ada')`;

  expect(transfers).toEqual([{ amount: 20, grants_left: 30 }, { amount: 10, grants_left: 10 }]);
});

test("what comes due while several rows are inserted comes after them", async () => {
  const user = await payAsYouGoUser();
  await user.recurringGrant(10, "1 day", { startsAt: new Date(Date.now() + 500).toISOString() });
  await sql`insert into user_token_grants (user_id, token_amount, grant_type)
    select ${user.id!}, s.n, 'bonus'
    from generate_series(1, 2) s (n), lateral (select pg_sleep(s.n - 1)) p`;
  await user.consume(3);

  const transfers = await sql`
    select amount, grants_left from get_user_transfers(${user.project.id}, 'ada')`;

  expect(transfers).toEqual([
    { amount: -3, grants_left: 10 },
    { amount: 10, grants_left: 13 },
    { amount: 2, grants_left: 3 },
    { amount: 1, grants_left: 1 },
  ]);
});

test("a date given by hand is replaced: nobody grants in the past", async () => {
  const user = await payAsYouGoUser();

  const [grant] = await sql`
    insert into user_token_grants (user_id, token_amount, grant_type, created_at)
    values (${user.id!}, 100, 'purchase', '2020-01-01T00:00:00Z')
    returning created_at >= statement_timestamp() as made_now`;

  expect(grant).toEqual({ made_now: true });
});

test.each<[string, string, string]>([
  ["of 0 tokens", "token_amount => 0", "The number of tokens must be a whole number"],
  ["that has expired", "expires_at => '2020-01-01'", "expires_at .* is not in the future"],
  ["that is used", "tokens_used => 1", "tokens_used of a new grant must be 0"],
  ["that is spent", "is_spent => true", "tokens_used of a new grant must be 0, and is_spent false"],
  ["with metadata that is no object", "metadata => '[]'", "metadata must be a JSON object"],
  [
    "with an empty request id",
    "request_id => ''",
    "The request id must have 1 to 255 printable ASCII characters",
  ],
])("a row %s is refused", async (_, change, message) => {
  const user = await payAsYouGoUser();
  const [column, value] = change.split(" => ");
  const row = new Map([["user_id", `'${user.id!}'`], ["token_amount", "10"], [
    "grant_type",
    "'bonus'",
  ]]).set(column!, value!);

  await expect(sql.unsafe(`insert into user_token_grants (${[...row.keys()].join(", ")})
    values (${[...row.values()].join(", ")})`)).rejects.toMatchObject({
    code: "TG001",
    message: expect.stringMatching(`^${message}`),
  });
});

test("a row for an unknown user is refused", async () => {
  await expect(sql`insert into user_token_grants (user_id, token_amount, grant_type)
    values (gen_random_uuid(), 10, 'bonus')`).rejects.toMatchObject({
    code: "TG004",
    message: "user_id is not a known user",
    hint: "Use the id of a row of tracked_users.",
  });
});

describe("a grant's expiry", () => {
  test("can be put off while it is in force", async () => {
    const user = await payAsYouGoUser();
    await user.grant(100, { at: "2026-05-01T00:00:00Z", expiresAt: "2026-05-02T00:00:00Z" });
    await sql`update user_token_grants set expires_at = '2026-06-01T00:00:00Z'
      where user_id = ${user.id!}`;

    expect(await user.consume(60, { at: "2026-05-20T00:00:00Z" })).toMatchObject({
      success: true,
      grants_left: 40,
    });
  });

  test("can be put off after it has expired: what was left is there again", async () => {
    const user = await payAsYouGoUser();
    await user.grant(100, { at: "2026-05-01T00:00:00Z", expiresAt: "2026-05-02T00:00:00Z" });
    await user.consume(60, { at: "2026-05-01T12:00:00Z" });
    expect(await user.balance()).toMatchObject({ grants_left: 0 });
    await sql`update user_token_grants set expires_at = null where user_id = ${user.id!}`;

    expect(await user.balance()).toMatchObject({ grants_left: 40 });
  });

  test("can be brought forward to now, which ends the grant", async () => {
    const user = await payAsYouGoUser();
    await user.grant(100);
    await sql`update user_token_grants set expires_at = now() where user_id = ${user.id!}`;

    expect(await user.consume(1)).toMatchObject({ success: false, grants_left: 0 });
  });

  test("decides the order from the next call on", async () => {
    const user = await payAsYouGoUser();
    const older = await user.grant(100, { at: "2026-05-01T00:00:00Z" });
    const newer = await user.grant(100, { at: "2026-05-02T00:00:00Z" });
    await sql`update user_token_grants set expires_at = '2999-01-01T00:00:00Z'
      where id = ${newer.grant_id}`;
    await user.consume(30);

    expect(await sql`select tokens_used from user_token_grants where id = ${newer.grant_id}`)
      .toEqual([{ tokens_used: 30 }]);
    expect(await sql`select tokens_used from user_token_grants where id = ${older.grant_id}`)
      .toEqual([{ tokens_used: 0 }]);
  });
});
