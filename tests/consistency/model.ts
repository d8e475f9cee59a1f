// The rules of Tollgate once more, as plainly as possible: no SQL, no counters, no state but a list of
// transfers; times as milliseconds. A call that is denied, or whose batch is, is undone by forgetting the
// transfers that it had booked.

import {
  type Account,
  type Answer,
  begunPeriods,
  clocksAt,
  counts,
  type Draw,
  endOf,
  type Grant,
  type Hold,
  holdsOf,
  inOrderOfUse,
  limitsAt,
  limitState,
  nearest,
  notBefore,
  openHolds,
  past,
  type Plan,
  type Project,
  quotaAt,
  quotaOf,
  type QuotaPeriod,
  settingsAt,
  sizeOf,
  stateAt,
  sum,
  takenOf,
  total,
  type Transfer,
} from "./model_account.ts";
import { carriedOver, type Change, changed } from "./model_changes.ts";
import { BLANK, type Consumption, decide, denied, Mistake, slice } from "./model_decision.ts";
import { dueGrants, rolloversAreDue, timesDue, withDue } from "./model_due.ts";

export * from "./model_account.ts";
export type { Change } from "./model_changes.ts";
export { type Consumption, Mistake } from "./model_decision.ts";
export { computedId, nextDue, uuidBytes } from "./model_due.ts";

/** When, and by which idempotency key. */
interface Context {
  requestId: string | null;
  at: number;
}

export function newAccount(id: string, project: Project, plan: Plan, at: number): Account {
  return {
    id,
    project,
    createdAt: at,
    settings: {
      plan,
      planSince: -Infinity,
      next: null,
      payment: "active",
      quotaOpenUntil: null,
      quotaOpenSince: -Infinity,
      anchor: at,
      timeZone: null,
    },
    recurring: [],
    grants: [],
    transfers: [],
    answers: [],
    isPast: false,
    begunUnused: [],
  };
}

/** Now, or as of an instant before the last transfer. */
export function balance(present: Account, at: number) {
  const isPast = at < notBefore(present, at);
  const account = withDue(isPast ? past(present, at) : present, at);
  const { plan, next, payment, quotaOpenUntil } = settingsAt(account, at);
  const quota = quotaAt(account, at);
  const { quotaLeft, grantsLeft, tokensHeld } = stateAt(account, at);
  const taken = takenOf(account, at);
  const quotaHeld = quota && heldOf(account, quota, at);
  return {
    plan: plan.name,
    nextPlan: next && next.plan.name,
    nextPlanAt: next && next.at,
    payment,
    quotaOpenUntil,
    timeZone: clocksAt(account, at).timeZone,
    tokensLeft: quotaLeft + grantsLeft,
    tokensHeld,
    tokensSettled: quotaLeft + grantsLeft + tokensHeld,
    quotaAmount: quota && sizeOf(quota),
    quotaUsed: quota && taken(quota) - quotaHeld!,
    quotaHeld,
    quotaLeft,
    quotaResetsAt: quota && endOf(account, quota),
    /** Whether a later change of plan ended the period. */
    isCutShort: quota !== null && endOf(present, quota) !== endOf(account, quota),
    grantsLeft,
    grants: account.grants
      .filter((grant) => endOf(account, grant) > at && spentOf(account, grant) < grant.tokens)
      .sort(inOrderOfUse)
      .map((grant) => ({ grant, left: grant.tokens - taken(grant) })),
    restrictions: limitsAt(account, at).map((limit) => limitState(account, limit, at)),
  };
}

export function consume(account: Account, call: Consumption & Context): Answer {
  const { tokens, tag, mode } = call;
  return once(account, call, ["consume", tokens, tag, mode], (request) => {
    const decision = decide(account, call, request.at);
    if ("denial" in decision) return decision.denial;
    return book(account, { ...request, type: "consumption", tag, draws: decision.draws });
  });
}

