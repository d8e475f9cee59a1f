import { beforeEach, describe, expect, it, vi } from "vitest";
import { type Answer, get, PASSED_ON_TO_THE_DATABASE, patch, post } from "./app.ts";

// What is taken for right, and how mistakes are told. Whatever else is refused is in tests/input.

const CONSUME = { user_id: "user_123", tokens_to_consume: 500 };
const GRANT = { user_id: "user_123", tokens: 500, grant_type: "bonus" };
const HOLD = { user_id: "user_123", tokens: 500 };
const REFUND = { user_id: "user_123", transfer_number: 1 };
const RECURRING_GRANT = { ...GRANT, every: "1 week" };
const A_HOLD = `/v1/holds/hold_${"0f".repeat(16)}_7`;
const A_GRANT = "/v1/grants/0198d7a4-6f3e-7c1a-9d52-3b8f2c64e1a7";

/** A body that is right, of every route of POST that takes a request_id. */
const BODIES = {
  "/v1/consume": CONSUME,
  "/v1/check": CONSUME,
  "/v1/grants": GRANT,
  "/v1/holds": HOLD,
  [`${A_HOLD}/settle`]: { tokens: 1 },
  [`${A_HOLD}/extend`]: { ttl_seconds: 1 },
  [`${A_HOLD}/release`]: {},
  "/v1/refunds": REFUND,
  "/v1/recurring-grants": RECURRING_GRANT,
  [`${A_GRANT}/void`]: { user_id: "user_123" },
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
    const ofGrants = { tags: null, metadata: null, request_id: null };
    expectPassed(
      await post("/v1/grants", {
        ...{ ...GRANT, ...ofGrants, effective_at: null, expires_at: null },
        ...{ cost_basis: null, cost_currency: null },
      }),
    );
    expectPassed(
      await post("/v1/recurring-grants", {
        ...{ ...RECURRING_GRANT, ...ofGrants, starts_at: null, ends_at: null, valid_for: null },
      }),
    );
  });
});

describe("tokens", () => {
  it.each([1, 1_000_000_000_000_000])("%i are accepted", async (tokens) => {
    expectPassed(await post("/v1/consume", { ...CONSUME, tokens_to_consume: tokens }));
    expectPassed(await post("/v1/grants", { ...GRANT, tokens }));
  });
});

describe("text", () => {
  const right: [string, string][] = [
    ["1 character", "a"],
    ["a space", " "],
    ["two dots", ".."],
    ["any characters", "50%/\u00e9?#\n"],
    ["255 characters", "a".repeat(255)],
    ["255 characters of two UTF-16 units", "\u{1f600}".repeat(255)],
  ];

  for (const field of ["user_id", "tag"]) {
    it.each(right)(`is accepted as ${field}: %s`, async (_, value) => {
      expectPassed(await post("/v1/consume", { ...CONSUME, [field]: value }));
    });
  }
});

describe("metadata", () => {
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
  it.each(["trial", "bonus", "purchase", "refund", "adjustment"])(
    "of type %s is accepted",
    async (type) => expectPassed(await post("/v1/grants", { ...GRANT, grant_type: type })),
  );

  it.each([
    "2030-01-31T00:00:00Z",
    "2030-01-31T00:00:00.123456789+14:00",
    "9999-12-31T23:59:59-12:00",
  ])("that begins, or expires, at %j is accepted", async (time) => {
    expectPassed(await post("/v1/grants", { ...GRANT, expires_at: time }));
    expectPassed(await post("/v1/grants", { ...GRANT, effective_at: time }));
  });

  it.each([
    { priority: 1 },
    { priority: 100 },
    { tags: ["GPT-4"] },
    { tags: Array.from({ length: 100 }, (_, n) => `tag ${n}`) },
    { cost_basis: 0, cost_currency: "EUR" },
    { cost_basis: 1e15, cost_currency: "JPY" },
  ])("with %j is accepted", async (more) => {
    expectPassed(await post("/v1/grants", { ...GRANT, ...more }));
  });

  it.each([{ cost_basis: 1 }, { cost_currency: "EUR" }, { cost_basis: 0, cost_currency: null }])(
    "with %j, half a price, is refused",
    async (half) => {
      expectRefusal(
        await post("/v1/grants", { ...GRANT, ...half }),
        /^cost_basis and cost_currency must be given together, or neither\.$/,
      );
    },
  );

  it("is told which of its tags is wrong", async () => {
    const answer = await post("/v1/grants", { ...GRANT, tags: ["GPT-4", ""] });
    expectRefusal(answer, /^tags\[1\] must be text of 1 to 255 characters/);
    expect(answer.json.error.hint).toContain("spelt exactly");
  });

  it("cannot be of the type that quotas make by themselves", async () => {
    for (
      const [path, body] of Object.entries({ grants: GRANT, "recurring-grants": RECURRING_GRANT })
    ) {
      expectRefusal(
        await post(`/v1/${path}`, { ...body, grant_type: "rollover" }),
        /^grant_type must be one of trial, bonus, purchase, refund, adjustment\.$/,
      );
    }
  });
});

describe("a recurring grant", () => {
  const PERIODS = ["1 day", "1 week", "2 weeks", "1 month", "3 months", "6 months", "1 year"];

  it.each(PERIODS)("of every %s is accepted", async (every) => {
    expectPassed(await post("/v1/recurring-grants", { ...RECURRING_GRANT, every }));
  });

  it("of every hour is refused, with the periods there are", async () => {
    expectRefusal(
      await post("/v1/recurring-grants", { ...RECURRING_GRANT, every: "1 hour" }),
      `every must be one of ${PERIODS.join(", ")}.`,
    );
  });

  it.each(["1 hour", ...PERIODS])("may be valid for %s", async (valid_for) => {
    expectPassed(await post("/v1/recurring-grants", { ...RECURRING_GRANT, valid_for }));
  });
});

