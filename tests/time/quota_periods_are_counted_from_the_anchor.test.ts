import { describe, expect, test } from "vitest";
import type { Length } from "../support/clocks.ts";
import { useDatabase } from "../support/database.ts";
import { Project } from "../support/project.ts";

const { sql } = useDatabase();

interface Case {
  what: string;
  anchor: string;
  at: string;
  is: readonly [start: string, end: string];
  zone?: string;
}

async function period(length: Length, { anchor, at, zone = "UTC" }: Case) {
  const [found] = await sql<{ start: Date; end: Date }[]>`
    select tollgate.period_start(${anchor}, ${length}, ${zone}, p.number) as start,
      tollgate.period_start(${anchor}, ${length}, ${zone}, p.number + 1) as end
    from tollgate.period_number(${anchor}, ${length}, ${zone}, ${at}) p (number)`;
  return [found!.start, found!.end].map((instant) =>
    instant.toISOString().replace(":00.000Z", "Z")
  );
}

describe("a month", () => {
  test.each<Case>([
    {
      what: "anchored on the 31st ends with February",
      anchor: "2026-01-31T10:30Z",
      at: "2026-02-10T00:00Z",
      is: ["2026-01-31T10:30Z", "2026-02-28T10:30Z"],
    },
    {
      what: "anchored on the 31st is back on the 31st in March",
      anchor: "2026-01-31T10:30Z",
      at: "2026-03-01T00:00Z",
      is: ["2026-02-28T10:30Z", "2026-03-31T10:30Z"],
    },
    {
      what: "anchored on the 31st ends on April 30th",
      anchor: "2026-01-31T10:30Z",
      at: "2026-04-01T00:00Z",
      is: ["2026-03-31T10:30Z", "2026-04-30T10:30Z"],
    },
    {
      what: "anchored on the 30th ends on leap day",
      anchor: "2027-11-30T10:30Z",
      at: "2028-02-10T00:00Z",
      is: ["2028-01-30T10:30Z", "2028-02-29T10:30Z"],
    },
    {
      what: "anchored on the 29th ends on February 28th",
      anchor: "2026-01-29T10:30Z",
      at: "2026-02-28T10:29:59Z",
      is: ["2026-01-29T10:30Z", "2026-02-28T10:30Z"],
    },
    {
      what: "begins at its first instant",
      anchor: "2026-01-29T10:30Z",
      at: "2026-02-28T10:30Z",
      is: ["2026-02-28T10:30Z", "2026-03-29T10:30Z"],
    },
    {
      what: "begins at the anchor",
      anchor: "2026-05-06T10:30Z",
      at: "2026-05-06T10:30Z",
      is: ["2026-05-06T10:30Z", "2026-06-06T10:30Z"],
    },
    {
      what: "before an anchor in the future ends there or a multiple before",
      anchor: "2026-12-31T10:30Z",
      at: "2026-11-10T00:00Z",
      is: ["2026-10-31T10:30Z", "2026-11-30T10:30Z"],
    },
    {
      what: "keeps its local hour through the change of clocks",
      anchor: "2026-02-15T14:00Z",
      zone: "America/New_York",
      at: "2026-03-20T00:00Z",
      is: ["2026-03-15T13:00Z", "2026-04-15T13:00Z"],
    },
    {
      what: "is counted by local days: the 1st in Kiritimati is the 28th in UTC",
      anchor: "2026-01-31T10:00Z",
      zone: "Pacific/Kiritimati",
      at: "2026-02-28T12:00Z",
      is: ["2026-02-28T10:00Z", "2026-03-31T10:00Z"],
    },
    {
      what:
        "anchored on a time that is shown twice, the second time, begins at the anchor nevertheless",
      anchor: "2026-11-01T06:30Z",
      zone: "America/New_York",
      at: "2026-11-01T06:30Z",
      is: ["2026-11-01T06:30Z", "2026-12-01T06:30Z"],
    },
    {
      what: "before one that is anchored on a time shown twice ends at the anchor",
      anchor: "2026-11-01T06:30Z",
      zone: "America/New_York",
      at: "2026-11-01T06:29Z",
      is: ["2026-10-01T05:30Z", "2026-11-01T06:30Z"],
    },
    {
      what: "anchored on a midnight that Beirut's clocks skip begins at 1 o'clock",
      anchor: "2026-02-28T22:00Z",
      zone: "Asia/Beirut",
      at: "2026-04-01T00:00Z",
      is: ["2026-03-31T21:00Z", "2026-04-30T21:00Z"],
    },
  ])("$what", async (given) => {
    expect(await period("1 month", given)).toEqual(given.is);
  });
});

