import { apiError } from "./errors.ts";

// tg_live_ + 40 hex digits (160 random bits) + 8 hex digits of checksum. The checksum catches a
// mistyped or truncated key here, before it costs a database call; it is no proof of validity.
const KEY_PATTERN = /^(tg_live_[0-9a-f]{40})([0-9a-f]{8})$/;
const KEY_SHAPE = "A key is tg_live_ followed by 48 hex digits, 56 characters in all.";

/**
 * Finds the caller's API key in the headers and returns the SHA-256 that the database knows it by,
 * as a bytea literal. Throws 401 without touching the database if there is no well-formed key.
 */
export async function apiKeyHash(headers: Headers): Promise<string> {
  const key = findApiKey(headers);
  const [, payload, checksum] = KEY_PATTERN.exec(key) ?? [];
  if (payload === undefined || checksum === undefined) {
    throw apiError("invalid_api_key", "The API key is malformed.", KEY_SHAPE);
  }
  if (!(await sha256(payload)).startsWith(checksum)) {
    throw apiError(
      "invalid_api_key",
      "The API key has a typo: its checksum does not match.",
      `${KEY_SHAPE} Copy it again, whole.`,
    );
  }
  return `\\x${await sha256(key)}`;
}

function findApiKey(headers: Headers): string {
  const direct = headers.get("x-api-key");
  const authorization = headers.get("authorization");
  const bearer = authorization && /^bearer +(\S+)$/i.exec(authorization)?.[1];
  if (!direct) {
    if (bearer?.startsWith("tg_")) return bearer;
    if (!authorization) throw apiError("missing_api_key");
    throw apiError("invalid_api_key", "The Authorization header holds no Tollgate API key.");
  }
  // supabase.functions.invoke() puts a JWT into Authorization: only a second API key conflicts.
  if (bearer?.startsWith("tg_") && bearer !== direct) {
    throw apiError(
      "invalid_api_key",
      "Authorization and x-api-key hold different API keys.",
      "Send the key in one of the two headers.",
    );
  }
  return direct;
}

async function sha256(text: string): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
  return Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
