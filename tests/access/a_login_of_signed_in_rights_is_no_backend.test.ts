import { randomUUID } from "node:crypto";
import postgres from "postgres";
import { afterAll, expect, test } from "vitest";
import { types, useDatabase } from "../support/database.ts";
import { Project } from "../support/project.ts";

// A database role of the owner's own, for a dashboard say, that logs in without the API.
const { sql, url } = useDatabase();
const roles: string[] = [];
afterAll(async () => {
  for (const role of roles) await sql`drop role ${sql(role)}`;
});

async function consumeAs(rights: "authenticated" | "service_role"): Promise<number> {
  const project = await Project.create(sql);
  await project.plan({ quota: 10 });
  await project.user("ada");
  const role = `test_${randomUUID().replaceAll("-", "")}`;
  roles.push(role);
  await sql.unsafe(`create role ${role} login password 'secret' in role ${rights}`);
  const login = new URL(url);
  login.username = role;
  login.password = "secret";
  const direct = postgres(login.href, { max: 1, types, onnotice() {} });
  try {
    const [receipt] = await direct<{ tokens_consumed: number }[]>`
      select tokens_consumed from consume_tokens(${project.id}, 'ada', 1)`;
    return receipt!.tokens_consumed;
  } finally {
    await direct.end();
  }
}

test("a role with the rights of signed-in users spends nobody's tokens", async () => {
  await expect(consumeAs("authenticated")).rejects.toMatchObject({ code: "TG004" });
});

test("a role with the rights of service_role is a backend", async () => {
  expect(await consumeAs("service_role")).toBe(1);
});
