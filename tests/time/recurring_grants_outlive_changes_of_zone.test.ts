import { describe, expect, test } from "vitest";
import { useDatabase } from "../support/database.ts";
import { type Period, Project, type User } from "../support/project.ts";
import { Random, seed } from "../support/random.ts";

const { sql } = useDatabase();

async function userIn(timeZone: string) {
  const project = await Project.create(sql, timeZone);
  await project.plan({ type: "pay_as_you_go" });
  return project.user("ada", { createdAt: "2030-01-01T00:00:00Z" });
}

/** Noon in New York and Lima, in winter. In summer New York's is an hour earlier. */
const startsAt = "2031-01-01T17:00:00Z";
const inNewYork = "2031-06-10T16:00:00Z";
const inLima = "2031-06-10T17:00:00Z";

async function timesOf(user: User): Promise<string[]> {
  const rows = await sql<{ effective_at: Date }[]>`
    select effective_at from user_token_grants
    where user_id = ${user.id!} and recurring_grant_id is not null order by effective_at`;
  return rows.map(({ effective_at }) => effective_at.toISOString());
}

/** A user in a zone who has looked after the time of June 9th. */
async function userOnJuneNinth(timeZone: string) {
  const user = await userIn(timeZone);
  await user.recurringGrant(10, "1 day", { startsAt, validFor: "1 week" });
  await user.consume(60, { at: "2031-06-10T12:00:00Z" });
  return user;
}

const changes: [string, (user: User, timeZone: string) => Promise<unknown>][] = [
  [
    "of the user",
    (user, timeZone) => user.change({ timeZone, at: "2031-06-10T12:30:00Z" }),
  ],
  [
    "of the user, by hand",
    ({ id }, timeZone) => sql`update tracked_users set time_zone = ${timeZone} where id = ${id!}`,
  ],
  [
    "of the project",
    ({ project }, timeZone) =>
      sql`update projects set time_zone = ${timeZone} where id = ${project.id}`,
  ],
  [
    "of the project, with a grant before the next look",
    async (user, timeZone) => {
      await sql`update projects set time_zone = ${timeZone} where id = ${user.project.id}`;
      await user.grant(1, { at: "2031-06-10T13:00:00Z", expiresAt: "2031-06-10T14:00:00Z" });
    },
  ],
];

describe.each(changes)("after a change of the zone %s", (_, change) => {
  test("to one where it is earlier, the next time is earlier", async () => {
    const user = await userOnJuneNinth("America/Lima");
    await change(user, "America/New_York");

    expect(await user.check(20, { at: "2031-06-10T15:59:59.999Z" })).toMatchObject({
      success: false,
      grants_left: 10,
    });
    expect(await user.check(20, { at: inNewYork })).toMatchObject({ success: true });
    expect(await user.consume(20, { at: inNewYork })).toMatchObject({ success: true });
    expect((await timesOf(user)).at(-1)).toBe("2031-06-10T16:00:00.000Z");
  });

  test("to one where it is later, the next time is later", async () => {
    const user = await userOnJuneNinth("America/New_York");
    await change(user, "America/Lima");

    expect(await user.consume(20, { at: "2031-06-10T16:59:59.999Z" })).toMatchObject({
      success: false,
    });
    expect(await user.consume(20, { at: inLima })).toMatchObject({ success: true });
    expect((await timesOf(user)).at(-1)).toBe("2031-06-10T17:00:00.000Z");
  });
});

test("a time that has come does not come again by clocks that show it later", async () => {
  const user = await userOnJuneNinth("America/New_York");
  await user.consume(20, { at: inNewYork });
  await user.change({ timeZone: "America/Lima", at: "2031-06-10T16:30:00Z" });

  expect(await user.consume(1, { at: inLima })).toMatchObject({ success: false });
  await user.consume(10, { at: "2031-06-11T17:00:00Z" });
  expect((await timesOf(user)).slice(-2)).toEqual([
    "2031-06-10T16:00:00.000Z",
    "2031-06-11T17:00:00.000Z",
  ]);
});

