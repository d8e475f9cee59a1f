import { describe, expect, test } from "vitest";
import { contents } from "../support/contents.ts";
import { useDatabase } from "../support/database.ts";
import { type Change, Project } from "../support/project.ts";

const { sql } = useDatabase();
const at = "2026-04-16T00:00:00Z";

async function userOnFree() {
  const project = await Project.create(sql, "Europe/Berlin");
  await project.plan({ quota: 1000 }, "pro");
  const planId = await project.plan({ quota: 100 }, "free");
  const user = await project.user("ada", {
    billingAnchor: "2026-04-01T00:00:00Z",
    createdAt: "2026-01-01T00:00:00Z",
  });
  return { project, planId, user };
}

describe("refused, with nothing written", () => {
  test.each<[string, Change, string]>([
    ["nothing to change", {}, "Nothing was given to change"],
    ["a policy alone", { quotaPolicy: "reset" }, "Nothing was given to change"],
    ["an unknown plan", { plan: "Pro" }, "plan 'Pro' is not known in this project"],
    ["an empty plan", { plan: "" }, "plan '' is not known in this project"],
    [
      "another project's plan",
      { plan: "foreign" },
      "plan 'foreign' is not known in this project",
    ],
    [
      "a payment status that waits for the period's end",
      { paymentStatus: "paused", when: "period_end" },
      "Only a plan or a cancelation can wait for the end of the period",
    ],
    [
      "a time zone that waits for the period's end",
      { timeZone: "Asia/Tokyo", when: "period_end" },
      "Only a plan or a cancelation can wait for the end of the period",
    ],
    ["an unknown time zone", { timeZone: "Berlin" }, "time_zone 'Berlin' is not a known time zone"],
    ["an abbreviation", { timeZone: "CET" }, "time_zone 'CET' is not a known time zone"],
    ["an offset", { timeZone: "UTC+5" }, "time_zone 'UTC+5' is not a known time zone"],
    [
      "a request id that is too long",
      { plan: "pro", requestId: "r".repeat(256) },
      "The request id must have 1 to 255 printable ASCII characters",
    ],
  ])("%s", async (_, change, message) => {
    await (await Project.create(sql)).plan({ quota: 1 }, "foreign");
    const { project, user } = await userOnFree();
    const before = await contents(sql);

    await expect(user.change(change)).rejects.toMatchObject({ code: "TG001", message });
    await expect(project.unknownUser("newcomer").change(change))
      .rejects.toMatchObject({ code: "TG001" });
    expect(await contents(sql)).toEqual(before);
  });

  test("an anchor from which the hours until now cannot be counted", async () => {
    const project = await Project.create(sql);
    await project.plan({ quota: 10, period: "1 hour" });
    const user = project.unknownUser("ada");
    await user.consume(1, { at: "2031-01-01T00:00:00Z" });

    await expect(user.change({ billingAnchor: "294276-12-31T00:00:00Z" }))
      .rejects.toMatchObject({ code: "TG001" });
    expect(await user.consume(1, { at: "2031-01-01T01:00:00Z" })).toMatchObject({ success: true });
  });

  test.each([
    ["infinity", "billing_anchor"],
    ["10000-01-01 UTC", "billing_anchor"],
    ["infinity", "quota_open_until"],
    ["0001-12-31 BC", "quota_open_until"],
  ])("%s for %s", async (value, field) => {
    const { project } = await userOnFree();
    await expect(
      sql.unsafe(`select * from change_user('${project.id}', 'ada', p_${field} => '${value}')`),
    ).rejects.toMatchObject({
      code: "TG001",
      message: `${field} must be an instant of the years 1 to 9999`,
    });
  });

  test.each([["p_when", "null, 'keep'"], ["p_quota_policy", "'now', null"]])(
    "null for %s",
    async (_, nulls) => {
      const { project } = await userOnFree();
      await expect(
        sql.unsafe(`select * from change_user('${project.id}', 'ada', 'pro', null, ${nulls})`),
      ).rejects.toMatchObject({
        code: "TG001",
        message: "When to change, and what becomes of the quota, must not be null",
      });
    },
  );

  test("an empty time zone by hand", async () => {
    const { user } = await userOnFree();
    await expect(sql`update tracked_users set time_zone = '' where id = ${user.id!}`)
      .rejects.toMatchObject({ code: "TG001" });
  });
});

test("an empty time zone takes the user's own one back", async () => {
  const { user } = await userOnFree();
  expect(await user.change({ timeZone: "Asia/Tokyo", at })).toMatchObject({
    time_zone: "Asia/Tokyo",
  });
  expect(await user.balance(at)).toMatchObject({ time_zone: "Asia/Tokyo" });
  expect(await user.change({ timeZone: "", at })).toMatchObject({ time_zone: null });
  expect(await user.balance(at)).toMatchObject({ time_zone: "Europe/Berlin" });
});

