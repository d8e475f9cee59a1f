import { z } from "zod";
import { apiKeyHash } from "../../_shared/api_key.ts";
import { answer, APPLIED_HEADERS } from "../answer.ts";
import { requestId } from "../fields.ts";
import { Hold, HoldParams } from "../holds.ts";
import { readBody, readIds, readQuery } from "../request.ts";
import type { Route } from "../route.ts";

const Query = z.strictObject({});
const Body = z.strictObject({ request_id: requestId }).meta({
  title: "ReleaseRequest",
  examples: [{}],
});

export const release: Route = {
  operationId: "releaseHold",
  summary: "Give all tokens of a hold back",
  description: "Ends the hold: all of its tokens return to their sources.",
  secured: true,
  params: HoldParams,
  query: Query,
  body: Body,
  answers: {
    200: {
      description: "The hold is released, now or under this request_id before.",
      schema: Hold,
      headers: APPLIED_HEADERS,
    },
  },
  errors: ["unknown_hold", "hold_not_open", "idempotency_mismatch", "request_too_large"],
  async handle(c, database) {
    const keyHash = await apiKeyHash(c.req.raw.headers);
    const { hold_id } = readIds(c, HoldParams, "unknown_hold");
    readQuery(c, Query);
    await readBody(c, Body);
    return answer(
      await database.release({
        p_key_hash: keyHash,
        p_hold_id: hold_id,
        p_request_id: c.get("requestId"),
      }),
    );
  },
};
