import { expect, test } from "vitest";
import { untilWaiting } from "../support/concurrency.ts";
import { useDatabase } from "../support/database.ts";
import { Project } from "../support/project.ts";

const { sql, connect } = useDatabase();
const [calls, owner] = [connect(1), connect(1)];

test("a call in whose midst an owner raises a quota and limits its use exceeds neither", async () => {
  const project = await Project.create(sql);
  const planId = await project.plan({
    quota: 10,
    restrictions: [{ maxTokens: 1000, duration: "900 months" }],
  });
  const user = await project.user("ada");
  // The second is plain; from then on the connection knows the tables.
  await user.on(calls).consume(1);
  await user.on(calls).consume(1);

  await owner`begin`;
  // The call has read the restrictions and waits to read the quota.
  await owner`lock table plan_quotas in access exclusive mode`;
  const call = user.on(calls).consume(20);
  await untilWaiting(sql, 1);
  await owner`update plan_restrictions
    set restriction_config = restriction_config || '{"max_tokens": 5}' where plan_id = ${planId}`;
  await owner`update plan_quotas set token_amount = 1000 where plan_id = ${planId}`;
  await owner`commit`;

  expect(await call).toMatchObject({ success: false, reason: "restriction_exceeded" });
});
