// Grants that nobody gives: occurrences of recurring grants, and what quota periods leave unused. They
// count from the instant at which they are due.

import { createHash } from "node:crypto";
import {
  type Account,
  begunPeriods,
  clocksAt,
  type Draw,
  endOf,
  type Grant,
  holdsOf,
  isOpen,
  quotaAt,
  quotaOf,
  type QuotaPeriod,
  quotaPeriodAt,
  type RecurringGrant,
  settingsAt,
  takenOf,
  total,
  type Transfer,
} from "./model_account.ts";
import type { Period } from "../support/project.ts";
import { monthsOf, periodStart } from "./model_time.ts";

/** With the grants that are due, and not written down yet. */
export function withDue(account: Account, at: number): Account {
  return { ...account, grants: [...account.grants, ...dueGrants(account, at)] };
}

export function dueGrants(account: Account, at: number): Grant[] {
  const due = [...occurrences(account, at), ...rollovers(account, at)];
  return due.filter(({ id, endsAt }) =>
    endsAt > at && account.grants.every((written) => written.id !== id)
  );
}

/** How many times it has come due. */
export function timesDue(recurring: RecurringGrant, timeZone: string, at: number): number {
  let times = 0;
  for (;;) {
    const next = startOf(recurring, timeZone, times);
    if (next > at || next >= recurring.endsAt) return times;
    times++;
  }
}

/** When it comes due again. */
export function nextDue(account: Account, recurring: RecurringGrant, at: number): number {
  const { timeZone } = clocksAt(account, at);
  return startOf(recurring, timeZone, timesDue(recurring, timeZone, at));
}

function occurrences(account: Account, at: number): Grant[] {
  const { timeZone } = clocksAt(account, at);
  const known = account.recurring.filter(({ createdAt }) => !account.isPast || createdAt <= at);
  return known.flatMap((recurring) => {
    const { id, tokens, validFor, priority } = recurring;
    const numbers = Array.from({ length: timesDue(recurring, timeZone, at) }, (_, n) => n);
    return numbers.slice(account.isPast ? 0 : recurring.settled).map((n): Grant => {
      const effectiveAt = startOf(recurring, timeZone, n);
      return {
        ...dueGrant(id, at),
        id: computedId(uuidBytes(id), int4Bytes(n)),
        type: "bonus",
        tokens,
        effectiveAt,
        endsAt: validFor ? endOfTime(recurring, validFor, timeZone, n) : Infinity,
        priority,
      };
    });
  });
}

/** Many times the same: its instants do not change. */
const starts = new Map<string, number>();

function startOf({ startsAt, every }: RecurringGrant, timeZone: string, n: number): number {
  const key = [startsAt, every, timeZone, n].join();
  const start = starts.get(key) ?? periodStart(startsAt, every, timeZone, n);
  starts.set(key, start);
  return start;
}

function endOfTime(recurring: RecurringGrant, validFor: Period, timeZone: string, n: number) {
  const { startsAt, every } = recurring;
  const [months, monthsValid] = [monthsOf(every), monthsOf(validFor)];
  return months > 0 && monthsValid > 0
    ? periodStart(startsAt, "1 month", timeZone, n * months + monthsValid)
    : periodStart(startOf(recurring, timeZone, n), validFor, timeZone, 1);
}

