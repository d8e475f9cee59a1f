import { describe, expect, test } from "vitest";
import { useDatabase } from "../support/database.ts";
import { before } from "../support/instants.ts";
import { type Duration, Project } from "../support/project.ts";

const { sql } = useDatabase();

const boundaries: { duration: Duration; zone: string; boundary: string; next: string }[] = [
  { duration: "1 hour", zone: "UTC", boundary: "2026-05-06T10:00Z", next: "2026-05-06T11:00Z" },
  {
    duration: "1 hour",
    zone: "Asia/Kathmandu",
    boundary: "2026-05-06T10:15Z",
    next: "2026-05-06T11:15Z",
  },
  {
    duration: "1 hour",
    zone: "America/New_York",
    boundary: "2026-11-01T06:00Z",
    next: "2026-11-01T07:00Z",
  },
  {
    duration: "1 hour",
    zone: "Australia/Lord_Howe",
    boundary: "2026-04-04T15:00Z",
    next: "2026-04-04T15:30Z",
  },
  { duration: "1 day", zone: "UTC", boundary: "2028-03-01T00:00Z", next: "2028-03-02T00:00Z" },
  {
    duration: "1 day",
    zone: "America/New_York",
    boundary: "2026-03-08T05:00Z",
    next: "2026-03-09T04:00Z",
  },
  {
    duration: "1 day",
    zone: "America/New_York",
    boundary: "2026-11-02T05:00Z",
    next: "2026-11-03T05:00Z",
  },
  {
    duration: "1 day",
    zone: "America/Havana",
    boundary: "2026-11-01T04:00Z",
    next: "2026-11-02T05:00Z",
  },
  {
    duration: "1 day",
    zone: "Asia/Beirut",
    boundary: "2026-03-28T22:00Z",
    next: "2026-03-29T21:00Z",
  },
  {
    duration: "1 day",
    zone: "Pacific/Apia",
    boundary: "2011-12-30T10:00Z",
    next: "2011-12-31T10:00Z",
  },
  { duration: "1 week", zone: "UTC", boundary: "2026-12-28T00:00Z", next: "2027-01-04T00:00Z" },
  {
    duration: "1 week",
    zone: "America/New_York",
    boundary: "2026-11-02T05:00Z",
    next: "2026-11-09T05:00Z",
  },
  { duration: "1 month", zone: "UTC", boundary: "2027-01-01T00:00Z", next: "2027-02-01T00:00Z" },
  {
    duration: "1 month",
    zone: "America/New_York",
    boundary: "2026-04-01T04:00Z",
    next: "2026-05-01T04:00Z",
  },
  {
    duration: "1 month",
    zone: "Pacific/Kiritimati",
    boundary: "2026-01-31T10:00Z",
    next: "2026-02-28T10:00Z",
  },
];

describe.each(boundaries)("$duration in $zone until $boundary", ({
  duration,
  zone,
  boundary,
  next,
}) => {
  const iso = (instant: string) => instant.replace("Z", ":00+00:00");

  async function exhausted(tag?: string) {
    const project = await Project.create(sql, zone);
    await project.plan({
      type: "pay_as_you_go",
      restrictions: [{ maxTokens: 100, duration, ...(tag && { tag }) }],
    });
    const user = await project.user("ada");
    await user.grant(1000, { at: "2010-01-01T00:00Z" });
    await user.consume(100, { at: before(boundary), ...(tag && { tag }) });
    return user;
  }

  test("the last instant before is still denied, until then", async () => {
    const user = await exhausted();

    expect(await user.consume(1, { at: before(boundary) })).toMatchObject({
      reason: "restriction_exceeded",
      retry_at: new Date(boundary),
    });
  });

  test.each([undefined, "GPT-4"])(
    "at that very instant all may be used again: tag %s",
    async (tag) => {
      const user = await exhausted(tag);

      const receipt = await user.consume(100, { at: boundary, ...(tag && { tag }) });

      expect(receipt).toMatchObject({
        success: true,
        nearest_limit: { used: 100, left: 0, resets_at: iso(next) },
      });
      expect(await user.consume(1, { at: boundary, ...(tag && { tag }) })).toMatchObject({
        reason: "restriction_exceeded",
        retry_at: new Date(next),
      });
    },
  );

  test("the balance changes at that very instant", async () => {
    const user = await exhausted();

    expect((await user.balance(before(boundary))).restrictions).toMatchObject([
      { used: 100, left: 0, resets_at: iso(boundary) },
    ]);
    expect((await user.balance(boundary)).restrictions).toMatchObject([
      { used: 0, left: 100, resets_at: iso(next) },
    ]);
  });
});

test("a window that ends leaves the longer ones as they are", async () => {
  const project = await Project.create(sql);
  await project.plan({
    quota: 9000,
    restrictions: (["1 hour", "1 day", "1 week", "1 month"] as const).map((duration) => ({
      maxTokens: 1000,
      duration,
    })),
  });
  const user = await project.user("ada", { billingAnchor: "2026-05-01T00:00Z" });
  await user.consume(1, { at: "2026-05-10T23:30Z" }); // Sunday
  await user.consume(10, { at: "2026-05-11T22:30Z" });
  await user.consume(100, { at: "2026-05-12T00:30Z" });
  await user.consume(200, { at: "2026-05-12T01:30Z" });

  expect((await user.balance("2026-05-12T01:40Z")).restrictions).toMatchObject([
    { duration: "1 hour", used: 200 },
    { duration: "1 day", used: 300 },
    { duration: "1 week", used: 310 },
    { duration: "1 month", used: 311 },
  ]);
});

test("a week that spans two months counts both", async () => {
  const project = await Project.create(sql);
  await project.plan({
    quota: 9000,
    restrictions: [{ maxTokens: 100, duration: "1 week" }, { maxTokens: 100, duration: "1 month" }],
  });
  const user = await project.user("ada", { billingAnchor: "2026-01-01T00:00Z" });
  await user.consume(60, { at: "2026-04-30T12:00Z" }); // Thursday

  expect((await user.balance("2026-05-01T12:00Z")).restrictions).toMatchObject([
    { duration: "1 week", used: 60, resets_at: "2026-05-04T00:00:00+00:00" },
    { duration: "1 month", used: 0, resets_at: "2026-06-01T00:00:00+00:00" },
  ]);
});
