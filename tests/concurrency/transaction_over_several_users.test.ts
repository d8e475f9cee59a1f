import { expect, test } from "vitest";
import { atOnce, untilWaiting, whileLocked } from "../support/concurrency.ts";
import { useDatabase } from "../support/database.ts";
import { Project, type Receipt } from "../support/project.ts";

const { sql, connect } = useDatabase();
const crowd = connect(17);

test("transactions that take users in one order never deadlock", async () => {
  const project = await Project.create(sql);
  await project.plan({ quota: 1000 });
  const users = await Promise.all(
    Array.from({ length: 8 }, (_, index) => project.user(`user ${index}`)),
  );

  await atOnce(crowd, 16, async (connection) => {
    await connection`begin`;
    for (const user of users) {
      await user.on(connection).consume(3);
      await user.on(connection).grant(2);
    }
    await connection`commit`;
  });

  for (const user of users) {
    expect(await user.balance()).toMatchObject({ quota_used: 48, grants_left: 32 });
  }
});

test("a transaction that rolls back undoes all its calls and frees those that wait", async () => {
  const project = await Project.create(sql);
  await project.plan({ quota: 10 });
  const ada = await project.user("ada");
  const bob = await project.user("bob");
  let call: Promise<Receipt> | undefined;

  await whileLocked(sql, ada, async (holder) => {
    await ada.on(holder).consume(10);
    await bob.on(holder).consume(10);
    call = ada.on(crowd).consume(10);
    await untilWaiting(sql, 1);
  });

  expect(await call).toMatchObject({ success: true, transfer_number: 1 });
  expect(await bob.balance()).toMatchObject({ quota_used: 0 });
});
