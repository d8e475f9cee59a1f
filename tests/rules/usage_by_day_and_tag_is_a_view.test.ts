import { expect, test } from "vitest";
import { useDatabase } from "../support/database.ts";
import { Project } from "../support/project.ts";

const { sql } = useDatabase();

test("it shows each day, by the project's clocks, and tag that was used", async () => {
  const project = await Project.create(sql, "America/New_York");
  await project.plan({ quota: 1000 });
  const ada = await project.user("ada", { billingAnchor: "2026-03-01T00:00Z" });
  const kenji = await project.user("kenji", {
    billingAnchor: "2026-03-01T00:00Z",
    timeZone: "Asia/Tokyo",
  });
  await ada.consume(1, { tag: "GPT-4", at: "2026-03-08T04:59Z" });
  const { transfer_number } = await ada.consume(100, { tag: "GPT-4", at: "2026-03-08T05:00Z" });
  await ada.consume(2, { tag: "GPT-4", at: "2026-03-09T03:59Z" });
  await kenji.consume(4, { tag: "GPT-4", at: "2026-03-09T03:59Z" });
  await kenji.consume(8, { at: "2026-03-09T03:59Z" });
  await kenji.consume(16, { tag: "Claude", at: "2026-03-09T04:00Z" });
  await ada.refund(transfer_number!, { tokens: 90, at: "2026-03-09T12:00Z" });

  expect(
    await sql`select day::text, tag, calls, users, tokens from usage_by_day_and_tag
      where project_id = ${project.id} order by day, tag`,
  ).toEqual([
    { day: "2026-03-07", tag: "GPT-4", calls: 1, users: 1, tokens: 1 },
    { day: "2026-03-08", tag: "GPT-4", calls: 3, users: 2, tokens: 16 },
    { day: "2026-03-08", tag: null, calls: 1, users: 1, tokens: 8 },
    { day: "2026-03-09", tag: "Claude", calls: 1, users: 1, tokens: 16 },
  ]);
});
