import { expect, test } from "vitest";
import { useDatabase } from "../support/database.ts";
import { Project } from "../support/project.ts";

const { sql } = useDatabase();

test("a tag's restriction denies what passes it", async () => {
  const project = await Project.create(sql);
  await project.plan({
    quota: 9000,
    restrictions: [{ tag: "GPT-4", maxTokens: 2000, duration: "1 day" }],
  });
  const user = await project.user("ada");
  await user.consume(1500, { tag: "GPT-4", at: "2026-05-04T09:00:00Z" });

  expect(await user.consume(501, { tag: "GPT-4", at: "2026-05-04T10:00:00Z" })).toMatchObject({
    success: false,
    tokens_consumed: 0,
    reason: "restriction_exceeded",
    message: "Limit reached: 501 tokens requested, 500 of 2000 per day left for GPT-4",
    retry_at: new Date("2026-05-05T00:00:00Z"),
    quota_left: 7500,
  });
});

test("a tag's restriction allows what fills it exactly", async () => {
  const project = await Project.create(sql);
  await project.plan({
    quota: 9000,
    restrictions: [{ tag: "GPT-4", maxTokens: 2000, duration: "1 day" }],
  });
  const user = await project.user("ada");
  await user.consume(1500, { tag: "GPT-4" });

  expect(await user.consume(500, { tag: "GPT-4" })).toMatchObject({ success: true });
});

test("a tag's restriction does not count other tags", async () => {
  const project = await Project.create(sql);
  await project.plan({
    quota: 9000,
    restrictions: [{ tag: "GPT-4", maxTokens: 2000, duration: "1 day" }],
  });
  const user = await project.user("ada");

  expect(await user.consume(3000, { tag: "Claude" })).toMatchObject({ success: true });
  expect(await user.consume(2000, { tag: "GPT-4" })).toMatchObject({ success: true });
});

test("a tag's restriction does not count untagged calls", async () => {
  const project = await Project.create(sql);
  await project.plan({
    quota: 9000,
    restrictions: [{ tag: "GPT-4", maxTokens: 2000, duration: "1 day" }],
  });
  const user = await project.user("ada");

  expect(await user.consume(3000)).toMatchObject({ success: true });
  expect(await user.consume(2000, { tag: "GPT-4" })).toMatchObject({ success: true });
});

test("a total restriction counts every tag and untagged calls", async () => {
  const project = await Project.create(sql);
  await project.plan({ quota: 9000, restrictions: [{ maxTokens: 2000, duration: "1 day" }] });
  const user = await project.user("ada");
  await user.consume(700, { tag: "GPT-4", at: "2026-05-04T09:00:00Z" });
  await user.consume(700, { tag: "Claude", at: "2026-05-04T09:00:00Z" });
  await user.consume(600, { at: "2026-05-04T09:00:00Z" });

  expect(await user.consume(1, { tag: "Claude", at: "2026-05-04T09:00:00Z" })).toMatchObject({
    reason: "restriction_exceeded",
    message: "Limit reached: 1 tokens requested, 0 of 2000 per day left",
    retry_at: new Date("2026-05-05T00:00:00Z"),
  });
});

test("a restriction counts each user alone", async () => {
  const project = await Project.create(sql);
  await project.plan({ quota: 9000, restrictions: [{ maxTokens: 2000, duration: "1 day" }] });
  const ada = await project.user("ada");
  const grace = await project.user("grace");
  await ada.consume(2000);

  expect(await grace.consume(2000)).toMatchObject({ success: true });
});

test("a restriction of another plan does not count", async () => {
  const project = await Project.create(sql);
  await project.plan({ quota: 9000, restrictions: [{ maxTokens: 10, duration: "1 day" }] });
  const planId = await project.plan({ quota: 9000 });
  const user = await project.user("ada", { planId });

  expect(await user.consume(2000)).toMatchObject({ success: true, nearest_limit: null });
});

test("a restriction limits tokens from grants too", async () => {
  const project = await Project.create(sql);
  await project.plan({
    type: "pay_as_you_go",
    restrictions: [{ maxTokens: 100, duration: "1 month" }],
  });
  const user = await project.user("ada");
  await user.grant(500);
  await user.consume(100);

  expect(await user.consume(1)).toMatchObject({ reason: "restriction_exceeded", grants_left: 400 });
});

test("a restriction that is passed is named before a lack of tokens", async () => {
  const project = await Project.create(sql);
  await project.plan({ quota: 50, restrictions: [{ maxTokens: 10, duration: "1 day" }] });
  const user = await project.user("ada");

  expect(await user.consume(60)).toMatchObject({ reason: "restriction_exceeded" });
});

test("a restriction to 0 tokens blocks its tag for ever", async () => {
  const project = await Project.create(sql);
  await project.plan({
    quota: 9000,
    restrictions: [{ tag: "GPT-4", maxTokens: 0, duration: "1 day" }],
  });
  const user = await project.user("ada");

  expect(await user.consume(1, { tag: "GPT-4" })).toMatchObject({
    reason: "restriction_exceeded",
    retry_at: null,
  });
  expect(await user.consume(1)).toMatchObject({ success: true });
});
