import { beforeAll, describe, expect, test } from "vitest";
import { useDatabase } from "../support/database.ts";
import { before } from "../support/instants.ts";
import { Project, type UsageWindow } from "../support/project.ts";

const { sql } = useDatabase();
const minute = (instant: Date) => instant.toISOString().slice(0, 16);

/** "from: tokens", and until when the last window is. */
const told = (windows: UsageWindow[]) => [
  ...windows.map(({ starts_at, tokens_used }) => `${minute(starts_at)}: ${tokens_used}`),
  minute(windows.at(-1)!.ends_at),
];

async function projectIn(timeZone: string, weekStart = "monday") {
  const project = await Project.create(sql, timeZone, { weekStart });
  await project.plan({ quota: 1e9, period: "1 year" });
  const user = await project.user("ada", { billingAnchor: "2025-01-01T00:00Z" });
  return { project, user };
}

interface Case {
  what: string;
  step: "hour" | "day" | "week" | "month";
  zone: string;
  weekStart?: string;
  from: string;
  to: string;
  calls: string[];
  is: string[];
}

/** The calls use 1, 2, 4, 8 ... tokens. */
test.each<Case>([
  {
    what: "hours that clocks show twice",
    step: "hour",
    zone: "America/New_York",
    from: "2026-11-01T04:00Z",
    to: "2026-11-01T08:00Z",
    calls: ["2026-11-01T05:59:59.999999Z", "2026-11-01T06:00Z", "2026-11-01T07:00Z"],
    is: [
      "2026-11-01T04:00: 0",
      "2026-11-01T05:00: 1",
      "2026-11-01T06:00: 2",
      "2026-11-01T07:00: 4",
      "2026-11-01T08:00",
    ],
  },
  {
    what: "hours around one that is skipped",
    step: "hour",
    zone: "America/New_York",
    from: "2026-03-08T06:00Z",
    to: "2026-03-08T08:00Z",
    calls: ["2026-03-08T06:59Z", "2026-03-08T07:00Z"],
    is: ["2026-03-08T06:00: 1", "2026-03-08T07:00: 2", "2026-03-08T08:00"],
  },
  {
    what: "an hour of 30 minutes",
    step: "hour",
    zone: "Australia/Lord_Howe",
    from: "2026-04-04T14:00Z",
    to: "2026-04-04T16:30Z",
    calls: ["2026-04-04T14:45Z", "2026-04-04T15:00Z", "2026-04-04T15:30Z"],
    is: [
      "2026-04-04T14:00: 1",
      "2026-04-04T15:00: 2",
      "2026-04-04T15:30: 4",
      "2026-04-04T16:30",
    ],
  },
  {
    what: "a day of 23 hours",
    step: "day",
    zone: "America/New_York",
    from: "2026-03-07T12:00Z",
    to: "2026-03-09T12:00Z",
    calls: ["2026-03-08T04:59Z", "2026-03-08T05:00Z", "2026-03-09T03:59Z", "2026-03-09T04:00Z"],
    is: ["2026-03-07T05:00: 1", "2026-03-08T05:00: 6", "2026-03-09T04:00: 8", "2026-03-10T04:00"],
  },
  {
    what: "a day of 25 hours",
    step: "day",
    zone: "America/New_York",
    from: "2026-11-01T04:00Z",
    to: "2026-11-02T05:00:00.000001Z",
    calls: ["2026-11-01T04:00Z", "2026-11-02T04:59Z", "2026-11-02T05:00Z"],
    is: ["2026-11-01T04:00: 3", "2026-11-02T05:00: 4", "2026-11-03T05:00"],
  },
  {
    what: "days that begin at a quarter past",
    step: "day",
    zone: "Asia/Kathmandu",
    from: "2026-05-06T00:00Z",
    to: "2026-05-07T00:00Z",
    calls: ["2026-05-06T18:14:59Z", "2026-05-06T18:15Z"],
    is: ["2026-05-05T18:15: 1", "2026-05-06T18:15: 2", "2026-05-07T18:15"],
  },
  {
    what: "a day that was skipped, between its neighbours",
    step: "day",
    zone: "Pacific/Apia",
    from: "2011-12-29T12:00Z",
    to: "2011-12-31T00:00Z",
    calls: ["2011-12-30T09:59Z", "2011-12-30T10:00Z"],
    is: ["2011-12-29T10:00: 1", "2011-12-30T10:00: 2", "2011-12-31T10:00"],
  },
  {
    what: "weeks from Monday",
    step: "week",
    zone: "America/New_York",
    from: "2026-03-03T00:00Z",
    to: "2026-03-17T00:00Z",
    calls: ["2026-03-09T03:59Z", "2026-03-09T04:00Z"],
    is: ["2026-03-02T05:00: 1", "2026-03-09T04:00: 2", "2026-03-16T04:00: 0", "2026-03-23T04:00"],
  },
  {
    what: "weeks from Sunday",
    step: "week",
    zone: "America/New_York",
    weekStart: "sunday",
    from: "2026-03-01T05:00Z",
    to: "2026-03-15T04:00Z",
    calls: ["2026-03-08T04:59Z", "2026-03-08T05:00Z", "2026-03-09T04:00Z"],
    is: ["2026-03-01T05:00: 1", "2026-03-08T05:00: 6", "2026-03-15T04:00"],
  },
  {
    what: "months",
    step: "month",
    zone: "Europe/Berlin",
    from: "2026-01-31T22:59Z",
    to: "2026-04-01T00:00Z",
    calls: ["2026-01-31T22:59Z", "2026-01-31T23:00Z", "2026-03-31T21:59Z", "2026-03-31T22:00Z"],
    is: [
      "2025-12-31T23:00: 1",
      "2026-01-31T23:00: 2",
      "2026-02-28T23:00: 4",
      "2026-03-31T22:00: 8",
      "2026-04-30T22:00",
    ],
  },
])("$what", async ({ step, zone, weekStart, from, to, calls, is }) => {
  const { project, user } = await projectIn(zone, weekStart);
  for (const [index, at] of calls.entries()) await user.consume(2 ** index, { at });

  const windows = await project.usage(from, to, { step });

  expect(told(windows)).toEqual(is);
  expect(windows.slice(1).map(({ starts_at }) => starts_at))
    .toEqual(windows.slice(0, -1).map(({ ends_at }) => ends_at));
});

