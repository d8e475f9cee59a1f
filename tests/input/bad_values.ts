// The bad inputs: by kind of field, as JSON goes over the wire, for what JSON.stringify() cannot
// write is among them. A new field is covered by giving it a kind, below.

/** A name for messages, and the JSON text. */
export type BadValue = readonly [name: string, json: string];

export interface Kind {
  /** A value that is right. */
  right: unknown;
  /** How the API complains, behind the name of the field. */
  says: RegExp;
  /** How SQL complains, where it is more than a failed cast: it names fields in its own words. */
  sqlSays?: RegExp;
  /** Wrong for everybody. */
  bad: readonly BadValue[];
  /** Wrong for the API, which does not guess; in SQL a cast or a default makes sense of them. */
  badInJson?: readonly BadValue[];
}

const text = (value: string) => JSON.stringify(value);
const raw = (...values: string[]): BadValue[] => values.map((json) => [json, json]);
const quoted = (...values: string[]): BadValue[] => raw(...values.map(text));

const missing = raw("null");
const nul = raw(String.raw`"a\u0000b"`, String.raw`"\u0000"`);
const surrogates = raw(String.raw`"a\ud83d"`, String.raw`"\udc00a"`, String.raw`"\udc00\ud83d"`);
const notText = raw("5", "-0.5", "true", "{}", '{"$ne": null}', "[]", '["ada"]', "[[]]");

function required(kind: Kind): Kind {
  return { ...kind, bad: [...kind.bad, ...missing] };
}

/** One whose default SQL takes for null, too. */
function defaulted(kind: Kind): Kind {
  return { ...kind, badInJson: [...(kind.badInJson ?? []), ...missing] };
}

const shortText: Kind = {
  right: "ada",
  says: /^ must be text of 1 to 255 characters/,
  sqlSays: /external user id/,
  bad: [
    ...quoted(""),
    ["256 characters", text("x".repeat(256))],
    ["256 emoji", text("🙂".repeat(256))],
    ["10,000 characters", text("x".repeat(10_000))],
    ...nul,
  ],
  badInJson: [...surrogates, ...notText],
};

const key: Kind = {
  right: "order-7",
  says: /^ must be 1 to 255 printable ASCII characters/,
  sqlSays: /request id/,
  bad: [
    ["256 characters", text("x".repeat(256))],
    ...quoted("", "a\r\nset-cookie: b", "a\n", "a\tb", "\x7f", "a\u0080b", "ä", "ключ", "🙂", "٣"),
    ...quoted("a\u2028b", "\u202eabc", "\ufeffa", "ａ"),
    ...nul,
  ],
  badInJson: [...surrogates, ...notText],
};

const notIntegers = [
  ...raw("1.5", "1.0000000000000002", "1e-7", "9223372036854775808", "-9223372036854775809"),
  ...raw("1e308", "1e400", "-1e400", "[]", "[1]", "{}", '{"value": 1}'),
  ...quoted("", " ", "one", "1.5", "1,000", "1 000", "1;", "--1", "1e3", "NaN", "Infinity", "∞"),
  ...quoted("9223372036854775808", "1e400", "٣", "３", "३", "Ⅳ", "一", "𝟙", "1٣", "½", "−1"),
  ...nul,
];

function wholeNumber(from: number, to: number): Kind {
  return {
    right: Math.max(from, 1),
    says: new RegExp(`^ must be a whole number from ${from} to ${to}`),
    bad: [
      ...raw(String(from - 1), String(to + 1), "-1", "-9007199254740993"),
      ...notIntegers,
    ],
    badInJson: [
      ...raw("9007199254740992", "9007199254740993", "true", "false"),
      ...quoted("1", "+1", " 1 ", "0x10", "1_000", "9007199254740993"),
    ],
  };
}

/** What looks the same. */
const CYRILLIC: Record<string, string> = { a: "а", o: "о", e: "е" };

function oneOf(right: string, says: RegExp): Kind {
  return {
    right,
    says,
    bad: [
      ...quoted("", "some", right.toUpperCase(), ` ${right}`, `${right} `, `${right}\n`, "null"),
      ...quoted(`${right}'; --`, `${right}::text`),
      ...quoted(right.replace(/[aoe]/, (letter) => CYRILLIC[letter]!)),
      ...raw("1", "true", "{}", "[]", JSON.stringify([right])),
      ...nul,
    ],
  };
}

