import { expect, test } from "vitest";
import { atOnce } from "../support/concurrency.ts";
import { useDatabase } from "../support/database.ts";
import { Project } from "../support/project.ts";

const { sql, connect } = useDatabase();
const crowd = connect(33);

test("32 first calls of an unknown user make one user and lose no token", async () => {
  const project = await Project.create(sql);
  await project.plan({ quota: 45 });

  const receipts = await atOnce(
    crowd,
    32,
    (connection) => project.unknownUser("ada").on(connection).consume(2),
  );

  expect(receipts.filter(({ success }) => success)).toHaveLength(22);
  expect(await project.unknownUser("ada").balance()).toMatchObject({ quota_used: 44 });
  expect(await sql`select external_id from tracked_users where project_id = ${project.id}`)
    .toEqual([{ external_id: "ada" }]);
});

test("first grants and first consumption of an unknown user meet in one user", async () => {
  const project = await Project.create(sql);
  await project.plan({ quota: 100 });

  await atOnce(crowd, 32, async (connection, index) => {
    const user = project.unknownUser("ada").on(connection);
    await (index % 2 ? user.grant(10) : user.consume(5));
  });

  expect(await project.unknownUser("ada").balance()).toMatchObject({
    quota_used: 80,
    grants_left: 160,
  });
});

test("32 first calls that are all denied leave no user behind", async () => {
  const project = await Project.create(sql);
  await project.plan({ quota: 1 });

  const receipts = await atOnce(
    crowd,
    32,
    (connection) => project.unknownUser("ada").on(connection).consume(2),
  );

  expect(receipts.filter(({ success }) => success)).toEqual([]);
  expect(await sql`select from tracked_users where project_id = ${project.id}`).toHaveLength(0);
});

test("denied first calls never hide an allowed one", async () => {
  const project = await Project.create(sql);
  await project.plan({ quota: 10 });

  const receipts = await atOnce(
    crowd,
    32,
    (connection, index) => project.unknownUser("ada").on(connection).consume(index ? 11 : 10),
  );

  expect(receipts.map(({ success }) => success)).toEqual([true, ...Array(31).fill(false)]);
});
