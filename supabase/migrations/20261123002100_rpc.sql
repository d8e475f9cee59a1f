-- The public functions for supabase.rpc() and the SQL editor: faces of the kernel.

create function public.consume_tokens_v2(
  p_project_id uuid,
  p_external_user_id text,
  p_tokens_consumed integer,
  p_tag_id uuid default null,
  p_metadata jsonb default null
)
returns table (
  success boolean,
  tokens_consumed integer,
  base_quota_used integer,
  grants_used integer,
  message text
)
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  r constant public.receipt := tollgate.consume(
    p_project_id, p_external_user_id, p_tokens_consumed, p_tag_id, p_metadata, null
  );
begin
  success := r.success;
  tokens_consumed := r.tokens_consumed;
  base_quota_used := r.base_quota_used;
  grants_used := r.grants_used;
  message := r.message;
  return next;
end;
$$;

comment on function public.consume_tokens_v2(uuid, text, integer, uuid, jsonb) is
  'Takes 1 to 2147483647 tokens from a user, all or nothing: from base quota first, while payment leaves it open, then from grants by priority and expiry. Answers one row; a denial has success false and all amounts 0. Signed-in end users: own tokens only, where the project allows it. Raises TG001, TG004, TG005, TG008, TG009.';

create function public.consume_tokens(
  p_project_id uuid,
  p_external_user_id text,
  p_tokens bigint,
  p_tag text default null,
  p_metadata jsonb default null,
  p_request_id text default null,
  p_mode public.consume_mode default 'all_or_nothing'
)
returns public.receipt
language plpgsql
volatile
security invoker
set search_path = ''
as $$
begin
  return tollgate.consume(
    p_project_id, p_external_user_id, p_tokens, tollgate.tag_id(p_project_id, p_external_user_id, p_tag),
    p_metadata, p_request_id, null, p_mode
  );
end;
$$;

comment on function public.consume_tokens(uuid, text, bigint, text, jsonb, text, public.consume_mode) is
  'Takes 1 to 1e15 tokens from a user: restrictions, then base quota, while payment leaves it open, then grants by priority and expiry. All or nothing, or with mode up_to as many as there are. A denial has success false, a reason and a hint. p_request_id (1 to 255 printable ASCII characters) is applied once: repeated, the first receipt comes again. Signed-in end users: own tokens only, where the project allows it. Raises TG001, TG004, TG005, TG006, TG008, TG009.';

create function public.check_tokens(
  p_project_id uuid,
  p_external_user_id text,
  p_tokens bigint,
  p_tag text default null,
  p_metadata jsonb default null,
  p_request_id text default null,
  p_mode public.consume_mode default 'all_or_nothing'
)
returns public.receipt
language plpgsql
volatile
security invoker
set search_path = ''
as $$
begin
  return tollgate.consume(
    p_project_id, p_external_user_id, p_tokens, tollgate.tag_id(p_project_id, p_external_user_id, p_tag),
    p_metadata, p_request_id, null, p_mode, true
  );
end;
$$;

comment on function public.check_tokens(uuid, text, bigint, text, jsonb, text, public.consume_mode) is
  'The receipt that consume_tokens() would give now. Writes and locks nothing. Raises as it does.';

create function public.consume_batch(p_project_id uuid, p_items jsonb, p_all_or_nothing boolean default false)
returns setof public.receipt
language plpgsql
volatile
security invoker
set search_path = ''
as $$
begin
  return query select r.* from tollgate.consume_batch(p_project_id, p_items, p_all_or_nothing) r;
end;
$$;

comment on function public.consume_batch(uuid, jsonb, boolean) is
  '1 to 1000 consumptions, decided in order: [{"user_id": "ada", "tokens_to_consume": 5, "tag": "GPT-4", "metadata": {}, "request_id": "a", "mode": "up_to"}]. A receipt for each, in the same order; reasons besides those of a denial: unknown_tag, unknown_user, idempotency_mismatch. p_all_or_nothing: one refused item refuses the others, with reason batch_denied. Raises TG001, naming the item, TG004, TG008, TG009.';

create function public.hold_tokens(
  p_project_id uuid,
  p_external_user_id text,
  p_tokens bigint,
  p_tag text default null,
  p_ttl_seconds integer default 600,
  p_metadata jsonb default null,
  p_request_id text default null
)
returns public.hold_receipt
language plpgsql
volatile
security invoker
set search_path = ''
as $$
begin
  return tollgate.hold(
    p_project_id, p_external_user_id, p_tokens, tollgate.tag_id(p_project_id, p_external_user_id, p_tag),
    p_ttl_seconds, p_metadata, p_request_id
  );
