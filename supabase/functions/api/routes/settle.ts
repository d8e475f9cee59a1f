import { z } from "zod";
import { apiKeyHash } from "../../_shared/api_key.ts";
import { given } from "../../_shared/database.ts";
import { answer, APPLIED_HEADERS, DENIED_HEADERS } from "../answer.ts";
import { allowExcess, count, metadata, requestId, settledTokens } from "../fields.ts";
import { HoldParams } from "../holds.ts";
import { applied, decided, denied, sources, tokensHeld, transferNumber } from "../receipts.ts";
import { readBody, readIds, readQuery } from "../request.ts";
import type { Route } from "../route.ts";

const Query = z.strictObject({});
const Body = z.strictObject({
  tokens: settledTokens,
  allow_excess: allowExcess,
  metadata,
  request_id: requestId,
}).meta({ title: "SettleRequest", examples: [{ tokens: 420 }] });

const settlement = {
  hold_id: z.string(),
  tokens_consumed: count.describe("Tokens charged in all."),
  tokens_returned: count.describe("Tokens that were held and not charged."),
  excess_consumed: count.describe("Tokens charged beyond the hold."),
  base_quota_used: count.describe("Tokens taken from the base quota."),
  grants_used: count.describe("Tokens taken from grants."),
  tokens_held: tokensHeld,
  sources: sources.describe("Who paid, in the order of use."),
  ...decided,
};

const Settlement = z.strictObject({
  ...applied,
  ...settlement,
  transfer_number: transferNumber,
  excess_transfer_number: count.nullable().describe(
    "The entry of the excess in the audit trail, which is one of its own; null without excess.",
  ),
}).meta({
  title: "Settlement",
  examples: [{
    success: true,
    hold_id: "hold_5d1c6a0e3f0b4b629d7f2f6f0c8f2a11_43",
    tokens_consumed: 420,
    tokens_returned: 80,
    excess_consumed: 0,
    base_quota_used: 420,
    grants_used: 0,
    message: "Settled 420 of 500 tokens",
    reason: null,
    hint: null,
    shortfall: 0,
    retry_at: null,
    user_id: "user_123",
    quota_left: 580,
    grants_left: 400,
    tokens_held: 0,
    sources: [{ type: "quota", tokens: 420, left: 580 }],
    nearest_limit: {
      tag: "GPT-4",
      tags: ["GPT-4"],
      max_tokens: 2000,
      duration: "1 day",
      window: "calendar",
      used: 420,
      held: 0,
      left: 1580,
      resets_at: "2030-01-16T00:00:00+00:00",
    },
    transfer_number: 44,
    excess_transfer_number: null,
    request_id: "8f14e45f-ceea-467f-a9b1-3c2d1e0f5a6b",
    replayed: false,
    created_at: "2030-01-15T10:31:00.123456+00:00",
  }],
});

const SettlementDenial = z.strictObject({
  ...denied,
  ...settlement,
  transfer_number: z.null(),
  excess_transfer_number: z.null(),
}).meta({
  title: "SettlementDenial",
  description: "Nothing was changed: the hold is open, and the same request_id may be tried again.",
  examples: [{
    success: false,
    hold_id: "hold_5d1c6a0e3f0b4b629d7f2f6f0c8f2a11_43",
    tokens_consumed: 0,
    tokens_returned: 0,
    excess_consumed: 0,
    base_quota_used: 0,
    grants_used: 0,
    message: "Not enough tokens: 600 requested, 500 left",
    reason: "insufficient_tokens",
    hint: "Grant what is lacking (100).",
    shortfall: 100,
    retry_at: null,
    user_id: "user_123",
    quota_left: 100,
    grants_left: 400,
    tokens_held: 500,
    sources: [],
    nearest_limit: null,
    transfer_number: null,
    excess_transfer_number: null,
    request_id: "8f14e45f-ceea-467f-a9b1-3c2d1e0f5a6b",
    replayed: false,
    created_at: "2030-01-15T10:31:00.123456+00:00",
  }],
});

export const settle: Route = {
  operationId: "settleHold",
  summary: "Charge what was really used of a hold",
  description:
    "Ends the hold: what was used is charged to the sources that were set aside, even those that " +
    "have expired since; the rest returns. Never denied, but for an excess that was allowed.",
  secured: true,
  params: HoldParams,
  query: Query,
  body: Body,
  answers: {
    200: {
      description: "The hold is settled, now or under this request_id before.",
      schema: Settlement,
      headers: APPLIED_HEADERS,
    },
    402: {
      description: "The excess was denied: too few tokens left, or the payment is not active.",
      schema: SettlementDenial,
      headers: DENIED_HEADERS,
    },
    429: {
      description: "The excess was denied by a restriction of the plan.",
      schema: SettlementDenial,
      headers: DENIED_HEADERS,
    },
  },
  errors: [
    "unknown_hold",
    "hold_not_open",
    "exceeds_hold",
    "idempotency_mismatch",
    "request_too_large",
  ],
  async handle(c, database) {
    const keyHash = await apiKeyHash(c.req.raw.headers);
    const { hold_id } = readIds(c, HoldParams, "unknown_hold");
    readQuery(c, Query);
    const body = await readBody(c, Body);
    return answer(
      await database.settle({
        p_key_hash: keyHash,
        p_hold_id: hold_id,
        p_tokens: body.tokens,
        p_allow_excess: body.allow_excess,
        p_request_id: c.get("requestId"),
        ...given({ p_metadata: body.metadata }),
      }),
    );
  },
};
