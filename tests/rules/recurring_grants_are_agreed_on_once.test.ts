import { describe, expect, test } from "vitest";
import { contents } from "../support/contents.ts";
import { useDatabase } from "../support/database.ts";
import { Project, type User } from "../support/project.ts";

const { sql } = useDatabase();

/** All that can be said of a recurring grant. */
const full = {
  p_tokens: 500,
  p_grant_type: "bonus",
  p_every: "1 week",
  p_starts_at: "2031-01-06T00:00:00Z",
  p_ends_at: "2031-06-01T00:00:00Z",
  p_valid_for: "1 month",
  p_priority: 7,
  p_tags: ["GPT-4", "GPT-5"],
  p_metadata: { campaign: 7 },
  p_request_id: "r-1",
};
type Terms = { [name in keyof typeof full]?: typeof full[name] | null };
const bare = { p_tokens: 500, p_grant_type: "bonus", p_every: "1 week" };

interface RecurringGrant {
  recurring_grant_id: string;
  starts_at: Date;
  ends_at: Date | null;
  replayed: boolean;
}

async function create({ project, externalId }: User, terms: Terms): Promise<RecurringGrant> {
  const t = { p_priority: 50, ...terms };
  const [receipt] = await sql<RecurringGrant[]>`
    select * from create_recurring_grant(${project.id}, ${externalId}, ${t.p_tokens ?? null},
      ${t.p_grant_type ?? null}, ${t.p_every ?? null},
      ${t.p_starts_at ?? null}::text::timestamptz, ${t.p_ends_at ?? null}::text::timestamptz,
      ${t.p_valid_for ?? null}, ${t.p_priority}, ${t.p_tags ?? null},
      ${t.p_metadata ? sql.json(t.p_metadata) : null}, ${t.p_request_id ?? null})`;
  return receipt!;
}

async function end({ project, externalId }: User, id: string): Promise<RecurringGrant> {
  const [receipt] = await sql<RecurringGrant[]>`
    select * from end_recurring_grant(${project.id}, ${externalId}, ${id})`;
  return receipt!;
}

async function userWithTags() {
  const project = await Project.create(sql);
  await project.plan({ type: "pay_as_you_go" });
  for (const tag of ["GPT-4", "GPT-5"]) await project.tagId(tag);
  return project.user("ada", { createdAt: "2020-01-01T00:00:00Z" });
}

async function isOver(user: User): Promise<boolean> {
  const [row] = await sql<{ over: boolean }[]>`
    select ends_at <= clock_timestamp() as over from recurring_grants where user_id = ${user.id!}`;
  return row!.over;
}

/** Milliseconds from now, as an instant. */
const fromNow = (milliseconds: number) => new Date(Date.now() + milliseconds).toISOString();
const DAY = 86_400_000;