/** In their order, each by the rules of a single consumption. */
export function consumeBatch(
  items: (Consumption & { account: Account; requestId: string | null })[],
  { allOrNothing, at }: { allOrNothing: boolean; at: number },
): Answer[] {
  for (const { account } of items) writeDue(account, notBefore(account, at));
  const before = new Map(items.map(({ account }) => [account, account.transfers.length]));
  const answers = items.map(({ account, ...item }): Answer => {
    try {
      return consume(account, { ...item, at });
    } catch (error) {
      if (!(error instanceof Mistake)) throw error;
      const reason = error.code === "TG005" ? "unknown_tag" : "idempotency_mismatch";
      return { ...BLANK, reason };
    }
  });
  if (!allOrNothing || answers.every(({ success }) => success)) return answers;
  for (const [account, length] of before) rollBack(account, length);
  return answers.map((answer, n): Answer => {
    const isNew = answer.success && answer.transferNumber! > before.get(items[n]!.account)!;
    return isNew ? { ...BLANK, reason: "batch_denied" } : answer;
  });
}

// Grants -----------------------------------------------------------------------------------------

export function grant(
  account: Account,
  call:
    & Pick<Grant, "tokens" | "endsAt" | "priority" | "tags">
    & { effectiveAt: number | null }
    & Context,
): Answer {
  const { tokens, effectiveAt, endsAt, priority, tags } = call;
  return once(account, call, ["grant", tokens, effectiveAt, endsAt, priority, tags], (request) => {
    const { at } = request;
    if (endsAt <= Math.max(at, effectiveAt ?? at)) throw new Mistake("TG001");
    return bookGrant(account, request, {
      type: "bonus",
      tokens,
      effectiveAt: effectiveAt ?? at,
      endsAt,
      priority,
      tags,
    });
  });
}

/** A grant that does not exist is null. */
export function voidGrant(account: Account, grant: Grant | null, call: Context): Answer {
  return once(account, call, ["void", grant && grant.number], (request) => {
    if (!grant) throw new Mistake("TG016");
    const hasEnded = endOf(account, grant) <= request.at;
    if (hasEnded || spentOf(account, grant) === grant.tokens) throw new Mistake("TG017");
    const voided = grant.tokens - takenOf(account, request.at)(grant);
    return book(account, { ...request, type: "void", amount: 0 - voided, grant }, { voided });
  });
}

/** Grants that are due are written down by any call that may write, each with a transfer. */
function writeDue(account: Account, at: number) {
  const due = dueGrants(account, at)
    .toSorted((a, b) => a.effectiveAt - b.effectiveAt || (a.id < b.id ? -1 : 1));
  const { timeZone } = clocksAt(account, at);
  for (const recurring of account.recurring) {
    recurring.settled = Math.max(recurring.settled, timesDue(recurring, timeZone, at));
  }
  if (rolloversAreDue(account, at)) {
    const period = quotaAt(account, at)!;
    const order = account.transfers.length + 0.5;
    account.begunUnused.push({ period, size: sizeOf(period), at, order });
  }
  for (const grant of due) {
    bookGrant(account, { requestId: null, request: "", at }, grant);
  }
}

function bookGrant(
  account: Account,
  request: Request,
  terms:
    & Partial<Grant>
    & Pick<Grant, "type" | "tokens" | "effectiveAt" | "endsAt" | "priority" | "tags">,
): Answer {
  const grant = newGrant(account, request.at, terms);
  return book(account, { ...request, type: "grant", amount: grant.tokens, grant }, { grant });
}

function newGrant(account: Account, at: number, terms: Parameters<typeof bookGrant>[2]): Grant {
  const grant: Grant = {
    kind: "grant",
    id: "",
    createdAt: at,
    origin: null,
    ...terms,
    number: account.transfers.length + 1,
  };
  account.grants.push(grant);
  return grant;
}

// Changes of the account -------------------------------------------------------------------------