const flag: Kind = {
  right: false,
  says: /^ must be true or false/,
  bad: [
    ...quoted("", "maybe", "truee", "0.0", "2", "真", "null"),
    ...raw("[]", "[true]", "{}"),
    ...nul,
  ],
  badInJson: [...raw("1", "0", "2", "1.5"), ...quoted("true", "false", "t", "yes", "on", "1")],
};

const deep = (levels: number) => `${'{"a":'.repeat(levels)}1${"}".repeat(levels)}`;
const metadata: Kind = {
  right: { chat: 7 },
  says:
    /^ must (be a JSON object|be at most 16 KiB|be at most 32 levels deep|not (hold|be longer))/,
  sqlSays: /metadata/,
  bad: [
    ...raw("[]", '["a"]', '"{}"', '"text"', "1", "0", "true", "false", "-1.5"),
    ["32 KiB and 1 byte", `{"a":${text("x".repeat(32_768 - 7))}}`],
    ["a NUL", String.raw`{"a": {"b": ["\u0000"]}}`],
    ["a NUL in a name", String.raw`{"a": [{"b\u0000": 1}]}`],
    ["33 levels", deep(33)],
    ["33 levels of lists", `{"a": ${"[".repeat(32)}${"]".repeat(32)}}`],
  ],
  badInJson: [
    ["16 KiB and 1 byte", `{"a":${text("x".repeat(16_384 - 7))}}`],
    ["16 KiB and 1 byte in fewer characters", `{"a":${text(`x${"é".repeat(8_188)}`)}}`],
    ["3,000 levels", deep(3000)],
    ["half a surrogate pair", String.raw`{"a": "\udc00"}`],
    ["half a surrogate pair in a name", String.raw`{"\ud83d": 1}`],
    ...raw('{"a": 1e400}', '{"a": [-1e400]}', '{"a": 9007199254740993}', '{"a": 1e300}'),
  ],
};

/** Of the years 10000 and 1 BC, where UTC is. */
const outOfRange = quoted("9999-12-31T23:59:59-15:59", "0001-01-01T00:00:00+00:01");
const past = quoted("2020-01-01T00:00:00Z", "1970-01-01T00:00:00+00:00", "0001-01-01T00:00:00Z");
const time: Kind = {
  right: "2090-01-01T00:00:00Z",
  says: /^ must be an (ISO 8601 time with an offset|instant of the years 1 to 9999)/,
  sqlSays: /expires_at/,
  bad: [
    ...quoted("", " ", "soon", "2090", "2090-13-01T00:00:00Z", "2090-00-01T00:00:00Z"),
    ...quoted("2090-02-30T00:00:00Z", "2091-02-29T00:00:00Z", "2090-04-31T00:00:00Z"),
    ...quoted("2090-01-01T25:00:00Z", "2090-01-01T23:60:00Z", "0000-01-01T00:00:00Z"),
    ...quoted("2090-01-01T00:00:00 Mars/Olympus", "2090-01-01T00:00:00[Europe/Atlantis]"),
    ...quoted("2090-01-01T00:00:00+24:00", "2090-01-01T00:00:00+16:00", "２０９０-01-01T00:00:00Z"),
    ...quoted("2090-01-01T00:00:00Z; drop table tags", "NaN", "999999-01-01T00:00:00Z"),
    ...raw("4102444800", "0", "-1", "true", "[]", "{}"),
    ...nul,
  ],
  // Without an offset the zone of a session would decide.
  badInJson: [
    ...quoted("2090-01-01", "2090-01-01T00:00:00", "2090-01-01 00:00:00Z", "2090-01-01T00:00Z"),
    ...quoted("20900101T000000Z", "2090-12-31T23:59:60Z", "2090-01-01T00:00:00 Europe/Paris"),
    ...quoted("10000-01-01T00:00:00Z", "2090-01-01T00:00:00.1234567891Z", "2090-01-01T00:00:00+15"),
    ...quoted("2090-01-31T00:00:00+23:00", "tomorrow", "infinity", "-infinity"),
    ...raw('["2090-01-01T00:00:00Z"]', "1e400"),
    ...outOfRange,
  ],
};

const expiry: Kind = {
  ...time,
  says: new RegExp(`${time.says.source.replace("^ ", "^ (")}|.* is not in the future)`),
  bad: [...time.bad, ...past],
};

/** The time of a field, of which times that exist may be wrong as well: then SQL complains of it. */
function timeOf(right: string, sqlSays: RegExp, wrong: readonly BadValue[], says = sqlSays): Kind {
  return {
    ...time,
    right,
    says: new RegExp(`${time.says.source.replace("^ ", "^ (")}|${says.source})`),
    sqlSays,
    bad: [...time.bad, ...wrong],
  };
}

