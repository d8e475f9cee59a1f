import { expect, test } from "vitest";
import { untilWaiting } from "../support/concurrency.ts";
import { useDatabase } from "../support/database.ts";
import { Project } from "../support/project.ts";

const { sql, connect } = useDatabase();
const [calls, owner] = [connect(1), connect(1)];

test("a call in whose midst an owner makes the project tamper evident, and then raises a limit, knows both", async () => {
  const project = await Project.create(sql);
  const planId = await project.plan({
    quota: 1000,
    restrictions: [{ maxTokens: 10, duration: "900 months" }],
  });
  const user = await project.user("ada");
  // The second is plain; from then on the connection knows the tables.
  await user.on(calls).consume(1);
  await user.on(calls).consume(1);

  await owner`begin`;
  // The call has read its project and waits to read the restrictions.
  await owner`lock table plan_restrictions in access exclusive mode`;
  const call = user.on(calls).consume(20);
  await untilWaiting(sql, 1);
  await owner`update projects set tamper_evident = true where id = ${project.id}`;
  await owner`update plan_restrictions
    set restriction_config = restriction_config || '{"max_tokens": 500}' where plan_id = ${planId}`;
  await owner`commit`;

  expect(await call).toMatchObject({ success: true });
  expect(
    await sql`select hash is not null as is_sealed from token_transfers
      where user_id = ${user.id!} and amount = -20`,
  ).toEqual([{ is_sealed: true }]);
});