describe("a change of a user", () => {
  it.each([
    { plan: "Pro" },
    { plan: "Pro", when: "period_end", quota_policy: "prorate", request_id: "r1" },
    { payment_status: "canceled", when: "period_end" },
    { quota_open_until: "2030-01-31T00:00:00Z" },
    { billing_anchor: "2020-01-31T00:00:00+02:00" },
    { time_zone: "Europe/Paris" },
    { time_zone: null },
  ])("to %j is accepted", async (change) => expectPassed(await patch("/v1/users/u", change)));

  it.each([{}, { when: "period_end" }, { quota_policy: "reset", request_id: "r1" }])(
    "of nothing (%j) is refused, with what could be changed",
    async (change) => {
      expectRefusal(
        await patch("/v1/users/u", change),
        /^plan or payment_status, quota_open_until, billing_anchor or time_zone must be given\.$/,
      );
    },
  );

  it.each(["plan", "payment_status", "quota_open_until", "billing_anchor", "when", "quota_policy"])(
    "does not take null for %s, which could mean many things",
    async (field) => {
      expectRefusal(
        await patch("/v1/users/u", { time_zone: null, [field]: null }),
        new RegExp(`^${field} must be`),
      );
    },
  );
});

describe("the id of a grant in the path", () => {
  const END = "/v1/recurring-grants/0198d7a4-6f3e-7c1a-9d52-3b8f2c64e1a7/end";

  it("may be in capitals, as Postgres does not mind", async () => {
    const body = { user_id: "u" };
    expectPassed(
      await post(`${A_GRANT.toUpperCase().replace("/V1/GRANTS", "/v1/grants")}/void`, body),
    );
    expectPassed(await post(END, body));
  });

  it.each(["1", "a", "0198d7a4-6f3e-7c1a-9d52-3b8f2c64e1a", "%27", "null"])(
    "that cannot be one (%s) is as unknown as one that no grant has",
    async (id) => {
      for (const path of [`/v1/grants/${id}/void`, `/v1/recurring-grants/${id}/end`]) {
        const { status, json } = await post(path, { user_id: "u" });
        expect([status, json.error.code]).toEqual([404, "unknown_grant"]);
      }
    },
  );
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
});

describe("a hold", () => {
  it.each([1, 86_400, undefined])("for %j seconds is accepted", async (ttl_seconds) => {
    expectPassed(await post("/v1/holds", { ...HOLD, ttl_seconds }));
    expectPassed(await post(`${A_HOLD}/extend`, { ttl_seconds }));
  });

  it.each([0, 1e15])("is settled with %i tokens", async (tokens) => {
    expectPassed(await post(`${A_HOLD}/settle`, { tokens }));
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
});

describe("a query parameter", () => {
  const transfers = (query: string) => get(`/v1/users/u/transfers?${query}`);

  it.each(["", "limit=1", "limit=100", "cursor=1", "limit=10&cursor=999999999999999"])(
    "list ?%s is accepted",
    async (query) => expectPassed(await transfers(query)),
  );

  it.each(["offset=1", "limit=1&project_id=x"])("list ?%s is refused", async (query) => {
    expectRefusal(await transfers(query), /is not a field of this request/);
  });

  const UTC = "2026-01-31T00:00:00Z";

  it.each([
    `users/u/balance?as_of=${UTC}`,
    "users/u/balance?as_of=2026-01-31T00:00:00.123456%2B02:00",
    "users/u/balance?as_of=2026-01-31T00:00:00-02:00",
    `usage?from=${UTC}`,
    `usage?from=${UTC}&to=2026-02-01T00:00:00Z&step=hour&group_by=tag&user_id=u&tag=GPT-4`,
  ])("of %s is accepted", async (path) => expectPassed(await get(`/v1/${path}`)));

  it.each([
    ["as_of", "users/u/balance?as_of=2026-01-31T00:00:00+02:00"],
    ["from", "usage?from=2026-01-31T00:00:00+02:00"],
    ["to", `usage?from=${UTC}&to=2026-01-31T00:00:00+02:00`],
  ])("%s whose + has become a space is told how to write it", async (field, path) => {
    const answer = await get(`/v1/${path}`);
    expectRefusal(answer, new RegExp(`^${field} must be an ISO 8601 time with an offset`));
    expect(answer.json.error.hint).toContain("write Z, or %2B for the + of an offset");
  });

  it("of the usage must say from when on", async () => {
    const answer = await get("/v1/usage");
    expectRefusal(answer, /^from is required\.$/);
    expect(answer.json.error.hint).toMatch(/ISO 8601/);
  });

  it("given twice is refused", async () => {
    expectRefusal(await transfers("limit=1&limit=2"), /"limit" is given more than once/);
  });

  it("is refused where there is none", async () => {
    expectRefusal(await get("/v1/users/u/balance?at=now"), /"at" is not a field/);
    expectRefusal(await post("/v1/consume?dry_run=true", CONSUME), /"dry_run" is not a field/);
    expectRefusal(await post("/v1/grants?dry_run=true", GRANT), /"dry_run" is not a field/);
  });
});
