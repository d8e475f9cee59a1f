import { describe, expect, test } from "vitest";
import { type Length, WEEKDAYS } from "../support/clocks.ts";
import { useDatabase } from "../support/database.ts";

const { sql } = useDatabase();

interface Case {
  what: string;
  at: string;
  zone: string;
  is: readonly [start: string, end: string];
  /** 1 for Monday to 7 for Sunday. */
  weekStart?: number;
}

async function window(length: Length, { at, zone, weekStart = 1 }: Case) {
  const [found] = await sql<{ starts_at: Date; ends_at: Date }[]>`
    select * from tollgate.window_at(${length}, ${zone}, ${WEEKDAYS[weekStart - 1]!}, ${at})`;
  return [found!.starts_at, found!.ends_at].map((instant) =>
    instant.toISOString().replace(":00.000Z", "Z")
  );
}

describe("an hour", () => {
  test.each<Case>([
    {
      what: "of UTC",
      zone: "UTC",
      at: "2026-05-06T09:59:59.999999Z",
      is: ["2026-05-06T09:00Z", "2026-05-06T10:00Z"],
    },
    {
      what: "begins at a quarter to where the offset is 5:45",
      zone: "Asia/Kathmandu",
      at: "2026-05-06T09:20Z",
      is: ["2026-05-06T09:15Z", "2026-05-06T10:15Z"],
    },
    {
      what: "that New York's clocks show twice: the first",
      zone: "America/New_York",
      at: "2026-11-01T05:30Z",
      is: ["2026-11-01T05:00Z", "2026-11-01T06:00Z"],
    },
    {
      what: "that New York's clocks show twice: the second is another",
      zone: "America/New_York",
      at: "2026-11-01T06:30Z",
      is: ["2026-11-01T06:00Z", "2026-11-01T07:00Z"],
    },
    {
      what: "before New York's clocks skip one",
      zone: "America/New_York",
      at: "2026-03-08T06:59Z",
      is: ["2026-03-08T06:00Z", "2026-03-08T07:00Z"],
    },
    {
      what: "after New York's clocks have skipped one",
      zone: "America/New_York",
      at: "2026-03-08T07:00Z",
      is: ["2026-03-08T07:00Z", "2026-03-08T08:00Z"],
    },
    {
      what: "that Lord Howe's clocks begin again halfway, until then",
      zone: "Australia/Lord_Howe",
      at: "2026-04-04T14:59Z",
      is: ["2026-04-04T14:00Z", "2026-04-04T15:00Z"],
    },
    {
      what: "that Lord Howe's clocks begin again halfway, from then on: 30 minutes",
      zone: "Australia/Lord_Howe",
      at: "2026-04-04T15:10Z",
      is: ["2026-04-04T15:00Z", "2026-04-04T15:30Z"],
    },
    {
      what: "of which Lord Howe's clocks skip half: 30 minutes",
      zone: "Australia/Lord_Howe",
      at: "2026-10-03T15:40Z",
      is: ["2026-10-03T15:30Z", "2026-10-03T16:00Z"],
    },
    {
      what: "that Norfolk's clocks begin again halfway: 30 minutes",
      zone: "Pacific/Norfolk",
      at: "2015-10-03T14:40Z",
      is: ["2015-10-03T14:30Z", "2015-10-03T15:00Z"],
    },
    {
      what: "of which Caracas' clocks skip the last half: 30 minutes",
      zone: "America/Caracas",
      at: "2016-05-01T06:59:59.999999Z",
      is: ["2016-05-01T06:30Z", "2016-05-01T07:00Z"],
    },
    {
      what: "after Caracas' clocks have skipped half of one",
      zone: "America/Caracas",
      at: "2016-05-01T07:00Z",
      is: ["2016-05-01T07:00Z", "2016-05-01T08:00Z"],
    },
    {
      what: "that Colombo's clocks leave halfway, to begin it again: 30 minutes",
      zone: "Asia/Colombo",
      at: "2006-04-14T18:00Z",
      is: ["2006-04-14T18:00Z", "2006-04-14T18:30Z"],
    },
    {
      what: "that Colombo's clocks begin again",
      zone: "Asia/Colombo",
      at: "2006-04-14T18:30Z",
      is: ["2006-04-14T18:30Z", "2006-04-14T19:30Z"],
    },
    {
      what: "that St John's clocks leave after a minute, and a whole hour back",
      zone: "America/St_Johns",
      at: "2010-11-07T02:31Z",
      is: ["2010-11-07T02:30Z", "2010-11-07T03:30Z"],
    },
  ])("$what", async (given) => {
    expect(await window("1 hour", given)).toEqual(given.is);
  });
});

