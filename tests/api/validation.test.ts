import { beforeEach, describe, expect, it, vi } from "vitest";
import { type Answer, get, PASSED_ON_TO_THE_DATABASE, post } from "./app.ts";

const CONSUME = { user_id: "user_123", tokens_to_consume: 500 };
const GRANT = { user_id: "user_123", tokens: 500, grant_type: "bonus" };
const HOLD = { user_id: "user_123", tokens: 500 };
const REFUND = { user_id: "user_123", transfer_number: 1 };
const A_HOLD = `/v1/holds/hold_${"0f".repeat(16)}_7`;

/** A body that is right, of every route that takes a request_id. */
const BODIES = {
  "/v1/consume": CONSUME,
  "/v1/check": CONSUME,
  "/v1/grants": GRANT,
  "/v1/holds": HOLD,
  [`${A_HOLD}/settle`]: { tokens: 1 },
  [`${A_HOLD}/extend`]: { ttl_seconds: 1 },
  [`${A_HOLD}/release`]: {},
  "/v1/refunds": REFUND,
};

beforeEach(() => {
  vi.spyOn(console, "error").mockImplementation(() => {});
});

function expectRefusal({ status, json }: Answer, message: string | RegExp) {
  expect(status).toBe(400);
  expect(json.error.code).toBe("invalid_request");
  expect(json.error.message).toMatch(message);
  expect(json.error.hint).not.toBe("");
}

function expectPassed({ status, json }: Answer) {
  expect([status, json.error.code]).toEqual([PASSED_ON_TO_THE_DATABASE, "temporarily_unavailable"]);
}

/** An object nested so many levels deep. */
function nested(levels: number): unknown {
  return levels === 0 ? 1 : { a: nested(levels - 1) };
}

describe("a body", () => {
  it.each(["application/json", "text/plain;charset=UTF-8", "application/x-www-form-urlencoded"])(
    "of JSON is accepted as %s",
    async (type) => expectPassed(await post("/v1/consume", CONSUME, { "content-type": type })),
  );

  it.each(["", "{", "user_id=u", '{"user_id":"u",}', "undefined"])(
    "that is not JSON is refused: %j",
    async (text) => expectRefusal(await post("/v1/consume", text), /not valid JSON/),
  );

  it("that is not UTF-8 is refused, not guessed at", async () => {
    const text = '{"user_id":"J\u00f6rg","tokens_to_consume":1}';
    const latin1 = Uint8Array.from(text, (character) => character.charCodeAt(0));
    expectRefusal(await post("/v1/consume", new Blob([latin1])), /not valid JSON/);
  });

  it.each(["null", "[]", "5", '"text"'])(
    "that is no object is refused: %s",
    async (text) => expectRefusal(await post("/v1/consume", text), /must be a JSON object/),
  );

  it("of more than 64 KiB is refused", async () => {
    const { status, json } = await post("/v1/consume", { ...CONSUME, tag: "a".repeat(65_536) });
    expect([status, json.error.code]).toEqual([413, "request_too_large"]);
  });

  it.each(["project_id", "balance", "price", "__proto__"])(
    "with the unknown field %s is refused, with the fields there are",
    async (field) => {
      const text = `{"user_id":"u","tokens_to_consume":1,"${field}":1}`;
      const answer = await post("/v1/consume", text);
      expectRefusal(answer, `"${field}" is not a field of this request`);
      expect(answer.json.error.hint).toBe(
        "The fields are user_id, tokens_to_consume, tag, metadata, request_id, mode.",
      );
    },
  );

  it("with several mistakes is told all of them", async () => {
    const { json } = await post("/v1/consume", { tokens_to_consume: 0, price: 1 });
    expect(json.error.message).toBe(
      "user_id is required; " +
        "tokens_to_consume must be a whole number from 1 to 1000000000000000; " +
        '"price" is not a field of this request.',
    );
  });

  it("with null for an optional field is as without the field", async () => {
    expectPassed(
      await post("/v1/consume", { ...CONSUME, tag: null, metadata: null, request_id: null }),
    );
    expectPassed(
      await post("/v1/grants", { ...GRANT, expires_at: null, metadata: null, request_id: null }),
    );
  });
});

