import { createHash } from "node:crypto";
import { describe, expect, test } from "vitest";
import { useDatabase } from "../support/database.ts";
import { Project } from "../support/project.ts";

const { sql } = useDatabase();

describe("Studio's row editor, which sends JSON and array columns along with every change", () => {
  async function grantWith(metadata: { order: number } | null) {
    const project = await Project.create(sql);
    await project.plan({ type: "pay_as_you_go" });
    const [grant] = await sql<{ grant_id: string }[]>`
      select grant_id from grant_tokens(
        ${project.id}, 'ada', 100, 'bonus', '2999-01-01', ${metadata && sql.json(metadata)})`;
    return { user: project.unknownUser("ada"), id: grant!.grant_id };
  }

  test.each([null, { order: 7 }])("ends a grant whose metadata is %j", async (metadata) => {
    const { user, id } = await grantWith(metadata);

    await sql`update user_token_grants
      set expires_at = now(), metadata = ${metadata && sql.json(metadata)} where id = ${id}`;

    expect(await user.balance()).toMatchObject({ grants_left: 0 });
  });

  test("does not change the metadata of a grant", async () => {
    const { id } = await grantWith({ order: 7 });

    await expect(sql`update user_token_grants set metadata = '{"order": 8}' where id = ${id}`)
      .rejects.toMatchObject({ code: "TG007", hint: expect.stringContaining("grant_tokens()") });
  });

  test("ends a grant for some tags, and changes neither tags nor what else is fixed", async () => {
    const project = await Project.create(sql);
    await project.plan({ type: "pay_as_you_go" });
    const user = await project.user("ada");
    const { grant_id } = await user.grant(100, { tags: ["GPT-4"] });
    const other = await project.tagId("GPT-5");
    const update = (tagIds: string[]) =>
      sql`update user_token_grants set expires_at = '2999-01-01', tag_ids = ${tagIds}, metadata = null
        where id = ${grant_id}`;

    await update([await project.tagId("GPT-4")]);

    expect(await user.balance()).toMatchObject({
      grants: [{ tags: ["GPT-4"], expires_at: "2999-01-01T00:00:00+00:00" }],
    });
    await expect(update([other])).rejects.toMatchObject({
      code: "TG007",
      hint: expect.stringContaining("void_grant()"),
    });
  });

  test("ends a recurring grant, and changes neither its tags nor its metadata", async () => {
    const project = await Project.create(sql);
    await project.plan({ type: "pay_as_you_go" });
    const tags = [await project.tagId("GPT-4")];
    const user = await project.user("ada");
    const [row] = await sql<{ id: string }[]>`
      insert into recurring_grants (user_id, token_amount, grant_type, every, tag_ids, metadata)
      values (${user.id!}, 10, 'bonus', '1 day', ${tags}, '{"order": 7}') returning id`;
    const save = (tagIds: string[], order: number) =>
      sql`update recurring_grants
        set ends_at = now(), tag_ids = ${tagIds}, metadata = ${sql.json({ order })}
        where id = ${row!.id}`;
    const fixed = { code: "TG007", hint: expect.stringContaining("ends_at") };

    await expect(save([await project.tagId("GPT-5")], 7)).rejects.toMatchObject(fixed);
    await expect(save(tags, 8)).rejects.toMatchObject(fixed);
    await save(tags, 7);

    expect(await user.balance("2999-01-01Z")).toMatchObject({ grants_left: 10 });
  });

  test("sends the old tags of a restriction along with its new config, which counts", async () => {
    const project = await Project.create(sql);
    const planId = await project.plan({
      quota: 100,
      restrictions: [{ tag: "GPT-4", maxTokens: 5, duration: "1 month" }],
    });
    await project.tagId("GPT-5");
    await sql`update plan_restrictions
      set restriction_config = '{"tag_name": "GPT-5", "max_tokens": 5, "duration": "1 month"}',
        tag_ids = tag_ids
      where plan_id = ${planId}`;

    const user = project.unknownUser("ada");
    expect(await user.consume(6, { tag: "GPT-4" })).toMatchObject({ success: true });
    expect(await user.consume(6, { tag: "GPT-5" })).toMatchObject({ success: false });
  });

  test("renames nothing in a restriction whose config stays", async () => {
    const project = await Project.create(sql);
    const planId = await project.plan({
      quota: 100,
      restrictions: [{ tag: "GPT-4", maxTokens: 5, duration: "1 month" }],
    });
    const change = { tag_name: "GPT-4", max_tokens: 10, duration: "1 month" };

    await sql`update plan_restrictions set restriction_config = ${sql.json(change)}
      where plan_id = ${planId}`;

    const receipt = await project.unknownUser("ada").consume(10, { tag: "GPT-4" });
    expect(receipt).toMatchObject({ success: true, nearest_limit: { max_tokens: 10, left: 0 } });
  });
});

