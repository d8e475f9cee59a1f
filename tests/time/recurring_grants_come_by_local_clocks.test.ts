import { describe, expect, test } from "vitest";
import { periodStart, ZONES } from "../support/clocks.ts";
import { useDatabase } from "../support/database.ts";
import { type Period, Project, type User } from "../support/project.ts";
import { Random, seed } from "../support/random.ts";

const { sql } = useDatabase();
const random = new Random();

async function userIn(timeZone = "UTC", options: { timeZone?: string } = {}) {
  const project = await Project.create(sql, timeZone);
  await project.plan({ type: "pay_as_you_go" });
  return project.user("ada", { createdAt: "2030-01-01T00:00Z", ...options });
}

/** When the grants of the balance at an instant took effect: `2031-01-31T10:00Z`. */
async function timesAt(user: User, at: string): Promise<string[]> {
  const { grants } = await user.balance(at);
  return grants.map(({ effective_at }) => instant(effective_at));
}

const instant = (time: string | number) => new Date(time).toISOString().replace(":00.000Z", "Z");

interface Case {
  what: string;
  every: Period;
  zone?: string;
  /** The first time is the start. */
  times: [string, ...string[]];
}

describe("a grant", () => {
  test.each<Case>([
    {
      what: "of every day",
      every: "1 day",
      times: ["2031-01-31T10:00Z", "2031-02-01T10:00Z", "2031-02-02T10:00Z"],
    },
    {
      what: "of every week",
      every: "1 week",
      times: ["2031-01-31T10:00Z", "2031-02-07T10:00Z", "2031-02-14T10:00Z"],
    },
    {
      what: "of every two weeks",
      every: "2 weeks",
      times: ["2031-01-31T10:00Z", "2031-02-14T10:00Z", "2031-02-28T10:00Z"],
    },
    {
      what: "of every month from the 31st on, which never drifts",
      every: "1 month",
      times: ["2031-01-31T10:00Z", "2031-02-28T10:00Z", "2031-03-31T10:00Z", "2031-04-30T10:00Z"],
    },
    {
      what: "of every three months",
      every: "3 months",
      times: ["2031-01-31T10:00Z", "2031-04-30T10:00Z", "2031-07-31T10:00Z", "2031-10-31T10:00Z"],
    },
    {
      what: "of every six months",
      every: "6 months",
      times: ["2031-08-31T10:00Z", "2032-02-29T10:00Z", "2032-08-31T10:00Z", "2033-02-28T10:00Z"],
    },
    {
      what: "of every year from leap day on",
      every: "1 year",
      times: ["2032-02-29T10:00Z", "2033-02-28T10:00Z", "2034-02-28T10:00Z"],
    },
    {
      what: "of every day keeps its local hour when clocks are set forward",
      every: "1 day",
      zone: "America/New_York",
      times: ["2031-03-08T14:00Z", "2031-03-09T13:00Z", "2031-03-10T13:00Z"],
    },
    {
      what: "of every day at a time that is skipped comes an hour later that day",
      every: "1 day",
      zone: "America/New_York",
      times: ["2031-03-08T07:30Z", "2031-03-09T07:30Z", "2031-03-10T06:30Z"],
    },
    {
      what: "of every day at a time that is shown twice comes once, at the first",
      every: "1 day",
      zone: "America/New_York",
      times: ["2031-11-01T05:30Z", "2031-11-02T05:30Z", "2031-11-03T06:30Z"],
    },
    {
      what: "of every week keeps its local hour when clocks are changed by half an hour",
      every: "1 week",
      zone: "Australia/Lord_Howe",
      times: ["2031-03-30T23:00Z", "2031-04-06T23:30Z", "2031-04-13T23:30Z"],
    },
    {
      what: "of every month from the local 31st on, the 30th in UTC",
      every: "1 month",
      zone: "Pacific/Kiritimati",
      times: ["2031-01-30T10:30Z", "2031-02-27T10:30Z", "2031-03-30T10:30Z"],
    },
  ])("$what", async ({ every, zone, times }) => {
    const user = await userIn(zone);
    const startsAt = times[0];
    await user.recurringGrant(10, every, { startsAt });

    for (const [index, time] of times.entries()) {
      const before = new Date(+new Date(time) - 1).toISOString();
      expect(await timesAt(user, before)).toEqual(times.slice(0, index));
      expect(await timesAt(user, time)).toEqual(times.slice(0, index + 1));
    }
  });

  test("comes by the clocks of the user, where the user has a zone", async () => {
    const user = await userIn("America/New_York", { timeZone: "Europe/Paris" });
    await user.recurringGrant(10, "1 week", { startsAt: "2031-03-25T08:00Z" });

    expect(await timesAt(user, "2031-04-01T07:00Z")).toEqual([
      "2031-03-25T08:00Z",
      "2031-04-01T07:00Z",
    ]);
  });
});