end;
$$;

comment on function public.hold_tokens(uuid, text, bigint, text, integer, jsonb, text) is
  'Sets 1 to 1e15 tokens aside for 1 to 86400 seconds, by the rules of consume_tokens(), for settle_hold() to charge. At most 100 open holds a user. Raises TG001, TG004, TG005, TG006, TG008, TG009.';

create function public.settle_hold(
  p_project_id uuid,
  p_hold_id text,
  p_tokens bigint,
  p_allow_excess boolean default false,
  p_metadata jsonb default null,
  p_request_id text default null
)
returns public.settlement_receipt
language plpgsql
volatile
security invoker
set search_path = ''
as $$
begin
  return tollgate.settle_hold(p_project_id, p_hold_id, p_tokens, p_allow_excess, p_metadata, p_request_id);
end;
$$;

comment on function public.settle_hold(uuid, text, bigint, boolean, jsonb, text) is
  'Charges 0 tokens up to what is held; the rest returns. More is refused, unless p_allow_excess: then the excess is consumed too, or all is denied. Raises TG001, TG006, TG008, TG011 for an unknown hold, TG012 for one that has ended, TG013 for more than is held.';

create function public.extend_hold(
  p_project_id uuid, p_hold_id text, p_ttl_seconds integer default 600, p_request_id text default null
)
returns public.hold_receipt
language plpgsql
volatile
security invoker
set search_path = ''
as $$
begin
  return tollgate.change_hold(p_project_id, p_hold_id, coalesce(p_ttl_seconds, 0), p_request_id);
end;
$$;

comment on function public.extend_hold(uuid, text, integer, text) is
  'Lets a hold last until so many seconds from now, 1 to 86400; never shortens it. Raises TG001, TG006, TG008, TG011, TG012.';

create function public.release_hold(p_project_id uuid, p_hold_id text, p_request_id text default null)
returns public.hold_receipt
language plpgsql
volatile
security invoker
set search_path = ''
as $$
begin
  return tollgate.change_hold(p_project_id, p_hold_id, null, p_request_id);
end;
$$;

comment on function public.release_hold(uuid, text, text) is
  'Gives all tokens of a hold back to their sources. Raises TG001, TG006, TG008, TG011, TG012.';

create function public.refund_tokens(
  p_project_id uuid,
  p_external_user_id text,
  p_transfer_number bigint default null,
  p_original_request_id text default null,
  p_tokens bigint default null,
  p_regrant_lapsed boolean default false,
  p_grant_expires_at timestamptz default null,
  p_metadata jsonb default null,
  p_request_id text default null
)
returns public.refund_receipt
language plpgsql
volatile
security invoker
set search_path = ''
as $$
begin
  return tollgate.refund_tokens(
    p_project_id, p_external_user_id, p_transfer_number, p_original_request_id, p_tokens,
    p_regrant_lapsed, p_grant_expires_at, p_metadata, p_request_id
  );
end;
$$;

comment on function public.refund_tokens(
  uuid, text, bigint, text, bigint, boolean, timestamptz, jsonb, text
) is
  'Gives tokens of a consumption, named by number or request id, back to the sources that paid: 1 up to what is not yet refunded, or all of that. What paid and has lapsed stays lapsed, or with p_regrant_lapsed becomes a new grant, for ever or until p_grant_expires_at. Signed-in callers need the role admin. Raises TG001, TG004, TG006, TG008, TG009, TG014 for an unknown transfer, TG015 for more than is left to refund.';

create function public.grant_tokens(
  p_project_id uuid,
  p_external_user_id text,
  p_tokens bigint,
  p_grant_type public.grant_type,
  p_expires_at timestamptz default null,
  p_metadata jsonb default null,
  p_request_id text default null,
  p_effective_at timestamptz default null,
  p_priority integer default 50,
  p_tags text[] default null,
  p_cost_basis bigint default null,
  p_cost_currency text default null
)
returns public.grant_receipt
language plpgsql
volatile
security invoker
set search_path = ''
as $$
begin
  return tollgate.grant_tokens(
    p_project_id, p_external_user_id, p_tokens, p_grant_type, p_expires_at, p_metadata, p_request_id, null,
    p_effective_at, p_priority, p_tags, p_cost_basis, p_cost_currency
  );
end;
$$;

