import { beforeEach, expect, test } from "vitest";
import { useDatabase } from "../support/database.ts";
import { Project, type User } from "../support/project.ts";

const { sql } = useDatabase();

let user: User;

beforeEach(async () => {
  const project = await Project.create(sql);
  await project.plan({ quota: 500 }, "large");
  await project.plan({ quota: 100 }, "small");
  user = await project.user("ada", { billingAnchor: "2031-01-01T00:00:00Z" });
});

test("at one instant", async () => {
  const at = "2031-01-10T00:00:00Z";
  await user.consume(30, { at });
  await user.change({ plan: "large", at });
  await user.consume(20, { at });

  expect(await user.change({ plan: "small", at })).toMatchObject({ plan: "small", quota_left: 50 });
  expect(await user.change({ plan: "large", at })).toMatchObject({ quota_left: 450 });
  expect(await user.change({ plan: "small", quotaPolicy: "reset", at }))
    .toMatchObject({ quota_left: 100 });
});

test("back to a plan whose period was left running when the next plan took effect", async () => {
  await user.change({ plan: "large", when: "period_end", at: "2031-01-10T00:00:00Z" });
  // Another anchor, as nothing was used yet: this period lasts beyond the change.
  await user.change({ billingAnchor: "2031-01-20T00:00:00Z", at: "2031-01-21T00:00:00Z" });
  await user.consume(30, { at: "2031-01-22T00:00:00Z" });
  await user.consume(20, { at: "2031-02-02T00:00:00Z" });

  await user.change({ plan: "small", at: "2031-02-03T00:00:00Z" });

  expect(await user.balance("2031-02-03T00:00:00Z")).toMatchObject({
    quota_amount: 50,
    quota_left: 50,
  });
  const refund = await user.refund(3, { tokens: 10, at: "2031-02-04T00:00:00Z" });
  expect(refund).toMatchObject({ tokens_lapsed: 10 });
});

test("a plan that is pay as you go by now leaves no period running", async () => {
  await user.consume(30, { at: "2031-01-10T00:00:00Z" });
  await sql`update plans set plan_type = 'pay_as_you_go' where name = 'small'`;

  await user.change({ plan: "large", at: "2031-01-11T00:00:00Z" });

  const refund = await user.refund(1, { tokens: 10, at: "2031-01-12T00:00:00Z" });
  expect(refund).toMatchObject({ tokens_lapsed: 10 });
});
