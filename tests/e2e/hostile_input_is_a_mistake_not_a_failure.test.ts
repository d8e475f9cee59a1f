import { expect, test } from "vitest";
import { type ErrorJson, Tenant, verifyLedgerAtEnd } from "../support/tenant.ts";

verifyLedgerAtEnd();

const tenant = await Tenant.create({ quota: 1_000_000 });
await tenant.tagId("GPT-4");
await tenant.consume("ada", 1);

const consume = { user_id: "ada", tokens_to_consume: 1 };
const grant = { user_id: "ada", tokens: 1, grant_type: "bonus" };
const deep = (levels: number) => `${'{"a":'.repeat(levels)}1${"}".repeat(levels)}`;
const json = JSON.stringify;

/** JSON as it goes over the wire, or a value to be written as JSON. */
type Hostile = [name: string, body: unknown];

const brokenBodies: Hostile[] = [
  ["an empty body", ""],
  ["white space", " \n "],
  ["half an object", '{"user_id": "ada"'],
  ["a trailing comma", '{"user_id": "ada", "tokens_to_consume": 1,}'],
  ["single quotes", "{'user_id': 'ada', 'tokens_to_consume': 1}"],
  ["a comment", '{"user_id": "ada", "tokens_to_consume": 1} // one'],
  ["two objects", json(consume) + json(consume)],
  ["NaN", '{"user_id": "ada", "tokens_to_consume": NaN}'],
  ["Infinity", '{"user_id": "ada", "tokens_to_consume": Infinity}'],
  ["a form", "user_id=ada&tokens_to_consume=1"],
  ["XML", "<consume><user_id>ada</user_id></consume>"],
  ["a NUL byte", "\0"],
  ["a raw NUL in a string", '{"user_id": "a\0da", "tokens_to_consume": 1}'],
  ["an unknown escape", '{"user_id": "\\x41", "tokens_to_consume": 1}'],
  ["10,000 open brackets", "[".repeat(10_000)],
];

const wrongShapes: Hostile[] = [
  ["an array", [consume]],
  ["null", null],
  ["a string", json(json(consume))],
  ["a number", "1"],
  ["true", "true"],
  ["an empty object", {}],
  ["an empty array", []],
  ["10,000 nested arrays", "[".repeat(10_000) + "]".repeat(10_000)],
];

