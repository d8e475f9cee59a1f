import { describe, expect, test } from "vitest";
import { useDatabase } from "../support/database.ts";
import { Project } from "../support/project.ts";

const { sql } = useDatabase();

describe.each(["past_due", "canceled"] as const)("while payment is %s", (paymentStatus) => {
  test("grants are spent though the quota is untouched", async () => {
    const project = await Project.create(sql);
    await project.plan({ quota: 1000 });
    const user = await project.user("ada", { paymentStatus });
    await user.grant(500);

    expect(await user.consume(500)).toMatchObject({
      base_quota_used: 0,
      grants_used: 500,
      quota_left: 0,
      grants_left: 0,
    });
  });

  test("a call that only the quota could pay is denied for the payment", async () => {
    const project = await Project.create(sql);
    await project.plan({ quota: 1000 });
    const user = await project.user("ada", { paymentStatus });
    await user.grant(500);

    expect(await user.consume(1500)).toMatchObject({
      success: false,
      reason: "payment_inactive",
      message:
        `Not enough tokens: 1500 requested, and base quota is closed while payment is ${paymentStatus}`,
      retry_at: null,
      quota_left: 0,
      grants_left: 500,
    });
  });

  test("a call that passes quota and grants together is denied for the tokens", async () => {
    const project = await Project.create(sql);
    await project.plan({ quota: 1000 });
    const user = await project.user("ada", { paymentStatus });
    await user.grant(500);

    expect(await user.consume(1501)).toMatchObject({
      reason: "insufficient_tokens",
      message: "Not enough tokens: 1501 requested, 500 left",
      retry_at: null,
    });
  });

  test("what the quota has used already does not count as help", async () => {
    const project = await Project.create(sql);
    await project.plan({ quota: 1000 });
    const user = await project.user("ada");
    await user.consume(400);
    await sql`update tracked_users set payment_status = ${paymentStatus} where id = ${user.id!}`;

    expect(await user.consume(601)).toMatchObject({ reason: "insufficient_tokens" });
    expect(await user.consume(600)).toMatchObject({ reason: "payment_inactive" });
  });

  test("the balance shows what the quota has, but none of it left", async () => {
    const project = await Project.create(sql);
    await project.plan({ quota: 1000 });
    const user = await project.user("ada", { paymentStatus });
    await user.grant(500);

    expect(await user.balance()).toMatchObject({
      payment_status: paymentStatus,
      tokens_left: 500,
      quota_amount: 1000,
      quota_used: 0,
      quota_left: 0,
      grants_left: 500,
    });
  });

  test("without a quota the reason is never the payment", async () => {
    const project = await Project.create(sql);
    await project.plan({ type: "pay_as_you_go", quota: 1000 });
    const user = await project.user("ada", { paymentStatus });

    expect(await user.consume(1)).toMatchObject({ reason: "insufficient_tokens" });
  });
});

test("the quota opens again with the payment, with what it had left", async () => {
  const project = await Project.create(sql);
  await project.plan({ quota: 1000 });
  const user = await project.user("ada");
  await user.consume(400);
  await sql`update tracked_users set payment_status = 'past_due' where id = ${user.id!}`;
  await sql`update tracked_users set payment_status = 'active' where id = ${user.id!}`;

  expect(await user.consume(600)).toMatchObject({ base_quota_used: 600, quota_left: 0 });
});