export function change(account: Account, call: Change & Context): Answer {
  const { plan, payment, when, policy, quotaOpenUntil, anchor, timeZone } = call;
  const parameters = [plan?.name, payment, when, policy, quotaOpenUntil, anchor, timeZone];
  return once(account, call, ["change", ...parameters], (request) => {
    const { at } = request;
    const before = settingsAt(account, at);
    const after = changed(account, call, at);
    const begins = after.plan === before.plan ? null : carriedOver(account, after, policy, at);
    const entry = {
      ...request,
      type: "account_change",
      change: { before, after },
      begins,
    } as const;
    return book(account, entry, { settings: after });
  });
}

// Holds ------------------------------------------------------------------------------------------

export function hold(
  account: Account,
  call: { tokens: number; tag: string | null; ttl: number } & Context,
): Answer {
  const { tokens, tag, ttl } = call;
  return once(account, call, ["hold", tokens, tag, ttl], (request) => {
    const { at } = request;
    const decision = decide(account, { tokens, tag, mode: "all_or_nothing" }, at);
    if ("denial" in decision) return decision.denial;
    const open = openHolds(account, at);
    if (open.length >= 100) {
      return denied(account, at, {
        reason: "too_many_holds",
        shortfall: 0,
        retryAt: Math.min(...open.map(({ expiresAt }) => expiresAt)),
        nearest: nearestOf(account, tag, at),
      });
    }
    const aside = decision.draws;
    const expiresAt = at + ttl * 1000;
    const entry = { ...request, type: "hold", tag, aside, holdExpiresAt: expiresAt } as const;
    const answer = book(account, entry);
    const hold = holdsOf(account).at(-1)!;
    return amend(account, answer, {
      sources: withLeft(account, aside, at),
      hold: { hold, state: "open", expiresAt },
    });
  });
}

/** Holds are named by their numbers; one that does not exist by null. */
export function settle(
  account: Account,
  number: number | null,
  call: { tokens: number; allowExcess: boolean } & Context,
): Answer {
  const { tokens, allowExcess } = call;
  requireHold(account, number);
  return once(account, call, ["settle", number, tokens, allowExcess], (request) => {
    const hold = requireOpen(account, number, request.at);
    const { tag } = hold;
    const excess = Math.max(0, tokens - hold.tokens);
    if (excess > 0 && !allowExcess) throw new Mistake("TG013");

    const before = account.transfers.length;
    const draws = slice(hold.draws, 0, tokens - excess);
    const returned = hold.tokens - total(draws);
    const settled = book(account, {
      ...request,
      type: "consumption",
      tag,
      draws,
      refersTo: hold.number,
      countedAt: hold.createdAt,
    }, { settlement: { returned, excess, excessNumber: null } });
    if (excess === 0) return settled;

    const charge: Consumption = { tokens: excess, tag, mode: "all_or_nothing" };
    const charged = consume(account, { ...charge, at: request.at, requestId: null });
    if (!charged.success) {
      rollBack(account, before);
      // Nothing comes of it, so that the hold is open still, and waits with the others.
      const decision = decide(account, charge, request.at);
      const denial = "denial" in decision ? decision.denial : charged;
      // Later than that there is no hold to settle.
      const isTooLate = denial.retryAt !== null && denial.retryAt >= hold.expiresAt;
      return { ...denial, retryAt: isTooLate ? null : denial.retryAt };
    }
    account.transfers[before + 1]!.refersTo = hold.number;
    return amend(account, settled, {
      ...charged,
      sources: [...settled.sources, ...charged.sources],
      transferNumber: settled.transferNumber,
      settlement: { returned, excess, excessNumber: charged.transferNumber },
    });
  });
}

export function extend(
  account: Account,
  number: number | null,
  call: { ttl: number } & Context,
): Answer {
  requireHold(account, number);
  return once(account, call, ["extend", number, call.ttl], (request) => {
    const hold = requireOpen(account, number, request.at);
    const expiresAt = Math.max(hold.expiresAt, request.at + call.ttl * 1000);
    return bookStep(account, hold, { ...request, type: "extension", holdExpiresAt: expiresAt });
  });
}

