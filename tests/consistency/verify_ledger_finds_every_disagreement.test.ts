import { beforeAll, describe, expect, test } from "vitest";
import { type TestSql, useDatabase } from "../support/database.ts";
import { Project } from "../support/project.ts";

const { sql } = useDatabase();

let project: Project;

/** An id of nothing in this project. */
const STRANGER = "11111111-1111-4111-8111-111111111111";

/** One user with two grants, of which the first is spent, one tag, two quota periods, and three restrictions. */
beforeAll(async () => {
  project = await Project.create(sql);
  await project.plan({
    quota: 10,
    period: "1 day",
    restrictions: [
      { maxTokens: 1000, duration: "1 week" },
      { tag: "GPT-4", maxTokens: 1000, duration: "5 hours", window: "rolling" },
      { tags: ["GPT-4", "GPT-5"], maxTokens: 1000, duration: "2 months" },
    ],
  });
  const user = await project.user("ada", { billingAnchor: "2030-01-01T00:00:00Z" });
  await user.grant(5, { at: "2030-01-15T10:00:00Z", expiresAt: "2031-01-01T00:00:00Z" });
  await user.grant(5, { at: "2030-01-15T10:01:00Z" });
  await user.consume(17, { at: "2030-01-15T10:02:00Z", tag: "GPT-4" }); // 10 quota, 5 + 2 grants
  await user.consume(4, { at: "2030-01-16T10:03:00Z" });
});

type Prepare = (sql: TestSql) => Promise<void>;

/** What verify_ledger() answers after an edit that no trigger stops; what came before is undone as well. */
async function disagreementsAfter(edit: string, prepare?: Prepare) {
  const connection = await sql.reserve();
  try {
    await connection`begin`;
    await prepare?.(connection);
    const tables = await connection<{ name: string }[]>`
      select tablename as name from pg_tables where schemaname = 'public'`;
    for (const { name } of tables) {
      await connection`alter table ${connection(name)} disable trigger user`;
    }
    await connection.unsafe(edit);
    return await connection<{ disagreement: string }[]>`
      select distinct disagreement, row_key, expected, found from verify_ledger()
      order by disagreement, row_key`;
  } finally {
    await connection`rollback`;
    connection.release();
  }
}

/** What the edit is, the edit, the names of what is found. */
type Case = [string, string, string[]];

function testEach(cases: Case[], prepare?: Prepare) {
  test("nothing disagrees before an edit", async () => {
    expect(await disagreementsAfter("select", prepare)).toEqual([]);
  });

  test.each(cases)("%s", async (_, edit, names) => {
    const found = await disagreementsAfter(edit, prepare);
    expect([...new Set(found.map(({ disagreement }) => disagreement))]).toEqual(names);
  });
}

test("a row says which, what it should be and what it is", async () => {
  expect(
    await disagreementsAfter(
      "update user_token_grants set tokens_used = 3 where tokens_used = 2",
    ),
  ).toEqual([{
    disagreement: "tokens used of a grant",
    row_key: expect.stringMatching(/^[0-9a-f-]{36}$/),
    expected: "2",
    found: "3",
  }]);
});

test("what is wrong in one project is not found in another", async () => {
  const other = await Project.create(sql);
  const find = (arguments_: string) =>
    `select distinct disagreement from verify_ledger(${arguments_})`;
  const connection = await sql.reserve();
  try {
    await connection`begin`;
    await connection`alter table user_token_grants disable trigger user`;
    await connection`update user_token_grants set tokens_used = 3 where tokens_used = 2`;
    const wrong = [{ disagreement: "tokens used of a grant" }];

    expect(await connection.unsafe(find(`'${project.id}'`))).toEqual(wrong);
    expect(await connection.unsafe(find(`'${other.id}'`))).toEqual([]);
    expect(await connection.unsafe(find(""))).toEqual(wrong);
  } finally {
    await connection`rollback`;
    connection.release();
  }
});

