import { describe, expect, test } from "vitest";
import { contents } from "../support/contents.ts";
import { useDatabase } from "../support/database.ts";
import { Project } from "../support/project.ts";

const { sql } = useDatabase();
const hint = "Correct the argument and call again; nothing was written.";

interface Arguments {
  userId?: string | null;
  tokens?: number | null;
  metadata?: string | null;
  requestId?: string | null;
}

async function knownUser() {
  const project = await Project.create(sql);
  await project.plan({ quota: 1_000_000_000_000_000 });
  await project.user("ada");
  return project.id;
}

const entryPoints = {
  consumption: (
    projectId: string,
    { userId = "ada", tokens = 1, metadata = null, requestId = null }: Arguments,
  ) =>
    sql`select * from tollgate.consume(${projectId}, ${userId}, ${tokens}, null,
    ${metadata}::text::jsonb, ${requestId})`,
  grant: (
    projectId: string,
    { userId = "ada", tokens = 1, metadata = null, requestId = null }: Arguments,
  ) =>
    sql`select * from grant_tokens(${projectId}, ${userId}, ${tokens}, 'bonus', null,
    ${metadata}::text::jsonb, ${requestId})`,
};

const amount = "The number of tokens must be a whole number from 1 to 1000000000000000";
const id = "The external user id must have 1 to 255 characters";
const object = "metadata must be a JSON object";
const depth = "metadata must be at most 32 levels deep";
const lists = (levels: number) => `{"k": ${"[".repeat(levels)}${"]".repeat(levels)}}`;
const length = "metadata must not be longer than 32768 bytes";
const request = "The request id must have 1 to 255 printable ASCII characters";

describe.each(["consumption", "grant"] as const)("a %s", (name) => {
  const call = entryPoints[name];

  test.each<[string, Arguments, string]>([
    ["0 tokens", { tokens: 0 }, amount],
    ["negative tokens", { tokens: -1 }, amount],
    ["the smallest integer", { tokens: -(2 ** 53) }, amount],
    ["no tokens", { tokens: null }, amount],
    ["too many tokens", { tokens: 1_000_000_000_000_001 }, amount],
    ["an empty user id", { userId: "" }, id],
    ["no user id", { userId: null }, id],
    ["a user id of 256 characters", { userId: "a".repeat(256) }, id],
    ["a user id of 256 emoji", { userId: "🦉".repeat(256) }, id],
    ["metadata that is an array", { metadata: "[]" }, object],
    ["metadata that is a text", { metadata: '"chat"' }, object],
    ["metadata that is a number", { metadata: "7" }, object],
    ["metadata that is JSON null", { metadata: "null" }, object],
    ["metadata 33 levels deep", { metadata: lists(32) }, depth],
    ["metadata 16,001 levels deep", { metadata: lists(16_000) }, depth],
    ["metadata of 32769 bytes", { metadata: `{"k": "${"a".repeat(32760)}"}` }, length],
    ["metadata of 32769 bytes in fewer characters", {
      metadata: `{"k": "${"é".repeat(16380)}"}`,
    }, length],
    ["an empty request id", { requestId: "" }, request],
    ["a request id of 256 characters", { requestId: "a".repeat(256) }, request],
    ["a request id with a letter that is not ASCII", { requestId: "ä" }, request],
    ["a request id with a line break", { requestId: "a\nb" }, request],
    ["a request id that ends with a line break", { requestId: "a\n" }, request],
    ["a request id with a control character", { requestId: "a\x7f" }, request],
  ])("with %s is refused and writes nothing", async (_, args, message) => {
    const projectId = await knownUser();
    const before = await contents(sql);

    await expect(call(projectId, args)).rejects.toMatchObject({ code: "TG001", message, hint });
    expect(await contents(sql)).toEqual(before);
  });

  test.each<[string, Arguments]>([
    ["1 token", { tokens: 1 }],
    ["the most tokens", { tokens: 1_000_000_000_000_000 }],
    ["a user id of 1 character", { userId: "a" }],
    ["a user id of 255 characters", { userId: "a".repeat(255) }],
    ["a user id of 255 emoji", { userId: "🦉".repeat(255) }],
    ["empty metadata", { metadata: "{}" }],
    ["metadata 32 levels deep", { metadata: lists(31) }],
    ["metadata of 32768 bytes", { metadata: `{"k": "${"a".repeat(32759)}"}` }],
    ["a request id of 1 character", { requestId: "a" }],
    ["a request id of 255 characters", { requestId: "~ ".repeat(127) + "!" }],
  ])("with %s is accepted", async (_, args) => {
    const projectId = await knownUser();

    expect(await call(projectId, args)).toMatchObject([{ transfer_number: 1 }]);
  });
});

test.each([0, -1, null])("consume_tokens_v2 refuses %s tokens", async (tokens) => {
  const projectId = await knownUser();

  await expect(sql`select * from consume_tokens_v2(${projectId}, 'ada', ${tokens})`)
    .rejects.toMatchObject({ code: "TG001", message: amount });
});

test("consume_tokens_v2 takes the largest integer", async () => {
  const projectId = await knownUser();

  expect(await sql`select * from consume_tokens_v2(${projectId}, 'ada', 2147483647)`).toEqual([{
    success: true,
    tokens_consumed: 2147483647,
    base_quota_used: 2147483647,
    grants_used: 0,
    message: "Consumed 2147483647 tokens: 2147483647 from base quota, 0 from grants",
  }]);
});

test("a grant without a type is refused", async () => {
  const projectId = await knownUser();

  await expect(sql`select * from grant_tokens(${projectId}, 'ada', 1, null)`)
    .rejects.toMatchObject({
      code: "TG001",
      message: "The grant type is missing",
      hint: "Give one of: trial, bonus, purchase, refund, adjustment.",
    });
});

test("a grant that has expired already is refused", async () => {
  const projectId = await knownUser();

  await expect(
    sql`select * from grant_tokens(${projectId}, 'ada', 1, 'bonus', '2020-01-01T00:00:00Z')`,
  ).rejects.toMatchObject({
    code: "TG001",
    message: expect.stringMatching(/^expires_at .* is not in the future$/),
  });
});

test("grants that would total more than 8e15 are refused", async () => {
  const projectId = await knownUser();
  await sql`select grant_tokens(${projectId}, 'ada', 1000000000000000, 'bonus')
    from generate_series(1, 7)`;
  await sql`select grant_tokens(${projectId}, 'ada', 1, 'bonus')`;

  await expect(sql`select * from grant_tokens(${projectId}, 'ada', 1000000000000000, 'bonus')`)
    .rejects.toMatchObject({
      code: "TG001",
      message: "A user's grants may not total more than 8000000000000000 tokens",
    });
  expect(
    await sql`select grants_left from grant_tokens(${projectId}, 'ada', 999999999999999, 'bonus')`,
  )
    .toEqual([{ grants_left: 8e15 }]);
});
