import { expect, test } from "vitest";
import { useDatabase } from "../support/database.ts";
import { Project } from "../support/project.ts";

const { sql } = useDatabase();

const header = `
CREATE OR REPLACE FUNCTION consume_tokens_v2(
  p_project_id uuid,
  p_external_user_id text,
  p_tokens_consumed integer,
  p_tag_id uuid DEFAULT NULL,
  p_metadata jsonb DEFAULT NULL
) RETURNS TABLE(
  success boolean, 
  tokens_consumed integer,
  base_quota_used integer,
  grants_used integer,
  message text
)
`;

test("the arguments and the result are those of the document", async () => {
  const functions = await sql`
    select pg_get_function_arguments(oid) as arguments, pg_get_function_result(oid) as result
    from pg_proc where proname = 'consume_tokens_v2'`;

  expect(functions).toEqual([{
    arguments:
      "p_project_id uuid, p_external_user_id text, p_tokens_consumed integer, p_tag_id uuid DEFAULT NULL::uuid, p_metadata jsonb DEFAULT NULL::jsonb",
    result:
      "TABLE(success boolean, tokens_consumed integer, base_quota_used integer, grants_used integer, message text)",
  }]);
});

test("the document's own declaration replaces the function, and makes no second one", async () => {
  const rollback = new Error("rollback");
  await expect(sql.begin(async (tx) => {
    await tx.unsafe(`${header} AS 'begin end' LANGUAGE plpgsql`);
    expect(await tx`select count(*)::integer from pg_proc where proname = 'consume_tokens_v2'`)
      .toEqual([{ count: 1 }]);
    throw rollback;
  })).rejects.toBe(rollback);
});

async function projectOfUser123() {
  const project = await Project.create(sql);
  await project.plan({ quota: 700 });
  await (await project.user("user_123")).grant(500);
  return { id: project.id, tagId: await project.tagId("GPT-4") };
}

const receipt = {
  success: true,
  tokens_consumed: 1000,
  base_quota_used: 700,
  grants_used: 300,
  message: "Consumed 1000 tokens: 700 from base quota, 300 from grants",
};

test("a call by position answers one row", async () => {
  const { id, tagId } = await projectOfUser123();

  expect(
    await sql`
    SELECT * FROM consume_tokens_v2(${id}, 'user_123', 1000, ${tagId}, '{"chat": 7}')`,
  )
    .toEqual([receipt]);
});

test("a call by name answers one row", async () => {
  const { id, tagId } = await projectOfUser123();

  expect(
    await sql`
    SELECT * FROM consume_tokens_v2(
      p_metadata => '{"chat": 7}',
      p_tag_id => ${tagId},
      p_tokens_consumed => 1000,
      p_external_user_id => 'user_123',
      p_project_id => ${id}
    )`,
  ).toEqual([receipt]);
});

test("a call without tag and metadata answers one row", async () => {
  const { id } = await projectOfUser123();

  expect(await sql`SELECT * FROM consume_tokens_v2(${id}, 'user_123', 1000)`).toEqual([receipt]);
});

test("a call in the select list answers one row", async () => {
  const { id } = await projectOfUser123();

  expect(await sql`SELECT (consume_tokens_v2(${id}, 'user_123', 1000)).*`).toHaveLength(1);
});

test("a denial answers one row with amounts of 0", async () => {
  const { id } = await projectOfUser123();

  expect(await sql`SELECT * FROM consume_tokens_v2(${id}, 'user_123', 1201)`).toEqual([{
    success: false,
    tokens_consumed: 0,
    base_quota_used: 0,
    grants_used: 0,
    message: "Not enough tokens: 1201 requested, 1200 left",
  }]);
});

test("tag and metadata are kept in the audit trail", async () => {
  const { id, tagId } = await projectOfUser123();
  await sql`SELECT * FROM consume_tokens_v2(${id}, 'user_123', 1000, ${tagId}, '{"chat": 7}')`;

  expect(await sql`select tag_id, metadata, amount from token_transfers where tag_id = ${tagId}`)
    .toEqual([{ tag_id: tagId, metadata: { chat: 7 }, amount: -1000 }]);
});
