import net from "node:net";
import { text } from "node:stream/consumers";
import { expect, test } from "vitest";
import { stack, Tenant, verifyLedgerAtEnd } from "../support/tenant.ts";

verifyLedgerAtEnd();

const tenant = await Tenant.create({ quota: 1_000_000 });

const deep = (levels: number): unknown => levels === 0 ? 1 : { a: deep(levels - 1) };

test.each([
  "",
  "text/plain",
  "application/x-www-form-urlencoded",
  "multipart/form-data; boundary=x",
  "application/json; charset=utf-16",
  "application/vnd.api+json",
  "image/png",
  ";;;",
])("the content type %j does not matter", async (contentType) => {
  const { status } = await tenant.post(
    "/v1/consume",
    { user_id: "typist", tokens_to_consume: 1 },
    contentType === "" ? {} : { "content-type": contentType },
  );

  expect(status).toBe(200);
});

test.each([
  ["SQL", { metadata: { "'; drop table tags; --": "$$; select 1" } }],
  ["a query operator", { metadata: { $where: "1", "a.b": "eq.1" } }],
  ["__proto__ in metadata", { metadata: JSON.parse('{"__proto__": {"a": 1}}') }],
  ["metadata 32 levels deep", { metadata: deep(32) }],
  ["empty metadata", { metadata: {} }],
  ["null for what is optional", { tag: null, metadata: null, request_id: null }],
  ["a request_id of SQL", { request_id: "' or 1=1; --" }],
])("%s is harmless", async (_, more) => {
  const { status } = await tenant.consume("harmless", 1, more);

  expect(status).toBe(200);
});

test("of a field given twice the last counts, as everywhere in JSON", async () => {
  const { body } = await tenant.post<object>(
    "/v1/consume",
    '{"user_id": "twice", "tokens_to_consume": 1, "tokens_to_consume": 2}',
  );

  expect(body).toMatchObject({ success: true, tokens_consumed: 2 });
});

// Only our own gateway: a hosted one speaks TLS.
test.runIf(stack.own)("HTTP/1.0 without a Host is answered as well", async () => {
  const { port, hostname } = new URL(stack.url);
  const socket = net.connect(Number(port), hostname);

  socket.write("GET /functions/v1/api/v1/health HTTP/1.0\r\n\r\n");

  expect(await text(socket)).toMatch(/^HTTP\/1.1 200 OK\r\n/);
});
