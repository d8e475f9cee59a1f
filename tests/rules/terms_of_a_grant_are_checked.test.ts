import { describe, expect, test } from "vitest";
import { useDatabase } from "../support/database.ts";
import { Project, type User } from "../support/project.ts";

const { sql } = useDatabase();

async function payAsYouGoUser() {
  const project = await Project.create(sql);
  await project.plan({ type: "pay_as_you_go" });
  return project.user("ada");
}

/** Arguments of grant_tokens() in SQL, or columns of user_token_grants. */
type Terms = Record<string, string>;

const byFunction = ({ id, project }: User, terms: Terms) => {
  const named = Object.entries({ tokens: "10", grant_type: "'bonus'", ...terms })
    .map(([name, value]) => `p_${name} => ${value}`);
  return sql.unsafe(`select g.* from grant_tokens('${project.id}', 'ada', ${named}) g
    where '${id}' is not null`);
};

const byHand = ({ id }: User, terms: Terms) => {
  const row = { user_id: `'${id}'`, token_amount: "10", grant_type: "'bonus'", ...terms };
  return sql.unsafe(`insert into user_token_grants (${Object.keys(row)})
    values (${Object.values(row)}) returning *`);
};

const wrongAnyway: [string, Terms, string][] = [
  [
    "expires before it takes effect",
    { effective_at: "now() + interval '2 days'", expires_at: "now() + interval '1 day'" },
    "expires_at .* is not after effective_at",
  ],
  [
    "expires when it takes effect",
    { effective_at: "now() + interval '1 day'", expires_at: "now() + interval '1 day'" },
    "expires_at .* is not after effective_at",
  ],
  [
    "took effect and has expired",
    { effective_at: "now() - interval '2 days'", expires_at: "now() - interval '1 day'" },
    "expires_at .* is not in the future",
  ],
  ["never takes effect", { effective_at: "'infinity'" }, "effective_at must be an instant"],
  ["always took effect", { effective_at: "'-infinity'" }, "effective_at must be an instant"],
  ["takes effect in 10000", { effective_at: "'10000-01-01 UTC'" }, "effective_at must be an inst"],
  ["took effect BC", { effective_at: "'0001-12-31 BC'" }, "effective_at must be an instant"],
  ["expires after 9999", { expires_at: "'10000-01-01 UTC'" }, "expires_at must be an instant"],
  ["has priority 0", { priority: "0" }, "priority must be a whole number from 1 to 100"],
  ["has priority 101", { priority: "101" }, "priority must be a whole number from 1 to 100"],
  ["costs something of no currency", { cost_basis: "100" }, "cost_basis must be"],
  ["has a currency, but no cost", { cost_currency: "'EUR'" }, "cost_basis must be"],
  ["costs less than nothing", { cost_basis: "-1", cost_currency: "'EUR'" }, "cost_basis must be"],
  [
    "costs more than 1e15",
    { cost_basis: "1000000000000001", cost_currency: "'EUR'" },
    "cost_basis must be",
  ],
  ...["'eur'", "'EU'", "'EURO'", "'€'", "''", "'EUR '", "E'EUR\\n'"].map((
    currency,
  ): [string, Terms, string] => [
    `costs something of currency ${currency}`,
    { cost_basis: "100", cost_currency: currency },
    "cost_basis must be",
  ]),
  [
    "is of type rollover",
    { grant_type: "'rollover'" },
    "Grants of type rollover are made by quotas",
  ],
];