describe("tokens", () => {
  const wrong = ["1.5", '"5"', "1e400", "-1", "0", "null", "1000000000000001", "true", "[1]", "{}"];

  it.each(wrong)("%s are refused when consuming", async (tokens) => {
    const answer = await post("/v1/consume", `{"user_id":"u","tokens_to_consume":${tokens}}`);
    expectRefusal(answer, "tokens_to_consume must be a whole number from 1 to 1000000000000000");
    expect(answer.json.error.hint).toContain("without quotes or fraction");
  });

  it.each(wrong)("%s are refused when granting", async (tokens) => {
    expectRefusal(
      await post("/v1/grants", `{"user_id":"u","grant_type":"bonus","tokens":${tokens}}`),
      "tokens must be a whole number from 1 to 1000000000000000",
    );
  });

  it.each([1, 1_000_000_000_000_000])("%i are accepted", async (tokens) => {
    expectPassed(await post("/v1/consume", { ...CONSUME, tokens_to_consume: tokens }));
    expectPassed(await post("/v1/grants", { ...GRANT, tokens }));
  });

  it("must be given", async () => {
    expectRefusal(await post("/v1/consume", { user_id: "u" }), /^tokens_to_consume is required\.$/);
    expectRefusal(await post("/v1/grants", { ...GRANT, tokens: undefined }), /^tokens is required/);
  });
});

describe("text", () => {
  const wrong: [string, unknown][] = [
    ["empty", ""],
    ["256 characters", "a".repeat(256)],
    ["with a NUL character", "a\0b"],
    ["with an unpaired surrogate", "a\ud800b"],
    ["a number", 5],
    ["an object", {}],
    ["a list", ["a"]],
  ];
  const right: [string, string][] = [
    ["1 character", "a"],
    ["a space", " "],
    ["two dots", ".."],
    ["any characters", "50%/\u00e9?#\n"],
    ["255 characters", "a".repeat(255)],
    ["255 characters of two UTF-16 units", "\u{1f600}".repeat(255)],
  ];

  for (const field of ["user_id", "tag"]) {
    it.each(wrong)(`is refused as ${field}: %s`, async (_, value) => {
      expectRefusal(
        await post("/v1/consume", { ...CONSUME, [field]: value }),
        `${field} must be text of 1 to 255 characters`,
      );
    });

    it.each(right)(`is accepted as ${field}: %s`, async (_, value) => {
      expectPassed(await post("/v1/consume", { ...CONSUME, [field]: value }));
    });
  }

  it("is needed for user_id: null is refused", async () => {
    expectRefusal(
      await post("/v1/consume", { ...CONSUME, user_id: null }),
      /^user_id must be text/,
    );
    expectRefusal(
      await post("/v1/grants", { ...GRANT, user_id: undefined }),
      /^user_id is required/,
    );
  });
});

describe("metadata", () => {
  it.each<[string, string, RegExp]>([
    ["a list", "[]", /must be a JSON object/],
    ["text", '"a"', /must be a JSON object/],
    ["false", "false", /must be a JSON object/],
    ["a NUL character", '{"a":{"b":["\\u0000"]}}', /NUL/],
    ["a NUL character in a key", '{"a":[{"b\\u0000":1}]}', /NUL/],
    ["an unpaired surrogate", '{"a":["\\udc00"]}', /surrogate/],
    ["an infinite number", '{"a":[1e400]}', /number too large to be exact/],
    ["a number that JSON would round", '{"a":9007199254740993}', /number too large to be exact/],
    ["33 levels", JSON.stringify(nested(33)), /at most 32 levels deep/],
    ["thousands of levels", `{"a":${"[".repeat(30_000)}${"]".repeat(30_000)}}`, /32 levels/],
    ["16385 bytes", JSON.stringify({ a: "x".repeat(16_377) }), /at most 16 KiB/],
    ["16385 bytes in UTF-8", JSON.stringify({ a: `x${"\u00e9".repeat(8_188)}` }), /at most 16 KiB/],
  ])("with %s is refused", async (_, metadata, message) => {
    const consumed = await post(
      "/v1/consume",
      `{"user_id":"u","tokens_to_consume":1,"metadata":${metadata}}`,
    );
    expectRefusal(consumed, message);
    expect(consumed.json.error.message).toMatch(/^metadata /);
    expectRefusal(
      await post(
        "/v1/grants",
        `{"user_id":"u","tokens":1,"grant_type":"bonus","metadata":${metadata}}`,
      ),
      message,
    );
  });

  it.each<[string, unknown]>([
    ["nothing in it", {}],
    ["every kind of value", { a: [1, -1.5, 0.1, "\u{1f600}", true, null, {}] }],
    ["32 levels", nested(32)],
    ["16384 bytes", { a: "x".repeat(16_376) }],
  ])("with %s is accepted", async (_, metadata) => {
    expectPassed(await post("/v1/consume", { ...CONSUME, metadata }));
  });
});

