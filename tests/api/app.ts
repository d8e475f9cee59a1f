import { createHash } from "node:crypto";
import { createApp } from "../../supabase/functions/api/app.ts";
import { connectDatabase } from "../../supabase/functions/_shared/database.ts";

// These tests are about what never reaches the database: fetch() refuses port 1, so a request that
// does reach for it is answered 503. Whatever else is answered was decided before.
export const SECRET_KEY = "sb_secret_for_tests";
const app = createApp({
  database: connectDatabase({ supabaseUrl: "http://127.0.0.1:1", secretKey: SECRET_KEY }),
});

export const PASSED_ON_TO_THE_DATABASE = 503;

/** A well-formed API key that no database knows. */
export function makeApiKey(byte = "ab"): string {
  const payload = `tg_live_${byte.repeat(20)}`;
  return payload + createHash("sha256").update(payload).digest("hex").slice(0, 8);
}

export interface ErrorJson {
  error: { code: string; message: string; hint: string; request_id: string };
}

export interface Answer<Json = ErrorJson> {
  status: number;
  headers: Headers;
  json: Json;
}

export async function request<Json = ErrorJson>(
  path: string,
  init: RequestInit = {},
): Promise<Answer<Json>> {
  const { status, headers, body } = await raw(path, init);
  return { status, headers, json: JSON.parse(body) };
}

export async function raw(path: string, init: RequestInit = {}) {
  const response = await app.request(`http://localhost/api${path}`, init);
  return { status: response.status, headers: response.headers, body: await response.text() };
}

/** These send a body, as it is if it is text, with a well-formed key. */
export function post(path: string, body: unknown, headers: Record<string, string> = {}) {
  return send("POST", path, body, headers);
}

export function patch(path: string, body: unknown) {
  return send("PATCH", path, body);
}

function send(method: string, path: string, body: unknown, headers: Record<string, string> = {}) {
  return request(path, {
    method,
    headers: { authorization: `Bearer ${makeApiKey()}`, ...headers },
    body: typeof body === "string" || body instanceof Blob ? body : JSON.stringify(body),
  });
}

export function get(path: string) {
  return request(path, { headers: { authorization: `Bearer ${makeApiKey()}` } });
}
