import { beforeAll, describe, expect, test } from "vitest";
import { useDatabase } from "../support/database.ts";
import { Project, type User } from "../support/project.ts";

const { sql } = useDatabase();
const noon = "2026-05-06T12:00Z";

async function projectOf(quota = 1000) {
  const project = await Project.create(sql);
  await project.plan({ quota });
  const ada = await project.user("ada", { billingAnchor: "2026-05-01T00:00Z" });
  const bob = await project.user("bob", { billingAnchor: "2026-05-01T00:00Z" });
  return { project, ada, bob };
}

type Options = NonNullable<Parameters<Project["usage"]>[2]>;

/** The groups of May 6th and 7th: "name: tokens in calls". */
async function groups(project: Project, options: Options) {
  const windows = await project.usage("2026-05-06T00:00Z", "2026-05-08T00:00Z", options);
  return windows.map((window) =>
    window.groups!.map(({ group, tokens_used, calls }) =>
      `${group ?? "none"}: ${tokens_used} in ${calls}`
    )
  );
}

const total = async (project: Project, options: Options = {}) => {
  const [day] = await project.usage("2026-05-06T00:00Z", "2026-05-07T00:00Z", options);
  const { tokens_used, base_quota_used, grants_used, calls } = day!;
  return { tokens_used, base_quota_used, grants_used, calls };
};

/** Calls over a connection of their own, with an API key as authenticate() says it. */
async function withKey(user: User, keyId: string, calls: (user: User) => Promise<unknown>) {
  const connection = await sql.reserve();
  try {
    await connection`select set_config('tollgate.api_key_id', ${keyId}, false)`;
    await calls(user.on(connection));
  } finally {
    await connection`select set_config('tollgate.api_key_id', '', false)`;
    connection.release();
  }
}

async function newKey(project: Project, name: string) {
  const [key] = await sql<{ id: string }[]>`select id from create_api_key(${project.id}, ${name})`;
  return key!.id;
}

describe("what was used by two users on two tags and none, in two days", () => {
  let project: Project;

  beforeAll(async () => {
    const made = await projectOf();
    project = made.project;
    await made.ada.consume(1, { tag: "GPT-4", at: noon });
    await made.ada.consume(2, { tag: "GPT-4", at: noon });
    await made.ada.consume(4, { at: noon });
    await made.bob.consume(8, { tag: "Claude", at: noon });
    await made.bob.consume(16, { tag: "GPT-4", at: "2026-05-07T12:00Z" });
    await project.tagId("unused");
  });

  test("by tag: every tag that was used in every window, what has none last", async () => {
    expect(await groups(project, { groupBy: "tag" })).toEqual([
      ["Claude: 8 in 1", "GPT-4: 3 in 2", "none: 4 in 1"],
      ["Claude: 0 in 0", "GPT-4: 16 in 1", "none: 0 in 0"],
    ]);
  });

  test("by user", async () => {
    expect(await groups(project, { groupBy: "user" })).toEqual([
      ["ada: 7 in 3", "bob: 8 in 1"],
      ["ada: 0 in 0", "bob: 16 in 1"],
    ]);
  });

  test("of one user by tag", async () => {
    expect(await groups(project, { user: "bob", groupBy: "tag" })).toEqual([
      ["Claude: 8 in 1", "GPT-4: 0 in 0"],
      ["Claude: 0 in 0", "GPT-4: 16 in 1"],
    ]);
  });

  test("of one tag by user", async () => {
    expect(await groups(project, { tag: "GPT-4", groupBy: "user" })).toEqual([
      ["ada: 3 in 2", "bob: 0 in 0"],
      ["ada: 0 in 0", "bob: 16 in 1"],
    ]);
  });

  test("of one tag and one user", async () => {
    expect(await total(project, { tag: "GPT-4", user: "ada" })).toMatchObject({
      tokens_used: 3,
      calls: 2,
    });
    expect(await total(project, { tag: "unused" })).toMatchObject({ tokens_used: 0, calls: 0 });
  });

  test("not at all", async () => {
    const windows = await project.usage("2026-05-06T00:00Z", "2026-05-08T00:00Z");

    expect(windows).toMatchObject([
      { tokens_used: 15, base_quota_used: 15, grants_used: 0, calls: 4, groups: null },
      { tokens_used: 16, base_quota_used: 16, grants_used: 0, calls: 1, groups: null },
    ]);
  });

  test("where nothing was used there are no groups", async () => {
    expect(
      await project.usage("2026-06-06T00:00Z", "2026-06-07T00:00Z", { groupBy: "tag" }),
    ).toMatchObject([{ tokens_used: 0, groups: [] }]);
  });

  test("a renamed tag goes by its new name", async () => {
    await sql`update tags set name = 'GPT-5' where project_id = ${project.id} and name = 'GPT-4'`;

    expect((await groups(project, { groupBy: "tag" }))[1]).toContain("GPT-5: 16 in 1");
    expect(await total(project, { tag: "GPT-5" })).toMatchObject({ tokens_used: 3 });
  });
});

