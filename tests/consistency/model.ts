// The rules of Tollgate once more, as plainly as possible: no SQL, no counters of windows, times as
// milliseconds. A call that is denied, or whose batch is, is undone by what it had booked.

import {
  type Account,
  type Answer,
  type Draw,
  type Grant,
  type Hold,
  limitsOf,
  limitState,
  nearest,
  notBefore,
  openHolds,
  type Plan,
  type Project,
  spendable,
  stateAt,
  sum,
  total,
  type Transfer,
} from "./model_account.ts";
import { BLANK, type Consumption, decide, denied, Mistake, slice } from "./model_decision.ts";

export * from "./model_account.ts";
export { type Consumption, Mistake } from "./model_decision.ts";
export { type Duration, type Period, windowStart } from "./model_time.ts";

/** When, and by which idempotency key. */
interface Context {
  requestId: string | null;
  at: number;
}

export function newAccount(project: Project, plan: Plan, anchor: number): Account {
  return {
    project,
    plan,
    payment: "active",
    anchor,
    grants: [],
    periods: [],
    holds: [],
    transfers: [],
    answers: [],
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

export function grant(account: Account, call: { tokens: number; endsAt: number } & Context) {
  const { tokens, endsAt } = call;
  return once(account, call, ["grant", tokens, endsAt], (request) => {
    const createdAt = request.at;
    const grant: Grant = { kind: "grant", tokens, used: 0, endsAt, createdAt, refund: null };
    account.grants.push(grant);
    return book(account, { ...request, type: "grant", amount: tokens }, { grant });
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
        nearest: nearest(limitsOf(account, tag).map((limit) => limitState(account, limit, at))),
      });
    }
    const hold: Hold = {
      number: account.transfers.length + 1,
      tokens,
      tag,
      draws: decision.draws,
      createdAt: at,
      expiresAt: at + ttl * 1000,
      endedBy: null,
    };
    account.holds.push(hold);
    begin(account, hold.draws);
    return book(account, { ...request, type: "hold", tag, holdExpiresAt: hold.expiresAt }, {
      sources: withLeft(account, hold.draws, at),
      hold: { hold, state: "open", expiresAt: hold.expiresAt },
    });
  });
}

/** A hold that does not exist is null. */
export function settle(
  account: Account,
  hold: Hold | null,
  call: { tokens: number; allowExcess: boolean } & Context,
): Answer {
  if (!hold) throw new Mistake("TG011");
  const { number, tag, createdAt } = hold;
  const { tokens, allowExcess } = call;
  return once(account, call, ["settle", number, tokens, allowExcess], (request) => {
    requireOpen(hold, request.at);
    const excess = Math.max(0, tokens - hold.tokens);
    if (excess > 0 && !allowExcess) throw new Mistake("TG013");

    const before = account.transfers.length;
    hold.endedBy = before + 1;
    const draws = slice(hold.draws, 0, tokens - excess);
    const returned = hold.tokens - total(draws);
    const settled = book(account, {
      ...request,
      type: "consumption",
      tag,
      draws,
      refersTo: number,
      countedAt: createdAt,
    }, { settlement: { returned, excess, excessNumber: null } });
    if (excess === 0) return settled;

    const charge: Consumption = { tokens: excess, tag, mode: "all_or_nothing" };
    const charged = consume(account, { ...charge, at: request.at, requestId: null });
    if (!charged.success) {
      rollBack(account, before);
      // Later than that there is no hold to settle.
      const isTooLate = charged.retryAt !== null && charged.retryAt >= hold.expiresAt;
      const retryAt = isTooLate ? null : charged.retryAt;
      return { ...charged, ...stateAt(account, request.at), retryAt };
    }
    account.transfers[before + 1]!.refersTo = number;
    return account.answers[before] = {
      ...charged,
      sources: [...settled.sources, ...charged.sources],
      transferNumber: settled.transferNumber,
      settlement: { returned, excess, excessNumber: charged.transferNumber },
    };
  });
}

export function extend(
  account: Account,
  hold: Hold | null,
  call: { ttl: number } & Context,
): Answer {
  if (!hold) throw new Mistake("TG011");
  return once(account, call, ["extend", hold.number, call.ttl], (request) => {
    requireOpen(hold, request.at);
    hold.expiresAt = Math.max(hold.expiresAt, request.at + call.ttl * 1000);
    return bookStep(account, hold, { ...request, type: "extension" });
  });
}

