import { SignJWT } from "jose";
import postgres from "postgres";
import { afterAll } from "vitest";
import { databaseUrl } from "../../local/database.ts";
import { SUPERUSER } from "../../local/postgres.ts";
import { type TestSql, types } from "./database.ts";
import { stack } from "./tenant.ts";

// What access tests need beside supabase-js: requests as they go over the wire, tokens of any kind,
// and the stack's own database behind it all.

function ownStack() {
  if (!stack.own) throw new Error("These tests forge tokens: unset SUPABASE_URL.");
  return stack.own;
}

/** Connections to the database that HTTP reaches, as the role of Studio or as the superuser. */
export function connectToStack(role: "postgres" | "superuser" = "postgres"): TestSql {
  const user = role === "superuser" ? SUPERUSER : role;
  const sql = postgres(databaseUrl(ownStack().dbPort, user), { max: 12, types, onnotice() {} });
  afterAll(() => sql.end());
  return sql;
}

/** New rows of auth.users, of people who never sign in: see `userToken()`. */
export async function addAuthUsers<Name extends string>(
  sql: TestSql,
  names: readonly Name[],
): Promise<Record<Name, string>> {
  const people = names.map((name) => ({ id: crypto.randomUUID(), name }));
  const rows = people.map(({ id }) => ({ id, email: `${id}@example.com` }));
  await sql`insert into auth.users ${sql(rows)}`;
  return Object.fromEntries(people.map(({ id, name }) => [name, id])) as Record<Name, string>;
}

export interface TokenOptions {
  claims?: Record<string, unknown>;
  /** Seconds since 1970; by default in an hour. */
  expiresAt?: number;
  secret?: string;
}

/** A token as Supabase Auth signs it, but for what the options change. */
export function userToken(
  userId: string,
  { claims = {}, expiresAt, secret = ownStack().jwtSecret }: TokenOptions = {},
): Promise<string> {
  return new SignJWT({ aud: "authenticated", role: "authenticated", sub: userId, ...claims })
    .setProtectedHeader({ alg: "HS256", typ: "JWT" })
    .setIssuedAt()
    .setExpirationTime(expiresAt ?? "1h")
    .sign(new TextEncoder().encode(secret));
}

/** The headers that say who calls: a key of the stack, and the token of a user. */
export interface Caller {
  apikey: string;
  authorization?: string;
}

export function signedIn(token: string): Caller {
  return { apikey: stack.publishableKey, authorization: `Bearer ${token}` };
}

export interface RestAnswer {
  status: number;
  /** The SQLSTATE or PGRST code of an error. */
  code: string | undefined;
  body: unknown;
}

/** One request to PostgREST. */
export async function rest(
  caller: Caller,
  method: string,
  path: string,
  body?: unknown,
  headers: Record<string, string> = {},
): Promise<RestAnswer> {
  const response = await fetch(`${stack.url}/rest/v1/${path}`, {
    method,
    headers: { ...caller, "content-type": "application/json", ...headers },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  const answer: unknown = text === "" ? undefined : JSON.parse(text);
  const isError = typeof answer === "object" && answer !== null && "code" in answer;
  return {
    status: response.status,
    code: response.ok || !isError ? undefined : String(answer.code),
    body: answer,
  };
}
