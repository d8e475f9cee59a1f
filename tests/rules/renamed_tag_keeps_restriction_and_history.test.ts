import { expect, test } from "vitest";
import { useDatabase } from "../support/database.ts";
import { Project } from "../support/project.ts";

const { sql } = useDatabase();

/** A user who has used 60 of the 100 GPT-4 tokens of this month, and the tag is GPT-5 by now. */
async function userOfRenamedTag() {
  const project = await Project.create(sql);
  const planId = await project.plan({
    quota: 1000,
    restrictions: [{ tag: "GPT-4", maxTokens: 100, duration: "1 month" }],
  });
  const user = await project.user("ada");
  await user.consume(60, { tag: "GPT-4" });
  await sql`update tags set name = 'GPT-5' where project_id = ${project.id}`;
  return { project, planId, user };
}

test("the restriction's config follows the name", async () => {
  const { planId } = await userOfRenamedTag();

  expect(await sql`select restriction_config from plan_restrictions where plan_id = ${planId}`)
    .toEqual([{
      restriction_config: { tag_name: "GPT-5", max_tokens: 100, duration: "1 month" },
    }]);
});

test("what was used under the old name counts", async () => {
  const { user } = await userOfRenamedTag();

  expect(await user.consume(41, { tag: "GPT-5" })).toMatchObject({
    reason: "restriction_exceeded",
    message: "Limit reached: 41 tokens requested, 40 of 100 per month left for GPT-5",
  });
  expect(await user.consume(40, { tag: "GPT-5" })).toMatchObject({ success: true });
});

test("old transfers show the new name", async () => {
  const { project } = await userOfRenamedTag();

  expect(await sql`select amount, tag from get_user_transfers(${project.id}, 'ada')`).toEqual([
    { amount: -60, tag: "GPT-5" },
  ]);
});

test("the old name is free for a new tag, which counts from 0", async () => {
  const { user } = await userOfRenamedTag();

  expect(await user.consume(500, { tag: "GPT-4" })).toMatchObject({ success: true });
  expect((await user.balance()).restrictions).toMatchObject([{ tag: "GPT-5", used: 60 }]);
});

test("a tag without history can be deleted, and its restrictions go with it", async () => {
  const project = await Project.create(sql);
  const planId = await project.plan({
    quota: 1000,
    restrictions: [{ tag: "GPT-4", maxTokens: 100, duration: "1 month" }],
  });
  await sql`delete from tags where project_id = ${project.id}`;

  expect(await sql`select from plan_restrictions where plan_id = ${planId}`).toEqual([]);
});
