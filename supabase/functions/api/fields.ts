import { z } from "zod";
import { Constants, type Json } from "../_shared/database.types.ts";

// The fields that routes share, requests first. A description is both the documentation of its
// field and the hint of the error about it; a rule completes the sentence that begins with the
// field's name.

const {
  change_time,
  consume_mode,
  grant_type,
  payment_status,
  period,
  quota_policy,
  usage_dimension,
  usage_step,
} = Constants.public.Enums;

const MAX_TOKENS = 1_000_000_000_000_000;
const MAX_TAGS = 100;
const MAX_METADATA_BYTES = 16 * 1024;
const MAX_METADATA_DEPTH = 32;

function rule(text: string) {
  return { error: ({ input }: { input?: unknown }) => input === undefined ? "is required" : text };
}

/** Postgres text holds every Unicode character but NUL, and no half of a surrogate pair. */
function isStorable(text: string): boolean {
  return !text.includes("\0") && !/\p{Surrogate}/u.test(text);
}

/** One of the values of an enum, which the complaint and the documentation list. */
function oneOf<Value extends string>(values: readonly Value[]) {
  return z.enum(values, rule(`must be one of ${values.join(", ")}`));
}

/** Text of 1 to 255 characters, counted like Postgres: by code point. */
function shortText() {
  const complaint = rule("must be text of 1 to 255 characters, all of them valid and none NUL");
  return z.string(complaint)
    .refine((text) => text !== "" && [...text].length <= 255 && isStorable(text), complaint)
    .meta({ minLength: 1, maxLength: 255 });
}

export const userId = shortText().describe(
  "Your own id of the user: any text of 1 to 255 characters.",
);

const authUserRule = rule("must be the uuid of a row of auth.users, or null");
export const authUserId = z.guid(authUserRule).nullable().describe(
  "The id of a row of auth.users of the same Supabase project; null takes the link back.",
);

const tokenRule = rule(`must be a whole number from 1 to ${MAX_TOKENS}`);
export const tokens = z.int(tokenRule).min(1, tokenRule).max(MAX_TOKENS, tokenRule).describe(
  `Tokens, as a JSON number without quotes or fraction: 1 to ${MAX_TOKENS} (10^15).`,
);

export const tag = shortText().nullish().describe(
  "Name of the tag that the tokens are spent on, e.g. a model: one of the project's tags, spelt " +
    "exactly so. Left out or null: only the restrictions without a tag apply.",
);

export const mode = oneOf(consume_mode).default("all_or_nothing").describe(
  "`all_or_nothing`, the default: all of the tokens, or a denial. `up_to`: as many of them as " +
    "restrictions, quota and grants allow, at least 1, or a denial.",
);

/** What an Idempotency-Key header can hold: so it is the same key there and in a body. */
export const IDEMPOTENCY_KEY = /^[\x20-\x7e]{1,255}$/;
const keyRule = rule("must be 1 to 255 printable ASCII characters");
const idempotencyKey = z.string(keyRule).regex(IDEMPOTENCY_KEY, keyRule);

export const requestId = idempotencyKey.nullish().describe(
  "Idempotency key, 1 to 255 printable ASCII characters, unique for the user; the Idempotency-Key " +
    "header does the same. A repeated request with the same id is applied once and answered as at " +
    "first, with `replayed: true`. Left out or null: one is generated, and returned.",
);

const ttlRule = rule("must be a whole number from 1 to 86400");
export const ttlSeconds = z.int(ttlRule).min(1, ttlRule).max(86_400, ttlRule).default(600).describe(
  "How long from now the tokens are held, in seconds: 1 to 86400 (a day), 600 if left out.",
);

const settledRule = rule(`must be a whole number from 0 to ${MAX_TOKENS}`);
export const settledTokens = z.int(settledRule).min(0, settledRule).max(MAX_TOKENS, settledRule)
  .describe(
    "Tokens that were really used, 0 to 10^15. What is held beyond them returns to its sources.",
  );

