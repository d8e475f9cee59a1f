import { expect, test } from "vitest";
import { atOnce } from "../support/concurrency.ts";
import { type TestSql, useDatabase } from "../support/database.ts";
import { Project } from "../support/project.ts";

const { sql, connect } = useDatabase();
const crowd = connect(65);

/** Calls the public function on 64 connections at once; answers how many calls succeeded. */
async function spend(project: Project, tokens: number, tagId: string | null = null) {
  const answers = await atOnce(
    crowd,
    64,
    (connection) =>
      connection<{ success: boolean; tokens_consumed: number }[]>`
      select success, tokens_consumed
      from consume_tokens_v2(${project.id}, 'ada', ${tokens}, ${tagId})`,
  );
  for (const [answer] of answers) {
    expect(answer!.tokens_consumed).toBe(answer!.success ? tokens : 0);
  }
  return answers.filter(([answer]) => answer!.success).length;
}

test("64 connections draw a quota to its last token and not one more", async () => {
  const project = await Project.create(sql);
  await project.plan({ quota: 100 });
  const user = await project.user("ada");

  expect(await spend(project, 2)).toBe(50);
  expect(await user.balance()).toMatchObject({ quota_used: 100, tokens_left: 0 });
});

test("64 connections draw grants to the last token that a whole call fits in", async () => {
  const project = await Project.create(sql);
  await project.plan({ type: "pay_as_you_go" });
  const user = await project.user("ada");
  for (let n = 1; n <= 5; n++) await user.grant(13, { expiresAt: `2100-01-0${n}T00:00:00Z` });

  expect(await spend(project, 3)).toBe(21);
  expect(await user.balance()).toMatchObject({ grants_left: 2 });
  expect(
    await sql`select token_amount - tokens_used as left from user_token_grants
      where user_id = ${user.id!} order by expires_at`,
  ).toEqual([0, 0, 0, 0, 2].map((left) => ({ left })));
});

test("64 connections pass from quota to grants without losing a token", async () => {
  const project = await Project.create(sql);
  await project.plan({ quota: 50 });
  const user = await project.user("ada");
  await user.grant(50);

  expect(await spend(project, 3)).toBe(33);
  expect(await user.balance()).toMatchObject({ quota_used: 50, grants_left: 1 });
});

test("64 connections together never pass a restriction on all tokens", async () => {
  const project = await Project.create(sql);
  await project.plan({ quota: 1000, restrictions: [{ maxTokens: 41, duration: "1 month" }] });
  const user = await project.user("ada");

  expect(await spend(project, 2)).toBe(20);
  expect((await user.balance()).restrictions).toMatchObject([{ used: 40, left: 1 }]);
});

test("64 connections together never pass a restriction on one tag", async () => {
  const project = await Project.create(sql);
  await project.plan({
    quota: 1000,
    restrictions: [{ tag: "GPT-4", maxTokens: 10, duration: "1 month" }],
  });
  const user = await project.user("ada");

  expect(await spend(project, 1, await project.tagId("GPT-4"))).toBe(10);
  expect(await spend(project, 1)).toBe(64);
  expect((await user.balance()).restrictions).toMatchObject([{ used: 10, left: 0 }]);
});

test("grants and consumption at the same moment add up, transfer by transfer", async () => {
  const project = await Project.create(sql);
  await project.plan({ type: "pay_as_you_go" });
  const user = await project.user("ada");
  const grant = (connection: TestSql) =>
    connection`select from grant_tokens(${project.id}, 'ada', 10, 'purchase')`;
  const consume = (connection: TestSql) =>
    connection`select from consume_tokens_v2(${project.id}, 'ada', 10)`;

  await atOnce(crowd, 64, async (connection, index) => {
    await (index % 2 ? grant(connection) : consume(connection));
  });

  const transfers = await sql<{ transfer_number: number; amount: number; grants_left: number }[]>`
    select transfer_number, amount, grants_left from token_transfers
    where user_id = ${user.id!} order by transfer_number`;
  expect(transfers.filter(({ amount }) => amount === 10)).toHaveLength(32);
  let left = 0;
  for (const [index, transfer] of transfers.entries()) {
    left += transfer.amount;
    expect(transfer).toMatchObject({ transfer_number: index + 1, grants_left: left });
  }
  expect(await user.balance()).toMatchObject({ grants_left: left });
});
