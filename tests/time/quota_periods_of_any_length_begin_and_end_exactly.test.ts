import { describe, expect, test } from "vitest";
import { useDatabase } from "../support/database.ts";
import { type Period, Project } from "../support/project.ts";

const { sql } = useDatabase();

interface Case {
  what: string;
  zone?: string;
  weekStart?: string;
  /** Of the user, and in vain where periods are those of the calendar. */
  anchor: string;
  start: string;
  end: string;
}

const before = (instant: string) => new Date(+new Date(instant) - 1).toISOString();

/** Uses up the period before, then this one, then the next. */
async function expectPeriod(
  period: Period,
  countedFrom: "billing_anchor" | "calendar",
  { zone = "UTC", weekStart = "monday", anchor, start, end }: Case,
) {
  const project = await Project.create(sql, zone, { weekStart });
  await project.plan({ quota: 10, period, countedFrom });
  const user = await project.user("ada", { billingAnchor: anchor });

  await user.consume(10, { at: before(start) });
  expect(await user.check(1, { at: before(start) })).toMatchObject({
    success: false,
    retry_at: new Date(start),
  });
  expect(await user.balance(start)).toMatchObject({
    quota_used: 0,
    quota_left: 10,
    quota_resets_at: new Date(end),
  });
  expect(await user.consume(10, { at: start })).toMatchObject({ success: true, quota_left: 0 });
  expect(await user.consume(1, { at: before(end) })).toMatchObject({
    success: false,
    retry_at: new Date(end),
  });
  expect(await user.consume(10, { at: end })).toMatchObject({ success: true, quota_left: 0 });
  expect(
    await sql`select period_start, period_end from user_quota_usage
      where user_id = ${user.id!} order by period_start offset 1 limit 1`,
  ).toEqual([{ period_start: new Date(start), period_end: new Date(end) }]);
}

describe("an hour", () => {
  test.each<Case>([
    {
      what: "is counted from the minute of the anchor",
      anchor: "2031-01-15T10:20:30Z",
      start: "2031-05-06T09:20:30Z",
      end: "2031-05-06T10:20:30Z",
    },
    {
      what: "before an anchor in the future too",
      anchor: "2031-06-15T10:20:30Z",
      start: "2031-05-06T09:20:30Z",
      end: "2031-05-06T10:20:30Z",
    },
    {
      what: "has 60 minutes when clocks show it twice: the first",
      zone: "America/New_York",
      anchor: "2031-11-01T04:30Z",
      start: "2031-11-02T05:30Z",
      end: "2031-11-02T06:30Z",
    },
    {
      what: "has 60 minutes when clocks show it twice: the second",
      zone: "America/New_York",
      anchor: "2031-11-01T04:30Z",
      start: "2031-11-02T06:30Z",
      end: "2031-11-02T07:30Z",
    },
    {
      what: "has 60 minutes where clocks are changed by 30",
      zone: "Australia/Lord_Howe",
      anchor: "2031-04-01T00:00Z",
      start: "2031-04-05T15:00Z",
      end: "2031-04-05T16:00Z",
    },
  ])("of billing $what", (given) => expectPeriod("1 hour", "billing_anchor", given));

  test.each<Case>([
    {
      what: "begins on the hour",
      anchor: "2031-01-15T10:20:30Z",
      start: "2031-05-06T09:00Z",
      end: "2031-05-06T10:00Z",
    },
    {
      what: "begins on the hour of the zone",
      zone: "Asia/Kolkata",
      anchor: "2031-01-15T10:20:30Z",
      start: "2031-05-06T09:30Z",
      end: "2031-05-06T10:30Z",
    },
    {
      what: "is another when clocks show it a second time",
      zone: "America/New_York",
      anchor: "2031-01-15T10:20:30Z",
      start: "2031-11-02T06:00Z",
      end: "2031-11-02T07:00Z",
    },
  ])("of the calendar $what", (given) => expectPeriod("1 hour", "calendar", given));
});