describe("a day", () => {
  test.each<Case>([
    {
      what: "ends just before the next begins",
      zone: "UTC",
      at: "2026-05-06T23:59:59.999999Z",
      is: ["2026-05-06T00:00Z", "2026-05-07T00:00Z"],
    },
    {
      what: "begins at its first instant",
      zone: "UTC",
      at: "2026-05-07T00:00Z",
      is: ["2026-05-07T00:00Z", "2026-05-08T00:00Z"],
    },
    {
      what: "of February 29th",
      zone: "UTC",
      at: "2028-02-29T12:00Z",
      is: ["2028-02-29T00:00Z", "2028-03-01T00:00Z"],
    },
    {
      what: "has 23 hours when New York's clocks are set forward",
      zone: "America/New_York",
      at: "2026-03-08T12:00Z",
      is: ["2026-03-08T05:00Z", "2026-03-09T04:00Z"],
    },
    {
      what: "has 25 hours when New York's clocks are set back",
      zone: "America/New_York",
      at: "2026-11-01T12:00Z",
      is: ["2026-11-01T04:00Z", "2026-11-02T05:00Z"],
    },
    {
      what: "has 24.5 hours when Lord Howe's clocks are set back",
      zone: "Australia/Lord_Howe",
      at: "2026-04-04T18:00Z",
      is: ["2026-04-04T13:00Z", "2026-04-05T13:30Z"],
    },
    {
      what: "begins at the first midnight where Havana's clocks show two",
      zone: "America/Havana",
      at: "2026-11-01T05:30Z",
      is: ["2026-11-01T04:00Z", "2026-11-02T05:00Z"],
    },
    {
      what: "begins at 1 o'clock where Beirut's clocks skip midnight",
      zone: "Asia/Beirut",
      at: "2026-03-29T12:00Z",
      is: ["2026-03-28T22:00Z", "2026-03-29T21:00Z"],
    },
    {
      what: "begins at 1 o'clock where Cairo's clocks skip midnight",
      zone: "Africa/Cairo",
      at: "2026-04-24T12:00Z",
      is: ["2026-04-23T22:00Z", "2026-04-24T21:00Z"],
    },
    {
      what: "has its last hour twice where Cairo's clocks are set back at midnight",
      zone: "Africa/Cairo",
      at: "2026-10-29T21:30Z",
      is: ["2026-10-28T21:00Z", "2026-10-29T22:00Z"],
    },
    {
      what: "before the one that Samoa skipped",
      zone: "Pacific/Apia",
      at: "2011-12-30T09:00Z",
      is: ["2011-12-29T10:00Z", "2011-12-30T10:00Z"],
    },
    {
      what: "after the one that Samoa skipped",
      zone: "Pacific/Apia",
      at: "2011-12-30T10:00Z",
      is: ["2011-12-30T10:00Z", "2011-12-31T10:00Z"],
    },
    {
      what: "at the year's end east of UTC",
      zone: "Asia/Kathmandu",
      at: "2026-12-31T18:15Z",
      is: ["2026-12-31T18:15Z", "2027-01-01T18:15Z"],
    },
    {
      what: "has 23.5 hours when Lord Howe's clocks are set forward",
      zone: "Australia/Lord_Howe",
      at: "2026-10-03T18:00Z",
      is: ["2026-10-03T13:30Z", "2026-10-04T13:00Z"],
    },
    {
      what: "has 22 hours when Troll's clocks are set forward by two",
      zone: "Antarctica/Troll",
      at: "2026-03-29T12:00Z",
      is: ["2026-03-29T00:00Z", "2026-03-29T22:00Z"],
    },
    {
      what: "ends when Pyongyang's clocks skip its last half hour",
      zone: "Asia/Pyongyang",
      at: "2018-05-04T14:59Z",
      is: ["2018-05-03T15:30Z", "2018-05-04T15:00Z"],
    },
    {
      what: "begins at 1 o'clock where Havana's clocks skip midnight",
      zone: "America/Havana",
      at: "2026-03-08T05:00Z",
      is: ["2026-03-08T05:00Z", "2026-03-09T04:00Z"],
    },
    {
      what: "begins at 1 o'clock where Sao Paulo's clocks skipped midnight",
      zone: "America/Sao_Paulo",
      at: "2018-11-04T12:00Z",
      is: ["2018-11-04T03:00Z", "2018-11-05T02:00Z"],
    },
    {
      what: "begins at 1 o'clock where Asuncion's clocks skipped midnight",
      zone: "America/Asuncion",
      at: "2023-10-01T12:00Z",
      is: ["2023-10-01T04:00Z", "2023-10-02T03:00Z"],
    },
    {
      what: "has its last hour twice where Sao Paulo's clocks were set back at midnight",
      zone: "America/Sao_Paulo",
      at: "2018-02-18T02:30Z",
      is: ["2018-02-17T02:00Z", "2018-02-18T03:00Z"],
    },
    {
      what: "before St John's clocks show a minute of the next",
      zone: "America/St_Johns",
      at: "2010-11-07T02:29:59.999999Z",
      is: ["2010-11-06T02:30Z", "2010-11-07T02:30Z"],
    },
    {
      what: "has begun, though a minute later St John's clocks go back to the day before",
      zone: "America/St_Johns",
      at: "2010-11-07T02:31Z",
      is: ["2010-11-07T02:30Z", "2010-11-08T03:30Z"],
    },
  ])("$what", async (given) => {
    expect(await window("1 day", given)).toEqual(given.is);
  });
});