describe("from and to", () => {
  let project: Project;

  beforeAll(async () => {
    const made = await projectIn("UTC");
    project = made.project;
    await made.user.consume(1, { at: before("2026-05-06T00:00Z") });
    await made.user.consume(2, { at: "2026-05-06T00:00Z" });
    await made.user.consume(4, { at: before("2026-05-07T00:00Z") });
    await made.user.consume(8, { at: "2026-05-07T00:00Z" });
  });

  test.each([
    ["the instant of a day", "2026-05-06T00:00Z", "2026-05-06T00:00:00.000001Z", ["06: 6"]],
    ["the last instant of a day", before("2026-05-07T00:00Z"), "2026-05-07T00:00Z", ["06: 6"]],
    ["a whole day", "2026-05-06T00:00Z", "2026-05-07T00:00Z", ["06: 6"]],
    [
      "a day and an instant",
      "2026-05-06T00:00Z",
      "2026-05-07T00:00:00.000001Z",
      ["06: 6", "07: 8"],
    ],
    ["an instant and a day", before("2026-05-06T00:00Z"), "2026-05-07T00:00Z", ["05: 1", "06: 6"]],
  ])("%s: whole days are told", async (_, from, to, days) => {
    const windows = await project.usage(from, to);

    expect(
      windows.map(({ starts_at, tokens_used }) =>
        `${starts_at.toISOString().slice(8, 10)}: ${tokens_used}`
      ),
    ).toEqual(days);
  });

  test("without to, usage is told until now", async () => {
    expect(
      await sql`select max(ends_at) > now() and count(*) between 2 and 3 as until_now
        from get_usage(${project.id}, now() - interval '1 day')`,
    ).toEqual([{ until_now: true }]);
  });

  const order = {
    code: "TG001",
    message: "from must be an instant before to, and the step not null",
    hint: "For example the last 30 days by day.",
  };

  test.each([
    ["2026-05-06T00:00Z", "2026-05-06T00:00Z"],
    ["2026-05-07T00:00Z", "2026-05-06T00:00Z"],
  ])("from %s to %s is refused", async (from, to) => {
    await expect(project.usage(from, to)).rejects.toMatchObject(order);
  });

  test.each([
    ["-infinity", "2026-05-06T00:00Z", "from"],
    ["4713-01-01T00:00Z BC", "2026-05-06T00:00Z", "from"],
    ["0001-12-31T23:59Z BC", "0001-01-01T00:00Z", "from"],
    ["9999-12-31T23:59Z", "10000-01-01T00:00Z", "to"],
    ["2026-05-06T00:00Z", "infinity", "to"],
  ])("from %s to %s is refused", async (from, to, field) => {
    await expect(project.usage(from, to)).rejects.toMatchObject({
      code: "TG001",
      message: `${field} must be an instant of the years 1 to 9999`,
    });
  });

  test("without from, without a step, and from the future on: refused", async () => {
    const { id } = project;

    await expect(sql`select from get_usage(${id}, null)`).rejects.toMatchObject(order);
    await expect(sql`select from get_usage(${id}, now() - interval '1 day', null, null)`)
      .rejects.toMatchObject(order);
    await expect(sql`select from get_usage(${id}, now() + interval '1 day')`)
      .rejects.toMatchObject(order);
  });

  test.each(
    [
      ["hour", "2026-02-11T16:00Z", "2026-02-11T16:00:00.000001Z"],
      ["day", "2028-09-27T00:00Z", "2028-09-27T00:00:00.000001Z"],
      ["week", "2045-02-27T00:00Z", "2045-02-27T00:00:00.000001Z"],
      ["month", "2109-05-01T00:00Z", "2109-05-01T00:00:00.000001Z"],
    ] as const,
  )("1000 windows are told, 1001 are refused: %s", async (step, end, after) => {
    const from = "2026-01-01T00:00Z"; // Its week began on December 29th.
    expect(await project.usage(from, end, { step })).toHaveLength(1000);
    await expect(project.usage(from, after, { step })).rejects.toMatchObject({
      code: "TG001",
      message: `from and to are more than 1000 ${step}s apart`,
      hint: "Ask for a shorter time, or longer steps.",
    });
  });
});