describe("two weeks", () => {
  test.each<Case>([
    {
      what: "begin on the weekday of the anchor",
      anchor: "2031-01-15T10:30Z",
      start: "2031-02-12T10:30Z",
      end: "2031-02-26T10:30Z",
    },
    {
      what: "before an anchor in the future too",
      anchor: "2031-03-12T10:30Z",
      start: "2031-02-12T10:30Z",
      end: "2031-02-26T10:30Z",
    },
    {
      what: "have an hour less when clocks are set forward",
      zone: "Europe/Berlin",
      anchor: "2031-03-05T09:00Z",
      start: "2031-03-19T09:00Z",
      end: "2031-04-02T08:00Z",
    },
  ])("of billing $what", (given) => expectPeriod("2 weeks", "billing_anchor", given));

  // Counted from Monday, January 1st 2001: 2031-01-06 is 1566 weeks later.
  test.each<Case>([
    {
      what: "begin every other Monday",
      anchor: "2031-01-15T10:30Z",
      start: "2031-01-06T00:00Z",
      end: "2031-01-20T00:00Z",
    },
    {
      what: "begin every other Saturday where the week does",
      weekStart: "saturday",
      anchor: "2031-01-15T10:30Z",
      start: "2031-01-11T00:00Z",
      end: "2031-01-25T00:00Z",
    },
    {
      what: "begin at local midnight, and have an hour more when clocks are set back",
      zone: "Europe/Berlin",
      anchor: "2031-01-15T10:30Z",
      start: "2031-10-12T22:00Z",
      end: "2031-10-26T23:00Z",
    },
  ])("of the calendar $what", (given) => expectPeriod("2 weeks", "calendar", given));
});

describe("three months", () => {
  test.each<Case>([
    {
      what: "from the 31st on end on the last day of a shorter month",
      anchor: "2031-01-31T10:30Z",
      start: "2031-01-31T10:30Z",
      end: "2031-04-30T10:30Z",
    },
    {
      what: "from the 31st on are back on the 31st",
      anchor: "2031-01-31T10:30Z",
      start: "2031-04-30T10:30Z",
      end: "2031-07-31T10:30Z",
    },
    {
      what: "from November 30th on end in February of a leap year",
      anchor: "2030-11-30T10:30Z",
      start: "2031-11-30T10:30Z",
      end: "2032-02-29T10:30Z",
    },
    {
      what: "keep their local hour",
      zone: "America/New_York",
      anchor: "2031-01-15T05:00Z",
      start: "2031-01-15T05:00Z",
      end: "2031-04-15T04:00Z",
    },
  ])("of billing $what", (given) => expectPeriod("3 months", "billing_anchor", given));

  test.each<Case>([
    {
      what: "are a quarter",
      anchor: "2031-02-15T10:30Z",
      start: "2031-04-01T00:00Z",
      end: "2031-07-01T00:00Z",
    },
    {
      what: "are a quarter by local clocks",
      zone: "Pacific/Kiritimati",
      anchor: "2031-02-15T10:30Z",
      start: "2031-09-30T10:00Z",
      end: "2031-12-31T10:00Z",
    },
  ])("of the calendar $what", (given) => expectPeriod("3 months", "calendar", given));
});

describe("six months", () => {
  test.each<Case>([
    {
      what: "from August 31st on end in February",
      anchor: "2030-08-31T10:30Z",
      start: "2030-08-31T10:30Z",
      end: "2031-02-28T10:30Z",
    },
    {
      what: "from August 31st on are back on the 31st",
      anchor: "2030-08-31T10:30Z",
      start: "2031-02-28T10:30Z",
      end: "2031-08-31T10:30Z",
    },
    {
      what: "south of the equator keep their local hour",
      zone: "Australia/Sydney",
      anchor: "2031-01-15T00:00Z",
      start: "2031-01-15T00:00Z",
      end: "2031-07-15T01:00Z",
    },
  ])("of billing $what", (given) => expectPeriod("6 months", "billing_anchor", given));

  test.each<Case>([
    {
      what: "are half a year",
      anchor: "2031-02-15T10:30Z",
      start: "2031-07-01T00:00Z",
      end: "2032-01-01T00:00Z",
    },
    {
      what: "are half a year by local clocks",
      zone: "America/New_York",
      anchor: "2031-02-15T10:30Z",
      start: "2031-01-01T05:00Z",
      end: "2031-07-01T04:00Z",
    },
  ])("of the calendar $what", (given) => expectPeriod("6 months", "calendar", given));
});

