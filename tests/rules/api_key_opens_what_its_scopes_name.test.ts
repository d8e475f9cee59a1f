import { createHash } from "node:crypto";
import { describe, expect, test } from "vitest";
import { useDatabase } from "../support/database.ts";
import { Project } from "../support/project.ts";

const { sql } = useDatabase();

async function projectWithKey(scopes = "{consume,read,grant,link,refund,manage}") {
  const project = await Project.create(sql);
  await project.plan({ quota: 100 });
  const user = await project.user("ada");
  await user.grant(10);
  await user.recurringGrant(1, "1 week", { startsAt: "2999-01-01T00:00:00Z" });
  const [key] = await sql<{ id: string; api_key: string }[]>`
    select id, api_key from create_api_key(${project.id}, 'Backend', null, ${scopes})`;
  return { project, id: key!.id, hash: createHash("sha256").update(key!.api_key).digest() };
}

/** The id of the row that ada of the key's project has in a table. */
const ofAda = (table: string, hash: Buffer | null) =>
  sql`(select t.id from ${sql(table)} t
    join tracked_users u on u.id = t.user_id
    join api_keys k on k.project_id = u.project_id where k.key_hash = ${hash})`;

const doors = {
  consume: (hash: Buffer | null) =>
    sql`select user_id from consume_with_api_key(${hash}, 'ada', 1)`,
  grant: (hash: Buffer | null) =>
    sql`select user_id from grant_with_api_key(${hash}, 'ada', 1, 'bonus')`,
  void: (hash: Buffer | null) =>
    sql`select user_id
      from void_grant_with_api_key(${hash}, 'ada', ${ofAda("user_token_grants", hash)})`,
  "recurring grant": (hash: Buffer | null) =>
    sql`select user_id from recurring_grant_with_api_key(${hash}, 'ada', 1, 'bonus', '1 week')`,
  "end of a recurring grant": (hash: Buffer | null) =>
    sql`select user_id
      from end_recurring_grant_with_api_key(${hash}, 'ada', ${ofAda("recurring_grants", hash)})`,
  refund: (hash: Buffer | null) => sql`select user_id from refund_with_api_key(${hash}, 'ada', 2)`,
  change: (hash: Buffer | null) =>
    sql`select user_id from change_user_with_api_key(${hash}, 'ada', null, 'active')`,
  usage: (hash: Buffer | null) =>
    sql`select distinct 'ada' as user_id from usage_with_api_key(${hash}, '2026-01-01')`,
  balance: (hash: Buffer | null) => sql`select user_id from balance_with_api_key(${hash}, 'ada')`,
  transfers: (hash: Buffer | null) =>
    sql`select distinct 'ada' as user_id from transfers_with_api_key(${hash}, 'ada')`,
  link: (hash: Buffer | null) => sql`select user_id from link_user_with_api_key(${hash}, 'ada')`,
};

describe.each(
  [
    { door: "consume", scope: "consume", others: "{read,grant,link,refund,manage}" },
    { door: "grant", scope: "grant", others: "{consume,read,link,refund,manage}" },
    { door: "void", scope: "grant", others: "{consume,read,link,refund,manage}" },
    { door: "recurring grant", scope: "grant", others: "{consume,read,link,refund,manage}" },
    {
      door: "end of a recurring grant",
      scope: "grant",
      others: "{consume,read,link,refund,manage}",
    },
    { door: "refund", scope: "refund", others: "{consume,read,grant,link,manage}" },
    { door: "change", scope: "manage", others: "{consume,read,grant,link,refund}" },
    { door: "usage", scope: "read", others: "{consume,grant,link,refund,manage}" },
    { door: "balance", scope: "read", others: "{consume,grant,link,refund,manage}" },
    { door: "transfers", scope: "read", others: "{consume,grant,link,refund,manage}" },
    { door: "link", scope: "link", others: "{consume,read,grant,refund,manage}" },
  ] as const,
)("$door", ({ door, scope, others }) => {
  test(`opens with the scope ${scope} alone`, async () => {
    const { project, hash } = await projectWithKey(`{${scope}}`);
    await project.unknownUser("ada").consume(1);

    expect(await doors[door](hash)).toEqual([{ user_id: "ada" }]);
  });

  test("stays closed with all other scopes", async () => {
    const { hash } = await projectWithKey(others);

    await expect(doors[door](hash)).rejects.toMatchObject({
      code: "TG003",
      message: `The API key lacks the scope ${scope}`,
    });
  });

  test("refuses a key that is not known", async () => {
    await expect(doors[door](createHash("sha256").update("x").digest())).rejects.toMatchObject({
      code: "TG002",
      message: "The API key is not known",
    });
  });

  test("refuses no key", async () => {
    await expect(doors[door](null)).rejects.toMatchObject({ code: "TG002" });
  });

  test("refuses a revoked key", async () => {
    const { id, hash } = await projectWithKey();
    await sql`select revoke_api_key(${id})`;

    await expect(doors[door](hash)).rejects.toMatchObject({
      code: "TG002",
      message: "The API key has been revoked",
    });
  });

  test("refuses an expired key", async () => {
    const { id, hash } = await projectWithKey();
    await sql`update api_keys set expires_at = now() where id = ${id}`;

    await expect(doors[door](hash)).rejects.toMatchObject({
      code: "TG002",
      message: "The API key has expired",
    });
  });
});

