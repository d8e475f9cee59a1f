import { describe, expect, test } from "vitest";
import { useDatabase } from "../support/database.ts";
import { type PlanOptions, Project } from "../support/project.ts";

const { sql } = useDatabase();
const at = "2031-05-05T00:00:00Z";

/** A user with 10 tokens for anything, 20 for GPT-4, and 40 for GPT-5 or Claude. */
async function userWithScopes(plan: PlanOptions = { type: "pay_as_you_go" }) {
  const project = await Project.create(sql);
  await project.plan(plan);
  const user = await project.user("ada", { billingAnchor: at });
  const any = await user.grant(10, { at: "2031-05-01T00:00:00Z" });
  const gpt4 = await user.grant(20, { at: "2031-05-02T00:00:00Z", tags: ["GPT-4"] });
  const two = await user.grant(40, { at: "2031-05-03T00:00:00Z", tags: ["GPT-5", "Claude"] });
  return { user, project, any: any.grant_id, gpt4: gpt4.grant_id, two: two.grant_id };
}

describe("a grant for some tags", () => {
  test.each([
    { tag: "GPT-4", available: 30 },
    { tag: "GPT-5", available: 50 },
    { tag: "Claude", available: 50 },
    { tag: "Llama", available: 10 },
    { tag: undefined, available: 10 },
  ])("can be spent on those alone: $available for $tag", async ({ tag, available }) => {
    const { user } = await userWithScopes();
    const call = { at, ...(tag && { tag }) };

    expect(await user.consume(available + 3, call)).toMatchObject({
      success: false,
      reason: "insufficient_tokens",
      message: `Not enough tokens: ${available + 3} requested, ${available} left`,
      hint: "Grant what is lacking (3).",
      shortfall: 3,
      grants_left: 70,
      retry_at: null,
    });
    expect(await user.check(500, { ...call, mode: "up_to" })).toMatchObject({
      tokens_consumed: available,
    });
    expect(await user.hold(available + 1, call)).toMatchObject({ success: false, shortfall: 1 });
    expect(await user.consume(available, call)).toMatchObject({
      success: true,
      grants_left: 70 - available,
    });
    expect(await user.consume(1, { ...call, mode: "up_to" })).toMatchObject({ success: false });
  });

  test("pays in its place of the order, and is skipped for other tags", async () => {
    const { user, any, gpt4, two } = await userWithScopes();

    expect((await user.check(30, { at, tag: "GPT-4" })).sources).toEqual([
      { type: "grant", grant_id: any, tokens: 10, left: 0 },
      { type: "grant", grant_id: gpt4, tokens: 20, left: 0 },
    ]);
    expect((await user.check(45, { at, tag: "Claude" })).sources).toEqual([
      { type: "grant", grant_id: any, tokens: 10, left: 0 },
      { type: "grant", grant_id: two, tokens: 35, left: 5 },
    ]);
  });

  test("counts in grants_left, and the balance says for what", async () => {
    const { user } = await userWithScopes();

    expect(await user.balance(at)).toMatchObject({
      grants_left: 70,
      tokens_left: 70,
      grants: [{ tags: null }, { tags: ["GPT-4"] }, { tags: ["Claude", "GPT-5"] }],
    });
  });

  test("comes after base quota, which is for any tag", async () => {
    const { user } = await userWithScopes({ quota: 100 });

    expect(await user.consume(115, { at, tag: "GPT-4" })).toMatchObject({
      base_quota_used: 100,
      grants_used: 15,
    });
    expect(await user.consume(1, { at })).toMatchObject({
      success: false,
      message: "Not enough tokens: 1 requested, 0 left",
    });
  });

  test("does not help a call that payment keeps from base quota", async () => {
    const { user } = await userWithScopes({ quota: 5 });
    await user.change({ at, paymentStatus: "paused" });

    expect(await user.check(15, { at })).toMatchObject({
      reason: "payment_inactive",
      shortfall: 5,
    });
    expect(await user.check(16, { at })).toMatchObject({ reason: "insufficient_tokens" });
    expect(await user.check(30, { at, tag: "GPT-4" })).toMatchObject({ success: true });
  });

  test("is restricted as any other source", async () => {
    const { user } = await userWithScopes({
      type: "pay_as_you_go",
      restrictions: [{ tag: "GPT-4", maxTokens: 15, duration: "1 day" }],
    });

    expect(await user.consume(16, { at, tag: "GPT-4" })).toMatchObject({
      reason: "restriction_exceeded",
    });
    expect(await user.check(99, { at, tag: "GPT-4", mode: "up_to" })).toMatchObject({
      tokens_consumed: 15,
    });
  });

  test("of which one takes effect later helps a denial of its tags only", async () => {
    const { user } = await userWithScopes();
    const effectiveAt = "2031-05-06T00:00:00Z";
    await user.grant(100, { at, effectiveAt, tags: ["GPT-4"] });

    expect(await user.check(130, { at, tag: "GPT-4" })).toMatchObject({
      retry_at: new Date(effectiveAt),
      shortfall: 100,
    });
    expect(await user.check(131, { at, tag: "GPT-4" })).toMatchObject({ retry_at: null });
    expect(await user.check(51, { at, tag: "Claude" })).toMatchObject({ retry_at: null });
    expect(await user.check(11, { at })).toMatchObject({ retry_at: null });
    expect(await user.check(130, { at: effectiveAt, tag: "GPT-4" })).toMatchObject({
      success: true,
    });
  });

  test("that a hold set aside comes back to its tags only", async () => {
    const { user } = await userWithScopes();
    const { hold_id } = await user.hold(30, { at, tag: "GPT-4" });

    expect(await user.check(1, { at, tag: "GPT-4" })).toMatchObject({
      retry_at: new Date("2031-05-05T00:10:00Z"),
    });
    expect(await user.check(11, { at })).toMatchObject({ retry_at: null });
    expect(await user.settle(hold_id, 15, { at })).toMatchObject({
      grants_left: 55,
      sources: [{ tokens: 10, left: 0 }, { tokens: 5, left: 15 }],
    });
    expect(await user.check(1, { at })).toMatchObject({ success: false });
    expect(await user.check(15, { at, tag: "GPT-4" })).toMatchObject({ success: true });
  });

  test("pays the excess of a settlement of its tag only", async () => {
    const { user } = await userWithScopes();
    const tagged = await user.hold(5, { at, tag: "GPT-4" });
    const plain = await user.hold(5, { at });

    expect(await user.settle(tagged.hold_id, 26, { at, allowExcess: true })).toMatchObject({
      success: false,
      shortfall: 1,
    });
    expect(await user.settle(plain.hold_id, 6, { at, allowExcess: true })).toMatchObject({
      success: false,
      message: "Not enough tokens: 1 requested, 0 left",
    });
    expect(await user.settle(tagged.hold_id, 25, { at, allowExcess: true })).toMatchObject({
      excess_consumed: 20,
      grants_left: 40,
    });
  });

  test("gets a refund back, also when it was spent", async () => {
    const { user, gpt4 } = await userWithScopes();
    const { transfer_number } = await user.consume(30, { at, tag: "GPT-4" });

    expect(await user.refund(transfer_number!, { at, tokens: 12 })).toMatchObject({
      grants_left: 52,
      sources: [{ grant_id: gpt4, tokens: 12, left: 12 }],
    });
    expect(await user.check(1, { at })).toMatchObject({ success: false });
    expect(await user.check(12, { at, tag: "GPT-4" })).toMatchObject({ success: true });
    expect(await user.check(13, { at, tag: "GPT-4" })).toMatchObject({ success: false });
  });
});