const flagRule = rule("must be true or false");
export const allowExcess = z.boolean(flagRule).default(false).describe(
  "Whether more than is held may be settled: the excess is then consumed like any other tokens, " +
    "or all is denied and the hold stays open. Left out: false, and more is an error.",
);

export const allOrNothing = z.boolean(flagRule).default(false).describe(
  "Whether one refused item refuses all others, with reason `batch_denied`. Left out: false, and " +
    "each item is applied or refused on its own.",
);

const transferRule = rule(`must be a whole number from 1 to ${MAX_TOKENS}`);
export const transferNumber = z.int(transferRule).min(1, transferRule).max(MAX_TOKENS, transferRule)
  .nullish().describe(
    "The consumption to refund, by the `transfer_number` of its receipt. Either this or " +
      "`original_request_id`.",
  );

export const originalRequestId = idempotencyKey.nullish().describe(
  "The consumption to refund, by its `request_id`. Either this or `transfer_number`.",
);

export const refundedTokens = tokens.nullish().describe(
  "Tokens to give back, at most what has not been refunded yet. Left out or null: all of that.",
);

export const regrantLapsed = z.boolean(flagRule).default(false).describe(
  "Whether tokens of sources that have expired since become a new grant, of type `refund`. Left " +
    "out: false, and they stay lapsed.",
);

export const holdId = z.string().regex(/^hold_[0-9a-f]{32}_[1-9]\d{0,17}$/).describe(
  "The `hold_id` that the answer to the hold gave.",
);

export const metadata = z.custom<Json>()
  .superRefine((value, context) => {
    const problem = metadataProblem(value);
    if (problem) context.addIssue({ code: "custom", message: problem });
  })
  .optional()
  .meta({
    type: ["object", "null"],
    description:
      "A JSON object of your own, kept with the transfer, where a user who is linked can read " +
      "it: at most 16 KiB as JSON, " +
      `${MAX_METADATA_DEPTH} levels deep, whole numbers up to 2^53 (send larger ones as text), ` +
      "no NUL characters. Left out or null: none.",
  });

/** What would be refused by jsonb, or be changed on the way to it. */
function metadataProblem(value: unknown): string | undefined {
  // Null passes, as an object: it is the same as none.
  if (typeof value !== "object" || Array.isArray(value)) return "must be a JSON object";
  // Depth first: JSON.stringify would overflow the stack on a deep enough object.
  return jsonProblem(value, MAX_METADATA_DEPTH) ??
    (new TextEncoder().encode(JSON.stringify(value)).length > MAX_METADATA_BYTES
      ? "must be at most 16 KiB (16384 bytes) as JSON"
      : undefined);
}

function jsonProblem(value: unknown, levelsLeft: number): string | undefined {
  if (typeof value === "string") {
    return isStorable(value)
      ? undefined
      : "must not hold NUL characters (\\u0000) or unpaired surrogates, not even nested";
  }
  if (typeof value === "number") {
    return Number.isFinite(value) && (!Number.isInteger(value) || Number.isSafeInteger(value))
      ? undefined
      : "must not hold a number too large to be exact: send it as text";
  }
  if (typeof value !== "object" || value === null) return undefined;
  if (levelsLeft === 0) return `must be at most ${MAX_METADATA_DEPTH} levels deep`;
  for (const [key, member] of Object.entries(value)) {
    const problem = jsonProblem(key, levelsLeft) ?? jsonProblem(member, levelsLeft - 1);
    if (problem) return problem;
  }
  return undefined;
}

// Rollovers are made by quotas alone.
const grantTypes = grant_type.filter((type) => type !== "rollover");
export const grantType = oneOf(grantTypes).describe(
  `Why the tokens are given: ${grantTypes.join(", ")}.`,
);

// Narrower than ISO 8601 where Postgres is: no year 0, offsets up to 15:59, 9 digits of fraction.
const timeRule = rule("must be an ISO 8601 time with an offset, such as 2030-01-31T23:59:59Z");
const time = z.iso.datetime({ offset: true, ...timeRule })
  .refine((time) => /^(?!0000).{19,29}(Z|[+-](0\d|1[0-5]):\d\d)$/.test(time), timeRule);

