import { describe, expect, it } from "vitest";
import { endpoints } from "../../supabase/functions/api/routes.ts";
import { raw, request } from "./app.ts";

const ORIGIN = "https://app.example";
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

describe("health", () => {
  it.each(["/v1/health", "/v1/health?a=1", "/v1/health?%FF"])(
    "%s is answered without a key",
    async (path) => {
      const { status, json } = await request(path);
      expect([status, json]).toEqual([200, { status: "ok" }]);
    },
  );
});

describe("an unknown route", () => {
  it.each([["GET", "/v1/consume/"], ["GET", "/v2/health"], ["POST", "/"], ["PUT", "/v1/nothing"]])(
    "%s %s is answered 404 with the routes there are",
    async (method, path) => {
      const { status, json } = await request(path, { method });
      expect(status).toBe(404);
      expect(json.error).toMatchObject({ code: "unknown_route" });
      expect(json.error.message).toContain(`${method} /api${path}`);
      for (const endpoint of endpoints) {
        expect(json.error.hint).toContain(`${endpoint.method} ${endpoint.path}`);
      }
    },
  );
});

describe("a method that a route does not take", () => {
  it.each(
    endpoints.flatMap(({ method, path }) =>
      ["GET", "POST", "PUT", "PATCH", "DELETE"].filter((other) => other !== method)
        .map((other) => [other, path.replace(/:\w+/, "u"), method])
    ),
  )("%s %s is answered 405 and told to use %s", async (method, path, right) => {
    const { status, headers, json } = await request(path, { method });
    expect(status).toBe(405);
    expect(headers.get("allow")).toBe(right === "GET" ? "GET, HEAD, OPTIONS" : `${right}, OPTIONS`);
    expect(json.error).toMatchObject({ code: "method_not_allowed", hint: `Use ${right}.` });
  });
});

describe("HEAD", () => {
  it("answers like GET, without a body", async () => {
    const { status, headers, body } = await raw("/v1/health", { method: "HEAD" });
    expect([status, body]).toEqual([200, ""]);
    expect(headers.get("content-type")).toContain("application/json");
  });

  it("is refused where GET is", async () => {
    expect((await raw("/v1/consume", { method: "HEAD" })).status).toBe(405);
  });
});

describe("CORS", () => {
  it.each(["/v1/consume", "/v1/holds/u/settle", "/v1/users/u", "/v1/nothing"])(
    "preflight of %s is answered before any key is asked for",
    async (path) => {
      const { status, headers, body } = await raw(path, {
        method: "OPTIONS",
        headers: {
          origin: ORIGIN,
          "access-control-request-method": "POST",
          "access-control-request-headers": "authorization, content-type",
        },
      });
      expect([status, body]).toEqual([204, ""]);
      expect(headers.get("access-control-allow-origin")).toBe("*");
      expect(headers.get("access-control-allow-methods")?.split(",")).toEqual(
        expect.arrayContaining(["GET", "POST", "PUT", "PATCH"]),
      );
      expect(headers.get("access-control-allow-headers")).toBe("authorization,content-type");
    },
  );

  it.each([
    [200, "GET", "/v1/health"],
    [401, "POST", "/v1/consume"],
    [404, "GET", "/v1/nothing"],
    [405, "GET", "/v1/consume"],
    [400, "GET", "/v1/users/%zz/balance"],
  ])("headers are on an answer %i too", async (expected, method, path) => {
    const { status, headers } = await raw(path, { method, headers: { origin: ORIGIN } });
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
});

describe("every answer", () => {
  it.each([
    ["GET", "/v1/health"],
    ["GET", "/v1/openapi.json"],
    ["OPTIONS", "/v1/consume"],
    ["POST", "/v1/consume"],
    ["GET", "/v1/nothing"],
    ["GET", "/v1/consume"],
  ])("%s %s carries a fresh x-request-id and is not to be cached", async (method, path) => {
    const [first, second] = [await raw(path, { method }), await raw(path, { method })];
    expect(first.headers.get("x-request-id")).toMatch(UUID);
    expect(first.headers.get("x-request-id")).not.toBe(second.headers.get("x-request-id"));
    expect(first.headers.get("cache-control")).toBe("no-store");
  });

  it("that is an error repeats the x-request-id in its body", async () => {
    const { headers, json } = await request("/v1/nothing");
    expect(json.error.request_id).toBe(headers.get("x-request-id"));
    expect(Object.keys(json.error)).toEqual(["code", "message", "hint", "request_id"]);
  });
});
