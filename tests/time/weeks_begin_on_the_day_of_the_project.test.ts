import { expect, test } from "vitest";
import { useDatabase } from "../support/database.ts";
import { Project } from "../support/project.ts";

const { sql } = useDatabase();

/** A user who has used 1 token on Friday, May 1st 2026, 2 on Saturday, 4 on Sunday, and so on. */
async function userOfDays(weekStart: string) {
  const project = await Project.create(sql, "UTC", { weekStart });
  const planId = await project.plan({
    quota: 10_000,
    restrictions: [{ maxTokens: 1000, duration: "1 week" }],
  });
  const user = await project.user("ada", { billingAnchor: "2026-01-01T00:00Z" });
  for (const day of [1, 2, 3, 4, 5, 6, 7, 8]) {
    await user.consume(2 ** (day - 1), { at: `2026-05-0${day}T12:00Z` });
  }
  const weeksBeginOn = (day: string) =>
    sql`update projects set week_start = ${day} where id = ${project.id}`;
  const week = async (at: string) => {
    const [limit] = (await user.balance(at)).restrictions;
    return [limit!.used, limit!.resets_at.slice(0, 10)];
  };
  return { project, planId, user, weeksBeginOn, week };
}

/** What was used on Friday the 8th, and on the days before it as far as they are of its week. */
const weeks = [
  ["monday", 8 + 16 + 32 + 64 + 128, "2026-05-11"],
  ["tuesday", 16 + 32 + 64 + 128, "2026-05-12"],
  ["wednesday", 32 + 64 + 128, "2026-05-13"],
  ["thursday", 64 + 128, "2026-05-14"],
  ["friday", 128, "2026-05-15"],
  ["saturday", 2 + 4 + 8 + 16 + 32 + 64 + 128, "2026-05-09"],
  ["sunday", 4 + 8 + 16 + 32 + 64 + 128, "2026-05-10"],
] as const;

test.each(weeks)("a week from %s on", async (weekStart, used, end) => {
  const { week } = await userOfDays(weekStart);

  expect(await week("2026-05-08T12:00Z")).toEqual([used, end]);
});

test("a week that begins on another day counts anew at once, whatever was counted before", async () => {
  const { weeksBeginOn, week } = await userOfDays("monday");

  for (const [weekStart, used, end] of weeks) {
    await weeksBeginOn(weekStart);
    expect(await week("2026-05-08T12:00Z")).toEqual([used, end]);
  }
});

test("so does the next consumption, there and back", async () => {
  const { user, weeksBeginOn, week } = await userOfDays("monday");
  const at = "2026-05-08T13:00Z";

  await weeksBeginOn("friday");
  expect(await user.check(873, { at })).toMatchObject({
    reason: "restriction_exceeded",
    retry_at: new Date("2026-05-15T00:00Z"),
  });
  await user.consume(300, { at });
  await weeksBeginOn("sunday");
  expect(await user.consume(449, { at })).toMatchObject({
    reason: "restriction_exceeded",
    retry_at: new Date("2026-05-10T00:00Z"),
  });
  expect(await user.consume(448, { at })).toMatchObject({ success: true });
  await weeksBeginOn("monday");
  expect(await week(at)).toEqual([248 + 748, "2026-05-11"]);
});

test("several weeks begin on that day too, days and months do not", async () => {
  const { project, planId, user, weeksBeginOn } = await userOfDays("monday");
  for (const duration of ["2 weeks", "4 days", "1 month"] as const) {
    await project.restrict(planId, { maxTokens: 1000, duration });
  }
  await project.restrict(planId, { maxTokens: 999, duration: "14 days" });
  await weeksBeginOn("sunday");

  expect(
    (await user.balance("2026-05-08T12:00Z")).restrictions.map((limit) => [
      limit.duration,
      limit.used,
      limit.resets_at.slice(0, 10),
    ]),
  ).toEqual([
    ["4 days", 32 + 64 + 128, "2026-05-10"],
    ["1 week", 252, "2026-05-10"],
    ["14 days", 255, "2026-05-10"],
    ["2 weeks", 255, "2026-05-10"],
    ["1 month", 255, "2026-06-01"],
  ]);
});

test("the project's week is the week of users with clocks of their own", async () => {
  const { user, week } = await userOfDays("sunday");
  await user.change({ timeZone: "Asia/Tokyo", at: "2026-05-08T13:00Z" });

  expect(await week("2026-05-09T14:59Z")).toEqual([252, "2026-05-09"]);
  expect(await week("2026-05-09T15:00Z")).toEqual([0, "2026-05-16"]);
});
