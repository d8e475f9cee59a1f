import { createHash } from "node:crypto";
import { beforeEach, describe, expect, it, vi } from "vitest";
import { apiKeyHash } from "../../supabase/functions/_shared/api_key.ts";
import { makeApiKey, PASSED_ON_TO_THE_DATABASE, request } from "./app.ts";

const KEY = makeApiKey("ab");
const OTHER_KEY = makeApiKey("cd");
const JWT = "eyJhbGciOiJIUzI1NiJ9.e30.signature";
const HASH = `\\x${createHash("sha256").update(KEY).digest("hex")}`;

beforeEach(() => {
  vi.spyOn(console, "error").mockImplementation(() => {});
});

describe("an API key is found", () => {
  it.each([
    ["in Authorization", { authorization: `Bearer ${KEY}` }],
    ["in Authorization, whatever the case of the scheme", { authorization: `bearer  ${KEY}` }],
    ["in x-api-key", { "x-api-key": KEY }],
    ["in both headers", { authorization: `Bearer ${KEY}`, "x-api-key": KEY }],
    ["in x-api-key beside a Supabase JWT", { authorization: `Bearer ${JWT}`, "x-api-key": KEY }],
    ["beside the apikey header of Supabase clients", {
      authorization: `Bearer ${KEY}`,
      apikey: "sb_publishable_x",
    }],
  ])("%s, and hashed as the database stores it", async (_, headers) => {
    expect(await apiKeyHash(new Headers(headers))).toBe(HASH);
  });
});

describe("an API key is refused without asking the database", () => {
  const mistyped = KEY.replace("tg_live_ab", "tg_live_ba");
  it.each<[string, Record<string, string>, string, RegExp]>([
    ["none", {}, "missing_api_key", /no API key/],
    ["only the apikey header", { apikey: KEY }, "missing_api_key", /no API key/],
    ["only a JWT", { authorization: `Bearer ${JWT}` }, "invalid_api_key", /no Tollgate API key/],
    ["no Bearer before it", { authorization: KEY }, "invalid_api_key", /no Tollgate API key/],
    ["too short", { "x-api-key": KEY.slice(0, -1) }, "invalid_api_key", /malformed/],
    ["too long", { "x-api-key": `${KEY}0` }, "invalid_api_key", /malformed/],
    ["upper case", { "x-api-key": KEY.toUpperCase() }, "invalid_api_key", /malformed/],
    ["a Supabase key", { "x-api-key": "sb_secret_x" }, "invalid_api_key", /malformed/],
    ["mistyped", { authorization: `Bearer ${mistyped}` }, "invalid_api_key", /checksum/],
    [
      "two different ones",
      { authorization: `Bearer ${KEY}`, "x-api-key": OTHER_KEY },
      "invalid_api_key",
      /different API keys/,
    ],
  ])("%s", async (_, headers, code, message) => {
    for (const path of ["/v1/consume", "/v1/grants"]) {
      const answer = await request(path, { method: "POST", headers, body: "{}" });
      expect(answer.status).toBe(401);
      expect(answer.headers.get("www-authenticate")).toBe("Bearer");
      expect(answer.json.error.code).toBe(code);
      expect(answer.json.error.message).toMatch(message);
    }
    for (const path of ["/v1/users/u/balance", "/v1/users/u/transfers"]) {
      expect((await request(path, { headers })).status).toBe(401);
    }
  });

  it("and is never repeated in the answer", async () => {
    const { json } = await request("/v1/users/u/balance", { headers: { "x-api-key": mistyped } });
    expect(JSON.stringify(json)).not.toContain(mistyped.slice(8));
  });
});

it("a well-formed key goes to the database", async () => {
  const { status } = await request("/v1/users/u/balance", { headers: { "x-api-key": KEY } });
  expect(status).toBe(PASSED_ON_TO_THE_DATABASE);
});
