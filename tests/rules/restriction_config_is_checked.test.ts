import { describe, expect, test } from "vitest";
import { useDatabase } from "../support/database.ts";
import { Project } from "../support/project.ts";

const { sql } = useDatabase();
const maxTokens = "needs max_tokens, a whole number from 0 to 1000000000000000";
const duration = "needs duration, 1 to 999 hours, days, weeks or months";
const durations = 'For example "1 hour", "5 hours", "1 day", "2 weeks", "1 month".';
const example =
  '{"tag_name": "GPT-4", "max_tokens": 2000, "duration": "1 day"}; leave tag_name out for type total.';
const noTag = "Use restriction_type tag for some tags, or leave them out.";
const insertTag = "Insert it into tags first; names are case-sensitive.";

async function planWithTag() {
  const project = await Project.create(sql);
  await project.tagId("GPT-4");
  return project.plan({ quota: 100 });
}

const insert = (planId: string, type: string, config: string | null) =>
  sql`insert into plan_restrictions (plan_id, restriction_type, restriction_config)
    values (${planId}, ${type}, ${config}::text::jsonb)
    returning tag_ids is not null as has_tag, max_tokens, duration::text`;

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
  ["total", '{"max_tokens": 2000}', duration, durations],
  ["total", '{"max_tokens": 2000, "duration": null}', duration, durations],
  ["total", '{"max_tokens": 2000, "duration": 1}', duration, durations],
  ["total", '{"max_tokens": 2000, "duration": "1 year"}', duration, durations],
  ["total", '{"max_tokens": 2000, "duration": "1.5 days"}', duration, durations],
  ["total", '{"max_tokens": 2000, "duration": "1 Day"}', duration, durations],
  ["total", '{"max_tokens": 2000, "duration": ""}', duration, durations],
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
    "of type total must not have tag_name or tag_names",
    noTag,
  ],
  [
    "total",
    '{"tag_name": null, "max_tokens": 2000, "duration": "1 day"}',
    "of type total must not have tag_name or tag_names",
    noTag,
  ],
  [
    "tag",
    '{"max_tokens": 2000, "duration": "1 day"}',
    "of type tag needs tag_name, a text, or tag_names, 1 to 100 of them",
    example,
  ],
  [
    "tag",
    '{"tag_name": null, "max_tokens": 2000, "duration": "1 day"}',
    "of type tag needs tag_name, a text, or tag_names, 1 to 100 of them",
    example,
  ],
  [
    "tag",
    '{"tag_name": 4, "max_tokens": 2000, "duration": "1 day"}',
    "of type tag needs tag_name, a text, or tag_names, 1 to 100 of them",
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
    { has_tag: false, max_tokens: 0, duration: "01:00:00" },
  ],
  [
    "total",
    '{"max_tokens": 1000000000000000, "duration": "1 week"}',
    { has_tag: false, max_tokens: 1_000_000_000_000_000, duration: "7 days" },
  ],
  [
    "total",
    '{"max_tokens": 2e3, "duration": "1 month"}',
    { has_tag: false, max_tokens: 2000, duration: "1 mon" },
  ],
  [
    "total",
    '{"max_tokens": 2000.0, "duration": "1 month"}',
    { has_tag: false, max_tokens: 2000, duration: "1 mon" },
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

    const rows = await sql`
      update plan_restrictions
      set max_tokens = 9, duration = '1 hour', tag_ids = array[gen_random_uuid()],
        is_rolling = true, starts_at = 'infinity', ends_at = '-infinity', counter_id = plan_id
      where plan_id = ${planId}
      returning max_tokens, duration::text, tag_ids, is_rolling, starts_at::text, ends_at::text,
        counter_id <> plan_id as counts_on`;

    expect(rows).toEqual([{
      max_tokens: 2000,
      duration: "1 day",
      tag_ids: null,
      is_rolling: false,
      starts_at: "-infinity",
      ends_at: "infinity",
      counts_on: true,
    }]);
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

test.each(["Nowhere/Land", "", "America/new york", "EST", "UTC+5"])(
  "time_zone %j is refused",
  async (timeZone) => {
    await expect(Project.create(sql, timeZone)).rejects.toMatchObject({
      code: "TG001",
      message: `time_zone '${timeZone}' is not a known time zone`,
    });
  },
);