test("what is not given stays as it is", async () => {
  const { user } = await userOnFree();
  const given = {
    payment_status: "trial",
    quota_open_until: new Date("2026-06-01T00:00:00Z"),
    billing_anchor: new Date("2026-04-10T00:00:00Z"),
    time_zone: "Asia/Tokyo",
  };
  await user.change({
    paymentStatus: "trial",
    quotaOpenUntil: "2026-06-01T00:00:00Z",
    billingAnchor: "2026-04-10T00:00:00Z",
    timeZone: "Asia/Tokyo",
    at,
  });
  expect(await user.change({ plan: "pro", at })).toMatchObject({ plan: "pro", ...given });
});

describe("an unknown user", () => {
  test("is created on the plan, not on the default one", async () => {
    const { project } = await userOnFree();
    const user = project.unknownUser("bob");
    expect(await user.change({ plan: "pro", at })).toMatchObject({
      user_id: "bob",
      plan: "pro",
      payment_status: "active",
      billing_anchor: new Date(at),
      quota_left: 1000,
      transfer_number: 1,
    });
    expect(
      await sql`select u.created_at, p.name from tracked_users u join plans p on p.id = u.plan_id
      where u.project_id = ${project.id} and u.external_id = 'bob'`,
    )
      .toEqual([{ created_at: new Date(at), name: "pro" }]);
  });

  test("is created with a payment status on the default plan", async () => {
    const { project } = await userOnFree();
    expect(
      await project.unknownUser("bob").change({
        paymentStatus: "trial",
        quotaOpenUntil: "2026-05-01T00:00:00Z",
        at,
      }),
    ).toMatchObject({ plan: "free", payment_status: "trial", quota_left: 100 });
  });

  test("is refused where there is neither a plan nor a default one", async () => {
    const { project } = await userOnFree();
    await sql`update projects set default_plan_id = null where id = ${project.id}`;
    await expect(project.unknownUser("bob").change({ paymentStatus: "trial" }))
      .rejects.toMatchObject({ code: "TG004" });
    expect(await project.unknownUser("bob").change({ plan: "pro" })).toMatchObject({ plan: "pro" });
  });

  test("of an unknown project is refused", async () => {
    const [row] = await sql<{ id: string }[]>`select gen_random_uuid() as id`;
    await expect(sql`select * from change_user(${row!.id}, 'ada', p_payment_status => 'paused')`)
      .rejects.toMatchObject({ code: "TG009" });
  });
});

describe("a request id", () => {
  const change: Change = {
    plan: "pro",
    paymentStatus: "trial",
    quotaPolicy: "prorate",
    quotaOpenUntil: "2026-06-01T00:00:00Z",
    billingAnchor: "2026-04-02T00:00:00Z",
    timeZone: "Asia/Tokyo",
    requestId: "c-1",
    at,
  };

  test("that is repeated answers the first receipt, and writes nothing", async () => {
    const { user } = await userOnFree();
    const first = await user.change(change);
    const before = await contents(sql);
    expect(await user.change({ ...change, at: "2026-04-18T00:00:00Z" }))
      .toEqual({ ...first, replayed: true });
    expect(await contents(sql)).toEqual(before);
  });

  test("answers the first receipt whatever has happened since", async () => {
    const { user } = await userOnFree();
    const first = await user.change(change);
    await user.consume(10, { at });
    await user.change({ plan: "free", paymentStatus: "paused", timeZone: "", at });
    expect(await user.change(change)).toEqual({ ...first, replayed: true });
    expect(await user.balance("2026-04-16T00:00:01Z")).toMatchObject({ plan: "free" });
  });

  test("creates an unknown user once", async () => {
    const { project } = await userOnFree();
    const first = await project.unknownUser("bob").change(change);
    expect(await project.unknownUser("bob").change(change)).toEqual({ ...first, replayed: true });
  });

  test.each<[string, Partial<Change>]>([
    ["plan", { plan: "free" }],
    ["payment status", { paymentStatus: "active" }],
    ["time", { when: "period_end" }],
    ["policy", { quotaPolicy: "keep" }],
    ["end of the quota", { quotaOpenUntil: "2026-06-02T00:00:00Z" }],
    ["anchor", { billingAnchor: "2026-04-03T00:00:00Z" }],
    ["time zone", { timeZone: "Asia/Seoul" }],
  ])("that is repeated with another %s is refused", async (_, other) => {
    const { user } = await userOnFree();
    await user.change(change);
    await expect(user.change({ ...change, ...other })).rejects.toMatchObject({
      code: "TG006",
      message: "The request id 'c-1' was used for another request of this user",
    });
  });

  test("of a consumption or grant is refused for a change, and the other way round", async () => {
    const { user } = await userOnFree();
    await user.consume(1, { requestId: "c-1", at });
    await user.grant(1, { requestId: "g-1", at });
    await user.change({ plan: "pro", requestId: "a-1", at });
    for (const requestId of ["c-1", "g-1"]) {
      await expect(user.change({ plan: "pro", requestId, at })).rejects.toMatchObject({
        code: "TG006",
      });
    }
    await expect(user.consume(1, { requestId: "a-1", at })).rejects.toMatchObject({
      code: "TG006",
    });
  });
});
