import { describe, expect, test } from "vitest";
import { useDatabase } from "../support/database.ts";
import { Project } from "../support/project.ts";

const { sql } = useDatabase();
const maxTokens = "needs max_tokens, a whole number from 0 to 1000000000000000";
const duration = 'needs duration, one of "1 hour", "1 day", "1 week", "1 month"';
const example =
  '{"tag_name": "GPT-4", "max_tokens": 2000, "duration": "1 day"}; leave tag_name out for type total.';
const noTag = "Use restriction_type tag for one tag, or leave tag_name out.";
const insertTag = "Insert it into tags first; names are case-sensitive.";

async function planWithTag() {
  const project = await Project.create(sql);
  await project.tagId("GPT-4");
  return project.plan({ quota: 100 });
}

const insert = (planId: string, type: string, config: string | null) =>
  sql`insert into plan_restrictions (plan_id, restriction_type, restriction_config)
    values (${planId}, ${type}, ${config}::text::jsonb)
    returning tag_id is not null as has_tag, max_tokens, duration`;

test.each<["tag" | "total", string | null, string, string]>([
  ["total", null, "must be a JSON object", example],
  ["total", "null", "must be a JSON object", example],
  ["total", "[]", "must be a JSON object", example],
  ["total", '"1 day"', "must be a JSON object", example],
  ["total", "{}", maxTokens, example],
  ["total", '{"duration": "1 day"}', maxTokens, example],
  ["total", '{"max_tokens": null, "duration": "1 day"}', maxTokens, example],
  ["total", '{"max_tokens": "2000", "duration": "1 day"}', maxTokens, example],
  ["total", '{"max_tokens": "many", "duration": "1 day"}', maxTokens, example],
  ["total", '{"max_tokens": true, "duration": "1 day"}', maxTokens, example],
  ["total", '{"max_tokens": 0.5, "duration": "1 day"}', maxTokens, example],
  ["total", '{"max_tokens": -1, "duration": "1 day"}', maxTokens, example],
  ["total", '{"max_tokens": 1000000000000001, "duration": "1 day"}', maxTokens, example],
  ["total", '{"max_tokens": 1e400, "duration": "1 day"}', maxTokens, example],
  ["total", '{"max_tokens": 2000}', duration, example],
  ["total", '{"max_tokens": 2000, "duration": null}', duration, example],
  ["total", '{"max_tokens": 2000, "duration": 1}', duration, example],
  ["total", '{"max_tokens": 2000, "duration": "1 year"}', duration, example],
  ["total", '{"max_tokens": 2000, "duration": "2 days"}', duration, example],
  ["total", '{"max_tokens": 2000, "duration": "1 Day"}', duration, example],
  ["total", '{"max_tokens": 2000, "duration": ""}', duration, example],
  [
    "total",
    '{"max_tokens": 2000, "duration": "1 day", "tag": "GPT-4"}',
    "has an unknown field 'tag'",
    example,
  ],
  [
    "total",
    '{"maxTokens": 2000, "duration": "1 day"}',
    "has an unknown field 'maxTokens'",
    example,
  ],
  [
    "total",
    '{"tag_name": "GPT-4", "max_tokens": 2000, "duration": "1 day"}',
    "of type total must not have tag_name",
    noTag,
  ],
  [
    "total",
    '{"tag_name": null, "max_tokens": 2000, "duration": "1 day"}',
    "of type total must not have tag_name",
    noTag,
  ],
  [
    "tag",
    '{"max_tokens": 2000, "duration": "1 day"}',
    "of type tag needs tag_name, a text",
    example,
  ],
  [
    "tag",
    '{"tag_name": null, "max_tokens": 2000, "duration": "1 day"}',
    "of type tag needs tag_name, a text",
    example,
  ],
  [
    "tag",
    '{"tag_name": 4, "max_tokens": 2000, "duration": "1 day"}',
    "of type tag needs tag_name, a text",
    example,
  ],
  [
    "tag",
    '{"tag_name": "gpt-4", "max_tokens": 2000, "duration": "1 day"}',
    "names tag_name 'gpt-4', which is not a tag of the plan's project",
    insertTag,
  ],
  [
    "tag",
    '{"tag_name": "", "max_tokens": 2000, "duration": "1 day"}',
    "names tag_name '', which is not a tag of the plan's project",
    insertTag,
  ],
])("type %s with %s is refused", async (type, config, problem, hint) => {
  const planId = await planWithTag();

  await expect(insert(planId, type, config)).rejects.toMatchObject({
    code: "TG001",
    message: `restriction_config ${problem}`,
    hint,
  });
});

test.each<["tag" | "total", string, object]>([
  [
    "tag",
    '{"tag_name": "GPT-4", "max_tokens": 2000, "duration": "1 day"}',
    { has_tag: true, max_tokens: 2000, duration: "1 day" },
  ],
  [
    "total",
    '{"max_tokens": 0, "duration": "1 hour"}',
    { has_tag: false, max_tokens: 0, duration: "1 hour" },
  ],
  [
    "total",
    '{"max_tokens": 1000000000000000, "duration": "1 week"}',
    { has_tag: false, max_tokens: 1_000_000_000_000_000, duration: "1 week" },
  ],
  [
    "total",
    '{"max_tokens": 2e3, "duration": "1 month"}',
    { has_tag: false, max_tokens: 2000, duration: "1 month" },
  ],
  [
    "total",
    '{"max_tokens": 2000.0, "duration": "1 month"}',
    { has_tag: false, max_tokens: 2000, duration: "1 month" },
  ],
])("type %s with %s is accepted", async (type, config, row) => {
  const planId = await planWithTag();

  expect(await insert(planId, type, config)).toEqual([row]);
});

describe("an update", () => {
  test("is checked like an insert", async () => {
    const planId = await planWithTag();
    await insert(planId, "total", '{"max_tokens": 2000, "duration": "1 day"}');

    await expect(
      sql`update plan_restrictions set restriction_config = '{"max_tokens": 2000}'
        where plan_id = ${planId}`,
    ).rejects.toMatchObject({ code: "TG001", message: `restriction_config ${duration}` });
  });

  test("of the columns that the config fills has no effect", async () => {
    const planId = await planWithTag();
    await insert(planId, "total", '{"max_tokens": 2000, "duration": "1 day"}');

    const rows = await sql`update plan_restrictions set max_tokens = 9, duration = '1 hour'
      where plan_id = ${planId} returning max_tokens, duration, tag_id`;

    expect(rows).toEqual([{ max_tokens: 2000, duration: "1 day", tag_id: null }]);
  });
});

test("another project's tag is refused", async () => {
  const planId = await planWithTag();
  await (await Project.create(sql)).tagId("Claude");

  await expect(
    insert(planId, "tag", '{"tag_name": "Claude", "max_tokens": 1, "duration": "1 day"}'),
  ).rejects.toMatchObject({
    message: "restriction_config names tag_name 'Claude', which is not a tag of the plan's project",
  });
});

test.each(["Nowhere/Land", "", "America/new york"])("time_zone %j is refused", async (timeZone) => {
  await expect(Project.create(sql, timeZone)).rejects.toMatchObject({
    code: "TG001",
    message: `time_zone '${timeZone}' is not a known time zone`,
  });
});
