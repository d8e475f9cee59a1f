import { z } from "zod";
import { apiKeyHash } from "../../_shared/api_key.ts";
import { given } from "../../_shared/database.ts";
import {
  count,
  groupBy,
  instant,
  step,
  usageFrom,
  usageTag,
  usageTo,
  usageUser,
} from "../fields.ts";
import { readQuery } from "../request.ts";
import type { Route } from "../route.ts";

const Query = z.strictObject({
  from: usageFrom,
  to: usageTo,
  step,
  group_by: groupBy,
  user_id: usageUser,
  tag: usageTag,
});

const UsageGroup = z.strictObject({
  group: z.string().nullable().describe(
    "The tag, the user_id, the name of the API key, or `base_quota`, `grants`; `regranted`, below " +
      "0, is what was refunded as a new grant. Null: without a tag, or without an API key.",
  ),
  tokens_used: z.int(),
  calls: count.describe("Of a source: all calls of the step, since one call may draw on both."),
});

const UsageStep = z.strictObject({
  starts_at: instant,
  ends_at: instant.describe("When the next step begins."),
  tokens_used: count.describe("Tokens used, less what was refunded of them."),
  base_quota_used: count.describe("Those that base quotas paid."),
  grants_used: count.describe("Those that grants paid."),
  calls: count.describe("Consumptions and settlements."),
  groups: z.array(UsageGroup).nullable().describe(
    "With `group_by`: the same groups in every step. Without it null.",
  ),
});

const Usage = z.strictObject({
  data: z.array(UsageStep).describe("Every step from the oldest on, also those without usage."),
}).meta({
  title: "Usage",
  examples: [{
    data: [{
      starts_at: "2030-01-15T00:00:00+00:00",
      ends_at: "2030-01-16T00:00:00+00:00",
      tokens_used: 900,
      base_quota_used: 600,
      grants_used: 300,
      calls: 2,
      groups: [
        { group: "GPT-4", tokens_used: 500, calls: 1 },
        { group: null, tokens_used: 400, calls: 1 },
      ],
    }],
  }],
});

export const usage: Route = {
  operationId: "getUsage",
  summary: "Tokens used over time",
  description:
    "By hours, days, weeks or months of the calendar, of the whole project or of one user, from " +
    "running counters: a year by day does not read the year's transfers. What was held counts " +
    "when it was held, and what is refunded no longer counts when it was consumed.",
  secured: true,
  query: Query,
  answers: { 200: { description: "The usage.", schema: Usage } },
  errors: ["unknown_tag", "unknown_user"],
  async handle(c, database) {
    const keyHash = await apiKeyHash(c.req.raw.headers);
    const { from, to, step, group_by, user_id, tag } = readQuery(c, Query);
    const data = await database.usage({
      p_key_hash: keyHash,
      p_from: from,
      p_step: step,
      ...given({
        p_to: to,
        p_group_by: group_by,
        p_external_user_id: user_id,
        p_tag: tag,
      }),
    });
    return Response.json({ data });
  },
};
