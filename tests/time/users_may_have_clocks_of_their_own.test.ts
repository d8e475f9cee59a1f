import { expect, test } from "vitest";
import { useDatabase } from "../support/database.ts";
import { before } from "../support/instants.ts";
import { Project, type User } from "../support/project.ts";

const { sql } = useDatabase();

async function projectInNewYork() {
  const project = await Project.create(sql, "America/New_York");
  await project.plan({
    quota: 100_000,
    restrictions: [{ maxTokens: 1000, duration: "1 day" }, {
      maxTokens: 5000,
      duration: "1 month",
    }],
  });
  return project;
}

const userIn = (project: Project, name: string, timeZone?: string) =>
  project.user(name, { billingAnchor: "2026-01-01T00:00Z", ...(timeZone && { timeZone }) });

/** What the user has used today, and until when that is. */
async function today(user: User, at: string) {
  const [day] = (await user.balance(at)).restrictions;
  return `${day!.used} until ${day!.resets_at.slice(0, 16)}`;
}

test("users of one project are limited by their own clocks", async () => {
  const project = await projectInNewYork();
  const users = [
    [await userIn(project, "ada"), "2026-05-07T04:00"],
    [await userIn(project, "kenji", "Asia/Tokyo"), "2026-05-06T15:00"],
    [await userIn(project, "maya", "Asia/Kathmandu"), "2026-05-06T18:15"],
    [await userIn(project, "zoe", "UTC"), "2026-05-07T00:00"],
  ] as const;

  for (const [user, midnight] of users) {
    await user.consume(1000, { at: "2026-05-06T14:00Z" });
    const retry_at = new Date(`${midnight}Z`);
    expect(await user.check(1, { at: "2026-05-06T14:00Z" })).toMatchObject({ retry_at });
    expect(await user.check(1, { at: before(retry_at) })).toMatchObject({ retry_at });
    expect(await user.check(1000, { at: retry_at.toISOString() })).toMatchObject({ success: true });
    expect(await today(user, "2026-05-06T14:00Z")).toBe(`1000 until ${midnight}`);
  }
});

test("a batch goes by the clocks of each of its users", async () => {
  const project = await projectInNewYork();
  const ada = await userIn(project, "ada");
  const kenji = await userIn(project, "kenji", "Asia/Tokyo");
  const item = (user: User, tokens: number) => ({
    user_id: user.externalId,
    tokens_to_consume: tokens,
  });
  await project.consumeBatch([item(ada, 1000), item(kenji, 1000)], { at: "2026-05-06T14:00Z" });

  expect(
    await project.consumeBatch([item(ada, 1), item(kenji, 1)], { at: "2026-05-06T15:00Z" }),
  ).toMatchObject([{ retry_at: new Date("2026-05-07T04:00Z") }, { success: true }]);
});

test("the project's zone moves only users who have none of their own", async () => {
  const project = await projectInNewYork();
  const ada = await userIn(project, "ada");
  const kenji = await userIn(project, "kenji", "Asia/Tokyo");
  for (const user of [ada, kenji]) {
    await user.consume(1, { at: "2026-05-06T03:30Z" });
    await user.consume(10, { at: "2026-05-06T10:00Z" });
  }
  expect(await today(ada, "2026-05-06T11:00Z")).toBe("10 until 2026-05-07T04:00");
  await sql`update projects set time_zone = 'Europe/Berlin' where id = ${project.id}`;

  expect(await today(ada, "2026-05-06T11:00Z")).toBe("11 until 2026-05-06T22:00");
  expect(await today(kenji, "2026-05-06T11:00Z")).toBe("11 until 2026-05-06T15:00");
  await sql`update projects set time_zone = 'Asia/Kathmandu' where id = ${project.id}`;
  expect(await today(ada, "2026-05-06T11:00Z")).toBe("11 until 2026-05-06T18:15");
  expect(await today(kenji, "2026-05-06T11:00Z")).toBe("11 until 2026-05-06T15:00");
});

/** The zone's midnight before `2026-05-06T20:00Z`, and the next. */
const midnights = [
  ["Asia/Kathmandu", "2026-05-06T18:15Z", "2026-05-07T18:15Z"],
  ["Asia/Kolkata", "2026-05-06T18:30Z", "2026-05-07T18:30Z"],
  ["Australia/Eucla", "2026-05-06T15:15Z", "2026-05-07T15:15Z"],
  ["Australia/Lord_Howe", "2026-05-06T13:30Z", "2026-05-07T13:30Z"],
  ["Pacific/Chatham", "2026-05-06T11:15Z", "2026-05-07T11:15Z"],
  ["America/St_Johns", "2026-05-06T02:30Z", "2026-05-07T02:30Z"],
  ["Pacific/Marquesas", "2026-05-06T09:30Z", "2026-05-07T09:30Z"],
] as const;

