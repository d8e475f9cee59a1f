import { expect, test } from "vitest";
import { atOnce, untilWaiting } from "../support/concurrency.ts";
import { useDatabase } from "../support/database.ts";
import { Project } from "../support/project.ts";

const { sql, connect } = useDatabase();
const crowd = connect(49);

test("grants inserted by hand in the middle of consumption all count", async () => {
  const project = await Project.create(sql);
  await project.plan({ type: "pay_as_you_go" });
  const user = await project.user("ada");

  const spent = await atOnce(crowd, 48, async (connection, index) => {
    if (index % 3 > 0) return (await user.on(connection).consume(4)).tokens_consumed;
    await connection`insert into user_token_grants (user_id, token_amount, grant_type)
      values (${user.id!}, 10, 'bonus')`;
    return 0;
  });

  const total = spent.reduce((sum, tokens) => sum + tokens, 0);
  expect(await user.balance()).toMatchObject({ grants_left: 160 - total });
});

test("expiry edited by hand in the middle of consumption: no deadlock, no token lost", async () => {
  const project = await Project.create(sql);
  await project.plan({ type: "pay_as_you_go" });
  const user = await project.user("ada");
  for (let n = 0; n < 8; n++) await user.grant(20, { expiresAt: `2100-01-0${n + 1}T00:00:00Z` });

  const spent = await atOnce(crowd, 48, async (connection, index) => {
    if (index % 3 > 0) return (await user.on(connection).consume(3)).tokens_consumed;
    // Turns the order of use around, grant by grant, in the order that is wrong for a deadlock.
    await connection`update user_token_grants set expires_at = '2100-02-01'::timestamptz
      + ${index} * (timestamptz '2100-02-01' - expires_at) where user_id = ${user.id!}`;
    return 0;
  });

  expect(spent.filter((tokens) => tokens > 0)).toHaveLength(32);
  expect(await user.balance()).toMatchObject({ grants_left: 160 - 96 });
});

test("a grant that is ended by hand in mid-call pays in whole or the call writes nothing", async () => {
  const project = await Project.create(sql);
  await project.plan({ quota: 10 });
  const user = await project.user("ada");
  await user.consume(1);
  await user.grant(10);
  const owner = connect(1);

  // The call has judged the grant and waits to draw on the quota before it.
  await owner`begin`;
  await owner`select from user_quota_usage where user_id = ${user.id!} for update`;
  const call = user.on(crowd).consume(15).catch((error: { code: string }) => error.code);
  await untilWaiting(sql, 1);
  await sql`update user_token_grants set expires_at = now() where user_id = ${user.id!}`;
  await owner`rollback`;

  expect(await call).toBe("40001");
  expect(await user.balance()).toMatchObject({ quota_used: 1, grants_left: 0 });
});