describe("a year", () => {
  test.each<Case>([
    {
      what: "anchored on leap day ends on February 28th",
      anchor: "2024-02-29T10:30Z",
      at: "2026-05-06T00:00Z",
      is: ["2026-02-28T10:30Z", "2027-02-28T10:30Z"],
    },
    {
      what: "anchored on leap day is back on leap day",
      anchor: "2024-02-29T10:30Z",
      at: "2028-05-06T00:00Z",
      is: ["2028-02-29T10:30Z", "2029-02-28T10:30Z"],
    },
    {
      what: "before an anchor on leap day is on leap day too",
      anchor: "2024-02-29T10:30Z",
      at: "2020-03-01T00:00Z",
      is: ["2020-02-29T10:30Z", "2021-02-28T10:30Z"],
    },
  ])("$what", async (given) => {
    expect(await period("1 year", given)).toEqual(given.is);
  });
});

describe("a week", () => {
  test.each<Case>([
    {
      what: "begins on the weekday of the anchor",
      anchor: "2026-05-06T10:30Z",
      at: "2026-05-20T10:29Z",
      is: ["2026-05-13T10:30Z", "2026-05-20T10:30Z"],
    },
    {
      what: "has an hour less when New York's clocks are set forward",
      anchor: "2026-03-01T14:00Z",
      zone: "America/New_York",
      at: "2026-03-05T00:00Z",
      is: ["2026-03-01T14:00Z", "2026-03-08T13:00Z"],
    },
    {
      what: "before an anchor in the future",
      anchor: "2026-05-06T10:30Z",
      at: "2026-04-28T00:00Z",
      is: ["2026-04-22T10:30Z", "2026-04-29T10:30Z"],
    },
  ])("$what", async (given) => {
    expect(await period("1 week", given)).toEqual(given.is);
  });
});

