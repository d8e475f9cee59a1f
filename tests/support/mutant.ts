import { randomUUID } from "node:crypto";
import postgres from "postgres";
import { inject } from "vitest";
import { createDatabase, databaseUrl } from "../../local/database.ts";
import { types } from "./database.ts";

/** A database with a fault put into it by SQL, on which a test shows that it can fail. Unlike that of
 * useDatabase(), its ledger need not verify. */
export async function createMutant(mutation: string): Promise<string> {
  const { own } = inject("stack");
  if (!own) throw new Error("SQL tests need a stack of our own: unset SUPABASE_URL.");
  const name = `mutant_${randomUUID().replaceAll("-", "")}`;
  await createDatabase(own.dbPort, name);
  const url = databaseUrl(own.dbPort, "postgres", name);
  const sql = postgres(url, { max: 1, types, onnotice() {} });
  await sql.unsafe(mutation);
  await sql.end();
  return url;
}

/** Calls of one user no longer queue. */
export const WITHOUT_USER_LOCK = `
  create or replace function tollgate.lock_user(p_user_id uuid)
  returns boolean language plpgsql volatile security invoker set search_path = ''
  as $$
  begin
    perform from public.user_usage u where u.user_id = p_user_id;
    return found;
  end;
  $$`;

/** A repeated request is applied again. */
export const WITHOUT_REPLAYS = `
  create or replace function tollgate.find_replay(
    p_user_id uuid, p_request_id text, p_request_hash bigint
  )
  returns public.token_transfers language plpgsql stable security invoker set search_path = ''
  as $$
  begin
    return null;
  end;
  $$;
  drop index public.idx_token_transfers_request`;
