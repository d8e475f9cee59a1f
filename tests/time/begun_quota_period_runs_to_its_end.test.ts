import { expect, test } from "vitest";
import { useDatabase } from "../support/database.ts";
import { Project, type User } from "../support/project.ts";

const { sql } = useDatabase();

/** A user with 100 tokens a month from May 1st on, of which 60 are used by the 10th. */
async function userInMidPeriod() {
  const project = await Project.create(sql);
  const planId = await project.plan({ quota: 100 });
  const user = await project.user("ada", { billingAnchor: "2026-05-01T00:00Z" });
  await user.consume(60, { at: "2026-05-10T00:00Z" });
  return { project, planId, user };
}

const periodsOf = async (user: User) => {
  const rows = await sql<{ period_start: Date; period_end: Date; tokens_used: number }[]>`
    select period_start, period_end, tokens_used from user_quota_usage
    where user_id = ${user.id!} order by period_start`;
  return rows.map(({ period_start, period_end, tokens_used }) => [
    period_start.toISOString().slice(0, 10),
    period_end.toISOString().slice(0, 10),
    tokens_used,
  ]);
};

test("a changed anchor does not open a second quota in mid-period", async () => {
  const { user } = await userInMidPeriod();
  await user.change({ billingAnchor: "2026-05-12T00:00Z", at: "2026-05-11T00:00Z" });

  expect(await user.consume(41, { at: "2026-05-20T00:00Z" })).toMatchObject({
    success: false,
    quota_left: 40,
    retry_at: new Date("2026-06-01T00:00Z"),
  });
});

test("after a changed anchor the next period begins where the current one ends", async () => {
  const { user } = await userInMidPeriod();
  await user.change({ billingAnchor: "2026-05-12T00:00Z", at: "2026-05-11T00:00Z" });

  await user.consume(70, { at: "2026-06-01T00:00Z" });
  await user.consume(80, { at: "2026-06-12T00:00Z" });

  expect(await periodsOf(user)).toEqual([
    ["2026-05-01", "2026-06-01", 60],
    ["2026-06-01", "2026-06-12", 70],
    ["2026-06-12", "2026-07-12", 80],
  ]);
});

test("an anchor that is changed again and again opens no quota either", async () => {
  const { user } = await userInMidPeriod();
  await user.consume(40, { at: "2026-05-10T00:00Z" });

  for (let day = 11; day <= 31; day++) {
    const at = `2026-05-${day}T00:00Z`;
    await user.change({ billingAnchor: at, at });
    expect(await user.consume(1, { at })).toMatchObject({ success: false });
  }
});

test("a changed anchor counts at once where the current period is not drawn on", async () => {
  const { user } = await userInMidPeriod();
  await user.change({ billingAnchor: "2026-05-12T00:00Z", at: "2026-05-11T00:00Z" });

  expect(await user.balance("2026-06-20T00:00Z")).toMatchObject({
    quota_used: 0,
    quota_resets_at: new Date("2026-07-12T00:00Z"),
  });
});

test("a changed period length waits for the current period's end", async () => {
  const { planId, user } = await userInMidPeriod();
  await sql`update plan_quotas set period = '1 day' where plan_id = ${planId}`;

  expect(await user.consume(41, { at: "2026-05-11T00:00Z" })).toMatchObject({ success: false });
  await user.consume(100, { at: "2026-06-01T00:00Z" });
  await user.consume(100, { at: "2026-06-02T00:00Z" });

  expect(await periodsOf(user)).toEqual([
    ["2026-05-01", "2026-06-01", 60],
    ["2026-06-01", "2026-06-02", 100],
    ["2026-06-02", "2026-06-03", 100],
  ]);
});

test("a changed time zone does not open a second quota in mid-period", async () => {
  const { project, user } = await userInMidPeriod();
  await user.consume(40, { at: "2026-05-10T00:00Z" });
  await sql`update projects set time_zone = 'Pacific/Kiritimati' where id = ${project.id}`;

  expect(await user.consume(1, { at: "2026-05-31T23:59:59Z" })).toMatchObject({
    success: false,
    retry_at: new Date("2026-06-01T00:00Z"),
  });
  expect(await user.consume(100, { at: "2026-06-01T00:00Z" })).toMatchObject({ success: true });
});

test("the periods of the other plan go on while the user is away", async () => {
  const { project, user } = await userInMidPeriod();
  const home = (await user.balance()).plan;
  await project.plan({ quota: 500 }, "Other");
  await user.change({ plan: "Other", at: "2026-05-15T00:00Z" });
  await user.consume(30, { at: "2026-05-20T00:00Z" });
  await user.change({ plan: home, at: "2026-05-21T00:00Z" });

  expect(await user.balance("2026-05-22T00:00Z")).toMatchObject({
    quota_left: 10,
    quota_resets_at: new Date("2026-06-01T00:00Z"),
  });
  expect(await user.balance("2026-06-21T00:00Z")).toMatchObject({
    quota_amount: 100,
    quota_used: 0,
  });
});