test("a key opens its own project only", async () => {
  const here = await projectWithKey();
  const there = await projectWithKey();

  await doors.consume(here.hash);

  expect(await there.project.unknownUser("ada").balance()).toMatchObject({ quota_used: 0 });
  expect(await here.project.unknownUser("ada").balance()).toMatchObject({ quota_used: 1 });
});

test("a revocation that is repeated keeps the first time", async () => {
  const { id } = await projectWithKey();

  const [first] = await sql`select revoke_api_key(${id})`;

  expect(await sql`select revoke_api_key(${id})`).toEqual([first]);
});

test("an unknown key cannot be revoked", async () => {
  await expect(sql`select revoke_api_key(gen_random_uuid())`).rejects.toMatchObject({
    code: "TG002",
  });
});

test("a use is noted, to the hour", async () => {
  const { id, hash } = await projectWithKey();
  expect(await sql`select last_used_at from api_keys where id = ${id}`).toEqual([
    { last_used_at: null },
  ]);
  await doors.consume(hash);

  const [key] = await sql`
    select last_used_at = date_trunc('hour', last_used_at) as on_the_hour,
      last_used_at > now() - interval '61 minutes' as recent
    from api_keys where id = ${id}`;

  expect(key).toEqual({ on_the_hour: true, recent: true });
});

describe("rotation", () => {
  test("makes a key like the old one, which stays valid for the grace time", async () => {
    const { id, hash } = await projectWithKey("{consume,read}");

    const [key] = await sql<{ api_key: string }[]>`
      select api_key, name, scopes, expires_at from rotate_api_key(${id})`;

    expect(key).toMatchObject({ name: "Backend", scopes: ["consume", "read"], expires_at: null });
    expect(await doors.consume(createHash("sha256").update(key!.api_key).digest())).toHaveLength(1);
    expect(await doors.consume(hash)).toHaveLength(1);
    const [old] = await sql`
      select expires_at between now() + interval '23 hours' and now() + interval '24 hours' as soon
      from api_keys where id = ${id}`;
    expect(old).toEqual({ soon: true });
  });

  test("without grace ends the old key at once", async () => {
    const { id, hash } = await projectWithKey();
    await sql`select * from rotate_api_key(${id}, '0')`;

    await expect(doors.consume(hash)).rejects.toMatchObject({ code: "TG002" });
  });

  test("never makes a key last longer than it would have", async () => {
    const { id } = await projectWithKey();
    await sql`update api_keys set expires_at = now() + interval '1 hour' where id = ${id}`;
    const [before] = await sql`select expires_at from api_keys where id = ${id}`;

    const [key] = await sql`select expires_at from rotate_api_key(${id})`;

    expect(key).toEqual(before);
    expect(await sql`select expires_at from api_keys where id = ${id}`).toEqual([before]);
  });

  test.each(["-1 second", "91 days", null])("refuses a grace time of %s", async (grace) => {
    const { id } = await projectWithKey();

    await expect(sql`select * from rotate_api_key(${id}, ${grace}::text::interval)`)
      .rejects.toMatchObject({
        code: "TG001",
        message: "The grace time must be from 0 to 90 days",
      });
  });

  test("refuses a key that was revoked", async () => {
    const { id } = await projectWithKey();
    await sql`select revoke_api_key(${id})`;

    await expect(sql`select * from rotate_api_key(${id})`).rejects.toMatchObject({ code: "TG002" });
  });
});
