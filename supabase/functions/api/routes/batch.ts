import { z } from "zod";
import { apiKeyHash } from "../../_shared/api_key.ts";
import { apiError } from "../../_shared/errors.ts";
import { replayedHeader, retryAfter, statusOfReason } from "../answer.ts";
import { allOrNothing, count } from "../fields.ts";
import { Denial, Receipt, receiptExample } from "../receipts.ts";
import { readBody, readQuery } from "../request.ts";
import type { Route } from "../route.ts";
import { ConsumeRequest } from "./consume.ts";

const MAX_ID_LENGTH = 255;

const itemsRule = { error: "must be a list of 1 to 1000 objects" };
const Query = z.strictObject({});
const Body = z.strictObject({
  items: z.array(z.strictObject(ConsumeRequest.shape, { error: "must be an object" }), itemsRule)
    .min(1, itemsRule).max(1000, itemsRule).describe(
      "1 to 1000 consumptions, decided in this order. Fields as in `POST /v1/consume`. An item " +
        "without a request_id gets the one of the call, a colon and its index, from 0.",
    ),
  all_or_nothing: allOrNothing,
}).meta({
  title: "BatchRequest",
  examples: [{
    items: [
      { user_id: "user_123", tokens_to_consume: 500, tag: "GPT-4" },
      { user_id: "user_456", tokens_to_consume: 300, mode: "up_to" },
    ],
  }],
});

const Refusal = Denial.extend({
  reason: z.enum([
    ...Denial.shape.reason.options,
    "unknown_tag",
    "unknown_user",
    "idempotency_mismatch",
    "batch_denied",
  ]).describe("Why this item was refused. For the last four nothing is looked up: left is null."),
  quota_left: Denial.shape.quota_left.nullable(),
  grants_left: Denial.shape.grants_left.nullable(),
  tokens_held: Denial.shape.tokens_held.nullable(),
});

const BatchResult = z.strictObject({
  results: z.array(z.discriminatedUnion("success", [Receipt, Refusal])).describe(
    "What each item would have been answered alone, in the order of the items.",
  ),
  applied: count.describe("How many of them were applied, now or before."),
  refused: count.describe("How many of them were not."),
}).meta({
  title: "BatchResult",
  examples: [{ results: [receiptExample], applied: 1, refused: 0 }],
});

const refused = (because: string) => ({
  description: `With all_or_nothing, nothing was applied: of the items that were refused, the ` +
    `first was so because ${because}.`,
  schema: BatchResult,
});

export const batch: Route = {
  operationId: "consumeBatch",
  summary: "Consume tokens many times in one call",
  description:
    "Up to 1000 consumptions of any users in one transaction, each by the rules of a single one. " +
    "The Idempotency-Key header is for the whole batch: sent again with the same items, it is " +
    "applied once. With all_or_nothing the status is the one that the first item at fault would " +
    "have had alone. The body may be 1 MiB long.",
  secured: true,
  query: Query,
  body: Body,
  maxBodyBytes: 1024 * 1024,
  answers: {
    200: {
      description: "Every item was decided; `Idempotent-Replayed` if all had been applied before.",
      schema: BatchResult,
      headers: ["Idempotent-Replayed"],
    },
    400: refused("its tag is unknown"),
    402: {
      ...refused("too few tokens are left, or the payment is not active"),
      headers: ["Retry-After"],
    },
    404: refused("its user is unknown"),
    422: refused("its request_id was applied with other parameters"),
    429: { ...refused("of a restriction of the plan"), headers: ["Retry-After"] },
  },
  errors: ["request_too_large"],
  async handle(c, database) {
    const keyHash = await apiKeyHash(c.req.raw.headers);
    readQuery(c, Query);
    const body = await readBody(c, Body);
    const items = body.items.map((item, index) => ({
      ...item,
      request_id: item.request_id ?? `${c.get("requestId")}:${index}`,
    }));
    if (items.some(({ request_id }) => request_id.length > MAX_ID_LENGTH)) {
      throw apiError(
        "invalid_request",
        "The Idempotency-Key header is too long for the ids of the items: the key, a colon and the index must be at most 255 characters.",
        "Send a shorter key, or a request_id with every item.",
      );
    }
    const results = await database.batch({
      p_key_hash: keyHash,
      p_items: items,
      p_all_or_nothing: body.all_or_nothing,
    });
    const applied = results.filter(({ success }) => success).length;
    const answer = { results, applied, refused: results.length - applied };
    const atFault = results.find(({ success, reason }) => !success && reason !== "batch_denied");
    if (body.all_or_nothing && atFault) {
      return Response.json(answer, {
        status: statusOfReason(atFault.reason),
        headers: retryAfter(atFault),
      });
    }
    const replayed = results.every(({ replayed }) => replayed);
    return Response.json(answer, { headers: replayedHeader({ replayed }) });
  },
};