test.each(midnights)(
  "a move to %s counts what was used since %s, to the token",
  async (timeZone, midnight, next) => {
    const project = await projectInNewYork();
    const user = await userIn(project, "ada", "UTC");
    const minute = (minutes: number) => new Date(+new Date(midnight) + 60_000 * minutes);
    await user.consume(1, { at: minute(-15).toISOString() });
    await user.consume(2, { at: before(midnight) });
    await user.consume(4, { at: midnight });
    await user.consume(8, { at: before(minute(15)) });
    await user.consume(16, { at: minute(15).toISOString() });
    const used = await today(user, "2026-05-06T20:00Z");

    await user.change({ timeZone, at: "2026-05-06T20:00Z" });
    expect(await today(user, "2026-05-06T20:00Z")).toBe(`28 until ${next.slice(0, 16)}`);
    expect(await user.check(973, { at: "2026-05-06T20:00Z" })).toMatchObject({
      retry_at: new Date(next),
    });
    await user.consume(972, { at: "2026-05-06T20:00Z" });
    expect(await today(user, before(next))).toBe(`1000 until ${next.slice(0, 16)}`);

    // And back, with what was used meanwhile.
    await user.change({ timeZone: "UTC", at: "2026-05-06T20:30Z" });
    const [tokens, until] = used.split(" until ");
    expect(await today(user, "2026-05-06T20:30Z")).toBe(`${Number(tokens) + 972} until ${until}`);
  },
);

test.each(midnights)(
  "the same, if the project moves to %s",
  async (timeZone, midnight, next) => {
    const project = await projectInNewYork();
    const user = await userIn(project, "ada");
    await user.consume(1, { at: before(midnight) });
    await user.consume(2, { at: midnight });
    await sql`update projects set time_zone = ${timeZone} where id = ${project.id}`;

    expect(await today(user, "2026-05-06T20:00Z")).toBe(`2 until ${next.slice(0, 16)}`);
    await user.consume(4, { at: "2026-05-06T20:00Z" });
    expect(await today(user, "2026-05-06T20:00Z")).toBe(`6 until ${next.slice(0, 16)}`);
  },
);

test("a move counts refunds and what holds came to where they were counted before", async () => {
  const project = await projectInNewYork();
  const user = await userIn(project, "ada", "UTC");
  const { transfer_number } = await user.consume(100, { at: "2026-05-06T12:00Z" });
  const first = await user.hold(50, { at: "2026-05-06T12:10Z", ttl: 86_400 });
  const second = await user.hold(70, { at: "2026-05-06T16:10Z", ttl: 86_400 });
  await user.settle(first.hold_id, 20, { at: "2026-05-06T18:00Z" });
  await user.consume(7, { at: "2026-05-06T18:00Z" });
  await user.refund(transfer_number!, { tokens: 30, at: "2026-05-06T19:00Z" });
  expect((await user.balance("2026-05-06T19:00Z")).restrictions).toMatchObject([
    { used: 97, held: 70 },
    { used: 97, held: 70 },
  ]);

  await user.change({ timeZone: "Asia/Tokyo", at: "2026-05-06T19:00Z" });
  expect((await user.balance("2026-05-06T19:00Z")).restrictions).toMatchObject([
    { used: 7, held: 70 },
    { used: 97, held: 70 },
  ]);
  await user.settle(second.hold_id, 60, { at: "2026-05-06T20:00Z" });
  await user.change({ timeZone: "America/New_York", at: "2026-05-06T20:00Z" });
  expect((await user.balance("2026-05-06T20:00Z")).restrictions).toMatchObject([
    { used: 157, held: 0 },
    { used: 157, held: 0 },
  ]);
});

test("a user who gives up the own zone goes by the project's again", async () => {
  const project = await projectInNewYork();
  const user = await userIn(project, "ada", "Asia/Tokyo");
  await user.consume(1, { at: "2026-05-06T03:30Z" });
  await user.consume(10, { at: "2026-05-06T10:00Z" });
  expect(await today(user, "2026-05-06T11:00Z")).toBe("11 until 2026-05-06T15:00");

  await user.change({ timeZone: "", at: "2026-05-06T11:00Z" });
  expect(await today(user, "2026-05-06T11:00Z")).toBe("10 until 2026-05-07T04:00");
});

test("a zone that is changed by hand counts at once too", async () => {
  const project = await Project.create(sql, "Etc/UTC");
  await project.plan({ quota: 100, restrictions: [{ maxTokens: 50, duration: "999 months" }] });
  const user = await project.user("ada");
  await user.consume(50);
  await sql`update tracked_users set time_zone = 'Pacific/Chatham' where id = ${user.id!}`;

  expect(await user.consume(1)).toMatchObject({
    retry_at: new Date("2084-03-31T10:15Z"),
    nearest_limit: { used: 50 },
  });
});

test("rolling windows are the same in every zone", async () => {
  const project = await Project.create(sql, "America/New_York");
  await project.plan({
    quota: 1000,
    restrictions: [{ maxTokens: 100, duration: "1 day", window: "rolling" }],
  });
  const user = await userIn(project, "ada");
  await user.consume(60, { at: "2026-05-06T03:37Z" });
  await user.consume(40, { at: "2026-05-06T10:00Z" });
  const retry_at = new Date("2026-05-07T03:45Z");

  expect(await user.check(60, { at: "2026-05-06T10:00Z" })).toMatchObject({ retry_at });
  for (const timeZone of ["Asia/Kathmandu", "Pacific/Kiritimati", "Pacific/Pago_Pago"]) {
    await user.change({ timeZone, at: "2026-05-06T10:00Z" });
    expect(await user.check(60, { at: "2026-05-06T10:00Z" })).toMatchObject({ retry_at });
    expect(await today(user, "2026-05-06T10:00Z")).toBe("100 until 2026-05-07T10:15");
  }
});
