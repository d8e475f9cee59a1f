import { expect, test } from "vitest";
import { useDatabase } from "../support/database.ts";
import { Project } from "../support/project.ts";

const { sql } = useDatabase();

const insert = `
-- Example: GPT-4 tokens limited to 2000/day
INSERT INTO plan_restrictions (
  plan_id,
  restriction_type,
  restriction_config
) VALUES (
  uuid_plan_id,
  'tag',
  '{
    "tag_name": "GPT-4",
    "max_tokens": 2000,
    "duration": "1 day"
  }'
);
`;

test("the document's restriction limits GPT-4 to 2000 tokens a day", async () => {
  const project = await Project.create(sql);
  const planId = await project.plan({ quota: 9000 });
  await project.tagId("GPT-4");
  await sql.unsafe(insert.replace("uuid_plan_id", `'${planId}'`));
  const user = await project.user("user_123");

  expect(await user.consume(2000, { tag: "GPT-4", at: "2026-05-06T09:00Z" })).toMatchObject({
    success: true,
    nearest_limit: { tag: "GPT-4", max_tokens: 2000, duration: "1 day", used: 2000, left: 0 },
  });
  expect(await user.consume(1, { tag: "GPT-4", at: "2026-05-06T10:00Z" })).toMatchObject({
    reason: "restriction_exceeded",
    retry_at: new Date("2026-05-07T00:00Z"),
  });
  expect(await user.consume(1, { at: "2026-05-06T11:00Z" })).toMatchObject({ success: true });
});
