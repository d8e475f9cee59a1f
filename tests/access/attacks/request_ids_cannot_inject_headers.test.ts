import { expect, test } from "vitest";
import { Tenant, verifyLedgerAtEnd } from "../../support/tenant.ts";

verifyLedgerAtEnd();
const tenant = await Tenant.create({ quota: 1000 });

test.each([
  "a\r\nset-cookie: session=stolen",
  "a\nx-injected: 1",
  "a\r\n\r\n<html>",
  "a\u2028\u0085\u560d\u560aset-cookie: b",
])("%j is refused, and comes back nowhere", async (requestId) => {
  const { status, headers, body } = await tenant.consume("ada", 1, { request_id: requestId });

  expect(status).toBe(400);
  expect(headers.get("x-request-id")).toMatch(/^[0-9a-f-]{36}$/);
  expect(headers.has("set-cookie")).toBe(false);
  expect(headers.has("x-injected")).toBe(false);
  expect(JSON.stringify(body)).not.toMatch(/set-cookie|x-injected|<html>/);
});

test.each(["a%0d%0aset-cookie: b", 'a, b; c="d"', "\\r\\nset-cookie: b"])(
  "%j is harmless, and comes back in one header",
  async (requestId) => {
    const { status, headers } = await tenant.consume("ada", 1, { request_id: requestId });

    expect(status).toBe(200);
    expect(headers.get("x-request-id")).toBe(requestId);
    expect(headers.has("set-cookie")).toBe(false);
  },
);

test("a tag cannot inject into the RateLimit headers", async () => {
  const tag = 'a"\r\nset-cookie: b, "c";r=1';
  const limited = await Tenant.create({
    quota: 1000,
    restrictions: [{ tag, maxTokens: 10, duration: "1 month" }],
  });

  const { headers } = await limited.consume("ada", 1, { tag });

  const name = '"month-a%22%0D%0Aset-cookie%3A%20b%2C%20%22c%22%3Br%3D1"';
  expect(headers.get("ratelimit-policy")).toBe(`${name};q=10;qu="tokens"`);
  expect(headers.get("ratelimit")).toMatch(new RegExp(`^${name};r=9;t=\\d+$`));
  expect(headers.has("set-cookie")).toBe(false);
});