describe("a week", () => {
  test.each<Case>([
    {
      what: "begins on Monday",
      zone: "UTC",
      at: "2026-05-04T00:00Z",
      is: ["2026-05-04T00:00Z", "2026-05-11T00:00Z"],
    },
    {
      what: "ends on Sunday",
      zone: "UTC",
      at: "2026-05-03T23:59:59.999999Z",
      is: ["2026-04-27T00:00Z", "2026-05-04T00:00Z"],
    },
    {
      what: "53 of 2026 goes on into the new year",
      zone: "UTC",
      at: "2027-01-03T12:00Z",
      is: ["2026-12-28T00:00Z", "2027-01-04T00:00Z"],
    },
    {
      what: "with a day of 23 hours",
      zone: "America/New_York",
      at: "2026-03-08T12:00Z",
      is: ["2026-03-02T05:00Z", "2026-03-09T04:00Z"],
    },
    {
      what: "with a day of 25 hours",
      zone: "America/New_York",
      at: "2026-11-01T12:00Z",
      is: ["2026-10-26T04:00Z", "2026-11-02T05:00Z"],
    },
    {
      what: "that has 6 days, as Samoa skipped one",
      zone: "Pacific/Apia",
      at: "2011-12-31T12:00Z",
      is: ["2011-12-26T10:00Z", "2012-01-01T10:00Z"],
    },
    {
      what: "from Sunday",
      weekStart: 7,
      zone: "UTC",
      at: "2026-05-06T12:00Z",
      is: ["2026-05-03T00:00Z", "2026-05-10T00:00Z"],
    },
    {
      what: "from Saturday",
      weekStart: 6,
      zone: "UTC",
      at: "2026-05-06T12:00Z",
      is: ["2026-05-02T00:00Z", "2026-05-09T00:00Z"],
    },
    {
      what: "from Wednesday, on a Wednesday",
      weekStart: 3,
      zone: "UTC",
      at: "2026-05-06T00:00Z",
      is: ["2026-05-06T00:00Z", "2026-05-13T00:00Z"],
    },
    {
      what: "from Wednesday, on a Tuesday",
      weekStart: 3,
      zone: "UTC",
      at: "2026-05-05T23:59:59.999999Z",
      is: ["2026-04-29T00:00Z", "2026-05-06T00:00Z"],
    },
    {
      what: "from Sunday, when Beirut's clocks skip that midnight",
      weekStart: 7,
      zone: "Asia/Beirut",
      at: "2026-03-28T22:00Z",
      is: ["2026-03-28T22:00Z", "2026-04-04T21:00Z"],
    },
    {
      what: "to Sunday, when Beirut's clocks skip that midnight",
      weekStart: 7,
      zone: "Asia/Beirut",
      at: "2026-03-28T21:59Z",
      is: ["2026-03-21T22:00Z", "2026-03-28T22:00Z"],
    },
    {
      what: "from Saturday, when Tehran's clocks skipped that midnight",
      weekStart: 6,
      zone: "Asia/Tehran",
      at: "2020-03-21T12:00Z",
      is: ["2020-03-20T20:30Z", "2020-03-27T19:30Z"],
    },
    {
      what: "from Friday, when Cairo's clocks skip that midnight",
      weekStart: 5,
      zone: "Africa/Cairo",
      at: "2026-04-24T12:00Z",
      is: ["2026-04-23T22:00Z", "2026-04-30T21:00Z"],
    },
    {
      what: "from Sunday, though St John's clocks go back to Saturday",
      weekStart: 7,
      zone: "America/St_Johns",
      at: "2010-11-07T02:31Z",
      is: ["2010-11-07T02:30Z", "2010-11-14T03:30Z"],
    },
    {
      what: "from the Friday that Samoa skipped: from Saturday",
      weekStart: 5,
      zone: "Pacific/Apia",
      at: "2011-12-30T10:00Z",
      is: ["2011-12-30T10:00Z", "2012-01-05T10:00Z"],
    },
  ])("$what", async (given) => {
    expect(await window("7 days", given)).toEqual(given.is);
  });
});