describe("a recurring grant", () => {
  async function weekly(endsAt?: string) {
    const project = await Project.create(sql);
    await project.plan({ type: "pay_as_you_go" });
    const user = await project.user("ada");
    const id = await user.recurringGrant(10, "1 week", {
      startsAt: "2031-01-01T00:00Z",
      ...(endsAt && { endsAt }),
    });
    return { user, id };
  }

  test("whose ends_at is set gives no more from then on, and keeps what it gave", async () => {
    const { user, id } = await weekly();
    await user.consume(1, { at: "2031-01-08T12:00Z" });
    await sql`update recurring_grants set ends_at = '2031-01-15Z' where id = ${id}`;

    expect(await user.balance("2031-03-01T00:00Z")).toMatchObject({ grants_left: 19 });
  });

  test("whose ends_at is taken away goes on, with all that it would have given", async () => {
    const { user, id } = await weekly("2031-01-02T00:00Z");
    await user.consume(1, { at: "2031-01-08T12:00Z" });
    await sql`update recurring_grants set ends_at = null where id = ${id}`;

    expect(await user.balance("2031-01-16T00:00Z")).toMatchObject({ grants_left: 29 });
  });

  test("does not end before it starts", async () => {
    const { id } = await weekly();

    await expect(sql`update recurring_grants set ends_at = '2030-12-31Z' where id = ${id}`)
      .rejects.toMatchObject({
        code: "23514",
        constraint_name: "ends_at_is_not_before_starts_at",
      });
  });

  test.each([
    ["token_amount = 0", "TG001"],
    ["grant_type = 'rollover'", "TG001"],
    ["every = '1 hour'", "TG001"],
    ["starts_at = 'infinity'", "TG001"],
    ["starts_at = '1900-01-01Z'", "TG001"],
    ["priority = 0", "TG001"],
    ["tag_ids = '{}'", "TG001"],
    ["tag_ids = array[gen_random_uuid()]", "TG001"],
    ["user_id = gen_random_uuid()", "TG004"],
  ])("is refused with %s, and a hint", async (field, code) => {
    const { user } = await weekly();
    const [column, value] = field.split(" = ");
    const row = {
      user_id: `'${user.id!}'`,
      token_amount: "5",
      grant_type: "'bonus'",
      every: "'1 day'",
      [column!]: value,
    };

    await expect(sql.unsafe(`insert into recurring_grants (${Object.keys(row).join()})
      values (${Object.values(row).join()})`))
      .rejects.toMatchObject({ code, hint: expect.stringMatching(/\w/) });
  });
});

describe("a tag", () => {
  const config = (planId: string) =>
    sql<{ tag_names: string[] }[]>`
      select restriction_config -> 'tag_names' as tag_names from plan_restrictions
      where plan_id = ${planId} order by id`.then((rows) => rows.map((row) => row.tag_names));

  async function planWithGroups(...groups: string[][]) {
    const project = await Project.create(sql);
    const planId = await project.plan({
      quota: 1000,
      restrictions: groups.map((tags) => ({ tags, maxTokens: 10, duration: "1 month" as const })),
    });
    return { project, planId };
  }

  test("renamed goes by its new name in all groups, which go on counting", async () => {
    const { project, planId } = await planWithGroups(["GPT-4", "GPT-5"], ["Claude", "GPT-4"]);
    const user = project.unknownUser("ada");
    await user.consume(8, { tag: "GPT-4" });
    await sql`update tags set name = 'o3' where project_id = ${project.id} and name = 'GPT-4'`;

    expect((await config(planId)).flat().sort()).toEqual(["Claude", "GPT-5", "o3", "o3"]);
    expect(await user.consume(3, { tag: "GPT-5" })).toMatchObject({
      reason: "restriction_exceeded",
      nearest_limit: { tag: null, tags: ["GPT-5", "o3"], used: 8, left: 2 },
    });
  });

  test("deleted leaves its groups; a group that had no other goes with it", async () => {
    const { project, planId } = await planWithGroups(["GPT-4", "GPT-5"], ["GPT-4"]);
    await sql`delete from tags where project_id = ${project.id} and name = 'GPT-4'`;

    expect(await config(planId)).toEqual([["GPT-5"]]);
    const user = project.unknownUser("ada");
    expect(await user.consume(11, { tag: "GPT-5" })).toMatchObject({
      reason: "restriction_exceeded",
      nearest_limit: { tags: ["GPT-5"] },
    });
    await sql`delete from tags where project_id = ${project.id}`;
    expect(await config(planId)).toEqual([]);
  });

  test("deleted together with others of one group in one statement leaves the rest of it", async () => {
    const { project, planId } = await planWithGroups(["a", "b", "c"], ["a", "b"]);
    await sql`delete from tags where project_id = ${project.id} and name in ('a', 'b')`;

    expect(await config(planId)).toEqual([["c"]]);
  });

  test("deleted in one statement with all others takes every group along", async () => {
    const { project, planId } = await planWithGroups(["a", "b", "c"], ["b"], ["c", "a"]);
    await sql`delete from tags where project_id = ${project.id}`;

    expect(await config(planId)).toEqual([]);
  });

  test("that was used keeps its groups: the statement deletes nothing", async () => {
    const { project, planId } = await planWithGroups(["a", "b"]);
    await project.unknownUser("ada").consume(1, { tag: "b" });

    await expect(sql`delete from tags where project_id = ${project.id}`)
      .rejects.toMatchObject({ code: "TG007" });
    expect(await config(planId)).toEqual([["a", "b"]]);
  });

  test.each(["grant", "recurring grant"])("that a %s is for cannot be deleted", async (kind) => {
    const { project } = await planWithGroups(["a", "b"]);
    const user = await project.user("ada");
    if (kind === "grant") await user.grant(5, { tags: ["a"] });
    else {
      await sql`insert into recurring_grants (user_id, token_amount, grant_type, every, tag_ids)
        values (${user.id!}, 5, 'bonus', '1 day', array[${await project.tagId("a")}::uuid])`;
    }
    const deletion = (name: string) =>
      sql`delete from tags where project_id = ${project.id} and name = ${name}`;

    await expect(deletion("a")).rejects.toMatchObject({
      code: "TG007",
      hint: expect.stringContaining("Rename the tag"),
    });
    await deletion("b");
    expect(await user.consume(5, { tag: "a" })).toMatchObject({ success: true });
  });
});

