import { z } from "zod";
import { apiKeyHash } from "../../_shared/api_key.ts";
import { given } from "../../_shared/database.ts";
import { answer, APPLIED_HEADERS, DENIED_HEADERS } from "../answer.ts";
import { metadata, requestId, tag, tokens, ttlSeconds, userId } from "../fields.ts";
import { heldSources, Hold } from "../holds.ts";
import { decided, denied } from "../receipts.ts";
import { readBody, readQuery } from "../request.ts";
import type { Route } from "../route.ts";

const Query = z.strictObject({});
const Body = z.strictObject({
  user_id: userId,
  tokens,
  tag,
  ttl_seconds: ttlSeconds,
  metadata,
  request_id: requestId,
}).meta({
  title: "HoldRequest",
  examples: [{ user_id: "user_123", tokens: 500, tag: "GPT-4", ttl_seconds: 600 }],
});

const HoldDenial = z.strictObject({
  ...denied,
  reason: z.enum([...denied.reason.options, "too_many_holds"]),
  hold_id: z.null(),
  state: z.null(),
  tokens_held: z.literal(0),
  tag: z.null(),
  expires_at: z.null(),
  sources: heldSources,
  ...decided,
  transfer_number: z.null(),
}).meta({
  title: "HoldDenial",
  description: "Nothing was changed: the same request_id may be tried again.",
  examples: [{
    success: false,
    hold_id: null,
    state: null,
    tokens_held: 0,
    tag: null,
    expires_at: null,
    message: "Not enough tokens: 500 requested, 400 left",
    reason: "insufficient_tokens",
    hint: "Grant what is lacking (100), or call again at retry_at.",
    shortfall: 100,
    retry_at: "2030-02-01T00:00:00+00:00",
    user_id: "user_123",
    quota_left: 0,
    grants_left: 400,
    sources: [],
    nearest_limit: null,
    transfer_number: null,
    request_id: "8f14e45f-ceea-467f-a9b1-3c2d1e0f5a6b",
    replayed: false,
    created_at: "2030-01-15T10:30:00.123456+00:00",
  }],
});

export const hold: Route = {
  operationId: "createHold",
  summary: "Set tokens aside before the real amount is known",
  description:
    "Takes tokens from their sources by the rules of a consumption, for settling later: what is " +
    "then charged cannot be denied. What is not settled in time returns by itself.",
  secured: true,
  query: Query,
  body: Body,
  answers: {
    201: {
      description: "The tokens are held, now or under this request_id before.",
      schema: Hold,
      headers: APPLIED_HEADERS,
    },
    402: {
      description: "Denied: too few tokens left, or the payment is not active.",
      schema: HoldDenial,
      headers: DENIED_HEADERS,
    },
    429: {
      description: "Denied by a restriction of the plan, or because the user has 100 open holds.",
      schema: HoldDenial,
      headers: DENIED_HEADERS,
    },
  },
  errors: ["unknown_tag", "unknown_user", "idempotency_mismatch", "request_too_large"],
  async handle(c, database) {
    const keyHash = await apiKeyHash(c.req.raw.headers);
    readQuery(c, Query);
    const body = await readBody(c, Body);
    const outcome = await database.hold({
      p_key_hash: keyHash,
      p_external_user_id: body.user_id,
      p_tokens: body.tokens,
      p_ttl_seconds: body.ttl_seconds,
      p_request_id: c.get("requestId"),
      ...given({ p_tag: body.tag, p_metadata: body.metadata }),
    });
    return answer(outcome, 201);
  },
};
