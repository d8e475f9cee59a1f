// A random request, put to the model and to the database, and the model's answer in the words of the
// database.

import { randomUUID } from "node:crypto";
import { expect } from "vitest";
import type { BatchItem, LimitState, Project, Source } from "../support/project.ts";
import * as model from "./model.ts";
import type { Consume, Request, Single } from "./random_requests.ts";

/** What all answers of the database have, or some of them. */
export interface Row {
  replayed: boolean;
  nearest_limit?: LimitState | null;
  grant_id?: string | null;
}

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
    case "void":
      return [model.voidGrant(account, call.grant, call)];
    case "change":
      return [model.change(account, call)];
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
  when: { at: number; checkOnly: boolean },
): Promise<Row[]> {
  const at = iso(when.at);
  if (request.kind === "batch") {
    const { items, allOrNothing } = request;
    return project.consumeBatch(items.map(batchItem), { allOrNothing, at });
  }
  const { name } = request;
  const user = project.unknownUser(name);
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
      const { tokens, effectiveAt, endsAt, priority, tags } = request;
      return [
        await user.grant(tokens, {
          ...call,
          ...(effectiveAt !== null && { effectiveAt: iso(effectiveAt) }),
          ...(endsAt < Infinity && { expiresAt: iso(endsAt) }),
          priority,
          ...(tags && { tags }),
        }),
      ];
    }
    case "void":
      return [await user.voidGrant(request.grant?.id ?? randomUUID(), call)];
    case "change": {
      const { plan, payment, quotaOpenUntil, anchor, timeZone } = request;
      return [
        await user.change({
          ...call,
          when: request.when,
          quotaPolicy: request.policy,
          ...(plan && { plan: plan.name }),
          ...(payment && { paymentStatus: payment }),
          ...(quotaOpenUntil !== null && { quotaOpenUntil: iso(quotaOpenUntil) }),
          ...(anchor !== null && { billingAnchor: iso(anchor) }),
          ...(timeZone !== null && { timeZone }),
        }),
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

  function holdId(number: number | null): string {
    const id = userId(project.id, name).replaceAll("-", "");
    return number ? `hold_${id}_${number}` : `hold_${"0".repeat(32)}_1`;
  }
}

/** What a row must match. The nearest limit is apart, since it may be one of several. */
export function rowOf(request: Single, answer: model.Answer): object {
  const { hold, settlement, refund, settings } = answer;
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
      return { ...row, grant_id: answer.grant!.id };
    case "void":
      return {
        ...row,
        quota_left: answer.quotaLeft,
        tokens_held: answer.tokensHeld,
        tokens_voided: answer.voided,
      };
    case "change":
      return {
        ...row,
        quota_left: answer.quotaLeft,
        plan: settings!.plan.name,
        next_plan: settings!.next && settings!.next.plan.name,
        next_plan_at: dateOf(settings!.next && settings!.next.at),
        payment_status: settings!.payment,
        quota_open_until: dateOf(settings!.quotaOpenUntil),
        billing_anchor: new Date(settings!.anchor),
        time_zone: settings!.timeZone,
      };
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
    return { type: "grant", grant_id: source.id, tokens, left };
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

/** Null for never. */
export function dateOf(instant: number | null): Date | null {
  return instant === null || instant === Infinity ? null : new Date(instant);
}

export function userId(projectId: string, name: string): string {
  return model.computedId(model.uuidBytes(projectId), Buffer.from(name));
}
