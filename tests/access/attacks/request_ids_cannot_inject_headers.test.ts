import { expect, test } from "vitest";
import { Tenant, verifyLedgerAtEnd } from "../../support/tenant.ts";

verifyLedgerAtEnd();
const tenant = await Tenant.create({ quota: 1000 });

test.each([
  "a\r\nset-cookie: session=stolen",
  "a\nx-injected: 1",
  "a\r\n\r\n<html>",
  "a%0d%0aset-cookie: b",
  "a\u2028\u0085\u560d\u560aset-cookie: b",
])("%j comes back in one header, encoded", async (requestId) => {
  const answers = [
    await tenant.consume("ada", 1, { request_id: requestId }),
    await tenant.consume("ada", 2, { request_id: requestId }),
  ];

  expect(answers.map(({ status }) => status)).toEqual([200, 409]);
  for (const { headers } of answers) {
    expect(headers.get("x-request-id")).toMatch(/^[\x21-\x7e]+$/);
    expect(decodeURIComponent(headers.get("x-request-id")!)).toBe(requestId);
    expect(headers.has("set-cookie")).toBe(false);
    expect(headers.has("x-injected")).toBe(false);
  }
});
