import { describe, expect, test } from "vitest";
import { useDatabase } from "../support/database.ts";
import { before } from "../support/instants.ts";
import { type Duration, Project } from "../support/project.ts";

const { sql } = useDatabase();

interface Case {
  duration: Duration;
  zone: string;
  weekStart?: string;
  /** First instants of a window, and of the next one. */
  from: string;
  until: string;
}

/** Counted by hand from January 1st 2001, a Monday. */
const cases: Record<string, Case[]> = {
  "any number of hours": [
    { duration: "2 hours", zone: "UTC", from: "2026-05-06T08:00Z", until: "2026-05-06T10:00Z" },
    { duration: "6 hours", zone: "UTC", from: "2026-05-06T06:00Z", until: "2026-05-06T12:00Z" },
    { duration: "5 hours", zone: "UTC", from: "2026-05-06T06:00Z", until: "2026-05-06T11:00Z" },
    { duration: "48 hours", zone: "UTC", from: "2026-05-06T00:00Z", until: "2026-05-08T00:00Z" },
    { duration: "999 hours", zone: "UTC", from: "2026-04-20T18:00Z", until: "2026-06-01T09:00Z" },
  ],
  "any number of days": [
    { duration: "2 days", zone: "UTC", from: "2026-05-06T00:00Z", until: "2026-05-08T00:00Z" },
    { duration: "10 days", zone: "UTC", from: "2026-04-30T00:00Z", until: "2026-05-10T00:00Z" },
    { duration: "999 days", zone: "UTC", from: "2025-08-14T00:00Z", until: "2028-05-09T00:00Z" },
  ],
  "any number of weeks": [
    { duration: "7 days", zone: "UTC", from: "2026-05-04T00:00Z", until: "2026-05-11T00:00Z" },
    { duration: "2 weeks", zone: "UTC", from: "2026-05-04T00:00Z", until: "2026-05-18T00:00Z" },
    { duration: "14 days", zone: "UTC", from: "2026-05-04T00:00Z", until: "2026-05-18T00:00Z" },
    { duration: "4 weeks", zone: "UTC", from: "2026-04-20T00:00Z", until: "2026-05-18T00:00Z" },
    {
      duration: "2 weeks",
      zone: "UTC",
      weekStart: "sunday",
      from: "2026-04-26T00:00Z",
      until: "2026-05-10T00:00Z",
    },
    {
      duration: "1 week",
      zone: "America/New_York",
      weekStart: "sunday",
      from: "2026-11-01T04:00Z",
      until: "2026-11-08T05:00Z",
    },
  ],
  "any number of months": [
    { duration: "2 months", zone: "UTC", from: "2026-05-01T00:00Z", until: "2026-07-01T00:00Z" },
    { duration: "3 months", zone: "UTC", from: "2026-04-01T00:00Z", until: "2026-07-01T00:00Z" },
    { duration: "5 months", zone: "UTC", from: "2026-01-01T00:00Z", until: "2026-06-01T00:00Z" },
    { duration: "12 months", zone: "UTC", from: "2026-01-01T00:00Z", until: "2027-01-01T00:00Z" },
    { duration: "18 months", zone: "UTC", from: "2025-01-01T00:00Z", until: "2026-07-01T00:00Z" },
    { duration: "999 months", zone: "UTC", from: "2001-01-01T00:00Z", until: "2084-04-01T00:00Z" },
  ],
  "days of 23 and 25 hours": [
    {
      duration: "12 hours",
      zone: "America/New_York",
      from: "2026-03-08T05:00Z",
      until: "2026-03-08T16:00Z",
    },
    {
      duration: "6 hours",
      zone: "America/New_York",
      from: "2026-03-08T05:00Z",
      until: "2026-03-08T10:00Z",
    },
    {
      duration: "12 hours",
      zone: "America/New_York",
      from: "2026-11-01T04:00Z",
      until: "2026-11-01T17:00Z",
    },
    {
      duration: "2 days",
      zone: "America/New_York",
      from: "2026-03-07T05:00Z",
      until: "2026-03-09T04:00Z",
    },
    {
      duration: "2 days",
      zone: "America/New_York",
      from: "2026-10-31T04:00Z",
      until: "2026-11-02T05:00Z",
    },
    {
      duration: "3 months",
      zone: "America/New_York",
      from: "2026-01-01T05:00Z",
      until: "2026-04-01T04:00Z",
    },
  ],
  "hours that clocks show twice, for several hours": [
    {
      duration: "2 hours",
      zone: "America/New_York",
      from: "2026-11-01T04:00Z",
      until: "2026-11-01T07:00Z",
    },
    // From 3 o'clock back to 1: the second time from 1 to 3 belongs to the window begun at 2.
    {
      duration: "2 hours",
      zone: "Antarctica/Troll",
      from: "2026-10-25T00:00Z",
      until: "2026-10-25T04:00Z",
    },
  ],
  "hours that are skipped, whole windows of them too": [
    {
      duration: "2 hours",
      zone: "Antarctica/Troll",
      from: "2026-03-29T00:00Z",
      until: "2026-03-29T01:00Z",
    },
    {
      duration: "2 hours",
      zone: "Antarctica/Troll",
      from: "2026-03-29T01:00Z",
      until: "2026-03-29T02:00Z",
    },
    {
      duration: "12 hours",
      zone: "Pacific/Apia",
      from: "2011-12-29T22:00Z",
      until: "2011-12-30T10:00Z",
    },
    {
      duration: "12 hours",
      zone: "Pacific/Apia",
      from: "2011-12-30T10:00Z",
      until: "2011-12-30T22:00Z",
    },
  ],
  "midnights that are skipped or shown twice": [
    {
      duration: "6 hours",
      zone: "America/Havana",
      from: "2026-11-01T04:00Z",
      until: "2026-11-01T11:00Z",
    },
    {
      duration: "2 days",
      zone: "Asia/Beirut",
      from: "2026-03-28T22:00Z",
      until: "2026-03-30T21:00Z",
    },
  ],
  "a day that was skipped": [
    {
      duration: "2 days",
      zone: "Pacific/Apia",
      from: "2011-12-29T10:00Z",
      until: "2011-12-30T10:00Z",
    },
  ],
  "offsets of quarters and halves of an hour": [
    {
      duration: "6 hours",
      zone: "Asia/Kathmandu",
      from: "2026-05-06T18:15Z",
      until: "2026-05-07T00:15Z",
    },
    {
      duration: "1 day",
      zone: "Australia/Eucla",
      from: "2026-05-06T15:15Z",
      until: "2026-05-07T15:15Z",
    },
    {
      duration: "1 hour",
      zone: "Australia/Eucla",
      from: "2026-05-06T15:15Z",
      until: "2026-05-06T16:15Z",
    },
    {
      duration: "1 day",
      zone: "Pacific/Chatham",
      from: "2026-09-26T11:15Z",
      until: "2026-09-27T10:15Z",
    },
    {
      duration: "12 hours",
      zone: "Australia/Lord_Howe",
      from: "2026-04-04T13:00Z",
      until: "2026-04-05T01:30Z",
    },
    // Its first half hour is skipped.
    {
      duration: "2 hours",
      zone: "Australia/Lord_Howe",
      from: "2026-10-03T15:30Z",
      until: "2026-10-03T17:00Z",
    },
  ],
};

