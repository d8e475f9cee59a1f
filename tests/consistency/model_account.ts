// A user's account, and what it comes to at an instant: nothing here changes it. All is recomputed from
// the user's transfers, so that an account of the past is one with fewer of them.

import type {
  Duration,
  LimitState as LimitRow,
  PaymentStatus,
  Period,
} from "../support/project.ts";
import {
  type Clocks,
  elapsed,
  periodAt,
  QUARTER,
  quarterOf,
  type Span,
  windowAt,
} from "./model_time.ts";

export interface Project extends Clocks {
  graceDays: number;
  tags: string[];
}

export interface Plan {
  name: string;
  type: "subscription" | "pay_as_you_go";
  quota: Quota | null;
  restrictions: Restriction[];
}

export interface Quota {
  id: string;
  amount: number;
  period: Period;
  countedFrom: "billing_anchor" | "calendar";
  rollover: { maxTokens: number; periods: number } | null;
}

export interface Restriction {
  /** Null: all tokens. */
  tags: string[] | null;
  /** Whether it was given as one tag, not as a list. */
  isOfOneTag: boolean;
  maxTokens: number;
  duration: Duration;
  window: "calendar" | "rolling";
  /** Between these it is in force. */
  startsAt: number;
  endsAt: number;
}

export interface Grant {
  kind: "grant";
  /** Filled once the database has told it, or computed. */
  id: string;
  type: "bonus" | "refund" | "rollover";
  tokens: number;
  effectiveAt: number;
  /** Infinity: never. */
  endsAt: number;
  priority: number;
  tags: string[] | null;
  createdAt: number;
  /** Of the transfer that made it. */
  number: number;
  /** The recurring grant or the quota that it came of, when it was due. */
  origin: string | null;
}

export interface RecurringGrant {
  id: string;
  tokens: number;
  every: Period;
  startsAt: number;
  endsAt: number;
  validFor: Period | null;
  priority: number;
  createdAt: number;
  /** So many times have come due before a call that would have written them down. */
  settled: number;
}

export interface QuotaPeriod extends Span {
  kind: "quota";
  plan: Plan;
  /** Null: the quota's. */
  fixedSize: number | null;
}

export interface Draw {
  source: Grant | QuotaPeriod;
  tokens: number;
}

/** What a change of the account changes. */
export interface Settings {
  plan: Plan;
  planSince: number;
  next: { plan: Plan; at: number } | null;
  payment: PaymentStatus;
  quotaOpenUntil: number | null;
  quotaOpenSince: number;
  anchor: number;
  /** Null: the project's. */
  timeZone: string | null;
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
  type:
    | "grant"
    | "consumption"
    | "hold"
    | "extension"
    | "release"
    | "refund"
    | "void"
    | "account_change";
  number: number;
  amount: number;
  tag: string | null;
  at: number;
  /** The instant in whose windows it counts. */
  countedAt: number;
  /** From the sources; negative where tokens were given back. */
  draws: Draw[];
  /** What a hold sets aside. */
  aside: Draw[];
  /** The number of the hold or of the consumption that it is about. */
  refersTo: number | null;
  holdExpiresAt: number | null;
  /** That it made or voided. */
  grant: Grant | null;
  change: { before: Settings; after: Settings } | null;
  /** The period that it was the first to draw on, or that a change of plan began. */
  begins: QuotaPeriod | null;
  /** Of the plan's quota, by then. */
  quotaAmount: number | null;
  /** These three are of the account after it. */
  quotaLeft: number;
  grantsLeft: number;
  tokensHeld: number;
  requestId: string | null;
  /** All that makes a request another one. */
  request: string;
}

export interface Account {
  id: string;
  project: Project;
  createdAt: number;
  /** Before any change. */
  settings: Settings;
  recurring: RecurringGrant[];
  grants: Grant[];
  transfers: Transfer[];
  /** Each transfer's. */
  answers: Answer[];
  isPast: boolean;
  /** Periods begun since others rolled over into them; `order` is the number of the transfer before, and a half. */
  begunUnused: { period: QuotaPeriod; size: number; at: number; order: number }[];
}

export type LimitState = Omit<LimitRow, "resets_at"> & { resets_at: number };

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
  /** Of a void. */
  voided: number;
  /** Of a change: the account after it. */
  settings: Settings | null;
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

