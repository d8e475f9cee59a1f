import { describe, expect, test } from "vitest";
import { useDatabase } from "../support/database.ts";
import { Project, type Restriction } from "../support/project.ts";

const { sql } = useDatabase();
const at = "2026-05-06T09:30:00Z";

/** A user whose plan limits GPT-4 and GPT-5 together to 100 tokens a day, and more. */
async function userOfGroup(...more: Restriction[]) {
  const project = await Project.create(sql);
  const planId = await project.plan({
    quota: 100_000,
    restrictions: [{ tags: ["GPT-4", "GPT-5"], maxTokens: 100, duration: "1 day" }, ...more],
  });
  const user = await project.user("ada", { billingAnchor: "2026-05-01T00:00Z" });
  const limits = async () =>
    (await user.balance(at)).restrictions.map(({ tags, used, held }) => [tags, used, held]);
  return { project, planId, user, limits };
}

test("what one tag uses is no longer left for the other", async () => {
  const { user } = await userOfGroup();
  await user.consume(60, { tag: "GPT-4", at });

  expect(await user.consume(41, { tag: "GPT-5", at })).toMatchObject({
    reason: "restriction_exceeded",
    message: "Limit reached: 41 tokens requested, 40 of 100 per day left for GPT-4, GPT-5",
    retry_at: new Date("2026-05-07T00:00Z"),
    nearest_limit: {
      tag: null,
      tags: ["GPT-4", "GPT-5"],
      max_tokens: 100,
      duration: "1 day",
      window: "calendar",
      used: 60,
      held: 0,
      left: 40,
      resets_at: "2026-05-07T00:00:00+00:00",
    },
  });
  expect(await user.consume(40, { tag: "GPT-5", at })).toMatchObject({ success: true });
  expect(await user.consume(1, { tag: "GPT-4", at })).toMatchObject({ success: false });
});

test("up_to takes what the group leaves", async () => {
  const { user } = await userOfGroup();
  await user.consume(60, { tag: "GPT-4", at });

  expect(await user.consume(99, { tag: "GPT-5", mode: "up_to", at })).toMatchObject({
    success: true,
    tokens_consumed: 40,
    nearest_limit: { used: 100, left: 0 },
  });
});

test("other tags, and calls without one, are not of the group", async () => {
  const { user, limits } = await userOfGroup();
  await user.consume(500, { tag: "Claude", at });
  await user.consume(500, { at });

  expect(await limits()).toEqual([[["GPT-4", "GPT-5"], 0, 0]]);
  expect(await user.consume(100, { tag: "GPT-4", at })).toMatchObject({ success: true });
  expect(await user.consume(500, { tag: "Claude", at })).toMatchObject({
    success: true,
    nearest_limit: null,
  });
});

test("a single tag, groups that overlap and all tokens are limited side by side", async () => {
  const { user, limits } = await userOfGroup(
    { tag: "GPT-4", maxTokens: 70, duration: "1 day" },
    { tags: ["Claude", "GPT-5"], maxTokens: 80, duration: "1 day" },
    { maxTokens: 150, duration: "1 day" },
  );
  await user.consume(30, { tag: "GPT-4", at });
  await user.consume(40, { tag: "GPT-5", at });
  await user.consume(20, { tag: "Claude", at });
  await user.consume(5, { at });

  expect(await limits()).toEqual([
    [null, 95, 0],
    [["Claude", "GPT-5"], 60, 0],
    [["GPT-4"], 30, 0],
    [["GPT-4", "GPT-5"], 70, 0],
  ]);
  const nearest = async (tokens: number, tag?: string) =>
    (await user.check(tokens, { at, ...(tag && { tag }) })).nearest_limit!.tags;
  expect(await nearest(31, "GPT-4")).toEqual(["GPT-4", "GPT-5"]);
  expect(await nearest(21, "GPT-5")).toEqual(["Claude", "GPT-5"]);
  expect(await nearest(21, "Claude")).toEqual(["Claude", "GPT-5"]);
  expect(await nearest(56)).toBe(null);
  expect(await user.check(30, { tag: "GPT-4", at })).toMatchObject({ success: true });
});

test("a batch over several tags of the group is limited in all", async () => {
  const { project, user, limits } = await userOfGroup({
    tag: "GPT-5",
    maxTokens: 50,
    duration: "1 day",
  });
  await project.tagId("Claude");
  const item = (tokens: number, tag: string) => ({
    user_id: "ada",
    tokens_to_consume: tokens,
    tag,
  });

  expect(
    await project.consumeBatch([
      item(50, "GPT-4"),
      item(300, "Claude"),
      item(51, "GPT-5"),
      item(45, "GPT-5"),
      item(6, "GPT-4"),
      item(5, "GPT-4"),
    ], { at }),
  ).toMatchObject([
    { success: true, nearest_limit: { tags: ["GPT-4", "GPT-5"], left: 50 } },
    { success: true, nearest_limit: null },
    { success: false, nearest_limit: { tags: ["GPT-5"], used: 0 } },
    { success: true },
    { success: false, nearest_limit: { tags: ["GPT-4", "GPT-5"], used: 95 } },
    { success: true },
  ]);
  expect(await limits()).toEqual([[["GPT-4", "GPT-5"], 100, 0], [["GPT-5"], 45, 0]]);
  expect(await user.check(1, { tag: "GPT-5", at })).toMatchObject({ success: false });
});

test("a group may be limited in a rolling window", async () => {
  const { user } = await userOfGroup({
    tags: ["GPT-5", "GPT-4"],
    maxTokens: 30,
    duration: "1 hour",
    window: "rolling",
  });
  await user.consume(10, { tag: "GPT-4", at: "2026-05-06T09:00Z" });
  await user.consume(20, { tag: "GPT-5", at: "2026-05-06T09:20Z" });

  expect(await user.check(10, { tag: "GPT-4", at })).toMatchObject({
    retry_at: new Date("2026-05-06T10:15Z"),
  });
  expect(await user.check(11, { tag: "GPT-5", at })).toMatchObject({
    retry_at: new Date("2026-05-06T10:30Z"),
  });
});

