import { beforeAll, describe, expect, test } from "vitest";
import { type TestSql, useDatabase } from "../support/database.ts";
import { Project } from "../support/project.ts";

const { sql } = useDatabase();

/** One user with two grants, of which the first is spent, one tag, and two quota periods. */
beforeAll(async () => {
  const project = await Project.create(sql);
  await project.plan({ quota: 10, period: "1 day" });
  const user = await project.user("ada", { billingAnchor: "2030-01-01T00:00:00Z" });
  await user.grant(5, { at: "2030-01-15T10:00:00Z", expiresAt: "2031-01-01T00:00:00Z" });
  await user.grant(5, { at: "2030-01-15T10:01:00Z" });
  await user.consume(17, { at: "2030-01-15T10:02:00Z", tag: "GPT-4" }); // 10 quota, 5 + 2 grants
  await user.consume(4, { at: "2030-01-16T10:03:00Z" });
});

/** What verify_ledger() answers after an edit that no trigger stops. */
async function disagreementsAfter(edit: (sql: TestSql) => PromiseLike<unknown>) {
  const connection = await sql.reserve();
  try {
    await connection`begin`;
    for (
      const table of [
        "tracked_users",
        "user_token_grants",
        "user_token_grants_consume",
        "user_quota_usage",
        "token_transfers",
        "user_usage",
        "user_tag_usage",
        "token_holds",
      ]
    ) {
      await connection`alter table ${connection(table)} disable trigger user`;
    }
    await edit(connection);
    return await connection<{ disagreement: string }[]>`
      select distinct disagreement, row_key, expected, found from verify_ledger()
      order by disagreement, row_key`;
  } finally {
    await connection`rollback`;
    connection.release();
  }
}

async function namesAfter(edit: (sql: TestSql) => PromiseLike<unknown>) {
  return (await disagreementsAfter(edit)).map(({ disagreement }) => disagreement);
}

test("nothing disagrees before an edit", async () => {
  expect(await disagreementsAfter((sql) => sql`select`)).toEqual([]);
});

test("a row says which, what it should be and what it is", async () => {
  expect(
    await disagreementsAfter((sql) =>
      sql`update user_token_grants set tokens_used = 3 where tokens_used = 2`
    ),
  ).toEqual([{
    disagreement: "tokens used of a grant",
    row_key: expect.stringMatching(/^[0-9a-f-]{36}$/),
    expected: "2",
    found: "3",
  }]);
});

test("a grant that is gone", async () => {
  expect(await namesAfter((sql) => sql`delete from user_token_grants where is_spent`))
    .toEqual(["tokens used of a grant", "transfer of a grant"]);
});

test("a grant of another amount than its transfer", async () => {
  expect(
    await namesAfter((sql) =>
      sql`update user_token_grants set token_amount = 6 where not is_spent`
    ),
  ).toEqual(["transfer of a grant"]);
});

test("a grant of another time than its transfer", async () => {
  expect(
    await namesAfter((sql) =>
      sql`update user_token_grants set created_at = created_at - interval '1 s' where is_spent`
    ),
  ).toEqual(["transfer of a grant"]);
});

test("a grant without a transfer", async () => {
  expect(
    await namesAfter((sql) =>
      sql`insert into user_token_grants (user_id, token_amount, grant_type)
        select id, 5, 'bonus' from tracked_users`
    ),
  ).toEqual(["transfer of a grant"]);
});

test("a deduction that is gone", async () => {
  expect(
    await namesAfter((sql) => sql`delete from user_token_grants_consume where token_deduction = 2`),
  ).toEqual(["grants that paid a transfer", "tokens used of a grant"]);
});

test("a deduction of another amount", async () => {
  expect(
    await namesAfter((sql) =>
      sql`update user_token_grants_consume set token_deduction = 3 where token_deduction = 2`
    ),
  ).toEqual(["grants that paid a transfer", "tokens used of a grant"]);
});

test("a deduction for no transfer", async () => {
  expect(
    await namesAfter((sql) =>
      sql`update user_token_grants_consume set transfer_number = 9 where token_deduction = 2`
    ),
  ).toEqual(["grants that paid a transfer", "grants that paid a transfer"]);
});

test("a deduction from a grant that does not exist", async () => {
  expect(
    await namesAfter((sql) =>
      sql`update user_token_grants_consume set user_token_grants_id = gen_random_uuid()
        where token_deduction = 2`
    ),
  ).toEqual(["tokens used of a grant", "tokens used of a grant"]);
});

test("a quota period with another use", async () => {
  expect(
    await namesAfter((sql) =>
      sql`update user_quota_usage set tokens_used = 5 where tokens_used = 4`
    ),
  ).toEqual(["tokens used of a quota period"]);
});

test("a quota period that is gone", async () => {
  expect(await namesAfter((sql) => sql`delete from user_quota_usage where tokens_used = 4`))
    .toEqual(["tokens used of a quota period"]);
});

test("a quota period that begins or ends elsewhere than its transfers", async () => {
  expect(
    await namesAfter((sql) =>
      sql`update user_quota_usage set period_end = period_start + interval '1 hour'
        where tokens_used = 4`
    ),
  ).toEqual(["quota period of a transfer"]);
});