export function release(account: Account, number: number | null, call: Context): Answer {
  requireHold(account, number);
  return once(account, call, ["release", number], (request) => {
    const hold = requireOpen(account, number, request.at);
    return bookStep(account, hold, { ...request, type: "release", holdExpiresAt: null });
  });
}

/** Looked for before a request id is: the hold names the user whose request it is. */
function requireHold(account: Account, number: number | null): Hold {
  const hold = holdsOf(account).find((hold) => hold.number === number);
  if (!hold) throw new Mistake("TG011");
  return hold;
}

function requireOpen(account: Account, number: number | null, at: number): Hold {
  const hold = requireHold(account, number);
  if (hold.endedBy !== null || hold.expiresAt <= at) throw new Mistake("TG012");
  return hold;
}

// Refunds ----------------------------------------------------------------------------------------

/** Of a transfer, by its number or request id. Tokens null: all that was not refunded yet. */
export function refund(
  account: Account,
  original: number | string,
  call: { tokens: number | null; regrantLapsed: boolean; grantEndsAt: number } & Context,
): Answer {
  const { regrantLapsed, grantEndsAt } = call;
  const parameters = ["refund", original, call.tokens, regrantLapsed, grantEndsAt];
  return once(account, call, parameters, (request) => {
    if (grantEndsAt <= request.at) throw new Mistake("TG001");
    const paid = account.transfers.find(({ number, requestId }) =>
      number === original || requestId === original
    );
    if (paid?.type !== "consumption") throw new Mistake("TG014");
    const refunds = account.transfers.filter(({ type, refersTo }) =>
      type === "refund" && refersTo === paid.number
    );
    const refunded = sum(refunds.map(({ amount }) => amount));
    const refundable = total(paid.draws) - refunded;
    const tokens = call.tokens ?? refundable;
    if (tokens === 0 || tokens > refundable) throw new Mistake("TG015");

    const returned = slice(paid.draws.toReversed(), refunded, refunded + tokens);
    const lapsed = returned.filter(({ source }) => endOf(account, source) <= request.at);
    const restored = returned.filter((draw) => !regrantLapsed || !lapsed.includes(draw));
    let regrant: Grant | null = null;
    if (regrantLapsed && lapsed.length > 0) {
      regrant = newGrant(account, request.at, {
        type: "refund",
        tokens: total(lapsed),
        effectiveAt: request.at,
        endsAt: grantEndsAt,
        priority: 50,
        tags: null,
      });
    }
    return book(account, {
      ...request,
      type: "refund",
      amount: tokens,
      tag: paid.tag,
      draws: restored.map(({ source, tokens }) => ({ source, tokens: -tokens })),
      refersTo: paid.number,
      countedAt: paid.countedAt,
      grant: regrant,
    }, {
      grant: regrant,
      refund: {
        original: paid.number,
        tokens,
        lapsed: regrant ? 0 : total(lapsed),
        refundableLeft: refundable - tokens,
      },
    });
  });
}

// Transfers --------------------------------------------------------------------------------------

type Request = Pick<Transfer, "requestId" | "request" | "at">;

/** Applies a request; where its id was applied before, repeats the answer. */
function once(
  account: Account,
  { requestId, at }: Context,
  parameters: unknown[],
  apply: (request: Request) => Answer,
): Answer {
  const request = JSON.stringify(parameters);
  const earlier = requestId !== null &&
    account.transfers.find((transfer) => transfer.requestId === requestId);
  if (earlier) {
    if (earlier.request !== request) throw new Mistake("TG006");
    return { ...account.answers[earlier.number - 1]!, replayed: true };
  }
  const when = notBefore(account, at);
  const before = account.transfers.length;
  const settled = account.recurring.map((recurring) => recurring.settled);
  const begunUnused = [...account.begunUnused];
  try {
    writeDue(account, when);
    return apply({ requestId, request, at: when });
  } catch (error) {
    rollBack(account, before);
    account.begunUnused = begunUnused;
    for (const [n, recurring] of account.recurring.entries()) recurring.settled = settled[n]!;
    throw error;
  }
}