describe("by API key", () => {
  test("each by its name, what came without one last; a refund counts for the key that used", async () => {
    const { project, ada, bob } = await projectOf();
    const [backend, worker] = [await newKey(project, "backend"), await newKey(project, "worker")];
    let refundable = 0;
    await withKey(ada, backend, async (user) => {
      refundable = (await user.consume(32, { at: noon })).transfer_number!;
      await user.on(user.project.sql).consume(1, { tag: "GPT-4", at: noon });
    });
    await withKey(bob, worker, (user) => user.consume(2, { at: noon }));
    await bob.consume(4, { at: "2026-05-07T12:00Z" });
    await withKey(ada, worker, (user) => user.refund(refundable, { tokens: 20, at: noon }));
    await ada.refund(refundable, { tokens: 5, at: "2026-05-07T12:00Z" });

    expect(await groups(project, { groupBy: "key" })).toEqual([
      ["backend: 8 in 2", "worker: 2 in 1", "none: 0 in 0"],
      ["backend: 0 in 0", "worker: 0 in 0", "none: 4 in 1"],
    ]);
    expect(await groups(project, { groupBy: "key", tag: "GPT-4" })).toEqual([
      ["backend: 1 in 1"],
      ["backend: 0 in 0"],
    ]);
  });

  test("a hold counts for the key that settles it", async () => {
    const { project, ada } = await projectOf();
    const [backend, worker] = [await newKey(project, "backend"), await newKey(project, "worker")];
    let holdId = "";
    await withKey(ada, backend, async (user) => {
      holdId = (await user.hold(10, { at: noon })).hold_id;
    });
    await withKey(ada, worker, (user) => user.settle(holdId, 7, { at: noon }));

    // The hold has opened a count, of nothing, for its own.
    expect(await groups(project, { groupBy: "key" })).toEqual([
      ["backend: 0 in 0", "worker: 7 in 1"],
      ["backend: 0 in 0", "worker: 0 in 0"],
    ]);
  });

  test("a revoked key still has its name, and real calls are counted", async () => {
    const { project } = await projectOf();
    const [key] = await sql<{ id: string; api_key: string }[]>`
      select id, api_key from create_api_key(${project.id}, 'backend')`;
    await sql`select from consume_with_api_key(
      sha256(convert_to(${key!.api_key}, 'UTF8')), 'ada', 5)`;
    await sql`select revoke_api_key(${key!.id})`;

    expect(
      await sql`select sum((g ->> 'tokens_used')::integer)::integer as tokens, g ->> 'group' as key
        from get_usage(${project.id}, now() - interval '1 day', null, 'day', 'key') u,
        jsonb_array_elements(u.groups) g group by 2`,
    ).toEqual([{ tokens: 5, key: "backend" }]);
  });
});

