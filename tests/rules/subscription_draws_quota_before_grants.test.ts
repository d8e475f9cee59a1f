import { expect, test } from "vitest";
import { useDatabase } from "../support/database.ts";
import { Project } from "../support/project.ts";

const { sql } = useDatabase();

test("a call that fits the base quota leaves the grants alone", async () => {
  const project = await Project.create(sql);
  await project.plan({ quota: 1000 });
  const user = await project.user("ada");
  await user.grant(500);

  const receipt = await user.consume(300);

  expect(receipt).toMatchObject({
    success: true,
    tokens_consumed: 300,
    base_quota_used: 300,
    grants_used: 0,
    quota_left: 700,
    grants_left: 500,
  });
});

test("a call that passes the base quota takes the rest from grants", async () => {
  const project = await Project.create(sql);
  await project.plan({ quota: 1000 });
  const user = await project.user("ada");
  await user.grant(500);

  const receipt = await user.consume(1200);

  expect(receipt).toMatchObject({ base_quota_used: 1000, grants_used: 200, grants_left: 300 });
});
