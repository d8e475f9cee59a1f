import { beforeAll, describe, expect, test } from "vitest";
import { useDatabase } from "../support/database.ts";
import { type Balance, type Duration, Project, type User } from "../support/project.ts";
import { Random, seed } from "../support/random.ts";

const { sql } = useDatabase();
const at = "2031-05-07T12:00Z";
const later = "2031-05-07T12:10Z";
const last = "2031-05-07T12:20Z";

/** A user on plan A, which limits all tokens to 100 a day and GPT-4 to 50; plan B limits nothing. */
async function userOfPlanA() {
  const project = await Project.create(sql);
  await project.plan({ quota: 100_000 }, "B");
  const planId = await project.plan({
    quota: 100_000,
    restrictions: [
      { maxTokens: 100, duration: "1 day" },
      { tag: "GPT-4", maxTokens: 50, duration: "1 day" },
    ],
  }, "A");
  const user = await project.user("ada", { billingAnchor: "2031-01-01T00:00Z" });
  const used = async (when = at) =>
    (await user.balance(when)).restrictions.map(({ tags, duration, used }) =>
      `${used} ${tags?.join("+") ?? "tokens"} in ${duration}`
    );
  const edit = (tag: string | null, fields: Record<string, string | number>) =>
    sql`update plan_restrictions set restriction_config = restriction_config || ${sql.json(fields)}
      where plan_id = ${planId} and restriction_config ->> 'tag_name' is not distinct from ${tag}`;
  return { project, planId, user, used, edit };
}

describe("of a plan that was left and taken again", () => {
  test("in the same window: with what was used meanwhile", async () => {
    const { user, used } = await userOfPlanA();
    await user.consume(10, { tag: "GPT-4", at });
    await user.change({ plan: "B", at: later });
    await user.consume(20, { tag: "GPT-4", at: later });
    await user.consume(40, { at: later });
    await user.change({ plan: "A", at: last });

    expect(await used(last)).toEqual(["70 tokens in 1 day", "30 GPT-4 in 1 day"]);
    expect(await user.consume(21, { tag: "GPT-4", at: last })).toMatchObject({ success: false });
    expect(await user.consume(20, { tag: "GPT-4", at: last })).toMatchObject({ success: true });
    expect(await user.consume(11, { at: last })).toMatchObject({ success: false });
  });

  test("though nothing was used meanwhile", async () => {
    const { user, used } = await userOfPlanA();
    await user.consume(10, { tag: "GPT-4", at });
    await user.change({ plan: "B", at: later });
    await user.change({ plan: "A", at: last });

    expect(await used(last)).toEqual(["10 tokens in 1 day", "10 GPT-4 in 1 day"]);
  });

  test("by itself, at the end of a period", async () => {
    const { user, used } = await userOfPlanA();
    await user.consume(10, { tag: "GPT-4", at: "2031-04-30T23:30Z" });
    await user.change({ plan: "B", when: "period_end", at: "2031-04-30T23:31Z" });
    await user.consume(20, { tag: "GPT-4", at: "2031-05-01T00:00Z" });
    await user.change({ plan: "A", when: "period_end", at: "2031-05-31T12:00Z" });
    await user.consume(5, { tag: "GPT-4", at: "2031-05-31T12:00Z" });
    await user.change({ timeZone: "Asia/Tokyo", at: "2031-05-31T12:00Z" });

    // In Tokyo June 1st began nine hours ago, while the user was on plan B.
    await user.consume(7, { tag: "GPT-4", at: "2031-05-31T23:59Z" });
    expect(await used("2031-06-01T00:00Z")).toEqual(["7 tokens in 1 day", "7 GPT-4 in 1 day"]);
    await user.consume(1, { at: "2031-06-01T00:00Z" });
    expect(await used("2031-06-01T00:00Z")).toEqual(["8 tokens in 1 day", "7 GPT-4 in 1 day"]);
  });

  test("with holds and refunds meanwhile", async () => {
    const { user, used } = await userOfPlanA();
    const first = await user.consume(30, { tag: "GPT-4", at });
    const { hold_id } = await user.hold(15, { tag: "GPT-4", at, ttl: 3600 });
    await user.change({ plan: "B", at: later });
    await user.settle(hold_id, 12, { at: later });
    await user.refund(first.transfer_number!, { tokens: 20, at: later });
    await user.change({ plan: "A", at: last });

    expect(await used(last)).toEqual(["22 tokens in 1 day", "22 GPT-4 in 1 day"]);
  });
});

