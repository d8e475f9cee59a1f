import { describe, expect, test } from "vitest";
import { useDatabase } from "../support/database.ts";
import { before } from "../support/instants.ts";
import { Project, type Restriction } from "../support/project.ts";

const { sql } = useDatabase();
const noon = "2026-05-06T12:00Z";
const six = "2026-05-06T18:00Z";

async function userLimited(restriction: Partial<Restriction>, more: Restriction[] = []) {
  const project = await Project.create(sql);
  const planId = await project.plan({
    quota: 100_000,
    restrictions: [{ maxTokens: 100, duration: "1 day", ...restriction }, ...more],
  });
  const user = await project.user("ada", { billingAnchor: "2026-05-01T00:00Z" });
  /** Adds to the restriction's config, or takes away from it. */
  const edit = (fields: Record<string, string>, without: string[] = []) =>
    sql`update plan_restrictions
      set restriction_config = (restriction_config - ${without}::text[]) || ${sql.json(fields)}
      where plan_id = ${planId}`;
  return { user, edit };
}

test("a restriction is in force from starts_at on, until before ends_at", async () => {
  const { user } = await userLimited({ startsAt: noon, endsAt: six });
  const allowed = async (at: string) => (await user.check(101, { at })).success;

  expect(await allowed(before(noon))).toBe(true);
  expect(await allowed(noon)).toBe(false);
  expect(await allowed(before(six))).toBe(false);
  expect(await allowed(six)).toBe(true);
});

test("the balance lists it only then", async () => {
  const { user } = await userLimited({ startsAt: noon, endsAt: six });
  const listed = async (at: string) => (await user.balance(at)).restrictions.length;

  expect(await listed(before(noon))).toBe(0);
  expect(await listed(noon)).toBe(1);
  expect(await listed(before(six))).toBe(1);
  expect(await listed(six)).toBe(0);
});

test.each<[string, Partial<Restriction>, number]>([
  ["day", {}, 80],
  ["day of a tag", { tag: "GPT-4" }, 20],
  ["hour", { duration: "1 hour" }, 0],
  ["rolling 5 hours", { duration: "5 hours", window: "rolling" }, 60],
])("it counts what its %s has used before it was in force", async (_, restriction, used) => {
  const { user } = await userLimited({ startsAt: noon, ...restriction });
  await user.consume(20, { tag: "GPT-4", at: "2026-05-06T03:00Z" });
  await user.consume(60, { at: "2026-05-06T10:00Z" });
  const call = { at: noon, tag: "GPT-4" };

  expect(await user.check(101 - used, call)).toMatchObject({
    reason: "restriction_exceeded",
    nearest_limit: { used, left: 100 - used },
  });
  expect(await user.consume(100 - used, call)).toMatchObject({ success: true });
});

describe("retry_at", () => {
  test("is the end of the window, where that comes first", async () => {
    const { user } = await userLimited({ startsAt: noon, endsAt: "2026-05-08T00:00Z" });
    await user.consume(100, { at: noon });

    expect(await user.check(1, { at: noon })).toMatchObject({
      retry_at: new Date("2026-05-07T00:00Z"),
    });
  });

  test("is ends_at, where that comes first", async () => {
    const { user } = await userLimited({ endsAt: six });
    await user.consume(100, { at: noon });

    expect(await user.check(1, { at: noon })).toMatchObject({
      retry_at: new Date(six),
      hint: "Call again at retry_at, or raise the restriction.",
    });
    expect(await user.consume(1000, { at: six })).toMatchObject({
      success: true,
      nearest_limit: null,
    });
  });

  test("is ends_at for more than the restriction ever allows", async () => {
    const { user } = await userLimited({ endsAt: six });

    expect(await user.check(101, { at: noon })).toMatchObject({ retry_at: new Date(six) });
  });

  test.each([
    ["before anything has rolled off", "2026-05-06T16:00Z", "2026-05-06T16:00Z"],
    ["after enough has", "2026-05-06T18:00Z", "2026-05-06T17:15Z"],
  ])("of a rolling restriction that ends %s", async (_, endsAt, retryAt) => {
    const { user } = await userLimited({ duration: "5 hours", window: "rolling", endsAt });
    await user.consume(100, { at: noon });

    expect(await user.check(50, { at: noon })).toMatchObject({ retry_at: new Date(retryAt) });
    expect(await user.check(50, { at: before(retryAt) })).toMatchObject({ success: false });
    expect(await user.check(50, { at: retryAt })).toMatchObject({ success: true });
  });

  test("is when a hold expires, or ends_at before that", async () => {
    const { user } = await userLimited({ endsAt: "2026-05-06T12:20Z" });
    await user.hold(60, { at: noon, ttl: 600 });
    await user.hold(40, { at: noon, ttl: 3600 });

    expect(await user.check(60, { at: noon })).toMatchObject({
      retry_at: new Date("2026-05-06T12:10Z"),
    });
    expect(await user.check(61, { at: noon })).toMatchObject({
      retry_at: new Date("2026-05-06T12:20Z"),
    });
  });

  test("is that of a restriction without end beside it, where that comes later", async () => {
    const { user } = await userLimited({ endsAt: six }, [{ maxTokens: 50, duration: "1 week" }]);
    await user.consume(50, { at: noon });

    expect(await user.check(60, { at: noon })).toMatchObject({ retry_at: null });
    expect(await user.check(50, { at: noon })).toMatchObject({
      retry_at: new Date("2026-05-11T00:00Z"),
      nearest_limit: { duration: "1 week" },
    });
  });
});