/** What can be spent and is set aside; grants that are due must be among the account's. */
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
  const { transfers, begunUnused } = account;
  return Math.max(at, transfers.at(-1)?.at ?? -Infinity, begunUnused.at(-1)?.at ?? -Infinity);
}

/** As it was at an instant, but for what is changed by hand without a trace. */
export function past(account: Account, at: number): Account {
  const transfers = account.transfers.filter((transfer) => transfer.at <= at);
  const begunUnused = account.begunUnused.filter((begun) => begun.at <= at);
  // What was due counted, written down or not, if it had been agreed on.
  const agreedAt = new Map(account.recurring.map(({ id, createdAt }) => [id, createdAt]));
  const grants = account.grants.filter(({ number, origin, effectiveAt }) =>
    number <= transfers.length ||
    origin && Math.max(effectiveAt, agreedAt.get(origin) ?? effectiveAt) <= at
  );
  return { ...account, transfers, grants, begunUnused, isPast: true };
}

export function settingsAt(account: Account, at: number): Settings {
  const changes = account.transfers.flatMap(({ change }) => change ?? []);
  const settings = changes.at(-1)?.after ?? account.settings;
  const { next } = settings;
  if (!next || next.at > at) return settings;
  return { ...settings, plan: next.plan, planSince: next.at, next: null };
}

export function clocksAt(account: Account, at: number): Clocks {
  const { timeZone, weekStart } = account.project;
  return { timeZone: settingsAt(account, at).timeZone ?? timeZone, weekStart };
}

// Sources ----------------------------------------------------------------------------------------

/** What can be spent, in the order of use: quota, then grants by priority, expiry, creation. */
export function sourcesAt(
  account: Account,
  at: number,
  settings = settingsAt(account, at),
): Draw[] {
  const quota = quotaAt(account, at);
  const grants = account.grants
    .filter((grant) => grant.effectiveAt <= at && endOf(account, grant) > at)
    .sort(inOrderOfUse);
  const taken = takenOf(account, at);
  const left = (source: Draw["source"]) =>
    source.kind === "grant"
      ? source.tokens - taken(source)
      : isOpen(settings, at)
      ? Math.max(0, sizeOf(source) - taken(source))
      : 0;
  return [...(quota ? [quota] : []), ...grants]
    .map((source) => ({ source, tokens: left(source) }))
    .filter(({ tokens }) => tokens > 0);
}

export function canPayFor(tag: string | null) {
  return ({ source }: Draw) =>
    source.kind === "quota" || !source.tags || tag !== null && source.tags.includes(tag);
}

export function inOrderOfUse(a: Grant, b: Grant): number {
  if (a.priority !== b.priority) return a.priority - b.priority;
  if (a.endsAt !== b.endsAt) return a.endsAt - b.endsAt;
  if (a.createdAt !== b.createdAt) return a.createdAt - b.createdAt;
  if (a.effectiveAt !== b.effectiveAt) return a.effectiveAt - b.effectiveAt;
  return a.id < b.id ? -1 : 1;
}

/** What was spent of sources, or is set aside. */
export function takenOf(account: Account, at: number) {
  const draws = [account.transfers, openHolds(account, at)].flat().flatMap(({ draws }) => draws);
  return (source: Draw["source"]) => total(draws.filter((draw) => draw.source === source));
}

/** When a source can be spent no more. */
export function endOf(account: Account, source: Draw["source"]): number {
  const { transfers } = account;
  if (source.kind === "grant") {
    const end = transfers.find(({ type, grant }) => type === "void" && grant === source);
    return end ? end.at : source.endsAt;
  }
  // A change of plan ends the periods of both, once they have begun.
  const begun = begunInOrder(account).find(({ period }) => period === source);
  const end = transfers.find(({ number, change, at }) =>
    begun && number > begun.order && change && change.before.plan !== change.after.plan &&
    at < source.end && [change.before.plan, change.after.plan].includes(source.plan)
  );
  return end ? end.at : source.end;
}

/** Whether payment lets the quota be spent. */
export function isOpen({ payment, quotaOpenUntil }: Settings, at: number): boolean {
  if (payment === "active") return true;
  if (payment === "paused") return false;
  if (quotaOpenUntil === null) return payment === "trial";
  return at < quotaOpenUntil;
}

export function quotaOf({ type, quota }: Plan): Quota | null {
  return type === "subscription" ? quota : null;
}