function bookStep(
  account: Account,
  hold: Hold,
  entry: Request & { type: "extension" | "release"; holdExpiresAt: number | null },
): Answer {
  const { number, tag } = hold;
  const answer = book(account, { ...entry, tag, refersTo: number });
  return amend(account, answer, {
    sources: account.answers[number - 1]!.sources,
    hold: {
      hold,
      state: entry.type === "release" ? "released" : "open",
      expiresAt: entry.holdExpiresAt ?? hold.expiresAt,
    },
  });
}

/** Takes the next number, draws on the sources, and answers what is then left. */
function book(
  account: Account,
  entry: Request & Pick<Transfer, "type"> & Partial<Transfer>,
  details: Partial<Answer> = {},
): Answer {
  const { at, type, tag = null, draws = [], aside = [], refersTo = null } = entry;
  const period = [...draws, ...aside].map(({ source }) => source)
    .find((source): source is QuotaPeriod => source.kind === "quota");
  const isBegun = period && begunPeriods(account).includes(period);
  const begins = entry.begins ?? (period && !isBegun ? period : null);
  // Settlements and refunds are charged to what was drawn on before.
  const isDrawnOn = begins || period && type !== "refund" && refersTo === null;
  const transfer: Transfer = {
    number: account.transfers.length + 1,
    amount: 0 - total(draws),
    tag,
    countedAt: at,
    draws,
    aside,
    refersTo,
    holdExpiresAt: null,
    grant: null,
    change: null,
    quotaAmount: isDrawnOn ? quotaOf((begins ?? period)!.plan)!.amount : null,
    quotaLeft: 0,
    grantsLeft: 0,
    tokensHeld: 0,
    ...entry,
    begins,
  };
  account.transfers.push(transfer);
  // What has come due by a change counts; of grants that are written down the others come after it.
  const state = stateAt(entry.grant?.origin ? account : withDue(account, at), at);
  Object.assign(transfer, state);
  const answer: Answer = {
    ...BLANK,
    ...state,
    success: true,
    sources: withLeft(account, draws, at),
    nearest: nearestOf(account, tag, at),
    transferNumber: transfer.number,
    at,
    ...details,
  };
  account.answers.push(answer);
  return answer;
}

function amend(account: Account, answer: Answer, details: Partial<Answer>): Answer {
  return account.answers[answer.transferNumber! - 1] = { ...answer, ...details };
}

function nearestOf(account: Account, tag: string | null, at: number) {
  const limits = limitsAt(account, at).filter((limit) => counts(limit, tag));
  return nearest(limits.map((limit) => limitState(account, limit, at)));
}

function withLeft(account: Account, draws: Draw[], at: number): Answer["sources"] {
  const { quotaLeft } = stateAt(account, at);
  const taken = takenOf(account, at);
  return draws.map(({ source, tokens }) => {
    const left = source.kind === "grant" ? source.tokens - taken(source) : quotaLeft;
    return { source, tokens: Math.abs(tokens), left: endOf(account, source) <= at ? 0 : left };
  });
}

function heldOf(account: Account, source: Draw["source"], at: number): number {
  const draws = openHolds(account, at).flatMap((hold) => hold.draws);
  return total(draws.filter((draw) => draw.source === source));
}

function spentOf({ transfers }: Account, source: Draw["source"]): number {
  const draws = transfers.flatMap(({ draws }) => draws);
  return total(draws.filter((draw) => draw.source === source));
}

/** As if the transfers after the first so many had not been. */
function rollBack(account: Account, length: number) {
  account.transfers.length = length;
  account.answers.length = length;
  account.grants = account.grants.filter(({ number }) => number <= length);
}
