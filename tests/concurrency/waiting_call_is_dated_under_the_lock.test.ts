import { expect, test } from "vitest";
import { untilWaiting, whileLocked } from "../support/concurrency.ts";
import { useDatabase } from "../support/database.ts";
import { Project, type Receipt } from "../support/project.ts";

const { sql, connect } = useDatabase();
const crowd = connect(64);

test("a call that waits takes the time after the lock, not the time it began", async () => {
  const project = await Project.create(sql);
  await project.plan({ quota: 10 });
  const ada = await project.user("ada");
  let call: Promise<Receipt> | undefined;
  let heldUntil: Date | undefined;

  await whileLocked(sql, ada, async (holder) => {
    call = ada.on(crowd).consume(1);
    await untilWaiting(sql, 1);
    const [clock] = await holder<{ now: Date }[]>`select clock_timestamp() as now
      from pg_sleep(0.01)`; // Instants are read in milliseconds here.
    heldUntil = clock!.now;
  });

  const { created_at } = await call!;
  expect(created_at.getTime()).toBeGreaterThanOrEqual(heldUntil!.getTime());
});

test("a grant that waits takes the time after the lock", async () => {
  const project = await Project.create(sql);
  await project.plan({ quota: 10 });
  const ada = await project.user("ada");
  let call: Promise<unknown> | undefined;
  let heldUntil: Date | undefined;

  await whileLocked(sql, ada, async (holder) => {
    call = ada.on(crowd).grant(1);
    await untilWaiting(sql, 1);
    const [clock] = await holder<{ now: Date }[]>`select clock_timestamp() as now
      from pg_sleep(0.01)`; // Instants are read in milliseconds here.
    heldUntil = clock!.now;
  });

  await call;
  const [grant] = await sql<{ created_at: Date }[]>`
    select created_at from user_token_grants where user_id = ${ada.id!}`;
  expect(grant!.created_at.getTime()).toBeGreaterThanOrEqual(heldUntil!.getTime());
});

test("calls from both sides of an hour, in any order, never reset the hour's counter", async () => {
  const project = await Project.create(sql);
  await project.plan({ quota: 1000, restrictions: [{ maxTokens: 10, duration: "1 hour" }] });
  const ada = await project.user("ada", { billingAnchor: "2030-01-01T00:00:00Z" });
  const instants = ["2030-01-15T10:59:59.900Z", "2030-01-15T11:00:00.100Z"];
  let calls: Promise<Receipt>[] = [];

  await whileLocked(sql, ada, async () => {
    calls = Array.from(
      { length: 64 },
      (_, index) => ada.on(crowd).consume(1, { at: instants[index % 2]! }),
    );
    await untilWaiting(sql, 64);
  });
  await Promise.all(calls);

  const transfers = await sql<{ hour: string; calls: number }[]>`
    select date_trunc('hour', created_at)::text as hour, count(*)::integer as calls
    from token_transfers where user_id = ${ada.id!} group by 1 order by 1`;
  expect(transfers.at(-1)).toEqual({ hour: "2030-01-15 11:00:00+00", calls: 10 });
  expect(transfers.at(-2)?.calls ?? 0).toBeLessThanOrEqual(10);
  expect((await ada.balance("2030-01-15T11:00:00.100Z")).restrictions)
    .toMatchObject([{ used: 10, left: 0 }]);
});
