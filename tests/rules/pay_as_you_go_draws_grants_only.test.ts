import { expect, test } from "vitest";
import { useDatabase } from "../support/database.ts";
import { Project } from "../support/project.ts";

const { sql } = useDatabase();

test("pay-as-you-go spends grants and leaves the plan's quota alone", async () => {
  const project = await Project.create(sql);
  await project.plan({ type: "pay_as_you_go", quota: 1000 });
  const user = await project.user("ada");
  await user.grant(500);

  expect(await user.consume(300)).toMatchObject({
    success: true,
    base_quota_used: 0,
    grants_used: 300,
    quota_left: 0,
    grants_left: 200,
  });
});

test("pay-as-you-go without enough grants is denied, and waiting does not help", async () => {
  const project = await Project.create(sql);
  await project.plan({ type: "pay_as_you_go", quota: 1000 });
  const user = await project.user("ada");
  await user.grant(299);

  expect(await user.consume(300)).toMatchObject({
    success: false,
    reason: "insufficient_tokens",
    message: "Not enough tokens: 300 requested, 299 left",
    retry_at: null,
    quota_left: 0,
    grants_left: 299,
  });
});

test("a pay-as-you-go balance shows no quota", async () => {
  const project = await Project.create(sql);
  await project.plan({ type: "pay_as_you_go", quota: 1000 });
  const user = await project.user("ada");
  await user.grant(500);

  expect(await user.balance()).toMatchObject({
    plan_type: "pay_as_you_go",
    tokens_left: 500,
    quota_amount: null,
    quota_used: null,
    quota_left: 0,
    quota_resets_at: null,
    grants_left: 500,
  });
});

test("a subscription without a quota spends grants", async () => {
  const project = await Project.create(sql);
  await project.plan({ type: "subscription" });
  const user = await project.user("ada");
  await user.grant(500);

  expect(await user.consume(500)).toMatchObject({ base_quota_used: 0, grants_used: 500 });
  expect(await user.consume(1)).toMatchObject({ reason: "insufficient_tokens", retry_at: null });
});
