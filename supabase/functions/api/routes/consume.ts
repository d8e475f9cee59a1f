import { z } from "zod";
import { apiKeyHash } from "../../_shared/api_key.ts";
import { given } from "../../_shared/database.ts";
import { count, instant, limitState, metadata, requestId, tag, tokens, userId } from "../fields.ts";
import { readBody, readQuery } from "../request.ts";
import type { Route } from "../route.ts";

const Query = z.strictObject({});
const Body = z.strictObject({
  user_id: userId,
  tokens_to_consume: tokens,
  tag,
  metadata,
  request_id: requestId,
}).meta({
  title: "ConsumeRequest",
  examples: [{ user_id: "user_123", tokens_to_consume: 500, tag: "GPT-4" }],
});

const Source = z.discriminatedUnion("type", [
  z.strictObject({ type: z.literal("quota"), tokens: count }),
  z.strictObject({ type: z.literal("grant"), grant_id: z.uuid(), tokens: count }),
]);

const receipt = {
  tokens_consumed: count.describe("All of the tokens asked for, or 0."),
  base_quota_used: count.describe("Tokens taken from the base quota."),
  grants_used: count.describe("Tokens taken from grants."),
  message: z.string().describe("For people."),
  user_id: z.string(),
  quota_left: count.describe("Base quota left; 0 while the payment is not active."),
  grants_left: count.describe("Tokens left in all grants in force."),
  sources: z.array(Source).describe("Who paid, in the order of use."),
  nearest_limit: limitState.nullable().describe("The restriction with the least left."),
  request_id: z.string().describe("Retry with this id: it is never applied twice."),
  replayed: z.boolean().describe("Whether the request_id had been applied before."),
  created_at: instant,
};

const Receipt = z.strictObject({
  success: z.literal(true),
  reason: z.null(),
  retry_at: z.null(),
  transfer_number: count.describe("Its entry in the user's audit trail."),
  ...receipt,
}).meta({
  title: "Receipt",
  examples: [{
    success: true,
    tokens_consumed: 500,
    base_quota_used: 200,
    grants_used: 300,
    message: "Consumed 500 tokens: 200 from base quota, 300 from grants",
    reason: null,
    retry_at: null,
    user_id: "user_123",
    quota_left: 0,
    grants_left: 400,
    sources: [
      { type: "quota", tokens: 200 },
      { type: "grant", grant_id: "0198d7a4-6f3e-7c1a-9d52-3b8f2c64e1a7", tokens: 300 },
    ],
    nearest_limit: {
      tag: "GPT-4",
      max_tokens: 2000,
      duration: "1 day",
      used: 500,
      left: 1500,
      resets_at: "2030-01-16T00:00:00+00:00",
    },
    transfer_number: 42,
    request_id: "8f14e45f-ceea-467f-a9b1-3c2d1e0f5a6b",
    replayed: false,
    created_at: "2030-01-15T10:30:00.123456+00:00",
  }],
});

const Denial = z.strictObject({
  success: z.literal(false),
  reason: z.enum(["insufficient_tokens", "payment_inactive", "restriction_exceeded"]),
  retry_at: instant.nullable().describe(
    "When the same call may succeed; null where waiting does not help.",
  ),
  transfer_number: z.null(),
  ...receipt,
}).meta({
  title: "Denial",
  description: "Nothing was changed: the same request_id may be tried again.",
  examples: [{
    success: false,
    tokens_consumed: 0,
    base_quota_used: 0,
    grants_used: 0,
    message: "Limit reached: 500 tokens requested, 100 of 2000 per day left for GPT-4",
    reason: "restriction_exceeded",
    retry_at: "2030-01-16T00:00:00+00:00",
    user_id: "user_123",
    quota_left: 0,
    grants_left: 400,
    sources: [],
    nearest_limit: {
      tag: "GPT-4",
      max_tokens: 2000,
      duration: "1 day",
      used: 1900,
      left: 100,
      resets_at: "2030-01-16T00:00:00+00:00",
    },
    transfer_number: null,
    request_id: "8f14e45f-ceea-467f-a9b1-3c2d1e0f5a6b",
    replayed: false,
    created_at: "2030-01-15T10:30:00.123456+00:00",
  }],
});

export const consume: Route = {
  operationId: "consume",
  summary: "Consume tokens",
  description:
    "Checks restrictions, takes the tokens from the base quota and then from grants, and writes " +
    "the audit trail, in one transaction: all of the tokens, or none.",
  secured: true,
  query: Query,
  body: Body,
  answers: {
    200: {
      description: "The tokens were consumed, now or under this request_id before.",
      schema: Receipt,
    },
    402: {
      description: "Denied: too few tokens left, or the payment is not active.",
      schema: Denial,
    },
    429: {
      description: "Denied by a restriction of the plan.",
      schema: Denial,
      headers: ["Retry-After"],
    },
  },
  errors: ["unknown_tag", "unknown_user", "request_id_conflict", "request_too_large"],
  async handle(c, database) {
    const keyHash = await apiKeyHash(c.req.raw.headers);
    readQuery(c, Query);
    const body = await readBody(c, Body);
    const receipt = await database.consume({
      p_key_hash: keyHash,
      p_external_user_id: body.user_id,
      p_tokens: body.tokens_to_consume,
      p_request_id: c.get("requestId"),
      ...given({ p_tag: body.tag, p_metadata: body.metadata }),
    });
    if (receipt.success) return Response.json(receipt);
    if (receipt.reason !== "restriction_exceeded") return Response.json(receipt, { status: 402 });
    return Response.json(receipt, { status: 429, headers: retryAfter(receipt) });
  },
};

/** Whole seconds, rounded up, so that a caller who waits them is not too early. */
export function retryAfter(
  { retry_at, created_at }: { retry_at: string | null; created_at: string },
): Record<string, string> {
  if (retry_at === null) return {};
  const seconds = Math.ceil((Date.parse(retry_at) - Date.parse(created_at)) / 1000);
  return { "retry-after": String(Math.max(1, seconds)) };
}
