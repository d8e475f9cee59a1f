import { z } from "zod";
import { apiKeyHash } from "../../_shared/api_key.ts";
import { given } from "../../_shared/database.ts";
import { replayedHeader } from "../answer.ts";
import {
  count,
  expiresAt,
  grantType,
  instant,
  metadata,
  requestId,
  tokens,
  userId,
} from "../fields.ts";
import { readBody, readQuery } from "../request.ts";
import type { Route } from "../route.ts";

const Query = z.strictObject({});
const Body = z.strictObject({
  user_id: userId,
  tokens,
  grant_type: grantType,
  expires_at: expiresAt,
  metadata,
  request_id: requestId,
}).meta({
  title: "GrantRequest",
  examples: [{
    user_id: "user_123",
    tokens: 1000,
    grant_type: "purchase",
    expires_at: "2030-12-31T23:59:59Z",
    request_id: "order-7",
  }],
});

const Grant = z.strictObject({
  grant_id: z.uuid(),
  user_id: z.string(),
  tokens: count,
  grant_type: grantType,
  expires_at: instant.nullable().describe("Null: never."),
  metadata: z.record(z.string(), z.unknown()).nullable(),
  grants_left: count.describe("Tokens left in all grants of the user in force."),
  transfer_number: count.describe("Its entry in the user's audit trail."),
  request_id: z.string().describe("Retry with this id: it is never applied twice."),
  replayed: z.boolean().describe("Whether the request_id had been applied before."),
  created_at: instant,
}).meta({
  title: "Grant",
  examples: [{
    grant_id: "0198d7a4-6f3e-7c1a-9d52-3b8f2c64e1a7",
    user_id: "user_123",
    tokens: 1000,
    grant_type: "purchase",
    expires_at: "2030-12-31T23:59:59+00:00",
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
    "Grants are used up in the order in which they expire, after the base quota of a subscription.",
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
  errors: ["unknown_user", "idempotency_mismatch", "request_too_large"],
  async handle(c, database) {
    const keyHash = await apiKeyHash(c.req.raw.headers);
    readQuery(c, Query);
    const body = await readBody(c, Body);
    const grant = await database.grant({
      p_key_hash: keyHash,
      p_external_user_id: body.user_id,
      p_tokens: body.tokens,
      p_grant_type: body.grant_type,
      p_request_id: c.get("requestId"),
      ...given({ p_expires_at: body.expires_at, p_metadata: body.metadata }),
    });
    return Response.json(grant, { status: 201, headers: replayedHeader(grant) });
  },
};
