import { describe, expect, test } from "vitest";
import { useDatabase } from "../support/database.ts";
import { Project, type User } from "../support/project.ts";

const { sql } = useDatabase();

/** A user in New York with 100 tokens a calendar month. April begins and May begins at 4 o'clock UTC. */
async function userInNewYork() {
  const project = await Project.create(sql, "America/New_York");
  await project.plan({ quota: 1000 }, "pro");
  await project.plan({
    quota: 100,
    countedFrom: "calendar",
    restrictions: [{ maxTokens: 90, duration: "1 day" }],
  }, "free");
  const user = await project.user("ada", { createdAt: "2026-01-01T00:00:00Z" });
  return { project, user };
}

const resetsAt = async (user: User, at: string) =>
  (await user.balance(at)).quota_resets_at!.toISOString();

describe.each<[string, (project: Project, user: User, timeZone: string) => Promise<unknown>]>([
  ["the user moves", (_, user, timeZone) => user.change({ timeZone, at: "2026-04-16T12:00:00Z" })],
  [
    "the project moves",
    (project, _, timeZone) =>
      sql`update projects set time_zone = ${timeZone} where id = ${project.id}`,
  ],
])("when %s", (_, move) => {
  test("a period that was drawn on runs to its end, and the next one starts there", async () => {
    const { project, user } = await userInNewYork();
    await user.consume(60, { at: "2026-04-10T00:00:00Z" });
    await move(project, user, "Asia/Tokyo");

    // In Tokyo it is May from 15 o'clock UTC on April 30th.
    expect(await user.consume(41, { at: "2026-04-30T20:00:00Z" })).toMatchObject({
      success: false,
      retry_at: new Date("2026-05-01T04:00:00Z"),
    });
    expect(await user.consume(40, { at: "2026-05-01T03:59:59Z" })).toMatchObject({
      success: true,
      quota_left: 0,
    });
    expect(await user.balance("2026-05-01T04:00:00Z")).toMatchObject({
      quota_left: 100,
      quota_resets_at: new Date("2026-05-31T15:00:00Z"),
    });
  });

  test("a period of which nothing was used is cut by the new clocks at once", async () => {
    const { project, user } = await userInNewYork();
    await user.consume(60, { at: "2026-03-10T00:00:00Z" });
    await move(project, user, "Asia/Tokyo");
    expect(await resetsAt(user, "2026-04-16T12:00:00Z")).toBe("2026-04-30T15:00:00.000Z");
  });

  test("moving to and fro gives no second quota", async () => {
    const { project, user } = await userInNewYork();
    await user.consume(80, { at: "2026-04-30T10:00:00Z" });
    for (const zone of ["Asia/Tokyo", "Pacific/Kiritimati", "America/New_York", "Asia/Tokyo"]) {
      await move(project, user, zone);
      expect(await user.balance("2026-04-30T20:00:00Z")).toMatchObject({ quota_left: 20 });
    }
  });

  test("the windows of restrictions go by the new clocks at once", async () => {
    const { project, user } = await userInNewYork();
    await user.consume(40, { at: "2026-04-15T14:59:59Z" }); // April 15th in both places
    await user.consume(30, { at: "2026-04-16T03:00:00Z" }); // the 15th in New York, the 16th in Tokyo
    await user.consume(20, { at: "2026-04-16T05:00:00Z" }); // the 16th in both
    const day = async () => (await user.balance("2026-04-16T12:00:01Z")).restrictions;
    expect(await day()).toMatchObject([{ used: 20, resets_at: "2026-04-17T04:00:00+00:00" }]);
    await move(project, user, "Asia/Tokyo");
    expect(await day()).toMatchObject([{ used: 50, resets_at: "2026-04-16T15:00:00+00:00" }]);
  });

  test("a plan that is to come comes when it was to come", async () => {
    const { project, user } = await userInNewYork();
    await user.consume(60, { at: "2026-04-10T00:00:00Z" });
    await user.change({ plan: "pro", when: "period_end", at: "2026-04-11T00:00:00Z" });
    await move(project, user, "Asia/Tokyo");
    expect(await user.balance("2026-05-01T03:59:59Z")).toMatchObject({ plan: "free" });
    expect(await user.balance("2026-05-01T04:00:00Z")).toMatchObject({ plan: "pro" });
  });
});

test("who has a zone of the own does not move with the project", async () => {
  const { project, user } = await userInNewYork();
  await user.change({ timeZone: "Europe/Berlin", at: "2026-04-16T12:00:00Z" });
  await sql`update projects set time_zone = 'Asia/Tokyo' where id = ${project.id}`;
  expect(await resetsAt(user, "2026-04-16T12:00:00Z")).toBe("2026-04-30T22:00:00.000Z");
});

test("a move by hand is one as well", async () => {
  const { user } = await userInNewYork();
  await user.consume(60, { at: "2031-04-10T00:00:00Z" });
  await sql`update tracked_users set time_zone = 'Asia/Tokyo' where id = ${user.id!}`;
  expect(await resetsAt(user, "2031-04-16T12:00:00Z")).toBe("2031-05-01T04:00:00.000Z");
  expect(await resetsAt(user, "2031-05-16T12:00:00Z")).toBe("2031-05-31T15:00:00.000Z");
});

describe("recurring grants", () => {
  /** Every day at 11 o'clock UTC, from March 28th, 2031 on: in Berlin that is noon, until clocks change on the 30th. */
  async function userWithDailyGrant() {
    const project = await Project.create(sql);
    await project.plan({ type: "pay_as_you_go" });
    const user = await project.user("ada");
    await user.recurringGrant(10, "1 day", { startsAt: "2031-03-28T11:00:00Z" });
    return user;
  }

  test("come by the new clocks from the move on, even where that is sooner", async () => {
    const user = await userWithDailyGrant();
    await user.consume(1, { at: "2031-03-29T12:00:00Z" });
    await user.change({ timeZone: "Europe/Berlin", at: "2031-03-29T20:00:00Z" });
    const left = async (at: string) => (await user.balance(at)).grants_left;

    expect(await left("2031-03-30T09:59:59Z")).toBe(19);
    expect(await left("2031-03-30T10:00:00Z")).toBe(29);
    expect(await user.consume(29, { at: "2031-03-30T10:30:00Z" })).toMatchObject({ success: true });
    expect(await left("2031-03-31T09:59:59Z")).toBe(0);
    expect(await left("2031-03-31T10:00:00Z")).toBe(10);
  });

  test("come once, however often the user moves", async () => {
    const user = await userWithDailyGrant();
    for (let day = 28; day <= 31; day++) {
      for (const timeZone of ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", ""]) {
        await user.change({ timeZone, at: `2031-03-${day}T12:00:00Z` });
      }
    }
    expect(await user.balance("2031-03-31T12:00:00Z")).toMatchObject({ grants_left: 40 });
    expect(await sql`select count(*)::integer from user_token_grants where user_id = ${user.id!}`)
      .toEqual([{ count: 4 }]);
  });
});