test("what was due by the old clocks is written down by the change", async () => {
  const user = await userIn("America/New_York");
  await user.recurringGrant(10, "1 month", { startsAt: "2031-01-31T17:00:00Z" });
  await user.change({ timeZone: "Asia/Tokyo", at: "2031-05-31T16:00:00Z" });

  expect((await timesOf(user)).at(-1)).toBe("2031-05-31T16:00:00.000Z");
});

test("the last day of a month that is another day in the next zone is neither lost nor doubled", async () => {
  // The 31st in Tokyo is the 30th in London.
  const user = await userIn("Asia/Tokyo");
  await user.recurringGrant(10, "1 month", { startsAt: "2031-01-30T20:00:00Z" });
  await user.consume(10, { at: "2031-02-01T00:00:00Z" });

  await sql`update projects set time_zone = 'Europe/London' where id = ${user.project.id}`;
  expect(await user.balance("2031-02-27T20:00:00Z")).toMatchObject({ grants_left: 0 });
  await user.consume(1, { at: "2031-02-28T20:00:00Z" });
  await sql`update projects set time_zone = 'Asia/Tokyo' where id = ${user.project.id}`;
  await user.consume(1, { at: "2031-03-29T20:00:00Z" });
  await user.consume(1, { at: "2031-03-30T20:00:00Z" });

  expect(await timesOf(user)).toEqual([
    "2031-01-30T20:00:00.000Z",
    "2031-02-28T20:00:00.000Z",
    "2031-03-30T20:00:00.000Z",
  ]);
});

test("a change to a zone where the next time has come already leaves it to the next call", async () => {
  const user = await userOnJuneNinth("America/Lima");
  const at = "2031-06-10T16:30:00Z";
  expect(await user.change({ timeZone: "America/New_York", at })).toMatchObject({
    grants_left: 10,
  });
  expect(await sql`select * from verify_ledger(${user.project.id})`).toEqual([]);
  expect(await user.balance(at)).toMatchObject({ grants_left: 20 });
  expect(await user.consume(20, { at })).toMatchObject({ success: true, grants_left: 0 });
});

test(`a zone that changes again and again: each time comes once, none is lost (TOLLGATE_SEED=${seed})`, async () => {
  const random = new Random();
  const zones = [
    "UTC",
    "America/New_York",
    "Asia/Tokyo",
    "Pacific/Kiritimati",
    "Pacific/Pago_Pago",
  ];
  const days: { [every in Period]?: number } = { "1 day": 1, "1 week": 7, "2 weeks": 14 };
  for (let round = 0; round < 15; round++) {
    const user = await userIn(random.pick(zones));
    const every = random.pick(["1 day", "1 week", "2 weeks"] as const);
    const start = +new Date("2031-02-25T07:00:00Z");
    await user.recurringGrant(1, every, { startsAt: new Date(start).toISOString() });
    let now = start;
    for (let step = 0; step < 15; step++) {
      now += random.integer(1, 60) * 3_600_000;
      const at = new Date(now).toISOString();
      const timeZone = random.pick(zones);
      const kind = random.pick(["user", "project", "look", "read"]);
      if (kind === "user") await user.change({ at, timeZone });
      if (kind === "look") await user.consume(1e9, { at });
      if (kind === "read") await user.balance(at);
      if (kind === "project") {
        await sql`update projects set time_zone = ${timeZone} where id = ${user.project.id}`;
      }
    }
    // More than any zone can differ by: all times up to then have come, and the next has not.
    const length = days[every]! * 86_400_000;
    const times = Math.ceil((now - start) / length) + 1;
    const at = new Date(start + times * length - length / 2).toISOString();
    await user.consume(1e9, { at });
    await user.change({ at, timeZone: random.pick(zones) });
    await user.consume(1e9, { at });

    expect([every, await user.balance(at)]).toMatchObject([every, { grants_left: times }]);
    expect(await timesOf(user)).toHaveLength(times);
  }
});
