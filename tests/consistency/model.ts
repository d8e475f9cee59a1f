// The rules of Tollgate once more, as plainly as possible: no running state, no SQL, times as
// milliseconds and clocks in UTC. What the kernel keeps in counters is summed here from the transfers.

export type Duration = "1 hour" | "1 day" | "1 week" | "1 month";
export type Period = "1 day" | "1 week" | "1 month" | "1 year";

export interface Plan {
  type: "subscription" | "pay_as_you_go";
  quota: { amount: number; period: Period } | null;
  restrictions: Restriction[];
}

export interface Restriction {
  tag: string | null;
  maxTokens: number;
  duration: Duration;
}

export interface Grant {
  tokens: number;
  used: number;
  expiresAt: number | null;
  createdAt: number;
}

export interface Account {
  plan: Plan;
  payment: "active" | "past_due" | "canceled";
  anchor: number;
  /** In the order of their creation. */
  grants: Grant[];
  transfers: Transfer[];
  /** Of each plan, the periods in which quota was used, oldest first. */
  periods: Map<Plan, QuotaPeriod[]>;
}

interface QuotaPeriod {
  start: number;
  end: number;
  used: number;
}

interface Transfer {
  amount: number;
  tag: string | null;
  at: number;
  requestId: string | null;
  answer: Answer;
}

/** What a caller is told, of a consumption or of a grant. */
export interface Answer {
  success: boolean;
  reason: "insufficient_tokens" | "payment_inactive" | "restriction_exceeded" | null;
  retryAt: number | null;
  fromQuota: number;
  fromGrants: number;
  quotaLeft: number;
  grantsLeft: number;
  /** Any of these: they are equally near. Null: the plan has no restriction for this call. */
  nearest: LimitState[] | null;
  transferNumber: number | null;
  replayed: boolean;
  at: number;
}

export interface LimitState {
  tag: string | null;
  max_tokens: number;
  duration: Duration;
  used: number;
  left: number;
  resets_at: number;
}

export class RequestIdConflict extends Error {}

export function newAccount(plan: Plan, anchor: number): Account {
  return { plan, payment: "active", anchor, grants: [], transfers: [], periods: new Map() };
}

export function consume(
  account: Account,
  call: { tokens: number; tag: string | null; requestId: string | null; at: number },
): Answer {
  const { tokens, tag } = call;
  const replay = findReplay(account, -tokens, tag, call.requestId);
  if (replay) return replay;

  const at = notBefore(account, call.at);
  const limits = account.plan.restrictions
    .filter((restriction) => restriction.tag === null || restriction.tag === tag)
    .map((restriction) => limitState(account, restriction, at));
  const quota = quotaAt(account, at);
  const grants = grantsInForce(account, at);
  const quotaLeft = quota?.left ?? 0;
  const grantsLeft = sum(grants.map(left));
  const denied = {
    success: false,
    retryAt: null,
    fromQuota: 0,
    fromGrants: 0,
    quotaLeft,
    grantsLeft,
    nearest: nearest(limits),
    transferNumber: null,
    replayed: false,
    at,
  };

  const exceeded = limits.filter((limit) => limit.used + tokens > limit.max_tokens);
  if (exceeded.length > 0) {
    const never = exceeded.filter((limit) => tokens > limit.max_tokens);
    const last = never.length > 0 ? never : exceeded;
    const retryAt = Math.max(...last.map(({ resets_at }) => resets_at));
    return {
      ...denied,
      reason: "restriction_exceeded",
      retryAt: never.length > 0 ? null : retryAt,
      nearest: nearest(last.filter(({ resets_at }) => resets_at === retryAt)),
    };
  }
  if (tokens > quotaLeft + grantsLeft) {
    const closed = quota ? Math.max(0, quota.amount - quota.used) - quotaLeft : 0;
    if (account.payment !== "active" && tokens <= closed + grantsLeft) {
      return { ...denied, reason: "payment_inactive" };
    }
    const canRetry = quota && account.payment === "active" && tokens <= quota.amount;
    return { ...denied, reason: "insufficient_tokens", retryAt: canRetry ? quota.end : null };
  }

  const fromQuota = Math.min(tokens, quotaLeft);
  if (quota && fromQuota > 0) drawQuota(account, quota, fromQuota);
  drawGrants(grants, tokens - fromQuota);
  return book(account, { amount: -tokens, tag, requestId: call.requestId, at }, {
    ...denied,
    success: true,
    reason: null,
    fromQuota,
    fromGrants: tokens - fromQuota,
    quotaLeft: quotaLeft - fromQuota,
    grantsLeft: grantsLeft - (tokens - fromQuota),
    nearest: nearest(limits)?.map((limit) => ({
      ...limit,
      used: limit.used + tokens,
      left: limit.left - tokens,
    })) ?? null,
  });
}

export function grant(
  account: Account,
  call: { tokens: number; expiresAt: number | null; requestId: string | null; at: number },
): Answer {
  const replay = findReplay(account, call.tokens, null, call.requestId);
  if (replay) return replay;
  const at = notBefore(account, call.at);
  account.grants.push({ tokens: call.tokens, used: 0, expiresAt: call.expiresAt, createdAt: at });
  return book(account, { amount: call.tokens, tag: null, requestId: call.requestId, at }, {
    success: true,
    reason: null,
    retryAt: null,
    fromQuota: 0,
    fromGrants: 0,
    quotaLeft: quotaAt(account, at)?.left ?? 0,
    grantsLeft: sum(grantsInForce(account, at).map(left)),
    nearest: null,
    replayed: false,
    at,
  });
}