const infinite = quoted("infinity", "-infinity");
const future = quoted("2090-01-01T00:00:00Z", "9999-12-31T23:59:59Z");
const fromNow = (hours: number) => new Date(Date.now() + hours * 3_600_000).toISOString();

const tagNames: Kind = {
  right: ["GPT-4"],
  says: /^(\[\d+\])? must be (a list of 1 to 100 names of tags|text of 1 to 255 characters)/,
  sqlSays: /tag/,
  bad: [
    ...raw("[]", "[null]", '["GPT-4", null]', '[""]', '["GPT-4", ""]', "{}", "1", "true", "[[]]"),
    ["256 characters", JSON.stringify(["x".repeat(256)])],
    ...raw(String.raw`["a\u0000"]`, '[["GPT-4"], []]'),
    ...quoted("GPT-4", "", "{", '{"GPT-4'),
  ],
  badInJson: [
    ["101 tags", JSON.stringify(Array(101).fill("GPT-4"))],
    ...raw('["GPT-4", 4]', '[["GPT-4"]]', String.raw`["a\ud83d"]`),
    ...quoted("{GPT-4}"),
  ],
};

const zone: Kind = {
  right: "Asia/Tokyo",
  says: /^ (must be text of 1 to 255 characters|[^]* is not a known time zone)/,
  sqlSays: /time_zone/,
  bad: [
    ...quoted(" ", "Mars/Olympus", "Europe/Atlantis", "utc", "utc ", "Utc", "UTC+99", "UTC+5"),
    ...quoted("UTC-05:00", "GMT", "GMT+1", "Z", "EST", "CET", "MST", "PST8PDT", "EST5EDT"),
    ...quoted("EST5EDT4,M3", "<+05>-5", "+02:00", "-0330", "5", "europe/paris", "EUROPE/PARIS"),
    ...quoted("Europe/Pаris", "Europe/Paris ", "Europe/Paris\n", "Europe", "Europe/", "/Paris"),
    ...quoted("posix/Europe/Paris", "right/Europe/Paris", "posixrules", "Factory", "localtime"),
    ...quoted("'; drop table projects; --", "../../etc/passwd", "٣", "x".repeat(9999), "null"),
    ...nul,
  ],
  badInJson: [...quoted(""), ...surrogates, ...notText],
};

const currency: Kind = {
  right: "EUR",
  says: /^ must be three capital letters/,
  sqlSays: /cost_currency/,
  bad: [
    ...quoted("", "eur", "Eur", "EU", "EURO", "€", "E R", " EUR", "EUR ", "EUR\n", "ЕUR", "978"),
    ...quoted("ÄÖÜ", "ＥＵＲ", "'; --", "x".repeat(9999)),
    ...nul,
  ],
  badInJson: [...surrogates, ...notText],
};

const nobody = quoted("00000000-0000-4000-8000-000000000000");
const uuid: Kind = {
  right: null,
  says: /^ (must be the uuid of a row of auth.users, or null|is not a user)/,
  bad: [
    ...quoted("", "ada", "null", "00000000-0000-4000-8000-00000000000", "0", "()"),
    ...quoted("00000000-0000-4000-8000-00000000000g", "00000000-0000-4000-8000-0000000000000"),
    ...quoted(
      "00000000-0000-4000-8000-00000000000０",
      "urn:uuid:00000000-0000-4000-8000-000000000000",
    ),
    ...raw("1", "true", "[]", "{}", "[null]", "1e400"),
    ...nul,
    ...nobody,
  ],
  badInJson: quoted("00000000000040008000000000000000", "{00000000-0000-4000-8000-000000000000}"),
};

/** What cannot be, or is not, the id of a grant. */
export const forgedGrantIds = [
  ...["1", "0", "grant", "null", "00000000-0000-4000-8000-000000000000", "0".repeat(32)],
  ...["00000000-0000-4000-8000-00000000000", "00000000-0000-4000-8000-0000000000000"],
  ...["00000000-0000-4000-8000-00000000000g", "{00000000-0000-4000-8000-000000000000}"],
  ...["00000000-0000-4000-8000-00000000000０", " 00000000-0000-4000-8000-000000000000"],
  ...["00000000-0000-4000-8000-000000000000\n", "ffffffff-ffff-ffff-ffff-ffffffffffff"],
  ...["'; drop table user_token_grants; --", "x".repeat(4000), "%", "👩‍💻", "a/b", "a?b#c"],
];