test("holds, settlements and refunds of each tag count for the group", async () => {
  const { user, limits } = await userOfGroup();
  const { transfer_number } = await user.consume(30, { tag: "GPT-4", at });
  const { hold_id } = await user.hold(40, { tag: "GPT-5", at });
  expect(await limits()).toEqual([[["GPT-4", "GPT-5"], 30, 40]]);

  expect(await user.hold(31, { tag: "GPT-4", at })).toMatchObject({ success: false });
  await user.settle(hold_id, 35, { at });
  await user.refund(transfer_number!, { tokens: 10, at });
  expect(await limits()).toEqual([[["GPT-4", "GPT-5"], 55, 0]]);
  expect(await user.consume(45, { tag: "GPT-5", at })).toMatchObject({ success: true });
});

test("names are kept as they were written, in any order", async () => {
  const { project, planId, user } = await userOfGroup();
  await sql`delete from plan_restrictions where plan_id = ${planId}`;
  await project.restrict(planId, { tags: ["GPT-5", "GPT-4"], maxTokens: 100, duration: "1 day" });

  expect((await user.balance(at)).restrictions).toMatchObject([{ tags: ["GPT-5", "GPT-4"] }]);
});

describe("a tag of the group", () => {
  test("that is renamed goes by its new name, and keeps its count", async () => {
    const { project, user, limits } = await userOfGroup();
    await user.consume(60, { tag: "GPT-4", at });
    await sql`update tags set name = 'GPT-6' where project_id = ${project.id} and name = 'GPT-4'`;

    expect(await limits()).toEqual([[["GPT-5", "GPT-6"], 60, 0]]);
    expect(await user.consume(41, { tag: "GPT-6", at })).toMatchObject({
      message: "Limit reached: 41 tokens requested, 40 of 100 per day left for GPT-5, GPT-6",
    });
  });

  test("may be renamed along with the others", async () => {
    const { project, user, limits } = await userOfGroup();
    await user.consume(60, { tag: "GPT-4", at });
    await sql`update tags set name = 'New ' || name where project_id = ${project.id}`;

    expect(await limits()).toEqual([[["New GPT-4", "New GPT-5"], 60, 0]]);
  });

  test("that is deleted leaves the group, which limits the others as before", async () => {
    const { project, user, limits } = await userOfGroup();
    await user.consume(60, { tag: "GPT-4", at });
    await sql`delete from tags where project_id = ${project.id} and name = 'GPT-5'`;

    expect(await limits()).toEqual([[["GPT-4"], 60, 0]]);
    expect(await user.consume(41, { tag: "GPT-4", at })).toMatchObject({ success: false });
  });

  test("that is deleted along with all others takes the restriction with it", async () => {
    const { project, planId } = await userOfGroup({ maxTokens: 1, duration: "1 day" });
    await sql`delete from tags where project_id = ${project.id}`;

    expect(await sql`select restriction_config from plan_restrictions where plan_id = ${planId}`)
      .toEqual([{ restriction_config: { max_tokens: 1, duration: "1 day" } }]);
  });

  test("that was deleted one after another takes it too", async () => {
    const { project, planId } = await userOfGroup();
    for (const name of ["GPT-4", "GPT-5"]) {
      await sql`delete from tags where project_id = ${project.id} and name = ${name}`;
    }

    expect(await sql`select from plan_restrictions where plan_id = ${planId}`).toEqual([]);
  });

  test("that was used cannot be deleted", async () => {
    const { project, user, limits } = await userOfGroup();
    await user.consume(60, { tag: "GPT-4", at });

    await expect(sql`delete from tags where project_id = ${project.id} and name = 'GPT-4'`)
      .rejects.toMatchObject({ code: "TG007" });
    expect(await limits()).toEqual([[["GPT-4", "GPT-5"], 60, 0]]);
  });
});

test.each<[string, object, number]>([
  ["joins the group", { tag_names: ["GPT-4", "GPT-5", "Claude"] }, 67],
  ["leaves it", { tag_names: ["GPT-4"] }, 20],
  ["is all that is left of it", { tag_names: ["GPT-5"] }, 40],
])("a tag that %s by an edit is counted anew, with what it has used", async (_, names, used) => {
  const { planId, user, limits } = await userOfGroup();
  await user.consume(20, { tag: "GPT-4", at });
  await user.consume(40, { tag: "GPT-5", at });
  await user.consume(7, { tag: "Claude", at });
  await sql`update plan_restrictions
    set restriction_config = restriction_config || ${sql.json({ ...names })}
    where plan_id = ${planId}`;

  expect(await limits()).toMatchObject([[expect.anything(), used, 0]]);
});

test("a group may become a restriction of all tokens, and back", async () => {
  const { planId, user, limits } = await userOfGroup();
  await user.consume(20, { tag: "GPT-4", at });
  await user.consume(7, { at });
  await sql`update plan_restrictions
    set restriction_type = 'total', restriction_config = restriction_config - 'tag_names'
    where plan_id = ${planId}`;

  expect(await limits()).toEqual([[null, 27, 0]]);
  await user.consume(3, { tag: "Claude", at });
  expect(await limits()).toEqual([[null, 30, 0]]);
  await sql`update plan_restrictions
    set restriction_type = 'tag', restriction_config = restriction_config || '{"tag_name": "Claude"}'
    where plan_id = ${planId}`;
  expect(await limits()).toEqual([[["Claude"], 3, 0]]);
});