comment on function public.grant_tokens(
  uuid, text, bigint, public.grant_type, timestamptz, jsonb, text, timestamptz, integer, text[], bigint, text
) is
  'Gives 1 to 1e15 tokens to a user, from p_effective_at or now on, for ever or until p_expires_at; p_priority 1 to 100, lower is spent first; p_tags if they can be spent on those only; p_cost_basis is what was paid for them, in the smallest unit of p_cost_currency (ISO 4217). An unknown user is created on the project''s default plan. Signed-in callers need the role admin. Raises TG001, TG004, TG005, TG006, TG008, TG009.';

create function public.void_grant(
  p_project_id uuid,
  p_external_user_id text,
  p_grant_id uuid,
  p_metadata jsonb default null,
  p_request_id text default null
)
returns public.void_receipt
language plpgsql
volatile
security invoker
set search_path = ''
as $$
begin
  return tollgate.void_grant(p_project_id, p_external_user_id, p_grant_id, p_metadata, p_request_id);
end;
$$;

comment on function public.void_grant(uuid, text, uuid, jsonb, text) is
  'Ends a grant: what is left of it is gone, what was spent stays spent, what is held may still be settled. Signed-in callers need the role admin. Raises TG001, TG004, TG006, TG008, TG009, TG016 for an unknown grant, TG017 for one that has ended.';

create function public.create_recurring_grant(
  p_project_id uuid,
  p_external_user_id text,
  p_tokens bigint,
  p_grant_type public.grant_type,
  p_every public.period,
  p_starts_at timestamptz default null,
  p_ends_at timestamptz default null,
  p_valid_for public.period default null,
  p_priority integer default 50,
  p_tags text[] default null,
  p_metadata jsonb default null,
  p_request_id text default null
)
returns public.recurring_grant_receipt
language plpgsql
volatile
security invoker
set search_path = ''
as $$
begin
  return tollgate.create_recurring_grant(
    p_project_id, p_external_user_id, p_tokens, p_grant_type, p_every, p_starts_at, p_ends_at, p_valid_for,
    p_priority, p_tags, p_metadata, p_request_id
  );
end;
$$;

comment on function public.create_recurring_grant(
  uuid, text, bigint, public.grant_type, public.period, timestamptz, timestamptz, public.period, integer, text[], jsonb, text
) is
  'Gives 1 to 1e12 tokens to a user every day, week, ... year: first at p_starts_at or now, last before p_ends_at; each time for ever or for p_valid_for. Signed-in callers need the role admin. Raises TG001, TG004, TG005, TG006, TG008, TG009.';

create function public.end_recurring_grant(p_project_id uuid, p_external_user_id text, p_recurring_grant_id uuid)
returns public.recurring_grant_receipt
language plpgsql
volatile
security invoker
set search_path = ''
as $$
begin
  return tollgate.end_recurring_grant(p_project_id, p_external_user_id, p_recurring_grant_id);
end;
$$;

comment on function public.end_recurring_grant(uuid, text, uuid) is
  'Stops a recurring grant from now on; what it has given stays. Signed-in callers need the role admin. Raises TG001, TG004, TG008, TG009, TG016.';

create function public.change_user(
  p_project_id uuid,
  p_external_user_id text,
  p_plan text default null,
  p_payment_status public.payment_status default null,
  p_when public.change_time default 'now',
  p_quota_policy public.quota_policy default 'keep',
  p_quota_open_until timestamptz default null,
  p_billing_anchor timestamptz default null,
  p_time_zone text default null,
  p_request_id text default null
)
returns public.account_receipt
language plpgsql
volatile
security invoker
set search_path = ''
as $$
begin
  return tollgate.change_user(
    p_project_id, p_external_user_id, p_plan, p_payment_status, p_when, p_quota_policy, p_quota_open_until,
    p_billing_anchor, p_time_zone, p_request_id
  );
end;
$$;

comment on function public.change_user(
  uuid, text, text, public.payment_status, public.change_time, public.quota_policy, timestamptz, timestamptz, text, text
) is
  'Changes what is given of a user: the plan, by name, now or at the end of the quota period, with what becomes of the quota in mid-period (keep, prorate, reset); the payment status, canceled also at the end of the period; until when trial, past_due or canceled leave the quota open; the billing anchor; the time zone, empty text for the project''s. An unknown user is created. Signed-in callers need the role admin. Raises TG001, TG004, TG006, TG008, TG009.';