const aHold = `hold_${"0f".repeat(16)}_7`;
/** What cannot be, or is not, the id of a hold. */
export const forgedHoldIds = [
  ...["1", "7", "hold", "hold_", "hold_7", aHold, `${aHold}0`, ` ${aHold}`, `${aHold} `],
  ...[`${aHold}\n`, aHold.toUpperCase(), `hold_${"0f".repeat(16)}_0`, `hold_${"0f".repeat(16)}_07`],
  ...[`hold_${"0F".repeat(16)}_7`, `hold_${"0f".repeat(16)}_-7`, `hold_${"0f".repeat(16)}_7.0`],
  ...[`hold_${"0f".repeat(16)}_${"9".repeat(18)}`, `hold_${"0f".repeat(16)}_${"9".repeat(19)}`],
  ...[`hold_${"0f".repeat(16)}_٣`, `hold_${"0f".repeat(15)}_7`, `hold_${"zz".repeat(16)}_7`],
  ...["'; drop table token_holds; --", "null", "x".repeat(4000), "%", "👩‍💻", "a/b", "a?b#c"],
];

const batch: Kind = {
  right: [{ user_id: "ada", tokens_to_consume: 1 }],
  says: /^(\[\d+\])? must be (a list of 1 to 1000 objects|an object)/,
  sqlSays: /items/,
  bad: [
    ...raw("[]", "{}", "1", "true", '"[]"', '"items"', "[null]", "[1]", '["ada"]', "[[]]"),
    ...raw('{"0": {"user_id": "ada", "tokens_to_consume": 1}}'),
    ["1,001 items", JSON.stringify(Array(1001).fill({ user_id: "ada", tokens_to_consume: 1 }))],
    ["nothing but lists", "[".repeat(500) + "]".repeat(500)],
    ...missing,
  ],
};

const grantType = oneOf("bonus", /^ must be one of trial, bonus, purchase, refund, adjustment/);
const every = oneOf("1 day", /^ must be one of 1 day, 1 week, 2 weeks, 1 month, 3 months, 6/);

const tag: Kind = { ...shortText, right: "GPT-4", sqlSays: /tag/ };
const tokens = { ...wholeNumber(1, 1e15), sqlSays: /number of tokens/ };
const ttl = { ...wholeNumber(1, 86_400), sqlSays: /ttl_seconds/ };

