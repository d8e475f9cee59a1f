import { describe, expect, test } from "vitest";
import { contents } from "../support/contents.ts";
import { useDatabase } from "../support/database.ts";
import { Project, type User } from "../support/project.ts";

const { sql } = useDatabase();

/** What the rules read of a user, as the audit trail has it. */
async function settingsOf(user: User): Promise<object> {
  const [row] = await sql<{ settings: object }[]>`
    select to_jsonb(u) - '{id,project_id,external_id,auth_user_id,created_at}'::text[]
      || jsonb_build_object('plan', p.name, 'next_plan', n.name) as settings
    from tracked_users u
    join plans p on p.id = u.plan_id
    left join plans n on n.id = u.next_plan_id
    where u.id = ${user.id!}`;
  return row!.settings;
}

const transfersOf = (user: User) =>
  sql<{ amount: number; transaction_type: string; metadata: { before: object; after: object } }[]>`
    select amount, transaction_type, metadata from token_transfers
    where user_id = ${user.id!} order by transfer_number`;

async function userOnFree() {
  const project = await Project.create(sql, "UTC", { graceDays: 3 });
  const pro = await project.plan({ quota: 1000 }, "Pro");
  await project.plan({ quota: 100 }, "Free");
  return { project, pro, user: await project.user("ada") };
}

const nextPlan = `next_plan_id = (select p.id from plans p
  where p.project_id = tracked_users.project_id and p.name = 'Pro')`;

test.each([
  {
    change:
      "plan_id = (select p.id from plans p where p.project_id = tracked_users.project_id and p.name = 'Pro')",
    before: { plan: "Free" },
    after: { plan: "Pro", plan_since: expect.any(String) },
  },
  {
    change: `${nextPlan}, next_plan_at = '2999-01-01Z'`,
    before: { next_plan: null, next_plan_at: null },
    after: { plan: "Free", next_plan: "Pro", next_plan_at: "2999-01-01T00:00:00+00:00" },
  },
  {
    change: "payment_status = 'canceled'",
    before: { payment_status: "active" },
    after: { payment_status: "canceled", quota_open_until: null },
  },
  {
    change: "payment_status = 'past_due'",
    before: { payment_status: "active", quota_open_until: null },
    after: { payment_status: "past_due", quota_open_until: expect.any(String) },
  },
  {
    change: "payment_status = 'trial', quota_open_until = '2999-01-01Z'",
    before: { payment_status: "active", quota_open_until: null },
    after: { payment_status: "trial", quota_open_until: "2999-01-01T00:00:00+00:00" },
  },
  {
    change: "billing_anchor = '2026-01-31Z'",
    before: {},
    after: { billing_anchor: "2026-01-31T00:00:00+00:00" },
  },
  {
    change: "time_zone = 'Asia/Tokyo'",
    before: { time_zone: null },
    after: { time_zone: "Asia/Tokyo" },
  },
])("set $change", async ({ change, before, after }) => {
  const { user } = await userOnFree();
  const was = await settingsOf(user);

  await sql.unsafe(`update tracked_users set ${change} where id = '${user.id!}'`);

  const is = await settingsOf(user);
  expect(was).toMatchObject(before);
  expect(is).toMatchObject(after);
  expect(await transfersOf(user)).toEqual([{
    amount: 0,
    transaction_type: "account_change",
    metadata: {
      before: was,
      after: is,
      quota_policy: "plan_id" in was && "plan_id" in is && was.plan_id !== is.plan_id
        ? "keep"
        : null,
    },
  }]);
});

test("a row that is saved as it was books nothing", async () => {
  const { user } = await userOnFree();
  await sql`update tracked_users
    set plan_id = plan_id, next_plan_id = null, payment_status = 'active', time_zone = null,
      plan_since = plan_since, quota_open_since = quota_open_since
    where id = ${user.id!}`;

  expect(await transfersOf(user)).toEqual([]);
});

test("one statement that changes many users books one change of each", async () => {
  const { project, pro, user: ada } = await userOnFree();
  const users = [ada];
  for (const status of ["trial", "past_due", "paused"] as const) {
    users.push(await project.user(status, { paymentStatus: status }));
  }
  const onPro = await project.user("pro", { planId: pro });
  await ada.consume(30);

  await sql`update tracked_users set plan_id = ${pro}, payment_status = 'active'
    where project_id = ${project.id}`;

  for (const user of users) {
    expect((await transfersOf(user)).at(-1)).toMatchObject({
      transaction_type: "account_change",
      metadata: {
        before: {
          plan: "Free",
          payment_status: user === ada ? "active" : user.externalId,
        },
        after: { plan: "Pro", payment_status: "active" },
        quota_policy: "keep",
      },
    });
  }
  expect(await transfersOf(onPro)).toEqual([]);
  expect(await ada.balance()).toMatchObject({ plan: "Pro", quota_left: 970 });
});