test("quota periods that overlap", async () => {
  expect(
    await namesAfter((sql) =>
      sql`update user_quota_usage set period_end = period_end + interval '1 hour'
        where tokens_used = 10`
    ),
  ).toEqual(["quota periods that overlap"]);
});

test("a transfer that is gone", async () => {
  expect(await namesAfter((sql) => sql`delete from token_transfers where transfer_number = 4`))
    .toEqual([
      "bounds of windows",
      "number of transfers",
      "tokens used in windows",
      "tokens used of a quota period",
    ]);
});

test("a transfer of a grant that is gone", async () => {
  expect(await namesAfter((sql) => sql`delete from token_transfers where transfer_number = 1`))
    .toEqual(["number of transfers", "transfer of a grant"]);
});

test("a transfer number that is left out", async () => {
  expect(
    await namesAfter((sql) =>
      sql`update token_transfers set transfer_number = 5 where transfer_number = 4`
    ),
  ).toEqual(["number of transfers"]);
});

test("transfers with their times the wrong way round", async () => {
  expect(
    await namesAfter((sql) =>
      sql`update token_transfers set created_at = '2030-01-16T10:02:59Z' where transfer_number = 3`
    ),
  ).toEqual(["bounds of windows", "quota period of a transfer", "tokens used in windows"]);
  expect(
    await namesAfter((sql) =>
      sql`update token_transfers set created_at = '2030-01-15T10:00:30Z' where transfer_number = 3`
    ),
  ).toEqual(["time of a transfer"]);
});

test("what a check holds needs no audit: a grant's mark", async () => {
  await expect(namesAfter((sql) => sql`update user_token_grants set is_spent = not is_spent`))
    .rejects.toMatchObject({ constraint_name: "used_is_0_to_amount" });
});

test("a transfer of another amount", async () => {
  expect(
    await namesAfter((sql) =>
      sql`update token_transfers set amount = amount - 1 where transfer_number = 4`
    ),
  ).toEqual(["amount of a transfer", "tokens used in windows"]);
});

test("a transfer with other sources", async () => {
  expect(
    await namesAfter((sql) =>
      sql`update token_transfers set base_quota_used = 9, grants_used = 8
        where transfer_number = 3`
    ),
  ).toEqual([
    "grants that paid a transfer",
    "tokens used of a quota period",
  ]);
});

test("a transfer with another tag", async () => {
  expect(
    await namesAfter((sql) =>
      sql`update token_transfers set tag_id = gen_random_uuid()
      where transfer_number = 4`
    ),
  ).toEqual(["usage row of a tag"]);
  expect(
    await namesAfter((sql) =>
      sql`update token_transfers set tag_id = null
      where transfer_number = 3`
    ),
  ).toEqual(["tokens used in windows"]);
});

test.for(["hour_used", "day_used", "week_used", "month_used"])(
  "another %s, of all tokens or of a tag",
  async (column) => {
    expect(
      await namesAfter((sql) => sql`update user_usage set ${sql(column)} = ${sql(column)} + 1`),
    ).toEqual(["tokens used in windows"]);
    expect(
      await namesAfter((sql) => sql`update user_tag_usage set ${sql(column)} = ${sql(column)} + 1`),
    ).toEqual(["tokens used in windows"]);
  },
);

test.for(["hour", "day", "week", "month"])(
  "one %s that begins or ends elsewhere",
  async (window) => {
    const shift = (table: string, bound: string) => (sql: TestSql) =>
      sql`update ${sql(table)} set ${sql(bound)} = ${sql(bound)} - interval '1 s'`;
    for (
      const edit of [
        shift("user_usage", `${window}_start`),
        shift("user_usage", `${window}_end`),
        shift("user_tag_usage", `${window}_start`),
      ]
    ) expect(await namesAfter(edit)).toEqual(["bounds of windows"]);
  },
);

test("windows of another time zone, or of none", async () => {
  for (const zone of ["Asia/Tokyo", ""]) {
    expect(await namesAfter((sql) => sql`update user_usage set time_zone = ${zone}`))
      .toEqual(["bounds of windows"]);
  }
});

test("another number or time of the last transfer", async () => {
  expect(await namesAfter((sql) => sql`update user_usage set last_transfer_number = 5`))
    .toEqual(["number of transfers"]);
  expect(await namesAfter((sql) => sql`update user_usage set last_transfer_at = '2030-02-01Z'`))
    .toEqual(["number of transfers"]);
});

test("a user without a usage row", async () => {
  expect(await namesAfter((sql) => sql`delete from user_usage`))
    .toEqual(["number of transfers", "usage row of a user"]);
});

test("a tag without a usage row", async () => {
  expect(await namesAfter((sql) => sql`delete from user_tag_usage`))
    .toEqual(["usage row of a tag"]);
});

