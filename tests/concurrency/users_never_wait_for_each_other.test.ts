import { expect, test } from "vitest";
import { untilWaiting, whileLocked } from "../support/concurrency.ts";
import { useDatabase } from "../support/database.ts";
import { Project } from "../support/project.ts";

const { sql, connect } = useDatabase();

test("while one user's call is held up, other users consume, get grants and are created", async () => {
  const project = await Project.create(sql);
  await project.plan({ quota: 10 });
  const ada = await project.user("ada");
  const bob = await project.user("bob");

  await whileLocked(sql, ada, async () => {
    await bob.grant(5);
    expect(await bob.consume(12)).toMatchObject({ success: true });
    expect(await project.unknownUser("cid").consume(1)).toMatchObject({ success: true });
  });
});

test("a call of the same user is seen waiting for the call before it", async () => {
  const project = await Project.create(sql);
  await project.plan({ quota: 10 });
  const ada = await project.user("ada");
  const connection = connect(1);
  const [second] = await connection<{ pid: number }[]>`select pg_backend_pid() as pid`;
  let call: Promise<unknown> | undefined;

  await whileLocked(sql, ada, async (holder) => {
    call = ada.on(connection).consume(1);
    await untilWaiting(sql, 1);
    const [first] = await holder<{ pid: number }[]>`select pg_backend_pid() as pid`;
    const [blocked] = await sql`select pg_blocking_pids(${second!.pid}) as by`;
    expect(blocked).toEqual({ by: [first!.pid] });
  });

  expect(await call).toMatchObject({ success: true });
});

test("reading a balance and transfers waits for no call", async () => {
  const project = await Project.create(sql);
  await project.plan({ quota: 10 });
  const ada = await project.user("ada");
  await ada.consume(4);

  await whileLocked(sql, ada, async () => {
    expect(await ada.balance()).toMatchObject({ tokens_left: 6 });
    expect(await sql`select from get_user_transfers(${project.id}, 'ada')`).toHaveLength(1);
  });
});

test("an open edit of project, plan, quota and restriction holds up no call", async () => {
  const project = await Project.create(sql);
  const planId = await project.plan({
    quota: 10,
    restrictions: [{ maxTokens: 10, duration: "1 day" }],
  });
  const ada = await project.user("ada");
  const owner = connect(1);

  await owner`begin`;
  await owner`update projects set name = 'Open edit' where id = ${project.id}`;
  await owner`update plans set plan_type = 'pay_as_you_go' where id = ${planId}`;
  await owner`update plan_quotas set token_amount = 1 where plan_id = ${planId}`;
  await owner`delete from plan_restrictions where plan_id = ${planId}`;
  expect(await ada.consume(2)).toMatchObject({ success: true });
  expect(await project.unknownUser("bob").consume(2)).toMatchObject({ success: true });
  await owner`rollback`;
});

test("calls with one API key never wait for the note of its last use", async () => {
  const project = await Project.create(sql);
  await project.plan({ quota: 10 });
  const [key] = await sql<{ id: string; api_key: string }[]>`
    select id, api_key from create_api_key(${project.id}, 'Test')`;
  const holder = connect(1);

  await holder`begin`;
  await holder`select from api_keys where id = ${key!.id} for update`;
  expect(
    await sql`select success from consume_with_api_key(
      sha256(convert_to(${key!.api_key}, 'UTF8')), 'ada', 1)`,
  ).toEqual([{ success: true }]);
  await holder`rollback`;
});