describe("a month", () => {
  test.each<Case>([
    {
      what: "of 28 days",
      zone: "UTC",
      at: "2026-02-28T23:59:59.999999Z",
      is: ["2026-02-01T00:00Z", "2026-03-01T00:00Z"],
    },
    {
      what: "of 29 days",
      zone: "UTC",
      at: "2028-02-29T23:59:59.999999Z",
      is: ["2028-02-01T00:00Z", "2028-03-01T00:00Z"],
    },
    {
      what: "at the year's end",
      zone: "UTC",
      at: "2026-12-31T23:59:59.999999Z",
      is: ["2026-12-01T00:00Z", "2027-01-01T00:00Z"],
    },
    {
      what: "that begins in winter time and ends in summer time",
      zone: "America/New_York",
      at: "2026-03-31T12:00Z",
      is: ["2026-03-01T05:00Z", "2026-04-01T04:00Z"],
    },
    {
      what: "that begins on the day when clocks are set back",
      zone: "America/Havana",
      at: "2026-11-20T12:00Z",
      is: ["2026-11-01T04:00Z", "2026-12-01T05:00Z"],
    },
    {
      what: "that begins with a midnight that Asuncion's clocks skipped",
      zone: "America/Asuncion",
      at: "2023-10-20T12:00Z",
      is: ["2023-10-01T04:00Z", "2023-11-01T03:00Z"],
    },
    {
      what: "of December without the day that Samoa skipped",
      zone: "Pacific/Apia",
      at: "2011-12-31T09:59Z",
      is: ["2011-12-01T10:00Z", "2011-12-31T10:00Z"],
    },
  ])("$what", async (given) => {
    expect(await window("1 month", given)).toEqual(given.is);
  });
});

