import { createHash } from "node:crypto";
import { describe, expect, test } from "vitest";
import { useDatabase } from "../support/database.ts";
import { Project } from "../support/project.ts";

const { sql } = useDatabase();

describe("Studio's row editor, which sends JSON columns along with every change", () => {
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