/** Of each field: of the API by its name, of a function of SQL by that of its argument without p_. */
const kinds: Readonly<Record<string, Kind>> = {
  user_id: required(shortText),
  tokens_to_consume: required(tokens),
  tokens: required(tokens),
  tag,
  metadata,
  request_id: key,
  mode: defaulted(oneOf("up_to", /^ must be one of all_or_nothing, up_to/)),
  ttl_seconds: required(ttl),
  allow_excess: defaulted(flag),
  all_or_nothing: defaulted(flag),
  regrant_lapsed: defaulted(flag),
  transfer_number: { ...wholeNumber(1, 1e15), sqlSays: /transfer_number/ },
  original_request_id: { ...key, right: "chat-1" },
  grant_type: required({
    ...grantType,
    sqlSays: /grant type|rollover/,
    bad: [...grantType.bad, ...quoted("rollover")],
  }),
  expires_at: expiry,
  grant_expires_at: expiry,
  effective_at: timeOf(fromNow(-1), /effective_at/, infinite),
  priority: defaulted({ ...wholeNumber(1, 100), sqlSays: /priority/ }),
  tags: tagNames,
  cost_basis: { ...wholeNumber(0, 1e15), sqlSays: /cost_basis/ },
  cost_currency: currency,
  every: required({
    ...every,
    sqlSays: /period/,
    bad: [...every.bad, ...quoted("1 hour", "2 days", "1 week 1 day", "P1W", "-1 day", "0 days")],
  }),
  starts_at: timeOf(
    "2090-01-01T00:00:00Z",
    /start/,
    [...quoted("0001-01-01T00:00:00Z", "1970-01-01T00:00:00Z"), ...infinite],
    /.* lies more than 1000 times in the past/,
  ),
  ends_at: timeOf(
    "2091-01-01T00:00:00Z",
    /ends_at/,
    [...past, ...quoted("-infinity")],
    /.* is not after starts_at/,
  ),
  valid_for: oneOf("1 month", /^ must be one of 1 hour, 1 day, 1 week/),
  plan: defaulted({
    ...shortText,
    right: "Pro",
    says: /^ (must be text of 1 to 255 characters|[^]* is not known in this project)/,
    sqlSays: /plan/,
    bad: [...shortText.bad, ...quoted("pro", "Pro ", "Prо", "0", "null", "'; --")],
  }),
  when: required({ ...oneOf("now", /^ must be one of now, period_end/), sqlSays: /When/ }),
  quota_policy: required({
    ...oneOf("prorate", /^ must be one of keep, prorate, reset/),
    sqlSays: /quota/,
  }),
  payment_status: defaulted(
    oneOf("active", /^ must be one of trial, active, past_due, paused, canceled/),
  ),
  quota_open_until: defaulted(timeOf("2090-01-01T00:00:00Z", /quota_open_until/, infinite)),
  billing_anchor: defaulted(timeOf(fromNow(-1), /billing_anchor/, infinite)),
  grant_id: required(uuid),
  recurring_grant_id: required(uuid),
  as_of: timeOf(fromNow(0), /.* is not an instant of/, [...past, ...future, ...infinite]),
  from: required(
    timeOf(
      fromNow(-1),
      /from/,
      [...past, ...future, ...infinite],
      /must be an instant before to|and to are more than 1000 days apart/,
    ),
  ),
  to: timeOf(fromNow(1), /^(from|to) must be/, infinite),
  step: required({ ...oneOf("month", /^ must be one of hour, day, week, month/), sqlSays: /step/ }),
  group_by: oneOf("source", /^ must be one of tag, user, key, source/),
  auth_user_id: { ...uuid, sqlSays: /auth_user_id/ },
  items: batch,

  // Of SQL alone.
  project_id: required(uuid),
  external_user_id: required(shortText),
  tokens_consumed: required({ ...tokens, ...wholeNumber(1, 2 ** 31 - 1) }),
  tag_id: uuid,
  hold_id: { right: aHold, says: /^/, bad: [...quoted(...forgedHoldIds), ...missing, ...nul] },
  limit: { ...wholeNumber(1, 101), sqlSays: /limit/ },
  before: { ...wholeNumber(1, 2 ** 63), bad: notIntegers },
  key_hash: {
    right: "\\x00",
    says: /^/,
    bad: [
      ...quoted("", "\\x", "\\x00", `\\x${"0".repeat(64)}`, `\\x${"0".repeat(63)}`, "\\xzz", "\\"),
      ...quoted("tg_live_0", "'", `\\x${"٣".repeat(64)}`, `\\x${"f".repeat(10_000)}`),
      ...raw("1", "true", "[]", "{}"),
      ...missing,
      ...nul,
    ],
  },
  name: {
    right: "x",
    says: /^/,
    sqlSays: /name/,
    bad: [...quoted(""), ["101 characters", text("x".repeat(101))], ...missing, ...nul],
  },
  scopes: {
    right: ["read"],
    says: /^/,
    sqlSays: /scopes/,
    bad: [
      ...raw(
        "[]",
        "[null]",
        '["read", null]',
        '["READ"]',
        '["admin"]',
        '[["read"], []]',
        '[["read"], ["grant"]]',
        "1",
        "{}",
      ),
      ...quoted("read", "", "{", "{}", "{admin}", '{"read'),
      ...missing,
    ],
  },
  key_id: required(uuid),
  grace: {
    right: "1 hour",
    says: /^/,
    sqlSays: /grace time/,
    bad: [
      ...quoted(
        "-1 second",
        "91 days",
        "3 months 1 day",
        "infinity",
        "-infinity",
        "soon",
        "",
        "1 ٣",
      ),
      ...quoted("178000001 years", "-178000000 years", "NaN", "1e400 hours", "'; --"),
      ...raw("true", "[]", "{}", "1e400", "7776001"),
      ...missing,
      ...nul,
    ],
  },
  time_zone: zone,
};

/** The kind of a field of an operation of the API, or of a function of SQL. */
export function kindOf(operation: string, field: string): Kind {
  const kind = specialKindOf(operation, field) ?? kinds[field];
  if (!kind) throw new Error(`${operation} has a new field ${field}: give it a kind`);
  return kind;
}

function specialKindOf(operation: string, field: string): Kind | undefined {
  if (field === "tokens" && /settle/i.test(operation)) {
    return required({ ...tokens, ...wholeNumber(0, 1e15) });
  }
  if (field === "tokens" && /refund/i.test(operation)) return tokens;
  if (operation === "verify_ledger") return uuid; // Of all projects, if of none.
  // An unknown one is a mistake of its item alone.
  if (operation === "consume_batch" && field === "tag") return { ...tag, bad: notText };
  // Of all users, if of none.
  if (field === "external_user_id" && /usage/.test(operation)) return shortText;
  return;
}