describe.each(Object.entries(cases))("%s", (_, windows) => {
  test.each(windows)("$duration in $zone from $from until $until", async (given) => {
    const { duration, zone, weekStart = "monday", from, until } = given;
    const project = await Project.create(sql, zone, { weekStart });
    await project.plan({
      type: "pay_as_you_go",
      restrictions: [{ maxTokens: 100, duration }],
    });
    const user = await project.user("ada");
    await user.grant(1000, { at: "2000-01-01T00:00Z" });
    const end = new Date(until);

    await user.consume(30, { at: before(from) });
    await user.consume(60, { at: from });
    expect((await user.balance(from)).restrictions.map((limit) => [
      limit.used,
      limit.left,
      new Date(limit.resets_at),
    ])).toEqual([[60, 40, end]]);
    expect(await user.check(41, { at: before(until) })).toMatchObject({
      message: `Limit reached: 41 tokens requested, 40 of 100 per ${
        duration.replace(/^1 /, "")
      } left`,
      retry_at: end,
    });

    await user.consume(40, { at: before(until) });
    expect(await user.check(1, { at: before(until) })).toMatchObject({ retry_at: end });
    expect(await user.consume(100, { at: until })).toMatchObject({ success: true });
  });
});

test("windows of all units are counted side by side", async () => {
  const project = await Project.create(sql, "America/New_York", { weekStart: "sunday" });
  const durations: Duration[] = ["1 hour", "6 hours", "1 day", "4 days", "1 week", "1 month"];
  await project.plan({
    quota: 100_000,
    restrictions: durations.map((duration) => ({ maxTokens: 50_000, duration })),
  });
  const user = await project.user("ada", { billingAnchor: "2026-01-01T00:00Z" });
  // Clocks are set back on Sunday, November 1st; 4 days began on October 29th.
  await user.consume(1, { at: "2026-10-29T16:00Z" });
  await user.consume(10, { at: "2026-10-31T16:00Z" });
  await user.consume(100, { at: "2026-11-01T04:30Z" });
  await user.consume(1000, { at: "2026-11-01T05:30Z" });
  await user.consume(10_000, { at: "2026-11-01T06:30Z" });

  expect(
    (await user.balance("2026-11-01T06:45Z")).restrictions.map(({ duration, used, resets_at }) => [
      duration,
      used,
      new Date(resets_at).toISOString().slice(0, 16),
    ]),
  ).toEqual([
    ["1 hour", 10_000, "2026-11-01T07:00"],
    ["6 hours", 11_100, "2026-11-01T11:00"],
    ["1 day", 11_100, "2026-11-02T05:00"],
    ["4 days", 11_111, "2026-11-02T05:00"],
    ["1 week", 11_100, "2026-11-08T05:00"],
    ["1 month", 11_100, "2026-12-01T05:00"],
  ]);
});
