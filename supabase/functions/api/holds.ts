import { z } from "zod";
import { count, holdId, instant } from "./fields.ts";
import { applied, decided, sources, transferNumber } from "./receipts.ts";

// What the routes of holds have in common.

export const HoldParams = z.strictObject({ hold_id: holdId });

export const heldSources = sources.describe("Who would pay, in the order of use.");

export const Hold = z.strictObject({
  ...applied,
  hold_id: z.string().describe("Settle, extend or release the hold by this id."),
  state: z.enum(["open", "released"]).describe("The state just after."),
  tokens_held: count.describe("Tokens of this hold."),
  tag: z.string().nullable(),
  expires_at: instant.describe("When the tokens return to their sources by themselves."),
  sources: heldSources,
  ...decided,
  transfer_number: transferNumber,
}).meta({
  title: "Hold",
  examples: [{
    success: true,
    hold_id: "hold_5d1c6a0e3f0b4b629d7f2f6f0c8f2a11_43",
    state: "open",
    tokens_held: 500,
    tag: "GPT-4",
    expires_at: "2030-01-15T10:40:00.123456+00:00",
    message: "Holding 500 tokens",
    reason: null,
    hint: null,
    shortfall: 0,
    retry_at: null,
    user_id: "user_123",
    quota_left: 500,
    grants_left: 400,
    sources: [{ type: "quota", tokens: 500, left: 500 }],
    nearest_limit: {
      tag: "GPT-4",
      tags: ["GPT-4"],
      max_tokens: 2000,
      duration: "1 day",
      window: "calendar",
      used: 0,
      held: 500,
      left: 1500,
      resets_at: "2030-01-16T00:00:00+00:00",
    },
    transfer_number: 43,
    request_id: "8f14e45f-ceea-467f-a9b1-3c2d1e0f5a6b",
    replayed: false,
    created_at: "2030-01-15T10:30:00.123456+00:00",
  }],
});