describe("the tokens of one time", () => {
  test.each<{ what: string; validFor: Period; zone: string; time: string; expiry: string }>([
    {
      what: "for a month last until that day of the next month, by local clocks",
      validFor: "1 month",
      zone: "America/New_York",
      time: "2031-02-15T14:00Z",
      expiry: "2031-03-15T13:00Z",
    },
    {
      what: "for an hour last 60 minutes, when clocks are set back too",
      validFor: "1 hour",
      zone: "America/New_York",
      time: "2031-11-02T05:30Z",
      expiry: "2031-11-02T06:30Z",
    },
    {
      what: "for a day last 23 hours when clocks are set forward",
      validFor: "1 day",
      zone: "America/New_York",
      time: "2031-03-08T14:00Z",
      expiry: "2031-03-09T13:00Z",
    },
    {
      what: "for a month last from the 31st until the last day of a shorter one",
      validFor: "1 month",
      zone: "UTC",
      time: "2031-01-31T10:00Z",
      expiry: "2031-02-28T10:00Z",
    },
  ])("$what", async ({ validFor, zone, time, expiry }) => {
    const user = await userIn(zone);
    await user.recurringGrant(10, "1 year", { startsAt: time, validFor });

    const [grant] = (await user.balance(time)).grants;
    expect(instant(grant!.expires_at!)).toBe(expiry);
    const before = new Date(+new Date(expiry) - 1).toISOString();
    expect(await user.check(10, { at: before })).toMatchObject({ success: true });
    expect(await user.check(1, { at: expiry })).toMatchObject({ success: false, grants_left: 0 });
  });

  test.each<[Period, string[]]>([
    ["1 month", ["02-28", "03-31", "04-30", "05-31"]],
    ["3 months", ["04-30", "05-31", "06-30", "07-31"]],
  ])("that come each month from the 31st, for %s, leave no day without", async (validFor, ends) => {
    const user = await userIn();
    await user.recurringGrant(10, "1 month", { startsAt: "2031-01-31T00:00Z", validFor });
    const times = ["01-31", "02-28", "03-31", "04-30"];
    for (const [n, end] of ends.entries()) {
      const { grants } = await user.balance(`2031-${times[n]!}T00:00:00Z`);
      expect(instant(grants.at(-1)!.expires_at!)).toBe(`2031-${end}T00:00Z`);
    }
  });

  test("that last longer than until the next time are there together", async () => {
    const user = await userIn();
    await user.recurringGrant(10, "1 week", { startsAt: "2031-01-01T00:00Z", validFor: "1 month" });

    expect(await timesAt(user, "2031-03-01T00:00Z")).toEqual([
      "2031-02-05T00:00Z",
      "2031-02-12T00:00Z",
      "2031-02-19T00:00Z",
      "2031-02-26T00:00Z",
    ]);
  });

  test("that have lapsed before anybody looked are not written down", async () => {
    const user = await userIn();
    await user.recurringGrant(10, "1 day", { startsAt: "2031-01-01T00:00Z", validFor: "1 day" });

    expect(await user.consume(10, { at: "2032-07-01T12:00Z" })).toMatchObject({ success: true });
    expect(await user.consume(1, { at: "2032-07-01T12:00Z" })).toMatchObject({ success: false });
    expect(await user.consume(10, { at: "2032-07-02T12:00Z" })).toMatchObject({ success: true });
    expect(
      await sql`select effective_at, expires_at from user_token_grants where user_id = ${user.id!}
        order by effective_at`,
    ).toEqual([
      {
        effective_at: new Date("2032-07-01T00:00Z"),
        expires_at: new Date("2032-07-02T00:00Z"),
      },
      {
        effective_at: new Date("2032-07-02T00:00Z"),
        expires_at: new Date("2032-07-03T00:00Z"),
      },
    ]);
  });
});

describe("from ends_at on", () => {
  test("there are no more, also at that very instant", async () => {
    const user = await userIn();
    await user.recurringGrant(10, "1 week", {
      startsAt: "2031-01-01T00:00Z",
      endsAt: "2031-01-15T00:00Z",
    });

    expect(await timesAt(user, "2031-06-01T00:00Z"))
      .toEqual(["2031-01-01T00:00Z", "2031-01-08T00:00Z"]);
  });

  test("there are none but the one just before", async () => {
    const user = await userIn();
    await user.recurringGrant(10, "1 week", {
      startsAt: "2031-01-01T00:00Z",
      endsAt: "2031-01-15T00:00:00.001Z",
    });

    expect(await timesAt(user, "2031-06-01T00:00Z")).toHaveLength(3);
  });
});

const DAY = 86_400_000;
const periods: Period[] = [
  "1 day",
  "1 week",
  "2 weeks",
  "1 month",
  "3 months",
  "6 months",
  "1 year",
];

test(`100 random ones, looked at now and then, come when Temporal says (TOLLGATE_SEED=${seed})`, async () => {
  for (let round = 0; round < 100; round++) {
    const zone = random.pick(ZONES);
    const every = random.pick(periods);
    const startsAt = random.integer(+new Date("2031-01-01") / 1000, +new Date("2032-01-01") / 1000);
    const start = startsAt * 1000;
    const length = periodStart(start, every, zone, 1) - start;
    const end = random.pick([undefined, start + random.integer(1, 12 * length)]);
    const user = await userIn(zone);
    await user.recurringGrant(10, every, {
      startsAt: instant(start),
      ...(end && { endsAt: instant(end) }),
    });
    const times = Array.from({ length: 14 }, (_, count) => periodStart(start, every, zone, count))
      .filter((time) => time < (end ?? Infinity));

    const last = times.at(-1)!;
    const looks = Array.from({ length: 4 }, () => start + random.integer(-DAY, 12 * length))
      .concat(last - 1, last)
      .sort((one, other) => one - other);
    // There, and back: what was there at an instant of the past was there written down or not.
    for (const [index, look] of [...looks, ...looks].entries()) {
      const at = new Date(look).toISOString();
      if (index < looks.length && random.pick([true, false])) await user.consume(1000, { at });
      expect([zone, every, instant(start), at, ...await timesAt(user, at)]).toEqual([
        zone,
        every,
        instant(start),
        at,
        ...times.filter((time) => time <= look).map(instant),
      ]);
    }
  }
});
