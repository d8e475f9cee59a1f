import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { launch } from "../../local/children.ts";
import { readConfig } from "../../local/config.ts";
import { findFunctions, type RunningFunction, startFunction } from "../../local/functions.ts";
import { freePort, HOST } from "../../local/ports.ts";
import { type ErrorJson, stack } from "../support/tenant.ts";

// The real function in the real Deno, where its database should be nobody listens.
const SECRET_KEY = "sb_secret_that_must_not_get_out";
const PLAINTEXT_KEY = "tg_live_ababababababababababababababababababababb8cfdca2";

describe.runIf(stack.own)("without a database", () => {
  const lines: string[] = [];
  let folder: string;
  let api: RunningFunction;

  beforeAll(async () => {
    folder = mkdtempSync(path.join(tmpdir(), "e2e-deno-"));
    const root = fileURLToPath(new URL("../..", import.meta.url));
    const source = findFunctions(root, readConfig(root)).find(({ name }) => name === "api");
    api = await startFunction(source!, {
      root,
      folder,
      env: {
        SUPABASE_URL: `http://${HOST}:${await freePort()}`,
        SUPABASE_SECRET_KEYS: JSON.stringify({ default: SECRET_KEY }),
      },
      watch: false,
      launch: (options) =>
        launch({
          ...options,
          onLine(line) {
            lines.push(line);
            options.onLine?.(line);
          },
        }),
    });
  });
  afterAll(async () => {
    await api.server.stop("SIGTERM", 1000);
    rmSync(folder, { recursive: true });
  });

  function call(path: string, key: string, init: RequestInit = {}) {
    return fetch(`http://${HOST}:${api.port}/api${path}`, {
      ...init,
      headers: { authorization: `Bearer ${key}` },
    });
  }

  const body = JSON.stringify({ user_id: "ada", tokens_to_consume: 1, request_id: "r1" });

  test.each([
    ["/v1/consume", { method: "POST", body }],
    ["/v1/users/ada/balance", {}],
    ["/v1/users/ada/transfers", {}],
    ["/v1/users/ada", { method: "PATCH", body: JSON.stringify({ plan: "Pro" }) }],
    ["/v1/usage?from=2026-01-01T00:00:00Z", {}],
  ])("%s answers 503 that a retry is safe, and when", async (path, init) => {
    const response = await call(path, PLAINTEXT_KEY, init);

    expect(response.status).toBe(503);
    expect(response.headers.get("retry-after")).toBe("1");
    expect(response.headers.get("access-control-allow-origin")).toBe("*");
    const { error }: ErrorJson = await response.json();
    expect(error).toEqual({
      code: "temporarily_unavailable",
      message: "The database could not answer just now.",
      hint: "Send the same request again with this request_id: it is never applied twice.",
      request_id: response.headers.get("x-request-id"),
    });
  });

  test("the caller's own request id comes back for the retry", async () => {
    const response = await call("/v1/consume", PLAINTEXT_KEY, { method: "POST", body });

    expect((await response.json()).error.request_id).toBe("r1");
  });

  test("neither the answer nor the log holds a key", async () => {
    const response = await call("/v1/users/ada/balance", PLAINTEXT_KEY);
    const answer = JSON.stringify([...response.headers, await response.text()]);
    await expect.poll(() => lines.join("\n")).toContain(response.headers.get("x-request-id"));

    for (const secret of [SECRET_KEY, PLAINTEXT_KEY, "supabase", "rest/v1"]) {
      expect(answer).not.toContain(secret);
    }
    expect(lines.join("\n")).not.toContain(SECRET_KEY);
    expect(lines.join("\n")).not.toContain(PLAINTEXT_KEY);
  });

  test("a mistyped key is refused without asking the database", async () => {
    const mistyped = `${PLAINTEXT_KEY.slice(0, -1)}0`;

    const response = await call("/v1/users/ada/balance", mistyped);

    expect(response.status).toBe(401);
  });

  test("a mistake is refused without asking the database", async () => {
    const response = await call("/v1/consume", PLAINTEXT_KEY, { method: "POST", body: "{}" });

    expect(response.status).toBe(400);
  });

  test("health is that of the API alone", async () => {
    const response = await call("/v1/health", "");

    expect(response.status).toBe(200);
  });
});