describe("a grant", () => {
  it.each(["gift", "BONUS", "", null, 1])("of type %j is refused", async (type) => {
    expectRefusal(
      await post("/v1/grants", { ...GRANT, grant_type: type }),
      "grant_type must be one of trial, bonus, purchase, refund, adjustment",
    );
  });

  it.each(["trial", "bonus", "purchase", "refund", "adjustment"])(
    "of type %s is accepted",
    async (type) => expectPassed(await post("/v1/grants", { ...GRANT, grant_type: type })),
  );

  it.each([
    "2030-01-31",
    "2030-01-31T00:00Z",
    "2030-01-31T00:00:00",
    "2030-02-30T00:00:00Z",
    "0000-01-01T00:00:00Z",
    "2030-01-31T00:00:00+23:00",
    "2030-01-31T00:00:00.1234567891Z",
    "tomorrow",
    "infinity",
    "",
    1_900_000_000,
  ])("that expires at %j is refused", async (time) => {
    expectRefusal(
      await post("/v1/grants", { ...GRANT, expires_at: time }),
      /^expires_at must be an ISO 8601 time with an offset/,
    );
  });

  it.each([
    "2030-01-31T00:00:00Z",
    "2030-01-31T00:00:00.123456789+14:00",
    "9999-12-31T23:59:59-12:00",
  ])("that expires at %j is accepted", async (time) => {
    expectPassed(await post("/v1/grants", { ...GRANT, expires_at: time }));
  });
});

describe("a request id", () => {
  it.each<[string, object, Record<string, string>, string]>([
    ["of the body", { request_id: "order-7" }, {}, "order-7"],
    ["of the header", {}, { "idempotency-key": "order-7" }, "order-7"],
    ["of both", { request_id: "order-7" }, { "idempotency-key": "order-7" }, "order-7"],
    ["beside null in the body", { request_id: null }, { "idempotency-key": "order-7" }, "order-7"],
  ])("%s comes back in the answer", async (_, body, headers, id) => {
    const answer = await post("/v1/consume", { ...CONSUME, ...body }, headers);
    expectPassed(answer);
    expect(answer.json.error.request_id).toBe(id);
    expect(answer.headers.get("x-request-id")).toBe(id);
  });

  it("is generated if none is given", async () => {
    const answer = await post("/v1/consume", CONSUME);
    expect(answer.json.error.request_id).toMatch(/^[0-9a-f-]{36}$/);
    expect(answer.headers.get("x-request-id")).toBe(answer.json.error.request_id);
  });

  it("that differs between body and header is refused", async () => {
    expectRefusal(
      await post("/v1/consume", { ...CONSUME, request_id: "a" }, { "idempotency-key": "b" }),
      /Idempotency-Key header and request_id differ/,
    );
  });

  const noHeader = ["", "a".repeat(256), "\u00e9"];
  const noText = ["a\nb", "a\tb", "\x7f", "a\0", "a\ud800", "\u{1f600}", 5, {}, ["a"]];

  it.each(noHeader)("in a header is refused: %j", async (id) => {
    expectRefusal(
      await post("/v1/consume", CONSUME, { "idempotency-key": id }),
      /Idempotency-Key header must be 1 to 255 printable ASCII characters/,
    );
  });

  it.each([...noHeader, ...noText])("in a body is refused: %j", async (id) => {
    for (const [path, body] of Object.entries(BODIES)) {
      expectRefusal(
        await post(path, { ...body, request_id: id }),
        /^request_id must be 1 to 255 printable ASCII characters/,
      );
    }
  });

  it.each([" ", "~", "a b", "100%", "a".repeat(255), "\"'\\"])(
    "is accepted: %j, and comes back as it is",
    async (id) => {
      for (const [path, body] of Object.entries(BODIES)) {
        const answer = await post(path, { ...body, request_id: id });
        expectPassed(answer);
        expect(answer.json.error.request_id).toBe(id);
        expect(answer.headers.get("x-request-id")).toBe(id.trim());
      }
    },
  );
});