create function public.get_user_balance(
  p_project_id uuid, p_external_user_id text, p_as_of timestamptz default null
)
returns table (
  user_id text,
  plan text,
  plan_type public.plan_type,
  next_plan text,
  next_plan_at timestamptz,
  payment_status public.payment_status,
  quota_open_until timestamptz,
  time_zone text,
  tokens_left bigint,
  tokens_held bigint,
  tokens_settled bigint,
  quota_amount bigint,
  quota_used bigint,
  quota_held bigint,
  quota_left bigint,
  quota_resets_at timestamptz,
  grants_left bigint,
  grants jsonb,
  restrictions jsonb,
  as_of timestamptz
)
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  v_user_id constant uuid := tollgate.tracked_user_id(p_project_id, p_external_user_id);
begin
  if p_as_of is not null then
    perform tollgate.check_as_of(v_user_id, p_as_of);
  end if;
  return query select b.* from tollgate.balance(v_user_id, p_as_of) b;
end;
$$;

comment on function public.get_user_balance(uuid, text, timestamptz) is
  'What a user may spend now, in tokens, or could as of an instant in the past, by the plans and restrictions of today: tokens_left = quota_left + grants_left, beside tokens_held in open holds, tokens_settled being both; each grant that has not ended; and each restriction''s max_tokens, used, held, left and resets_at. For members of the project and the user''s own auth user. Raises TG001, TG004.';

create function public.get_usage(
  p_project_id uuid,
  p_from timestamptz,
  p_to timestamptz default null,
  p_step public.usage_step default 'day',
  p_group_by public.usage_dimension default null,
  p_external_user_id text default null,
  p_tag text default null
)
returns table (
  starts_at timestamptz,
  ends_at timestamptz,
  tokens_used bigint,
  base_quota_used bigint,
  grants_used bigint,
  calls bigint,
  groups jsonb
)
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  return query
    select u.*
    from tollgate.usage(p_project_id, p_from, p_to, p_step, p_group_by, p_external_user_id, p_tag) u;
end;
$$;

comment on function public.get_usage(
  uuid, timestamptz, timestamptz, public.usage_step, public.usage_dimension, text, text
) is
  'Tokens used, less what was refunded, in calendar hours, days, weeks or months from p_from to p_to (or now), at most 1000, none left out; split up by tag, user, key or source in groups. For members of the project, or of one user, also for the user''s own auth user. Raises TG001, TG004, TG005, TG008, TG009.';

create function public.get_user_transfers(
  p_project_id uuid, p_external_user_id text, p_limit integer default 50, p_before bigint default null
)
returns table (
  transfer_number bigint,
  amount bigint,
  transaction_type public.transaction_type,
  tag text,
  base_quota_used bigint,
  grants_used bigint,
  quota_left bigint,
  grants_left bigint,
  tokens_held bigint,
  grant_id uuid,
  refers_to bigint,
  request_id text,
  metadata jsonb,
  created_at timestamptz
)
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  return query
    select t.*
    from tollgate.transfers(
      tollgate.tracked_user_id(p_project_id, p_external_user_id), p_limit, p_before
    ) t;
end;
$$;

comment on function public.get_user_transfers(uuid, text, integer, bigint) is
  'A user''s transfers, newest first, 1 to 101 a page; p_before is the last transfer_number of the page before. For members of the project and the user''s own auth user. Raises TG001, TG004.';

create function public.create_api_key(
  p_project_id uuid,
  p_name text,
  p_expires_at timestamptz default null,
  p_scopes public.api_key_scope[] default '{consume,read,grant,link,refund,manage}'
)
returns table (id uuid, name text, api_key text, scopes public.api_key_scope[], expires_at timestamptz)
language plpgsql
volatile
security invoker
set search_path = ''
as $$
begin
  return query select k.* from tollgate.create_api_key(p_project_id, p_name, p_expires_at, p_scopes) k;
end;
$$;

comment on function public.create_api_key(uuid, text, timestamptz, public.api_key_scope[]) is
  'Makes a key of a project and answers its plaintext, which is shown this once only. Signed-in callers need the role admin. Raises TG001, TG008, TG009.';

create function public.revoke_api_key(p_key_id uuid)
returns timestamptz
language plpgsql
volatile
security invoker
set search_path = ''
as $$
begin
  return tollgate.revoke_api_key(p_key_id);
end;
$$;

comment on function public.revoke_api_key(uuid) is
  'Ends a key: the next call with it is refused. Answers since when. Signed-in callers need the role admin. Raises TG002.';

create function public.rotate_api_key(p_key_id uuid, p_grace interval default '24 hours')
returns table (id uuid, name text, api_key text, scopes public.api_key_scope[], expires_at timestamptz)
language plpgsql
volatile
security invoker
set search_path = ''
as $$
begin
  return query select k.* from tollgate.rotate_api_key(p_key_id, p_grace) k;
