import { z } from "zod";
import { apiKeyHash } from "../../_shared/api_key.ts";
import { answer, APPLIED_HEADERS } from "../answer.ts";
import { requestId, ttlSeconds } from "../fields.ts";
import { Hold, HoldParams } from "../holds.ts";
import { readBody, readIds, readQuery } from "../request.ts";
import type { Route } from "../route.ts";

const Query = z.strictObject({});
const Body = z.strictObject({ ttl_seconds: ttlSeconds, request_id: requestId }).meta({
  title: "ExtendRequest",
  examples: [{ ttl_seconds: 3600 }],
});

export const extend: Route = {
  operationId: "extendHold",
  summary: "Hold tokens for longer",
  description: "The hold lasts until so many seconds from now; it is never shortened.",
  secured: true,
  params: HoldParams,
  query: Query,
  body: Body,
  answers: { 200: { description: "The hold.", schema: Hold, headers: APPLIED_HEADERS } },
  errors: ["unknown_hold", "hold_not_open", "idempotency_mismatch", "request_too_large"],
  async handle(c, database) {
    const keyHash = await apiKeyHash(c.req.raw.headers);
    const { hold_id } = readIds(c, HoldParams, "unknown_hold");
    readQuery(c, Query);
    const { ttl_seconds } = await readBody(c, Body);
    return answer(
      await database.extend({
        p_key_hash: keyHash,
        p_hold_id: hold_id,
        p_ttl_seconds: ttl_seconds,
        p_request_id: c.get("requestId"),
      }),
    );
  },
};
