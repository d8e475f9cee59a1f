import { z } from "zod";
import { apiKeyHash } from "../../_shared/api_key.ts";
import { given } from "../../_shared/database.ts";
import { replayedHeader } from "../answer.ts";
import {
  every,
  grantType,
  metadata,
  priority,
  recurringFrom,
  recurringUntil,
  requestId,
  tags,
  tokens,
  userId,
  validFor,
} from "../fields.ts";
import { RecurringGrant } from "../recurring_grants.ts";
import { readBody, readQuery } from "../request.ts";
import type { Route } from "../route.ts";

const Query = z.strictObject({});
const Body = z.strictObject({
  user_id: userId,
  tokens,
  grant_type: grantType,
  every,
  starts_at: recurringFrom,
  ends_at: recurringUntil,
  valid_for: validFor,
  priority,
  tags,
  metadata,
  request_id: requestId,
}).meta({
  title: "RecurringGrantRequest",
  examples: [{
    user_id: "user_123",
    tokens: 500,
    grant_type: "bonus",
    every: "1 week",
    valid_for: "1 month",
  }],
});

export const recurringGrants: Route = {
  operationId: "createRecurringGrant",
  summary: "Give tokens to a user again and again",
  description:
    "The tokens are given at `starts_at` and then every so often until `ends_at`, each time as a " +
    "grant of its own. They count from that instant on; the user's next call writes the grants " +
    "down, however long nobody called.",
  secured: true,
  query: Query,
  body: Body,
  answers: {
    201: {
      description: "The recurring grant was made, now or under this request_id before.",
      schema: RecurringGrant,
      headers: ["Idempotent-Replayed"],
    },
  },
  errors: ["unknown_tag", "unknown_user", "idempotency_mismatch", "request_too_large"],
  async handle(c, database) {
    const keyHash = await apiKeyHash(c.req.raw.headers);
    readQuery(c, Query);
    const body = await readBody(c, Body);
    const recurringGrant = await database.recurringGrant({
      p_key_hash: keyHash,
      p_external_user_id: body.user_id,
      p_tokens: body.tokens,
      p_grant_type: body.grant_type,
      p_every: body.every,
      p_priority: body.priority,
      p_request_id: c.get("requestId"),
      ...given({
        p_starts_at: body.starts_at,
        p_ends_at: body.ends_at,
        p_valid_for: body.valid_for,
        p_tags: body.tags,
        p_metadata: body.metadata,
      }),
    });
    return Response.json(recurringGrant, { status: 201, headers: replayedHeader(recurringGrant) });
  },
};
