import { describe, expect, it } from "vitest";
import type { LimitState } from "../../supabase/functions/_shared/database.ts";
import { rateLimitHeaders } from "../../supabase/functions/api/rate_limit.ts";

const created_at = "2030-01-15T10:30:00.250001+00:00";
const LIMIT: LimitState = {
  tag: null,
  max_tokens: 2000,
  duration: "1 day",
  left: 1500,
  resets_at: "2030-01-16T00:00:00+00:00",
};

function headersOf(change: Partial<LimitState>) {
  return rateLimitHeaders({ nearest_limit: { ...LIMIT, ...change }, replayed: false, created_at });
}

describe("the headers of a restriction", () => {
  it("name it, its quota and its window, and what is left for how long", () => {
    expect(headersOf({})).toEqual({
      "ratelimit-policy": '"day";q=2000;qu="tokens";w=86400',
      "ratelimit": '"day";r=1500;t=48600',
    });
  });

  it.each(
    [
      ["1 hour", '"hour";q=2000;qu="tokens";w=3600'],
      ["1 day", '"day";q=2000;qu="tokens";w=86400'],
      ["1 week", '"week";q=2000;qu="tokens";w=604800'],
      ["1 month", '"month";q=2000;qu="tokens"'],
    ] as const,
  )("of %s have the length of the window, if it has one", (duration, policy) => {
    expect(headersOf({ duration })["ratelimit-policy"]).toBe(policy);
  });

  it.each([
    ["GPT-4", "day-GPT-4"],
    ["two words", "day-two%20words"],
    ['"', "day-%22"],
    ["\\", "day-%5C"],
    ["100%", "day-100%25"],
    ["a\r\nset-cookie: b", "day-a%0D%0Aset-cookie%3A%20b"],
    ["\u043a\u043b", "day-%D0%BA%D0%BB"],
    ["\u{1f600}", "day-%F0%9F%98%80"],
    [";r=1", "day-%3Br%3D1"],
  ])("for the tag %j are valid structured fields", (tag, name) => {
    const headers = headersOf({ tag });
    expect(headers["ratelimit-policy"]).toBe(`"${name}";q=2000;qu="tokens";w=86400`);
    expect(headers["ratelimit"]).toBe(`"${name}";r=1500;t=48600`);
  });

  it("have no integer of more than 15 digits", () => {
    expect(headersOf({ max_tokens: 1e15, left: 1e15 })).toEqual({
      "ratelimit-policy": '"day";q=999999999999999;qu="tokens";w=86400',
      "ratelimit": '"day";r=999999999999999;t=48600',
    });
  });

  it.each([
    ["2030-01-15T10:30:00.3+00:00", 1],
    ["2030-01-15T12:30:05.251+02:00", 6],
    ["2030-01-15T10:29:00+00:00", 0],
  ])("until %s count %i whole seconds, rounded up", (resets_at, seconds) => {
    expect(headersOf({ resets_at })["ratelimit"]).toBe(`"day";r=1500;t=${seconds}`);
  });
});

it("without a restriction there are no headers", () => {
  expect(rateLimitHeaders({ nearest_limit: null, replayed: false, created_at })).toEqual({});
});

it("a replay, which knows what was left then, says nothing of now", () => {
  expect(rateLimitHeaders({ nearest_limit: LIMIT, replayed: true, created_at })).toEqual({});
});
