import { expect, test } from "vitest";
import { useDatabase } from "../support/database.ts";
import { Project } from "../support/project.ts";

const { sql } = useDatabase();
const at = "2026-05-06T09:30:00Z";

test("of several passed restrictions the last to reset is named", async () => {
  const project = await Project.create(sql);
  await project.plan({
    quota: 9000,
    restrictions: [
      { maxTokens: 100, duration: "1 hour" },
      { tag: "GPT-4", maxTokens: 90, duration: "1 week" },
      { maxTokens: 80, duration: "1 day" },
    ],
  });
  const user = await project.user("ada");
  await user.consume(80, { tag: "GPT-4", at });

  expect(await user.consume(50, { tag: "GPT-4", at })).toMatchObject({
    reason: "restriction_exceeded",
    message: "Limit reached: 50 tokens requested, 10 of 90 per week left for GPT-4",
    retry_at: new Date("2026-05-11T00:00:00Z"),
  });
});

test("a restriction that still has room is not named, however long its window", async () => {
  const project = await Project.create(sql);
  await project.plan({
    quota: 9000,
    restrictions: [
      { maxTokens: 1000, duration: "1 month" },
      { maxTokens: 100, duration: "1 hour" },
    ],
  });
  const user = await project.user("ada");
  await user.consume(100, { at });

  expect(await user.consume(1, { at })).toMatchObject({
    retry_at: new Date("2026-05-06T10:00:00Z"),
    nearest_limit: { tag: null, duration: "1 hour", max_tokens: 100, used: 100, left: 0 },
  });
});

test("more tokens than a restriction ever allows: waiting does not help", async () => {
  const project = await Project.create(sql);
  await project.plan({ quota: 9000, restrictions: [{ maxTokens: 100, duration: "1 day" }] });
  const user = await project.user("ada");

  expect(await user.consume(101, { at })).toMatchObject({
    reason: "restriction_exceeded",
    message: "Limit reached: 101 tokens requested, 100 of 100 per day left",
    retry_at: null,
  });
});

test("one restriction that never allows the call outweighs those that will", async () => {
  const project = await Project.create(sql);
  await project.plan({
    quota: 9000,
    restrictions: [
      { maxTokens: 200, duration: "1 month" },
      { maxTokens: 100, duration: "1 hour" },
    ],
  });
  const user = await project.user("ada");
  await user.consume(100, { at });

  expect(await user.consume(101, { at })).toMatchObject({
    retry_at: null,
    nearest_limit: { duration: "1 hour" },
  });
});

test("the call is allowed at the named instant", async () => {
  const project = await Project.create(sql);
  await project.plan({
    quota: 9000,
    restrictions: [
      { maxTokens: 100, duration: "1 hour" },
      { maxTokens: 150, duration: "1 day" },
    ],
  });
  const user = await project.user("ada");
  await user.consume(100, { at });

  const denied = await user.consume(60, { at });

  expect(await user.consume(60, { at: denied.retry_at!.toISOString() })).toMatchObject({
    success: true,
  });
});
