import { beforeAll, expect, test } from "vitest";
import { useDatabase } from "../support/database.ts";
import { Project, type UsageWindow, type User } from "../support/project.ts";
import { Random, seed } from "../support/random.ts";

const { sql, connect } = useDatabase();
/** One connection, which says with which API key it came. */
const caller = connect(1);
const random = new Random();
const HOUR = 3_600_000;
// New York's clocks are set forward on March 8th, those of Lord Howe and Chatham back on April 5th.
const [first, last] = [Date.UTC(2026, 2, 1), Date.UTC(2026, 3, 12)];

interface Use {
  type: "consumption" | "refund" | "hold";
  user: string;
  tag: string | null;
  key: string | null;
  at: Date;
  tokens: number;
  base_quota: number;
  grants: number;
}

let project: Project;
let users: User[];
let uses: Use[];

const iso = (instant: number) => new Date(instant).toISOString();

async function makeCalls() {
  const keys = [""];
  for (const name of ["backend", "worker"]) {
    const [key] = await sql<
      { id: string }[]
    >`select id from create_api_key(${project.id}, ${name})`;
    keys.push(key!.id);
  }
  const instants = Array.from({ length: 250 }, () => {
    const instant = random.integer(first, last);
    return random.number() < 0.3 ? instant - (instant % HOUR) : instant;
  }).sort((a, b) => a - b);
  for (const instant of instants) {
    await caller`select set_config('tollgate.api_key_id', ${random.pick(keys)}, false)`;
    const user = random.pick(users).on(caller);
    const tag = random.pick(["GPT-4", "Claude", undefined]);
    const call = { at: iso(instant), ...(tag && { tag }) };
    const kind = random.number();
    if (kind < 0.2) {
      const { hold_id } = await user.hold(random.integer(1, 50), { ...call, ttl: 86_400 });
      const later = iso(instant + random.integer(0, 20 * HOUR));
      const tokens = random.integer(0, 60);
      if (kind < 0.15) await user.settle(hold_id, tokens, { at: later, allowExcess: true });
    } else {
      const { transfer_number } = await user.consume(random.integer(1, 100), call);
      if (kind < 0.4) {
        await user.refund(transfer_number!, {
          tokens: 1,
          regrantLapsed: true,
          at: iso(instant + random.integer(0, 72 * HOUR)),
        });
      }
    }
  }
}

beforeAll(async () => {
  project = await Project.create(sql, "America/New_York", { weekStart: "sunday" });
  // Ends soon after it began, so that refunds may come too late for it.
  await project.plan({ quota: 60, period: "1 day" });
  users = [];
  for (const [name, timeZone] of [["ada"], ["kenji", "Asia/Tokyo"], ["lin", "Pacific/Chatham"]]) {
    const user = await project.user(name!, {
      billingAnchor: "2026-01-01T00:00Z",
      ...(timeZone && { timeZone }),
    });
    await user.grant(100_000, { at: iso(first) });
    users.push(user);
  }
  await makeCalls();
  uses = await sql<Use[]>`
    select t.transaction_type as type, u.external_id as user, g.name as tag, k.name as key,
      coalesce(t.counted_at, t.created_at) as at, -t.amount as tokens,
      t.base_quota_used as base_quota, t.grants_used as grants
    from token_transfers t
    join tracked_users u on u.id = t.user_id
    left join token_transfers o on t.transaction_type = 'refund'
      and o.user_id = t.user_id and o.transfer_number = t.refers_to
    left join tags g on g.id = t.tag_id
    left join api_keys k on k.id = case t.transaction_type when 'refund' then o.api_key_id else t.api_key_id end
    where t.transaction_type in ('consumption', 'refund', 'hold')`;
});

const sum = (uses: Use[], of: "tokens" | "base_quota" | "grants") =>
  uses.reduce((total, use) => total + use[of], 0);
const calls = (uses: Use[]) => uses.filter(({ type }) => type === "consumption").length;

/** The groups of a window: [name, tokens, calls] of each name that is in any window. */
function groupsOf(all: Use[], here: Use[], by: "tag" | "user" | "key" | "source") {
  if (by === "source") {
    const sources = {
      base_quota: (uses: Use[]) => sum(uses, "base_quota"),
      grants: (uses: Use[]) => sum(uses, "grants"),
      regranted: (uses: Use[]) =>
        sum(uses, "tokens") - sum(uses, "base_quota") - sum(uses, "grants"),
    };
    return Object.fromEntries(Object.entries(sources).map(([name, of]) => [name, of(here)]));
  }
  return Object.fromEntries([...new Set(all.map((use) => use[by]))].map((name) => {
    const own = here.filter((use) => use[by] === name);
    return [String(name), `${sum(own, "tokens")} in ${calls(own)}`];
  }));
}

test(`whatever is asked for (TOLLGATE_SEED=${seed})`, async () => {
  expect(uses.some((use) => use.tokens < 0 && use.base_quota + use.grants === 0)).toBe(true);
  for (let n = 0; n < 60; n++) {
    const step = random.pick(["hour", "day", "week", "month"] as const);
    const groupBy = random.pick(["tag", "user", "key", "source"] as const);
    const user = random.pick([undefined, ...users])?.externalId;
    const tag = random.pick([undefined, undefined, "GPT-4"]);
    const from = random.integer(first, last);
    const to = from + random.integer(1, (step === "hour" ? 100 : 1000) * HOUR);
    const options = { step, groupBy, ...(user && { user }), ...(tag && { tag }) };
    const windows = await project.usage(iso(from), iso(to), options);
    const asked = JSON.stringify({ ...options, from: iso(from), to: iso(to) });

    expect(+windows[0]!.starts_at, asked).toBeLessThanOrEqual(from);
    expect(+windows.at(-1)!.ends_at, asked).toBeGreaterThanOrEqual(to);
    expect(+windows.at(-1)!.starts_at, asked).toBeLessThan(to);
    const between = (start: Date, end: Date) =>
      uses.filter((use) =>
        use.at >= start && use.at < end && use.user === (user ?? use.user) &&
        use.tag === (tag ?? use.tag)
      );
    const all = between(windows[0]!.starts_at, windows.at(-1)!.ends_at);
    for (const [index, window] of windows.entries()) {
      const here = between(window.starts_at, window.ends_at);
      expect(window.starts_at, asked).toEqual(
        (windows[index - 1] ?? { ends_at: window.starts_at }).ends_at,
      );
      expect(told(window, groupBy), asked).toEqual({
        tokens_used: sum(here, "tokens"),
        base_quota_used: sum(here, "base_quota"),
        grants_used: sum(here, "grants"),
        calls: calls(here),
        groups: groupsOf(all, here, groupBy),
      });
    }
  }
});

function told(window: UsageWindow, groupBy: string) {
  const { tokens_used, base_quota_used, grants_used, calls } = window;
  const groups = Object.fromEntries(window.groups!.map((entry) => [
    String(entry.group),
    groupBy === "source" ? entry.tokens_used : `${entry.tokens_used} in ${entry.calls}`,
  ]));
  const none = { base_quota: 0, grants: 0, regranted: 0 };
  return {
    ...{ tokens_used, base_quota_used, grants_used, calls },
    groups: groupBy === "source" ? { ...none, ...groups } : groups,
  };
}