describe("what is used while it is not in force counts, if it is extended", () => {
  test.each(["calendar", "rolling"] as const)("in a %s window", async (window) => {
    const { user, edit } = await userLimited({ startsAt: noon, endsAt: six, window });
    await user.consume(30, { at: noon });
    await user.consume(500, { at: six });
    await edit({ ends_at: "2026-05-09T00:00Z" });

    expect((await user.balance("2026-05-06T19:00Z")).restrictions).toMatchObject([{ used: 530 }]);
    expect(await user.check(1, { at: "2026-05-06T19:00Z" })).toMatchObject({ success: false });
  });

  test("with no call while it was not in force", async () => {
    const { user, edit } = await userLimited({ startsAt: noon, endsAt: six });
    await user.consume(30, { at: noon });
    await edit({}, ["ends_at"]);

    expect((await user.balance("2026-05-06T19:00Z")).restrictions).toMatchObject([{ used: 30 }]);
  });

  test("if starts_at moves back", async () => {
    const { user, edit } = await userLimited({ startsAt: six });
    await user.consume(30, { at: "2026-05-06T09:00Z" });
    await user.consume(60, { at: noon });
    await edit({ starts_at: noon });

    expect((await user.balance(noon)).restrictions).toMatchObject([{ used: 90 }]);
  });
});

test("two restrictions that follow one another both count the same day", async () => {
  const { user } = await userLimited({ endsAt: noon }, [
    { maxTokens: 300, duration: "1 day", startsAt: noon },
  ]);
  await user.consume(90, { at: "2026-05-06T09:00Z" });

  expect(await user.check(11, { at: before(noon) })).toMatchObject({ retry_at: new Date(noon) });
  expect(await user.consume(210, { at: noon })).toMatchObject({
    success: true,
    nearest_limit: { max_tokens: 300, used: 300 },
  });
  expect(await user.check(1, { at: noon })).toMatchObject({
    retry_at: new Date("2026-05-07T00:00Z"),
  });
});

test("a restriction that is over and one that is yet to come leave the others' counts as they are", async () => {
  const { user } = await userLimited({ tag: "GPT-4", startsAt: noon, endsAt: six }, [
    { tag: "GPT-4", maxTokens: 1000, duration: "1 week" },
    { maxTokens: 1000, duration: "1 month" },
  ]);
  const used = async (at: string) =>
    (await user.balance(at)).restrictions.map((limit) => [limit.duration, limit.used]);
  await user.consume(10, { tag: "GPT-4", at: "2026-05-06T09:00Z" });
  await user.consume(20, { tag: "GPT-4", at: noon });
  await user.consume(40, { tag: "Claude", at: "2026-05-06T13:00Z" });
  expect(await used("2026-05-06T13:00Z")).toEqual([["1 month", 70], ["1 day", 30], ["1 week", 30]]);

  await user.consume(80, { tag: "GPT-4", at: six });
  expect(await used(six)).toEqual([["1 month", 150], ["1 week", 110]]);
});

test("offsets of instants are heeded", async () => {
  const { user } = await userLimited({
    startsAt: "2026-05-06T12:00:00+05:45",
    endsAt: "2026-05-06T08:00-09:30",
  });
  const allowed = async (at: string) => (await user.check(101, { at })).success;

  expect(await allowed(before("2026-05-06T06:15Z"))).toBe(true);
  expect(await allowed("2026-05-06T06:15Z")).toBe(false);
  expect(await allowed(before("2026-05-06T17:30Z"))).toBe(false);
  expect(await allowed("2026-05-06T17:30Z")).toBe(true);
});