describe("of what constraints and snapshots say", () => {
  const stranger = `insert into projects (id, name) values ('${STRANGER}', 'Stranger');
    insert into plans (id, project_id, name) values ('${STRANGER}', '${STRANGER}', 'Strange');
    insert into tags (id, project_id, name) values ('${STRANGER}', '${STRANGER}', 'strange');
    insert into api_keys (id, project_id, name, key_hash, key_hint)
    values ('${STRANGER}', '${STRANGER}', 'strange', sha256(''), '');`;
  testEach([
    [
      "a grant whose mark is wrong",
      `alter table user_token_grants drop constraint used_is_0_to_amount;
        update user_token_grants set is_spent = not is_spent where is_spent`,
      ["tokens used of a grant"],
    ],
    [
      "numbers that do not begin with 1",
      `update token_transfers set transfer_number = 0 where transfer_number = 1;
        update user_token_grants_consume set transfer_number = 0 where transfer_number = 1`,
      ["number of transfers"],
    ],
    [
      "a number twice and another one not at all",
      `alter table token_transfers drop constraint token_transfers_pkey;
        update token_transfers set transfer_number = 1 where transfer_number = 2`,
      ["number of transfers"],
    ],
    [
      "a consumption that counts at another instant",
      `update token_transfers set counted_at = created_at + interval '1 second'
        where transfer_number = 3`,
      ["instant that a transfer counts at"],
    ],
    [
      "a grant by another project's API key",
      `${stranger}
        update token_transfers set api_key_id = '${STRANGER}' where transfer_number = 1`,
      ["row of another project"],
    ],
    [
      "a grant of another project's tag",
      `${stranger}
        update token_transfers set tag_id = '${STRANGER}' where transfer_number = 1`,
      ["amount of a transfer", "row of another project"],
    ],
    [
      "a request id that was applied twice",
      `drop index idx_token_transfers_request;
        update token_transfers set request_id = 'twice', request_hash = 1 where transfer_number > 2`,
      ["request id of a transfer"],
    ],
    [
      "more left than was given",
      "update token_transfers set grants_left = 6 where transfer_number = 1",
      ["grants left after a transfer"],
    ],
    [
      "tokens held of no hold",
      "update token_transfers set tokens_held = 1 where transfer_number = 2",
      ["tokens held after a transfer"],
    ],
    [
      "a consumption beyond a restriction",
      `update token_transfers set nearest_limit = jsonb_set(nearest_limit, '{max_tokens}', '16')
        where transfer_number = 3`,
      ["limit of a consumption"],
    ],
    [
      "a user on another project's plan",
      `${stranger}
        alter table tracked_users drop constraint plan_belongs_to_project;
        update tracked_users set plan_id = '${STRANGER}'`,
      ["row of another project"],
    ],
    [
      "a tag of another project",
      `${stranger}
        insert into user_tags select id, '${STRANGER}' from tracked_users`,
      ["row of another project", "tag of a user"],
    ],
    [
      "a restriction of another project's tag",
      `${stranger}
        update plan_restrictions set tag_ids = tag_ids || '${STRANGER}'::uuid where tag_ids is not null`,
      ["row of another project"],
    ],
    [
      "usage by another project's API key",
      `${stranger}
        update token_transfers set api_key_id = '${STRANGER}' where transfer_number = 3;
        update user_usage_buckets set api_key_id = '${STRANGER}' where tokens_used = 17`,
      ["row of another project"],
    ],
  ]);
});

