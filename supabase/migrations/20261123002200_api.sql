-- The edge function's own functions, one a request: each takes the hash of an API key, so that key
-- check and work are one transaction.

create function public.consume_with_api_key(
  p_key_hash bytea,
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
  return public.consume_tokens(
    tollgate.authenticate(p_key_hash, 'consume'),
    p_external_user_id, p_tokens, p_tag, p_metadata, p_request_id, p_mode
  );
end;
$$;

comment on function public.consume_with_api_key(bytea, text, bigint, text, jsonb, text, public.consume_mode) is
  'POST /v1/consume: consumption by the holder of an API key with scope consume. Raises TG001 to TG006.';

create function public.check_with_api_key(
  p_key_hash bytea,
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
  return public.check_tokens(
    tollgate.authenticate(p_key_hash, 'consume'),
    p_external_user_id, p_tokens, p_tag, p_metadata, p_request_id, p_mode
  );
end;
$$;

comment on function public.check_with_api_key(bytea, text, bigint, text, jsonb, text, public.consume_mode) is
  'POST /v1/check: a check by the holder of an API key with scope consume. Raises TG001 to TG006.';

create function public.batch_with_api_key(p_key_hash bytea, p_items jsonb, p_all_or_nothing boolean default false)
returns setof public.receipt
language plpgsql
volatile
security invoker
set search_path = ''
as $$
begin
  return query
    select r.*
    from public.consume_batch(tollgate.authenticate(p_key_hash, 'consume'), p_items, p_all_or_nothing) r;
end;
$$;

comment on function public.batch_with_api_key(bytea, jsonb, boolean) is
  'POST /v1/consume/batch: consumptions by the holder of an API key with scope consume. Raises TG001 to TG003.';

create function public.hold_with_api_key(
  p_key_hash bytea,
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
  return public.hold_tokens(
    tollgate.authenticate(p_key_hash, 'consume'),
    p_external_user_id, p_tokens, p_tag, p_ttl_seconds, p_metadata, p_request_id
  );
end;
$$;

comment on function public.hold_with_api_key(bytea, text, bigint, text, integer, jsonb, text) is
  'POST /v1/holds: a hold by the holder of an API key with scope consume. Raises TG001 to TG006.';

create function public.settle_with_api_key(
  p_key_hash bytea,
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
  return public.settle_hold(
    tollgate.authenticate(p_key_hash, 'consume'), p_hold_id, p_tokens, p_allow_excess, p_metadata, p_request_id
  );
end;
$$;

comment on function public.settle_with_api_key(bytea, text, bigint, boolean, jsonb, text) is
  'POST /v1/holds/:hold_id/settle: by the holder of an API key with scope consume. Raises TG001 to TG003, TG006, TG011 to TG013.';

create function public.extend_with_api_key(
  p_key_hash bytea, p_hold_id text, p_ttl_seconds integer default 600, p_request_id text default null
)
returns public.hold_receipt
language plpgsql
volatile
security invoker
set search_path = ''
as $$
begin
  return public.extend_hold(
    tollgate.authenticate(p_key_hash, 'consume'), p_hold_id, p_ttl_seconds, p_request_id
  );
end;
$$;

comment on function public.extend_with_api_key(bytea, text, integer, text) is
  'POST /v1/holds/:hold_id/extend: by the holder of an API key with scope consume. Raises TG001 to TG003, TG006, TG011, TG012.';

create function public.release_with_api_key(p_key_hash bytea, p_hold_id text, p_request_id text default null)
returns public.hold_receipt
language plpgsql
volatile
security invoker
set search_path = ''
as $$
begin
  return public.release_hold(tollgate.authenticate(p_key_hash, 'consume'), p_hold_id, p_request_id);
end;
$$;

comment on function public.release_with_api_key(bytea, text, text) is
  'POST /v1/holds/:hold_id/release: by the holder of an API key with scope consume. Raises TG001 to TG003, TG006, TG011, TG012.';

create function public.refund_with_api_key(
  p_key_hash bytea,
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
  return public.refund_tokens(
    tollgate.authenticate(p_key_hash, 'refund'),
    p_external_user_id, p_transfer_number, p_original_request_id, p_tokens,
    p_regrant_lapsed, p_grant_expires_at, p_metadata, p_request_id
  );
end;
$$;

comment on function public.refund_with_api_key(
  bytea, text, bigint, text, bigint, boolean, timestamptz, jsonb, text
) is
  'POST /v1/refunds: a refund by the holder of an API key with scope refund. Raises TG001 to TG004, TG006, TG014, TG015.';

create function public.grant_with_api_key(
  p_key_hash bytea,
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
  return public.grant_tokens(
    tollgate.authenticate(p_key_hash, 'grant'),
    p_external_user_id, p_tokens, p_grant_type, p_expires_at, p_metadata, p_request_id, p_effective_at, p_priority,
    p_tags, p_cost_basis, p_cost_currency
  );
end;
$$;

comment on function public.grant_with_api_key(
  bytea, text, bigint, public.grant_type, timestamptz, jsonb, text, timestamptz, integer, text[], bigint, text
) is
  'POST /v1/grants: a grant by the holder of an API key with scope grant. Raises TG001 to TG006.';

create function public.void_grant_with_api_key(
  p_key_hash bytea,
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
  return public.void_grant(
    tollgate.authenticate(p_key_hash, 'grant'), p_external_user_id, p_grant_id, p_metadata, p_request_id
  );
end;
$$;

comment on function public.void_grant_with_api_key(bytea, text, uuid, jsonb, text) is
  'POST /v1/grants/:grant_id/void: by the holder of an API key with scope grant. Raises TG001 to TG004, TG006, TG016, TG017.';

create function public.recurring_grant_with_api_key(
  p_key_hash bytea,
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
  return public.create_recurring_grant(
    tollgate.authenticate(p_key_hash, 'grant'),
    p_external_user_id, p_tokens, p_grant_type, p_every, p_starts_at, p_ends_at, p_valid_for, p_priority, p_tags,
    p_metadata, p_request_id
  );
end;
$$;

comment on function public.recurring_grant_with_api_key(
  bytea, text, bigint, public.grant_type, public.period, timestamptz, timestamptz, public.period, integer, text[], jsonb, text
) is
  'POST /v1/recurring-grants: by the holder of an API key with scope grant. Raises TG001 to TG006.';

create function public.end_recurring_grant_with_api_key(
  p_key_hash bytea, p_external_user_id text, p_recurring_grant_id uuid
)
returns public.recurring_grant_receipt
language plpgsql
volatile
security invoker
set search_path = ''
as $$
begin
  return public.end_recurring_grant(
    tollgate.authenticate(p_key_hash, 'grant'), p_external_user_id, p_recurring_grant_id
  );
end;
$$;

comment on function public.end_recurring_grant_with_api_key(bytea, text, uuid) is
  'POST /v1/recurring-grants/:recurring_grant_id/end: by the holder of an API key with scope grant. Raises TG001 to TG004, TG016.';

create function public.change_user_with_api_key(
  p_key_hash bytea,
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
  return public.change_user(
    tollgate.authenticate(p_key_hash, 'manage'),
    p_external_user_id, p_plan, p_payment_status, p_when, p_quota_policy, p_quota_open_until, p_billing_anchor,
    p_time_zone, p_request_id
  );
end;
$$;

comment on function public.change_user_with_api_key(
  bytea, text, text, public.payment_status, public.change_time, public.quota_policy, timestamptz, timestamptz, text, text
) is
  'PATCH /v1/users/:user_id: a change by the holder of an API key with scope manage. Raises TG001 to TG004, TG006.';

create function public.balance_with_api_key(
  p_key_hash bytea, p_external_user_id text, p_as_of timestamptz default null
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
volatile
security invoker
set search_path = ''
as $$
begin
  return query
    select b.*
    from public.get_user_balance(tollgate.authenticate(p_key_hash, 'read'), p_external_user_id, p_as_of) b;
end;
$$;

comment on function public.balance_with_api_key(bytea, text, timestamptz) is
  'GET /v1/users/:user_id/balance: a balance for the holder of an API key with scope read. Raises TG001 to TG004.';

create function public.usage_with_api_key(
  p_key_hash bytea,
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
volatile
security invoker
set search_path = ''
as $$
begin
  return query
    select u.*
    from public.get_usage(
      tollgate.authenticate(p_key_hash, 'read'), p_from, p_to, p_step, p_group_by, p_external_user_id, p_tag
    ) u;
end;
$$;

comment on function public.usage_with_api_key(
  bytea, timestamptz, timestamptz, public.usage_step, public.usage_dimension, text, text
) is
  'GET /v1/usage: usage for the holder of an API key with scope read. Raises TG001 to TG005.';

create function public.transfers_with_api_key(
  p_key_hash bytea, p_external_user_id text, p_limit integer default 50, p_before bigint default null
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
volatile
security invoker
set search_path = ''
as $$
begin
  return query
    select t.*
    from public.get_user_transfers(
      tollgate.authenticate(p_key_hash, 'read'), p_external_user_id, p_limit, p_before
    ) t;
end;
$$;

comment on function public.transfers_with_api_key(bytea, text, integer, bigint) is
  'GET /v1/users/:user_id/transfers: transfers for the holder of an API key with scope read. Raises TG001 to TG004.';

create function public.link_user_with_api_key(
  p_key_hash bytea, p_external_user_id text, p_auth_user_id uuid default null
)
returns table (user_id text, auth_user_id uuid)
language plpgsql
volatile
security invoker
set search_path = ''
as $$
begin
  return query
    select l.*
    from public.link_user(
      tollgate.authenticate(p_key_hash, 'link'), p_external_user_id, p_auth_user_id
    ) l;
end;
$$;

comment on function public.link_user_with_api_key(bytea, text, uuid) is
  'PUT /v1/users/:user_id/link: a link made by the holder of an API key with scope link. Raises TG001 to TG004, TG010.';

revoke all on function
public.consume_with_api_key(bytea, text, bigint, text, jsonb, text, public.consume_mode),
public.check_with_api_key(bytea, text, bigint, text, jsonb, text, public.consume_mode),
public.batch_with_api_key(bytea, jsonb, boolean),
public.hold_with_api_key(bytea, text, bigint, text, integer, jsonb, text),
public.settle_with_api_key(bytea, text, bigint, boolean, jsonb, text),
public.extend_with_api_key(bytea, text, integer, text),
public.release_with_api_key(bytea, text, text),
public.refund_with_api_key(bytea, text, bigint, text, bigint, boolean, timestamptz, jsonb, text),
public.grant_with_api_key(
  bytea, text, bigint, public.grant_type, timestamptz, jsonb, text, timestamptz, integer, text[], bigint, text
),
public.void_grant_with_api_key(bytea, text, uuid, jsonb, text),
public.recurring_grant_with_api_key(
  bytea, text, bigint, public.grant_type, public.period, timestamptz, timestamptz, public.period, integer, text[], jsonb, text
),
public.end_recurring_grant_with_api_key(bytea, text, uuid),
public.change_user_with_api_key(
  bytea, text, text, public.payment_status, public.change_time, public.quota_policy, timestamptz, timestamptz, text, text
),
public.balance_with_api_key(bytea, text, timestamptz),
public.usage_with_api_key(bytea, timestamptz, timestamptz, public.usage_step, public.usage_dimension, text, text),
public.transfers_with_api_key(bytea, text, integer, bigint),
public.link_user_with_api_key(bytea, text, uuid)
from public, anon, authenticated, service_role;
grant execute on function
public.consume_with_api_key(bytea, text, bigint, text, jsonb, text, public.consume_mode),
public.check_with_api_key(bytea, text, bigint, text, jsonb, text, public.consume_mode),
public.batch_with_api_key(bytea, jsonb, boolean),
public.hold_with_api_key(bytea, text, bigint, text, integer, jsonb, text),
public.settle_with_api_key(bytea, text, bigint, boolean, jsonb, text),
public.extend_with_api_key(bytea, text, integer, text),
public.release_with_api_key(bytea, text, text),
public.refund_with_api_key(bytea, text, bigint, text, bigint, boolean, timestamptz, jsonb, text),
public.grant_with_api_key(
  bytea, text, bigint, public.grant_type, timestamptz, jsonb, text, timestamptz, integer, text[], bigint, text
),
public.void_grant_with_api_key(bytea, text, uuid, jsonb, text),
public.recurring_grant_with_api_key(
  bytea, text, bigint, public.grant_type, public.period, timestamptz, timestamptz, public.period, integer, text[], jsonb, text
),
public.end_recurring_grant_with_api_key(bytea, text, uuid),
public.change_user_with_api_key(
  bytea, text, text, public.payment_status, public.change_time, public.quota_policy, timestamptz, timestamptz, text, text
),
public.balance_with_api_key(bytea, text, timestamptz),
public.usage_with_api_key(bytea, timestamptz, timestamptz, public.usage_step, public.usage_dimension, text, text),
public.transfers_with_api_key(bytea, text, integer, bigint),
public.link_user_with_api_key(bytea, text, uuid)
to service_role;
