import { describe, expect, test } from "vitest";
import { atOnce } from "../support/concurrency.ts";
import { useDatabase } from "../support/database.ts";
import { Project } from "../support/project.ts";

const { sql, connect } = useDatabase();
const calls = connect(9);

/** Windows so long that none ends while a test runs. */
async function userOfTwoPlans() {
  const project = await Project.create(sql);
  await project.plan({ quota: 1e9 }, "B");
  const planId = await project.plan({
    quota: 1e9,
    restrictions: [
      { maxTokens: 1_000_000, duration: "900 months" },
      { tag: "GPT-4", maxTokens: 1_000_000, duration: "900 weeks", window: "rolling" },
      { tags: ["GPT-4", "Claude"], maxTokens: 1_000_000, duration: "900 months" },
    ],
  }, "A");
  return { project, planId, user: await project.user("ada") };
}
type World = Awaited<ReturnType<typeof userOfTwoPlans>>;

/** Changes somebody makes over and over, each time with another number. */
const disturbances: Record<string, (world: World, n: number) => Promise<unknown>> = {
  "plans are switched by hand": ({ project, user }, n) =>
    sql`update tracked_users set plan_id = (
        select id from plans where project_id = ${project.id} and name = ${n % 2 ? "A" : "B"})
      where id = ${user.id!}`,
  "plans are switched by function": ({ user }, n) => user.change({ plan: n % 2 ? "A" : "B" }),
  "maxima are edited": ({ planId }, n) =>
    sql`update plan_restrictions
      set restriction_config = restriction_config || ${sql.json({ max_tokens: 1e6 + n })}
      where plan_id = ${planId}`,
  "durations and windows are edited": ({ planId }, n) =>
    sql`update plan_restrictions
      set restriction_config = restriction_config || ${
      sql.json({ duration: `${900 + n} weeks`, window: n % 2 ? "rolling" : "calendar" })
    }
      where plan_id = ${planId}`,
  "tags come and go": ({ planId }, n) =>
    sql`update plan_restrictions
      set restriction_config = restriction_config || ${
      sql.json({ tag_names: n % 2 ? ["GPT-4", "Claude"] : ["Claude"] })
    }
      where plan_id = ${planId} and restriction_config ? 'tag_names'`,
  "dates come and go": ({ planId }, n) =>
    sql`update plan_restrictions
      set restriction_config = restriction_config || ${
      sql.json({ starts_at: n % 2 ? "2020-01-01T00:00Z" : "2100-01-01T00:00Z" })
    }
      where plan_id = ${planId}`,
  "restrictions are deleted and inserted again": async ({ planId }) => {
    await sql`with gone as (delete from plan_restrictions where plan_id = ${planId} returning *)
      insert into plan_restrictions (plan_id, restriction_type, restriction_config)
      select plan_id, restriction_type, restriction_config from gone`;
  },
  "zone and week are changed": ({ project }, n) =>
    sql`update projects set time_zone = ${n % 2 ? "Asia/Kathmandu" : "UTC"},
      week_start = ${n % 3 ? "monday" : "sunday"} where id = ${project.id}`,
  "the user moves": ({ user }, n) => user.change({ timeZone: n % 2 ? "Asia/Tokyo" : "" }),
};

describe("counts are exact after calls that ran while", () => {
  test.each(Object.entries(disturbances))("%s", async (_, disturb) => {
    const world = await userOfTwoPlans();
    const { user, planId } = world;
    const tags = ["GPT-4", "Claude", undefined];
    const running = Array.from({ length: 64 }, (_, index) => {
      const tag = tags[index % 3];
      return user.on(calls).consume(2 ** (index % 3), { ...(tag && { tag }) });
    });
    for (let n = 0; n < 12; n++) await disturb(world, n);
    const receipts = await Promise.all(running);
    await disturb(world, 13);
    await user.consume(8);

    expect(receipts.every(({ success }) => success)).toBe(true);
    const used = { "GPT-4": 22, Claude: 2 * 21, none: 4 * 21 };
    const { restrictions } = await user.balance();
    expect(restrictions.map(({ tags, used }) => [tags, used])).toEqual([
      [null, used["GPT-4"] + used.Claude + used.none + 8],
      [["GPT-4"], used["GPT-4"]],
      [["GPT-4", "Claude"], used["GPT-4"] + used.Claude],
    ]);
    expect(await sql`select from plan_restrictions where plan_id = ${planId}`).toHaveLength(3);
  });
});

test.each(
  [
    { window: "rolling", duration: "1 day" },
    { window: "calendar", duration: "900 months" },
  ] as const,
)("a $window limit of a group is never passed by calls at once", async (limit) => {
  const project = await Project.create(sql);
  await project.plan({
    quota: 1e9,
    restrictions: [{ ...limit, tags: ["GPT-4", "Claude"], maxTokens: 100 }],
  });
  const user = await project.user("ada");

  const receipts = await atOnce(calls, 8, async (connection, index) => {
    const tag = index % 2 ? "GPT-4" : "Claude";
    const receipts = [];
    for (let n = 0; n < 4; n++) receipts.push(await user.on(connection).consume(7, { tag }));
    return receipts;
  });

  expect(receipts.flat().filter(({ success }) => success)).toHaveLength(14);
  expect((await user.balance()).restrictions).toMatchObject([{ used: 98, left: 2 }]);
});
