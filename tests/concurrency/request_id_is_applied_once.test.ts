import { expect, test } from "vitest";
import { atOnce } from "../support/concurrency.ts";
import { useDatabase } from "../support/database.ts";
import { Project, type Receipt } from "../support/project.ts";

const { sql, connect } = useDatabase();
const crowd = connect(33);

test("of 32 calls with one request id one is applied and 31 answer its receipt", async () => {
  const project = await Project.create(sql);
  await project.plan({ quota: 100, restrictions: [{ maxTokens: 90, duration: "1 month" }] });
  const user = await project.user("ada");

  const receipts = await atOnce(
    crowd,
    32,
    (connection) => user.on(connection).consume(70, { requestId: "r1" }),
  );

  expect(receipts.filter(({ replayed }) => replayed)).toHaveLength(31);
  const first = receipts.find(({ replayed }) => !replayed)!;
  expect(first).toMatchObject({ success: true, tokens_consumed: 70, quota_left: 30 });
  for (const receipt of receipts) {
    expect({ ...receipt, replayed: false }).toEqual(first);
  }
  expect(await user.balance()).toMatchObject({ quota_used: 70 });
});

test("the same holds for a user that the first of the calls creates", async () => {
  const project = await Project.create(sql);
  await project.plan({ quota: 100 });

  const receipts = await atOnce(
    crowd,
    32,
    (connection) => project.unknownUser("ada").on(connection).consume(70, { requestId: "r1" }),
  );

  expect(receipts.filter(({ success }) => success)).toHaveLength(32);
  expect(receipts.filter(({ replayed }) => replayed)).toHaveLength(31);
  expect(await project.unknownUser("ada").balance()).toMatchObject({ quota_used: 70 });
});

test("of 32 grants with one request id one is made", async () => {
  const project = await Project.create(sql);
  await project.plan({ type: "pay_as_you_go" });
  const user = await project.user("ada");

  const grants = await atOnce(
    crowd,
    32,
    (connection) => user.on(connection).grant(5, { requestId: "r1" }),
  );

  expect(grants.filter(({ replayed }) => replayed)).toHaveLength(31);
  expect(new Set(grants.map(({ grant_id }) => grant_id)).size).toBe(1);
  expect(await user.balance()).toMatchObject({ grants_left: 5 });
});

test("of 32 different calls with one request id one is applied and 31 are refused", async () => {
  const project = await Project.create(sql);
  await project.plan({ quota: 1000 });
  const user = await project.user("ada");

  const answers = await atOnce(
    crowd,
    32,
    (connection, index) =>
      user.on(connection).consume(index + 1, { requestId: "r1" })
        .catch((error: { code: string }) => error.code),
  );

  expect(answers.filter((answer) => answer === "TG006")).toHaveLength(31);
  const applied = answers.find((answer): answer is Receipt => typeof answer !== "string")!;
  expect(await user.balance()).toMatchObject({ quota_used: applied.tokens_consumed });
});

test("a denied request id stays free: the call that comes when there are tokens is applied", async () => {
  const project = await Project.create(sql);
  await project.plan({ type: "pay_as_you_go" });
  const user = await project.user("ada");

  await atOnce(crowd, 32, async (connection, index) => {
    const own = user.on(connection);
    await (index === 0 ? own.grant(10) : own.consume(10, { requestId: "r1" }));
  });

  expect(await user.consume(10, { requestId: "r1" })).toMatchObject({ success: true });
  expect(await user.balance()).toMatchObject({ grants_left: 0 });
});
