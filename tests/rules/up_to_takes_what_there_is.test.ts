import { expect, test } from "vitest";
import { useDatabase } from "../support/database.ts";
import { Project } from "../support/project.ts";

const { sql } = useDatabase();
const at = "2026-05-06T09:30:00Z";

test("up_to takes what there is and says how much", async () => {
  const project = await Project.create(sql);
  await project.plan({ quota: 100 });
  const user = await project.user("ada");
  await user.grant(20, { at });

  expect(await user.consume(500, { at, mode: "up_to" })).toMatchObject({
    success: true,
    tokens_requested: 500,
    tokens_consumed: 120,
    base_quota_used: 100,
    grants_used: 20,
    message: "Consumed 120 of 500 tokens: 100 from base quota, 20 from grants",
    quota_left: 0,
    grants_left: 0,
  });
});

test("up_to takes all that was asked for where there is enough", async () => {
  const project = await Project.create(sql);
  await project.plan({ quota: 100 });
  const user = await project.user("ada");

  expect(await user.consume(100, { at, mode: "up_to" })).toMatchObject({
    tokens_consumed: 100,
    message: "Consumed 100 tokens: 100 from base quota, 0 from grants",
  });
});

test("up_to stops at the nearest restriction that counts the call", async () => {
  const project = await Project.create(sql);
  await project.plan({
    quota: 1000,
    restrictions: [
      { maxTokens: 90, duration: "1 day" },
      { tag: "GPT-4", maxTokens: 50, duration: "1 day" },
      { tag: "GPT-5", maxTokens: 10, duration: "1 day" },
    ],
  });
  const user = await project.user("ada");

  expect(await user.consume(500, { at, tag: "GPT-4", mode: "up_to" }))
    .toMatchObject({ tokens_consumed: 50, nearest_limit: { tag: "GPT-4", left: 0 } });
  expect(await user.consume(500, { at, mode: "up_to" }))
    .toMatchObject({ tokens_consumed: 40, nearest_limit: { tag: null, left: 0 } });
});

test("up_to leaves what holds set aside", async () => {
  const project = await Project.create(sql);
  await project.plan({ quota: 100 });
  const user = await project.user("ada");
  await user.hold(70, { at });

  expect(await user.consume(500, { at, mode: "up_to" })).toMatchObject({ tokens_consumed: 30 });
});

test("up_to is denied only where there is not one token", async () => {
  const project = await Project.create(sql);
  await project.plan({ quota: 100, restrictions: [{ maxTokens: 60, duration: "1 hour" }] });
  const user = await project.user("ada", { billingAnchor: "2026-05-01T00:00:00Z" });
  await user.consume(60, { at });

  expect(await user.consume(500, { at, mode: "up_to" })).toMatchObject({
    success: false,
    tokens_requested: 500,
    tokens_consumed: 0,
    reason: "restriction_exceeded",
    shortfall: 1,
    retry_at: new Date("2026-05-06T10:00:00Z"),
  });
  await user.consume(40, { at: "2026-05-06T10:00:00Z" });
  expect(await user.consume(500, { at: "2026-05-06T10:00:00Z", mode: "up_to" }))
    .toMatchObject({ success: false, reason: "insufficient_tokens", shortfall: 1 });
});

test("a repeated up_to gets the first receipt, though there is more by now", async () => {
  const project = await Project.create(sql);
  await project.plan({ quota: 100 });
  const user = await project.user("ada");
  const first = await user.consume(500, { at, mode: "up_to", requestId: "r-1" });
  await user.grant(500, { at });

  expect(await user.consume(500, { mode: "up_to", requestId: "r-1" }))
    .toEqual({ ...first, replayed: true });
  for (
    const call of [
      () => user.consume(500, { requestId: "r-1" }),
      () => user.consume(100, { requestId: "r-1" }),
    ]
  ) {
    await expect(call()).rejects.toMatchObject({ code: "TG006" });
  }
});