describe("a mode", () => {
  it.each(["all_or_nothing", "up_to"])("of %s is accepted", async (mode) => {
    expectPassed(await post("/v1/consume", { ...CONSUME, mode }));
    expectPassed(await post("/v1/check", { ...CONSUME, mode }));
  });

  it.each(["UP_TO", "", null, 1, true])("of %j is refused", async (mode) => {
    expectRefusal(
      await post("/v1/consume", { ...CONSUME, mode }),
      "mode must be one of all_or_nothing, up_to",
    );
  });
});

describe("a hold", () => {
  it.each([0, 86_401, 1.5, "600", null])("for %j seconds is refused", async (ttl_seconds) => {
    for (const [path, body] of [["/v1/holds", HOLD], [`${A_HOLD}/extend`, {}]] as const) {
      const answer = await post(path, { ...body, ttl_seconds });
      expectRefusal(answer, /^ttl_seconds must be a whole number from 1 to 86400/);
      expect(answer.json.error.hint).toContain("600 if left out");
    }
  });

  it.each([1, 86_400, undefined])("for %j seconds is accepted", async (ttl_seconds) => {
    expectPassed(await post("/v1/holds", { ...HOLD, ttl_seconds }));
    expectPassed(await post(`${A_HOLD}/extend`, { ttl_seconds }));
  });

  it.each([0, 1e15])("is settled with %i tokens", async (tokens) => {
    expectPassed(await post(`${A_HOLD}/settle`, { tokens }));
  });

  it.each([-1, 1e15 + 1, 0.5, "1", null])("is not settled with %j tokens", async (tokens) => {
    expectRefusal(
      await post(`${A_HOLD}/settle`, { tokens }),
      "tokens must be a whole number from 0 to 1000000000000000",
    );
  });

  it.each(["true", 1, null])("is not settled with allow_excess %j", async (allow_excess) => {
    expectRefusal(
      await post(`${A_HOLD}/settle`, { tokens: 1, allow_excess }),
      "allow_excess must be true or false",
    );
  });

  it("is released and extended without any body", async () => {
    expectPassed(await post(`${A_HOLD}/release`, ""));
    expectPassed(await post(`${A_HOLD}/extend`, ""));
    expectRefusal(await post(`${A_HOLD}/settle`, ""), /not valid JSON/);
    expectRefusal(await post(`${A_HOLD}/release`, " "), /not valid JSON/);
  });

  it("is released without a body under the id of the header", async () => {
    const { json } = await post(`${A_HOLD}/release`, "", { "idempotency-key": "r1" });
    expect(json.error.request_id).toBe("r1");
  });

  it.each([
    "1",
    "hold_",
    `hold_${"0f".repeat(16)}_0`,
    `hold_${"0f".repeat(16)}_07`,
    `hold_${"0F".repeat(16)}_7`,
    `hold_${"0f".repeat(16)}_${"9".repeat(19)}`,
    `hold_${"0f".repeat(16)}_7%00`,
    `hold_${"0f".repeat(16)}_7%0a`,
    "%00",
    "x".repeat(4000),
  ])("that cannot be is unknown: %s", async (id) => {
    for (const [step, body] of [["settle", { tokens: 1 }], ["extend", {}], ["release", {}]]) {
      const { status, json } = await post(`/v1/holds/${id}/${step}`, body);
      expect(status).toBe(404);
      expect(json.error.code).toBe("unknown_hold");
    }
  });
});