describe("of consumptions and grants", () => {
  testEach([
    ["a grant that is gone", "delete from user_token_grants where is_spent", [
      "tokens used of a grant",
      "transfer of a grant",
    ]],
    [
      "a grant of another amount than its transfer",
      "update user_token_grants set token_amount = 6 where not is_spent",
      ["transfer of a grant"],
    ],
    [
      "a grant of another time than its transfer",
      "update user_token_grants set created_at = created_at - interval '1 s' where is_spent",
      ["transfer of a grant"],
    ],
    [
      "a grant without a transfer",
      `insert into user_token_grants (user_id, token_amount, grant_type)
        select id, 5, 'bonus' from tracked_users`,
      ["transfer of a grant"],
    ],
    [
      "a deduction that is gone",
      "delete from user_token_grants_consume where token_deduction = 2",
      ["grants that paid a transfer", "tokens used of a grant"],
    ],
    [
      "a deduction of another amount",
      "update user_token_grants_consume set token_deduction = 3 where token_deduction = 2",
      [
        "grants that paid a transfer",
        "terms of a grant that paid a transfer",
        "tokens used of a grant",
      ],
    ],
    [
      "a deduction of another time than its transfer",
      `update user_token_grants_consume set created_at = created_at + interval '1 s'
        where token_deduction = 2`,
      ["terms of a grant that paid a transfer"],
    ],
    [
      "a deduction that left more than there was",
      "update user_token_grants_consume set tokens_left = 4 where token_deduction = 2",
      ["terms of a grant that paid a transfer"],
    ],
    [
      "deductions out of order",
      "update user_token_grants_consume set position = 3 where token_deduction = 2",
      ["grants that paid a transfer"],
    ],
    [
      "a grant with another context than its transfer",
      `update user_token_grants set metadata = '{"by": "eve"}' where is_spent`,
      ["transfer of a grant"],
    ],
    [
      "a grant with another request id than its transfer",
      "update user_token_grants set request_id = 'other' where is_spent",
      ["transfer of a grant"],
    ],
    [
      "a grant that takes effect at no time",
      "update user_token_grants set effective_at = null where is_spent",
      ["terms of a grant that paid a transfer", "transfer of a grant"],
    ],
    [
      "a quota period that began after it was used",
      `update user_quota_usage set begun_at = begun_at + interval '1 s' where tokens_used = 10`,
      ["tokens used of a quota period"],
    ],
    [
      "a consumption of a grant's own",
      `update token_transfers set user_token_grants_id = gen_random_uuid() where transfer_number = 4`,
      ["amount of a transfer", "grants left after a transfer"],
    ],
    [
      "a request id without what was requested",
      "update token_transfers set request_id = 'x', request_hash = null where transfer_number = 4",
      ["amount of a transfer"],
    ],
    [
      "a transfer of the base quota that does not say of which period",
      `update token_transfers set quota_id = null where transfer_number = 4`,
      ["amount of a transfer", "tokens used of a quota period"],
    ],
    [
      "a deduction for no transfer",
      "update user_token_grants_consume set transfer_number = 9 where token_deduction = 2",
      ["grants that paid a transfer"],
    ],
    [
      "a deduction from a grant that does not exist",
      `update user_token_grants_consume set user_token_grants_id = gen_random_uuid()
        where token_deduction = 2`,
      ["tokens used of a grant"],
    ],
    [
      "a grant that paid before it took effect",
      "update user_token_grants set effective_at = '2030-01-15T10:02:01Z' where is_spent",
      ["terms of a grant that paid a transfer"],
    ],
    [
      "a grant that paid after it had expired",
      "update user_token_grants set expires_at = '2030-01-15T10:01:59Z' where is_spent",
      ["terms of a grant that paid a transfer"],
    ],
    [
      "a grant that paid for a tag that it is not for",
      `update user_token_grants set tag_ids = array(select id from tags where name = 'GPT-5')
        where is_spent`,
      ["terms of a grant that paid a transfer"],
    ],
    [
      "a grant that was voided without a transfer",
      "update user_token_grants set voided_at = '2030-02-01' where not is_spent",
      ["void of a grant"],
    ],
    [
      "a quota period with another use",
      "update user_quota_usage set tokens_used = 5 where tokens_used = 4",
      ["tokens used of a quota period"],
    ],
    ["a quota period that is gone", "delete from user_quota_usage where tokens_used = 4", [
      "quota period of a transfer",
      "tokens used of a quota period",
    ]],
    [
      "a quota period that ends before its transfers",
      `update user_quota_usage set period_end = period_start + interval '1 hour'
        where tokens_used = 4`,
      ["quota period of a transfer"],
    ],
    [
      "quota periods that overlap",
      `update user_quota_usage set period_end = period_end + interval '1 hour'
        where tokens_used = 10`,
      ["quota periods that overlap"],
    ],
    [
      "a quota period of a size that no change of plan fixed",
      "update user_quota_usage set is_fixed = true where tokens_used = 4",
      ["fixed quota period"],
    ],
    ["a transfer that is gone", "delete from token_transfers where transfer_number = 4", [
      "number of transfers",
      "tokens used of a quota period",
      "tokens used of a restriction",
      "usage of a quarter of an hour",
    ]],
    [
      "a transfer of a grant that is gone",
      "delete from token_transfers where transfer_number = 1",
      ["grants left after a transfer", "number of transfers", "transfer of a grant"],
    ],
    [
      "a transfer number that is left out",
      "update token_transfers set transfer_number = 5 where transfer_number = 4",
      ["number of transfers"],
    ],
    [
      "a transfer that is dated before its grants and the transfer before it",
      `update token_transfers set created_at = '2030-01-15T10:00:30Z'
        where transfer_number = 3`,
      [
        "terms of a grant that paid a transfer",
        "time of a transfer",
        "tokens used of a quota period",
      ],
    ],
    [
      "a transfer that is dated in another quota period",
      `update token_transfers set created_at = '2030-01-16T10:02:59Z'
        where transfer_number = 3`,
      [
        "quota period of a transfer",
        "terms of a grant that paid a transfer",
        "usage of a quarter of an hour",
      ],
    ],
    [
      "a transfer of another amount",
      "update token_transfers set amount = amount - 1 where transfer_number = 4",
      ["amount of a transfer", "tokens used of a restriction", "usage of a quarter of an hour"],
    ],
    [
      "a transfer with other sources",
      `update token_transfers set base_quota_used = 9, grants_used = 8
        where transfer_number = 3`,
      [
        "grants left after a transfer",
        "grants that paid a transfer",
        "tokens used of a quota period",
        "usage of a quarter of an hour",
      ],
    ],
    [
      "a transfer with another tag",
      `update token_transfers set tag_id = (select id from tags where name = 'GPT-5')
        where transfer_number = 3`,
      ["tag of a user", "tokens used of a restriction", "usage of a quarter of an hour"],
    ],
    [
      "a transfer with another key",
      "update token_transfers set api_key_id = gen_random_uuid() where transfer_number = 4",
      ["usage of a quarter of an hour"],
    ],
    ["another number of the last transfer", "update user_usage set last_transfer_number = 5", [
      "number of transfers",
    ]],
    [
      "another time of the last transfer",
      "update user_usage set not_before = '2030-02-01Z'",
      ["time of a user"],
    ],
    [
      "a usage row without a user",
      `alter table user_usage drop constraint user_usage_user_id_fkey;
        insert into user_usage (user_id) values (gen_random_uuid())`,
      ["usage row of a user"],
    ],
    ["a user without a usage row", "delete from user_usage", [
      "number of transfers",
      "usage row of a user",
    ]],
    ["a tag that the user used and does not have", "delete from user_tags", ["tag of a user"]],
    [
      "a tag that the user has and did not use",
      `insert into user_tags select u.id, t.id from tracked_users u, tags t
        where t.name = 'GPT-5'`,
      ["tag of a user"],
    ],
    ["a quarter of an hour that is gone", "delete from user_usage_buckets where calls = 1", [
      "usage of a quarter of an hour",
    ]],
    [
      "a quarter of an hour of another time",
      "update user_usage_buckets set starts_at = starts_at + interval '15 minutes'",
      ["usage of a quarter of an hour"],
    ],
    ...["calls", "tokens_used", "base_quota_used", "grants_used"].map((column): Case => [
      `other ${column} of a quarter of an hour`,
      `update user_usage_buckets set ${column} = ${column} + 1`,
      ["usage of a quarter of an hour"],
    ]),
  ]);
});

