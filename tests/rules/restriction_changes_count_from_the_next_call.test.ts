import { expect, test } from "vitest";
import { useDatabase } from "../support/database.ts";
import { Project } from "../support/project.ts";

const { sql } = useDatabase();
const at = "2026-05-06T09:30:00Z";

test("a total restriction added in mid-window counts what the window has used", async () => {
  const project = await Project.create(sql);
  const planId = await project.plan({ quota: 9000 });
  const user = await project.user("ada");
  await user.consume(30, { at: "2026-05-05T23:59:59Z" });
  await user.consume(60, { tag: "GPT-4", at });
  await user.consume(20, { at });
  await project.restrict(planId, { maxTokens: 100, duration: "1 day" });

  expect(await user.consume(21, { at })).toMatchObject({ reason: "restriction_exceeded" });
  expect(await user.consume(20, { at })).toMatchObject({ success: true });
});

test("a tag's restriction added in mid-window counts what the tag has used", async () => {
  const project = await Project.create(sql);
  const planId = await project.plan({ quota: 9000 });
  const user = await project.user("ada");
  await user.consume(30, { tag: "GPT-4", at: "2026-05-05T23:59:59Z" });
  await user.consume(60, { tag: "GPT-4", at });
  await user.consume(20, { at });
  await project.restrict(planId, { tag: "GPT-4", maxTokens: 100, duration: "1 day" });

  expect(await user.consume(41, { tag: "GPT-4", at })).toMatchObject({
    reason: "restriction_exceeded",
  });
  expect(await user.consume(40, { tag: "GPT-4", at })).toMatchObject({ success: true });
});

test.each([
  { change: "raised", maxTokens: 120, fits: 40, passes: 41 },
  { change: "lowered", maxTokens: 90, fits: 10, passes: 11 },
])(
  "a restriction that was $change in mid-window is obeyed",
  async ({ maxTokens, fits, passes }) => {
    const project = await Project.create(sql);
    const planId = await project.plan({
      quota: 9000,
      restrictions: [{ maxTokens: 100, duration: "1 day" }],
    });
    const user = await project.user("ada");
    await user.consume(80, { at });
    await sql`update plan_restrictions
    set restriction_config = ${sql.json({ max_tokens: maxTokens, duration: "1 day" })}
    where plan_id = ${planId}`;

    expect(await user.consume(passes, { at })).toMatchObject({ reason: "restriction_exceeded" });
    expect(await user.consume(fits, { at })).toMatchObject({ success: true });
  },
);

test("a restriction lowered below what was used leaves 0, not less", async () => {
  const project = await Project.create(sql);
  const planId = await project.plan({
    quota: 9000,
    restrictions: [{ maxTokens: 100, duration: "1 day" }],
  });
  const user = await project.user("ada");
  await user.consume(80, { at });
  await sql`update plan_restrictions
    set restriction_config = '{"max_tokens": 50, "duration": "1 day"}' where plan_id = ${planId}`;

  expect(await user.consume(1, { at })).toMatchObject({
    message: "Limit reached: 1 tokens requested, 0 of 50 per day left",
    nearest_limit: { used: 80, left: 0 },
  });
  expect((await user.balance(at)).restrictions).toMatchObject([{ used: 80, left: 0 }]);
});

test("a restriction that was deleted no longer counts", async () => {
  const project = await Project.create(sql);
  const planId = await project.plan({
    quota: 9000,
    restrictions: [{ maxTokens: 100, duration: "1 day" }],
  });
  const user = await project.user("ada");
  await user.consume(100, { at });
  await sql`delete from plan_restrictions where plan_id = ${planId}`;

  expect(await user.consume(1000, { at })).toMatchObject({ success: true, nearest_limit: null });
});

test("a changed duration counts what the new window has used", async () => {
  const project = await Project.create(sql);
  const planId = await project.plan({
    quota: 9000,
    restrictions: [{ maxTokens: 100, duration: "1 hour" }],
  });
  const user = await project.user("ada");
  await user.consume(70, { at: "2026-05-06T08:30:00Z" });
  await user.consume(20, { at });
  await sql`update plan_restrictions
    set restriction_config = '{"max_tokens": 100, "duration": "1 day"}' where plan_id = ${planId}`;

  expect(await user.consume(11, { at })).toMatchObject({ reason: "restriction_exceeded" });
  expect(await user.consume(10, { at })).toMatchObject({ success: true });
});

test("a restriction moved from all tokens to one tag counts that tag", async () => {
  const project = await Project.create(sql);
  const planId = await project.plan({
    quota: 9000,
    restrictions: [{ maxTokens: 100, duration: "1 day" }],
  });
  const user = await project.user("ada");
  await user.consume(70, { at });
  await user.consume(30, { tag: "GPT-4", at });
  await sql`update plan_restrictions
    set restriction_type = 'tag',
      restriction_config = '{"tag_name": "GPT-4", "max_tokens": 100, "duration": "1 day"}'
    where plan_id = ${planId}`;

  expect(await user.consume(500, { at })).toMatchObject({ success: true });
  expect(await user.consume(71, { tag: "GPT-4", at })).toMatchObject({
    reason: "restriction_exceeded",
  });
  expect(await user.consume(70, { tag: "GPT-4", at })).toMatchObject({ success: true });
});
