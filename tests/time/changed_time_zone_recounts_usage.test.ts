import { expect, test } from "vitest";
import { useDatabase } from "../support/database.ts";
import { type Duration, Project } from "../support/project.ts";

const { sql } = useDatabase();
const durations: Duration[] = ["1 hour", "1 day", "1 week", "1 month"];

/** A user of a project in New York, limited in every window by so many tokens. */
async function userInNewYork(maxTokens: number, tag?: string) {
  const project = await Project.create(sql, "America/New_York");
  await project.plan({
    quota: 1_000_000,
    restrictions: durations.map((duration) => ({ maxTokens, duration, ...(tag && { tag }) })),
  });
  const user = await project.user("ada", { billingAnchor: "2026-01-01T00:00Z" });
  const moveTo = (timeZone: string) =>
    sql`update projects set time_zone = ${timeZone} where id = ${project.id}`;
  const used = async (at: string) =>
    (await user.balance(at)).restrictions.map(({ duration, used, resets_at }) =>
      `${duration}: ${used} until ${resets_at.slice(0, 16)}`
    );
  return { user, moveTo, used };
}

test.each([undefined, "GPT-4"])(
  "usage is counted by the new clocks at once: tag %s",
  async (tag) => {
    const { user, moveTo, used } = await userInNewYork(1000, tag);
    const call = tag ? { tag } : {};
    await user.consume(1, { ...call, at: "2026-05-31T23:30Z" }); // Sunday in May, in Tokyo Monday in June
    await user.consume(10, { ...call, at: "2026-06-01T03:30Z" }); // still Sunday in May in New York
    await user.consume(100, { ...call, at: "2026-06-01T04:30Z" }); // Monday in June everywhere

    expect(await used("2026-06-01T04:45Z")).toEqual([
      "1 hour: 100 until 2026-06-01T05:00",
      "1 day: 100 until 2026-06-02T04:00",
      "1 week: 100 until 2026-06-08T04:00",
      "1 month: 100 until 2026-07-01T04:00",
    ]);
    await moveTo("Asia/Tokyo");
    expect(await used("2026-06-01T04:45Z")).toEqual([
      "1 hour: 100 until 2026-06-01T05:00",
      "1 day: 111 until 2026-06-01T15:00",
      "1 week: 111 until 2026-06-07T15:00",
      "1 month: 111 until 2026-06-30T15:00",
    ]);
  },
);

test("a tag is counted without what other tags and untagged calls have used", async () => {
  const { user, moveTo, used } = await userInNewYork(1000, "GPT-4");
  await user.consume(10, { tag: "GPT-4", at: "2026-06-01T04:30Z" });
  await user.consume(100, { tag: "Claude", at: "2026-06-01T04:35Z" });
  await user.consume(200, { at: "2026-06-01T04:40Z" });
  await moveTo("Asia/Tokyo");

  expect(await used("2026-06-01T04:45Z")).toEqual([
    "1 hour: 10 until 2026-06-01T05:00",
    "1 day: 10 until 2026-06-01T15:00",
    "1 week: 10 until 2026-06-07T15:00",
    "1 month: 10 until 2026-06-30T15:00",
  ]);
});

test("the next consumption counts by the new clocks too", async () => {
  const { user, moveTo } = await userInNewYork(111);
  await user.consume(10, { at: "2026-06-01T03:30Z" });
  await user.consume(100, { at: "2026-06-01T04:30Z" });
  await moveTo("Asia/Tokyo");

  expect(await user.consume(2, { at: "2026-06-01T04:45Z" })).toMatchObject({
    reason: "restriction_exceeded",
  });
  expect(await user.consume(1, { at: "2026-06-01T04:45Z" })).toMatchObject({ success: true });
});

test("moving back and forth resets nothing", async () => {
  const { user, moveTo, used } = await userInNewYork(1000);
  await user.consume(10, { at: "2026-06-01T03:30Z" });
  await user.consume(100, { at: "2026-06-01T04:30Z" });
  const before = await used("2026-06-01T04:45Z");

  for (const zone of ["Asia/Tokyo", "Pacific/Kiritimati", "Asia/Kathmandu", "America/New_York"]) {
    await moveTo(zone);
    await user.consume(1, { at: "2026-06-01T04:45Z" });
  }

  expect(before).toEqual([
    "1 hour: 100 until 2026-06-01T05:00",
    "1 day: 100 until 2026-06-02T04:00",
    "1 week: 100 until 2026-06-08T04:00",
    "1 month: 100 until 2026-07-01T04:00",
  ]);
  expect(await used("2026-06-01T04:50Z")).toEqual(
    before.map((window) => window.replace("100", "104")),
  );
});

test("a tag that was used before one move counts after two", async () => {
  const { user, moveTo, used } = await userInNewYork(1000, "GPT-4");
  await user.consume(10, { tag: "GPT-4", at: "2026-06-01T03:30Z" });
  await user.consume(100, { tag: "GPT-4", at: "2026-06-01T04:30Z" });
  await moveTo("Asia/Tokyo");
  await user.consume(5, { at: "2026-06-01T04:35Z" });
  await moveTo("America/New_York");
  await user.consume(5, { at: "2026-06-01T04:40Z" });

  expect(await used("2026-06-01T04:45Z")).toEqual([
    "1 hour: 100 until 2026-06-01T05:00",
    "1 day: 100 until 2026-06-02T04:00",
    "1 week: 100 until 2026-06-08T04:00",
    "1 month: 100 until 2026-07-01T04:00",
  ]);
});

test.each([
  {
    longer: "month",
    earlier: "2026-05-05T12:00Z",
    at: "2026-05-20T12:00Z",
    week: "1 week: 100 until 2026-05-24T15:00",
    month: "1 month: 110 until 2026-05-31T15:00",
  },
  {
    longer: "week",
    earlier: "2026-06-29T12:00Z",
    at: "2026-07-02T12:00Z",
    week: "1 week: 110 until 2026-07-05T15:00",
    month: "1 month: 100 until 2026-07-31T15:00",
  },
])("the count goes back to where the $longer began", async ({ earlier, at, week, month }) => {
  const { user, moveTo, used } = await userInNewYork(1000);
  await user.consume(10, { at: earlier });
  await user.consume(100, { at });
  await moveTo("Asia/Tokyo");

  expect((await used(at)).slice(2)).toEqual([week, month]);
});

test("grants among the transfers do not end the count", async () => {
  const { user, moveTo, used } = await userInNewYork(1000);
  await user.consume(10, { at: "2026-05-20T12:00Z" });
  await user.grant(500, { at: "2026-05-20T12:10Z" });
  await user.consume(100, { at: "2026-05-20T12:20Z" });
  await user.grant(500, { at: "2026-05-20T12:30Z" });
  await moveTo("Asia/Tokyo");

  expect((await used("2026-05-20T12:40Z"))[0]).toBe("1 hour: 110 until 2026-05-20T13:00");
});
