import { z } from "zod";
import { Constants } from "../_shared/database.types.ts";
import { count, every, grantType, instant } from "./fields.ts";
import { appliedOnce } from "./receipts.ts";

export const RecurringGrant = z.strictObject({
  recurring_grant_id: z.uuid().describe("End it by this id."),
  user_id: z.string(),
  tokens: count.describe("Tokens each time."),
  grant_type: grantType,
  every,
  starts_at: instant.describe("The first time."),
  ends_at: instant.nullable().describe("From when on there are no more; null: without end."),
  valid_for: z.enum(Constants.public.Enums.period).nullable().describe("Null: for ever."),
  priority: count,
  tags: z.array(z.string()).nullable().describe("Null: anything."),
  metadata: z.record(z.string(), z.unknown()).nullable(),
  ...appliedOnce,
  request_id: z.string().nullable().describe(
    "That of the call that made it; null if it was made by hand without one.",
  ),
  replayed: z.boolean().describe("Whether it had been made, or ended, before."),
}).meta({
  title: "RecurringGrant",
  examples: [{
    recurring_grant_id: "5d1c6a0e-3f0b-4b62-9d7f-2f6f0c8f2a11",
    user_id: "user_123",
    tokens: 500,
    grant_type: "bonus",
    every: "1 week",
    starts_at: "2030-01-15T10:30:00.123456+00:00",
    ends_at: "2030-06-01T00:00:00+00:00",
    valid_for: "1 month",
    priority: 50,
    tags: null,
    metadata: null,
    request_id: "8f14e45f-ceea-467f-a9b1-3c2d1e0f5a6b",
    replayed: false,
    created_at: "2030-01-15T10:30:00.123456+00:00",
  }],
});