describe("of restrictions", () => {
  /** Of those of which something is so, the count with these expressions for its fields. */
  function limitsWith(condition: string, fields: string) {
    return `update user_usage u set limits = array(
      select case when ${condition} then row(c.counter_id, ${fields})::limit_usage else c end
      from unnest(u.limits) c join plan_restrictions r on r.counter_id = c.counter_id
    )`;
  }

  test("each of the three is counted", async () => {
    expect(await sql`select cardinality(limits) from user_usage`).toEqual([{ cardinality: 3 }]);
  });

  const restrictions = {
    "all tokens": "r.tag_ids is null",
    "a rolling window": "r.is_rolling",
    "several tags": "cardinality(r.tag_ids) = 2",
  };
  testEach(
    Object.entries(restrictions).flatMap(([name, condition]): Case[] => [
      [
        `of ${name}, another count`,
        limitsWith(condition, "c.starts_at, c.ends_at, c.tokens_used + 1"),
        ["tokens used of a restriction"],
      ],
      [
        `of ${name}, another beginning`,
        limitsWith(condition, "c.starts_at - interval '1 s', c.ends_at, c.tokens_used"),
        ["window of a restriction"],
      ],
      [
        `of ${name}, another end`,
        limitsWith(condition, "c.starts_at, c.ends_at + interval '15 minutes', c.tokens_used"),
        ["window of a restriction"],
      ],
    ]).concat([
      [
        "a window that has not begun",
        limitsWith(
          "r.tag_ids is null",
          "c.starts_at + interval '70 days', c.ends_at + interval '70 days', 0",
        ),
        ["window of a restriction"],
      ],
      ["windows by other clocks", "update user_usage set time_zone = 'Asia/Tokyo'", [
        "window of a restriction",
      ]],
      ["weeks from another day on", "update user_usage set week_start = 'sunday'", [
        "window of a restriction",
      ]],
    ]),
  );
});

