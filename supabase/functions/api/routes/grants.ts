import { z } from "zod";
import { apiKeyHash } from "../../_shared/api_key.ts";
import { given } from "../../_shared/database.ts";
import { replayedHeader } from "../answer.ts";
import {
  costBasis,
  costCurrency,
  count,
  effectiveAt,
  expiresAt,
  grantType,
  instant,
  metadata,
  priority,
  requestId,
  tags,
  tokens,
  userId,
} from "../fields.ts";
import { appliedOnce, grantsLeft, transferNumber } from "../receipts.ts";
import { readBody, readQuery } from "../request.ts";
import type { Route } from "../route.ts";

const Query = z.strictObject({});
const Body = z.strictObject({
  user_id: userId,
  tokens,
  grant_type: grantType,
  effective_at: effectiveAt,
  expires_at: expiresAt,
  priority,
  tags,
  cost_basis: costBasis,
  cost_currency: costCurrency,
  metadata,
  request_id: requestId,
}).refine(
  ({ cost_basis, cost_currency }) => (cost_basis == null) === (cost_currency == null),
  { path: ["cost_basis"], error: "and cost_currency must be given together, or neither" },
).meta({
  title: "GrantRequest",
  examples: [{
    user_id: "user_123",
    tokens: 1000,
    grant_type: "purchase",
    expires_at: "2030-12-31T23:59:59Z",
    cost_basis: 1999,
    cost_currency: "EUR",
    request_id: "order-7",
  }],
});

const Grant = z.strictObject({
  grant_id: z.uuid(),
  user_id: z.string(),
  tokens: count,
  grant_type: grantType,
  effective_at: instant.describe("From when on the tokens can be spent."),
  expires_at: instant.nullable().describe("Null: never."),
  priority: count,
  tags: z.array(z.string()).nullable().describe("Null: anything."),
  cost_basis: count.nullable(),
  cost_currency: z.string().nullable(),
  metadata: z.record(z.string(), z.unknown()).nullable(),
  grants_left: grantsLeft,
  transfer_number: transferNumber,
  ...appliedOnce,
}).meta({
  title: "Grant",
  examples: [{
    grant_id: "0198d7a4-6f3e-7c1a-9d52-3b8f2c64e1a7",
    user_id: "user_123",
    tokens: 1000,
    grant_type: "purchase",
    effective_at: "2030-01-15T10:30:00.123456+00:00",
    expires_at: "2030-12-31T23:59:59+00:00",
    priority: 50,
    tags: null,
    cost_basis: 1999,
    cost_currency: "EUR",
    metadata: null,
    grants_left: 1400,
    transfer_number: 43,
    request_id: "order-7",
    replayed: false,
    created_at: "2030-01-15T10:30:00.123456+00:00",
  }],
});

export const grants: Route = {
  operationId: "createGrant",
  summary: "Give tokens to a user",
  description:
    "Grants are spent after the base quota of a subscription: by priority, then in the order in " +
    "which they expire.",
  secured: true,
  query: Query,
  body: Body,
  answers: {
    201: {
      description: "The grant was made, now or under this request_id before.",
      schema: Grant,
      headers: ["Idempotent-Replayed"],
    },
  },
  errors: ["unknown_tag", "unknown_user", "idempotency_mismatch", "request_too_large"],
  async handle(c, database) {
    const keyHash = await apiKeyHash(c.req.raw.headers);
    readQuery(c, Query);
    const body = await readBody(c, Body);
    const grant = await database.grant({
      p_key_hash: keyHash,
      p_external_user_id: body.user_id,
      p_tokens: body.tokens,
      p_grant_type: body.grant_type,
      p_priority: body.priority,
      p_request_id: c.get("requestId"),
      ...given({
        p_effective_at: body.effective_at,
        p_expires_at: body.expires_at,
        p_tags: body.tags,
        p_cost_basis: body.cost_basis,
        p_cost_currency: body.cost_currency,
        p_metadata: body.metadata,
      }),
    });
    return Response.json(grant, { status: 201, headers: replayedHeader(grant) });
  },
};
