import { z } from "zod";
import { apiKeyHash } from "../../_shared/api_key.ts";
import { given } from "../../_shared/database.ts";
import { Constants } from "../../_shared/database.types.ts";
import { replayedHeader } from "../answer.ts";
import {
  billingAnchor,
  changeTime,
  instant,
  paymentStatus,
  plan,
  quotaOpenUntil,
  quotaPolicy,
  requestId,
  timeZone,
  userId,
} from "../fields.ts";
import { appliedOnce, grantsLeft, quotaLeft, transferNumber } from "../receipts.ts";
import { readBody, readParams, readQuery } from "../request.ts";
import type { Route } from "../route.ts";

const Params = z.strictObject({ user_id: userId });
const Query = z.strictObject({});
const Body = z.strictObject({
  plan,
  when: changeTime,
  quota_policy: quotaPolicy,
  payment_status: paymentStatus,
  quota_open_until: quotaOpenUntil,
  billing_anchor: billingAnchor,
  time_zone: timeZone,
  request_id: requestId,
}).refine(
  ({ plan, payment_status, quota_open_until, billing_anchor, time_zone }) =>
    [plan, payment_status, quota_open_until, billing_anchor, time_zone]
      .some((value) => value !== undefined),
  {
    path: ["plan"],
    error: "or payment_status, quota_open_until, billing_anchor or time_zone must be given",
  },
).meta({
  title: "UserChange",
  examples: [{ plan: "Pro", when: "now", quota_policy: "prorate" }],
});

const Account = z.strictObject({
  user_id: z.string(),
  plan: z.string().describe("Name of the user's plan."),
  next_plan: z.string().nullable().describe("The plan from `next_plan_at` on, by itself."),
  next_plan_at: instant.nullable(),
  payment_status: z.enum(Constants.public.Enums.payment_status),
  quota_open_until: instant.nullable().describe(
    "Until when `trial`, `past_due` or `canceled` leave the base quota open.",
  ),
  billing_anchor: instant,
  time_zone: z.string().nullable().describe("Null: the project's."),
  quota_left: quotaLeft,
  grants_left: grantsLeft,
  transfer_number: transferNumber,
  ...appliedOnce,
}).meta({
  title: "Account",
  examples: [{
    user_id: "user_123",
    plan: "Pro",
    next_plan: null,
    next_plan_at: null,
    payment_status: "active",
    quota_open_until: null,
    billing_anchor: "2030-01-01T00:00:00+00:00",
    time_zone: null,
    quota_left: 5600,
    grants_left: 400,
    transfer_number: 45,
    request_id: "8f14e45f-ceea-467f-a9b1-3c2d1e0f5a6b",
    replayed: false,
    created_at: "2030-01-15T10:45:00.123456+00:00",
  }],
});

export const changeUser: Route = {
  operationId: "changeUser",
  summary: "Change a user's plan, payment, billing anchor or time zone",
  description:
    "What is left out stays as it is. Every change is an entry of the audit trail, with what was " +
    "before and after. A plan that is given for now takes back one that was to come. An unknown " +
    "user is created, as by a first consumption, on the plan that is given or the project's " +
    "default plan.",
  secured: true,
  params: Params,
  query: Query,
  body: Body,
  answers: {
    200: {
      description: "The account as the change left it, now or under this request_id before.",
      schema: Account,
      headers: ["Idempotent-Replayed"],
    },
  },
  errors: ["unknown_user", "idempotency_mismatch", "request_too_large"],
  async handle(c, database) {
    const keyHash = await apiKeyHash(c.req.raw.headers);
    const { user_id } = readParams(c, Params);
    readQuery(c, Query);
    const body = await readBody(c, Body);
    const account = await database.changeUser({
      p_key_hash: keyHash,
      p_external_user_id: user_id,
      p_when: body.when,
      p_quota_policy: body.quota_policy,
      p_request_id: c.get("requestId"),
      ...given({
        p_plan: body.plan,
        p_payment_status: body.payment_status,
        p_quota_open_until: body.quota_open_until,
        p_billing_anchor: body.billing_anchor,
        // To SQL null says that it is left out.
        p_time_zone: body.time_zone === null ? "" : body.time_zone,
      }),
    });
    return Response.json(account, { headers: replayedHeader(account) });
  },
};
