import { randomUUID } from "node:crypto";
import { createClient, type SupabaseClient } from "@supabase/supabase-js";
import { afterAll, expect, inject } from "vitest";
import { z } from "zod";
import type { Database } from "../../supabase/functions/_shared/database.types.ts";
import { errorKinds } from "../../supabase/functions/_shared/errors.ts";
import { endpoints } from "../../supabase/functions/api/routes.ts";
import { configOf, type PlanOptions, type Restriction, type UserOptions } from "./project.ts";

// End-to-end fixtures. They know a stack by its URL and keys only, so that the same tests run against
// ours, `supabase start` and a hosted project; what they make there stays, as a ledger's users do.

export const stack = inject("stack");

type Functions = Database["public"]["Functions"];
export type Scope = Database["public"]["Enums"]["api_key_scope"];

/** An answer of the API has the columns of the SQL function that it calls. */
type RowOf<Name extends keyof Functions> = Functions[Name]["Returns"] extends (infer Row)[] ? Row
  : Functions[Name]["Returns"];
/** Tests know which fields are null; the types of a function's columns say it of none, of a composite's of all. */
type Known<Row> = { [Field in keyof Row]: NonNullable<Row[Field]> };
export type Receipt = Known<RowOf<"consume_with_api_key">>;
export type Hold = Known<RowOf<"hold_with_api_key">>;
export type Settlement = Known<RowOf<"settle_with_api_key">>;
export type Refund = Known<RowOf<"refund_with_api_key">>;
export interface BatchResult {
  results: Receipt[];
  applied: number;
  refused: number;
}
export type Grant = Known<RowOf<"grant_with_api_key">>;
export type Void = Known<RowOf<"void_grant_with_api_key">>;
export type RecurringGrant = Known<RowOf<"recurring_grant_with_api_key">>;
export type Account = Known<RowOf<"change_user_with_api_key">>;
export interface Usage {
  data: RowOf<"usage_with_api_key">[];
}
export type Balance = RowOf<"balance_with_api_key">;
export interface TransferPage {
  data: RowOf<"transfers_with_api_key">[];
  next_cursor: string | null;
}

export interface ErrorJson {
  error: { code: keyof typeof errorKinds; message: string; hint: string; request_id: string };
}

export interface Answer<Body> {
  status: number;
  headers: Headers;
  body: Body;
}

/** supabase-js with one of the stack's keys; each client has a session of its own. */
export function connectAs(key: string): SupabaseClient<Database> {
  return createClient<Database>(stack.url, key, {
    auth: { persistSession: false, autoRefreshToken: false },
    // It insists on a WebSocket, which Node 20 lacks. Nothing here opens one.
    realtime: { transport: EventTarget as never },
  });
}

export const service = connectAs(stack.secretKey);

/** A new user of Supabase Auth, signed in. */
export async function signUp(): Promise<{ id: string; supabase: SupabaseClient<Database> }> {
  const supabase = connectAs(stack.publishableKey);
  const credentials = { email: `e2e-${randomUUID()}@example.com`, password: randomUUID() };
  // A hosted project would refuse to sign up example.com; @supabase/lite has no admin calls.
  const made = await service.auth.admin.createUser({ ...credentials, email_confirm: true });
  const { data, error } = made.error
    ? await supabase.auth.signUp(credentials)
    : await supabase.auth.signInWithPassword(credentials);
  if (!data.user) throw error ?? new Error("signing up gave no user");
  return { id: data.user.id, supabase };
}

/** Checks at the end of the test file that the ledger still adds up. */
export function verifyLedgerAtEnd() {
  afterAll(async () => {
    const { data } = await service.rpc("verify_ledger").throwOnError();
    expect(data).toEqual([]);
  });
}

/** Calls the API without a key; the answer is held against its documentation. */
export async function callApi<Body>(path: string, init: RequestInit = {}): Promise<Answer<Body>> {
  const response = await fetch(`${stack.url}/functions/v1/api${path}`, init);
  const { status, headers } = response;
  const text = await response.text();
  const body = text === "" ? undefined : JSON.parse(text);
  if (body !== undefined) expectDocumented(init.method ?? "GET", path, status, body);
  return { status, headers, body };
}

const ErrorBody = z.strictObject({
  error: z.strictObject({
    code: z.enum(Object.keys(errorKinds) as [keyof typeof errorKinds]),
    message: z.string().min(1),
    hint: z.string().min(1),
    request_id: z.string().min(1),
  }),
});

function expectDocumented(method: string, path: string, status: number, body: unknown) {
  const { pathname } = new URL(path, "http://api");
  const endpoint = endpoints.find((candidate) =>
    candidate.method === method &&
    new RegExp(`^${candidate.path.replace(/:\w+/, "[^/]+")}$`).test(pathname)
  );
  const answer = endpoint?.route.answers[status];
  if (answer && !ErrorBody.safeParse(body).success) answer.schema.parse(body);
  else expect(status).toBe(errorKinds[ErrorBody.parse(body).error.code].status);
}

/** A project of a random name with a key of its own, made as its owner's backend would. */
export class Tenant {
  private constructor(readonly id: string, readonly apiKey: string) {}

  /** Without plan options the project has no default plan, and so no unknown users. */
  static async create(plan?: PlanOptions): Promise<Tenant> {
    const { data: project } = await service.from("projects")
      .insert({ name: `e2e ${randomUUID()}` }).select("id").single().throwOnError();
    const { data: keys } = await service.rpc("create_api_key", {
      p_project_id: project.id,
      p_name: "e2e",
    }).throwOnError();
    const tenant = new Tenant(project.id, keys[0]!.api_key);
    if (plan) {
      const planId = await tenant.plan(plan);
      await service.from("projects").update({ default_plan_id: planId }).eq("id", tenant.id)
        .throwOnError();
    }
    return tenant;
  }

