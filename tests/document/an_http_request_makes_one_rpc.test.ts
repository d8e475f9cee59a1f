import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { connectDatabase } from "../../supabase/functions/_shared/database.ts";
import { createApp } from "../../supabase/functions/api/app.ts";
import { stack, Tenant, verifyLedgerAtEnd } from "../support/tenant.ts";

verifyLedgerAtEnd();

/** Between the API and the stack: what the API asks for, and nobody else. */
const asked: string[] = [];
const between = createServer(async (request, response) => {
  asked.push(request.url!);
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk);
  const headers = new Headers();
  for (const name of ["apikey", "authorization", "content-type", "accept"]) {
    const value = request.headers[name];
    if (typeof value === "string") headers.set(name, value);
  }
  const answer = await fetch(stack.url + request.url, {
    method: request.method!,
    headers,
    ...(chunks.length > 0 && { body: Buffer.concat(chunks) }),
  });
  response.writeHead(answer.status, { "content-type": "application/json" });
  response.end(await answer.text());
});
let app: ReturnType<typeof createApp>;
let tenant: Tenant;

beforeAll(async () => {
  await new Promise<void>((resolve) => between.listen(0, "127.0.0.1", resolve));
  const { port } = between.address() as AddressInfo;
  app = createApp({
    database: connectDatabase({
      supabaseUrl: `http://127.0.0.1:${port}`,
      secretKey: stack.secretKey,
    }),
  });
  tenant = await Tenant.create({ quota: 1000 });
  await tenant.tagId("GPT-4");
  await tenant.consume("ada", 1);
});
afterAll(() => between.close());
beforeEach(() => asked.splice(0));

const consume = (tokens: number) => ({ user_id: "ada", tokens_to_consume: tokens, tag: "GPT-4" });

test.each([
  ["a consumption", "POST", "/v1/consume", consume(5), 200, "consume_with_api_key"],
  ["a denial", "POST", "/v1/consume", consume(5000), 402, "consume_with_api_key"],
  ["a check", "POST", "/v1/check", consume(5), 200, "check_with_api_key"],
  [
    "a batch",
    "POST",
    "/v1/consume/batch",
    { items: [consume(1), consume(2)] },
    200,
    "batch_with_api_key",
  ],
  ["a hold", "POST", "/v1/holds", { user_id: "ada", tokens: 5 }, 201, "hold_with_api_key"],
  ["a balance", "GET", "/v1/users/ada/balance", undefined, 200, "balance_with_api_key"],
])("%s over HTTP asks the database once", async (_, method, path, body, status, rpc) => {
  const answer = await app.request(`http://localhost/api${path}`, {
    method,
    headers: { authorization: `Bearer ${tenant.apiKey}`, "content-type": "application/json" },
    ...(body && { body: JSON.stringify(body) }),
  });

  expect(answer.status).toBe(status);
  expect(asked).toEqual([`/rest/v1/rpc/${rpc}`]);
});