export const expiresAt = time.nullish().describe(
  "When what is left of the grant expires: ISO 8601 with an offset, in the future and after " +
    "`effective_at`. Left out or null: never.",
);

export const grantExpiresAt = time.nullish().describe(
  "When the new grant of `regrant_lapsed` expires: ISO 8601 with an offset, in the future. " +
    "Left out or null: never.",
);

export const effectiveAt = time.nullish().describe(
  "From when on the tokens can be spent: ISO 8601 with an offset. Left out or null: from now on.",
);

const priorityRule = rule("must be a whole number from 1 to 100");
export const priority = z.int(priorityRule).min(1, priorityRule).max(100, priorityRule).default(50)
  .describe(
    "Grants of a lower number are spent first, those of one number in the order in which they " +
      "expire: 1 to 100, 50 if left out.",
  );

const tagsRule = rule(`must be a list of 1 to ${MAX_TAGS} names of tags`);
export const tags = z.array(shortText(), tagsRule).min(1, tagsRule).max(MAX_TAGS, tagsRule)
  .nullish().describe(
    "The only tags that the tokens can be spent on: 1 to 100 names, spelt exactly as the " +
      "project's tags are. Left out or null: anything.",
  );

const costRule = rule(`must be a whole number from 0 to ${MAX_TOKENS}`);
export const costBasis = z.int(costRule).min(0, costRule).max(MAX_TOKENS, costRule).nullish()
  .describe(
    "What was paid for all of the tokens, in the smallest unit of `cost_currency` (1999 for 19.99 " +
      "EUR): 0 to 10^15. Left out or null: unknown. Goes with `cost_currency`.",
  );

const currencyRule = rule("must be three capital letters, such as EUR");
export const costCurrency = z.string(currencyRule).regex(/^[A-Z]{3}$/, currencyRule).nullish()
  .describe("The currency of `cost_basis`: its ISO 4217 code, in capitals.");

export const grantId = z.guid().describe("The `grant_id` that the answer to the grant gave.");

export const recurringGrantId = z.guid().describe(
  "The `recurring_grant_id` that the answer gave when it was made.",
);

// Of what comes every hour there would soon be thousands.
const recurrences = period.filter((length) => length !== "1 hour");
export const every = oneOf(recurrences).describe(
  `How often the tokens are given: ${recurrences.join(", ")}. The times are counted from ` +
    "`starts_at` by the user's clocks: monthly from January 31st is the last day of every month.",
);

export const recurringFrom = time.nullish().describe(
  "The first time: ISO 8601 with an offset, at most 1000 times in the past. Left out or null: now.",
);

export const recurringUntil = time.nullish().describe(
  "From this instant on the tokens are given no more: ISO 8601 with an offset, after " +
    "`starts_at`. Left out or null: until it is ended.",
);

export const validFor = oneOf(period).nullish().describe(
  `How long the tokens of one time can be spent: ${period.join(", ")}. Left out or null: for ever.`,
);

export const plan = shortText().optional().describe(
  "Name of a plan of the project, spelt exactly so. Left out: as it was.",
);

export const changeTime = oneOf(change_time).default("now").describe(
  "When a `plan`, or `payment_status: canceled`, takes effect: `now`, the default, or at the end " +
    "of the quota period that is running, `period_end`. All else changes at once.",
);

export const quotaPolicy = oneOf(quota_policy).default("keep").describe(
  "What a plan that changes now makes of the base quota. `keep`, the default: what was used " +
    "counts against the new quota. `prorate`: what is left, less the share of the old quota and " +
    "plus that of the new one for the time that remains. `reset`: the new quota is full.",
);

export const paymentStatus = oneOf(payment_status).optional().describe(
  "`active` opens the base quota; `trial`, `past_due` and `canceled` leave it open until " +
    "`quota_open_until`, a `trial` without one for ever; `paused` closes it. Grants can be spent " +
    "in any status. Left out: as it was.",
);

