import { expect, test } from "vitest";
import { useDatabase } from "../support/database.ts";
import { Project, type User } from "../support/project.ts";

const { sql } = useDatabase();

async function userWithHashes(): Promise<User> {
  const project = await Project.create(sql);
  await sql`update projects set tamper_evident = true where id = ${project.id}`;
  await project.plan({ type: "pay_as_you_go" });
  const user = await project.user("ada");
  await user.grant(100);
  await user.grant(50, { type: "purchase" });
  await user.consume(30, { tag: "GPT-4", metadata: { call: 1 } });
  const hold = await user.hold(100);
  await user.settle(hold.hold_id, 90);
  await user.refund(3, { tokens: 10 });
  await project.consumeBatch([
    { user_id: "ada", tokens_to_consume: 1 },
    { user_id: "bob", tokens_to_consume: 1 },
    { user_id: "ada", tokens_to_consume: 2 },
  ]);
  return user;
}

/** What is found after an edit behind the kernel's back, which is then undone. */
async function foundAfter(user: User, edit: string): Promise<string[]> {
  const found: string[] = [];
  await sql.begin(async (tx) => {
    await tx.unsafe(`
      alter table token_transfers disable trigger user;
      alter table user_token_grants_consume disable trigger user;
      alter table user_usage disable trigger user;
      ${edit.replaceAll(":user", `'${user.id!}'`)}`);
    const rows = await tx<{ disagreement: string }[]>`
      select distinct disagreement from verify_ledger() where user_id = ${user.id!}`;
    found.push(...rows.map(({ disagreement }) => disagreement));
    throw new Error("undo");
  }).catch((error: Error) => {
    if (error.message !== "undo") throw error;
  });
  return found;
}

test("every transfer of a tamper evident project has a hash, and the ledger verifies", async () => {
  const user = await userWithHashes();

  expect(
    await sql`select count(*)::integer as transfers, count(distinct hash)::integer as hashes
      from token_transfers where user_id = ${user.id!}`,
  ).toEqual([{ transfers: 8, hashes: 8 }]);
  expect(await sql`select * from verify_ledger()`).toEqual([]);
});

test.each([
  [
    "its context",
    `update token_transfers set metadata = '{"call": 2}'
    where user_id = :user and transfer_number = 3`,
  ],
  [
    "its amount",
    `update token_transfers set amount = amount - 1 where user_id = :user and transfer_number = 3`,
  ],
  [
    "its tag",
    `update token_transfers set tag_id = null where user_id = :user and transfer_number = 3`,
  ],
  [
    "its instant",
    `update token_transfers set created_at = created_at + interval '1 microsecond'
    where user_id = :user and transfer_number = 4`,
  ],
  [
    "what a grant paid of it",
    `update user_token_grants_consume set tokens_left = tokens_left + 1
    where user_id = :user and transfer_number = 3`,
  ],
  [
    "the last one",
    `update token_transfers set request_id = 'other'
    where user_id = :user and transfer_number = 8`,
  ],
])("an edit is found: %s", async (_, edit) => {
  expect(await foundAfter(await userWithHashes(), edit)).toContain("hash of a transfer");
});

test("an edit with a hash of its own is found in the next transfer", async () => {
  const edit =
    `update token_transfers t set metadata = '{"call": 2}' where user_id = :user and transfer_number = 3;
    update token_transfers t set hash = tollgate.transfer_hash(
      t, array(
        select row(c.user_token_grants_id, c.token_deduction, c.tokens_left)::token_source
        from user_token_grants_consume c where c.user_id = :user and c.transfer_number = 3 order by c.position
      ), (select hash from token_transfers where user_id = :user and transfer_number = 2)
    ) where user_id = :user and transfer_number = 3`;

  expect(await foundAfter(await userWithHashes(), edit)).toEqual(["hash of a transfer"]);
});

test("a transfer that is removed is found, though all others are numbered anew", async () => {
  const edit = `delete from token_transfers where user_id = :user and transfer_number = 4;
    update token_transfers set transfer_number = transfer_number - 1
      where user_id = :user and transfer_number > 4;
    update user_usage set last_transfer_number = last_transfer_number - 1 where user_id = :user`;

  expect(await foundAfter(await userWithHashes(), edit)).toContain("hash of a transfer");
});

test("a last transfer that is removed is found", async () => {
  const edit = `delete from token_transfers where user_id = :user and transfer_number = 8;
    update user_usage set last_transfer_number = 7 where user_id = :user`;

  expect(await foundAfter(await userWithHashes(), edit)).toContain("hash of the last transfer");
});

test("transfers of a batch are sealed user by user, each with the grants that paid it", async () => {
  const user = await userWithHashes();
  for (const name of ["bob", "eve"]) {
    const other = await user.project.user(name);
    await other.grant(10);
    await other.grant(10);
  }
  const items = ["eve", "ada", "bob", "eve", "bob", "eve"]
    .map((name) => ({ user_id: name, tokens_to_consume: 6 }));

  const receipts = await user.project.consumeBatch(items);

  expect(receipts.map(({ success, sources }) => [success, sources.length]))
    .toEqual([1, 1, 1, 2, 2, 1].map((grants) => [true, grants]));
  expect(await sql`select * from verify_ledger()`).toEqual([]);
});

test("a project that is not tamper evident pays for no hashes", async () => {
  const project = await Project.create(sql);
  await project.plan({ quota: 100 });
  const user = await project.user("ada");
  await user.consume(1);

  expect(await sql`select hash from token_transfers where user_id = ${user.id!}`)
    .toEqual([{ hash: null }]);
});

test("hashes may be switched off and on again", async () => {
  const user = await userWithHashes();
  const { project } = user;
  const consumeWith = async (evident: boolean) => {
    await sql`update projects set tamper_evident = ${evident} where id = ${project.id}`;
    await user.consume(1);
  };
  await consumeWith(false);
  await consumeWith(true);
  await consumeWith(true);

  expect(
    await sql`select hash is not null as has_hash from token_transfers
      where user_id = ${user.id!} order by transfer_number`,
  ).toEqual([8, 1, 2].flatMap((count, n) => Array(count).fill({ has_hash: n !== 1 })));
  expect(await sql`select * from verify_ledger()`).toEqual([]);
});