describe("by source", () => {
  test("what base quota paid, and what grants", async () => {
    const { project, ada, bob } = await projectOf(10);
    await ada.grant(100, { at: "2026-05-06T00:00Z" });
    await ada.consume(30, { at: noon });
    await bob.consume(5, { at: noon });

    expect(await total(project)).toEqual({
      tokens_used: 35,
      base_quota_used: 15,
      grants_used: 20,
      calls: 2,
    });
    const [first, second] = await project.usage("2026-05-06T00:00Z", "2026-05-08T00:00Z", {
      groupBy: "source",
    });
    const tokens = (groups: typeof first) =>
      groups!.groups!.map(({ group, tokens_used }) => [group, tokens_used]);
    expect(tokens(first)).toEqual([["base_quota", 15], ["grants", 20]]);
    expect(tokens(second)).toEqual([["base_quota", 0], ["grants", 0]]);
  });

  test("what was given back as a new grant was paid by neither", async () => {
    const { project, ada } = await projectOf(0);
    await ada.grant(100, { at: "2026-05-06T00:00Z", expiresAt: "2026-05-06T13:00Z" });
    const { transfer_number } = await ada.consume(30, { at: noon });
    await ada.refund(transfer_number!, {
      tokens: 12,
      at: "2026-05-06T14:00Z",
      regrantLapsed: true,
    });

    const [day] = await project.usage("2026-05-06T00:00Z", "2026-05-07T00:00Z", {
      groupBy: "source",
    });
    expect(day).toMatchObject({ tokens_used: 18, base_quota_used: 0, grants_used: 30, calls: 1 });
    expect(day!.groups!.map(({ group, tokens_used }) => [group, tokens_used])).toEqual([
      ["grants", 30],
      ["regranted", -12],
    ]);
  });
});

describe("what counts", () => {
  test("is what was not refunded, when it was used", async () => {
    const { project, ada } = await projectOf();
    const { transfer_number } = await ada.consume(100, { tag: "GPT-4", at: noon });
    await ada.refund(transfer_number!, { tokens: 30, at: "2026-05-07T12:00Z" });

    expect(await groups(project, { groupBy: "tag" })).toEqual([
      ["GPT-4: 70 in 1"],
      ["GPT-4: 0 in 0"],
    ]);
    await ada.refund(transfer_number!, { at: "2026-05-07T12:00Z" });
    expect(await total(project)).toEqual({
      tokens_used: 0,
      base_quota_used: 0,
      grants_used: 0,
      calls: 1,
    });
  });

  test("is what holds came to, when they were made", async () => {
    const { project, ada } = await projectOf();
    const day = 86_400;
    const hold = (at: string) => ada.hold(50, { tag: "GPT-4", at, ttl: day });
    const [settled, more, released] = [await hold(noon), await hold(noon), await hold(noon)];
    await hold(noon); // Will expire.
    expect(await total(project)).toMatchObject({ tokens_used: 0, calls: 0 });

    await ada.settle(settled.hold_id, 20, { at: "2026-05-07T09:00Z" });
    await ada.settle(more.hold_id, 55, { allowExcess: true, at: "2026-05-07T09:00Z" });
    await ada.release(released.hold_id, { at: "2026-05-07T09:00Z" });
    expect(await groups(project, { groupBy: "tag" })).toEqual([
      ["GPT-4: 70 in 2"],
      ["GPT-4: 5 in 1"],
    ]);
  });

  test("is every item of a batch", async () => {
    const { project } = await projectOf();
    await project.tagId("GPT-4");
    await project.consumeBatch([
      { user_id: "ada", tokens_to_consume: 1, tag: "GPT-4" },
      { user_id: "ada", tokens_to_consume: 2 },
      { user_id: "bob", tokens_to_consume: 4 },
      { user_id: "bob", tokens_to_consume: 5000 },
    ], { at: noon });

    expect(await groups(project, { groupBy: "user" })).toMatchObject([
      ["ada: 3 in 2", "bob: 4 in 1"],
      {},
    ]);
  });

  test("is neither a grant nor a change of the account nor a denial", async () => {
    const { project, ada } = await projectOf();
    await ada.grant(500, { at: noon });
    await ada.change({ paymentStatus: "paused", at: noon });
    await ada.consume(501, { at: noon });
    await ada.check(1, { at: noon });

    expect(await groups(project, { groupBy: "tag" })).toEqual([[], []]);
  });
});