const wrongConsumptions: Hostile[] = [
  ["no user_id", { tokens_to_consume: 1 }],
  ["no tokens", { user_id: "ada" }],
  ["user_id null", { ...consume, user_id: null }],
  ["user_id a number", { ...consume, user_id: 1 }],
  ["user_id an object", { ...consume, user_id: { $ne: null } }],
  ["user_id an array", { ...consume, user_id: ["ada"] }],
  ["user_id empty", { ...consume, user_id: "" }],
  ["user_id too long", { ...consume, user_id: "x".repeat(256) }],
  ["user_id NUL", { ...consume, user_id: "\0" }],
  ["user_id half a surrogate pair", '{"user_id": "\\ud83d", "tokens_to_consume": 1}'],
  ["tokens null", { ...consume, tokens_to_consume: null }],
  ["tokens 0", { ...consume, tokens_to_consume: 0 }],
  ["tokens -0", '{"user_id": "ada", "tokens_to_consume": -0}'],
  ["tokens -1", { ...consume, tokens_to_consume: -1 }],
  ["tokens 1.5", { ...consume, tokens_to_consume: 1.5 }],
  ["tokens a hair above 1", { ...consume, tokens_to_consume: 1 + Number.EPSILON }],
  ["tokens above 10^15", { ...consume, tokens_to_consume: 1e15 + 1 }],
  ["tokens 2^53", { ...consume, tokens_to_consume: 2 ** 53 }],
  ["tokens 2^63", { ...consume, tokens_to_consume: 2 ** 63 }],
  ["tokens 10^308", { ...consume, tokens_to_consume: 1e308 }],
  ["tokens 10^999", '{"user_id": "ada", "tokens_to_consume": 1e999}'],
  ["tokens a string", { ...consume, tokens_to_consume: "1" }],
  ["tokens a boolean", { ...consume, tokens_to_consume: true }],
  ["tokens an array", { ...consume, tokens_to_consume: [1] }],
  ["tokens an object", { ...consume, tokens_to_consume: {} }],
  ["tag a number", { ...consume, tag: 4 }],
  ["tag empty", { ...consume, tag: "" }],
  ["tag an object", { ...consume, tag: { name: "GPT-4" } }],
  ["tag too long", { ...consume, tag: "x".repeat(256) }],
  ["tag NUL", { ...consume, tag: "\0" }],
  ["metadata a string", { ...consume, metadata: "{}" }],
  ["metadata an array", { ...consume, metadata: [] }],
  ["metadata a number", { ...consume, metadata: 1 }],
  ["metadata too large", { ...consume, metadata: { text: "x".repeat(16 * 1024) } }],
  ["metadata with a NUL", { ...consume, metadata: { text: "\0" } }],
  ["metadata with a NUL key", { ...consume, metadata: { "\0": 1 } }],
  ["metadata with half a surrogate", `{"metadata":{"a":"\\udc00"},${json(consume).slice(1)}`],
  ["metadata with 10^999", `{"metadata":{"a":1e999},${json(consume).slice(1)}`],
  ["metadata with 2^53", { ...consume, metadata: { a: 2 ** 53 } }],
  ["metadata 33 levels deep", `{"metadata":${deep(33)},${json(consume).slice(1)}`],
  ["metadata 3,000 levels deep", `{"metadata":${deep(3000)},${json(consume).slice(1)}`],
  ["request_id empty", { ...consume, request_id: "" }],
  ["request_id a number", { ...consume, request_id: 7 }],
  ["request_id too long", { ...consume, request_id: "x".repeat(256) }],
  ["request_id NUL", { ...consume, request_id: "\0" }],
  ["request_id with a line break", { ...consume, request_id: "a\nb" }],
  ["request_id beyond ASCII", { ...consume, request_id: "ключ" }],
  ["mode null", { ...consume, mode: null }],
  ["mode unknown", { ...consume, mode: "some" }],
  ["an unknown field", { ...consume, tokens: 1 }],
  ["a field of SQL", { ...consume, p_at: "2020-01-01T00:00:00Z" }],
  ["__proto__", '{"__proto__": {"tokens_to_consume": 1}, "user_id": "ada"}'],
  ["constructor", { ...consume, constructor: { prototype: { polluted: true } } }],
  ["1,000 unknown fields", Object.fromEntries(Array.from({ length: 1000 }, (_, i) => [i, i]))],
];

const wrongGrants: Hostile[] = [
  ["no type", { user_id: "ada", tokens: 1 }],
  ["type null", { ...grant, grant_type: null }],
  ["type in upper case", { ...grant, grant_type: "BONUS" }],
  ["type an array", { ...grant, grant_type: ["bonus"] }],
  ["type SQL", { ...grant, grant_type: "bonus'::grant_type; --" }],
  ["tokens -1", { ...grant, tokens: -1 }],
  ["tokens 10^15 + 1", { ...grant, tokens: 1e15 + 1 }],
  ["tokens_to_consume", { ...grant, tokens_to_consume: 1 }],
  ["expires_at in the past", { ...grant, expires_at: "2020-01-01T00:00:00Z" }],
  ["expires_at a date", { ...grant, expires_at: "2090-01-01" }],
  ["expires_at without offset", { ...grant, expires_at: "2090-01-01T00:00:00" }],
  ["expires_at a number", { ...grant, expires_at: 4102444800 }],
  ["expires_at infinity", { ...grant, expires_at: "infinity" }],
  ["expires_at tomorrow", { ...grant, expires_at: "tomorrow" }],
  ["expires_at empty", { ...grant, expires_at: "" }],
  ["expires_at in month 13", { ...grant, expires_at: "2090-13-01T00:00:00Z" }],
  ["expires_at February 30th", { ...grant, expires_at: "2090-02-30T00:00:00Z" }],
  ["expires_at in the year 0", { ...grant, expires_at: "0000-01-01T00:00:00Z" }],
  ["expires_at in the year 10000", { ...grant, expires_at: "10000-01-01T00:00:00Z" }],
  ["expires_at at offset +24:00", { ...grant, expires_at: "2090-01-01T00:00:00+24:00" }],
  ["expires_at a leap second", { ...grant, expires_at: "2090-12-31T23:59:60Z" }],
];

