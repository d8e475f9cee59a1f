import { expect, test } from "vitest";
import { callApi } from "../support/tenant.ts";

const origin = "https://app.example";
// Ours, and some of what supabase-js and tracing add.
const sent = ["authorization", "x-api-key", "content-type", "idempotency-key"];
sent.push("apikey", "x-client-info", "x-region", "x-retry-count", "traceparent", "baggage");

test.each([
  ["POST", "/v1/consume"],
  ["POST", "/v1/grants"],
  ["POST", "/v1/holds/hold_1/settle"],
  ["GET", "/v1/users/ada/balance"],
  ["GET", "/v1/users/ada/transfers"],
  ["PUT", "/v1/users/ada/link"],
  ["PATCH", "/v1/users/ada"],
])("the preflight of %s %s needs no key", async (method, path) => {
  const { status, headers, body } = await callApi(path, {
    method: "OPTIONS",
    headers: {
      origin,
      "access-control-request-method": method,
      "access-control-request-headers": sent.join(","),
    },
  });

  expect(status).toBe(204);
  expect(body).toBeUndefined();
  expect(headers.get("access-control-allow-origin")).toBe("*");
  expect(headers.get("access-control-allow-methods")?.split(",")).toContain(method);
  expect(headers.get("access-control-allow-headers")?.split(",")).toEqual(sent);
});

test.each([
  [200, "GET", "/v1/health"],
  [400, "GET", "/v1/users/%zz/balance"],
  [401, "POST", "/v1/consume"],
  [404, "GET", "/v1/nothing"],
  [405, "DELETE", "/v1/consume"],
])("a browser may read an answer of %i", async (expected, method, path) => {
  const { status, headers } = await callApi(path, { method, headers: { origin } });

  expect(status).toBe(expected);
  expect(headers.get("access-control-allow-origin")).toBe("*");
  expect(headers.get("access-control-expose-headers")?.split(",")).toEqual(
    expect.arrayContaining([
      "x-request-id",
      "retry-after",
      "ratelimit",
      "ratelimit-policy",
      "idempotent-replayed",
    ]),
  );
});

test("no cookie or other credential of the browser is asked for", async () => {
  const { headers } = await callApi("/v1/health", { headers: { origin } });

  expect(headers.has("access-control-allow-credentials")).toBe(false);
});
