// A single consumption takes the plain way where it can, a batch never does. Of two twins one
// consumes by single calls, the other by batches of one item; all else is done to both. Every
// receipt and every row must be the same.
import { expect, test } from "vitest";
import { useDatabase } from "../support/database.ts";
import { Project, type Receipt, type Restriction, type User } from "../support/project.ts";
import { Random, seed } from "../support/random.ts";

const { sql } = useDatabase();
const TAGS = ["GPT-4", "image", undefined];
const HOUR = 3_600_000;
const PAIRS = 60;

interface Twins {
  single: User;
  batched: User;
}

/** Grants and tags by name: the twins' ids differ. */
function comparable(receipt: Receipt, names: Map<string, string>): Receipt {
  const sources = receipt.sources.map((source) =>
    source.grant_id ? { ...source, grant_id: names.get(source.grant_id)! } : source
  );
  return { ...receipt, user_id: "twin", sources };
}

/** All that is written of a user, but for what holds the ids of the user's holds or when it was inserted. */
async function rowsOf(user: User, names: Map<string, string>) {
  const tables = [
    "token_transfers",
    "user_token_grants_consume",
    "user_token_grants",
    "user_quota_usage",
    "user_usage_buckets",
    "user_usage",
    "user_tags",
  ];
  const found = await Promise.all(tables.map(async (table) => {
    const rows = await sql<{ row: { limits?: { counter_id: string }[] } }[]>`
      select to_jsonb(t) - 'user_id' - 'metadata' - 'request_hash' as row from ${sql(table)} t
      where t.user_id = ${user.id!}`;
    const texts = rows.map(({ row }) => {
      row.limits?.sort((a, b) => a.counter_id < b.counter_id ? -1 : 1);
      const text = JSON.stringify(row);
      return [...names].reduce((named, [id, name]) => named.replaceAll(id, name), text);
    });
    return [table, texts.toSorted()] as const;
  }));
  return Object.fromEntries(found);
}

async function makeTwins(random: Random): Promise<Twins> {
  const project = await Project.create(sql, random.pick(["UTC", "Asia/Kathmandu"]));
  const restrictions: Restriction[] = [];
  for (let i = random.integer(0, 3); i > 0; i--) {
    restrictions.push({
      ...random.pick([{}, { tag: "GPT-4" }, { tags: ["GPT-4", "image"] }]),
      maxTokens: random.pick([3, 10, 10, 40, 150]),
      duration: random.pick(["1 hour", "5 hours", "1 day"] as const),
      window: random.pick(["calendar", "rolling"] as const),
      ...(random.integer(1, 3) === 1 && { endsAt: "2026-05-02T00:00:00Z" }),
    });
  }
  const plan = {
    ...(random.integer(1, 4) > 1 && { quota: random.integer(1, 60) }),
    period: random.pick(["1 hour", "1 day"] as const),
    ...(random.integer(1, 2) === 1 && { rollover: { maxTokens: 30, periods: 2 } }),
    restrictions,
  };
  await project.plan({ ...plan, quota: 20 }, "Other");
  await project.plan({ ...plan, restrictions: restrictions.slice(1) }, "Plan");
  const account = { billingAnchor: "2026-05-01T00:00:00Z", createdAt: "2026-05-01T00:00:00Z" };
  return {
    single: await project.user("single", account),
    batched: await project.user("batched", account),
  };
}

/** Gives the number of consumptions that were applied. */
async function liveAlike(pair: number): Promise<number> {
  const random = new Random(pair);
  const { single, batched } = await makeTwins(random);
  const twins = [single, batched];
  const names = new Map<string, string>();
  let holds: string[][] = [];
  let now = Date.parse("2026-05-01T08:00:00Z");
  let applied = 0;

  for (let step = 0; step < 40; step++) {
    const span = random.pick([1, 1000, 10 * 60_000, HOUR / 4, HOUR, 24 * HOUR]);
    // Often at the very instant at which something ends.
    // Never twice at one: of grants made then the smaller id is spent first, and the twins' ids differ.
    now = random.integer(1, 2) === 1
      ? now + random.pick([1, 10])
      : (Math.floor(now / span) + 1) * span;
    const at = new Date(now).toISOString();
    const tag = random.pick(TAGS);
    const call = { at, ...(tag && { tag }) };
    const kind = random.integer(1, 20);
    if (kind === 1) {
      const terms = {
        at,
        priority: random.pick([50, 50, 10]),
        ...(random.integer(1, 3) === 1 && {
          expiresAt: new Date(now + random.integer(1, 30) * HOUR).toISOString(),
        }),
        ...(random.integer(1, 5) === 1 && { effectiveAt: new Date(now + HOUR / 2).toISOString() }),
        ...(random.integer(1, 5) === 1 && { tags: ["image"] }),
      };
      const tokens = random.integer(1, 80);
      for (const user of twins) {
        names.set((await user.grant(tokens, terms)).grant_id, `grant ${step}`);
      }
    } else if (kind === 2) {
      const tokens = random.integer(1, 10);
      const placed = [await single.hold(tokens, call), await batched.hold(tokens, call)];
      if (placed[0]!.success) holds.push(placed.map(({ hold_id }) => hold_id));
    } else if (kind === 3) {
      for (const [i, user] of twins.entries()) {
        for (const hold of holds) await user.release(hold[i]!, { at }).catch(() => {});
      }
      holds = [];
    } else if (kind <= 6) {
      const change = random.pick([
        { paymentStatus: "paused" as const },
        { paymentStatus: "active" as const },
        { plan: "Other", when: "period_end" as const },
        { plan: "Other", quotaPolicy: "prorate" as const },
        { plan: "Plan", quotaPolicy: "keep" as const },
        { timeZone: "America/New_York" },
      ]);
      for (const user of twins) {
        // A plan without a quota has no period that ends.
        await user.change({ ...change, at }).catch((error) =>
          expect(error).toMatchObject({ code: "TG001" })
        );
      }
    } else {
      const tokens = random.pick([1, 2, 3, 10, random.integer(1, 60)]);
      const requestId = random.integer(1, 3) === 1 ? `request ${step}` : undefined;
      const one = await single.consume(tokens, { ...call, ...(requestId && { requestId }) });
      const [other] = await single.project.consumeBatch([{
        user_id: "batched",
        tokens_to_consume: tokens,
        ...(tag && { tag }),
        ...(requestId && { request_id: requestId }),
      }], { at });

      expect(comparable(one, names), `pair ${pair}, step ${step}`)
        .toEqual(comparable(other!, names));
      if (one.success) applied++;
    }
  }
  expect(await rowsOf(single, names)).toEqual(await rowsOf(batched, names));
  return applied;
}

test(`of twins in the same state both are answered alike (TOLLGATE_SEED=${seed})`, async () => {
  let applied = 0;
  for (let pair = 0; pair < PAIRS; pair += 4) {
    const some = await Promise.all([0, 1, 2, 3].map((i) => liveAlike(pair + i)));
    applied += some.reduce((sum, number) => sum + number);
  }
  expect(applied).toBeGreaterThan(2 * PAIRS);
}, 60_000);
