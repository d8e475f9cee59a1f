-- The public functions: faces of the kernel. Those for supabase.rpc() and the SQL editor come
-- first; those that take the hash of an API key are the edge function's, one a request.

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
begin
  return query
    select r.success, r.tokens_consumed::integer, r.base_quota_used::integer, r.grants_used::integer, r.message
    from tollgate.consume(
      p_project_id, p_external_user_id, p_tokens_consumed, p_tag_id, p_metadata, null
    ) r;
end;
$$;

comment on function public.consume_tokens_v2(uuid, text, integer, uuid, jsonb) is
  'Takes 1 to 2147483647 tokens from a user, all or nothing: from base quota first, while payment is active, then from grants by expiry. Answers one row; a denial has success false and all amounts 0. Signed-in end users: own tokens only, where the project allows it. Raises TG001, TG004, TG005, TG008, TG009.';

create function public.grant_tokens(
  p_project_id uuid,
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
    select
      r.grant_id, p_external_user_id, r.tokens, r.grant_type, r.expires_at, r.metadata,
      r.grants_left, r.transfer_number, r.request_id, r.replayed, r.created_at
    from tollgate.grant_tokens(
      p_project_id, p_external_user_id, p_tokens, p_grant_type, p_expires_at, p_metadata, p_request_id
    ) r;
end;
$$;

comment on function public.grant_tokens(uuid, text, bigint, public.grant_type, timestamptz, jsonb, text) is
  'Gives 1 to 1e15 tokens to a user, for ever or until p_expires_at. An unknown user is created on the project''s default plan. Signed-in callers need the role admin. Raises TG001, TG004, TG006, TG008, TG009.';

create function public.get_user_balance(p_project_id uuid, p_external_user_id text)
returns table (
  user_id text,
  plan text,
  plan_type public.plan_type,
  payment_status public.payment_status,
  tokens_left bigint,
  quota_amount bigint,
  quota_used bigint,
  quota_left bigint,
  quota_resets_at timestamptz,
  grants_left bigint,
  restrictions jsonb,
  as_of timestamptz
)
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  return query
    select b.* from tollgate.balance(tollgate.tracked_user_id(p_project_id, p_external_user_id)) b;
end;
$$;

comment on function public.get_user_balance(uuid, text) is
  'What a user may spend now: tokens_left = quota_left + grants_left, in tokens, and each restriction''s max_tokens, used, left and resets_at. For members of the project and the user''s own auth user. Raises TG004.';

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
  grant_id uuid,
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
  p_scopes public.api_key_scope[] default '{consume,read,grant,link}'
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
public.grant_tokens(uuid, text, bigint, public.grant_type, timestamptz, jsonb, text),
public.get_user_balance(uuid, text),
public.get_user_transfers(uuid, text, integer, bigint),
public.create_api_key(uuid, text, timestamptz, public.api_key_scope[]),
public.revoke_api_key(uuid),
public.rotate_api_key(uuid, interval),
public.link_user(uuid, text, uuid)
from public, anon, authenticated, service_role;
grant execute on function
public.consume_tokens_v2(uuid, text, integer, uuid, jsonb),
public.grant_tokens(uuid, text, bigint, public.grant_type, timestamptz, jsonb, text),
public.get_user_balance(uuid, text),
public.get_user_transfers(uuid, text, integer, bigint),
public.create_api_key(uuid, text, timestamptz, public.api_key_scope[]),
public.revoke_api_key(uuid),
public.rotate_api_key(uuid, interval),
public.link_user(uuid, text, uuid)
to authenticated, service_role;

-- For the edge function: key check and work in one transaction --------------------------------

create function public.consume_with_api_key(
  p_key_hash bytea,
  p_external_user_id text,
  p_tokens bigint,
  p_tag text default null,
  p_metadata jsonb default null,
  p_request_id text default null
)
returns table (
  success boolean,
  tokens_consumed bigint,
  base_quota_used bigint,
  grants_used bigint,
  message text,
  reason text,
  retry_at timestamptz,
  user_id text,
  quota_left bigint,
  grants_left bigint,
  sources jsonb,
  nearest_limit jsonb,
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
declare
  v_project_id constant uuid := tollgate.authenticate(p_key_hash, 'consume');
begin
  return query
    select
      r.success, r.tokens_consumed, r.base_quota_used, r.grants_used, r.message, r.reason, r.retry_at,
      p_external_user_id, r.quota_left, r.grants_left, tollgate.sources_of(r), r.nearest_limit,
      r.transfer_number, r.request_id, r.replayed, r.created_at
    from tollgate.consume(
      v_project_id, p_external_user_id, p_tokens, tollgate.tag_id(v_project_id, p_tag), p_metadata, p_request_id
    ) r;
end;
$$;

comment on function public.consume_with_api_key(bytea, text, bigint, text, jsonb, text) is
  'POST /v1/consume: consumption by the holder of an API key with scope consume. Raises TG001 to TG006.';

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
  quota_amount bigint,
  quota_used bigint,
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
  grant_id uuid,
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
public.consume_with_api_key(bytea, text, bigint, text, jsonb, text),
public.grant_with_api_key(bytea, text, bigint, public.grant_type, timestamptz, jsonb, text),
public.balance_with_api_key(bytea, text),
public.transfers_with_api_key(bytea, text, integer, bigint),
public.link_user_with_api_key(bytea, text, uuid)
from public, anon, authenticated, service_role;
grant execute on function
public.consume_with_api_key(bytea, text, bigint, text, jsonb, text),
public.grant_with_api_key(bytea, text, bigint, public.grant_type, timestamptz, jsonb, text),
public.balance_with_api_key(bytea, text),
public.transfers_with_api_key(bytea, text, integer, bigint),
public.link_user_with_api_key(bytea, text, uuid)
to service_role;