export const quotaOpenUntil = time.optional().describe(
  "Until when `trial`, `past_due` or `canceled` leave the base quota open: ISO 8601 with an " +
    "offset. Left out: for a new `past_due` the project's days of grace, for a cancelation at the " +
    "end of the period that end, for another new status none, else as it was.",
);

export const billingAnchor = time.optional().describe(
  "The instant that quota periods are counted from: ISO 8601 with an offset. The period that is " +
    "running ends as it would have. Left out: as it was.",
);

export const timeZone = shortText().nullish().describe(
  "Name of a time zone, such as Europe/Paris, or UTC; neither an abbreviation nor an offset. " +
    "Null: the project's. Left out: as it was.",
);

const IN_A_URL = "In a URL write Z, or %2B for the + of an offset: a bare + means a space.";

export const asOf = time.optional().describe(
  "An instant between the user's creation and now: ISO 8601 with an offset. " +
    `${IN_A_URL} Left out: now.`,
);

export const usageFrom = time.describe(
  "An instant of the first step, ISO 8601 with an offset: the step that it lies in is answered " +
    `whole. ${IN_A_URL}`,
);

export const usageTo = time.optional().describe(
  `The instant, ISO 8601 with an offset, before which the last step begins. ${IN_A_URL} ` +
    "Left out: now.",
);

export const step = oneOf(usage_step).default("day").describe(
  `${usage_step.join(", ")}: of the calendar, by the project's clocks, or the user's if one is ` +
    "named. At most 1000 of them; day if left out.",
);

export const groupBy = oneOf(usage_dimension).optional().describe(
  "What every step is split up by: `tag`, `user`, `key` (the API key's name) or `source` " +
    "(base_quota, grants). Left out: nothing.",
);

export const usageUser = userId.optional().describe(
  "Only this user's usage. Left out: that of all users.",
);

export const usageTag = shortText().optional().describe(
  "Only usage of this tag, spelt exactly as the project's tag is. Left out: of all, and of none.",
);

const digitsAsNumber = (text: unknown) =>
  typeof text === "string" && /^\d{1,3}$/.test(text) ? Number(text) : text;
const limitRule = rule("must be a whole number from 1 to 100");
export const limit = z.preprocess(
  digitsAsNumber,
  z.int(limitRule).min(1, limitRule).max(100, limitRule).default(50),
).describe("Most rows to return: 1 to 100, 50 if left out.");

export const cursor = z.string()
  .regex(/^[1-9]\d{0,14}$/, rule("must be the next_cursor of an earlier answer: digits"))
  .transform(Number)
  .optional()
  .describe("Where to go on: the next_cursor of the page before. Left out: from the newest.");

// Fields of answers. They document, and tests hold real answers against them; no request pays for
// checking what the database has just said.

export const count = z.int().min(0);
export const instant = z.iso.datetime({ offset: true });

export const limitState = z.strictObject({
  tag: z.string().nullable().describe("The one tag it limits; null if it limits several, or all."),
  tags: z.array(z.string()).nullable().describe(
    "The tags it limits, one or several together; null if it limits all tokens.",
  ),
  max_tokens: count.describe("Tokens per window; 0 forbids."),
  duration: z.string().regex(/^[1-9]\d{0,2} (hour|day|week|month)s?$/).describe(
    "Length of the window: a whole number of hours, days, weeks or months, e.g. `5 hours`.",
  ),
  window: z.enum(["calendar", "rolling"]).describe(
    "`calendar`: the current hour, day, ... by the user's clocks. `rolling`: so long until now, to " +
      "a quarter of an hour.",
  ),
  used: count.describe("Tokens used in the window."),
  held: count.describe("Tokens set aside in open holds, which count in the window."),
  left: count.describe("Tokens left in the window: neither used nor held."),
  resets_at: instant.describe(
    "When the next window begins; of a rolling one, when all that is used now will have rolled off.",
  ),
});
