import { expect, test } from "vitest";
import { contents } from "../support/contents.ts";
import { useDatabase } from "../support/database.ts";
import { Project } from "../support/project.ts";

const { sql } = useDatabase();
const at = "2026-05-06T09:30:00Z";

async function userWithLimits() {
  const project = await Project.create(sql);
  await project.plan({ quota: 100, restrictions: [{ maxTokens: 120, duration: "1 day" }] });
  const user = await project.user("ada");
  await user.grant(50, { at });
  await user.hold(10, { at });
  return user;
}

test.each([
  ["that would be applied", 110, {}],
  ["that a restriction would deny", 121, {}],
  ["that takes what there is", 500, { mode: "up_to" as const }],
])(
  "a check %s answers the receipt of the consumption and writes nothing",
  async (_, tokens, call) => {
    const user = await userWithLimits();
    const before = await contents(sql);

    const checked = await user.check(tokens, { at, ...call });

    expect(await contents(sql)).toEqual(before);
    expect(await user.consume(tokens, { at, ...call })).toEqual(checked);
  },
);

test("a check of a user who does not exist yet creates none", async () => {
  const project = await Project.create(sql);
  await project.plan({ quota: 100 });
  const user = project.unknownUser("ada");
  const before = await contents(sql);

  const checked = await user.check(60, { at });

  expect(await contents(sql)).toEqual(before);
  expect(checked).toMatchObject({ success: true, quota_left: 40, transfer_number: 1 });
  expect(await user.consume(60, { at })).toEqual(checked);
});

test("a check of a request that was applied answers its receipt", async () => {
  const user = await userWithLimits();
  const first = await user.consume(20, { at, requestId: "r-1" });

  expect(await user.check(20, { requestId: "r-1" })).toEqual({ ...first, replayed: true });
  await expect(user.check(21, { requestId: "r-1" })).rejects.toMatchObject({ code: "TG006" });
});

test("a check waits for nobody", async () => {
  const user = await userWithLimits();

  const connection = await sql.reserve();
  try {
    await connection`begin`;
    await user.on(connection).consume(20, { at });
    expect(await user.check(20, { at })).toMatchObject({ success: true, transfer_number: 3 });
  } finally {
    await connection`rollback`;
    connection.release();
  }
});

test.each([
  ["an unknown tag", "check_tokens(:project, 'ada', 1, 'GPT-9')", "TG005"],
  ["no tokens", "check_tokens(:project, 'ada', 0)", "TG001"],
  ["an unknown project", "check_tokens(gen_random_uuid(), 'ada', 1)", "TG009"],
])("a check with %s is refused like the consumption", async (_, call, code) => {
  const user = await userWithLimits();
  const checking = `select ${call.replace(":project", `'${user.project.id}'`)}`;

  await expect(sql.unsafe(checking)).rejects.toMatchObject({ code });
  await expect(sql.unsafe(checking.replace("check_", "consume_"))).rejects.toMatchObject({ code });
});