describe("a day", () => {
  test.each<Case>([
    {
      what: "has 23 hours when New York's clocks are set forward",
      anchor: "2026-03-01T14:00Z",
      zone: "America/New_York",
      at: "2026-03-08T00:00Z",
      is: ["2026-03-07T14:00Z", "2026-03-08T13:00Z"],
    },
    {
      what: "has 25 hours when New York's clocks are set back",
      anchor: "2026-10-01T14:00Z",
      zone: "America/New_York",
      at: "2026-11-01T00:00Z",
      is: ["2026-10-31T14:00Z", "2026-11-01T15:00Z"],
    },
    {
      what: "anchored on a time that is skipped begins an hour later that day",
      anchor: "2026-03-01T07:30Z",
      zone: "America/New_York",
      at: "2026-03-08T12:00Z",
      is: ["2026-03-08T07:30Z", "2026-03-09T06:30Z"],
    },
    {
      what: "anchored on a time that is shown twice begins with the first",
      anchor: "2026-10-01T05:30Z",
      zone: "America/New_York",
      at: "2026-11-01T06:00Z",
      is: ["2026-11-01T05:30Z", "2026-11-02T06:30Z"],
    },
    {
      what: "has 24.5 hours when Lord Howe's clocks are set back",
      anchor: "2026-04-01T14:00Z",
      zone: "Australia/Lord_Howe",
      at: "2026-04-05T00:00Z",
      is: ["2026-04-04T14:00Z", "2026-04-05T14:30Z"],
    },
    {
      what: "anchored on a half hour that Lord Howe's clocks skip begins half an hour later",
      anchor: "2026-10-01T15:40Z",
      zone: "Australia/Lord_Howe",
      at: "2026-10-03T16:00Z",
      is: ["2026-10-03T15:40Z", "2026-10-04T15:10Z"],
    },
    {
      what: "anchored on midnight begins at 1 o'clock where Beirut's clocks skip it",
      anchor: "2026-03-01T22:00Z",
      zone: "Asia/Beirut",
      at: "2026-03-29T12:00Z",
      is: ["2026-03-28T22:00Z", "2026-03-29T21:00Z"],
    },
    {
      what: "anchored on half past midnight begins at half past 1 where Havana's clocks skip it",
      anchor: "2026-03-01T05:30Z",
      zone: "America/Havana",
      at: "2026-03-08T12:00Z",
      is: ["2026-03-08T05:30Z", "2026-03-09T04:30Z"],
    },
    {
      what: "anchored on midnight begins with the first that St John's clocks show",
      anchor: "2010-11-01T02:30Z",
      zone: "America/St_Johns",
      at: "2010-11-07T02:31Z",
      is: ["2010-11-07T02:30Z", "2010-11-08T03:30Z"],
    },
    {
      what: "before the one that Samoa skipped",
      anchor: "2011-12-01T20:30Z",
      zone: "Pacific/Apia",
      at: "2011-12-30T12:00Z",
      is: ["2011-12-29T20:30Z", "2011-12-30T20:30Z"],
    },
    {
      what: "after the one that Samoa skipped",
      anchor: "2011-12-01T20:30Z",
      zone: "Pacific/Apia",
      at: "2011-12-30T20:30Z",
      is: ["2011-12-30T20:30Z", "2011-12-31T20:30Z"],
    },
  ])("$what", async (given) => {
    expect(await period("1 day", given)).toEqual(given.is);
  });
});

describe("periods of other lengths:", () => {
  test.each<Case & { length: Length }>([
    {
      what: "an hour is elapsed time where clocks are set back",
      length: "1 hour",
      anchor: "2026-10-01T05:20Z",
      zone: "America/New_York",
      at: "2026-11-01T06:30Z",
      is: ["2026-11-01T06:20Z", "2026-11-01T07:20Z"],
    },
    {
      what: "an hour is elapsed time where clocks are set by half of one",
      length: "1 hour",
      anchor: "2026-04-01T00:10Z",
      zone: "Australia/Lord_Howe",
      at: "2026-04-04T15:00Z",
      is: ["2026-04-04T14:10Z", "2026-04-04T15:10Z"],
    },
    {
      what: "an hour before the anchor",
      length: "1 hour",
      anchor: "2026-05-06T10:30Z",
      at: "2026-05-06T10:29:59.999999Z",
      is: ["2026-05-06T09:30Z", "2026-05-06T10:30Z"],
    },
    {
      what: "2 weeks keep their local hour",
      length: "2 weeks",
      anchor: "2026-03-01T14:00Z",
      zone: "America/New_York",
      at: "2026-03-10T00:00Z",
      is: ["2026-03-01T14:00Z", "2026-03-15T13:00Z"],
    },
    {
      what: "2 weeks before the anchor",
      length: "2 weeks",
      anchor: "2026-05-06T10:30Z",
      at: "2026-04-08T10:29Z",
      is: ["2026-03-25T10:30Z", "2026-04-08T10:30Z"],
    },
    {
      what: "3 months anchored on November 30th end with February",
      length: "3 months",
      anchor: "2025-11-30T10:30Z",
      at: "2026-01-01T00:00Z",
      is: ["2025-11-30T10:30Z", "2026-02-28T10:30Z"],
    },
    {
      what: "3 months anchored on November 30th are back on the 30th in May",
      length: "3 months",
      anchor: "2025-11-30T10:30Z",
      at: "2026-06-01T00:00Z",
      is: ["2026-05-30T10:30Z", "2026-08-30T10:30Z"],
    },
    {
      what: "3 months before the anchor",
      length: "3 months",
      anchor: "2026-05-31T10:30Z",
      at: "2026-02-28T10:29Z",
      is: ["2025-11-30T10:30Z", "2026-02-28T10:30Z"],
    },
    {
      what: "6 months anchored on August 31st end with February",
      length: "6 months",
      anchor: "2027-08-31T10:30Z",
      at: "2028-02-01T00:00Z",
      is: ["2027-08-31T10:30Z", "2028-02-29T10:30Z"],
    },
    {
      what: "6 months anchored on August 31st are back on the 31st",
      length: "6 months",
      anchor: "2027-08-31T10:30Z",
      at: "2028-09-01T00:00Z",
      is: ["2028-08-31T10:30Z", "2029-02-28T10:30Z"],
    },
  ])("$what", async (given) => {
    expect(await period(given.length, given)).toEqual(given.is);
  });
});

