import type { Outcome } from "../_shared/database.ts";
import { type ErrorCode, errorKinds } from "../_shared/errors.ts";
import { rateLimitHeaders, secondsBetween } from "./rate_limit.ts";
import type { AnswerHeader } from "./route.ts";

// From what the database says to the answer over HTTP.

/** What may be on an answer to a call that was not denied, and on one that was. */
export const APPLIED_HEADERS: readonly AnswerHeader[] = [
  "RateLimit",
  "RateLimit-Policy",
  "Idempotent-Replayed",
];
export const DENIED_HEADERS: readonly AnswerHeader[] = [
  "RateLimit",
  "RateLimit-Policy",
  "Retry-After",
];

const STATUS_OF_DENIAL: Record<string, number> = {
  insufficient_tokens: 402,
  payment_inactive: 402,
  restriction_exceeded: 429,
  too_many_holds: 429,
};

/** The answer to a call that may be denied; a replay has the status of the first answer. */
export function answer(outcome: Outcome, status: 200 | 201 = 200): Response {
  return Response.json(outcome, {
    status: outcome.success ? status : statusOfReason(outcome.reason),
    headers: { ...rateLimitHeaders(outcome), ...retryAfter(outcome), ...replayedHeader(outcome) },
  });
}

/** Items of a batch are refused for what would be an error of a single call, too. */
export function statusOfReason(reason: string | null): number {
  return STATUS_OF_DENIAL[reason ?? ""] ?? errorKinds[reason as ErrorCode].status;
}

export function retryAfter(
  { retry_at, created_at }: Pick<Outcome, "retry_at" | "created_at">,
): Record<string, string> {
  if (retry_at === null) return {};
  return { "retry-after": String(Math.max(1, secondsBetween(created_at, retry_at))) };
}

export function replayedHeader(
  { replayed }: { replayed: boolean | null },
): Record<string, string> {
  return replayed ? { "idempotent-replayed": "true" } : {};
}
