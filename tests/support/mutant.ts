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
  returns public.user_usage language plpgsql volatile security invoker set search_path = ''
  as $$
  begin
    return (select u from public.user_usage u where u.user_id = p_user_id);
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

/** A call that runs into a timeout while it draws on grants goes on without them. */
export const SWALLOWS_TIMEOUTS = `
  alter function tollgate.record rename to record_all;
  create function tollgate.record(
    p_transfers public.token_transfers[], p_draws public.user_token_grants_consume[],
    p_usages public.user_usage[], p_quotas public.user_quota_usage[],
    p_only_grants_in_force boolean default true
  )
  returns void language plpgsql volatile security invoker set search_path = ''
  as $$
  begin
    perform tollgate.record_all(p_transfers, p_draws, p_usages, p_quotas, p_only_grants_in_force);
  exception when query_canceled or lock_not_available then
    perform tollgate.record_all(p_transfers, null, p_usages, p_quotas, p_only_grants_in_force);
  end;
  $$;
  grant execute on all functions in schema tollgate to tollgate_kernel`;

/** A timeout is no longer told from a fault in the kernel. */
export const HIDES_TIMEOUTS = `
  create or replace function tollgate.lock_user(p_user_id uuid)
  returns public.user_usage language plpgsql volatile security invoker set search_path = ''
  as $$
  declare
    v_usage public.user_usage;
  begin
    select * into v_usage from public.user_usage u where u.user_id = p_user_id for no key update;
    return v_usage;
  exception when query_canceled or lock_not_available then
    raise exception 'something went wrong';
  end;
  $$`;
