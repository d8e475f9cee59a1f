import { describe, expect, it } from "vitest";
import type { LimitState } from "../../supabase/functions/_shared/database.ts";
import { rateLimitHeaders } from "../../supabase/functions/api/rate_limit.ts";

const created_at = "2030-01-15T10:30:00.250001+00:00";
const LIMIT: LimitState = {
  tags: null,
  max_tokens: 2000,
  duration: "1 day",
  window: "calendar",
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

  it.each([
    ["1 hour", '"hour";q=2000;qu="tokens";w=3600'],
    ["1 day", '"day";q=2000;qu="tokens";w=86400'],
    ["1 week", '"week";q=2000;qu="tokens";w=604800'],
    ["1 month", '"month";q=2000;qu="tokens"'],
    ["5 hours", '"5-hours";q=2000;qu="tokens";w=18000'],
    ["5 hour", '"5-hours";q=2000;qu="tokens";w=18000'],
    ["1 days", '"day";q=2000;qu="tokens";w=86400'],
    ["10 days", '"10-days";q=2000;qu="tokens";w=864000'],
    ["2 weeks", '"2-weeks";q=2000;qu="tokens";w=1209600'],
    ["999 weeks", '"999-weeks";q=2000;qu="tokens";w=604195200'],
    ["3 months", '"3-months";q=2000;qu="tokens"'],
  ])("of %s have the length of the window, if it has one", (duration, policy) => {
    const headers = headersOf({ duration });
    expect(headers["ratelimit-policy"]).toBe(policy);
    expect(headers["ratelimit"]).toBe(`${policy.split(";")[0]};r=1500;t=48600`);
  });

  it("tell a rolling window from the calendar's", () => {
    const headers = headersOf({ window: "rolling", duration: "5 hours", tags: ["GPT-4"] });
    expect(headers["ratelimit-policy"]).toBe(
      '"rolling-5-hours-GPT-4";q=2000;qu="tokens";w=18000',
    );
    expect(headersOf({ window: "rolling" })["ratelimit-policy"]).toBe(
      '"rolling-day";q=2000;qu="tokens";w=86400',
    );
  });

  it("name all tags that share a limit", () => {
    expect(headersOf({ tags: ["GPT-4", "a,b"] })["ratelimit"]).toBe(
      '"day-GPT-4,a%2Cb";r=1500;t=48600',
    );
  });

  it("stay short with a hundred long tags, and whole with one", () => {
    const longest = "\u{1f600}".repeat(100);
    const one = headersOf({ tags: [longest] });
    const hundred = headersOf({ tags: Array(100).fill(longest) });
    expect(one["ratelimit"]).toBe(`"day-${encodeURIComponent(longest)}";r=1500;t=48600`);
    expect(hundred["ratelimit"]).toMatch(/^"day-[%,0-9A-F]{1996}";r=1500;t=48600$/);
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
    const headers = headersOf({ tags: [tag] });
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
