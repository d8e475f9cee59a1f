import { expect, test } from "vitest";
import { useDatabase } from "../support/database.ts";
import { Project } from "../support/project.ts";

const { sql } = useDatabase();
const at = "2026-05-06T09:30:00Z";

test("the nearest limit is the restriction with the least left after the call", async () => {
  const project = await Project.create(sql);
  await project.plan({
    quota: 9000,
    restrictions: [
      { maxTokens: 500, duration: "1 month" },
      { tag: "GPT-4", maxTokens: 300, duration: "1 day" },
      { maxTokens: 400, duration: "1 hour" },
    ],
  });
  const user = await project.user("ada");
  await user.consume(250, { at });

  const { nearest_limit } = await user.consume(100, { tag: "GPT-4", at });

  expect(nearest_limit).toEqual({
    tag: null,
    tags: null,
    max_tokens: 400,
    duration: "1 hour",
    window: "calendar",
    used: 350,
    held: 0,
    left: 50,
    resets_at: "2026-05-06T10:00:00+00:00",
  });
});

test("a restriction of another tag is not the nearest limit", async () => {
  const project = await Project.create(sql);
  await project.plan({
    quota: 9000,
    restrictions: [
      { maxTokens: 500, duration: "1 month" },
      { tag: "GPT-4", maxTokens: 10, duration: "1 day" },
    ],
  });
  const user = await project.user("ada");

  expect(await user.consume(100, { tag: "Claude", at })).toMatchObject({
    nearest_limit: { tag: null, max_tokens: 500, left: 400 },
  });
});

test("without restrictions there is no nearest limit", async () => {
  const project = await Project.create(sql);
  await project.plan({ quota: 9000 });
  const user = await project.user("ada");

  expect(await user.consume(100)).toMatchObject({ nearest_limit: null });
});

test("a denial for tokens shows the nearest limit as it is", async () => {
  const project = await Project.create(sql);
  await project.plan({ quota: 50, restrictions: [{ maxTokens: 500, duration: "1 day" }] });
  const user = await project.user("ada");
  await user.consume(20, { at });

  expect(await user.consume(100, { at })).toMatchObject({
    reason: "insufficient_tokens",
    nearest_limit: { max_tokens: 500, used: 20, held: 0, left: 480 },
  });
});

test("a denial for a restriction shows that restriction as it is", async () => {
  const project = await Project.create(sql);
  await project.plan({ quota: 900, restrictions: [{ maxTokens: 500, duration: "1 day" }] });
  const user = await project.user("ada");
  await user.consume(20, { at });

  expect(await user.consume(481, { at })).toMatchObject({
    reason: "restriction_exceeded",
    nearest_limit: { max_tokens: 500, used: 20, held: 0, left: 480 },
  });
});

test("the balance lists every restriction of the plan, those of all tokens first", async () => {
  const project = await Project.create(sql);
  await project.plan({
    quota: 9000,
    restrictions: [
      { tag: "GPT-4", maxTokens: 300, duration: "1 day" },
      { tag: "Claude", maxTokens: 200, duration: "1 week" },
      { maxTokens: 500, duration: "1 month" },
      { maxTokens: 400, duration: "1 hour" },
    ],
  });
  const user = await project.user("ada");
  await user.consume(100, { tag: "GPT-4", at });
  await user.consume(50, { at: "2026-05-06T10:10:00Z" });

  expect((await user.balance("2026-05-06T10:20:00Z")).restrictions).toEqual([
    {
      tag: null,
      tags: null,
      max_tokens: 400,
      duration: "1 hour",
      window: "calendar",
      used: 50,
      held: 0,
      left: 350,
      resets_at: "2026-05-06T11:00:00+00:00",
    },
    {
      tag: null,
      tags: null,
      max_tokens: 500,
      duration: "1 month",
      window: "calendar",
      used: 150,
      held: 0,
      left: 350,
      resets_at: "2026-06-01T00:00:00+00:00",
    },
    {
      tag: "Claude",
      tags: ["Claude"],
      max_tokens: 200,
      duration: "1 week",
      window: "calendar",
      used: 0,
      held: 0,
      left: 200,
      resets_at: "2026-05-11T00:00:00+00:00",
    },
    {
      tag: "GPT-4",
      tags: ["GPT-4"],
      max_tokens: 300,
      duration: "1 day",
      window: "calendar",
      used: 100,
      held: 0,
      left: 200,
      resets_at: "2026-05-07T00:00:00+00:00",
    },
  ]);
});