describe("of holds and refunds", () => {
  testEach([
    ["a hold that is gone", "delete from token_holds where transfer_number = 9", [
      "tokens held after a transfer",
      "transfer of a hold",
    ]],
    ["a hold that was settled and is gone", "delete from token_holds where transfer_number = 5", [
      "end of a hold",
      "tokens held after a transfer",
      "transfer of a hold",
    ]],
    [
      "a hold of another time",
      "update token_holds set created_at = created_at - interval '1 s' where transfer_number = 9",
      ["transfer of a hold"],
    ],
    [
      "a hold that lasts longer than its transfer says",
      "update token_holds set expires_at = expires_at + interval '1 s' where transfer_number = 9",
      ["transfer of a hold"],
    ],
    [
      "a hold of another tag",
      `update token_holds set tag_id = (select id from tags where name = 'GPT-4')
        where transfer_number = 9`,
      ["transfer of a hold"],
    ],
    [
      "a hold of other tokens than its sources",
      "update token_holds set token_amount = 7 where transfer_number = 9",
      ["tokens held after a transfer", "tokens of a hold"],
    ],
    [
      "a hold of a source that gives a token to another",
      `update token_holds
        set sources = sources || array[row(null, -1, 0)::token_source, row(null, 1, 0)::token_source]
        where transfer_number = 9`,
      ["tokens of a hold"],
    ],
    [
      "a hold of base quota that does not say of which",
      `update token_holds h set quota_id = null, quota_period_start = null where transfer_number = 9;
        update token_transfers set quota_id = null, quota_period_start = null
        where transfer_number = 9`,
      ["tokens of a hold"],
    ],
    [
      "a consumption as if it had been beyond a hold",
      "update token_transfers set refers_to = 5 where transfer_number = 4",
      ["end of a hold"],
    ],
    [
      "a release that expires",
      "update token_transfers set hold_expires_at = created_at where transfer_number = 8",
      ["amount of a transfer"],
    ],
    [
      "a settled hold that is open again",
      "update token_holds set ended_by = null where transfer_number = 5",
      ["end of a hold", "tokens held after a transfer"],
    ],
    [
      "a released hold that is open again",
      "update token_holds set ended_by = null where transfer_number = 7",
      ["end of a hold", "tokens held after a transfer"],
    ],
    [
      "a hold that was ended by another transfer",
      "update token_holds set ended_by = 4 where transfer_number = 7",
      ["end of a hold", "tokens held after a transfer"],
    ],
    [
      "a hold that was settled for more than it held",
      `update token_holds set token_amount = 1, sources = array[row(null, 1, 0)::token_source]
        where transfer_number = 5;
      update token_transfers set amount = -2, base_quota_used = 2 where transfer_number = 6`,
      [
        "end of a hold",
        "tokens held after a transfer",
        "tokens used of a quota period",
        "tokens used of a restriction",
        "usage of a quarter of an hour",
      ],
    ],
    [
      "a hold that was settled after it had expired",
      `update token_holds set expires_at = '2030-01-16T11:00:30Z' where transfer_number = 5;
      update token_transfers set hold_expires_at = '2030-01-16T11:00:30Z' where transfer_number = 5`,
      ["end of a hold"],
    ],
    [
      "a hold without an end in its transfer",
      "update token_transfers set hold_expires_at = null where transfer_number = 9",
      ["amount of a transfer", "transfer of a hold"],
    ],
    [
      "an open hold of more than is left of a grant",
      `update token_holds
        set token_amount = 105, sources = array[
          row(null, 5, 0)::token_source, row((sources[2]).grant_id, 100, 0)::token_source
        ]
        where transfer_number = 9`,
      ["tokens held after a transfer", "tokens held of a grant"],
    ],
    [
      "a refund of more than was consumed",
      "update token_transfers set amount = 18, base_quota_used = -12 where transfer_number = 10",
      [
        "amount of a transfer",
        "tokens refunded of a consumption",
        "tokens used of a quota period",
        "tokens used of a restriction",
        "usage of a quarter of an hour",
      ],
    ],
    [
      "a refund that counts now",
      "update token_transfers set counted_at = created_at where transfer_number = 10",
      [
        "instant that a transfer counts at",
        "tokens used of a restriction",
        "usage of a quarter of an hour",
      ],
    ],
    [
      "a refund of something else",
      "update token_transfers set refers_to = 9 where transfer_number = 10",
      ["instant that a transfer counts at", "tokens refunded of a consumption"],
    ],
    ["a refund that is gone", "delete from token_transfers where transfer_number = 10", [
      "grants that paid a transfer",
      "number of transfers",
      "time of a user",
      "tokens used of a restriction",
      "usage of a quarter of an hour",
    ]],
    [
      "a refund that its grants did not get",
      "delete from user_token_grants_consume where transfer_number = 10",
      ["grants that paid a transfer", "tokens used of a grant"],
    ],
    [
      "a release with an amount",
      "update token_transfers set amount = 1 where transfer_number = 8",
      [
        "amount of a transfer",
      ],
    ],
  ], async (sql) => {
    const user = project.on(sql).unknownUser("ada");
    const at = (time: string) => ({ at: `2030-01-16T${time}Z` });
    const settled = await user.hold(2, at("11:00")); // Transfers 5 and 6.
    await user.settle(settled.hold_id, 1, at("11:01"));
    const released = await user.hold(2, at("11:02")); // 7 and 8.
    await user.release(released.hold_id, at("11:03"));
    await user.hold(8, at("11:04")); // 9: 5 of quota and 3 of the second grant.
    await user.refund(3, { ...at("11:05"), tokens: 6 }); // 10: 2 to the second grant, 4 to the first.
  });
});

