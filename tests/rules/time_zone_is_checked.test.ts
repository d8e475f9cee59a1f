import { beforeAll, describe, expect, test } from "vitest";
import { useDatabase } from "../support/database.ts";
import { Project, type User } from "../support/project.ts";

const { sql } = useDatabase();

/** Of each kind one; the kinds are refused wherever a zone comes in. */
const kinds = ["EST", "UTC+5", "posix/Europe/Paris", "europe/paris", ""];
const refused = [
  ...["CET", "MST7MDT", "GMT", "Zulu", "UCT", "Japan", "Cuba", "posixrules", "localtime", "GMT0"],
  ...["UTC-05:00", "+05:45", "-5", "<+0545>-5:45", "EST5EDT,M3.2.0,M11.1.0", "right/Europe/Paris"],
  ...["EUROPE/PARIS", "utc", "Utc", "Europe/Atlantis", "Europe/", "/Paris", "Europe", "Etc"],
  ...["Europe/Paris ", " Europe/Paris", "Europe/Paris\n", "America/New York", "America/Argentina"],
  "Europe/Paris'; drop table x; --",
];
const accepted = ["UTC", "Etc/UTC", "America/Argentina/Buenos_Aires"];

const refusal = (timeZone: string) => ({
  code: "TG001",
  message: `time_zone '${timeZone.replaceAll("'", "''")}' is not a known time zone`,
  hint:
    "Use an IANA name such as UTC, Europe/Paris or America/New_York, no abbreviation and no offset; select name from pg_timezone_names lists them.",
});

let project: Project;
let user: User;

beforeAll(async () => {
  project = await Project.create(sql);
  await project.plan({ quota: 100, restrictions: [{ maxTokens: 10, duration: "1 day" }] });
  user = await project.user("ada");
});

type Zoned = { time_zone: string | null }[];

/** The ways in which a zone comes into the database, each with what it then is. */
const ways: Record<string, (timeZone: string) => Promise<Zoned>> = {
  "a project that is inserted": (timeZone) =>
    sql<Zoned>`insert into projects (name, time_zone) values ('Test', ${timeZone})
      returning time_zone`,
  "a project that is updated": (timeZone) =>
    sql<Zoned>`update projects set time_zone = ${timeZone} where id = ${project.id}
      returning time_zone`,
  "a user who is inserted": (timeZone) =>
    sql<Zoned>`insert into tracked_users (project_id, external_id, time_zone)
      values (${project.id}, gen_random_uuid(), ${timeZone}) returning time_zone`,
  async "a user who has none and is updated"(timeZone) {
    await sql`update tracked_users set time_zone = null where id = ${user.id!}`;
    return await setByHand(timeZone);
  },
  async "a user who has one and is updated"(timeZone) {
    await sql`update tracked_users set time_zone = 'Asia/Tokyo' where id = ${user.id!}`;
    return await setByHand(timeZone);
  },
};

const setByHand = (timeZone: string | null) =>
  sql<Zoned>`update tracked_users set time_zone = ${timeZone} where id = ${user.id!}
    returning time_zone`;

describe.each(Object.entries(ways))("of %s", (_, set) => {
  test.each(kinds)("%j is refused", async (timeZone) => {
    await expect(set(timeZone)).rejects.toMatchObject(refusal(timeZone));
  });

  test.each(accepted)("%j is accepted", async (timeZone) => {
    expect(await set(timeZone)).toEqual([{ time_zone: timeZone }]);
  });
});

test.each(refused)("%j is refused", async (timeZone) => {
  await expect(ways["a project that is updated"]!(timeZone)).rejects.toMatchObject(
    refusal(timeZone),
  );
});

test.each([
  ...["Europe/Paris", "Asia/Kathmandu", "Pacific/Chatham", "America/North_Dakota/New_Salem"],
  ...["America/Port-au-Prince", "Antarctica/DumontDUrville", "Asia/Calcutta", "US/Eastern"],
])("%j is accepted", async (timeZone) => {
  expect(await ways["a project that is updated"]!(timeZone)).toEqual([{ time_zone: timeZone }]);
});

describe("of a user who is changed by function", () => {
  // Empty text means the project's zone here.
  test.each(kinds.filter((timeZone) => timeZone !== ""))("%j is refused", async (timeZone) => {
    await expect(user.change({ timeZone })).rejects.toMatchObject(refusal(timeZone));
  });

  test.each(accepted)("%j is accepted", async (timeZone) => {
    expect(await user.change({ timeZone })).toMatchObject({ time_zone: timeZone });
    expect(await user.balance()).toMatchObject({ time_zone: timeZone });
  });

  test("empty text is the project's", async () => {
    await sql`update projects set time_zone = 'Asia/Kathmandu' where id = ${project.id}`;

    expect(await user.change({ timeZone: "" })).toMatchObject({ time_zone: null });
    expect(await user.balance()).toMatchObject({ time_zone: "Asia/Kathmandu" });
  });
});

test("a user's zone may be taken away by hand: then it is the project's", async () => {
  await sql`update projects set time_zone = 'Asia/Kolkata' where id = ${project.id}`;
  await setByHand("Asia/Tokyo");
  await setByHand(null);

  expect(await user.balance()).toMatchObject({ time_zone: "Asia/Kolkata" });
});

test("a project cannot be without a zone", async () => {
  await expect(sql`update projects set time_zone = null where id = ${project.id}`)
    .rejects.toMatchObject({ code: "23502" });
});