describe("a recurring grant by function", () => {
  test("answers what was agreed on", async () => {
    const user = await userWithTags();

    expect(await create(user, full)).toEqual({
      recurring_grant_id: expect.any(String),
      user_id: "ada",
      tokens: 500,
      grant_type: "bonus",
      every: "1 week",
      starts_at: new Date("2031-01-06T00:00:00Z"),
      ends_at: new Date("2031-06-01T00:00:00Z"),
      valid_for: "1 month",
      priority: 7,
      tags: ["GPT-4", "GPT-5"],
      metadata: { campaign: 7 },
      request_id: "r-1",
      replayed: false,
      created_at: expect.any(Date),
    });
    expect((await user.balance("2031-01-06T00:00:00Z")).grants).toMatchObject([{
      grant_type: "bonus",
      tokens_left: 500,
      priority: 7,
      expires_at: "2031-02-06T00:00:00+00:00",
      tags: ["GPT-4", "GPT-5"],
    }]);
  });

  test("begins now where it does not say when, and there is the first", async () => {
    const user = await userWithTags();
    await create(user, bare);

    expect(await user.balance()).toMatchObject({ grants_left: 500, grants: [{ priority: 50 }] });
    expect(await user.consume(500)).toMatchObject({ success: true });
    expect(await user.consume(1)).toMatchObject({ success: false });
  });

  test("hands its metadata to each grant and each transfer", async () => {
    const user = await userWithTags();
    await create(user, full);
    await user.consume(1, { at: "2031-01-06T00:00:00Z" });

    expect(
      await sql`select g.metadata, t.metadata as of_transfer from user_token_grants g
        join token_transfers t on t.user_id = g.user_id and t.user_token_grants_id = g.id
        where g.user_id = ${user.id!}`,
    ).toEqual([{ metadata: { campaign: 7 }, of_transfer: { campaign: 7 } }]);
  });

  test("creates a user on the default plan", async () => {
    const { project } = await userWithTags();
    await create(project.unknownUser("grace"), bare);

    expect(await project.unknownUser("grace").balance()).toMatchObject({ grants_left: 500 });
  });

  test("for an unknown user of a project without default plan is refused", async () => {
    const project = await Project.create(sql);

    await expect(create(project.unknownUser("grace"), bare)).rejects.toMatchObject({
      code: "TG004",
    });
  });

  test("comes to a user whose project has no default plan any more", async () => {
    const user = await userWithTags();
    await sql`update projects set default_plan_id = null where id = ${user.project.id}`;
    await create(user, bare);

    expect(await user.consume(500)).toMatchObject({ success: true });
  });

  test.each<[string, Terms, { code: string; message?: string }]>([
    ["no tokens", { p_tokens: 0 }, { code: "TG001" }],
    ["no type", { p_grant_type: null }, { code: "TG001", message: "The grant type is missing" }],
    ["type rollover", { p_grant_type: "rollover" }, {
      code: "TG001",
      message: "Grants of type rollover are made by quotas",
    }],
    ["no period", { p_every: null }, { code: "TG001" }],
    ["a period of an hour", { p_every: "1 hour" }, {
      code: "TG001",
      message:
        "A recurring grant needs a period of a day or longer, an instant to start at, and an end after that",
    }],
    ["priority 0", { p_priority: 0 }, { code: "TG001" }],
    ["priority 101", { p_priority: 101 }, { code: "TG001" }],
    ["priority 99999", { p_priority: 99999 }, { code: "TG001" }],
    ["an unknown tag", { p_tags: ["GPT-6"] }, { code: "TG005" }],
    ["no tag at all", { p_tags: [] }, { code: "TG001" }],
    ["a start that never is", { p_starts_at: "infinity" }, { code: "TG001" }],
    ["a start that always was", { p_starts_at: "-infinity" }, { code: "TG001" }],
    ["a start after 9999", { p_starts_at: "10000-01-01T00:00:00Z", p_ends_at: null }, {
      code: "TG001",
      message: "starts_at must be an instant of the years 1 to 9999",
    }],
    ["an end after 9999", { p_ends_at: "10000-01-01T00:00:00Z" }, {
      code: "TG001",
      message: "ends_at must be an instant of the years 1 to 9999",
    }],
    ["an end at its start", { p_ends_at: full.p_starts_at }, { code: "TG001" }],
    ["an end before its start", { p_ends_at: "2031-01-01T00:00:00Z" }, { code: "TG001" }],
    ["an end that always was", { p_ends_at: "-infinity" }, { code: "TG001" }],
    ["an end in the past, from now on", { p_starts_at: null, p_ends_at: "2026-01-01T00:00:00Z" }, {
      code: "TG001",
    }],
  ])("with %s is refused", async (_, change, mistake) => {
    const user = await userWithTags();

    await expect(create(user, { ...full, ...change })).rejects.toMatchObject(mistake);
    expect(await sql`select from recurring_grants where user_id = ${user.id!}`).toEqual([]);
  });

  test("may have had 1000 times in the past, and no more", async () => {
    const user = await userWithTags();
    const start = (days: number) => ({ p_starts_at: fromNow(-days * DAY), p_every: "1 day" });

    await expect(create(user, { ...bare, ...start(1001.5) })).rejects.toMatchObject({
      code: "TG001",
      message: expect.stringMatching("lies more than 1000 times in the past"),
      hint: "Start later; grant at once what was missed.",
    });
    await create(user, { ...bare, ...start(1000.5) });

    expect(await user.consume(500 * 1001)).toMatchObject({ success: true, grants_left: 0 });
  });
});

describe("a recurring grant that is repeated", () => {
  test("answers the first receipt, and writes nothing", async () => {
    const user = await userWithTags();
    const first = await create(user, full);
    const before = await contents(sql);

    expect(await create(user, { ...full, p_tags: ["GPT-5", "GPT-4"] }))
      .toEqual({ ...first, replayed: true });
    expect(await contents(sql)).toEqual(before);
  });

  test("without a start is the same, though time has passed", async () => {
    const user = await userWithTags();
    const first = await create(user, { ...bare, p_request_id: "r-1" });

    expect(await create(user, { ...bare, p_request_id: "r-1" }))
      .toEqual({ ...first, replayed: true });
    expect(await user.balance()).toMatchObject({ grants_left: 500 });
  });

  test.each<[string, Terms]>([
    ["amount", { p_tokens: 501 }],
    ["type", { p_grant_type: "trial" }],
    ["period", { p_every: "2 weeks" }],
    ["start", { p_starts_at: "2031-01-07T00:00:00Z" }],
    ["lack of a start", { p_starts_at: null }],
    ["end", { p_ends_at: "2031-07-01T00:00:00Z" }],
    ["lack of an end", { p_ends_at: null }],
    ["validity", { p_valid_for: "1 week" }],
    ["lack of validity", { p_valid_for: null }],
    ["priority", { p_priority: 8 }],
    ["tag", { p_tags: ["GPT-4"] }],
    ["lack of tags", { p_tags: null }],
    ["metadata", { p_metadata: { campaign: 8 } }],
  ])("with another %s is refused", async (_, change) => {
    const user = await userWithTags();
    await create(user, full);

    await expect(create(user, { ...full, ...change })).rejects.toMatchObject({ code: "TG006" });
  });

  test("for another user is another", async () => {
    const user = await userWithTags();
    await create(user, full);

    expect(await create(user.project.unknownUser("grace"), full)).toMatchObject({
      replayed: false,
    });
  });

  test("without a request id is another", async () => {
    const user = await userWithTags();
    await create(user, bare);
    await create(user, bare);

    expect(await user.balance()).toMatchObject({ grants_left: 1000 });
  });
});

