import { z } from "zod";
import { apiKeyHash } from "../../_shared/api_key.ts";
import { given } from "../../_shared/database.ts";
import { Constants } from "../../_shared/database.types.ts";
import { asOf, count, instant, limitState, userId } from "../fields.ts";
import { grantsLeft, quotaLeft } from "../receipts.ts";
import { readParams, readQuery } from "../request.ts";
import type { Route } from "../route.ts";

const Params = z.strictObject({ user_id: userId });
const Query = z.strictObject({ as_of: asOf });

const { grant_type, payment_status, plan_type } = Constants.public.Enums;

const GrantState = z.strictObject({
  grant_id: z.uuid(),
  grant_type: z.enum(grant_type),
  tokens_left: count.describe("Tokens left in it, without open holds."),
  priority: count,
  effective_at: instant.describe("From when on they can be spent."),
  expires_at: instant.nullable().describe("Null: never."),
  tags: z.array(z.string()).nullable().describe(
    "The tags that they can be spent on; null: anything.",
  ),
});

const Balance = z.strictObject({
  user_id: z.string(),
  plan: z.string().describe("Name of the user's plan."),
  plan_type: z.enum(plan_type),
  next_plan: z.string().nullable().describe("The plan from `next_plan_at` on, by itself."),
  next_plan_at: instant.nullable(),
  payment_status: z.enum(payment_status),
  quota_open_until: instant.nullable().describe(
    "Until when `trial`, `past_due` or `canceled` leave the base quota open.",
  ),
  time_zone: z.string().describe("By whose clocks windows and periods begin."),
  tokens_left: count.describe(
    "What can be spent now, restrictions aside: quota and grants, without open holds.",
  ),
  tokens_held: count.describe("Tokens set aside in open holds."),
  tokens_settled: count.describe("What would be left without open holds: left and held together."),
  quota_amount: count.nullable().describe("Base quota per period; null if the plan has none."),
  quota_used: count.nullable().describe("Base quota used in the current period."),
  quota_held: count.nullable().describe("Base quota of the current period in open holds."),
  quota_left: quotaLeft,
  quota_resets_at: instant.nullable(),
  grants_left: grantsLeft,
  grants: z.array(GrantState).describe(
    "Grants that have not ended, in the order of use; also those that are not in force yet.",
  ),
  restrictions: z.array(limitState),
  as_of: instant.describe("The instant this was true."),
}).meta({
  title: "Balance",
  examples: [{
    user_id: "user_123",
    plan: "Pro",
    plan_type: "subscription",
    next_plan: "Basic",
    next_plan_at: "2030-02-01T00:00:00+00:00",
    payment_status: "active",
    quota_open_until: null,
    time_zone: "Europe/Paris",
    tokens_left: 800,
    tokens_held: 100,
    tokens_settled: 900,
    quota_amount: 1000,
    quota_used: 500,
    quota_held: 100,
    quota_left: 400,
    quota_resets_at: "2030-02-01T00:00:00+00:00",
    grants_left: 400,
    grants: [{
      grant_id: "0198d7a4-6f3e-7c1a-9d52-3b8f2c64e1a7",
      grant_type: "purchase",
      tokens_left: 400,
      priority: 50,
      effective_at: "2030-01-15T10:00:00.123456+00:00",
      expires_at: "2030-12-31T23:59:59+00:00",
      tags: null,
    }],
    restrictions: [{
      tag: "GPT-4",
      tags: ["GPT-4"],
      max_tokens: 2000,
      duration: "1 day",
      window: "calendar",
      used: 500,
      held: 100,
      left: 1400,
      resets_at: "2030-01-16T00:00:00+00:00",
    }],
    as_of: "2030-01-15T10:30:00.123456+00:00",
  }],
});

export const balance: Route = {
  operationId: "getBalance",
  summary: "What a user can spend",
  description:
    "The balance and the state of every restriction, exact at the instant `as_of`: now, or in the " +
    "past. Then the user's own plan, payment and zone are those of that instant, and quotas and " +
    "restrictions of plans those of today.",
  secured: true,
  params: Params,
  query: Query,
  answers: { 200: { description: "The balance.", schema: Balance } },
  errors: ["unknown_user"],
  async handle(c, database) {
    const keyHash = await apiKeyHash(c.req.raw.headers);
    const { user_id } = readParams(c, Params);
    const { as_of } = readQuery(c, Query);
    return Response.json(
      await database.balance({
        p_key_hash: keyHash,
        p_external_user_id: user_id,
        ...given({ p_as_of: as_of }),
      }),
    );
  },
};
