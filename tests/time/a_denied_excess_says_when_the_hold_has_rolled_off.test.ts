import { expect, test } from "vitest";
import { useDatabase } from "../support/database.ts";
import { Project } from "../support/project.ts";

const { sql } = useDatabase();

test("an excess that a rolling window denies can be tried again when the hold has rolled off", async () => {
  const project = await Project.create(sql);
  await project.plan({
    quota: 1000,
    restrictions: [{ maxTokens: 50, duration: "1 hour", window: "rolling" }],
  });
  const user = project.unknownUser("ada");
  const hold = await user.hold(30, { at: "2031-01-05T10:05:00Z", ttl: 86400 });
  await user.consume(15, { at: "2031-01-05T10:50:00Z" });

  const settled = await user.settle(hold.hold_id, 40, {
    at: "2031-01-05T10:55:00Z",
    allowExcess: true,
  });

  expect(settled).toMatchObject({
    success: false,
    reason: "restriction_exceeded",
    retry_at: new Date("2031-01-05T11:15:00Z"),
  });
});
