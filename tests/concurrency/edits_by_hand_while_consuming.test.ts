import { setTimeout } from "node:timers/promises";
import { expect, test } from "vitest";
import { atOnce, untilWaiting } from "../support/concurrency.ts";
import { useDatabase } from "../support/database.ts";
import { Project, type User } from "../support/project.ts";

const { sql, connect } = useDatabase();
const crowd = connect(49);

test("grants inserted by hand in the middle of consumption all count", async () => {
  const project = await Project.create(sql);
  await project.plan({ type: "pay_as_you_go" });
  const user = await project.user("ada");

  const spent = await atOnce(crowd, 48, async (connection, index) => {
    if (index % 3 > 0) return (await user.on(connection).consume(4)).tokens_consumed;
    await connection`insert into user_token_grants (user_id, token_amount, grant_type)
      values (${user.id!}, 10, 'bonus')`;
    return 0;
  });

  const total = spent.reduce((sum, tokens) => sum + tokens, 0);
  expect(await user.balance()).toMatchObject({ grants_left: 160 - total });
});

test("expiry edited by hand in the middle of consumption: no deadlock, no token lost", async () => {
  const project = await Project.create(sql);
  await project.plan({ type: "pay_as_you_go" });
  const user = await project.user("ada");
  const instant = (day: number) => new Date(Date.UTC(2100, 0, day));
  for (let day = 8; day > 0; day--) {
    await user.grant(20, { expiresAt: instant(day).toISOString() });
  }
  const grants = await sql<{ id: string }[]>`
    select id from user_token_grants where user_id = ${user.id!} order by expires_at desc`;

  const spent = await atOnce(crowd, 48, async (connection, index) => {
    if (index % 3 > 0) return (await user.on(connection).consume(3)).tokens_consumed;
    for (const { id } of grants) {
      // Turns the order of use around, grant by grant, against the order in which calls draw.
      await connection`update user_token_grants set expires_at = ${instant(index)}
        where user_id = ${user.id!} and id = ${id}`;
    }
    return 0;
  });

  expect(spent.filter((tokens) => tokens > 0)).toHaveLength(32);
  expect(await user.balance()).toMatchObject({ grants_left: 160 - 96 });
});

/** A call for all of 9 tokens of quota and 6 of a grant; the grant's expiry is edited in mid-call. */
async function editAcross(user: User, expiresAt: Date, step: "consume" | "hold") {
  const owner = connect(1);
  // The call has counted the grants and waits to draw on the quota, which comes first.
  await owner`begin`;
  await owner`select from user_quota_usage where user_id = ${user.id!} for update`;
  const call = user.on(crowd)[step](15);
  call.catch(() => {});
  await untilWaiting(sql, 1);
  await sql`update user_token_grants set expires_at = ${expiresAt}
    where user_id = ${user.id!}`;
  await owner`rollback`;
  return call;
}

async function userWithQuotaAndGrant() {
  const project = await Project.create(sql);
  await project.plan({ quota: 10 });
  const user = await project.user("ada");
  await user.consume(1);
  await user.grant(10);
  return user;
}

test("a grant that is ended by hand in mid-call still pays that call", async () => {
  const user = await userWithQuotaAndGrant();
  const end = new Date(Date.now() + 1000);
  expect(await editAcross(user, end, "consume")).toMatchObject({ success: true, grants_used: 6 });
  expect(await user.balance("2100-01-01T00:00:00Z")).toMatchObject({ grants_left: 0 });
});

test.each(["consume", "hold"] as const)(
  "a %s whose grant is ended in retrospect in mid-call writes nothing",
  async (step) => {
    const user = await userWithQuotaAndGrant();
    await expect(editAcross(user, new Date("2020-01-01"), step)).rejects.toMatchObject({
      code: "40001",
    });
    expect(await user.balance()).toMatchObject({ quota_used: 1, tokens_held: 0, grants_left: 0 });
  },
);

test("a grant of which a hold sets tokens aside is not ended before the hold", async () => {
  const user = await userWithQuotaAndGrant();
  const [holder, owner] = [connect(1), connect(1)];
  await holder`begin`;
  const { hold_id, created_at } = await user.on(holder).hold(15);
  const ended = owner`update user_token_grants set expires_at = '2020-01-01'
    where user_id = ${user.id!}`.execute();
  await untilWaiting(sql, 1);
  await holder`commit`;
  await ended;

  const [grant] = await sql<{ expires_at: Date }[]>`
    select expires_at from user_token_grants where user_id = ${user.id!}`;
  expect(grant).toEqual({ expires_at: created_at });
  expect(await user.settle(hold_id, 15)).toMatchObject({ grants_used: 6 });
});