export function balance(account: Account, now: number) {
  const at = notBefore(account, now);
  const quota = quotaAt(account, at);
  const quotaLeft = quota?.left ?? 0;
  const grantsLeft = sum(grantsInForce(account, at).map(left));
  return {
    tokensLeft: quotaLeft + grantsLeft,
    quotaAmount: quota?.amount ?? null,
    quotaUsed: quota?.used ?? null,
    quotaLeft,
    quotaResetsAt: quota?.end ?? null,
    grantsLeft,
    restrictions: account.plan.restrictions.map((limit) => limitState(account, limit, at)),
  };
}

/** A user's time never runs backwards. */
function notBefore(account: Account, at: number): number {
  return Math.max(at, account.transfers.at(-1)?.at ?? -Infinity);
}

function findReplay(
  account: Account,
  amount: number,
  tag: string | null,
  requestId: string | null,
): Answer | undefined {
  if (requestId === null) return;
  const transfer = account.transfers.find((candidate) => candidate.requestId === requestId);
  if (!transfer) return;
  if (transfer.amount !== amount || transfer.tag !== tag) throw new RequestIdConflict();
  return { ...transfer.answer, replayed: true };
}

function book(
  account: Account,
  transfer: Omit<Transfer, "answer">,
  answer: Omit<Answer, "transferNumber">,
): Answer {
  const numbered = { ...answer, transferNumber: account.transfers.length + 1 };
  account.transfers.push({ ...transfer, answer: numbered });
  return numbered;
}

// Quota ------------------------------------------------------------------------------------------

function quotaAt(account: Account, at: number) {
  const { plan, anchor, payment } = account;
  if (plan.type !== "subscription" || !plan.quota) return null;
  const { amount, period } = plan.quota;
  const latest = account.periods.get(plan)?.at(-1);
  // A period once begun runs to its end, whatever becomes of the plan's period meanwhile.
  const current = latest && at < latest.end ? latest : {
    start: Math.max(periodStart(anchor, period, at, 0), latest?.end ?? -Infinity),
    end: periodStart(anchor, period, at, 1),
    used: 0,
  };
  const isOpen = payment === "active";
  return { ...current, amount, left: isOpen ? Math.max(0, amount - current.used) : 0 };
}

function drawQuota(account: Account, { start, end, used }: QuotaPeriod, tokens: number) {
  const periods = account.periods.get(account.plan) ?? [];
  account.periods.set(account.plan, [
    ...periods.filter((period) => period.start !== start),
    { start, end, used: used + tokens },
  ]);
}

/** Where the period that `at` lies in begins (0), or the next one (1). */
function periodStart(anchor: number, period: Period, at: number, next: 0 | 1): number {
  const nth = (count: number) => {
    if (period === "1 day") return anchor + count * DAY;
    if (period === "1 week") return anchor + count * 7 * DAY;
    return addMonths(anchor, period === "1 month" ? count : 12 * count);
  };
  const longest = { "1 day": 1, "1 week": 7, "1 month": 31, "1 year": 366 }[period] * DAY;
  let count = Math.floor((at - anchor) / longest);
  while (nth(count + 1) <= at) count++;
  while (nth(count) > at) count--;
  return nth(count + next);
}

/** A day that the month lacks becomes its last one. */
function addMonths(instant: number, months: number): number {
  const date = new Date(instant);
  const day = date.getUTCDate();
  date.setUTCDate(1);
  date.setUTCMonth(date.getUTCMonth() + months);
  const lastDay = new Date(Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + 1, 0)).getUTCDate();
  return date.setUTCDate(Math.min(day, lastDay));
}

// Grants -----------------------------------------------------------------------------------------

/** In the order of use: by expiry, then creation. */
function grantsInForce(account: Account, at: number): Grant[] {
  const expiry = (grant: Grant) => grant.expiresAt ?? Infinity;
  return account.grants
    .filter((grant) => left(grant) > 0 && expiry(grant) > at)
    .sort((a, b) => expiry(a) === expiry(b) ? a.createdAt - b.createdAt : expiry(a) - expiry(b));
}

function drawGrants(grants: Grant[], tokens: number) {
  for (const grant of grants) {
    const taken = Math.min(tokens, left(grant));
    grant.used += taken;
    tokens -= taken;
  }
}

function left(grant: Grant): number {
  return grant.tokens - grant.used;
}

// Restrictions -----------------------------------------------------------------------------------

function limitState(account: Account, limit: Restriction, at: number): LimitState {
  const start = windowStart(limit.duration, at, 0);
  let used = 0;
  for (let n = account.transfers.length - 1; n >= 0; n--) {
    const transfer = account.transfers[n]!;
    if (transfer.at < start) break;
    if (transfer.amount > 0) continue;
    if (limit.tag === null || limit.tag === transfer.tag) used -= transfer.amount;
  }
  return {
    tag: limit.tag,
    max_tokens: limit.maxTokens,
    duration: limit.duration,
    used,
    left: Math.max(0, limit.maxTokens - used),
    resets_at: windowStart(limit.duration, at, 1),
  };
}

/** Where the window that `at` lies in begins (0), or the next one (1). */
export function windowStart(duration: Duration, at: number, next: 0 | 1): number {
  const date = new Date(at);
  if (duration === "1 month") return Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + next);
  if (duration === "1 hour") return (Math.floor(at / HOUR) + next) * HOUR;
  const day = Math.floor(at / DAY);
  if (duration === "1 day") return (day + next) * DAY;
  const monday = day - (date.getUTCDay() + 6) % 7;
  return (monday + 7 * next) * DAY;
}

function nearest(limits: LimitState[]): LimitState[] | null {
  if (limits.length === 0) return null;
  const room = (limit: LimitState) => limit.max_tokens - limit.used;
  const least = Math.min(...limits.map(room));
  return limits.filter((limit) => room(limit) === least);
}

const HOUR = 3_600_000;
const DAY = 24 * HOUR;

function sum(numbers: number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