test("periods are numbered: 0 begins at the anchor, and those before are negative", async () => {
  const numbers = await sql`
    select tollgate.period_number('2026-01-31T10:30Z', '1 month', 'UTC', i.at) as number
    from unnest(array[
      '2025-12-31T10:29Z', '2026-01-31T10:29Z', '2026-01-31T10:30Z', '2026-02-28T10:30Z'
    ]::timestamptz[]) i (at)`;

  expect(numbers.map(({ number }) => number)).toEqual([-2, -1, 0, 1]);
});

test("the quota is whole again at the very instant at which the next period begins", async () => {
  const project = await Project.create(sql, "America/New_York");
  await project.plan({ quota: 100, period: "1 month" });
  const user = await project.user("ada", { billingAnchor: "2026-02-15T14:00Z" });
  await user.consume(100, { at: "2026-02-20T00:00Z" });

  expect(await user.consume(1, { at: "2026-03-15T12:59:59.999999Z" })).toMatchObject({
    reason: "insufficient_tokens",
    retry_at: new Date("2026-03-15T13:00Z"),
  });
  expect(await user.consume(100, { at: "2026-03-15T13:00Z" })).toMatchObject({ quota_left: 0 });
});

test("the balance shows the current period, drawn on or not", async () => {
  const project = await Project.create(sql);
  await project.plan({ quota: 100, period: "1 week" });
  const user = await project.user("ada", { billingAnchor: "2026-05-06T10:30Z" });
  await user.consume(60, { at: "2026-05-07T00:00Z" });

  expect(await user.balance("2026-05-13T10:29:59.999999Z")).toMatchObject({
    quota_used: 60,
    quota_left: 40,
    quota_resets_at: new Date("2026-05-13T10:30Z"),
  });
  expect(await user.balance("2026-05-13T10:30Z")).toMatchObject({
    quota_used: 0,
    quota_left: 100,
    quota_resets_at: new Date("2026-05-20T10:30Z"),
  });
});

test("periods in which nothing was used leave no row", async () => {
  const project = await Project.create(sql);
  await project.plan({ quota: 100, period: "1 day" });
  const user = await project.user("ada", { billingAnchor: "2026-05-01T00:00Z" });
  await user.consume(1, { at: "2026-05-01T12:00Z" });
  await user.consume(2, { at: "2026-05-09T12:00Z" });

  expect(
    await sql`select period_start, tokens_used from user_quota_usage
    where user_id = ${user.id!} order by period_start`,
  ).toEqual([
    { period_start: new Date("2026-05-01T00:00Z"), tokens_used: 1 },
    { period_start: new Date("2026-05-09T00:00Z"), tokens_used: 2 },
  ]);
});

test("what a period leaves is not carried over", async () => {
  const project = await Project.create(sql);
  await project.plan({ quota: 100, period: "1 day" });
  const user = await project.user("ada", { billingAnchor: "2026-05-01T00:00Z" });
  await user.consume(1, { at: "2026-05-01T12:00Z" });

  expect(await user.consume(101, { at: "2026-05-02T12:00Z" })).toMatchObject({
    success: false,
    quota_left: 100,
  });
});