describe("a recurring grant by hand", () => {
  const insert = (user: User, columns: Record<string, string>) => {
    const row = {
      user_id: `'${user.id}'`,
      token_amount: "500",
      grant_type: "'bonus'",
      every: "'1 week'",
      ...columns,
    };
    return sql.unsafe(`insert into recurring_grants (${Object.keys(row)})
      values (${Object.values(row)}) returning *`);
  };

  test("needs the user, the tokens, why and how often, and begins now", async () => {
    const user = await userWithTags();
    await insert(user, {});

    expect(await user.consume(500)).toMatchObject({ success: true });
    expect(await user.consume(1)).toMatchObject({ success: false });
  });

  test("says nothing of what was written down, nor of when it was made", async () => {
    const user = await userWithTags();

    const [row] = await insert(user, {
      occurrences_booked: "1",
      created_at: "'2020-01-01'",
    });
    expect(row).toMatchObject({ occurrences_booked: 0 });
    expect(+(row!["created_at"] as Date)).toBeGreaterThan(+new Date("2026-01-01"));
  });

  test.each<[string, Record<string, string>]>([
    ["no tokens", { token_amount: "0" }],
    ["type rollover", { grant_type: "'rollover'" }],
    ["a period of an hour", { every: "'1 hour'" }],
    ["priority 101", { priority: "101" }],
    ["no priority", { priority: "null" }],
    ["no start", { starts_at: "null" }],
    ["a start that never is", { starts_at: "'infinity'" }],
    ["a start after 9999", { starts_at: "'10000-01-01'" }],
    ["an end after 9999", { starts_at: "'2031-01-01'", ends_at: "'10000-01-01 UTC'" }],
    ["an end at its start", { starts_at: "'2031-01-01'", ends_at: "'2031-01-01'" }],
    ["a tag that is not known", { tag_ids: "array[gen_random_uuid()]" }],
    ["metadata that is no object", { metadata: "'[]'" }],
    ["an empty request id", { request_id: "''" }],
    ["more than 1000 times in the past", {
      every: "'1 day'",
      starts_at: "now() - interval '1002 days'",
    }],
  ])("with %s is refused", async (_, columns) => {
    const user = await userWithTags();

    await expect(insert(user, columns)).rejects.toMatchObject({ code: "TG001" });
  });

  test("for an unknown user is refused", async () => {
    const user = await userWithTags();

    await expect(insert(user, { user_id: "gen_random_uuid()" })).rejects.toMatchObject({
      code: "TG004",
    });
  });

  test.each([
    "token_amount = 1",
    "every = '1 day'",
    "starts_at = now()",
    "valid_for = '1 day'",
    "priority = 1",
    "occurrences_booked = 0",
    "request_id = 'r'",
  ])("cannot have %s set", async (change) => {
    const user = await userWithTags();
    await insert(user, {});

    await expect(sql.unsafe(`update recurring_grants set ${change} where user_id = '${user.id}'`))
      .rejects.toMatchObject({ code: "TG007" });
  });

  test("cannot be deleted", async () => {
    const user = await userWithTags();
    await insert(user, {});

    await expect(sql`delete from recurring_grants where user_id = ${user.id!}`)
      .rejects.toMatchObject({ code: "TG007", hint: "Set ends_at to now() to stop it." });
  });

  test("goes with a user who is deleted before any call", async () => {
    const user = await userWithTags();
    await insert(user, {});
    await sql`delete from tracked_users where id = ${user.id!}`;

    expect(await sql`select from recurring_grants where user_id = ${user.id!}`).toEqual([]);
  });

  test("ends when ends_at is set, and goes on when it is set later", async () => {
    const user = await userWithTags();
    const at = "2031-02-01T12:00:00Z";
    await insert(user, { every: "'1 day'", starts_at: "'2031-01-31T00:00:00Z'" });
    const setEnd = (instant: string) =>
      sql`update recurring_grants set ends_at = ${instant} where user_id = ${user.id!}`;
    await setEnd("2031-02-02T00:00:00Z");
    await user.consume(1, { at });

    expect(await user.balance("2031-02-10T00:00:00Z")).toMatchObject({ grants_left: 999 });
    await user.consume(1, { at: "2031-02-10T00:00:00Z" });
    await setEnd("2031-02-12T00:00:00Z");
    expect(await user.balance("2031-02-10T00:00:00Z")).toMatchObject({
      grants_left: 998 + 9 * 500,
    });
    await user.consume(1, { at: "2031-02-20T00:00:00Z" });
    expect(await user.balance("2031-02-20T00:00:00Z")).toMatchObject({
      grants_left: 997 + 10 * 500,
    });
  });

  test("that ends earlier keeps what has been written down, and loses what only was due", async () => {
    const user = await userWithTags();
    await insert(user, { every: "'1 day'", starts_at: "'2031-01-31T00:00:00Z'" });
    await user.consume(1, { at: "2031-02-02T00:00:00Z" });
    await sql`update recurring_grants set ends_at = '2031-02-02T00:00:00Z'
      where user_id = ${user.id!}`;

    expect(await user.balance("2031-02-10T00:00:00Z")).toMatchObject({ grants_left: 1499 });
  });
});

