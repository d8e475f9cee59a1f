import { describe, expect, test } from "vitest";
import { useDatabase } from "../support/database.ts";

const { sql } = useDatabase();

type Window = readonly [start: string, end: string];

async function window(unit: string, at: string, zone: string): Promise<Window> {
  const [found] = await sql<{ start: Date; end: Date }[]>`
    select w.${sql(`${unit}_start`)} as start, w.${sql(`${unit}_end`)} as end
    from tollgate.windows_at(${at}, ${zone}) w`;
  return [found!.start.toISOString(), found!.end.toISOString()].map((instant) =>
    instant.replace(":00.000Z", "Z")
  ) as [string, string];
}

interface Case {
  what: string;
  at: string;
  zone: string;
  is: Window;
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
  ])("$what", async ({ at, zone, is }) => {
    expect(await window("hour", at, zone)).toEqual(is);
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
  ])("$what", async ({ at, zone, is }) => {
    expect(await window("day", at, zone)).toEqual(is);
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
  ])("$what", async ({ at, zone, is }) => {
    expect(await window("week", at, zone)).toEqual(is);
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
  ])("$what", async ({ at, zone, is }) => {
    expect(await window("month", at, zone)).toEqual(is);
  });
});