const wrongLinks: Hostile[] = [
  ["no auth_user_id", {}],
  ["no uuid", { auth_user_id: "ada" }],
  ["a uuid of nobody", { auth_user_id: "00000000-0000-4000-8000-000000000000" }],
  ["an array", { auth_user_id: [null] }],
];

const hold = { user_id: "ada", tokens: 1 };
const wrongHolds: Hostile[] = [
  ["tokens 0", { ...hold, tokens: 0 }],
  ["ttl_seconds 0", { ...hold, ttl_seconds: 0 }],
  ["ttl_seconds 86401", { ...hold, ttl_seconds: 86_401 }],
  ["ttl_seconds null", { ...hold, ttl_seconds: null }],
  ["ttl_seconds an interval", { ...hold, ttl_seconds: "1 hour" }],
  ["an expires_at", { ...hold, expires_at: "2090-01-01T00:00:00Z" }],
];

const wrongSettlements: Hostile[] = [
  ["no tokens", {}],
  ["tokens -1", { tokens: -1 }],
  ["tokens above 10^15", { tokens: 1e15 + 1 }],
  ["allow_excess a string", { tokens: 1, allow_excess: "true" }],
  ["a user_id", { tokens: 1, user_id: "ada" }],
];

const refund = { user_id: "ada", transfer_number: 1 };
const wrongRefunds: Hostile[] = [
  ["no transfer", { user_id: "ada" }],
  ["two names of the transfer", { ...refund, original_request_id: "r1" }],
  ["transfer_number 0", { ...refund, transfer_number: 0 }],
  ["transfer_number 2^63", { ...refund, transfer_number: 2 ** 63 }],
  ["tokens 0", { ...refund, tokens: 0 }],
  ["tokens -1", { ...refund, tokens: -1 }],
  ["regrant_lapsed null", { ...refund, regrant_lapsed: null }],
  ["grant_expires_at a date", { ...refund, grant_expires_at: "2090-01-01" }],
];

const wrongBatches: Hostile[] = [
  ["no items", {}],
  ["empty items", { items: [] }],
  ["1,001 items", { items: Array(1001).fill(consume) }],
  ["items an object", { items: { 0: consume } }],
  ["all_or_nothing null", { items: [consume], all_or_nothing: null }],
  ["a request_id", { items: [consume], request_id: "r1" }],
  ["an item null", { items: [consume, null] }],
];
const wrongItems = wrongConsumptions.map(([name, body]): Hostile => [
  `an item with ${name}`,
  `{"items":[${json(consume)},${typeof body === "string" ? body : json(body)}]}`,
]);

const settlePath = `/v1/holds/hold_${"0".repeat(32)}_1/settle`;
const table = [
  ...[...wrongShapes, ...wrongConsumptions].map((row) => ["POST", "/v1/check", ...row] as const),
  ...[...wrongShapes, ...wrongHolds].map((row) => ["POST", "/v1/holds", ...row] as const),
  ...[...wrongShapes, ...wrongSettlements].map((row) => ["POST", settlePath, ...row] as const),
  ...[...wrongShapes, ...wrongRefunds].map((row) => ["POST", "/v1/refunds", ...row] as const),
  ...[...wrongShapes, ...wrongBatches, ...wrongItems].map((row) =>
    ["POST", "/v1/consume/batch", ...row] as const
  ),
  ...[...brokenBodies, ...wrongShapes, ...wrongConsumptions].map((row) =>
    ["POST", "/v1/consume", ...row] as const
  ),
  ...[...brokenBodies, ...wrongShapes, ...wrongGrants].map((row) =>
    ["POST", "/v1/grants", ...row] as const
  ),
  ...wrongLinks.map((row) => ["PUT", "/v1/users/ada/link", ...row] as const),
];

test.each(table)("%s %s with %s is invalid", async (method, path, _, body) => {
  const answer = await tenant.api<ErrorJson>(path, {
    method,
    body: typeof body === "string" ? body : json(body),
  });

  expect(answer.body.error).toMatchObject({ code: "invalid_request" });
});

