import { describe, expect, test } from "vitest";
import { contents } from "../support/contents.ts";
import { useDatabase } from "../support/database.ts";
import { Project } from "../support/project.ts";

const { sql } = useDatabase();
const conflict = {
  code: "TG006",
  message: "The request id 'r-1' was used for another request of this user",
  hint: "Repeat a request with exactly the same parameters, or use a new request id.",
};

async function userWithTokens() {
  const project = await Project.create(sql);
  const planId = await project.plan({
    quota: 1000,
    restrictions: [{ tag: "GPT-4", maxTokens: 800, duration: "1 month" }],
  });
  return { project, planId, user: await project.user("ada") };
}

describe("a consumption", () => {
  const call = { tag: "GPT-4", metadata: { chat: 7 }, requestId: "r-1" };

  test("that is repeated answers the first receipt, and writes nothing", async () => {
    const { user } = await userWithTokens();
    await user.grant(500);
    const first = await user.consume(300, call);
    const before = await contents(sql);

    expect(await user.consume(300, call)).toEqual({ ...first, replayed: true });
    expect(await contents(sql)).toEqual(before);
  });

  test("answers the first receipt whatever has happened since", async () => {
    const { planId, user } = await userWithTokens();
    const first = await user.consume(300, call);
    await user.grant(500);
    await user.consume(400);
    await sql`update tracked_users set payment_status = 'canceled' where id = ${user.id!}`;
    await sql`update plan_quotas set token_amount = 0 where plan_id = ${planId}`;
    await sql`update plan_restrictions
      set restriction_config = '{"tag_name": "GPT-4", "max_tokens": 0, "duration": "1 month"}'
      where plan_id = ${planId}`;

    expect(await user.consume(300, call)).toEqual({ ...first, replayed: true });
  });

  test.each([
    { other: "amount", tokens: 301, parameters: call },
    { other: "tag", tokens: 300, parameters: { ...call, tag: "Claude" } },
    { other: "metadata", tokens: 300, parameters: { ...call, metadata: { chat: 8 } } },
    {
      other: "lack of a tag",
      tokens: 300,
      parameters: { metadata: { chat: 7 }, requestId: "r-1" },
    },
    { other: "lack of metadata", tokens: 300, parameters: { tag: "GPT-4", requestId: "r-1" } },
  ])("that is repeated with another $other is refused", async ({ tokens, parameters }) => {
    const { user } = await userWithTokens();
    await user.consume(300, call);
    const before = await contents(sql);

    await expect(user.consume(tokens, parameters)).rejects.toMatchObject(conflict);
    expect((await contents(sql))["token_transfers"]).toEqual(before["token_transfers"]);
  });

  test("whose metadata has its keys in another order is the same", async () => {
    const { user } = await userWithTokens();
    await user.consume(300, { requestId: "r-1", metadata: { a: 1, b: 2 } });

    expect(await user.consume(300, { requestId: "r-1", metadata: { b: 2, a: 1 } }))
      .toMatchObject({ replayed: true });
  });

  test("that was denied can be tried again with its request id", async () => {
    const { user } = await userWithTokens();
    expect(await user.consume(1200, { requestId: "r-1" })).toMatchObject({ success: false });
    await user.grant(200);

    expect(await user.consume(1200, { requestId: "r-1" })).toMatchObject({
      success: true,
      replayed: false,
    });
  });

  test("that was denied can be tried again with other parameters", async () => {
    const { user } = await userWithTokens();
    expect(await user.consume(1200, { requestId: "r-1" })).toMatchObject({ success: false });

    expect(await user.consume(1000, { requestId: "r-1" })).toMatchObject({ success: true });
  });

  test("without a request id is applied each time", async () => {
    const { user } = await userWithTokens();
    await user.consume(300);

    expect(await user.consume(300)).toMatchObject({ replayed: false, quota_left: 400 });
  });

  test.each(["R-1", "r-1 "])("with the request id %j is another than with r-1", async (id) => {
    const { user } = await userWithTokens();
    await user.consume(300, { requestId: "r-1" });

    expect(await user.consume(300, { requestId: id })).toMatchObject({ replayed: false });
  });

  test("of another user with the same request id is another", async () => {
    const { project, user } = await userWithTokens();
    await user.consume(300, call);

    expect(await project.unknownUser("grace").consume(500, { requestId: "r-1" })).toMatchObject({
      success: true,
      replayed: false,
    });
  });

  test("that created the user is replayed too", async () => {
    const { project } = await userWithTokens();
    const first = await project.unknownUser("grace").consume(300, call);

    expect(await project.unknownUser("grace").consume(300, call)).toEqual({
      ...first,
      replayed: true,
    });
  });
});

describe("a grant", () => {
  const grant = (projectId: string, { tokens = 300, type = "bonus", metadata = '{"order": 7}' }) =>
    sql`select * from grant_tokens(${projectId}, 'ada', ${tokens}, ${type}, null,
      ${metadata}::text::jsonb, 'r-1')`;

  test("that is repeated answers the first grant, and writes nothing", async () => {
    const { project } = await userWithTokens();
    const [first] = await grant(project.id, {});
    const before = await contents(sql);

    expect(await grant(project.id, {})).toEqual([{ ...first, replayed: true }]);
    expect(await contents(sql)).toEqual(before);
  });

  test("answers the first grant whatever has happened since", async () => {
    const { project, user } = await userWithTokens();
    const [first] = await grant(project.id, {});
    await user.grant(50);
    await user.consume(1200);

    expect(await grant(project.id, {})).toEqual([{ ...first, replayed: true }]);
  });

  test.each([
    { other: "amount", parameters: { tokens: 301 } },
    { other: "type", parameters: { type: "purchase" } },
    { other: "metadata", parameters: { metadata: '{"order": 8}' } },
  ])("that is repeated with another $other is refused", async ({ parameters }) => {
    const { project } = await userWithTokens();
    await grant(project.id, {});

    await expect(grant(project.id, parameters)).rejects.toMatchObject(conflict);
  });

  test("and a consumption cannot share a request id", async () => {
    const { user } = await userWithTokens();
    await user.grant(300, { requestId: "r-1" });

    await expect(user.consume(300, { requestId: "r-1" })).rejects.toMatchObject(conflict);
  });
});

test("a consumption and a grant cannot share a request id", async () => {
  const { user } = await userWithTokens();
  await user.consume(300, { requestId: "r-1" });

  await expect(user.grant(300, { requestId: "r-1" })).rejects.toMatchObject(conflict);
});
