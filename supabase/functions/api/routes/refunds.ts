import { z } from "zod";
import { apiKeyHash } from "../../_shared/api_key.ts";
import { given } from "../../_shared/database.ts";
import { replayedHeader } from "../answer.ts";
import {
  count,
  grantExpiresAt,
  metadata,
  originalRequestId,
  refundedTokens,
  regrantLapsed,
  requestId,
  transferNumber,
  userId,
} from "../fields.ts";
import { common, sources, tokensHeld, transferNumber as ownTransferNumber } from "../receipts.ts";
import { readBody, readQuery } from "../request.ts";
import type { Route } from "../route.ts";

const Query = z.strictObject({});
const Body = z.strictObject({
  user_id: userId,
  transfer_number: transferNumber,
  original_request_id: originalRequestId,
  tokens: refundedTokens,
  regrant_lapsed: regrantLapsed,
  grant_expires_at: grantExpiresAt,
  metadata,
  request_id: requestId,
}).refine(
  ({ transfer_number, original_request_id }) =>
    (transfer_number == null) !== (original_request_id == null),
  {
    path: ["transfer_number"],
    error: "or original_request_id must be given, and not both",
  },
).meta({
  title: "RefundRequest",
  examples: [{ user_id: "user_123", original_request_id: "chat-1", tokens: 100 }],
});

const Refund = z.strictObject({
  transfer_number: ownTransferNumber,
  refunded_transfer_number: count.describe("The consumption's entry in the audit trail."),
  tokens_refunded: count.describe("All tokens given back, lapsed ones included."),
  base_quota_restored: count.describe("Tokens given back to the base quota."),
  grants_restored: count.describe("Tokens given back to the grants that had paid."),
  tokens_lapsed: count.describe(
    "Tokens given back to sources that have expired since, and so cannot be spent.",
  ),
  tokens_regranted: count.describe("Tokens that became a new grant instead."),
  grant_id: z.uuid().nullable().describe("That new grant; null if there is none."),
  refundable_left: count.describe("Tokens of the consumption that can still be refunded."),
  tokens_held: tokensHeld,
  sources: sources.describe("Who got tokens back: the base quota, then grants."),
  ...common,
}).meta({
  title: "Refund",
  examples: [{
    transfer_number: 45,
    refunded_transfer_number: 42,
    tokens_refunded: 100,
    base_quota_restored: 0,
    grants_restored: 100,
    tokens_lapsed: 0,
    tokens_regranted: 0,
    grant_id: null,
    refundable_left: 400,
    message: "Refunded 100 tokens of transfer 42",
    user_id: "user_123",
    quota_left: 0,
    grants_left: 500,
    tokens_held: 0,
    sources: [{
      type: "grant",
      grant_id: "0198d7a4-6f3e-7c1a-9d52-3b8f2c64e1a7",
      tokens: 100,
      left: 500,
    }],
    request_id: "8f14e45f-ceea-467f-a9b1-3c2d1e0f5a6b",
    replayed: false,
    created_at: "2030-01-15T10:35:00.123456+00:00",
  }],
});

export const refunds: Route = {
  operationId: "createRefund",
  summary: "Give tokens of a consumption back",
  description:
    "The tokens return to the very sources that paid, the last one first, and no longer count in " +
    "the restrictions' windows in which they were consumed.",
  secured: true,
  query: Query,
  body: Body,
  answers: {
    201: {
      description: "The tokens were given back, now or under this request_id before.",
      schema: Refund,
      headers: ["Idempotent-Replayed"],
    },
  },
  errors: [
    "unknown_user",
    "unknown_transfer",
    "exceeds_refundable",
    "idempotency_mismatch",
    "request_too_large",
  ],
  async handle(c, database) {
    const keyHash = await apiKeyHash(c.req.raw.headers);
    readQuery(c, Query);
    const body = await readBody(c, Body);
    const refund = await database.refund({
      p_key_hash: keyHash,
      p_external_user_id: body.user_id,
      p_regrant_lapsed: body.regrant_lapsed,
      p_request_id: c.get("requestId"),
      ...given({
        p_transfer_number: body.transfer_number,
        p_original_request_id: body.original_request_id,
        p_tokens: body.tokens,
        p_grant_expires_at: body.grant_expires_at,
        p_metadata: body.metadata,
      }),
    });
    return Response.json(refund, { status: 201, headers: replayedHeader(refund) });
  },
};
