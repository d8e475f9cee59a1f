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

  async function all<Row>(rpc: keyof Functions, call: RpcCall<Row>): Promise<Row[]> {
    // The client's own timeout would end with the headers; this one covers the body as well.
    const { data, error, status } = await call.abortSignal(AbortSignal.timeout(deadlineMs));
    if (error) {
      const { code, message, hint } = error;
      throw databaseError({ rpc, status, code, message, hint });
    }
    return data;
  }

  async function only<Row>(rpc: keyof Functions, call: RpcCall<Row>): Promise<Row> {
    const [row] = await all(rpc, call);
    if (row === undefined) {
      throw apiError("internal_error", undefined, undefined, { cause: { rpc, message: "no row" } });
    }
    return row;
  }

  return {
    consume: (args: Args<"consume_with_api_key">) =>
      only("consume_with_api_key", client.rpc("consume_with_api_key", args)),
    grant: (args: Args<"grant_with_api_key">) =>
      only("grant_with_api_key", client.rpc("grant_with_api_key", args)),
    balance: (args: Args<"balance_with_api_key">) =>
      only("balance_with_api_key", client.rpc("balance_with_api_key", args)),
    transfers: (args: Args<"transfers_with_api_key">) =>
      all("transfers_with_api_key", client.rpc("transfers_with_api_key", args)),
    link: (args: Args<"link_user_with_api_key">) =>
      only("link_user_with_api_key", client.rpc("link_user_with_api_key", args)),
  };
}

export type TollgateDatabase = ReturnType<typeof connectDatabase>;

/** What `client.rpc()` returns, as far as it matters here. */
interface RpcCall<Row> {
  abortSignal(signal: AbortSignal): PromiseLike<PostgrestSingleResponse<Row[]>>;
}

/** Leaves out arguments that are null or undefined, so that the default of the function applies. */
export function given<Arguments extends object>(args: Arguments) {
  return Object.fromEntries(Object.entries(args).filter(([, value]) => value != null)) as {
    [Name in keyof Arguments]?: NonNullable<Arguments[Name]>;
  };
}