describe.each([["by function", byFunction], ["by hand", byHand]])("%s", (_, grant) => {
  test.each(wrongAnyway)("a grant that %s is refused", async (_, terms, message) => {
    const user = await payAsYouGoUser();

    await expect(grant(user, terms)).rejects.toMatchObject({
      code: "TG001",
      message: expect.stringMatching(`^${message}`),
      hint: expect.any(String),
    });
    expect(await user.balance()).toMatchObject({ grants: [] });
  });

  test.each<[string, Terms, object]>([
    ["costs nothing", { cost_basis: "0", cost_currency: "'EUR'" }, { cost_basis: 0 }],
    [
      "costs 1e15",
      { cost_basis: "1000000000000000", cost_currency: "'JPY'" },
      { cost_basis: 1e15, cost_currency: "JPY" },
    ],
    ["has priority 1", { priority: "1" }, { priority: 1 }],
    ["has priority 100", { priority: "100" }, { priority: 100 }],
    [
      "costs nothing that anybody knows",
      {},
      { cost_basis: null, cost_currency: null, priority: 50, expires_at: null },
    ],
    ["expires at infinity, that is never", { expires_at: "'infinity'" }, { expires_at: null }],
  ])("a grant that %s is given", async (_, terms, given) => {
    const user = await payAsYouGoUser();

    expect(await grant(user, terms)).toMatchObject([given]);
    expect(await user.balance()).toMatchObject({ grants_left: 10 });
  });

  test("the cost stays with the grant", async () => {
    const user = await payAsYouGoUser();
    await grant(user, { cost_basis: "1999", cost_currency: "'USD'" });
    await user.consume(4);

    expect(
      await sql`select cost_basis, cost_currency from user_token_grants where user_id = ${user
        .id!}`,
    ).toEqual([{ cost_basis: 1999, cost_currency: "USD" }]);
  });
});

describe("the tags of a grant", () => {
  test.each<[string, string[], object]>([
    ["none", [], { code: "TG001", message: "tag_ids must be 1 to 100 tags of the project" }],
    ["an unknown one", ["GPT-4", "GPT-5"], {
      code: "TG005",
      message: "The tag 'GPT-5' is not known in this project",
    }],
    ["one that is spelt in another way", ["gpt-4"], { code: "TG005" }],
    [
      "101",
      Array.from({ length: 101 }, (_, index) => `tag ${index}`),
      { code: "TG001", message: "tag_ids must be 1 to 100 tags of the project" },
    ],
  ])("by function must not be %s", async (_, tags, mistake) => {
    const { project } = await payAsYouGoUser();
    await project.tagId("GPT-4");
    if (tags.length > 100) { for (const tag of tags) await project.tagId(tag); }

    await expect(
      sql`select grant_tokens(${project.id}, 'ada', 5, 'bonus', p_tags => ${tags})`,
    ).rejects.toMatchObject(mistake);
  });

  test("may be 100", async () => {
    const { project } = await payAsYouGoUser();
    const tags = Array.from({ length: 100 }, (_, index) => `tag ${index}`);
    for (const tag of tags) await project.tagId(tag);

    expect(
      await sql`select cardinality(tags) from grant_tokens(${project.id}, 'ada', 5, 'bonus',
        p_tags => ${tags})`,
    ).toEqual([{ cardinality: 100 }]);
  });

  test("by hand must be of the user's project", async () => {
    const user = await payAsYouGoUser();
    const own = await user.project.tagId("GPT-4");
    const foreign = await (await payAsYouGoUser()).project.tagId("GPT-4");
    const insert = (ids: (string | null)[]) =>
      byHand(user, { tag_ids: `array[${ids.map((id) => id ? `'${id}'` : "null")}]::uuid[]` });

    for (const ids of [[], [null], [own, null], [foreign], [own, foreign]]) {
      await expect(insert(ids)).rejects.toMatchObject({
        code: "TG001",
        message: "tag_ids must be 1 to 100 tags of the project",
        hint: "Leave it out for tokens that can be spent on anything.",
      });
    }
    expect(await insert([own])).toMatchObject([{ tag_ids: [own] }]);
  });
});

test.each([
  "effective_at = now()",
  "priority = 1",
  "tag_ids = '{}'",
  "cost_basis = 1",
  "cost_currency = 'EUR'",
  "voided_at = now()",
  "recurring_grant_id = user_id",
])("%s cannot be set by hand afterwards", async (change) => {
  const user = await payAsYouGoUser();
  await user.grant(10);

  await expect(sql.unsafe(`update user_token_grants set ${change} where user_id = '${user.id}'`))
    .rejects.toMatchObject({ code: "TG007", hint: expect.stringContaining("void_grant()") });
});

test("where a grant comes from, and that it is void, is not said by hand", async () => {
  const user = await payAsYouGoUser();

  expect(
    await byHand(user, {
      voided_at: "now()",
      recurring_grant_id: "gen_random_uuid()",
      refund_of: "1",
    }),
  ).toMatchObject([{ voided_at: null, recurring_grant_id: null, refund_of: null }]);
});
