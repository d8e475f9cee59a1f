import { z } from "zod";
import { count, instant, limitState } from "./fields.ts";

// What the answers of several routes have in common.

const left = count.describe("Tokens left in it just after.");
const source = z.discriminatedUnion("type", [
  z.strictObject({ type: z.literal("quota"), tokens: count, left }),
  z.strictObject({ type: z.literal("grant"), grant_id: z.uuid(), tokens: count, left }),
]);
export const sources = z.array(source);

/** Of every answer to what is applied once. */
export const appliedOnce = {
  request_id: z.string().describe("Retry with this id: it is never applied twice."),
  replayed: z.boolean().describe("Whether the request_id had been applied before."),
  created_at: instant,
};

export const quotaLeft = count.describe("Base quota left; 0 while the payment closes it.");
export const grantsLeft = count.describe("Tokens left in all grants in force.");

/** Of every answer about a user's tokens. */
export const common = {
  message: z.string().describe("For people."),
  user_id: z.string(),
  quota_left: quotaLeft,
  grants_left: grantsLeft,
  ...appliedOnce,
};

/** Of every answer that could have been a denial. */
export const decided = {
  ...common,
  nearest_limit: limitState.nullable().describe(
    "The restriction with the least left, as it is just after; null if none applies.",
  ),
};

export const tokensHeld = count.describe("Tokens of the user in all open holds just after.");
export const transferNumber = count.describe("Its entry in the user's audit trail.");

/** Of an answer that is no denial. */
export const applied = {
  success: z.literal(true),
  reason: z.null(),
  hint: z.null(),
  shortfall: z.literal(0),
  retry_at: z.null(),
};

/** Of a denial. */
export const denied = {
  success: z.literal(false),
  reason: z.enum(["insufficient_tokens", "payment_inactive", "restriction_exceeded"]),
  hint: z.string().describe("What would help."),
  shortfall: count.describe("How many tokens are lacking."),
  retry_at: instant.nullable().describe(
    "When the same call may succeed; null where waiting does not help.",
  ),
};

export const consumption = {
  tokens_requested: count.describe("Tokens asked for."),
  tokens_consumed: count.describe(
    "All of the tokens asked for; in mode `up_to` as many as there were; 0 if denied.",
  ),
  base_quota_used: count.describe("Tokens taken from the base quota."),
  grants_used: count.describe("Tokens taken from grants."),
  tokens_held: tokensHeld,
  sources: sources.describe("Who paid, in the order of use."),
};

export const receiptExample = {
  success: true,
  tokens_requested: 500,
  tokens_consumed: 500,
  base_quota_used: 200,
  grants_used: 300,
  message: "Consumed 500 tokens: 200 from base quota, 300 from grants",
  reason: null,
  hint: null,
  shortfall: 0,
  retry_at: null,
  user_id: "user_123",
  quota_left: 0,
  grants_left: 400,
  tokens_held: 0,
  sources: [
    { type: "quota", tokens: 200, left: 0 },
    {
      type: "grant",
      grant_id: "0198d7a4-6f3e-7c1a-9d52-3b8f2c64e1a7",
      tokens: 300,
      left: 400,
    },
  ],
  nearest_limit: {
    tag: "GPT-4",
    tags: ["GPT-4"],
    max_tokens: 2000,
    duration: "1 day",
    window: "calendar",
    used: 500,
    held: 0,
    left: 1500,
    resets_at: "2030-01-16T00:00:00+00:00",
  },
  transfer_number: 42,
  request_id: "8f14e45f-ceea-467f-a9b1-3c2d1e0f5a6b",
  replayed: false,
  created_at: "2030-01-15T10:30:00.123456+00:00",
};

export const Receipt = z.strictObject({
  ...applied,
  ...consumption,
  ...decided,
  transfer_number: transferNumber,
}).meta({ title: "Receipt", examples: [receiptExample] });

export const Denial = z.strictObject({
  ...denied,
  ...consumption,
  ...decided,
  transfer_number: z.null(),
}).meta({
  title: "Denial",
  description: "Nothing was changed: the same request_id may be tried again.",
  examples: [{
    success: false,
    tokens_requested: 500,
    tokens_consumed: 0,
    base_quota_used: 0,
    grants_used: 0,
    message: "Limit reached: 500 tokens requested, 100 of 2000 per day left for GPT-4",
    reason: "restriction_exceeded",
    hint: "Call again at retry_at, or raise the restriction.",
    shortfall: 400,
    retry_at: "2030-01-16T00:00:00+00:00",
    user_id: "user_123",
    quota_left: 0,
    grants_left: 400,
    tokens_held: 0,
    sources: [],
    nearest_limit: {
      tag: "GPT-4",
      tags: ["GPT-4"],
      max_tokens: 2000,
      duration: "1 day",
      window: "calendar",
      used: 1900,
      held: 0,
      left: 100,
      resets_at: "2030-01-16T00:00:00+00:00",
    },
    transfer_number: null,
    request_id: "8f14e45f-ceea-467f-a9b1-3c2d1e0f5a6b",
    replayed: false,
    created_at: "2030-01-15T10:30:00.123456+00:00",
  }],
});
