import { describe, expect, test } from "vitest";
import { contents } from "../support/contents.ts";
import { useDatabase } from "../support/database.ts";
import { Project } from "../support/project.ts";

const { sql } = useDatabase();
const conflict = {
  code: "TG006",
  message: "The request id 'r-1' was used for another request of this user",
};

async function projectOfAda() {
  const project = await Project.create(sql);
  await project.plan({ type: "pay_as_you_go" });
  const user = await project.user("ada");
  const gpt4 = await project.tagId("GPT-4");
  const gpt5 = await project.tagId("GPT-5");
  return { project, user, gpt4, gpt5 };
}

/** All that can be said of a grant. */
const full = {
  p_tokens: 300,
  p_grant_type: "purchase",
  p_expires_at: "2100-01-01T00:00:00Z",
  p_effective_at: "2099-01-01T00:00:00Z",
  p_priority: 7,
  p_tags: ["GPT-4", "GPT-5"],
  p_cost_basis: 1999,
  p_cost_currency: "EUR",
  p_metadata: { order: 7 },
};
type Terms = { [name in keyof typeof full]?: typeof full[name] | null };

async function grant(project: Project, terms: Terms) {
  const t = { p_priority: 50, ...terms };
  const [receipt] = await sql`select * from grant_tokens(${project.id}, 'ada',
    ${t.p_tokens ?? null}, ${t.p_grant_type ?? null}, ${t.p_expires_at ?? null}::text::timestamptz,
    ${t.p_metadata ? sql.json(t.p_metadata) : null}, 'r-1', ${t.p_effective_at ?? null},
    ${t.p_priority}, ${t.p_tags ?? null}, ${t.p_cost_basis ?? null}, ${t.p_cost_currency ?? null})`;
  return receipt!;
}

describe("a grant that is repeated", () => {
  test("with all its terms answers the first receipt, and writes nothing", async () => {
    const { project } = await projectOfAda();
    const first = await grant(project, full);
    const before = await contents(sql);

    expect(first).toMatchObject({
      user_id: "ada",
      tokens: 300,
      grant_type: "purchase",
      effective_at: new Date("2099-01-01T00:00:00Z"),
      expires_at: new Date("2100-01-01T00:00:00Z"),
      priority: 7,
      tags: ["GPT-4", "GPT-5"],
      cost_basis: 1999,
      cost_currency: "EUR",
      metadata: { order: 7 },
      grants_left: 0,
      transfer_number: 1,
      request_id: "r-1",
      replayed: false,
    });
    expect(await grant(project, full)).toEqual({ ...first, replayed: true });
    expect(await contents(sql)).toEqual(before);
  });

  test("without terms answers the first receipt", async () => {
    const { project } = await projectOfAda();
    const first = await grant(project, { p_tokens: 300, p_grant_type: "bonus" });

    expect(await grant(project, { p_tokens: 300, p_grant_type: "bonus" }))
      .toEqual({ ...first, replayed: true });
  });

  test("with what was left out given as the default is the same", async () => {
    const { project } = await projectOfAda();
    await grant(project, { ...full, p_expires_at: null, p_priority: 50 });

    expect(await grant(project, { ...full, p_expires_at: "infinity", p_priority: null }))
      .toMatchObject({ replayed: true });
  });

  test("with its tags in another order is the same", async () => {
    const { project } = await projectOfAda();
    await grant(project, full);

    expect(await grant(project, { ...full, p_tags: ["GPT-5", "GPT-4", "GPT-5"] })).toMatchObject({
      replayed: true,
      tags: ["GPT-4", "GPT-5"],
    });
  });

  test.each<[string, Terms]>([
    ["amount", { p_tokens: 301 }],
    ["type", { p_grant_type: "bonus" }],
    ["expiry", { p_expires_at: "2100-01-01T00:00:01Z" }],
    ["lack of an expiry", { p_expires_at: null }],
    ["instant to take effect", { p_effective_at: "2099-01-01T00:00:01Z" }],
    ["lack of an instant to take effect", { p_effective_at: null }],
    ["priority", { p_priority: 8 }],
    ["tag", { p_tags: ["GPT-4"] }],
    ["lack of tags", { p_tags: null }],
    ["cost", { p_cost_basis: 2000 }],
    ["currency", { p_cost_currency: "USD" }],
    ["lack of a cost", { p_cost_basis: null, p_cost_currency: null }],
    ["metadata", { p_metadata: { order: 8 } }],
    ["lack of metadata", { p_metadata: null }],
  ])("with another %s is refused", async (_, change) => {
    const { project } = await projectOfAda();
    await grant(project, full);

    await expect(grant(project, { ...full, ...change })).rejects.toMatchObject(conflict);
  });
});

describe("a grant that was inserted by hand", () => {
  test.each(["as by function", "in another order", "twice"])(
    "with its tags %s is the same request by function",
    async (order) => {
      const { project, user, gpt4, gpt5 } = await projectOfAda();
      const sorted = [gpt4, gpt5].sort();
      const ids = {
        "as by function": sorted,
        "in another order": sorted.toReversed(),
        "twice": [...sorted, gpt4],
      }[order]!;
      const [row] = await sql<{ id: string }[]>`
        insert into user_token_grants (user_id, token_amount, grant_type, expires_at, effective_at,
          priority, tag_ids, cost_basis, cost_currency, metadata, request_id)
        values (${user.id!}, 300, 'purchase', '2100-01-01T00:00:00Z', '2099-01-01T00:00:00Z', 7,
          ${ids}, 1999, 'EUR', '{"order": 7}', 'r-1')
        returning id`;

      expect(await grant(project, full)).toMatchObject({ replayed: true, grant_id: row!.id });
      await expect(grant(project, { ...full, p_priority: 8 })).rejects.toMatchObject(conflict);
    },
  );

  test("without terms is the same request by function", async () => {
    const { project, user } = await projectOfAda();
    await sql`insert into user_token_grants (user_id, token_amount, grant_type, request_id)
      values (${user.id!}, 300, 'bonus', 'r-1')`;

    expect(await grant(project, { p_tokens: 300, p_grant_type: "bonus" }))
      .toMatchObject({ replayed: true, grants_left: 300 });
  });

  test.each<[string, (project: Project) => Promise<unknown>]>([
    ["grant by function", (project) => grant(project, { p_tokens: 9, p_grant_type: "bonus" })],
    [
      "grant by hand",
      ({ id }) =>
        sql`insert into user_token_grants (user_id, token_amount, grant_type, request_id)
        values (tollgate.tracked_user_id(${id}, 'ada'), 9, 'bonus', 'r-1')`,
    ],
    [
      "consumption",
      (project) => project.unknownUser("ada").consume(1, { requestId: "r-1" }),
    ],
    ["hold", (project) => project.unknownUser("ada").hold(1, { requestId: "r-1" })],
    [
      "change of the account",
      (project) => project.unknownUser("ada").change({ paymentStatus: "paused", requestId: "r-1" }),
    ],
    ["void", async (project) => {
      const { grant_id } = await project.unknownUser("ada").grant(5);
      await project.unknownUser("ada").voidGrant(grant_id, { requestId: "r-1" });
    }],
  ])("with the request id of a %s is refused", async (_, use) => {
    const { project, user } = await projectOfAda();
    await user.grant(100);
    await use(project);
    const before = await contents(sql);

    await expect(
      sql`insert into user_token_grants (user_id, token_amount, grant_type, request_id)
        values (${user.id!}, 9, 'bonus', 'r-1')`,
    ).rejects.toMatchObject(conflict);
    expect(await contents(sql)).toEqual(before);
  });
});
