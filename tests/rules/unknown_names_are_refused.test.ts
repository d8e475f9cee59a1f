import { describe, expect, test } from "vitest";
import { contents } from "../support/contents.ts";
import { useDatabase } from "../support/database.ts";
import { Project } from "../support/project.ts";

const { sql } = useDatabase();
const stranger = "7d3e1ac4-93b5-4a0f-8d86-5f9d1f6f3c11";

describe("an unknown user of a project without default plan", () => {
  const message = "The user 'ada' is not known in this project";

  test("cannot consume", async () => {
    const project = await Project.create(sql);

    await expect(sql`select * from consume_tokens_v2(${project.id}, 'ada', 1)`)
      .rejects.toMatchObject({
        code: "TG004",
        message,
        hint:
          "Insert the user into tracked_users, or give the project a default plan: then first use creates users.",
      });
  });

  test("cannot be given tokens", async () => {
    const project = await Project.create(sql);

    await expect(sql`select * from grant_tokens(${project.id}, 'ada', 1, 'bonus')`)
      .rejects.toMatchObject({ code: "TG004", message });
  });
});

test("an unknown user has no balance, default plan or not", async () => {
  const project = await Project.create(sql);
  await project.plan({ quota: 100 });

  await expect(sql`select * from get_user_balance(${project.id}, 'ada')`)
    .rejects.toMatchObject({ code: "TG004" });
});

test("an unknown user has no transfers, default plan or not", async () => {
  const project = await Project.create(sql);
  await project.plan({ quota: 100 });

  await expect(sql`select * from get_user_transfers(${project.id}, 'ada')`)
    .rejects.toMatchObject({ code: "TG004" });
});

test("a user of one project is unknown in another", async () => {
  const project = await Project.create(sql);
  await project.plan({ quota: 100 });
  await project.user("ada");
  const other = await Project.create(sql);

  await expect(sql`select * from consume_tokens_v2(${other.id}, 'ada', 1)`)
    .rejects.toMatchObject({ code: "TG004" });
});

describe.each([
  { project: "an unknown project", id: stranger },
  { project: "no project", id: null },
])("$project", ({ id }) => {
  test("cannot consume", async () => {
    await expect(sql`select * from consume_tokens_v2(${id}, 'ada', 1)`)
      .rejects.toMatchObject({ code: "TG009", message: "The project is not known" });
  });

  test("cannot give tokens", async () => {
    await expect(sql`select * from grant_tokens(${id}, 'ada', 1, 'bonus')`)
      .rejects.toMatchObject({ code: "TG009", message: "The project is not known" });
  });

  test("cannot have a key", async () => {
    await expect(sql`select * from create_api_key(${id}, 'Backend')`)
      .rejects.toMatchObject({ code: "TG009", message: "The project is not known" });
  });
});

describe.each([
  { tag: "an unknown tag", foreign: false },
  { tag: "another project's tag", foreign: true },
])("$tag", ({ foreign }) => {
  const tagId = async () => foreign ? (await Project.create(sql)).tagId("GPT-4") : stranger;

  test("is refused for a known user", async () => {
    const project = await Project.create(sql);
    await project.plan({ quota: 100 });
    await project.user("ada");

    await expect(sql`select * from consume_tokens_v2(${project.id}, 'ada', 1, ${await tagId()})`)
      .rejects.toMatchObject({ code: "TG005", message: "The tag is not known in this project" });
  });

  test("is refused for an unknown user, who is not created", async () => {
    const project = await Project.create(sql);
    await project.plan({ quota: 100 });
    const id = await tagId();
    const before = await contents(sql);

    await expect(sql`select * from consume_tokens_v2(${project.id}, 'ada', 1, ${id})`)
      .rejects.toMatchObject({ code: "TG005" });
    expect(await contents(sql)).toEqual(before);
  });
});

test("a tag's name is case-sensitive in the API", async () => {
  const project = await Project.create(sql);
  await project.plan({ quota: 100 });
  await project.tagId("GPT-4");
  const [key] = await sql`select api_key from create_api_key(${project.id}, 'Backend')`;

  await expect(
    sql`select * from consume_with_api_key(sha256(${key!["api_key"]}::bytea), 'ada', 1, 'gpt-4')`,
  ).rejects.toMatchObject({
    code: "TG005",
    message: "The tag 'gpt-4' is not known in this project",
  });
});

test("another project's tag is unknown, also to a user in full swing", async () => {
  const project = await Project.create(sql);
  await project.plan({ quota: 100, restrictions: [{ maxTokens: 100, duration: "1 day" }] });
  const user = await project.user("ada");
  const tag = await (await Project.create(sql)).tagId("GPT-4");
  await user.consume(1);
  const before = await contents(sql);

  await expect(sql`select * from consume_tokens_v2(${project.id}, 'ada', 1, ${tag})`)
    .rejects.toMatchObject({ code: "TG005" });
  expect(await contents(sql)).toEqual(before);
});