test("a plan to come takes effect by itself, and later changes begin with it", async () => {
  const { project, pro } = await userOnFree();
  const user = await project.user("bob");
  await sql`update tracked_users
    set next_plan_id = ${pro}, next_plan_at = now() + interval '1 hour' where id = ${user.id!}`;
  const { as_of, ...now } = await user.balance();
  const inTwoHours = new Date(+as_of + 7_200_000).toISOString();

  expect(now).toMatchObject({ plan: "Free", next_plan: "Pro" });
  expect(await user.balance(inTwoHours)).toMatchObject({ plan: "Pro", next_plan: null });

  await user.change({ paymentStatus: "paused", at: inTwoHours });
  expect((await transfersOf(user)).at(-1)!.metadata).toMatchObject({
    before: { plan: "Pro", next_plan: null, payment_status: "active" },
    after: { plan: "Pro", next_plan: null, payment_status: "paused" },
    quota_policy: null,
  });
});

test("a plan that took effect meanwhile is completed by the next change by hand", async () => {
  const { project, pro } = await userOnFree();
  const [row] = await sql<{ id: string }[]>`
    insert into tracked_users (project_id, external_id, next_plan_id, next_plan_at)
    values (${project.id}, 'bob', ${pro}, '2026-05-01Z') returning id`;
  await sql`update tracked_users set payment_status = 'paused' where id = ${row!.id}`;

  expect(
    await sql`select plan_id, plan_since, next_plan_id, next_plan_at
    from tracked_users where id = ${row!.id}`,
  ).toEqual([{
    plan_id: pro,
    plan_since: new Date("2026-05-01T00:00Z"),
    next_plan_id: null,
    next_plan_at: null,
  }]);
  expect(await sql`select metadata from token_transfers where user_id = ${row!.id}`).toMatchObject([
    { metadata: { before: { plan: "Pro" }, after: { plan: "Pro" }, quota_policy: null } },
  ]);
});

describe("refused, with nothing written:", () => {
  const foreign = "(select p.id from plans p where p.name = 'Foreign')";
  const aZone = /^Use an IANA name/;
  const anInstant = "Give a date and time.";

  test.each<[string, string, string | RegExp | undefined]>([
    [`plan_id = ${foreign}`, "23503", undefined],
    [`next_plan_id = ${foreign}, next_plan_at = '2999-01-01Z'`, "23503", undefined],
    ["plan_id = null", "23502", undefined],
    [nextPlan, "23514", undefined],
    ["next_plan_at = '2999-01-01Z'", "23514", undefined],
    [
      `${nextPlan}, next_plan_at = '2026-01-01Z'`,
      "TG001",
      "Set plan_id for a change of plan now.",
    ],
    [`${nextPlan}, next_plan_at = 'infinity'`, "TG001", anInstant],
    ["billing_anchor = '-infinity'", "TG001", anInstant],
    ["quota_open_until = 'infinity'", "TG001", anInstant],
    ["time_zone = 'EST'", "TG001", aZone],
    ["time_zone = 'UTC+5'", "TG001", aZone],
    ["time_zone = 'europe/paris'", "TG001", aZone],
    ["time_zone = ''", "TG001", aZone],
    ["payment_status = 'canceled', time_zone = 'EST'", "TG001", aZone],
    ["payment_status = 'paused', plan_since = now()", "TG007", /^Change plan_id, payment_status/],
  ])("set %s", async (change, code, hint) => {
    await (await Project.create(sql)).plan({ quota: 1 }, "Foreign");
    const { project } = await userOnFree();
    await project.user("bob");
    const before = await contents(sql);

    await expect(
      sql.unsafe(`update tracked_users set ${change} where project_id = '${project.id}'`),
    )
      .rejects.toMatchObject({
        code,
        ...(hint && { hint: hint instanceof RegExp ? expect.stringMatching(hint) : hint }),
      });

    expect(await contents(sql)).toEqual(before);
    await sql`delete from projects where id in (select project_id from plans where name = 'Foreign')`;
  });

  test("a new user with a zone that is none", async () => {
    const { project } = await userOnFree();

    await expect(project.user("bob", { timeZone: "EST" })).rejects.toMatchObject({ code: "TG001" });
    await expect(project.user("bob", { timeZone: "" })).rejects.toMatchObject({ code: "TG001" });
  });
});