describe("of a restriction that is edited in mid-window", () => {
  test("in max_tokens only: the count goes on", async () => {
    const { user, used, edit } = await userOfPlanA();
    await user.consume(30, { tag: "GPT-4", at });
    await edit("GPT-4", { max_tokens: 40 });
    await user.consume(5, { at });
    await edit(null, { max_tokens: 1000 });

    expect(await used()).toEqual(["35 tokens in 1 day", "30 GPT-4 in 1 day"]);
    expect(await user.consume(11, { tag: "GPT-4", at })).toMatchObject({ success: false });
    expect(await user.consume(10, { tag: "GPT-4", at })).toMatchObject({ success: true });
  });

  test.each<[string, Record<string, string>, string]>([
    ["duration", { duration: "1 hour" }, "4 GPT-4 in 1 hour"],
    ["duration", { duration: "1 week" }, "17 GPT-4 in 1 week"],
    ["window", { window: "rolling" }, "16 GPT-4 in 1 day"],
    ["tag", { tag_name: "Claude" }, "100 Claude in 1 day"],
  ])("in its %s: it is counted anew", async (_, fields, after) => {
    const { project, user, used, edit } = await userOfPlanA();
    await edit(null, { max_tokens: 1000 });
    await project.tagId("Claude");
    await user.consume(1, { tag: "GPT-4", at: "2031-05-05T12:00Z" });
    await user.consume(8, { tag: "GPT-4", at: "2031-05-06T20:00Z" });
    await user.consume(4, { tag: "GPT-4", at: "2031-05-07T02:00Z" });
    await user.consume(100, { tag: "Claude", at });
    await user.consume(4, { tag: "GPT-4", at });
    await edit("GPT-4", fields);

    expect((await used())[1]).toBe(after);
    await user.consume(1000, { tag: "GPT-4", at }); // Is denied.
    await user.consume(3, { at });
    expect((await used())[1]).toBe(after);
  });

  test("from a month to 30 days, which Postgres takes for equal: anew too", async () => {
    const { user, used, edit } = await userOfPlanA();
    await edit("GPT-4", { duration: "1 month" });
    await user.consume(5, { tag: "GPT-4", at: "2031-04-28T12:00Z" });
    await user.consume(10, { tag: "GPT-4", at });
    expect((await used())[1]).toBe("10 GPT-4 in 1 month");

    // These began on April 24th, as they do every 30 days since 2001.
    await edit("GPT-4", { duration: "30 days" });
    expect((await used())[1]).toBe("15 GPT-4 in 30 days");
  });

  test("there and back: with what was used meanwhile", async () => {
    const { user, used, edit } = await userOfPlanA();
    await user.consume(10, { tag: "GPT-4", at });
    await edit("GPT-4", { duration: "1 hour" });
    await user.consume(20, { tag: "GPT-4", at });
    await edit("GPT-4", { duration: "1 day" });

    expect((await used())[1]).toBe("30 GPT-4 in 1 day");
  });
});

test("a restriction that is deleted and inserted again counts what was used meanwhile", async () => {
  const { project, planId, user, used } = await userOfPlanA();
  await user.consume(10, { tag: "GPT-4", at });
  await sql`delete from plan_restrictions where plan_id = ${planId} and tag_ids is not null`;
  await user.consume(20, { tag: "GPT-4", at });
  await project.restrict(planId, { tag: "GPT-4", maxTokens: 50, duration: "1 day" });

  expect(await used()).toEqual(["30 tokens in 1 day", "30 GPT-4 in 1 day"]);
});