describe("of holds and refunds", () => {
  /** Does on top of what is there: a settled, a released and an open hold, and a refund of a part. */
  async function withHolds(sql: TestSql) {
    const [project] = await sql<{ id: string }[]>`select id from projects`;
    const user = (await sql<{ external_id: string }[]>`select external_id from tracked_users`)[0]!;
    const call = (statement: string) =>
      sql.unsafe(
        statement.replaceAll(":user", `'${project!.id}', '${user.external_id}'`)
          .replaceAll(":project", `'${project!.id}'`),
      );
    const at = (time: string) => `'2030-01-16T${time}Z'`;
    const hold = async (tokens: number, time: string) => {
      const [row] = await call(`select hold_id from
        tollgate.hold(:user, ${tokens}, null, 600, null, null, ${at(time)})`);
      return row!["hold_id"] as string;
    };
    const settled = await hold(2, "11:00"); // Transfers 5 and 6.
    await call(`select tollgate.settle_hold(:project, '${settled}', 1, false, null, null,
      ${at("11:01")})`);
    const released = await hold(2, "11:02"); // 7 and 8.
    await call(`select tollgate.change_hold(:project, '${released}', null, null, ${at("11:03")})`);
    await hold(8, "11:04"); // 9: 5 of quota and 3 of the second grant.
    await call(`select tollgate.refund_tokens(:user, 3, null, 6, false, null, null, null,
      ${at("11:05")})`); // 10: 2 to the second grant, 4 to the first.
  }

  const namesWith = (edit: (sql: TestSql) => PromiseLike<unknown>) =>
    namesAfter(async (sql) => {
      await sql`alter table user_token_grants enable trigger user`;
      await withHolds(sql);
      await sql`alter table user_token_grants disable trigger user`;
      await edit(sql);
    });

  test("nothing disagrees before an edit", async () => {
    expect(await namesWith((sql) => sql`select`)).toEqual([]);
  });

  test.each<[string, string, string[]]>([
    ["a hold that is gone", "delete from token_holds where transfer_number = 9", [
      "transfer of a hold",
    ]],
    ["a hold that was settled and is gone", "delete from token_holds where transfer_number = 5", [
      "end of a hold",
      "transfer of a hold",
    ]],
    [
      "a hold of another time",
      "update token_holds set created_at = created_at - interval '1 s' where transfer_number = 9",
      [
        "transfer of a hold",
      ],
    ],
    [
      "a hold of another tag",
      "update token_holds set tag_id = (select id from tags) where transfer_number = 9",
      [
        "transfer of a hold",
      ],
    ],
    [
      "a hold of other tokens than its sources",
      "update token_holds set token_amount = 7 where transfer_number = 9",
      [
        "tokens of a hold",
      ],
    ],
    [
      "a settled hold that is open again",
      "update token_holds set ended_by = null where transfer_number = 5",
      [
        "end of a hold",
      ],
    ],
    [
      "a released hold that is open again",
      "update token_holds set ended_by = null where transfer_number = 7",
      [
        "end of a hold",
      ],
    ],
    [
      "a hold that was ended by another transfer",
      "update token_holds set ended_by = 4 where transfer_number = 7",
      [
        "end of a hold",
      ],
    ],
    [
      "a hold that was settled for more than it held",
      "update token_holds set token_amount = 1, sources = array[row(null, 1, 0)::token_source] where transfer_number = 5; update token_transfers set amount = -2, base_quota_used = 2 where transfer_number = 6",
      [
        "end of a hold",
        "tokens used in windows",
        "tokens used of a quota period",
      ],
    ],
    [
      "a hold that was settled after it had expired",
      "update token_holds set expires_at = '2030-01-16T11:00:30Z' where transfer_number = 5",
      [
        "end of a hold",
      ],
    ],
    [
      "an open hold of more than is left of a grant",
      "update token_holds set token_amount = 105, sources = array[row(null, 5, 0)::token_source, row((sources[2]).grant_id, 100, 0)::token_source] where transfer_number = 9",
      [
        "tokens held of a grant",
      ],
    ],
    [
      "a refund of more than was consumed",
      "update token_transfers set amount = 18, base_quota_used = -12 where transfer_number = 10",
      [
        "tokens refunded of a consumption",
        "tokens used in windows",
        "tokens used of a quota period",
      ],
    ],
    [
      "a refund of something else",
      "update token_transfers set refers_to = 9 where transfer_number = 10",
      [
        "tokens refunded of a consumption",
      ],
    ],
    ["a refund that is gone", "delete from token_transfers where transfer_number = 10", [
      "bounds of windows",
      "grants that paid a transfer",
      "number of transfers",
      "tokens used in windows",
    ]],
    [
      "a refund that its grants did not get",
      "delete from user_token_grants_consume where transfer_number = 10",
      [
        "grants that paid a transfer",
        "tokens used of a grant",
      ],
    ],
    [
      "a release with an amount",
      "update token_transfers set amount = 1 where transfer_number = 8",
      [
        "amount of a transfer",
      ],
    ],
  ])("%s", async (_, edit, names) => {
    const found = await namesWith((sql) => sql.unsafe(edit));
    expect([...new Set(found)]).toEqual(names);
  });
});
