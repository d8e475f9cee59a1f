// A user's account, and what it comes to at an instant: nothing here changes it. What the kernel
// counts in windows is summed here from the transfers.

import { type Duration, type Period, periodStart, windowStart } from "./model_time.ts";

export interface Project {
  /** Of its clocks from UTC, in milliseconds. */
  offset: number;
  tags: string[];
}

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
  kind: "grant";
  tokens: number;
  used: number;
  /** Infinity: never. */
  endsAt: number;
  createdAt: number;
  /** The number of the refund that made it. */
  refund: number | null;
}

export interface QuotaPeriod {
  kind: "quota";
  plan: Plan;
  start: number;
  endsAt: number;
  used: number;
  /** The number of the transfer that first drew on it. */
  begunBy: number;
}

export interface Draw {
  source: Grant | QuotaPeriod;
  tokens: number;
}

export interface Hold {
  number: number;
  tokens: number;
  tag: string | null;
  draws: Draw[];
  createdAt: number;
  expiresAt: number;
  /** The number of the transfer that settled or released it. */
  endedBy: number | null;
}

export interface Transfer {
  type: "grant" | "consumption" | "hold" | "extension" | "release" | "refund";
  number: number;
  amount: number;
  tag: string | null;
  at: number;
  /** The instant in whose windows it counts. */
  countedAt: number;
  /** From the sources; negative where tokens were given back. */
  draws: Draw[];
  /** The number of the hold or of the consumption that it is about. */
  refersTo: number | null;
  holdExpiresAt: number | null;
  /** These three are of the account after it. */
  quotaLeft: number;
  grantsLeft: number;
  tokensHeld: number;
  requestId: string | null;
  /** All that makes a request another one. */
  request: string;
}

export interface Account {
  project: Project;
  plan: Plan;
  payment: "active" | "past_due" | "canceled";
  anchor: number;
  /** All of these in the order of their beginning. */
  grants: Grant[];
  periods: QuotaPeriod[];
  holds: Hold[];
  transfers: Transfer[];
  /** Each transfer's. */
  answers: Answer[];
}

export interface LimitState {
  tag: string | null;
  max_tokens: number;
  duration: Duration;
  used: number;
  held: number;
  left: number;
  resets_at: number;
}

/** What a caller is told. */
export interface Answer {
  success: boolean;
  reason:
    | "insufficient_tokens"
    | "payment_inactive"
    | "restriction_exceeded"
    | "too_many_holds"
    | "unknown_tag"
    | "idempotency_mismatch"
    | "batch_denied"
    | null;
  shortfall: number;
  retryAt: number | null;
  /** In the order in which they were drawn on, or given back to. */
  sources: (Draw & { left: number })[];
  /** These four are null where nothing was decided. */
  quotaLeft: number | null;
  grantsLeft: number | null;
  tokensHeld: number | null;
  at: number | null;
  /** Any of these: they are equally near. Null: the plan has no restriction for this call. */
  nearest: LimitState[] | null;
  transferNumber: number | null;
  replayed: boolean;
  /** That was made. */
  grant: Grant | null;
  /** Of a step of a hold. */
  hold: { hold: Hold; state: "open" | "released"; expiresAt: number } | null;
  /** Of a settlement. */
  settlement: { returned: number; excess: number; excessNumber: number | null } | null;
  /** Of a refund. */
  refund: {
    original: number;
    tokens: number;
    lapsed: number;
    refundableLeft: number;
  } | null;
}

export function balance(account: Account, now: number) {
  const at = notBefore(account, now);
  const quota = quotaAt(account, at);
  const { quotaLeft, grantsLeft, tokensHeld } = stateAt(account, at);
  return {
    tokensLeft: quotaLeft + grantsLeft,
    tokensHeld,
    tokensSettled: quotaLeft + grantsLeft + tokensHeld,
    quotaAmount: quota && account.plan.quota!.amount,
    quotaUsed: quota && quota.used,
    quotaHeld: quota && setAside(account, quota, at),
    quotaLeft,
    quotaResetsAt: quota && quota.endsAt,
    grantsLeft,
    restrictions: account.plan.restrictions.map((limit) => limitState(account, limit, at)),
  };
}

export function stateAt(account: Account, at: number) {
  const sources = sourcesAt(account, at);
  return {
    quotaLeft: total(sources.filter(({ source }) => source.kind === "quota")),
    grantsLeft: total(sources.filter(({ source }) => source.kind === "grant")),
    tokensHeld: sum(openHolds(account, at).map(({ tokens }) => tokens)),
  };
}