test.each<[string, (user: User) => Promise<object>]>([
  ["a consumption", (user) => user.consume(1)],
  ["a hold", (user) => user.hold(1)],
  ["a change to its plan", (user) => user.change({ plan: "Pro" })],
  ["what rolls over", (user) => user.consume(1000, { at: "2100-01-01T00:00:00Z" })],
])(
  "a quota that is deleted while %s begins its period: the call is to be repeated",
  async (_, call) => {
    const project = await Project.create(sql);
    const pro = { quota: 10, rollover: { maxTokens: 10, periods: 1 } };
    const planIds = [await project.plan(pro, "Pro"), await project.plan(pro, "Free")];
    const user = await project.user("ada");
    const owner = connect(1);
    await owner`begin`;
    await owner`delete from plan_quotas where plan_id in ${sql(planIds)}`;
    const called = call(user.on(crowd));
    called.catch(() => {});
    await untilWaiting(sql, 1);
    await owner`commit`;

    await expect(called).rejects.toMatchObject({ code: "40001" });
    expect(await call(user)).toMatchObject({ quota_left: 0 });
  },
);

test("a link waits for a change by hand that has just begun, without a deadlock", async () => {
  const user = await userWithQuotaAndGrant();
  const owner = connect(1);
  await owner`begin`;
  // What an update does first of all.
  await owner`select from tracked_users where id = ${user.id!} for no key update`;
  const link = crowd`select * from link_user(${user.project.id}, 'ada')`;
  const linked = link.then(() => "linked", (error: { code: string }) => error.code);
  await untilWaiting(sql, 1);
  await owner`update tracked_users set payment_status = 'paused' where id = ${user.id!}`;
  await owner`commit`;

  expect(await linked).toBe("linked");
  expect(await user.balance()).toMatchObject({ payment_status: "paused", quota_left: 0 });
});

test.each(["a grant", "a recurring grant"])(
  "a tag is not deleted while %s for it is being made",
  async (what) => {
    const project = await Project.create(sql);
    await project.plan({ type: "pay_as_you_go" });
    const user = await project.user("ada");
    const tagId = await project.tagId("GPT-4");
    const backend = connect(1);
    await backend`begin`;
    await (what === "a grant"
      ? user.on(backend).grant(10, { tags: ["GPT-4"] })
      : user.on(backend).recurringGrant(10, "1 day", {
        startsAt: "2026-01-01T00:00:00Z",
        tags: ["GPT-4"],
      }));
    const deleted = sql`delete from tags where id = ${tagId}`
      .then(() => "deleted", (error: { code: string }) => error.code);
    await untilWaiting(crowd, 1);
    await backend`commit`;

    expect(await deleted).toBe("TG007");
    expect(await user.consume(10, { tag: "GPT-4" })).toMatchObject({ success: true });
  },
);

test("a grant that comes due in the midst of a change by hand is not yet left after it", async () => {
  const project = await Project.create(sql);
  await project.plan({ type: "pay_as_you_go" });
  const user = await project.user("ada");
  const due = Date.now() + 1000;
  await user.recurringGrant(10, "1 day", { startsAt: new Date(due).toISOString() });
  const [holder, owner] = [connect(1), connect(1)];
  await holder`begin`;
  // The change is dated, and waits to read the account.
  await holder`lock table token_holds in access exclusive mode`;
  const change = owner`update tracked_users set payment_status = 'paused'
    where id = ${user.id!}`.execute();
  await untilWaiting(sql, 1);
  await setTimeout(due + 100 - Date.now());
  await holder`commit`;
  await change;
  await user.consume(1);

  const transfers = await sql`
    select transaction_type, grants_left from get_user_transfers(${project.id}, 'ada')`;
  expect(transfers).toEqual([
    { transaction_type: "consumption", grants_left: 9 },
    { transaction_type: "grant", grants_left: 10 },
    { transaction_type: "account_change", grants_left: 0 },
  ]);
});