export function release(account: Account, hold: Hold | null, call: Context): Answer {
  if (!hold) throw new Mistake("TG011");
  return once(account, call, ["release", hold.number], (request) => {
    requireOpen(hold, request.at);
    hold.endedBy = account.transfers.length + 1;
    return bookStep(account, hold, { ...request, type: "release" });
  });
}

function requireOpen(hold: Hold, at: number) {
  if (hold.endedBy !== null || hold.expiresAt <= at) throw new Mistake("TG012");
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
    const lapsed = returned.filter(({ source }) => source.endsAt <= request.at);
    const restored = returned.filter((draw) => !regrantLapsed || !lapsed.includes(draw));
    let regrant: Grant | null = null;
    if (regrantLapsed && lapsed.length > 0) {
      if (grantEndsAt <= request.at) throw new Mistake("TG001");
      regrant = {
        kind: "grant",
        tokens: total(lapsed),
        used: 0,
        endsAt: grantEndsAt,
        createdAt: request.at,
        refund: account.transfers.length + 1,
      };
      account.grants.push(regrant);
    }
    return book(account, {
      ...request,
      type: "refund",
      amount: tokens,
      tag: paid.tag,
      draws: restored.map(({ source, tokens }) => ({ source, tokens: -tokens })),
      refersTo: paid.number,
      countedAt: paid.countedAt,
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
  if (!earlier) return apply({ requestId, request, at: notBefore(account, at) });
  if (earlier.request !== request) throw new Mistake("TG006");
  return { ...account.answers[earlier.number - 1]!, replayed: true };
}

function bookStep(
  account: Account,
  hold: Hold,
  entry: Request & { type: "extension" | "release" },
): Answer {
  const { number, tag, expiresAt } = hold;
  const isOver = entry.type === "release";
  const holdExpiresAt = isOver ? null : expiresAt;
  return book(account, { ...entry, tag, refersTo: number, holdExpiresAt }, {
    sources: account.answers[number - 1]!.sources,
    hold: { hold, state: isOver ? "released" : "open", expiresAt },
  });
}

/** Takes the next number, draws on the sources, and answers what is then left. */
function book(
  account: Account,
  entry: Request & Pick<Transfer, "type"> & Partial<Transfer>,
  details: Partial<Answer> = {},
): Answer {
  const { at, tag = null, draws = [] } = entry;
  begin(account, draws);
  for (const { source, tokens } of draws) source.used += tokens;
  const transfer = {
    number: account.transfers.length + 1,
    amount: 0 - total(draws),
    tag,
    countedAt: at,
    draws,
    refersTo: null,
    holdExpiresAt: null,
    ...stateAt(account, at),
    ...entry,
  };
  account.transfers.push(transfer);
  const answer: Answer = {
    ...BLANK,
    ...stateAt(account, at),
    success: true,
    sources: withLeft(account, draws, at),
    nearest: nearest(limitsOf(account, tag).map((limit) => limitState(account, limit, at))),
    transferNumber: transfer.number,
    at,
    ...details,
  };
  account.answers.push(answer);
  return answer;
}

function withLeft(account: Account, draws: Draw[], at: number): Answer["sources"] {
  const { quotaLeft } = stateAt(account, at);
  return draws.map(({ source, tokens }) => {
    const left = source.kind === "grant" ? spendable(account, source, at) : quotaLeft;
    return { source, tokens: Math.abs(tokens), left: source.endsAt <= at ? 0 : left };
  });
}

/** The quota periods that are drawn on for the first time. */
function begin(account: Account, draws: Draw[]) {
  for (const { source } of draws) {
    if (source.kind === "quota" && !account.periods.includes(source)) account.periods.push(source);
  }
}

/** As if the transfers after the first so many had not been. */
function rollBack(account: Account, length: number) {
  for (const { number, draws } of account.transfers.splice(length)) {
    for (const { source, tokens } of draws) source.used -= tokens;
    for (const hold of account.holds) if (hold.endedBy === number) hold.endedBy = null;
  }
  account.answers.length = length;
  account.periods = account.periods.filter(({ begunBy }) => begunBy <= length);
}