test.each([
  "/v1/users/ada/balance?at=2020-01-01",
  "/v1/users/ada/balance?limit=1",
  "/v1/users/ada/transfers?limit=1&limit=2",
  "/v1/users/ada/transfers?offset=1",
  "/v1/users/ada/transfers?limit=1;drop table tags",
  "/v1/users/ada/transfers?cursor=1'--",
  "/v1/users/ada/transfers?__proto__=1",
  "/v1/users/%00/balance",
  "/v1/users/%ED%A0%80/balance",
  `/v1/users/${"x".repeat(256)}/balance`,
  `/v1/users/${"x".repeat(4000)}/transfers`,
])("GET %s is invalid", async (path) => {
  const { body } = await tenant.api<ErrorJson>(path);

  expect(body.error).toMatchObject({ code: "invalid_request" });
});

test.each(["", "x".repeat(256), "é", "\t", "a\u0080b"])(
  "the Idempotency-Key %j is invalid",
  async (key) => {
    const { body } = await tenant.post<ErrorJson>("/v1/consume", consume, {
      "idempotency-key": key,
    });

    expect(body.error).toMatchObject({ code: "invalid_request" });
  },
);

test("bytes that are not UTF-8 are invalid", async () => {
  const { body } = await tenant.api<ErrorJson>("/v1/consume", {
    method: "POST",
    body: Buffer.from(json({ ...consume, user_id: "é" }), "latin1"),
  });

  expect(body.error).toMatchObject({
    code: "invalid_request",
    message: "The body is not valid JSON.",
  });
});

test("all of that has left the user as it was", async () => {
  const { body } = await tenant.transfers("ada");

  expect(body.data).toHaveLength(1);
});

test.each([
  ["/v1/consume", 64],
  ["/v1/grants", 64],
  ["/v1/holds", 64],
  ["/v1/refunds", 64],
  ["/v1/consume/batch", 1024],
])("a body of %s above %i KiB is 413", async (path, most) => {
  const { status, body } = await tenant.post<ErrorJson>(path, " ".repeat(most * 1024 + 1));

  expect(status).toBe(413);
  expect(body.error).toMatchObject({
    code: "request_too_large",
    message: "The body is larger than 64 KiB, or 1 MiB for a batch.",
  });
});

test("a body of 10 MB is 413", async () => {
  const { status } = await tenant.post("/v1/consume", "x".repeat(10_000_000));

  expect(status).toBe(413);
});

test("a streamed body without a length is cut off at 64 KiB too", async () => {
  const body = new Blob([" ".repeat(100_000)]).stream();
  const init = { method: "POST", body, duplex: "half" }; // A name that the DOM's types do not know.

  const { status } = await tenant.api("/v1/consume", init);

  expect(status).toBe(413);
});

test.each([
  "",
  "text/plain",
  "application/x-www-form-urlencoded",
  "multipart/form-data; boundary=x",
  "application/json; charset=utf-16",
  "application/vnd.api+json",
  "image/png",
  ";;;",
])("the content type %j does not matter", async (contentType) => {
  const { status } = await tenant.post(
    "/v1/consume",
    { ...consume, user_id: "typist" },
    contentType === "" ? {} : { "content-type": contentType },
  );

  expect(status).toBe(200);
});

test.each([
  ["SQL", { metadata: { "'; drop table tags; --": "$$; select 1" } }],
  ["a query operator", { metadata: { $where: "1", "a.b": "eq.1" } }],
  ["__proto__ in metadata", { metadata: JSON.parse('{"__proto__": {"a": 1}}') }],
  ["metadata 32 levels deep", { metadata: JSON.parse(deep(32)) }],
  ["empty metadata", { metadata: {} }],
  ["null for what is optional", { tag: null, metadata: null, request_id: null }],
  ["a request_id of SQL", { request_id: "' or 1=1; --" }],
])("%s is harmless", async (_, more) => {
  const { status } = await tenant.consume("harmless", 1, more);

  expect(status).toBe(200);
});

test("of a field given twice the last counts, as everywhere in JSON", async () => {
  const { body } = await tenant.post<object>(
    "/v1/consume",
    '{"user_id": "twice", "tokens_to_consume": 1, "tokens_to_consume": 2}',
  );

  expect(body).toMatchObject({ success: true, tokens_consumed: 2 });
});
