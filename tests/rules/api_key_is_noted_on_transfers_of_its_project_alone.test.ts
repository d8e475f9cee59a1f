import { expect, test } from "vitest";
import { useDatabase } from "../support/database.ts";
import { Project } from "../support/project.ts";

const { sql } = useDatabase();

test("an API key is noted on transfers of its own project alone", async () => {
  const mine = await Project.create(sql);
  await mine.plan({ quota: 10 });
  const other = await Project.create(sql);
  await other.plan({ quota: 10 });
  const [key] = await sql<{ api_key: string; id: string }[]>`
    select * from create_api_key(${mine.id}, 'Backend')`;

  await sql.begin(async (tx) => {
    await tx`select consume_with_api_key(sha256(convert_to(${key!.api_key}, 'UTF8')), 'ada', 1)`;
    await tx`select consume_tokens(${other.id}, 'bob', 1)`;
    // The first call of a user goes the general way, this one may go the plain one.
    await tx`select consume_tokens(${other.id}, 'bob', 1)`;
  });

  expect(
    await sql`select external_id, api_key_id from token_transfers t
      join tracked_users u on u.id = t.user_id order by 1, 2`,
  ).toEqual([
    { external_id: "ada", api_key_id: key!.id },
    { external_id: "bob", api_key_id: null },
    { external_id: "bob", api_key_id: null },
  ]);
  expect(await sql`select * from verify_ledger()`).toEqual([]);
});