end;
$$;

comment on function public.rotate_api_key(uuid, interval) is
  'Makes a key with the name, scopes and expiry of another and answers its plaintext, which is shown this once only. The other stays valid for the grace time, 0 to 90 days. Signed-in callers need the role admin. Raises TG001, TG002.';

create function public.link_user(
  p_project_id uuid, p_external_user_id text, p_auth_user_id uuid default null
)
returns table (user_id text, auth_user_id uuid)
language plpgsql
volatile
security invoker
set search_path = ''
as $$
begin
  return query
    select p_external_user_id, tollgate.link_user(p_project_id, p_external_user_id, p_auth_user_id);
end;
$$;

comment on function public.link_user(uuid, text, uuid) is
  'Lets a row of auth.users see a tracked user''s balance and transfers; left out or null takes it back. Signed-in callers need the role admin. Raises TG001, TG004, TG008, TG009, TG010.';

revoke all on function
public.consume_tokens_v2(uuid, text, integer, uuid, jsonb),
public.consume_tokens(uuid, text, bigint, text, jsonb, text, public.consume_mode),
public.check_tokens(uuid, text, bigint, text, jsonb, text, public.consume_mode),
public.consume_batch(uuid, jsonb, boolean),
public.hold_tokens(uuid, text, bigint, text, integer, jsonb, text),
public.settle_hold(uuid, text, bigint, boolean, jsonb, text),
public.extend_hold(uuid, text, integer, text),
public.release_hold(uuid, text, text),
public.refund_tokens(uuid, text, bigint, text, bigint, boolean, timestamptz, jsonb, text),
public.grant_tokens(
  uuid, text, bigint, public.grant_type, timestamptz, jsonb, text, timestamptz, integer, text[], bigint, text
),
public.void_grant(uuid, text, uuid, jsonb, text),
public.create_recurring_grant(
  uuid, text, bigint, public.grant_type, public.period, timestamptz, timestamptz, public.period, integer, text[], jsonb, text
),
public.end_recurring_grant(uuid, text, uuid),
public.change_user(
  uuid, text, text, public.payment_status, public.change_time, public.quota_policy, timestamptz, timestamptz, text, text
),
public.get_user_balance(uuid, text, timestamptz),
public.get_usage(uuid, timestamptz, timestamptz, public.usage_step, public.usage_dimension, text, text),
public.get_user_transfers(uuid, text, integer, bigint),
public.create_api_key(uuid, text, timestamptz, public.api_key_scope[]),
public.revoke_api_key(uuid),
public.rotate_api_key(uuid, interval),
public.link_user(uuid, text, uuid)
from public, anon, authenticated, service_role;
grant execute on function
public.consume_tokens_v2(uuid, text, integer, uuid, jsonb),
public.consume_tokens(uuid, text, bigint, text, jsonb, text, public.consume_mode),
public.check_tokens(uuid, text, bigint, text, jsonb, text, public.consume_mode),
public.consume_batch(uuid, jsonb, boolean),
public.hold_tokens(uuid, text, bigint, text, integer, jsonb, text),
public.settle_hold(uuid, text, bigint, boolean, jsonb, text),
public.extend_hold(uuid, text, integer, text),
public.release_hold(uuid, text, text),
public.refund_tokens(uuid, text, bigint, text, bigint, boolean, timestamptz, jsonb, text),
public.grant_tokens(
  uuid, text, bigint, public.grant_type, timestamptz, jsonb, text, timestamptz, integer, text[], bigint, text
),
public.void_grant(uuid, text, uuid, jsonb, text),
public.create_recurring_grant(
  uuid, text, bigint, public.grant_type, public.period, timestamptz, timestamptz, public.period, integer, text[], jsonb, text
),
public.end_recurring_grant(uuid, text, uuid),
public.change_user(
  uuid, text, text, public.payment_status, public.change_time, public.quota_policy, timestamptz, timestamptz, text, text
),
public.get_user_balance(uuid, text, timestamptz),
public.get_usage(uuid, timestamptz, timestamptz, public.usage_step, public.usage_dimension, text, text),
public.get_user_transfers(uuid, text, integer, bigint),
public.create_api_key(uuid, text, timestamptz, public.api_key_scope[]),
public.revoke_api_key(uuid),
public.rotate_api_key(uuid, interval),
public.link_user(uuid, text, uuid)
to authenticated, service_role;
