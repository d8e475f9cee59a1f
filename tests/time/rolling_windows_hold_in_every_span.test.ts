import { beforeAll, expect, test } from "vitest";
import { useDatabase } from "../support/database.ts";
import { before } from "../support/instants.ts";
import { type LimitState, Project, type User } from "../support/project.ts";
import { Random, seed } from "../support/random.ts";

const { sql } = useDatabase();
const random = new Random();
const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const QUARTER = 15 * MINUTE;
const STEPS = 300;

const limits = [
  { maxTokens: 110, duration: "1 hour", length: HOUR },
  { maxTokens: 280, duration: "5 hours", length: 5 * HOUR },
  { maxTokens: 40, duration: "2 hours", length: 2 * HOUR, tags: ["a"] },
  { maxTokens: 180, duration: "1 day", length: 24 * HOUR, tags: ["a", "b"] },
  { maxTokens: 900, duration: "1 week", length: 168 * HOUR },
] as const;
type Limit = typeof limits[number];

/** Tokens that count at an instant: used, as far as not refunded; or held, until they expire. */
interface Use {
  at: number;
  tag: string | undefined;
  tokens: number;
  until: number;
  /** Of a consumption, to be refunded; of a hold, to be settled. */
  id: number | string;
}
const uses: Use[] = [];

const concerns = (limit: Limit, tag: string | undefined) =>
  !("tags" in limit) || limit.tags.some((name) => name === tag);

/** What is left of a limit, as the rule says: a window begins with the quarter of an hour that its first
 * instant lies in. */
function left(limit: Limit, at: number): number {
  const start = Math.floor((at - limit.length) / QUARTER) * QUARTER;
  return uses
    .filter((use) => concerns(limit, use.tag) && use.at >= start && use.until > at)
    .reduce((sum, { tokens }) => sum - tokens, limit.maxTokens as number);
}

const leftFor = (tag: string | undefined, at: number) =>
  Math.min(...limits.filter((limit) => concerns(limit, tag)).map((limit) => left(limit, at)));

/** The first instant at which so much is left, if nothing else happens. */
function freeAt(tag: string | undefined, tokens: number, at: number): number | null {
  const instants = [
    ...uses.map(({ until }) => until),
    ...limits.flatMap((limit) =>
      uses.map((use) => Math.floor(use.at / QUARTER) * QUARTER + limit.length + QUARTER)
    ),
  ];
  return instants.sort((a, b) => a - b)
    .find((instant) => instant > at && leftFor(tag, instant) >= tokens) ?? null;
}

const iso = (at: number) => new Date(at).toISOString();
let user: User;
let now = Date.UTC(2026, 4, 6, 9);
let denials = 0;

beforeAll(async () => {
  const project = await Project.create(sql, "America/New_York");
  await project.plan({
    type: "pay_as_you_go",
    restrictions: limits.map((limit) => ({
      maxTokens: limit.maxTokens,
      duration: limit.duration,
      window: "rolling" as const,
      ...("tags" in limit && { tags: [...limit.tags] }),
    })),
  });
  await project.tagId("c");
  user = await project.user("ada");
  await user.grant(1_000_000, { at: "2026-01-01T00:00Z" });
});

/** The kernel's answer to a request for so many tokens is the model's. */
async function expectAnswer(
  answer: { success: boolean; retry_at: Date | null },
  tag: string | undefined,
  tokens: number,
) {
  const allowed = leftFor(tag, now) >= tokens;
  const retryAt = allowed ? null : freeAt(tag, tokens, now);
  expect({ success: answer.success, retry_at: answer.retry_at?.toISOString() ?? null })
    .toEqual({ success: allowed, retry_at: retryAt === null ? null : iso(retryAt) });
  if (retryAt === null) return;
  denials++;
  const check = (at: string) => user.check(tokens, { at, ...(tag && { tag }) });
  expect(await check(before(iso(retryAt)))).toMatchObject({ success: false });
  expect(await check(iso(retryAt))).toMatchObject({ success: true });
}