describe("a key", () => {
  async function newKey() {
    const project = await Project.create(sql);
    await project.plan({ quota: 100 });
    const [key] = await sql<{ id: string; api_key: string }[]>`
      select id, api_key from create_api_key(${project.id}, 'Backend')`;
    const hash = createHash("sha256").update(key!.api_key).digest();
    return {
      id: key!.id,
      use: () => sql`select success from consume_with_api_key(${hash}, 'ada', 1)`,
    };
  }

  test("whose revoked_at is set to now is refused by the next call", async () => {
    const { id, use } = await newKey();
    await use();
    await sql`update api_keys set revoked_at = now() where id = ${id}`;

    await expect(use()).rejects.toMatchObject({ code: "TG002" });
  });

  test("whose revoked_at is still to come works until then, or until revoke_api_key()", async () => {
    const { id, use } = await newKey();
    await sql`update api_keys set revoked_at = '2999-01-01' where id = ${id}`;
    const before = await use();

    await sql`select revoke_api_key(${id})`;

    expect(before).toEqual([{ success: true }]);
    await expect(use()).rejects.toMatchObject({ code: "TG002" });
  });

  test("is written to once an hour, however often it is used", async () => {
    const { id, use } = await newKey();
    const version = () => sql`select xmin::text, last_used_at from api_keys where id = ${id}`;
    await use();
    const first = await version();

    await use();
    const second = await version();
    await sql`update api_keys set last_used_at = last_used_at - interval '1 hour' where id = ${id}`;
    await use();
    const [nextHour] = await version();

    expect(second).toEqual(first);
    expect(nextHour!["last_used_at"]).toEqual(first[0]!["last_used_at"]);
  });

  test("can be deleted, and is unknown from then on", async () => {
    const { id, use } = await newKey();
    await sql`delete from api_keys where id = ${id}`;

    await expect(use()).rejects.toMatchObject({
      code: "TG002",
      message: "The API key is not known",
    });
  });
});

describe("a plan", () => {
  test("that users are on cannot be deleted", async () => {
    const project = await Project.create(sql);
    const planId = await project.plan({ quota: 100 });
    await project.user("ada");

    await expect(sql`delete from plans where id = ${planId}`).rejects.toMatchObject({
      code: "23503",
    });
  });

  test("whose users have moved away cannot be deleted once its quota was drawn on", async () => {
    const project = await Project.create(sql);
    const planId = await project.plan({ quota: 100 });
    await project.unknownUser("ada").consume(1);
    const nextPlanId = await project.plan({ quota: 100 });
    await sql`update tracked_users set plan_id = ${nextPlanId} where project_id = ${project.id}`;

    await expect(sql`delete from plans where id = ${planId}`).rejects.toMatchObject({
      code: "TG007",
      hint: "Set token_amount to 0, or plan_type to pay_as_you_go.",
    });
  });

  test("of another project is refused as default plan, and as a user's plan", async () => {
    const project = await Project.create(sql);
    const planId = await (await Project.create(sql)).plan({ quota: 100 });

    await expect(sql`update projects set default_plan_id = ${planId} where id = ${project.id}`)
      .rejects.toMatchObject({ code: "23503" });
    await expect(sql`insert into tracked_users (project_id, external_id, plan_id)
      values (${project.id}, 'ada', ${planId})`).rejects.toMatchObject({ code: "23503" });
  });
});
