import { createHash } from "node:crypto";
import { expect, test } from "vitest";
import { useDatabase } from "../support/database.ts";
import { Project } from "../support/project.ts";

const { sql } = useDatabase();

test.each([
  ["case", "ada", "Ada"],
  ["a trailing space", "ada", "ada "],
  ["a leading space", "ada", " ada"],
  ["a line break", "ada", "ada\n"],
  ["the composition of an accent", "zoé", "zoe\u0301"],
  ["an invisible character", "ada", "a\u200bda"],
  ["a leading zero", "7", "07"],
])("ids that differ by %s are two users", async (_, one, other) => {
  const project = await Project.create(sql);
  await project.plan({ quota: 100 });

  await sql`select * from consume_tokens_v2(${project.id}, ${one}, 60)`;
  await sql`select * from consume_tokens_v2(${project.id}, ${other}, 100)`;

  expect(await project.unknownUser(one).balance()).toMatchObject({ user_id: one, quota_left: 40 });
  expect(await project.unknownUser(other).balance()).toMatchObject({
    user_id: other,
    quota_left: 0,
  });
});

test("the same id in two projects is two users", async () => {
  const here = await Project.create(sql);
  await here.plan({ quota: 100 });
  const there = await Project.create(sql);
  await there.plan({ quota: 100 });

  await here.unknownUser("ada").consume(60);

  expect(await there.unknownUser("ada").consume(100)).toMatchObject({ success: true });
});

test.each([
  "ada",
  "user@example.com",
  "漢字かな",
  "👩‍💻🦉",
  "'; drop table projects; --",
  "a/b?c=d&e#f%00",
])("the user id of %j can be computed outside the database", async (externalId) => {
  const project = await Project.create(sql);
  await project.plan({ quota: 100 });
  const user = await project.user(externalId);

  const hash = createHash("sha256")
    .update(Buffer.from(project.id.replaceAll("-", ""), "hex")).update(externalId).digest();
  hash[6] = (hash[6]! & 0x0f) | 0x80;
  hash[8] = (hash[8]! & 0x3f) | 0x80;

  expect(user.id!.replaceAll("-", "")).toBe(hash.toString("hex", 0, 16));
});