describe("a refund", () => {
  it.each([
    { ...REFUND, original_request_id: null },
    { user_id: "u", transfer_number: 1e15, tokens: null, grant_expires_at: null },
    { user_id: "u", original_request_id: "r", regrant_lapsed: true },
    { ...REFUND, tokens: 1, grant_expires_at: "2030-01-31T00:00:00Z", metadata: { a: 1 } },
  ])("%j is accepted", async (body) => expectPassed(await post("/v1/refunds", body)));

  it.each([
    { user_id: "u" },
    { user_id: "u", transfer_number: null, original_request_id: null },
    { ...REFUND, original_request_id: "r" },
  ])("%j is refused: it names no one transfer", async (body) => {
    const answer = await post("/v1/refunds", body);
    expectRefusal(
      answer,
      /^transfer_number or original_request_id must be given, and not both\.$/,
    );
    expect(answer.json.error.hint).toContain("original_request_id");
  });

  it.each<[object, string]>([
    [{ transfer_number: 0 }, "transfer_number must be a whole number from 1"],
    [{ transfer_number: "1" }, "transfer_number must be a whole number from 1"],
    [{ transfer_number: null, original_request_id: "é" }, "original_request_id must be 1 to 255"],
    [{ tokens: 0 }, "tokens must be a whole number from 1"],
    [{ regrant_lapsed: "yes" }, "regrant_lapsed must be true or false"],
    [{ grant_expires_at: "tomorrow" }, "grant_expires_at must be an ISO 8601 time"],
  ])("with %j is refused", async (change, message) => {
    expectRefusal(await post("/v1/refunds", { ...REFUND, ...change }), message);
  });
});

describe("a batch", () => {
  const batch = (items: unknown, headers: Record<string, string> = {}) =>
    post("/v1/consume/batch", { items }, headers);
  const many = (count: number, item: unknown = CONSUME) => Array(count).fill(item);

  it.each([1, 1000])("of %i items is accepted", async (count) => {
    expectPassed(await batch(many(count)));
  });

  it.each([[[]], [many(1001)], [null], [{}], ["[]"], [undefined]])(
    "of %j is refused",
    async (items) => {
      expectRefusal(await batch(items), /^items (must be a list of 1 to 1000 objects|is required)/);
    },
  );

  it("is refused as a whole for one wrong item, which is named", async () => {
    const answer = await batch([CONSUME, { ...CONSUME, tokens_to_consume: 0 }]);
    expectRefusal(answer, /^items\[1\]\.tokens_to_consume must be a whole number from 1 to/);
    expect(answer.json.error.hint).toContain("without quotes or fraction");
  });

  it.each<[unknown, string]>([
    ["text", "items[0] must be an object."],
    [null, "items[0] must be an object."],
    [{ ...CONSUME, price: 1 }, '"price" is not a field of items[0].'],
    [{ tokens_to_consume: 1 }, "items[0].user_id is required."],
    [{ ...CONSUME, metadata: [] }, "items[0].metadata must be a JSON object."],
    [{ ...CONSUME, request_id: "é" }, "items[0].request_id must be 1 to 255 printable ASCII"],
    [{ ...CONSUME, mode: "some" }, "items[0].mode must be one of all_or_nothing, up_to."],
  ])("with the item %j is refused", async (item, message) => {
    const answer = await batch([item]);
    expectRefusal(answer, "");
    expect(answer.json.error.message).toContain(message);
    expect(answer.json.error.hint).not.toBe("");
  });

  it("is told the fields of an item where one is unknown", async () => {
    const { json } = await batch([{ ...CONSUME, price: 1 }]);
    expect(json.error.hint).toMatch(/^The fields are user_id, tokens_to_consume/);
  });

  it("of nothing but mistakes is not told all of them", async () => {
    const { json } = await batch(many(1000, {}));
    expect(json.error.message).toMatch(/^items\[0\].user_id is required; .+ and more\.$/);
    expect(json.error.message.length).toBeLessThan(1000);
  });

  it("has no request_id of its own in the body", async () => {
    expectRefusal(
      await post("/v1/consume/batch", { items: [CONSUME], request_id: "r1" }),
      '"request_id" is not a field of this request',
    );
  });

  it("with a key too long for the ids of its items is refused, naming the header", async () => {
    const key = "k".repeat(253);
    expectPassed(await batch(many(10), { "idempotency-key": key }));
    expectRefusal(
      await batch(many(11), { "idempotency-key": key }),
      /^The Idempotency-Key header is too long/,
    );
    expectPassed(
      await batch(many(11, { ...CONSUME, request_id: "own" }), { "idempotency-key": key }),
    );
  });

  it("may be 1 MiB long, and no longer", async () => {
    const items = many(1000, { ...CONSUME, metadata: { note: "x".repeat(900) } });
    expectPassed(await batch(items));
    const { status, json } = await batch(many(1000, { ...CONSUME, tag: "x".repeat(1100) }));
    expect([status, json.error.code]).toEqual([413, "request_too_large"]);
  });
});

