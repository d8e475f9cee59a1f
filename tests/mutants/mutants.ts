import type { Sql, TransactionSql } from "postgres";
import { databaseUrl, withConnection } from "../../local/database.ts";
import { SUPERUSER } from "../../local/postgres.ts";

export interface Mutant {
  name: string;
  /** The name of a function that is not overloaded. */
  target: string;
  text: string;
  replacement: string;
  /** The test files that are to catch it. */
  tests: string[];
}

function mutant(
  name: string,
  target: string,
  text: string,
  replacement: string,
  ...tests: string[]
): Mutant {
  return { name, target: `tollgate.${target}`, text, replacement, tests };
}

/** Faults in the SQL, each of which the tests must notice: `npm run mutants`. */
export const MUTANTS: Mutant[] = [
  // The general way: decide, split, book.
  mutant(
    "a limit allows one less",
    "decide",
    "if v_left < d.tokens then",
    "if v_left <= d.tokens then",
    "consistency/single",
  ),
  mutant(
    "grants allow one more",
    "decide",
    "or d.from_grants > v_grants_left then",
    "or d.from_grants > v_grants_left + 1 then",
    "consistency/single",
  ),
  mutant(
    "the restriction of a tag is not counted",
    "decide",
    "continue when (l.tag_ids is null or p_tag_id = any(l.tag_ids)) is not true;",
    "continue when l.tag_ids is not null;",
    "consistency/single",
  ),
  mutant(
    "a payer loses a token",
    "split",
    "v_taken := least(v_needed, g.tokens_left);",
    "v_taken := least(v_needed, g.tokens_left - 1);",
    "consistency/single",
  ),
  mutant(
    "a grant is spent before its time",
    "split",
    "g.effective_at > p_account.at\n      or ",
    "",
    "rules/grants_can_be_spent",
    "consistency/single",
  ),
  mutant(
    "a grant is spent on any tag",
    "split",
    "or (g.tag_ids is null or p_tag_id = any(g.tag_ids)) is not true",
    "",
    "rules/grants_are_spent_on",
  ),
  mutant(
    "the receipt shows the balance before the call",
    "book",
    "t.quota_left := a.quota_left;",
    "t.quota_left := p_account.quota_left;",
    "consistency/single",
  ),
  mutant(
    "a transfer number is skipped",
    "book",
    "(a.usage).last_transfer_number + 1, a.at",
    "(a.usage).last_transfer_number + 2, a.at",
    "rules/hold",
  ),
  mutant(
    "what a hold sets aside counts in no window",
    "hold_aside",
    "if tollgate.counts_in(a.limits[i], h.tag_id, h.created_at) then",
    "if false then",
    "rules/hold",
  ),
  // The plain way of a single consumption.
  mutant(
    "a plain consumption exceeds a limit by one",
    "decide_plainly",
    "v_left >= 0 and",
    "v_left >= -1 and",
    "rules/restriction",
  ),
  mutant(
    "a plain consumption counts in a window that has ended",
    "decide_plainly",
    "v_at < r.counted_until",
    "v_at <= r.counted_until",
    "consistency/single",
  ),
  mutant(
    "a plain consumption forgets open holds",
    "decide_plainly",
    "h.ended_by is null and h.expires_at > v_at",
    "false",
    "consistency/single",
  ),
  mutant(
    "a plain consumption needs no payment",
    "decide_plainly",
    "or e.payment_status <> 'active' ",
    "",
    "rules/payment",
    "rules/inactive",
  ),
  mutant(
    "a plain consumption forgets the next plan",
    "decide_plainly",
    "or e.next_plan_at <= v_at ",
    "",
    "time/next_plan",
  ),
  mutant(
    "a plain consumption draws on a period that has ended",
    "decide_plainly",
    "v_at < q.period_end and",
    "v_at <= q.period_end and",
    "consistency/single",
    "time/quota",
  ),
  mutant(
    "a plain consumption draws on the last grant first",
    "decide_plainly",
    "order by f.priority, coalesce(f.expires_at, 'infinity'), f.created_at",
    "order by f.priority, coalesce(f.expires_at, 'infinity') desc, f.created_at",
    "rules/grants_are_spent",
  ),
  mutant(
    "a plain consumption draws on a grant that has ended",
    "decide_plainly",
    "coalesce(n.voided_at, n.expires_at, 'infinity') > v_at",
    "true",
    "consistency/single",
  ),
  mutant(
    "a plain consumption takes another project's tag",
    "decide_plainly",
    " and f.project_id = p_project_id",
    "",
    "rules/unknown_names",
  ),
  mutant(
    "a plain consumption overdraws the quota by one",
    "decide_plainly",
    "v_from_quota := least(v_tokens, v_quota_left);",
    "v_from_quota := least(v_tokens, v_quota_left + 1);",
    "consistency/single",
  ),
  // Locks and clocks.
  mutant(
    "calls of a user do not queue",
    "lock_user",
    "where u.user_id = p_user_id for no key update;\n  if not found then",
    "where u.user_id = p_user_id;\n  if not found then",
    "concurrency/one_user",
  ),
  mutant(
    "the clock is read before the lock",
    "consume",
    "v_usage := tollgate.lock_user(v_user_id);",
    "p_at := coalesce(p_at, clock_timestamp());\n    v_usage := tollgate.lock_user(v_user_id);",
    "concurrency/waiting_call",
  ),
  mutant(
    "batches lock users in any order",
    "lock_users",
    "order by u.user_id for no key update",
    "order by md5(u.user_id::text || pg_backend_pid()) for no key update",
    "concurrency/batches",
  ),
  mutant(
    "a user's time runs backwards",
    "account_at",
    "greatest(p_at, u.not_before)",
    "p_at",
    "time/late_clock",
  ),
  // Requests.
  mutant(
    "a replay is not recognised",
    "find_replay",
    "t.request_id = p_request_id",
    "false",
    "rules/request_id",
  ),
  mutant(
    "a mismatch is accepted",
    "find_replay",
    "found and v_transfer.request_hash is distinct from p_request_hash",
    "false",
    "rules/request_id",
  ),
  mutant(
    "the request's hash leaves out its metadata",
    "consume_hash",
    "p_request.metadata",
    "null::jsonb",
    "rules/request_id",
  ),
  mutant(
    "a batch decides each item from the first account",
    "consume_batch",
    "a := v_attempt.account;",
    "",
    "rules/batch",
  ),
  // Windows, periods, what comes due.
  mutant(
    "windows are cut by UTC",
    "limit_window_at",
    "tollgate.window_at(l.length, p_time_zone,",
    "tollgate.window_at(l.length, 'UTC',",
    "time/usage_resets",
    "time/windows_follow",
  ),
  mutant(
    "a rolling window rolls off a quarter too early",
    "limit_window_at",
    "tollgate.quarter_of(p_at - make_interval(secs => extract(epoch from l.length)));",
    "tollgate.quarter_of(p_at - make_interval(secs => extract(epoch from l.length))) + interval '15 minutes';",
    "time/rolling",
  ),
  mutant(
    "a rolling window starts anew",
    "counted_anew",
    "p_limit.ends_at is not null and not l.is_rolling",
    "p_limit.ends_at is not null",
    "time/rolling",
  ),
  mutant(
    "a quota period lasts through its end",
    "add_up",
    "a.at >= (a.quota).period_end",
    "a.at > (a.quota).period_end",
    "time/quota",
  ),
  mutant(
    "unused quota rolls over again and again",
    "rollovers_are_due",
    " and p_account.quota_is_new",
    "",
    "time/no_time",
    "rules/unused",
  ),
  mutant(
    "a recurring grant comes once more at its end",
    "due_occurrences",
    "exit when g.effective_at >= r.ends_at;",
    "exit when g.effective_at > r.ends_at;",
    "time/recurring",
  ),
  mutant(
    "a change of plan forgets what was used",
    "carry_quota",
    "when 'keep' then v_new_room",
    "when 'keep' then v_new_quota.token_amount",
    "rules/plan_change",
  ),
  // Holds, refunds, voids.
  mutant(
    "a hold is open at its expiry",
    "state_of",
    "p_hold.expires_at > p_at",
    "p_hold.expires_at >= p_at",
    "rules/hold",
  ),
  mutant(
    "what a released hold set aside stays so",
    "account_at",
    "and h.ended_by is null\n",
    "",
    "consistency/random",
  ),
  mutant("a hold ends twice", "require_open", "v_state <> 'open'", "false", "rules/hold"),
  mutant(
    "a hold of another project is found",
    "lock_hold",
    " and u.project_id = p_project_id",
    "",
    "rules/hold",
  ),
  mutant(
    "a hold is settled beyond what it holds",
    "settle_hold",
    "p_tokens > h.token_amount and p_allow_excess is not true",
    "false",
    "rules/hold",
    "e2e/a_hold",
  ),
  mutant(
    "any transfer can be refunded",
    "refundable",
    "t.transaction_type <> 'consumption'",
    "false",
    "rules/refund",
  ),
  mutant(
    "more is refunded than was consumed",
    "refund_tokens",
    "v_needed = 0 or v_needed > - o.amount - v_skipped",
    "v_needed = 0",
    "rules/refund",
  ),
  mutant(
    "a refund begins with the first payer",
    "refund_tokens",
    "in reverse cardinality(v_paid) .. 1 loop",
    "in 1 .. cardinality(v_paid) loop",
    "rules/refund",
  ),
  mutant(
    "a refund's hash leaves out the tokens",
    "refund_tokens",
    "p_original_request_id, p_tokens, p_regrant_lapsed",
    "p_original_request_id, p_regrant_lapsed",
    "rules/refund",
  ),
  mutant(
    "a void takes one token too many",
    "void_grant",
    "v_rest := g.tokens_left;",
    "v_rest := g.tokens_left + 1;",
    "rules/void",
  ),
  // What is kept beside the transfers, and who may do what.
  mutant(
    "a refund adds to usage",
    "count_in_bucket",
    "tokens_used = b.tokens_used - p_transfer.amount",
    "tokens_used = b.tokens_used + abs(p_transfer.amount)",
    "rules/usage",
  ),
  mutant(
    "a hash leaves out the amount",
    "transfer_hash",
    "t.transfer_number, t.amount, t.transaction_type",
    "t.transfer_number, t.transaction_type",
    "rules/a_tampered",
  ),
  mutant(
    "a revoked API key opens its project",
    "authenticate",
    "v_key.revoked_at <= v_now",
    "false",
    "rules/api_key",
    "e2e/api_key",
  ),
  mutant(
    "any API key may do anything",
    "authenticate",
    "p_scope <> all (v_key.scopes)",
    "false",
    "rules/api_key",
  ),
  mutant(
    "a viewer may do what takes an admin",
    "require_role",
    "tollgate.my_projects(p_minimum)",
    "tollgate.my_projects('viewer')",
    "access/members",
    "e2e/rpc_members",
  ),
  mutant(
    "a signed-in user consumes anybody's tokens",
    "require_consumer",
    " and u.auth_user_id = tollgate.caller_id()",
    "",
    "e2e/rpc_end_users",
  ),
  // What owners do by hand in the midst of calls.
  mutant(
    "a hold lets its grants be ended before it",
    "lock_grants",
    "if not found then",
    "if false then",
    "concurrency/edits_by_hand",
  ),
  mutant(
    "a tag may go while a grant for it is made",
    "check_grant_terms",
    "for key share of t;",
    ";",
    "concurrency/edits_by_hand",
  ),
  mutant(
    "a plain consumption reads at several moments",
    "decide_plainly",
    "STABLE",
    "VOLATILE",
    "concurrency/a_call_sees",
  ),
  mutant(
    "a grant that has ended can end later",
    "end_grant_after_what_it_paid",
    "least(u.not_before, old.expires_at)",
    "u.not_before",
    "rules/a_grant_ends",
  ),
  mutant(
    "a transfer shows what later rows of a statement give",
    "book_grants",
    "v_user.grants[i + 1 :]",
    "'{}'::public.user_token_grants[]",
    "rules/grant_inserted",
  ),

  // Dates, hashes, keys.
  mutant(
    "a quota period that a denied call begins dates nothing",
    "book_due_grants",
    "update public.user_usage u set not_before = a.at where u.user_id = a.user_id;",
    "",
    "time/late_clock",
  ),
  mutant(
    "a hash leaves out grants that paid",
    "sealed",
    "v_draw := v_draw + 1;",
    "v_draw := v_draw + 2;",
    "rules/a_tampered",
  ),
  mutant(
    "an API key is noted on another project's transfers",
    "current_api_key_id",
    " and k.project_id = p_project_id",
    "",
    "rules/api_key_is_noted",
  ),
  mutant(
    "any login is a backend",
    "is_trusted",
    "pg_has_role(v_role, 'service_role', 'usage')",
    "current_setting('role') = 'none'",
    "access/a_login",
  ),
  mutant(
    "a quota that is deleted under a call is an internal error",
    "begin_period",
    "foreign_key_violation",
    "unique_violation",
    "concurrency/edits_by_hand",
  ),
  mutant(
    "what comes for a month from the 31st lasts a month of its own",
    "due_occurrences",
    "when least(v_every, v_valid_for) >= interval '1 month'",
    "when false",
    "time/recurring_grants_come_by",
  ),
  mutant(
    "a move to another zone shows what comes by the new clocks",
    "book_account_change",
    "a.grants_left := a.grants_left - (select coalesce(sum(d.token_amount), 0) from unnest(a.due_grants) d);",
    "",
    "time/recurring_grants_outlive",
  ),
  mutant(
    "a recurring grant is there before it was agreed on",
    "balance",
    "or p_at < (select max(r.created_at) from public.recurring_grants r where r.user_id = p_user_id)",
    "",
    "time/as_of_an_instant",
  ),
];

/** Makes the function of a mutant wrong; throws where its text is not there exactly once. */
export async function applyMutant(sql: Sql | TransactionSql, mutant: Mutant): Promise<void> {
  const [row] = await sql<{ definition: string | null }[]>`
    select pg_get_functiondef(to_regproc(${mutant.target})) as definition`;
  const parts = row?.definition?.split(mutant.text) ?? [];
  if (parts.length !== 2) {
    throw new Error(
      `Mutant "${mutant.name}": its text must occur exactly once in ${mutant.target}.`,
    );
  }
  await sql.unsafe(parts.join(mutant.replacement));
}

/** Puts the named mutant into all databases that the tests of a stack will see. */
export async function mutateStack(port: number, name: string): Promise<void> {
  const mutant = MUTANTS.find((candidate) => candidate.name === name);
  if (!mutant) throw new Error(`TOLLGATE_MUTANT: there is no mutant "${name}".`);
  for (const database of ["tollgate_template", "postgres"]) {
    await withConnection(
      databaseUrl(port, SUPERUSER, database),
      (sql) => applyMutant(sql, mutant),
    );
  }
}
