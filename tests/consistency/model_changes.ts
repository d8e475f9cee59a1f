// Changes of a user's plan, payment, billing anchor and time zone.

import type { PaymentStatus } from "../support/project.ts";
import {
  type Account,
  begunPeriods,
  clocksAt,
  endOf,
  isOpen,
  openHolds,
  type Plan,
  quotaAt,
  quotaOf,
  type QuotaPeriod,
  quotaPeriodAt,
  type Settings,
  settingsAt,
  sizeOf,
  takenOf,
  total,
} from "./model_account.ts";
import { Mistake } from "./model_decision.ts";
import { DAY, quarterOf } from "./model_time.ts";

/** Null: left as it is. */
export interface Change {
  plan: Plan | null;
  payment: PaymentStatus | null;
  when: "now" | "period_end";
  policy: "keep" | "prorate" | "reset";
  quotaOpenUntil: number | null;
  anchor: number | null;
  /** "": the project's. */
  timeZone: string | null;
}

export function changed(account: Account, change: Change, at: number): Settings {
  const before = settingsAt(account, at);
  const after = { ...before };
  const period = quotaAt(account, at);
  if (change.when === "period_end" && !period) throw new Mistake("TG001");
  if (change.plan) {
    after.next = null;
    if (change.when === "now") after.plan = change.plan;
    else if (change.plan !== before.plan) {
      after.next = { plan: change.plan, at: endOf(account, period!) };
    }
    if (after.plan !== before.plan) after.planSince = at;
  }
  if (change.payment && change.payment !== before.payment) {
    const { graceDays } = account.project;
    const hasGrace = change.payment === "past_due" && graceDays > 0;
    after.payment = change.payment;
    after.quotaOpenUntil = hasGrace ? at + graceDays * DAY : null;
  }
  if (change.payment === "canceled" && change.when === "period_end") {
    // Not for longer than it would have been open anyway.
    const until = before.payment === "active" ? null : before.quotaOpenUntil;
    if (isOpen(before, at)) {
      after.quotaOpenUntil = Math.min(endOf(account, period!), until ?? Infinity);
    }
  }
  after.quotaOpenUntil = change.quotaOpenUntil ?? after.quotaOpenUntil;
  after.anchor = change.anchor ?? before.anchor;
  after.timeZone = (change.timeZone ?? before.timeZone) || null;
  if (isOpen(after, at) && !isOpen(before, at)) after.quotaOpenSince = at;
  return after;
}

/** The period of the new plan's quota that a change of plan begins, of a size by the policy. */
export function carriedOver(
  account: Account,
  after: Settings,
  policy: Change["policy"],
  at: number,
): QuotaPeriod | null {
  const before = settingsAt(account, at);
  const { project } = account;
  const newQuota = quotaOf(after.plan);
  if (!newQuota) return null;
  const newClocks = { ...project, timeZone: after.timeZone ?? project.timeZone };
  const newSpan = quotaPeriodAt(newQuota, after.anchor, newClocks, at);
  const period = { kind: "quota", plan: after.plan, start: at, end: newSpan.end } as const;
  if (policy === "reset") return { ...period, fixedSize: null };

  const oldQuota = quotaOf(before.plan);
  const old = quotaAt(account, at);
  // What was used of any base quota: switching there and back is no way to a second one.
  const newRoom = newQuota.amount - usedSince(account, newSpan.start, at);
  if (policy === "keep") return { ...period, fixedSize: Math.max(0, newRoom) };

  const left = old ? Math.max(0, sizeOf(old) - takenOf(account, at)(old)) : 0;
  const [newShare, newWhole] = [BigInt(newSpan.end - at), BigInt(newSpan.end - newSpan.start)];
  let gain = BigInt(newQuota.amount) * newShare;
  let whole = newWhole;
  let most = Math.max(left, newRoom);
  if (oldQuota) {
    const oldSpan = quotaPeriodAt(oldQuota, before.anchor, clocksAt(account, at), at);
    const isBegun = begunPeriods(account).includes(old!);
    const [start, end] = [
      isBegun && old!.fixedSize === null ? old!.start : oldSpan.start,
      isBegun ? endOf(account, old!) : oldSpan.end,
    ];
    const [oldShare, oldWhole] = [BigInt(end - at), BigInt(end - start)];
    gain = gain * oldWhole - BigInt(oldQuota.amount) * oldShare * newWhole;
    whole = newWhole * oldWhole;
    most = Math.max(most, oldQuota.amount - usedSince(account, oldSpan.start, at));
  }
  const prorated = left + Number(gain / whole - (gain % whole < 0n ? 1n : 0n));
  return { ...period, fixedSize: Math.max(0, Math.min(prorated, most)) };
}

/** What base quotas of any plan have paid since an instant, or open holds set aside of them. */
function usedSince(account: Account, from: number, at: number): number {
  const isCut = begunPeriods(account).some((period) =>
    period.start < from && Math.min(endOf(account, period), at) > from
  );
  const since = isCut ? quarterOf(from) : from;
  const draws = [
    ...account.transfers.filter(({ countedAt }) => countedAt >= since),
    ...openHolds(account, at).filter(({ createdAt }) => createdAt >= from),
  ].flatMap(({ draws }) => draws);
  return total(draws.filter(({ source }) => source.kind === "quota"));
}