describe("a user_id in the path", () => {
  const balanceOf = (id: string) => get(`/v1/users/${id}/balance`);

  it.each(["a", "/", "%", "?", "#", "+", " ", "\n", "\u00e9", "\u{1f600}", "\u2028", "..x", "%2F"])(
    "is decoded before its characters are counted: %j",
    async (character) => {
      const longest = [...character.repeat(255)].slice(0, 255).join("");
      for (const route of ["balance", "transfers"]) {
        expectPassed(await get(`/v1/users/${encodeURIComponent(longest)}/${route}`));
        expectRefusal(
          await get(`/v1/users/${encodeURIComponent(`${longest}a`)}/${route}`),
          "user_id must be text of 1 to 255 characters",
        );
      }
    },
  );

  it.each(["%", "%zz", "%e9", "a%", "%ED%A0%80", "%C3"])(
    "with a malformed percent-encoding is refused: %s",
    async (id) => expectRefusal(await balanceOf(id), /malformed percent-encoding/),
  );

  it("with a NUL character is refused", async () => {
    expectRefusal(await balanceOf("a%00"), /user_id must be text/);
  });
});

describe("a query parameter", () => {
  const transfers = (query: string) => get(`/v1/users/u/transfers?${query}`);

  it.each(["0", "101", "-1", "1.5", "1e1", "abc", "", "%201", "0x10", "1000"])(
    "limit=%s is refused",
    async (limit) =>
      expectRefusal(
        await transfers(`limit=${limit}`),
        "limit must be a whole number from 1 to 100",
      ),
  );

  it.each(["0", "-1", "abc", "", "1.5", "1".repeat(16)])(
    "cursor=%s is refused",
    async (cursor) =>
      expectRefusal(await transfers(`cursor=${cursor}`), "cursor must be the next_cursor"),
  );

  it.each(["", "limit=1", "limit=100", "cursor=1", "limit=10&cursor=999999999999999"])(
    "list ?%s is accepted",
    async (query) => expectPassed(await transfers(query)),
  );

  it.each(["offset=1", "limit=1&project_id=x"])("list ?%s is refused", async (query) => {
    expectRefusal(await transfers(query), /is not a field of this request/);
  });

  it("given twice is refused", async () => {
    expectRefusal(await transfers("limit=1&limit=2"), /"limit" is given more than once/);
  });

  it("is refused where there is none", async () => {
    expectRefusal(await get("/v1/users/u/balance?as_of=now"), /"as_of" is not a field/);
    expectRefusal(await post("/v1/consume?dry_run=true", CONSUME), /"dry_run" is not a field/);
    expectRefusal(await post("/v1/grants?dry_run=true", GRANT), /"dry_run" is not a field/);
  });
});