export function sizeOf({ plan, fixedSize }: QuotaPeriod): number {
  return fixedSize ?? quotaOf(plan)!.amount;
}

/** That of the current plan. */
export function quotaAt(account: Account, at: number): QuotaPeriod | null {
  const { plan, anchor } = settingsAt(account, at);
  const quota = quotaOf(plan);
  if (!quota) return null;
  // A period once begun runs to its end, whatever becomes of the plan's period meanwhile.
  const latest = begunPeriods(account).findLast((period) => period.plan === plan);
  const latestEnd = latest ? endOf(account, latest) : -Infinity;
  if (latest && at < latestEnd) return latest;
  const { start, end } = quotaPeriodAt(quota, anchor, clocksAt(account, at), at);
  return { kind: "quota", plan, start: Math.max(start, latestEnd), end, fixedSize: null };
}

export function quotaPeriodAt(quota: Quota, anchor: number, clocks: Clocks, at: number): Span {
  return quota.countedFrom === "calendar"
    ? windowAt(quota.period, clocks, at)
    : periodAt(anchor, quota.period, clocks.timeZone, at);
}

/** But for one that a change of plan ended as it began. */
export function begunPeriods(account: Account): QuotaPeriod[] {
  return begunInOrder(account).map(({ period }) => period)
    .filter((period) => period.start < endOf(account, period));
}

function begunInOrder({ transfers, begunUnused }: Account) {
  const begun = transfers.flatMap(({ begins, number }) =>
    begins ? [{ period: begins, order: number }] : []
  );
  return [...begun, ...begunUnused].toSorted((a, b) => a.order - b.order);
}

export function holdsOf({ transfers }: Account): Hold[] {
  const holds = new Map<number, Hold>();
  for (const transfer of transfers) {
    const { type, number, tag, at, aside, refersTo, holdExpiresAt } = transfer;
    if (type === "hold") {
      holds.set(number, {
        number,
        tokens: total(aside),
        tag,
        draws: aside,
        createdAt: at,
        expiresAt: holdExpiresAt!,
        endedBy: null,
      });
    }
    const hold = holds.get(refersTo!);
    if (!hold) continue;
    if (type === "extension") hold.expiresAt = holdExpiresAt!;
    // What exceeded the hold comes after what settled it.
    else hold.endedBy ??= number;
  }
  return [...holds.values()];
}

export function openHolds(account: Account, at: number): Hold[] {
  return holdsOf(account).filter(({ endedBy, expiresAt }) => endedBy === null && expiresAt > at);
}

export function holdState({ transfers }: Account, { endedBy, expiresAt }: Hold, at: number) {
  if (endedBy === null) return expiresAt > at ? "open" : "expired";
  return transfers[endedBy - 1]!.type === "release" ? "released" : "settled";
}

// Restrictions -----------------------------------------------------------------------------------

/** Those in force. */
export function limitsAt(account: Account, at: number): Restriction[] {
  return settingsAt(account, at).plan.restrictions.filter(({ startsAt, endsAt }) =>
    startsAt <= at && at < endsAt
  );
}

export function counts({ tags }: Restriction, tag: string | null): boolean {
  return !tags || tag !== null && tags.includes(tag);
}

export function limitState(account: Account, limit: Restriction, at: number): LimitState {
  const { tags, isOfOneTag, maxTokens, duration, window } = limit;
  const span = window === "calendar"
    ? windowAt(duration, clocksAt(account, at), at)
    : { start: quarterOf(at - elapsed(duration)), end: rollsOffAt(limit, at) };
  const used = 0 - sum(
    account.transfers
      .filter(({ type }) => type === "consumption" || type === "refund")
      .filter(({ tag, countedAt }) => counts(limit, tag) && countedAt >= span.start)
      .map(({ amount }) => amount),
  );
  const held = sum(
    openHolds(account, at)
      .filter(({ tag, createdAt }) => counts(limit, tag) && createdAt >= span.start)
      .map(({ tokens }) => tokens),
  );
  return {
    tag: isOfOneTag ? tags![0]! : null,
    tags,
    max_tokens: maxTokens,
    duration,
    window,
    used,
    held,
    left: Math.max(0, maxTokens - used - held),
    resets_at: span.end,
  };
}

/** When tokens used at an instant no longer count in a rolling window. */
export function rollsOffAt({ duration }: Restriction, usedAt: number): number {
  return quarterOf(usedAt) + QUARTER + elapsed(duration);
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
