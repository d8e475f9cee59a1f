// A random request, put to the model and to the database, and the model's answer in the words of the
// database.

import { expect } from "vitest";
import type { BatchItem, LimitState, Project, Source } from "../support/project.ts";
import * as model from "./model.ts";
import type { Consume, Request, Single } from "./random_requests.ts";

/** What all answers of the database have, or some of them. */
export interface Row {
  replayed: boolean;
  nearest_limit?: LimitState | null;
  hold_id?: string;
  grant_id?: string | null;
}

/** The database's ids of what the model knows as objects. */
export type Ids = Map<model.Grant | model.Hold, string>;

export function predict(
  request: Request,
  accounts: ReadonlyMap<string, model.Account>,
  at: number,
): model.Answer[] {
  if (request.kind === "batch") {
    const items = request.items.map((item) => ({ ...item, account: accounts.get(item.name)! }));
    return model.consumeBatch(items, { allOrNothing: request.allOrNothing, at });
  }
  const account = accounts.get(request.name)!;
  const call = { ...request, at };
  switch (call.kind) {
    case "consume":
      return [model.consume(account, call)];
    case "grant":
      return [model.grant(account, call)];
    case "hold":
      return [model.hold(account, call)];
    case "settle":
      return [model.settle(account, call.hold, call)];
    case "extend":
      return [model.extend(account, call.hold, call)];
    case "release":
      return [model.release(account, call.hold, call)];
    case "refund":
      return [model.refund(account, call.original, call)];
  }
}

export async function send(
  request: Request,
  project: Project,
  ids: Ids,
  when: { at: number; checkOnly: boolean },
): Promise<Row[]> {
  const at = iso(when.at);
  if (request.kind === "batch") {
    const { items, allOrNothing } = request;
    return project.consumeBatch(items.map(batchItem), { allOrNothing, at });
  }
  const user = project.unknownUser(request.name);
  const call = { at, ...(request.requestId && { requestId: request.requestId }) };
  switch (request.kind) {
    case "consume": {
      const { tokens, tag, mode } = request;
      const consumption = { ...call, ...(tag && { tag }), mode };
      return [
        when.checkOnly
          ? await user.check(tokens, consumption)
          : await user.consume(tokens, consumption),
      ];
    }
    case "grant": {
      const { tokens, endsAt } = request;
      return [
        await user.grant(tokens, { ...call, ...(endsAt < Infinity && { expiresAt: iso(endsAt) }) }),
      ];
    }
    case "hold": {
      const { tokens, tag, ttl } = request;
      return [await user.hold(tokens, { ...call, ...(tag && { tag }), ttl })];
    }
    case "settle": {
      const { hold, tokens, allowExcess } = request;
      return [await user.settle(holdId(hold), tokens, { ...call, allowExcess })];
    }
    case "extend":
      return [await user.extend(holdId(request.hold), request.ttl, call)];
    case "release":
      return [await user.release(holdId(request.hold), call)];
    case "refund": {
      const { original, tokens, regrantLapsed, grantEndsAt } = request;
      return [
        await user.refund(original, {
          ...call,
          ...(tokens !== null && { tokens }),
          regrantLapsed,
          ...(grantEndsAt < Infinity && { grantExpiresAt: iso(grantEndsAt) }),
        }),
      ];
    }
  }

  function holdId(hold: model.Hold | null): string {
    return hold ? ids.get(hold)! : `hold_${"0".repeat(32)}_1`;
  }
}

/** What a row must match. The nearest limit is apart, since it may be one of several. */
export function rowOf(request: Single, answer: model.Answer, ids: Ids): object {
  const { hold, settlement, refund } = answer;
  const paid = (kind: Source["type"]) =>
    model.total(answer.sources.filter(({ source }) => source.kind === kind));
  const left = {
    user_id: request.name,
    quota_left: answer.quotaLeft,
    tokens_held: answer.tokensHeld,
    sources: answer.sources.map(sourceOf),
  };
  const decision = {
    success: answer.success,
    reason: answer.reason,
    shortfall: answer.shortfall,
    retry_at: answer.retryAt && new Date(answer.retryAt),
  };
  const consumed = {
    tokens_consumed: model.total(answer.sources),
    base_quota_used: paid("quota"),
    grants_used: paid("grant"),
  };
  const row = {
    grants_left: answer.grantsLeft,
    transfer_number: answer.transferNumber,
    request_id: request.requestId,
    replayed: answer.replayed,
    created_at: answer.at === null ? expect.any(Date) : new Date(answer.at),
  };
  switch (request.kind) {
    case "grant":
      return row;
    case "consume":
      return { ...row, ...left, ...decision, ...consumed, tokens_requested: request.tokens };
    case "settle":
      return {
        ...row,
        ...left,
        ...decision,
        ...consumed,
        tokens_returned: settlement?.returned ?? 0,
        excess_consumed: settlement?.excess ?? 0,
        excess_transfer_number: settlement?.excessNumber ?? null,
      };
    case "refund":
      return {
        ...row,
        ...left,
        refunded_transfer_number: refund!.original,
        tokens_refunded: refund!.tokens,
        base_quota_restored: paid("quota"),
        grants_restored: paid("grant"),
        tokens_lapsed: refund!.lapsed,
        tokens_regranted: answer.grant?.tokens ?? 0,
        refundable_left: refund!.refundableLeft,
        sources: left.sources.toSorted((a, b) => b.type.localeCompare(a.type)),
      };
    default:
      return {
        ...row,
        ...left,
        ...decision,
        state: hold?.state ?? null,
        tokens_held: hold?.hold.tokens ?? 0,
        tag: hold?.hold.tag ?? null,
        expires_at: hold && new Date(hold.expiresAt),
      };
  }

  function sourceOf({ source, tokens, left }: model.Answer["sources"][number]): Source {
    if (source.kind === "quota") return { type: "quota", tokens, left };
    return { type: "grant", grant_id: ids.get(source)!, tokens, left };
  }
}

function batchItem({ name, tokens, tag, mode, requestId }: Consume): BatchItem {
  return {
    user_id: name,
    tokens_to_consume: tokens,
    mode,
    ...(tag && { tag }),
    ...(requestId && { request_id: requestId }),
  };
}

export function iso(instant: number): string {
  return new Date(instant).toISOString();
}
