import { describe, expect, test } from "vitest";
import { useDatabase } from "../support/database.ts";
import { type PlanOptions, Project } from "../support/project.ts";

const { sql } = useDatabase();

interface Case extends Pick<PlanOptions, "period" | "countedFrom"> {
  what: string;
  zone?: string;
  weekStart?: string;
  /** Of the first period; its tokens are left unused. */
  anchor: string;
  periods: number;
  end: string;
  expiry: string;
}

const before = (instant: string) => new Date(+new Date(instant) - 1).toISOString();

describe("what is left of", () => {
  test.each<Case>([
    {
      what: "a month from the 31st on, until the last day of a shorter one",
      anchor: "2031-01-31T10:00Z",
      periods: 1,
      end: "2031-02-28T10:00Z",
      expiry: "2031-03-31T10:00Z",
    },
    {
      what: "a month from the 31st on, for three more",
      anchor: "2031-01-31T10:00Z",
      periods: 3,
      end: "2031-02-28T10:00Z",
      expiry: "2031-05-31T10:00Z",
    },
    {
      what: "a month by New York's clocks, when they are set forward in between",
      zone: "America/New_York",
      anchor: "2031-02-15T14:00Z",
      periods: 1,
      end: "2031-03-15T13:00Z",
      expiry: "2031-04-15T13:00Z",
    },
    {
      what: "a month of the calendar, in Tokyo",
      zone: "Asia/Tokyo",
      countedFrom: "calendar",
      anchor: "2031-01-15T10:00Z",
      periods: 2,
      end: "2031-01-31T15:00Z",
      expiry: "2031-03-31T15:00Z",
    },
    {
      what: "a quarter of the calendar",
      period: "3 months",
      countedFrom: "calendar",
      anchor: "2031-02-15T10:00Z",
      periods: 2,
      end: "2031-04-01T00:00Z",
      expiry: "2031-10-01T00:00Z",
    },
    {
      what: "half a year of the calendar",
      period: "6 months",
      countedFrom: "calendar",
      anchor: "2031-02-15T10:00Z",
      periods: 1,
      end: "2031-07-01T00:00Z",
      expiry: "2032-01-01T00:00Z",
    },
    {
      what: "a year from leap day on",
      period: "1 year",
      anchor: "2032-02-29T10:00Z",
      periods: 3,
      end: "2033-02-28T10:00Z",
      expiry: "2036-02-29T10:00Z",
    },
    {
      what: "a week of the calendar that begins on Sunday",
      period: "1 week",
      countedFrom: "calendar",
      weekStart: "sunday",
      anchor: "2031-01-15T10:00Z",
      periods: 2,
      end: "2031-01-19T00:00Z",
      expiry: "2031-02-02T00:00Z",
    },
    {
      what: "two weeks",
      period: "2 weeks",
      anchor: "2031-01-15T10:00Z",
      periods: 2,
      end: "2031-01-29T10:00Z",
      expiry: "2031-02-26T10:00Z",
    },
    {
      what: "a day, until the end of one of 23 hours",
      period: "1 day",
      zone: "America/New_York",
      anchor: "2031-03-07T14:00Z",
      periods: 1,
      end: "2031-03-08T14:00Z",
      expiry: "2031-03-09T13:00Z",
    },
    {
      what: "a day of the calendar, until the end of one of 25 hours",
      period: "1 day",
      countedFrom: "calendar",
      zone: "America/New_York",
      anchor: "2031-11-01T14:00Z",
      periods: 1,
      end: "2031-11-02T04:00Z",
      expiry: "2031-11-03T05:00Z",
    },
    {
      what: "an hour, for twelve more",
      period: "1 hour",
      anchor: "2031-01-15T10:20Z",
      periods: 12,
      end: "2031-01-15T11:20Z",
      expiry: "2031-01-15T23:20Z",
    },
    {
      what: "an hour of the calendar, in Kathmandu",
      period: "1 hour",
      countedFrom: "calendar",
      zone: "Asia/Kathmandu",
      anchor: "2031-01-15T10:20Z",
      periods: 1,
      end: "2031-01-15T11:15Z",
      expiry: "2031-01-15T12:15Z",
    },
  ])("$what", async (given) => {
    const { zone = "UTC", weekStart = "monday", anchor, periods, end, expiry } = given;
    const project = await Project.create(sql, zone, { weekStart });
    await project.plan({
      quota: 100,
      period: given.period ?? "1 month",
      countedFrom: given.countedFrom ?? "billing_anchor",
      rollover: { maxTokens: 100, periods },
    });
    const user = await project.user("ada", { billingAnchor: anchor, createdAt: anchor });
    await user.consume(30, { at: anchor });

    expect(await user.balance(before(end))).toMatchObject({ quota_left: 70, grants: [] });
    const { grants, quota_left } = await user.balance(end);
    expect([quota_left, ...grants]).toMatchObject([100, { tokens_left: 70 }]);
    expect(new Date(grants[0]!.effective_at)).toEqual(new Date(end));
    expect(new Date(grants[0]!.expires_at!)).toEqual(new Date(expiry));

    // All of the second period's quota is used, and nothing of those after it.
    await user.consume(100, { at: end });
    const last = await user.balance(before(expiry));
    expect(last.grants.map(({ tokens_left }) => tokens_left))
      .toEqual([70, ...Array(Math.max(0, periods - 2)).fill(100)]);
    expect((await user.consume(last.quota_left + 1, { at: before(expiry) })).sources.at(-1))
      .toMatchObject({ grant_id: grants[0]!.grant_id, left: 69 });
    expect((await user.balance(expiry)).grants.map(({ grant_id }) => grant_id))
      .not.toContain(grants[0]!.grant_id);
  });
});
