import { z } from "zod";
import { apiKeyHash } from "../../_shared/api_key.ts";
import { given } from "../../_shared/database.ts";
import { Constants } from "../../_shared/database.types.ts";
import { count, cursor, instant, limit, userId } from "../fields.ts";
import { readParams, readQuery } from "../request.ts";
import type { Route } from "../route.ts";

const Params = z.strictObject({ user_id: userId });
const Query = z.strictObject({ limit, cursor });

const Transfer = z.strictObject({
  transfer_number: count.describe("Gapless number of the user's transfers, from 1."),
  amount: z.int().describe(
    "Tokens: positive for a grant or refund, negative for a consumption or void, 0 for a step of a " +
      "hold or a change of the account.",
  ),
  transaction_type: z.enum(Constants.public.Enums.transaction_type),
  tag: z.string().nullable(),
  base_quota_used: z.int().describe("Tokens taken from the base quota; negative: given back."),
  grants_used: z.int().describe("Tokens taken from grants; negative: given back."),
  quota_left: count.describe("Base quota left just after."),
  grants_left: count.describe("Tokens left in grants just after."),
  tokens_held: count.describe("Tokens in open holds just after."),
  grant_id: z.uuid().nullable().describe("The grant given or voided, if any."),
  refers_to: count.nullable().describe(
    "The transfer of the hold that this settles, extends or releases, or of the consumption that " +
      "it refunds; else null.",
  ),
  request_id: z.string().nullable(),
  metadata: z.record(z.string(), z.unknown()).nullable().describe(
    "Your own; of a change of the account, what was `before` and `after`.",
  ),
  created_at: instant,
});

const TransferPage = z.strictObject({
  data: z.array(Transfer).describe("Newest first."),
  next_cursor: z.string().nullable().describe(
    "Pass it as `cursor` for older ones; null at the end.",
  ),
}).meta({
  title: "TransferPage",
  examples: [{
    data: [{
      transfer_number: 42,
      amount: -500,
      transaction_type: "consumption",
      tag: "GPT-4",
      base_quota_used: 200,
      grants_used: 300,
      quota_left: 0,
      grants_left: 400,
      tokens_held: 0,
      grant_id: null,
      refers_to: null,
      request_id: "order-7",
      metadata: { conversation: "c_1" },
      created_at: "2030-01-15T10:30:00.123456+00:00",
    }],
    next_cursor: "42",
  }],
});

export const transfers: Route = {
  operationId: "listTransfers",
  summary: "The audit trail of a user",
  description:
    "Every grant, void, consumption, step of a hold, refund and change of the account, newest " +
    "first, a page at a time.",
  secured: true,
  params: Params,
  query: Query,
  answers: { 200: { description: "A page of transfers.", schema: TransferPage } },
  errors: ["unknown_user"],
  async handle(c, database) {
    const keyHash = await apiKeyHash(c.req.raw.headers);
    const { user_id } = readParams(c, Params);
    const { limit, cursor } = readQuery(c, Query);
    // One row more than asked for tells whether there is a next page.
    const rows = await database.transfers({
      p_key_hash: keyHash,
      p_external_user_id: user_id,
      p_limit: limit + 1,
      ...given({ p_before: cursor }),
    });
    const data = rows.slice(0, limit);
    const last = rows.length > limit ? data.at(-1) : undefined;
    return Response.json({ data, next_cursor: last ? String(last.transfer_number) : null });
  },
};
