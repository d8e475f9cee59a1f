import { expect, test } from "vitest";
import { useDatabase } from "../support/database.ts";
import { Project } from "../support/project.ts";

const { sql } = useDatabase();

test("a period that was begun later was not there before", async () => {
  const project = await Project.create(sql);
  await project.plan({ quota: 100 });
  const user = await project.user("ada", { billingAnchor: "2031-01-01T00:00:00Z" });
  await user.grant(1, { at: "2031-01-05T00:00:00Z" });
  const said = await user.balance("2031-01-08T00:00:00Z");
  await user.change({ billingAnchor: "2031-01-07T00:00:00Z", at: "2031-01-09T00:00:00Z" });
  await user.consume(10, { at: "2031-01-10T00:00:00Z" });

  expect(said.quota_resets_at).toEqual(new Date("2031-02-01T00:00:00Z"));
  expect(await user.balance("2031-01-08T00:00:00Z")).toEqual(said);
});

test("nobody knew of the change of plan that would end a period", async () => {
  const project = await Project.create(sql);
  await project.plan({ quota: 500 }, "large");
  await project.plan({ quota: 100 });
  const user = await project.user("ada", { billingAnchor: "2031-01-01T00:00:00Z" });
  await user.consume(10, { at: "2031-01-05T00:00:00Z" });
  const said = await user.balance("2031-01-08T00:00:00Z");
  await user.change({ plan: "large", at: "2031-01-09T00:00:00Z" });

  expect(said.quota_resets_at).toEqual(new Date("2031-02-01T00:00:00Z"));
  expect(await user.balance("2031-01-08T00:00:00Z")).toEqual(said);
});

test("what was left over then is told, whatever was refunded since", async () => {
  const project = await Project.create(sql);
  await project.plan({ quota: 100, period: "1 day", rollover: { maxTokens: 50, periods: 1 } });
  const user = await project.user("ada", {
    billingAnchor: "2031-01-01T00:00:00Z",
    createdAt: "2031-01-01T00:00:00Z",
  });
  await user.consume(100, { at: "2031-01-05T23:00:00Z" }); // Transfer 2, after what rolled over.
  const said = await user.balance("2031-01-06T05:00:00Z");
  await user.refund(2, { tokens: 40, at: "2031-01-06T10:00:00Z" });

  expect(said.grants).toEqual([]);
  expect(await user.balance("2031-01-06T05:00:00Z")).toEqual(said);
});