/** A user's time never runs backwards. */
export function notBefore(account: Account, at: number): number {
  return Math.max(at, account.transfers.at(-1)?.at ?? -Infinity);
}

// Sources ----------------------------------------------------------------------------------------

/** What can be spent, in the order of use: quota, then grants by expiry, then creation. */
export function sourcesAt(account: Account, at: number): Draw[] {
  const quota = quotaAt(account, at);
  const grants = account.grants
    .filter(({ tokens, used, endsAt }) => used < tokens && endsAt > at)
    .sort((a, b) => a.endsAt === b.endsAt ? a.createdAt - b.createdAt : a.endsAt - b.endsAt);
  return [...(quota ? [quota] : []), ...grants]
    .map((source) => ({ source, tokens: spendable(account, source, at) }))
    .filter(({ tokens }) => tokens > 0);
}

/** Of the quota of the current plan, or of a grant. */
export function spendable(account: Account, source: Draw["source"], at: number): number {
  if (source.endsAt <= at) return 0;
  const rest = -source.used - setAside(account, source, at);
  if (source.kind === "grant") return source.tokens + rest;
  return account.payment === "active" ? Math.max(0, account.plan.quota!.amount + rest) : 0;
}

export function quotaAt({ plan, anchor, periods, project, transfers }: Account, at: number) {
  if (plan.type !== "subscription" || !plan.quota) return null;
  const latest = periods.findLast((period) => period.plan === plan);
  // A period once begun runs to its end, whatever becomes of the plan's period meanwhile.
  if (latest && at < latest.endsAt) return latest;
  const start = periodStart(anchor, plan.quota.period, at, project.offset, 0);
  const period: QuotaPeriod = {
    kind: "quota",
    plan,
    start: Math.max(start, latest?.endsAt ?? -Infinity),
    endsAt: periodStart(anchor, plan.quota.period, at, project.offset, 1),
    used: 0,
    begunBy: transfers.length + 1,
  };
  return period;
}

export function openHolds(account: Account, at: number): Hold[] {
  return account.holds.filter(({ endedBy, expiresAt }) => endedBy === null && expiresAt > at);
}

export function holdState({ transfers }: Account, { endedBy, expiresAt }: Hold, at: number) {
  if (endedBy === null) return expiresAt > at ? "open" : "expired";
  return transfers[endedBy - 1]!.type === "release" ? "released" : "settled";
}

function setAside(account: Account, source: Draw["source"], at: number): number {
  const draws = openHolds(account, at).flatMap((hold) => hold.draws);
  return total(draws.filter((draw) => draw.source === source));
}

// Restrictions -----------------------------------------------------------------------------------

/** Those that a call with this tag is subject to. */
export function limitsOf(account: Account, tag: string | null): Restriction[] {
  return account.plan.restrictions.filter((limit) => limit.tag === null || limit.tag === tag);
}

export function limitState(account: Account, limit: Restriction, at: number): LimitState {
  const { offset } = account.project;
  const start = windowStart(limit.duration, at, offset, 0);
  const counts = ({ tag }: { tag: string | null }) => limit.tag === null || limit.tag === tag;
  let used = 0;
  for (let n = account.transfers.length - 1; n >= 0; n--) {
    const transfer = account.transfers[n]!;
    if (transfer.at < start) break;
    if (transfer.type !== "consumption" && transfer.type !== "refund") continue;
    if (counts(transfer) && transfer.countedAt >= start) used -= transfer.amount;
  }
  const held = sum(
    openHolds(account, at)
      .filter((hold) => counts(hold) && hold.createdAt >= start)
      .map(({ tokens }) => tokens),
  );
  return {
    tag: limit.tag,
    max_tokens: limit.maxTokens,
    duration: limit.duration,
    used,
    held,
    left: Math.max(0, limit.maxTokens - used - held),
    resets_at: windowStart(limit.duration, at, offset, 1),
  };
}

export function nearest(limits: LimitState[]): LimitState[] | null {
  const least = Math.min(...limits.map(({ left }) => left));
  return limits.length === 0 ? null : limits.filter(({ left }) => left === least);
}

export function total(draws: Draw[]): number {
  return sum(draws.map(({ tokens }) => tokens));
}

export function sum(numbers: number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
