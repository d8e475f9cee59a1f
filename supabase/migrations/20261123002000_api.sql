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
  p_request_id text default null
)
returns table (
  grant_id uuid,
  user_id text,
  tokens bigint,
  grant_type public.grant_type,
  expires_at timestamptz,
  metadata jsonb,
  grants_left bigint,
  transfer_number bigint,
  request_id text,
  replayed boolean,
  created_at timestamptz
)
language plpgsql
volatile
security invoker
set search_path = ''
as $$
begin
  return query
    select g.*
    from public.grant_tokens(
      tollgate.authenticate(p_key_hash, 'grant'),
      p_external_user_id, p_tokens, p_grant_type, p_expires_at, p_metadata, p_request_id
    ) g;
end;
$$;

comment on function public.grant_with_api_key(bytea, text, bigint, public.grant_type, timestamptz, jsonb, text) is
  'POST /v1/grants: a grant by the holder of an API key with scope grant. Raises TG001 to TG004, TG006.';

create function public.balance_with_api_key(p_key_hash bytea, p_external_user_id text)
returns table (
  user_id text,
  plan text,
  plan_type public.plan_type,
  payment_status public.payment_status,
  tokens_left bigint,
  tokens_held bigint,
  tokens_settled bigint,
  quota_amount bigint,
  quota_used bigint,
  quota_held bigint,
  quota_left bigint,
  quota_resets_at timestamptz,
  grants_left bigint,
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
    from public.get_user_balance(tollgate.authenticate(p_key_hash, 'read'), p_external_user_id) b;
end;
$$;

comment on function public.balance_with_api_key(bytea, text) is
  'GET /v1/users/:user_id/balance: a balance for the holder of an API key with scope read. Raises TG002 to TG004.';

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
public.grant_with_api_key(bytea, text, bigint, public.grant_type, timestamptz, jsonb, text),
public.balance_with_api_key(bytea, text),
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
public.grant_with_api_key(bytea, text, bigint, public.grant_type, timestamptz, jsonb, text),
public.balance_with_api_key(bytea, text),
public.transfers_with_api_key(bytea, text, integer, bigint),
public.link_user_with_api_key(bytea, text, uuid)
to service_role;