describe("several units are counted from January 1st 2001, a Monday:", () => {
  test.each<Case & { length: Length }>([
    {
      what: "6 hours begin at 0, 6, 12 and 18 o'clock",
      length: "6 hours",
      zone: "UTC",
      at: "2026-05-06T17:59:59.999999Z",
      is: ["2026-05-06T12:00Z", "2026-05-06T18:00Z"],
    },
    {
      what: "6 hours are 5 when New York's clocks skip one",
      length: "6 hours",
      zone: "America/New_York",
      at: "2026-03-08T09:59Z",
      is: ["2026-03-08T05:00Z", "2026-03-08T10:00Z"],
    },
    {
      what: "6 hours are 7 when New York's clocks show one twice",
      length: "6 hours",
      zone: "America/New_York",
      at: "2026-11-01T06:30Z",
      is: ["2026-11-01T04:00Z", "2026-11-01T11:00Z"],
    },
    {
      what: "6 hours after the day that Samoa skipped",
      length: "6 hours",
      zone: "Pacific/Apia",
      at: "2011-12-30T10:00Z",
      is: ["2011-12-30T10:00Z", "2011-12-30T16:00Z"],
    },
    {
      what: "2 hours begin at 3 o'clock when New York's clocks skip 2",
      length: "2 hours",
      zone: "America/New_York",
      at: "2026-03-08T07:00Z",
      is: ["2026-03-08T07:00Z", "2026-03-08T08:00Z"],
    },
    {
      what: "2 hours end early when Troll's clocks skip two",
      length: "2 hours",
      zone: "Antarctica/Troll",
      at: "2026-03-29T00:59Z",
      is: ["2026-03-29T00:00Z", "2026-03-29T01:00Z"],
    },
    {
      what: "2 hours begin late when Troll's clocks skip two",
      length: "2 hours",
      zone: "Antarctica/Troll",
      at: "2026-03-29T01:00Z",
      is: ["2026-03-29T01:00Z", "2026-03-29T02:00Z"],
    },
    {
      what: "2 hours of which Lord Howe's clocks repeat a half",
      length: "2 hours",
      zone: "Australia/Lord_Howe",
      at: "2026-04-04T15:29Z",
      is: ["2026-04-04T13:00Z", "2026-04-04T15:30Z"],
    },
    {
      what: "2 hours after those of which Lord Howe's clocks repeat a half",
      length: "2 hours",
      zone: "Australia/Lord_Howe",
      at: "2026-04-04T15:30Z",
      is: ["2026-04-04T15:30Z", "2026-04-04T17:30Z"],
    },
    {
      what: "5 hours do not begin anew with each day",
      length: "5 hours",
      zone: "UTC",
      at: "2026-05-06T00:30Z",
      is: ["2026-05-05T20:00Z", "2026-05-06T01:00Z"],
    },
    {
      what: "24 hours are a day by the clocks",
      length: "24 hours",
      zone: "America/New_York",
      at: "2026-03-08T12:00Z",
      is: ["2026-03-08T05:00Z", "2026-03-09T04:00Z"],
    },
    {
      what: "3 days do not begin anew with each month",
      length: "3 days",
      zone: "UTC",
      at: "2026-05-01T12:00Z",
      is: ["2026-04-29T00:00Z", "2026-05-02T00:00Z"],
    },
    {
      what: "3 days do not know on which day weeks begin",
      length: "3 days",
      weekStart: 6,
      zone: "UTC",
      at: "2026-05-01T12:00Z",
      is: ["2026-04-29T00:00Z", "2026-05-02T00:00Z"],
    },
    {
      what: "3 days of which Samoa skipped one",
      length: "3 days",
      zone: "Pacific/Apia",
      at: "2011-12-30T12:00Z",
      is: ["2011-12-29T10:00Z", "2011-12-31T10:00Z"],
    },
    {
      what: "3 days before those that are counted from",
      length: "3 days",
      zone: "UTC",
      at: "2000-12-31T12:00Z",
      is: ["2000-12-29T00:00Z", "2001-01-01T00:00Z"],
    },
    {
      what: "2 weeks from Monday",
      length: "2 weeks",
      zone: "UTC",
      at: "2026-05-06T12:00Z",
      is: ["2026-05-04T00:00Z", "2026-05-18T00:00Z"],
    },
    {
      what: "2 weeks from Sunday",
      length: "2 weeks",
      weekStart: 7,
      zone: "UTC",
      at: "2026-05-06T12:00Z",
      is: ["2026-04-26T00:00Z", "2026-05-10T00:00Z"],
    },
    {
      what: "14 days are 2 weeks",
      length: "14 days",
      weekStart: 7,
      zone: "UTC",
      at: "2026-05-06T12:00Z",
      is: ["2026-04-26T00:00Z", "2026-05-10T00:00Z"],
    },
    {
      what: "3 months are a quarter",
      length: "3 months",
      zone: "America/New_York",
      at: "2026-05-06T12:00Z",
      is: ["2026-04-01T04:00Z", "2026-07-01T04:00Z"],
    },
    {
      what: "3 months from a midnight that Asuncion's clocks skipped",
      length: "3 months",
      zone: "America/Asuncion",
      at: "2023-11-20T12:00Z",
      is: ["2023-10-01T04:00Z", "2024-01-01T03:00Z"],
    },
    {
      what: "18 months",
      length: "18 months",
      zone: "UTC",
      at: "2026-05-06T12:00Z",
      is: ["2025-01-01T00:00Z", "2026-07-01T00:00Z"],
    },
    {
      what: "18 months before those that are counted from",
      length: "18 months",
      zone: "UTC",
      at: "2000-12-31T12:00Z",
      is: ["1999-07-01T00:00Z", "2001-01-01T00:00Z"],
    },
    {
      what: "12 months are a year",
      length: "12 months",
      zone: "UTC",
      at: "2026-05-06T12:00Z",
      is: ["2026-01-01T00:00Z", "2027-01-01T00:00Z"],
    },
  ])("$what", async (given) => {
    expect(await window(given.length, given)).toEqual(given.is);
  });
});
