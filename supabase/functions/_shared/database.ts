import { PostgrestClient, type PostgrestSingleResponse } from "@supabase/postgrest-js";
import type { Database } from "./database.types.ts";
import type { Env } from "./env.ts";
import { apiError, databaseError } from "./errors.ts";

type Functions = Database["public"]["Functions"];
type Args<Name extends keyof Functions> = Functions[Name]["Args"];

const DEADLINE_MS = 10_000;

/**
 * One method per SQL function, called as service_role. Each checks the API key and does its work in
 * one transaction. A failure is thrown as an ApiError; a denial is an answer like any other.
 */
export function connectDatabase({ supabaseUrl, secretKey }: Env, deadlineMs = DEADLINE_MS) {
  const client = new PostgrestClient<Database>(`${supabaseUrl}/rest/v1`, {
    headers: { apikey: secretKey, authorization: `Bearer ${secretKey}` },
  });

  async function run<Data>(rpc: keyof Functions, call: RpcCall<Data>): Promise<Data> {
    // The client's own timeout would end with the headers; this one covers the body as well.
    const { data, error, status } = await call.abortSignal(AbortSignal.timeout(deadlineMs));
    if (error) {
      const { code, message, hint } = error;
      throw databaseError({ rpc, status, code, message, hint });
    }
    return data;
  }

  async function only<Row>(rpc: keyof Functions, call: RpcCall<Row[]>): Promise<Row> {
    const [row] = await run(rpc, call);
    if (row === undefined) {
      throw apiError("internal_error", undefined, undefined, { cause: { rpc, message: "no row" } });
    }
    return row;
  }

  return {
    consume: (args: Args<"consume_with_api_key">) =>
      run("consume_with_api_key", client.rpc("consume_with_api_key", args)) as Promise<Outcome>,
    check: (args: Args<"check_with_api_key">) =>
      run("check_with_api_key", client.rpc("check_with_api_key", args)) as Promise<Outcome>,
    batch: (args: Args<"batch_with_api_key">) =>
      run("batch_with_api_key", client.rpc("batch_with_api_key", args)) as Promise<Outcome[]>,
    hold: (args: Args<"hold_with_api_key">) =>
      run("hold_with_api_key", client.rpc("hold_with_api_key", args)) as Promise<Outcome>,
    settle: (args: Args<"settle_with_api_key">) =>
      run("settle_with_api_key", client.rpc("settle_with_api_key", args)) as Promise<Outcome>,
    extend: (args: Args<"extend_with_api_key">) =>
      run("extend_with_api_key", client.rpc("extend_with_api_key", args)) as Promise<Outcome>,
    release: (args: Args<"release_with_api_key">) =>
      run("release_with_api_key", client.rpc("release_with_api_key", args)) as Promise<Outcome>,
    refund: (args: Args<"refund_with_api_key">) =>
      run("refund_with_api_key", client.rpc("refund_with_api_key", args)),
    grant: (args: Args<"grant_with_api_key">) =>
      run("grant_with_api_key", client.rpc("grant_with_api_key", args)),
    voidGrant: (args: Args<"void_grant_with_api_key">) =>
      run("void_grant_with_api_key", client.rpc("void_grant_with_api_key", args)),
    recurringGrant: (args: Args<"recurring_grant_with_api_key">) =>
      run("recurring_grant_with_api_key", client.rpc("recurring_grant_with_api_key", args)),
    endRecurringGrant: (args: Args<"end_recurring_grant_with_api_key">) =>
      run(
        "end_recurring_grant_with_api_key",
        client.rpc("end_recurring_grant_with_api_key", args),
      ),
    changeUser: (args: Args<"change_user_with_api_key">) =>
      run("change_user_with_api_key", client.rpc("change_user_with_api_key", args)),
    balance: (args: Args<"balance_with_api_key">) =>
      only("balance_with_api_key", client.rpc("balance_with_api_key", args)),
    transfers: (args: Args<"transfers_with_api_key">) =>
      run("transfers_with_api_key", client.rpc("transfers_with_api_key", args)),
    usage: (args: Args<"usage_with_api_key">) =>
      run("usage_with_api_key", client.rpc("usage_with_api_key", args)),
    link: (args: Args<"link_user_with_api_key">) =>
      only("link_user_with_api_key", client.rpc("link_user_with_api_key", args)),
  };
}

export type TollgateDatabase = ReturnType<typeof connectDatabase>;

/** What `client.rpc()` returns, as far as it matters here. */
interface RpcCall<Data> {
  abortSignal(signal: AbortSignal): PromiseLike<PostgrestSingleResponse<Data>>;
}

/** The state of a restriction, in its current window. */
export type LimitState = {
  tags: string[] | null;
  max_tokens: number;
  /** A whole number of hours, days, weeks or months, e.g. `5 hours`. */
  duration: string;
  window: "calendar" | "rolling";
  left: number;
  resets_at: string;
};

/** What all receipts share. In the generated types every field of a composite may be null. */
export type Outcome = {
  success: boolean;
  reason: string | null;
  retry_at: string | null;
  nearest_limit: LimitState | null;
  replayed: boolean;
  created_at: string;
};

/** Leaves out arguments that are null or undefined, so that the default of the function applies. */
export function given<Arguments extends object>(args: Arguments) {
  return Object.fromEntries(Object.entries(args).filter(([, value]) => value != null)) as {
    [Name in keyof Arguments]?: NonNullable<Arguments[Name]>;
  };
}