describe("of tags that take turns", () => {
  test("each is kept while others are used", async () => {
    const { project, planId, user, used } = await userOfPlanA();
    await project.restrict(planId, { tag: "Claude", maxTokens: 50, duration: "1 week" });
    await project.restrict(planId, {
      tags: ["GPT-4", "Claude"],
      maxTokens: 99,
      duration: "1 hour",
    });
    for (let turn = 1; turn <= 4; turn++) {
      await user.consume(1, { tag: "GPT-4", at });
      await user.consume(2, { tag: "Claude", at });
      await user.consume(4, { at });
      await user.grant(1, { at });
    }

    expect(await used()).toEqual([
      "28 tokens in 1 day",
      "8 Claude in 1 week",
      "4 GPT-4 in 1 day",
      "12 GPT-4+Claude in 1 hour",
    ]);
    // All are kept, so that no call has to sum up.
    expect(
      await sql`select cardinality(limits) as kept from user_usage where user_id = ${user.id!}`,
    )
      .toEqual([{ kept: 4 }]);
  });

  test("one whose window has ended meanwhile begins at 0", async () => {
    const { user, used } = await userOfPlanA();
    await user.consume(10, { tag: "GPT-4", at });
    await user.consume(1, { at: "2031-05-07T23:59Z" });
    await user.consume(2, { at: "2031-05-08T00:01Z" });

    expect(await used("2031-05-08T00:01Z")).toEqual(["2 tokens in 1 day", "0 GPT-4 in 1 day"]);
    await user.consume(3, { tag: "GPT-4", at: "2031-05-08T00:02Z" });
    expect(await used("2031-05-08T00:02Z")).toEqual(["5 tokens in 1 day", "3 GPT-4 in 1 day"]);
  });

  test("a batch over all of them counts each once", async () => {
    const { project, user, used } = await userOfPlanA();
    const item = (tokens: number, tag?: string) => ({
      user_id: "ada",
      tokens_to_consume: tokens,
      ...(tag && { tag }),
    });
    await project.tagId("Claude");
    await user.consume(1, { tag: "GPT-4", at });
    await user.consume(2, { at });
    await project.consumeBatch([item(4, "GPT-4"), item(8), item(16, "Claude")], { at });
    await user.consume(32, { at });

    expect(await used()).toEqual(["63 tokens in 1 day", "5 GPT-4 in 1 day"]);
  });
});

