import type { Outcome } from "../_shared/database.ts";

/** A month has no fixed length. */
const SECONDS = new Map([["hour", 3600], ["day", 86_400], ["week", 604_800]]);

/** Integers of structured fields (RFC 9651) have at most 15 digits. */
const MAX_INTEGER = 999_999_999_999_999;

/** Any one tag fits into it; of a hundred tags that share a limit the last may not. */
const MAX_NAME_LENGTH = 2000;

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
  const { tags, max_tokens, duration, window, left, resets_at } = nearest_limit;
  const [count = "", units = ""] = duration.split(" ");
  const unit = units.replace(/s$/, "");
  const seconds = SECONDS.get(unit);
  const name = [
    ...(window === "rolling" ? [window] : []),
    ...(count === "1" ? [unit] : [count, `${unit}s`]),
    // Quotes and backslashes, which a structured string would have to escape, are encoded as well.
    ...(tags ? [tags.map(encodeURIComponent).join(",")] : []),
  ].join("-").slice(0, MAX_NAME_LENGTH);
  const quota = Math.min(max_tokens, MAX_INTEGER);
  const length = seconds ? `;w=${Number(count) * seconds}` : "";
  return {
    "ratelimit-policy": `"${name}";q=${quota};qu="tokens"${length}`,
    "ratelimit": `"${name}";r=${Math.min(left, MAX_INTEGER)};t=${
      Math.max(0, secondsBetween(created_at, resets_at))
    }`,
  };
}

/** Whole seconds, rounded up, so that a caller who waits them is not too early. */
export function secondsBetween(from: string, to: string): number {
  return Math.ceil((Date.parse(to) - Date.parse(from)) / 1000);
}