const operations = {
  async consume() {
    const [tag, tokens] = [random.pick(["a", "b", "c", undefined]), random.integer(1, 45)];
    const receipt = await user.consume(tokens, { at: iso(now), ...(tag && { tag }) });
    await expectAnswer(receipt, tag, tokens);
    if (receipt.success) {
      uses.push({ at: now, tag, tokens, until: Infinity, id: receipt.transfer_number! });
    }
  },
  async upTo() {
    const tag = random.pick(["a", "b", undefined]);
    const call = { at: iso(now), mode: "up_to" as const, ...(tag && { tag }) };
    const tokens = Math.max(1, Math.min(60, leftFor(tag, now)));
    const receipt = await user.consume(60, call);
    await expectAnswer(receipt, tag, tokens);
    if (receipt.success) {
      expect(receipt.tokens_consumed).toBe(tokens);
      uses.push({ at: now, tag, tokens, until: Infinity, id: receipt.transfer_number! });
    }
  },
  async batch() {
    const items = Array.from({ length: 3 }, () => ({
      user_id: "ada",
      tokens_to_consume: random.integer(1, 30),
      tag: random.pick(["a", "b", "c"]),
    }));
    const receipts = await user.project.consumeBatch(items, { at: iso(now) });
    for (const [index, { tag, tokens_to_consume: tokens }] of items.entries()) {
      const receipt = receipts[index]!;
      const retryAt = freeAt(tag, tokens, now);
      const allowed = leftFor(tag, now) >= tokens;
      expect(receipt).toMatchObject({
        success: allowed,
        retry_at: allowed || retryAt === null ? null : new Date(retryAt),
      });
      if (allowed) {
        uses.push({ at: now, tag, tokens, until: Infinity, id: receipt.transfer_number! });
      }
    }
  },
  async hold() {
    const [tag, tokens] = [random.pick(["a", "b", undefined]), random.integer(1, 30)];
    const ttl = random.pick([60, 600, 3600, 30_000]);
    const receipt = await user.hold(tokens, { at: iso(now), ttl, ...(tag && { tag }) });
    await expectAnswer(receipt, tag, tokens);
    if (receipt.success) {
      uses.push({ at: now, tag, tokens, until: now + 1000 * ttl, id: receipt.hold_id });
    }
  },
  async settle() {
    const open = uses.filter(({ until }) => until > now && until < Infinity);
    if (open.length === 0) return;
    const hold = random.pick(open);
    const tokens = random.integer(0, hold.tokens);
    const { transfer_number } = await user.settle(String(hold.id), tokens, { at: iso(now) });
    Object.assign(hold, { tokens, until: Infinity, id: transfer_number });
  },
  async release() {
    const open = uses.filter(({ until }) => until > now && until < Infinity);
    if (open.length === 0) return;
    const hold = random.pick(open);
    await user.release(String(hold.id), { at: iso(now) });
    uses.splice(uses.indexOf(hold), 1);
  },
  async refund() {
    // Mostly what still counts somewhere.
    const used = uses.filter(({ until, tokens }) => until === Infinity && tokens > 0).slice(-12);
    if (used.length === 0) return;
    const use = random.pick(used);
    const tokens = random.integer(1, use.tokens);
    await user.refund(Number(use.id), { tokens, at: iso(now) });
    use.tokens -= tokens;
  },
};

/** What the balance said last at some instants, to be asked again as of then. */
const shown = new Map<string, LimitState[]>();

async function letTimePass() {
  const instant = iso(now);
  moveOn();
  if (iso(now) !== instant && random.number() < 0.1) {
    shown.set(instant, (await user.balance(instant)).restrictions);
  }
}

function moveOn() {
  const [next, toQuarter] = [random.number(), QUARTER - (now % QUARTER)];
  if (next < 0.3) return;
  if (next < 0.7) now += random.integer(1, 20 * MINUTE);
  else if (next < 0.8) now += toQuarter;
  else if (next < 0.85) now += toQuarter - 1;
  else if (next < 0.95) now += random.integer(1, 6) * HOUR;
  else now += random.integer(1, 40 * HOUR);
}

test(`no span of time has more than its limit, and none is denied less (TOLLGATE_SEED=${seed})`, async () => {
  const { consume, upTo, batch, hold, settle, release, refund } = operations;
  const choices = [consume, consume, consume, consume, upTo, batch, batch, hold, hold];
  for (let step = 0; step < STEPS; step++) {
    await letTimePass();
    await random.pick([...choices, settle, settle, release, refund])();
  }

  for (const [instant, restrictions] of shown) {
    expect((await user.balance(instant)).restrictions, instant).toEqual(restrictions);
  }
  const used = uses.filter(({ until }) => until === Infinity);
  expect(used.length).toBeGreaterThan(STEPS / 10);
  expect(denials).toBeGreaterThan(STEPS / 20);
  for (const limit of limits) {
    for (const first of used) {
      const span = used.filter(({ at, tag }) =>
        at >= first.at && at <= first.at + limit.length && concerns(limit, tag)
      );
      expect(span.reduce((sum, { tokens }) => sum + tokens, 0), limit.duration)
        .toBeLessThanOrEqual(limit.maxTokens);
    }
  }
});