describe(`at random (TOLLGATE_SEED=${seed})`, () => {
  const STEPS = 600;
  const random = new Random();
  const MINUTE = 60_000;
  const HOUR = 60 * MINUTE;
  // Days before New York's clocks are set forward; those of Lord Howe are set back within weeks.
  let now = Date.UTC(2031, 2, 7, 20);
  let project: Project;
  let users: User[];
  let plans: { id: string; name: string }[];
  let names = ["a", "b", "c"];
  let deleted: { planId: string; type: string; config: Config }[] = [];
  const holds: { user: User; id: string; tokens: number; expiresAt: number }[] = [];
  const consumed: { user: User; number: number; left: number }[] = [];
  const tally: Record<string, number> = {};

  type Config = Record<string, string | number | string[]>;
  interface Count {
    tags: string[] | null;
    max_tokens: number;
    duration: string;
    window: string;
    used: number;
    held: number;
  }

  const iso = (instant = now) => new Date(instant).toISOString();
  const count = ({ tags, max_tokens, duration, window, used, held }: Count): Count => ({
    tags,
    max_tokens,
    duration,
    window,
    used,
    held,
  });
  const sorted = (counts: Count[]) => counts.map((c) => JSON.stringify(count(c))).sort();

  /** What each user's restrictions should count now: from the config as it was written, the transfers
   * and the holds alone. */
  async function recount() {
    return await sql<{ user: string; counts: Count[]; restrictions: Balance["restrictions"] }[]>`
      select u.external_id as user, (tollgate.balance(u.id, ${iso()})).restrictions, (
        select coalesce(jsonb_agg(jsonb_build_object(
          'tags', s.names, 'max_tokens', c.config -> 'max_tokens', 'duration', c.config -> 'duration',
          'window', coalesce(c.config ->> 'window', 'calendar'),
          'used', (
            select coalesce(sum(-t.amount), 0) from token_transfers t
            where t.user_id = u.id and t.transaction_type in ('consumption', 'refund')
              and coalesce(t.counted_at, t.created_at) >= w.starts_at
              and (s.ids is null or t.tag_id = any(s.ids))
          ),
          'held', (
            select coalesce(sum(h.token_amount), 0) from token_holds h
            where h.user_id = u.id and h.ended_by is null and h.expires_at > n.at
              and h.created_at >= w.starts_at and (s.ids is null or h.tag_id = any(s.ids))
          )
        )), '[]')
        from plan_restrictions r
        cross join lateral (
          select r.restriction_config as config, (r.restriction_config ->> 'duration')::interval as length
        ) c
        cross join lateral (
          select coalesce(c.config -> 'tag_names', case when c.config ? 'tag_name'
            then jsonb_build_array(c.config -> 'tag_name') end) as names
        ) m
        cross join lateral (
          select m.names, case when m.names is not null then array(
            select t.id from tags t where t.project_id = p.id and m.names ? t.name
          ) end as ids
        ) s
        cross join lateral (
          select case when c.config ->> 'window' = 'rolling'
            then to_timestamp(900 * floor((extract(epoch from n.at) - extract(epoch from c.length)) / 900))
            else (tollgate.window_at(c.length, coalesce(u.time_zone, p.time_zone), p.week_start, n.at))
              .starts_at
          end as starts_at
        ) w
        where r.plan_id = case when u.next_plan_at <= n.at then u.next_plan_id else u.plan_id end
          and coalesce((c.config ->> 'starts_at')::timestamptz <= n.at, true)
          and coalesce((c.config ->> 'ends_at')::timestamptz > n.at, true)
      ) as counts
      from tracked_users u
      join projects p on p.id = u.project_id
      cross join (select ${iso()}::timestamptz as at) n
      where p.id = ${project.id}
      order by u.external_id`;
  }

  /** The least that is left of the restrictions of a tag. */
  const leftOf = (counts: Count[], tag: string | undefined) =>
    Math.min(
      Infinity,
      ...counts
        .filter(({ tags }) => tags === null || tag !== undefined && tags.includes(tag))
        .map(({ max_tokens, used, held }) => max_tokens - used - held),
    );

  function randomConfig(): { type: string; config: Config } {
    const durations: Duration[] = [
      ...["1 hour", "6 hours", "1 day", "2 days", "1 week", "2 weeks", "1 month"] as const,
    ];
    const duration = random.pick(durations);
    const config: Config = { max_tokens: random.integer(0, 6) * 150, duration };
    if (random.number() < 0.4 && duration !== "1 month") config["window"] = "rolling";
    if (random.number() < 0.2) config["starts_at"] = iso(now + random.integer(-9, 9) * HOUR);
    if (random.number() < 0.2) config["ends_at"] = iso(now + random.integer(10, 60) * HOUR);
    const kind = random.pick(["total", "tag", "tags"]);
    if (kind === "tag") config["tag_name"] = random.pick(names);
    if (kind === "tags") config["tag_names"] = names.filter((_, index) => index !== 1);
    return { type: kind === "total" ? "total" : "tag", config };
  }

  const insert = (planId: string, type: string, config: Config) =>
    sql`insert into plan_restrictions (plan_id, restriction_type, restriction_config)
      values (${planId}, ${type}, ${sql.json(config)})`;

  const anyTag = () => random.pick([...names, undefined]);

  async function anyRestriction() {
    const rows = await sql<
      { id: string; plan_id: string; restriction_type: string; restriction_config: Config }[]
    >`select id, plan_id, restriction_type, restriction_config from plan_restrictions
      where plan_id in ${sql(plans.map(({ id }) => id))} order by created_at, id`;
    return rows.length > 0 ? random.pick(rows) : null;
  }

  const operations: Record<string, () => Promise<unknown>> = {
    async consume() {
      const [user, tag] = [random.pick(users), anyTag()];
      const tokens = random.integer(1, 60);
      const mode = random.pick(["all_or_nothing", "all_or_nothing", "up_to"] as const);
      const receipt = await user.consume(tokens, { at: iso(), mode, ...(tag && { tag }) });
      if (receipt.success) {
        consumed.push({ user, number: receipt.transfer_number!, left: receipt.tokens_consumed });
      }
      // What was left before it, and so what it should have consumed.
      const { counts } = (await recount()).find((row) => row.user === user.externalId)!;
      const left = leftOf(counts, tag) + receipt.tokens_consumed;
      expect(receipt.tokens_consumed).toBe(
        mode === "up_to" ? Math.max(0, Math.min(tokens, left)) : left >= tokens ? tokens : 0,
      );
    },
    batch: () =>
      project.consumeBatch(
        Array.from({ length: 6 }, () => {
          const tag = anyTag();
          return {
            user_id: random.pick(users).externalId,
            tokens_to_consume: random.integer(1, 30),
            ...(tag && { tag }),
          };
        }),
        { at: iso() },
      ),
    async hold() {
      const [user, tag, tokens] = [random.pick(users), anyTag(), random.integer(1, 40)];
      const ttl = random.pick([600, 7200, 80_000]);
      const { success, hold_id: id } = await user.hold(tokens, {
        at: iso(),
        ttl,
        ...(tag && { tag }),
      });
      if (success) holds.push({ user, id, tokens, expiresAt: now + ttl * 1000 });
    },
    async endHold() {
      const open = holds.filter(({ expiresAt }) => expiresAt > now);
      if (open.length === 0) return;
      const hold = random.pick(open);
      hold.expiresAt = 0;
      if (random.number() < 0.3) await hold.user.release(hold.id, { at: iso() });
      else await hold.user.settle(hold.id, random.integer(0, hold.tokens), { at: iso() });
    },
    async refund() {
      const recent = consumed.filter(({ left }) => left > 0).slice(-15);
      if (recent.length === 0) return;
      const call = random.pick(recent);
      const tokens = random.integer(1, call.left);
      await call.user.refund(call.number, { tokens, at: iso() });
      call.left -= tokens;
    },
    grant: () => random.pick(users).grant(1, { at: iso() }),
    changePlan() {
      now += MINUTE;
      const when = random.pick(["now", "now", "period_end"] as const);
      return random.pick(users).change({ plan: random.pick(plans).name, when, at: iso() });
    },
    changeZone: () =>
      random.pick(users).change({
        timeZone: random.pick(["", "Asia/Kathmandu", "Australia/Lord_Howe", "America/New_York"]),
        at: iso(),
      }),
    changeProject: () =>
      sql`update projects set
          time_zone = ${random.pick(["UTC", "America/New_York", "Pacific/Chatham"])},
          week_start = ${random.pick(["monday", "saturday", "sunday"])}
        where id = ${project.id}`,
    async addRestriction() {
      const { type, config } = randomConfig();
      await insert(random.pick(plans).id, type, config);
    },
    async editRestriction() {
      const restriction = await anyRestriction();
      if (!restriction) return;
      const { type, config } = randomConfig();
      const fields = random.pick([
        { max_tokens: config["max_tokens"]! },
        { duration: random.pick(["1 hour", "1 day", "1 week"]) },
        { ends_at: iso(now + random.integer(10, 90) * HOUR) },
        null,
      ]);
      await sql`update plan_restrictions set
          restriction_type = ${fields ? restriction.restriction_type : type},
          restriction_config = ${
        sql.json(fields ? { ...restriction.restriction_config, ...fields } : config)
      }
        where id = ${restriction.id}`;
    },
    async deleteRestriction() {
      const restriction = await anyRestriction();
      if (!restriction) return;
      await sql`delete from plan_restrictions where id = ${restriction.id}`;
      deleted.push({
        planId: restriction.plan_id,
        type: restriction.restriction_type,
        config: restriction.restriction_config,
      });
    },
    async insertAgain() {
      const again = deleted.pop();
      if (again) await insert(again.planId, again.type, again.config);
    },
    async renameTag() {
      const [old, renamed] = [random.pick(names), `tag ${random.integer(0, 1e9)}`];
      await sql`update tags set name = ${renamed} where project_id = ${project.id} and name = ${old}`;
      names = names.map((name) => name === old ? renamed : name);
      deleted = [];
    },
  };

  const weighted = Object.entries({
    consume: 24,
    batch: 8,
    hold: 8,
    endHold: 8,
    refund: 8,
    grant: 2,
    changePlan: 6,
    changeZone: 5,
    changeProject: 3,
    addRestriction: 2,
    editRestriction: 8,
    deleteRestriction: 5,
    insertAgain: 3,
    renameTag: 1,
  }).flatMap(([name, weight]) => Array<string>(weight).fill(name));

  function letTimePass() {
    const next = random.number();
    if (next < 0.35) return;
    if (next < 0.7) now += random.integer(1, 40 * MINUTE);
    else if (next < 0.9) now += random.integer(1, 6 * HOUR);
    else if (next < 0.98) now += 15 * MINUTE - (now % (15 * MINUTE));
    else now += random.integer(1, 90) * HOUR;
  }

  beforeAll(async () => {
    project = await Project.create(sql, "America/New_York");
    for (const name of names) await project.tagId(name);
    plans = [];
    for (const name of ["A", "B"]) {
      const id = await project.plan({ quota: 1e9 }, name);
      plans.push({ id, name });
      for (let i = 0; i < 5; i++) {
        const { type, config } = randomConfig();
        await insert(id, type, config);
      }
    }
    users = [
      await project.user("ada", { billingAnchor: "2031-01-05T00:00Z" }),
      await project.user("kenji", { billingAnchor: "2031-01-20T00:00Z", timeZone: "Asia/Tokyo" }),
    ];
  });

  test("after each of 600 steps they are what the transfers say", { timeout: 60_000 }, async () => {
    for (let step = 0; step < STEPS; step++) {
      letTimePass();
      const operation = random.pick(weighted);
      await operations[operation]!();
      tally[operation] = (tally[operation] ?? 0) + 1;
      for (const { user, counts, restrictions } of await recount()) {
        expect(sorted(restrictions), `step ${step}, ${operation}, ${user}`).toEqual(sorted(counts));
      }
    }

    expect(Object.keys(tally).sort()).toEqual(Object.keys(operations).sort());
    expect(consumed.length).toBeGreaterThan(STEPS / 20);
  });
});
