import { z } from "zod";
import { apiKeyHash } from "../../_shared/api_key.ts";
import { given, type TollgateDatabase } from "../../_shared/database.ts";
import { answer, APPLIED_HEADERS, DENIED_HEADERS } from "../answer.ts";
import { metadata, mode, requestId, tag, tokens, userId } from "../fields.ts";
import { Denial, Receipt } from "../receipts.ts";
import { readBody, readQuery } from "../request.ts";
import type { AppContext, Route } from "../route.ts";

const Query = z.strictObject({});
export const ConsumeRequest = z.strictObject({
  user_id: userId,
  tokens_to_consume: tokens,
  tag,
  metadata,
  request_id: requestId,
  mode,
}).meta({
  title: "ConsumeRequest",
  examples: [{ user_id: "user_123", tokens_to_consume: 500, tag: "GPT-4" }],
});

export const consume: Route = {
  operationId: "consume",
  summary: "Consume tokens",
  description:
    "Checks restrictions, takes the tokens from the base quota and then from grants, and writes " +
    "the audit trail, in one transaction: all of the tokens, or none; or with `mode: up_to` as " +
    "many as there are.",
  secured: true,
  query: Query,
  body: ConsumeRequest,
  answers: {
    200: {
      description: "The tokens were consumed, now or under this request_id before.",
      schema: Receipt,
      headers: APPLIED_HEADERS,
    },
    402: {
      description: "Denied: too few tokens left, or the payment is not active.",
      schema: Denial,
      headers: DENIED_HEADERS,
    },
    429: {
      description: "Denied by a restriction of the plan.",
      schema: Denial,
      headers: DENIED_HEADERS,
    },
  },
  errors: ["unknown_tag", "unknown_user", "idempotency_mismatch", "request_too_large"],
  handle: (c, database) => decide(c, database.consume),
};

/** A consumption and a check of it differ in the function that they call, and in nothing else. */
export async function decide(c: AppContext, call: TollgateDatabase["consume"]): Promise<Response> {
  const keyHash = await apiKeyHash(c.req.raw.headers);
  readQuery(c, Query);
  const body = await readBody(c, ConsumeRequest);
  return answer(
    await call({
      p_key_hash: keyHash,
      p_external_user_id: body.user_id,
      p_tokens: body.tokens_to_consume,
      p_request_id: c.get("requestId"),
      p_mode: body.mode,
      ...given({ p_tag: body.tag, p_metadata: body.metadata }),
    }),
  );
}
