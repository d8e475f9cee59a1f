// The rules that let a call through, or not.

import {
  type Account,
  type Answer,
  canPayFor,
  counts,
  type Draw,
  endOf,
  limitsAt,
  limitState,
  nearest,
  openHolds,
  quotaAt,
  rollsOffAt,
  settingsAt,
  sourcesAt,
  stateAt,
  total,
} from "./model_account.ts";

/** What the kernel raises as an error. */
export class Mistake extends Error {
  constructor(readonly code: string) {
    super(code);
  }
}

export interface Consumption {
  tokens: number;
  tag: string | null;
  mode: "all_or_nothing" | "up_to";
}

/** The sources that pay, or why nobody does. */
export function decide(
  account: Account,
  { tokens, tag, mode }: Consumption,
  at: number,
): { draws: Draw[] } | { denial: Answer } {
  if (tag !== null && !account.project.tags.includes(tag)) throw new Mistake("TG005");
  const sources = sourcesAt(account, at).filter(canPayFor(tag));
  const available = total(sources);
  const holds = openHolds(account, at);
  const expiries = holds.map(({ expiresAt }) => expiresAt);
  const limits = limitsAt(account, at).filter((limit) => counts(limit, tag)).map((limit) => {
    const roomAt = (instant: number) => {
      if (instant >= limit.endsAt) return Infinity;
      const { max_tokens, used, held } = limitState(account, limit, instant);
      return max_tokens - used - held;
    };
    return { limit, roomAt, state: limitState(account, limit, at) };
  });
  const room = Math.min(available, ...limits.map(({ roomAt }) => roomAt(at)));
  const wanted = mode === "up_to" ? Math.max(1, Math.min(tokens, room)) : tokens;

  const exceeded = limits
    .filter(({ roomAt }) => roomAt(at) < wanted)
    .map(({ limit, roomAt, state }) => {
      const rollOffs = limit.window === "rolling"
        ? account.transfers.map(({ countedAt }) => rollsOffAt(limit, countedAt))
        : [];
      const instants = wanted > limit.maxTokens
        ? [limit.endsAt]
        : [...expiries, ...rollOffs, state.resets_at, limit.endsAt].filter((then) => then > at);
      return { freesAt: earliest(instants, (then) => roomAt(then) >= wanted)!, state };
    });
  if (exceeded.length > 0) {
    const last = Math.max(...exceeded.map(({ freesAt }) => freesAt));
    const deciding = nearest(
      exceeded.filter(({ freesAt }) => freesAt === last).map(({ state }) => state),
    )!;
    return {
      denial: denied(account, at, {
        reason: "restriction_exceeded",
        shortfall: wanted - deciding[0]!.left,
        retryAt: last === Infinity ? null : last,
        nearest: deciding,
      }),
    };
  }
  if (available < wanted) {
    const settings = settingsAt(account, at);
    const paid = sourcesAt(account, at, { ...settings, payment: "active" });
    const isClosed = total(paid.filter(canPayFor(tag))) >= wanted;
    const availableAt = (then: number) =>
      total(
        sourcesAt(account, then).filter(canPayFor(tag))
          // What the next plan gives is its own affair.
          .filter(({ source }) =>
            source.kind === "grant" || then < (settings.next?.at ?? Infinity)
          ),
      );
    const quota = quotaAt(account, at);
    const instants = [
      ...expiries,
      ...(quota ? [endOf(account, quota)] : []),
      ...account.grants.map(({ effectiveAt }) => effectiveAt),
    ].filter((then) => then > at);
    return {
      denial: denied(account, at, {
        reason: isClosed ? "payment_inactive" : "insufficient_tokens",
        shortfall: wanted - available,
        retryAt: earliest(instants, (then) => availableAt(then) >= wanted),
        nearest: nearest(limits.map(({ state }) => state)),
      }),
    };
  }
  return { draws: slice(sources, 0, wanted) };
}

export function denied(
  account: Account,
  at: number,
  why: Pick<Answer, "reason" | "shortfall" | "retryAt" | "nearest">,
): Answer {
  return { ...BLANK, ...stateAt(account, at), ...why, at };
}

export const BLANK: Answer = {
  success: false,
  reason: null,
  shortfall: 0,
  retryAt: null,
  sources: [],
  quotaLeft: null,
  grantsLeft: null,
  tokensHeld: null,
  at: null,
  nearest: null,
  transferNumber: null,
  replayed: false,
  grant: null,
  voided: 0,
  settings: null,
  hold: null,
  settlement: null,
  refund: null,
};

/** The tokens from the first up to, but not with, the last one, in the order of the draws. */
export function slice(draws: Draw[], first: number, last: number): Draw[] {
  let before = 0;
  return draws.flatMap(({ source, tokens }) => {
    const part = Math.min(before + tokens, last) - Math.max(before, first);
    before += tokens;
    return part > 0 ? [{ source, tokens: part }] : [];
  });
}

/** The first of these instants at which it is so. */
function earliest(instants: number[], isSo: (instant: number) => boolean): number | null {
  return instants.toSorted((a, b) => a - b).find(isSo) ?? null;
}