/** Of the periods before the current one, until that is begun. */
function rollovers(account: Account, at: number): Grant[] {
  const settings = settingsAt(account, at);
  const { plan, planSince, quotaOpenSince, anchor } = settings;
  const quota = quotaOf(plan);
  const current = quotaAt(account, at);
  const begun = begunPeriods(account).filter((period) => period.plan === plan);
  if (!quota?.rollover || !rolloversAreDue(account, at)) return [];

  const clocks = clocksAt(account, at);
  const since = Math.max(account.createdAt, planSince, quotaOpenSince);
  const taken = takenOf(account, at);
  const grants: Grant[] = [];
  let end = current!.start;
  for (let n = 0; n < quota.rollover.periods && end > since; n++) {
    const last = begun.findLast(({ start }) => start < end);
    const lastEnd = last ? endOf(account, last) : -Infinity;
    const isUsed = last && lastEnd === end;
    const natural = quotaPeriodAt(quota, anchor, clocks, end - 1);
    const start = isUsed ? last.start : Math.max(natural.start, lastEnd);
    const left = isUsed
      ? (last.fixedSize ?? Math.min(lastAmount(account, last), quota.amount)) - taken(last) -
        lapsedAfter(account, last, end, at)
      : quota.amount;

    let endsAt = end;
    for (let k = 0; k < quota.rollover.periods; k++) {
      endsAt = quotaPeriodAt(quota, anchor, clocks, endsAt).end;
    }
    const tokens = Math.min(left, quota.rollover.maxTokens);
    const id = computedId(uuidBytes(quota.id), uuidBytes(account.id), instantBytes(end));
    if (tokens > 0) {
      const grant = { ...dueGrant(quota.id, at), id, tokens, effectiveAt: end, endsAt };
      grants.push({ ...grant, type: "rollover" });
    }
    // When it was begun, what the periods before had left rolled over.
    if (isUsed) break;
    end = start;
  }
  return grants;
}

/** Once for each period, when the first call of any kind writes. */
export function rolloversAreDue(account: Account, at: number): boolean {
  const settings = settingsAt(account, at);
  const current = quotaAt(account, at);
  return current !== null && Boolean(quotaOf(settings.plan)!.rollover) && isOpen(settings, at) &&
    !begunPeriods(account).includes(current);
}

/** What was refunded, or held until, after a period had ended, lapsed with it. */
function lapsedAfter(account: Account, period: QuotaPeriod, end: number, at: number): number {
  const refunds = account.transfers.filter((transfer) =>
    transfer.type === "refund" && transfer.at >= end
  );
  const holds = holdsOf(account).filter(({ endedBy, expiresAt }) =>
    endedBy === null && expiresAt > end && expiresAt <= at
  );
  const of = (draws: Draw[]) => total(draws.filter(({ source }) => source === period));
  return of(holds.flatMap(({ draws }) => draws)) - of(refunds.flatMap(({ draws }) => draws));
}

/** The quota's size when the period was last drawn on. */
function lastAmount({ transfers, begunUnused }: Account, period: QuotaPeriod): number {
  const isOf = ({ draws, aside, begins }: Transfer) =>
    begins === period || [...draws, ...aside].some(({ source }) => source === period);
  return transfers.findLast((transfer) => transfer.quotaAmount !== null && isOf(transfer))
    ?.quotaAmount ?? begunUnused.find((begun) => begun.period === period)!.size;
}

function dueGrant(origin: string, at: number) {
  return {
    kind: "grant",
    priority: 50,
    tags: null,
    createdAt: at,
    number: 0,
    origin,
  } as const;
}

// Ids that are computed --------------------------------------------------------------------------

/** The first 16 bytes of SHA-256 as a version 8 uuid. */
export function computedId(...seed: Uint8Array[]): string {
  const bytes = createHash("sha256").update(Buffer.concat(seed)).digest().subarray(0, 16);
  bytes[6] = bytes[6]! & 15 | 128;
  bytes[8] = bytes[8]! & 63 | 128;
  return bytes.toString("hex").replace(/(.{8})(.{4})(.{4})(.{4})(.{12})/, "$1-$2-$3-$4-$5");
}

export function uuidBytes(uuid: string): Uint8Array {
  return Buffer.from(uuid.replaceAll("-", ""), "hex");
}

function int4Bytes(number: number): Uint8Array {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(number);
  return bytes;
}

/** In microseconds since 2000, as Postgres has it. */
function instantBytes(at: number): Uint8Array {
  const bytes = Buffer.alloc(8);
  bytes.writeBigInt64BE(BigInt(at - Date.UTC(2000)) * 1000n);
  return bytes;
}