describe("of voids, recurring grants, rollovers and changes of the account", () => {
  const VOID = "transaction_type = 'void'";
  const OCCURRENCE = "recurring_grant_id is not null and grant_type = 'bonus'";
  const account = (path: string, value: string, last = false) =>
    `update token_transfers set metadata = jsonb_set(metadata, '${path}', '${value}')
      where transaction_type = 'account_change' and transfer_number = (
        select ${last ? "max" : "min"}(transfer_number) from token_transfers
        where transaction_type = 'account_change'
      )`;

  testEach([
    ["a void of another amount", `update token_transfers set amount = amount - 1 where ${VOID}`, [
      "void of a grant",
    ]],
    [
      "a void of what was held",
      `update token_holds h set ended_by = null, expires_at = '2031-01-01'
          where ended_by is not null;
        update token_transfers set amount = amount + 1 where ${VOID}`,
      [
        "end of a hold",
        "tokens held after a transfer",
        "transfer of a hold",
        "void of a grant",
      ],
    ],
    [
      "a void of another time than its grant's",
      "update user_token_grants set voided_at = voided_at + interval '1 s'",
      ["void of a grant"],
    ],
    [
      "a grant that is not voided by its void",
      "update user_token_grants set voided_at = null",
      ["void of a grant"],
    ],
    [
      "a second void of a grant",
      `update token_transfers t
        set transaction_type = 'void', user_token_grants_id = v.user_token_grants_id
        from token_transfers v
        where v.${VOID} and t.transaction_type = 'extension'`,
      ["amount of a transfer", "end of a hold", "transfer of a hold", "void of a grant"],
    ],
    [
      "a void of a grant that paid later",
      `update user_token_grants set voided_at = '2030-01-10T11:30Z' where voided_at is not null;
        update token_transfers set created_at = '2030-01-10T11:30Z' where ${VOID}`,
      [
        "terms of a grant that paid a transfer",
        "time of a transfer",
        "tokens held after a transfer",
      ],
    ],
    [
      "an occurrence of another amount",
      `update recurring_grants set token_amount = 8`,
      ["occurrence of a recurring grant"],
    ],
    [
      "an occurrence of another kind",
      `update user_token_grants set priority = 49 where ${OCCURRENCE}`,
      ["occurrence of a recurring grant"],
    ],
    [
      "an occurrence at another time",
      `update user_token_grants set effective_at = effective_at - interval '5 days'
        where ${OCCURRENCE}`,
      ["occurrence of a recurring grant"],
    ],
    [
      "an occurrence of no recurring grant",
      `update user_token_grants set recurring_grant_id = gen_random_uuid() where ${OCCURRENCE}`,
      ["occurrence of a recurring grant"],
    ],
    [
      "an occurrence whose number was not counted",
      "update recurring_grants set occurrences_booked = 0",
      ["next recurring grant of a user", "occurrence of a recurring grant"],
    ],
    [
      "a number of occurrences of which one was never given",
      "update recurring_grants set valid_for = null, occurrences_booked = occurrences_booked + 1",
      ["occurrence of a recurring grant"],
    ],
    [
      "a user whose next occurrence nobody would look for",
      "update user_usage set due_at = 'infinity'",
      ["next recurring grant of a user"],
    ],
    [
      "a rollover of another period than its id says",
      `update user_token_grants set effective_at = effective_at - interval '1 s'
        where grant_type = 'rollover'`,
      ["rollover of a quota period"],
    ],
    [
      "a period of fixed size that begins when no plan changed",
      `update user_quota_usage set period_start = period_start - interval '1 s' where is_fixed;
        update token_transfers set quota_period_start = quota_period_start - interval '1 s'
          where quota_period_start = '2030-01-10T14:00Z'`,
      ["fixed quota period"],
    ],
    [
      "an account that no transfer changed",
      "update tracked_users set payment_status = 'paused'",
      ["account after the last change"],
    ],
    [
      "an account with another past than its user's",
      account("{after,payment_status}", '"paused"', true),
      ["account after the last change"],
    ],
    [
      "a change of the account that did not begin where the one before ended",
      account("{after,billing_anchor}", '"2030-01-02T00:00:00Z"'),
      ["account before a change"],
    ],
    [
      "a next plan that did not take effect",
      `update token_transfers set metadata = jsonb_set(
          metadata, '{after,next_plan_at}', '"2031-01-01T00:00:00Z"'
        )
        where metadata -> 'after' ->> 'next_plan_id' is not null`,
      ["account before a change"],
    ],
    [
      "a change of the account that does not say what was before",
      `update token_transfers set metadata = metadata - 'before' where metadata ? 'before'`,
      ["amount of a transfer"],
    ],
    [
      "a settlement by a grant that its hold did not set aside",
      `update token_holds h set sources = array[row(
          (select g.id from user_token_grants g where g.user_id = h.user_id and g.voided_at is null limit 1),
          token_amount, 0
        )::token_source]
        where ended_by is not null and user_id in (select user_id from recurring_grants)`,
      ["grants that paid a settlement", "void of a grant"],
    ],
    [
      "a change of the account without metadata",
      `update token_transfers set metadata = null where metadata is not null`,
      ["amount of a transfer", "cut quota period", "fixed quota period"],
    ],
    [
      "an occurrence that does not say what it comes of",
      `update user_token_grants set recurring_grant_id = null where ${OCCURRENCE}`,
      ["occurrence of a recurring grant"],
    ],
    [
      "an occurrence with another context than its recurring grant",
      `update recurring_grants set metadata = '{}'`,
      ["occurrence of a recurring grant"],
    ],
    [
      "a period of fixed size that the plan's quota would change",
      "update user_quota_usage set is_fixed = false where is_fixed",
      ["fixed quota period"],
    ],
    [
      "a period of another size than the change of plan fixed",
      "update user_quota_usage set token_amount = token_amount + 1 where is_fixed",
      ["fixed quota period"],
    ],
    [
      "a period that no change of plan cut short",
      `update user_quota_usage set cut_from = period_end + interval '1 hour'
        where cut_from is null and not is_fixed`,
      ["cut quota period"],
    ],
    [
      "a period that was cut to be longer",
      "update user_quota_usage set cut_from = period_end where cut_from is not null",
      ["cut quota period"],
    ],
    [
      "a change of the account at another time",
      `update token_transfers set created_at = created_at + interval '1 s'
        where transaction_type = 'account_change'
          and metadata -> 'after' ->> 'time_zone' is not null`,
      ["account before a change"],
    ],
    [
      "a change of the account for a tag",
      `update token_transfers set tag_id = gen_random_uuid()
        where transaction_type = 'account_change'`,
      ["amount of a transfer"],
    ],
    [
      "a void that refers to another transfer",
      `update token_transfers set refers_to = 1 where ${VOID}`,
      ["amount of a transfer", "end of a hold"],
    ],
    [
      "a settlement that counts when it was made",
      `update token_transfers t set counted_at = null
        where t.transaction_type = 'consumption' and t.refers_to is not null`,
      ["end of a hold", "terms of a grant that paid a transfer"],
    ],
    [
      "an extension of a hold that was settled before",
      `update token_transfers t set refers_to = t.refers_to + 1
        where t.transaction_type = 'extension'`,
      ["end of a hold", "transfer of a hold"],
    ],
    [
      "an extension for another tag",
      `update token_transfers set tag_id = gen_random_uuid()
        where transaction_type = 'extension'`,
      ["end of a hold"],
    ],
  ], async (sql) => {
    const project = await Project.create(sql);
    await project.plan({ quota: 50, period: "1 day" }, "large");
    await project.plan({
      quota: 10,
      period: "1 day",
      rollover: { maxTokens: 3, periods: 2 },
    }, "small");
    const user = await project.user("eve", {
      billingAnchor: "2030-01-01T00:00:00Z",
      createdAt: "2030-01-01T00:00:00Z",
    });
    await user.recurringGrant(7, "1 day", {
      startsAt: "2030-01-09T09:00:00Z",
      validFor: "1 week",
    });
    const at = (time: string, day = 10) => ({ at: `2030-01-${day}T${time}Z` });
    await user.grant(9, { ...at("11:00"), tags: ["GPT-4"], effectiveAt: "2030-01-10T11:10:00Z" });
    const voided = await user.grant(90, { ...at("11:01"), priority: 1 });
    // 10 of quota, 40 of the grant that will be voided.
    await user.consume(50, { ...at("12:00"), tag: "GPT-4" });
    const hold = await user.hold(5, at("12:01")); // Of the same grant, as are the next two.
    const settled = await user.hold(6, at("12:02"));
    await user.extend(hold.hold_id, 4000, at("12:03"));
    await user.voidGrant(voided.grant_id, at("12:10"));
    await user.settle(settled.hold_id, 6, at("12:11"));
    await user.consume(10, { ...at("12:12"), tag: "GPT-4" }); // Of the other grants.
    await user.change({ plan: "large", ...at("14:00") });
    await user.consume(5, at("14:01"));
    await user.change({ plan: "small", when: "period_end", ...at("15:00") });
    await user.change({ timeZone: "Asia/Tokyo", ...at("16:00", 12) });
    await user.consume(1, at("17:00", 12));
  });
});
