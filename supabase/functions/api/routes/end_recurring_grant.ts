import { z } from "zod";
import { apiKeyHash } from "../../_shared/api_key.ts";
import { replayedHeader } from "../answer.ts";
import { recurringGrantId, userId } from "../fields.ts";
import { RecurringGrant } from "../recurring_grants.ts";
import { readBody, readIds, readQuery } from "../request.ts";
import type { Route } from "../route.ts";

const Params = z.strictObject({ recurring_grant_id: recurringGrantId });
const Query = z.strictObject({});
const Body = z.strictObject({ user_id: userId }).meta({
  title: "EndRecurringGrantRequest",
  examples: [{ user_id: "user_123" }],
});

export const endRecurringGrant: Route = {
  operationId: "endRecurringGrant",
  summary: "Stop a recurring grant",
  description:
    "From now on there are no more grants of it; those that it made stay, and can be voided. " +
    "Repeated, or after it has ended by itself, it changes nothing.",
  secured: true,
  params: Params,
  query: Query,
  body: Body,
  answers: {
    200: {
      description: "The recurring grant has ended, now or before.",
      schema: RecurringGrant,
      headers: ["Idempotent-Replayed"],
    },
  },
  errors: ["unknown_user", "unknown_grant", "request_too_large"],
  async handle(c, database) {
    const keyHash = await apiKeyHash(c.req.raw.headers);
    const { recurring_grant_id } = readIds(c, Params, "unknown_grant");
    readQuery(c, Query);
    const { user_id } = await readBody(c, Body);
    const recurringGrant = await database.endRecurringGrant({
      p_key_hash: keyHash,
      p_external_user_id: user_id,
      p_recurring_grant_id: recurring_grant_id,
    });
    return Response.json(recurringGrant, { headers: replayedHeader(recurringGrant) });
  },
};
