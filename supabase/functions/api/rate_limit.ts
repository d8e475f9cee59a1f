import type { Outcome } from "../_shared/database.ts";

const SECONDS = { "1 hour": 3600, "1 day": 86_400, "1 week": 604_800, "1 month": undefined };

/** Integers of structured fields (RFC 9651) have at most 15 digits. */
const MAX_INTEGER = 999_999_999_999_999;

/**
 * The nearest restriction in the words of draft-ietf-httpapi-ratelimit-headers-10. Nothing for a
 * replay: its receipt tells what was left then, these headers would say it of now.
 */
export function rateLimitHeaders(
  { nearest_limit, replayed, created_at }: Pick<
    Outcome,
    "nearest_limit" | "replayed" | "created_at"
  >,
): Record<string, string> {
  if (nearest_limit === null || replayed) return {};
  const { tag, max_tokens, duration, left, resets_at } = nearest_limit;
  // Quotes and backslashes, which a structured string would have to escape, are encoded as well.
  const name = duration.slice(2) + (tag === null ? "" : `-${encodeURIComponent(tag)}`);
  const quota = Math.min(max_tokens, MAX_INTEGER);
  const window = SECONDS[duration] ? `;w=${SECONDS[duration]}` : "";
  return {
    "ratelimit-policy": `"${name}";q=${quota};qu="tokens"${window}`,
    "ratelimit": `"${name}";r=${Math.min(left, MAX_INTEGER)};t=${
      Math.max(0, secondsBetween(created_at, resets_at))
    }`,
  };
}

/** Whole seconds, rounded up, so that a caller who waits them is not too early. */
export function secondsBetween(from: string, to: string): number {
  return Math.ceil((Date.parse(to) - Date.parse(from)) / 1000);
}