describe("a year", () => {
  test.each<Case>([
    {
      what: "from leap day on ends on February 28th",
      anchor: "2032-02-29T10:30Z",
      start: "2033-02-28T10:30Z",
      end: "2034-02-28T10:30Z",
    },
    {
      what: "from leap day on is back on leap day",
      anchor: "2032-02-29T10:30Z",
      start: "2035-02-28T10:30Z",
      end: "2036-02-29T10:30Z",
    },
    {
      what: "begins by the local date, a day later than in UTC",
      zone: "Asia/Tokyo",
      anchor: "2032-02-28T20:00Z",
      start: "2033-02-27T20:00Z",
      end: "2034-02-27T20:00Z",
    },
  ])("of billing $what", (given) => expectPeriod("1 year", "billing_anchor", given));

  test.each<Case>([
    {
      what: "begins on January 1st",
      anchor: "2031-02-15T10:30Z",
      start: "2031-01-01T00:00Z",
      end: "2032-01-01T00:00Z",
    },
    {
      what: "begins on January 1st by local clocks, whose midnight is shifted",
      zone: "America/St_Johns",
      anchor: "2031-02-15T10:30Z",
      start: "2031-01-01T03:30Z",
      end: "2032-01-01T03:30Z",
    },
  ])("of the calendar $what", (given) => expectPeriod("1 year", "calendar", given));
});

describe("a week of the calendar", () => {
  test.each([
    ["monday", "2031-01-13"],
    ["tuesday", "2031-01-14"],
    ["wednesday", "2031-01-15"],
    ["thursday", "2031-01-16"],
    ["friday", "2031-01-17"],
    ["saturday", "2031-01-18"],
    ["sunday", "2031-01-19"],
  ])("begins on %s where the project says so", async (weekStart, date) => {
    await expectPeriod("1 week", "calendar", {
      what: weekStart,
      weekStart,
      zone: "Asia/Tokyo",
      anchor: "2031-01-15T10:30Z",
      start: new Date(+new Date(date) - 9 * 3_600_000).toISOString(),
      end: new Date(+new Date(date) + (7 * 24 - 9) * 3_600_000).toISOString(),
    });
  });
});

describe("a day of the calendar", () => {
  test.each<Case>([
    {
      what: "without midnight begins when clocks are set forward",
      zone: "America/Havana",
      anchor: "2031-01-15T10:30Z",
      start: "2031-03-09T05:00Z",
      end: "2031-03-10T04:00Z",
    },
    {
      what: "of two midnights begins with the first",
      zone: "America/Havana",
      anchor: "2031-01-15T10:30Z",
      start: "2031-11-02T04:00Z",
      end: "2031-11-03T05:00Z",
    },
  ])("$what", (given) => expectPeriod("1 day", "calendar", given));
});

test("a user in a zone of their own has periods by those clocks", async () => {
  const project = await Project.create(sql, "America/New_York");
  await project.plan({ quota: 10, period: "1 day", countedFrom: "calendar" });
  const user = await project.user("ada", { timeZone: "Asia/Tokyo" });

  expect(await user.balance("2031-01-15T14:59:59.999Z")).toMatchObject({
    quota_resets_at: new Date("2031-01-15T15:00Z"),
  });
  expect(await user.balance("2031-01-15T15:00Z")).toMatchObject({
    quota_resets_at: new Date("2031-01-16T15:00Z"),
  });
});

test("a change from the anchor to the calendar waits for the end of the period that has begun", async () => {
  const project = await Project.create(sql);
  const planId = await project.plan({ quota: 10, period: "3 months" });
  const user = await project.user("ada", { billingAnchor: "2031-01-15T00:00Z" });
  await user.consume(10, { at: "2031-02-01T00:00Z" });
  await sql`update plan_quotas set counted_from = 'calendar' where plan_id = ${planId}`;

  expect(await user.consume(1, { at: "2031-04-14T23:59:59Z" })).toMatchObject({
    success: false,
    retry_at: new Date("2031-04-15T00:00Z"),
  });
  expect(await user.balance("2031-04-15T00:00Z")).toMatchObject({
    quota_left: 10,
    quota_resets_at: new Date("2031-07-01T00:00Z"),
  });
});