  async plan(
    { type = "subscription", quota, period = "1 month", restrictions = [] }: PlanOptions,
    name: string = randomUUID(),
  ): Promise<string> {
    const { data: plan } = await service.from("plans")
      .insert({ project_id: this.id, name, plan_type: type })
      .select("id").single().throwOnError();
    if (quota !== undefined) {
      await service.from("plan_quotas").insert({ plan_id: plan.id, token_amount: quota, period })
        .throwOnError();
    }
    for (const restriction of restrictions) await this.restrict(plan.id, restriction);
    return plan.id;
  }

  async restrict(planId: string, restriction: Restriction) {
    const { tag, tags = tag ? [tag] : [] } = restriction;
    for (const name of tags) await this.tagId(name);
    await service.from("plan_restrictions").insert({
      plan_id: planId,
      restriction_type: tags.length > 0 ? "tag" : "total",
      restriction_config: configOf(restriction),
    }).throwOnError();
  }

  /** The id of a tag, made if need be. */
  async tagId(name: string): Promise<string> {
    const { data: tag } = await service.from("tags")
      .upsert({ project_id: this.id, name }, { onConflict: "project_id,name" })
      .select("id").single().throwOnError();
    return tag.id;
  }

  /** A user on the given plan. */
  async user(externalId: string, planId: string, options: Omit<UserOptions, "planId"> = {}) {
    const { paymentStatus = "active", billingAnchor, timeZone = null } = options;
    const { data: user } = await service.from("tracked_users").insert({
      project_id: this.id,
      external_id: externalId,
      plan_id: planId,
      payment_status: paymentStatus,
      ...(billingAnchor && { billing_anchor: billingAnchor }),
      time_zone: timeZone,
    }).select("id").single().throwOnError();
    return user.id;
  }

  async key(scopes?: Scope[]) {
    const { data } = await service.rpc("create_api_key", {
      p_project_id: this.id,
      p_name: "e2e",
      ...(scopes && { p_scopes: scopes }),
    }).throwOnError();
    return data[0]!;
  }

  /** Calls the API with the project's key. */
  api<Body>(path: string, init: RequestInit = {}): Promise<Answer<Body>> {
    const headers = new Headers(init.headers);
    if (!headers.has("authorization")) headers.set("authorization", `Bearer ${this.apiKey}`);
    return callApi(path, { ...init, headers });
  }

  /** Sends a body, as it is if it is text. */
  post<Body>(path: string, body: unknown, headers: Record<string, string> = {}) {
    return this.api<Body>(path, {
      method: "POST",
      headers,
      body: typeof body === "string" ? body : JSON.stringify(body),
    });
  }

  consume(user_id: string, tokens_to_consume: number, more: object = {}) {
    return this.post<Receipt>("/v1/consume", { user_id, tokens_to_consume, ...more });
  }

  check(user_id: string, tokens_to_consume: number, more: object = {}) {
    return this.post<Receipt>("/v1/check", { user_id, tokens_to_consume, ...more });
  }

  batch(items: object[], more: object = {}, headers: Record<string, string> = {}) {
    return this.post<BatchResult>("/v1/consume/batch", { items, ...more }, headers);
  }

  hold(user_id: string, tokens: number, more: object = {}) {
    return this.post<Hold>("/v1/holds", { user_id, tokens, ...more });
  }

  settle(holdId: string, tokens: number, more: object = {}) {
    return this.post<Settlement>(`/v1/holds/${holdId}/settle`, { tokens, ...more });
  }

  extend(holdId: string, ttl_seconds: number, more: object = {}) {
    return this.post<Hold>(`/v1/holds/${holdId}/extend`, { ttl_seconds, ...more });
  }

  release(holdId: string, more: object = {}) {
    return this.post<Hold>(`/v1/holds/${holdId}/release`, more);
  }

  refund(user_id: string, more: object) {
    return this.post<Refund>("/v1/refunds", { user_id, ...more });
  }

  grant(user_id: string, tokens: number, more: object = {}) {
    return this.post<Grant>("/v1/grants", { user_id, tokens, grant_type: "bonus", ...more });
  }

  voidGrant(user_id: string, grantId: string, more: object = {}) {
    return this.post<Void>(`/v1/grants/${grantId}/void`, { user_id, ...more });
  }

  recurringGrant(user_id: string, tokens: number, more: object = {}) {
    return this.post<RecurringGrant>("/v1/recurring-grants", {
      ...{ user_id, tokens, grant_type: "bonus", every: "1 week" },
      ...more,
    });
  }

  endRecurringGrant(user_id: string, recurringGrantId: string) {
    return this.post<RecurringGrant>(`/v1/recurring-grants/${recurringGrantId}/end`, { user_id });
  }

  change<Body = Account>(userId: string, change: object, headers: Record<string, string> = {}) {
    return this.api<Body>(`/v1/users/${encodeURIComponent(userId)}`, {
      method: "PATCH",
      headers,
      body: JSON.stringify(change),
    });
  }

  usage(query: Record<string, string>) {
    return this.api<Usage>(`/v1/usage?${new URLSearchParams(query)}`);
  }

  balance(userId: string, asOf?: string) {
    const query = asOf === undefined ? "" : `?as_of=${encodeURIComponent(asOf)}`;
    return this.api<Balance>(`/v1/users/${encodeURIComponent(userId)}/balance${query}`);
  }

  transfers(userId: string, query = "") {
    return this.api<TransferPage>(`/v1/users/${encodeURIComponent(userId)}/transfers${query}`);
  }
}
