import { createHash } from "node:crypto";
import { expect, test } from "vitest";
import { contents } from "../support/contents.ts";
import { useDatabase } from "../support/database.ts";
import { Project } from "../support/project.ts";

const { sql } = useDatabase();
const sha256 = (text: string) => createHash("sha256").update(text).digest("hex");

async function createKey(): Promise<string> {
  const project = await Project.create(sql);
  const [key] = await sql<{ api_key: string }[]>`
    select api_key from create_api_key(${project.id}, 'Backend')`;
  return key!.api_key;
}

test("a key is tg_live_, 40 random hex digits and a checksum of 8", async () => {
  const key = await createKey();

  expect(key).toMatch(/^tg_live_[0-9a-f]{48}$/);
  expect(key.slice(48)).toBe(sha256(key.slice(0, 48)).slice(0, 8));
});

test("no two keys are alike", async () => {
  const keys = await sql<{ api_key: string }[]>`
    select tollgate.new_api_key() as api_key from generate_series(1, 1000)`;

  expect(new Set(keys.map(({ api_key }) => api_key.slice(8, 18))).size).toBe(1000);
});

test("only its hash is stored: no column of any table has the key", async () => {
  const key = await createKey();

  const everything = JSON.stringify(await contents(sql));

  expect(everything).toContain(sha256(key));
  expect(everything).toContain(key.slice(0, 12));
  expect(everything).not.toContain(key.slice(0, 13));
  expect(everything).not.toContain(key.slice(13));
  expect(everything).not.toContain(Buffer.from(key.slice(13)).toString("hex"));
  expect(everything).not.toContain(Buffer.from(key.slice(13)).toString("base64").slice(0, 40));
});

test("a key shows what it may do and for how long", async () => {
  const project = await Project.create(sql);

  const [key] = await sql`
    select name, scopes, expires_at from create_api_key(
      ${project.id}, 'Dashboard', '2999-01-01T00:00:00Z', '{read}')`;

  expect(key).toEqual({
    name: "Dashboard",
    scopes: ["read"],
    expires_at: new Date("2999-01-01T00:00:00Z"),
  });
});

test("a key may do everything, for ever, unless told otherwise", async () => {
  const project = await Project.create(sql);

  const [key] = await sql`select scopes, expires_at from create_api_key(${project.id}, 'Backend')`;

  expect(key).toEqual({
    scopes: ["consume", "read", "grant", "link", "refund", "manage"],
    expires_at: null,
  });
});

test.each<[string, string | null, string | null, string | null, string]>([
  ["without a name", null, null, "{read}", "The name must have 1 to 100 characters"],
  ["with an empty name", "", null, "{read}", "The name must have 1 to 100 characters"],
  [
    "with a name of 101 characters",
    "a".repeat(101),
    null,
    "{read}",
    "The name must have 1 to 100 characters",
  ],
  [
    "that has expired",
    "Backend",
    "2020-01-01T00:00:00Z",
    "{read}",
    "expires_at must be in the future",
  ],
  ["without scopes", "Backend", null, "{}", "A key needs at least one of the scopes"],
  ["with null for scopes", "Backend", null, null, "A key needs at least one of the scopes"],
  ["with a scope of null", "Backend", null, "{null}", "A key needs at least one of the scopes"],
])("a key %s is refused", async (_, name, expiresAt, scopes, message) => {
  const project = await Project.create(sql);

  await expect(
    sql`select * from create_api_key(${project.id}, ${name}, ${expiresAt}, ${scopes})`,
  ).rejects.toMatchObject({ code: "TG001", message: expect.stringMatching(`^${message}`) });
});
