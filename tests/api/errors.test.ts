import { afterEach, beforeEach, describe, expect, it, type MockInstance, vi } from "vitest";
import {
  databaseError,
  errorKinds,
  errorResponse,
} from "../../supabase/functions/_shared/errors.ts";
import { retryAfter } from "../../supabase/functions/api/answer.ts";
import { makeApiKey, post, SECRET_KEY } from "./app.ts";

let log: MockInstance<typeof console.error>;
beforeEach(() => {
  log = vi.spyOn(console, "error").mockImplementation(() => {});
});
afterEach(() => {
  vi.restoreAllMocks();
});

function loggedLine(): string {
  expect(log).toHaveBeenCalledOnce();
  return log.mock.calls[0]?.[0];
}

const failure = { rpc: "consume_with_api_key", status: 400, message: "what is wrong", hint: null };

describe("a registered SQLSTATE", () => {
  it.each([
    ["TG001", "invalid_request", 400],
    ["TG002", "invalid_api_key", 401],
    ["TG003", "missing_scope", 403],
    ["TG004", "unknown_user", 404],
    ["TG005", "unknown_tag", 400],
    ["TG006", "idempotency_mismatch", 422],
    ["TG007", "ledger_protected", 409],
    ["TG008", "forbidden", 403],
    ["TG009", "unknown_project", 404],
    ["TG010", "link_conflict", 409],
    ["TG011", "unknown_hold", 404],
    ["TG012", "hold_not_open", 409],
    ["TG013", "exceeds_hold", 422],
    ["TG014", "unknown_transfer", 404],
    ["TG015", "exceeds_refundable", 422],
    ["TG016", "unknown_grant", 404],
    ["TG017", "grant_ended", 409],
  ])("%s is answered as %s, %i, in the database's own words", async (sqlstate, code, status) => {
    const error = databaseError({ ...failure, code: sqlstate, hint: "what to do" });
    const response = errorResponse(error, "order-7");
    expect(response.status).toBe(status);
    expect(await response.json()).toEqual({
      error: { code, message: "what is wrong", hint: "what to do", request_id: "order-7" },
    });
    expect(log).not.toHaveBeenCalled();
  });

  it("without a hint gets the one of its kind", () => {
    expect(databaseError({ ...failure, code: "TG005" }).hint).toBe(errorKinds.unknown_tag.hint);
  });

  it("for a key is answered with WWW-Authenticate", () => {
    const { headers } = errorResponse(databaseError({ ...failure, code: "TG002" }), "order-7");
    expect(headers.get("www-authenticate")).toBe("Bearer");
  });
});

describe("trouble of the database", () => {
  it.each([
    ["57014", 500],
    ["57P01", 503],
    ["55P03", 500],
    ["40P01", 500],
    ["40001", 500],
    ["53300", 503],
    ["08006", 503],
    ["25006", 405],
    ["PGRST000", 503],
    ["PGRST003", 504],
    [undefined, 0],
    ["", 0],
    [undefined, 502],
    [undefined, 429],
  ])("that passes (%s, HTTP %i) is 503 with the promise of a safe retry", async (code, status) => {
    const response = errorResponse(databaseError({ ...failure, code, status }), "order-7");
    expect(response.status).toBe(503);
    expect(response.headers.get("retry-after")).toBe("1");
    const { error } = await response.json();
    expect(error).toMatchObject({ code: "temporarily_unavailable", request_id: "order-7" });
    expect(error.hint).toMatch(/never applied twice/);
  });

  it.each([
    ["22012", 400],
    ["42883", 404],
    ["42501", 403],
    ["XX000", 500],
    ["P0001", 400],
    ["PGRST202", 404],
    ["PGRST301", 401],
    [undefined, 401],
    [undefined, 200],
  ])("that nobody foresaw (%s, HTTP %i) is 500 with the same promise", async (code, status) => {
    const response = errorResponse(databaseError({ ...failure, code, status }), "order-7");
    expect(response.status).toBe(500);
    const { error } = await response.json();
    expect(error).toMatchObject({ code: "internal_error", request_id: "order-7" });
    expect(error.hint).toMatch(/never applied twice/);
  });

  it("is told to the log and not to the caller", async () => {
    const response = errorResponse(
      databaseError({ ...failure, code: "XX000", message: "inner detail" }),
      "order-7",
    );
    expect(await response.text()).not.toContain("inner detail");
    expect(JSON.parse(loggedLine())).toEqual({
      code: "internal_error",
      status: 500,
      request_id: "order-7",
      cause: { rpc: "consume_with_api_key", status: 400, code: "XX000", message: "inner detail" },
    });
  });

  it("is logged as one line without secrets", async () => {
    const { status } = await post("/v1/consume", {
      user_id: "private-user",
      tokens_to_consume: 5,
      metadata: { note: "private-note" },
    });
    expect(status).toBe(503);
    const line = loggedLine();
    expect(JSON.parse(line).cause.rpc).toBe("consume_with_api_key");
    expect(line).not.toMatch(/\n|tg_live_|[0-9a-f]{40}|private/);
    expect(line).not.toContain(SECRET_KEY);
    expect(line).not.toContain(makeApiKey());
  });
});

describe("an unexpected exception", () => {
  it("is 500, with its stack in the log alone", async () => {
    const response = errorResponse(new TypeError("a bug of ours"), "order-7");
    expect(response.status).toBe(500);
    expect(await response.text()).not.toContain("bug of ours");
    expect(JSON.parse(loggedLine()).cause).toMatchObject({
      message: "a bug of ours",
      stack: expect.stringContaining("errors.test.ts"),
    });
  });
});

describe("Retry-After of a denial", () => {
  const created_at = "2030-01-15T10:30:00.250001+00:00";
  it.each([
    ["2030-01-15T11:00:00+00:00", "1800"],
    ["2030-01-15T12:30:05.251+02:00", "6"],
    ["2030-01-15T10:30:00.3+00:00", "1"],
    ["2030-01-15T10:29:00+00:00", "1"],
  ])("until %s is %s whole seconds", (retry_at, seconds) => {
    expect(retryAfter({ retry_at, created_at })).toEqual({ "retry-after": seconds });
  });

  it("is left out where waiting does not help", () => {
    expect(retryAfter({ retry_at: null, created_at })).toEqual({});
  });
});
