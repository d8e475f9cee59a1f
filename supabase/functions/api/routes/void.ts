import { z } from "zod";
import { apiKeyHash } from "../../_shared/api_key.ts";
import { given } from "../../_shared/database.ts";
import { replayedHeader } from "../answer.ts";
import { count, grantId, metadata, requestId, userId } from "../fields.ts";
import { common, tokensHeld, transferNumber } from "../receipts.ts";
import { readBody, readIds, readQuery } from "../request.ts";
import type { Route } from "../route.ts";

const Params = z.strictObject({ grant_id: grantId });
const Query = z.strictObject({});
const Body = z.strictObject({ user_id: userId, metadata, request_id: requestId }).meta({
  title: "VoidRequest",
  examples: [{ user_id: "user_123", metadata: { reason: "chargeback" } }],
});

const Void = z.strictObject({
  grant_id: z.uuid(),
  tokens_voided: count.describe("What was left of the grant, and now is gone."),
  tokens_held: tokensHeld.describe(
    "Tokens of the user in all open holds: those of this grant may still be settled.",
  ),
  transfer_number: transferNumber,
  ...common,
}).meta({
  title: "Void",
  examples: [{
    grant_id: "0198d7a4-6f3e-7c1a-9d52-3b8f2c64e1a7",
    user_id: "user_123",
    tokens_voided: 400,
    tokens_held: 0,
    message: "Voided 400 tokens",
    quota_left: 500,
    grants_left: 0,
    transfer_number: 44,
    request_id: "8f14e45f-ceea-467f-a9b1-3c2d1e0f5a6b",
    replayed: false,
    created_at: "2030-01-15T10:40:00.123456+00:00",
  }],
});

export const voidGrant: Route = {
  operationId: "voidGrant",
  summary: "End a grant",
  description:
    "What is left of the grant is gone, what was spent stays spent, and what is held may still be " +
    "settled.",
  secured: true,
  params: Params,
  query: Query,
  body: Body,
  answers: {
    200: {
      description: "The grant is void, now or under this request_id before.",
      schema: Void,
      headers: ["Idempotent-Replayed"],
    },
  },
  errors: [
    "unknown_user",
    "unknown_grant",
    "grant_ended",
    "idempotency_mismatch",
    "request_too_large",
  ],
  async handle(c, database) {
    const keyHash = await apiKeyHash(c.req.raw.headers);
    const { grant_id } = readIds(c, Params, "unknown_grant");
    readQuery(c, Query);
    const { user_id, metadata } = await readBody(c, Body);
    const receipt = await database.voidGrant({
      p_key_hash: keyHash,
      p_external_user_id: user_id,
      p_grant_id: grant_id,
      p_request_id: c.get("requestId"),
      ...given({ p_metadata: metadata }),
    });
    return Response.json(receipt, { headers: replayedHeader(receipt) });
  },
};