test("windows in which nothing was used are told with zeros", async () => {
  const { project } = await projectIn("UTC");
  const empty = { tokens_used: 0, base_quota_used: 0, grants_used: 0, calls: 0, groups: null };

  expect(await project.usage("2026-05-06T00:00Z", "2026-05-08T00:00Z")).toEqual([
    {
      ...empty,
      starts_at: new Date("2026-05-06T00:00Z"),
      ends_at: new Date("2026-05-07T00:00Z"),
    },
    {
      ...empty,
      starts_at: new Date("2026-05-07T00:00Z"),
      ends_at: new Date("2026-05-08T00:00Z"),
    },
  ]);
});

test("of one user it is told by the user's own clocks, of all by the project's", async () => {
  const { project, user } = await projectIn("America/New_York");
  const kenji = await project.user("kenji", {
    billingAnchor: "2026-01-01T00:00Z",
    timeZone: "Asia/Tokyo",
  });
  await user.consume(1, { at: "2026-05-06T14:00Z" });
  await kenji.consume(2, { at: "2026-05-06T14:59Z" });
  await kenji.consume(4, { at: "2026-05-06T15:00Z" });
  const day = (name?: string) =>
    project.usage("2026-05-06T14:00Z", "2026-05-06T15:00:00.000001Z", {
      ...(name && { user: name }),
    });

  expect(told(await day())).toEqual(["2026-05-06T04:00: 7", "2026-05-07T04:00"]);
  expect(told(await day("ada"))).toEqual(["2026-05-06T04:00: 1", "2026-05-07T04:00"]);
  expect(told(await day("kenji"))).toEqual([
    "2026-05-05T15:00: 2",
    "2026-05-06T15:00: 4",
    "2026-05-07T15:00",
  ]);
  await kenji.change({ timeZone: "", at: "2026-05-06T16:00Z" });
  expect(told(await day("kenji"))).toEqual(["2026-05-06T04:00: 6", "2026-05-07T04:00"]);
});

test("another project's usage is not told", async () => {
  const { project } = await projectIn("UTC");
  const other = await projectIn("UTC");
  await other.user.consume(100, { at: "2026-05-06T09:00Z" });

  expect(told(await project.usage("2026-05-06T00:00Z", "2026-05-07T00:00Z"))).toEqual([
    "2026-05-06T00:00: 0",
    "2026-05-07T00:00",
  ]);
});

test("what is not known is refused", async () => {
  const { project } = await projectIn("UTC");
  await (await Project.create(sql)).tagId("Claude");
  const usage = (options: object) =>
    project.usage("2026-05-06T00:00Z", "2026-05-07T00:00Z", options);

  await expect(usage({ user: "bob" })).rejects.toMatchObject({ code: "TG004" });
  await expect(usage({ tag: "Claude" })).rejects.toMatchObject({ code: "TG005" });
  await expect(
    sql`select from get_usage(gen_random_uuid(), '2026-05-06T00:00Z', '2026-05-07T00:00Z')`,
  )
    .rejects.toMatchObject({ code: "TG009" });
});