describe("a batch", () => {
  test("over several tags spends each grant on its own", async () => {
    const { project } = await userWithScopes();
    const item = (tag: string | undefined, tokens: number, mode?: "up_to") => ({
      user_id: "ada",
      tokens_to_consume: tokens,
      ...(tag && { tag }),
      ...(mode && { mode }),
    });
    await project.tagId("Llama");

    const receipts = await project.consumeBatch([
      item("GPT-4", 31),
      item("GPT-5", 25),
      item("GPT-4", 15),
      item(undefined, 1),
      item("Claude", 99, "up_to"),
      item("Llama", 1, "up_to"),
      item("GPT-4", 5),
    ], { at });

    expect(
      receipts.map((
        { tokens_consumed, grants_left, shortfall },
      ) => [tokens_consumed, grants_left, shortfall]),
    ).toEqual([
      [0, 70, 1],
      [25, 45, 0],
      [15, 30, 0],
      [0, 30, 1],
      [25, 5, 0],
      [0, 5, 1],
      [5, 0, 0],
    ]);
  });
});

test("the names of the tags may come in any order, and twice", async () => {
  const { project } = await userWithScopes();
  const [grant] = await sql`
    select tags, grant_id from grant_tokens(${project.id}, 'ada', 5, 'bonus',
      p_tags => ${["GPT-5", "Claude", "GPT-5"]})`;

  expect(grant!["tags"]).toEqual(["Claude", "GPT-5"]);
  expect(
    await sql`select cardinality(tag_ids) from user_token_grants
    where id = ${grant!["grant_id"]}`,
  ).toEqual([{ cardinality: 2 }]);
});

test("a tag that is renamed keeps its tokens", async () => {
  const { user, project } = await userWithScopes();
  await sql`update tags set name = 'GPT-4o' where project_id = ${project.id} and name = 'GPT-4'`;

  expect(await user.check(30, { at, tag: "GPT-4o" })).toMatchObject({ success: true });
  expect(await user.balance(at)).toMatchObject({
    grants: [{ tags: null }, { tags: ["GPT-4o"] }, {}],
  });
});
