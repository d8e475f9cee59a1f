import { z } from "zod";
import { apiKeyHash } from "../../_shared/api_key.ts";
import { count, instant, limitState, userId } from "../fields.ts";
import { readParams, readQuery } from "../request.ts";
import type { Route } from "../route.ts";

const Params = z.strictObject({ user_id: userId });
const Query = z.strictObject({});

const Balance = z.strictObject({
  user_id: z.string(),
  plan: z.string().describe("Name of the user's plan."),
  plan_type: z.enum(["subscription", "pay_as_you_go"]),
  payment_status: z.enum(["active", "past_due", "canceled"]),
  tokens_left: count.describe(
    "What can be spent now, restrictions aside: quota and grants, without open holds.",
  ),
  tokens_held: count.describe("Tokens set aside in open holds."),
  tokens_settled: count.describe("What would be left without open holds: left and held together."),
  quota_amount: count.nullable().describe("Base quota per period; null if the plan has none."),
  quota_used: count.nullable().describe("Base quota used in the current period."),
  quota_held: count.nullable().describe("Base quota of the current period in open holds."),
  quota_left: count.describe("Base quota left; 0 while the payment is not active."),
  quota_resets_at: instant.nullable(),
  grants_left: count.describe("Tokens left in all grants in force."),
  restrictions: z.array(limitState),
  as_of: instant.describe("The instant this was true."),
}).meta({
  title: "Balance",
  examples: [{
    user_id: "user_123",
    plan: "Pro",
    plan_type: "subscription",
    payment_status: "active",
    tokens_left: 800,
    tokens_held: 100,
    tokens_settled: 900,
    quota_amount: 1000,
    quota_used: 500,
    quota_held: 100,
    quota_left: 400,
    quota_resets_at: "2030-02-01T00:00:00+00:00",
    grants_left: 400,
    restrictions: [{
      tag: "GPT-4",
      max_tokens: 2000,
      duration: "1 day",
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
  description: "The balance and the state of every restriction, exact at the instant `as_of`.",
  secured: true,
  params: Params,
  query: Query,
  answers: { 200: { description: "The balance.", schema: Balance } },
  errors: ["unknown_user"],
  async handle(c, database) {
    const keyHash = await apiKeyHash(c.req.raw.headers);
    const { user_id } = readParams(c, Params);
    readQuery(c, Query);
    return Response.json(
      await database.balance({ p_key_hash: keyHash, p_external_user_id: user_id }),
    );
  },
};