describe("ending a recurring grant", () => {
  test("stops what was to come, and keeps what is due", async () => {
    const user = await userWithTags();
    const { recurring_grant_id: id } = await create(user, {
      ...bare,
      p_starts_at: fromNow(-15 * DAY),
    });

    const ended = await end(user, id);

    expect(ended).toMatchObject({ recurring_grant_id: id, replayed: false, tokens: 500 });
    expect(await isOver(user)).toBe(true);
    expect(await user.balance("2031-01-01T00:00:00Z")).toMatchObject({ grants_left: 1500 });
    expect(await user.consume(1500, { at: "2031-01-01T00:00:00Z" })).toMatchObject({
      success: true,
    });
    expect(await user.consume(1, { at: "2032-01-01T00:00:00Z" })).toMatchObject({ success: false });
  });

  test("before its start leaves nothing of it", async () => {
    const user = await userWithTags();
    const { recurring_grant_id: id } = await create(user, full);

    expect(await end(user, id)).toMatchObject({
      replayed: false,
      ends_at: new Date(full.p_starts_at),
    });
    expect(await user.balance("2031-12-01T00:00:00Z")).toMatchObject({ grants: [] });
    expect(await user.consume(1, { at: "2031-12-01T00:00:00Z" })).toMatchObject({ success: false });
  });

  test.each([
    ["that has begun", { ...bare }],
    ["that has not begun", full],
    ["that is over", { ...full, p_starts_at: "2026-01-01T00:00:00Z", p_ends_at: "2026-02-01" }],
  ])("%s, twice leaves it as it was", async (_, terms) => {
    const user = await userWithTags();
    const { recurring_grant_id: id } = await create(user, terms);
    const first = await end(user, id);
    const before = await contents(sql);

    expect(await end(user, id)).toEqual({ ...first, replayed: true });
    expect(await contents(sql)).toEqual(before);
  });

  test("that was to end later anyway ends it now", async () => {
    const user = await userWithTags();
    const { recurring_grant_id: id } = await create(user, {
      ...bare,
      p_ends_at: "2031-06-01T00:00:00Z",
    });

    expect(await end(user, id)).toMatchObject({ replayed: false });
    expect(await isOver(user)).toBe(true);
  });

  test("of nobody, or of another user, is refused", async () => {
    const user = await userWithTags();
    const other = await userWithTags();
    const { recurring_grant_id: id } = await create(other, full);

    for (const unknown of [id, user.project.id]) {
      await expect(end(user, unknown)).rejects.toMatchObject({
        code: "TG016",
        message: "The user has no such recurring grant",
      });
    }
    await expect(end(user.project.unknownUser("bob"), id)).rejects.toMatchObject({ code: "TG004" });
  });
});

test("more than 1e12 tokens each time are refused", async () => {
  const project = await Project.create(sql);
  await project.plan({ type: "pay_as_you_go" });
  const user = await project.user("ada");
  const give = (tokens: number) =>
    user.recurringGrant(tokens, "1 day", { startsAt: "2031-01-01T00:00:00Z" });

  await expect(give(1e12 + 1)).rejects.toMatchObject({
    code: "TG001",
    message: "A recurring grant may give at most 1000000000000 tokens each time",
  });
  await give(1e12);
});
