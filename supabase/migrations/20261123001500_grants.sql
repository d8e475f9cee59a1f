-- Grants: inserting a row is all it takes, by hand in Studio, by RPC or by the API. Triggers lock
-- the user, set the time and book the transfer.

create function tollgate.prepare_grant_by_hand()
returns trigger
language plpgsql
volatile
security invoker
set search_path = ''
as $$
begin
  -- Under the caller's row level security: another project's user must look like none at all.
  if not exists (select from public.tracked_users u where u.id = new.user_id) then
    raise exception using
      errcode = 'TG004', message = 'user_id is not a known user', hint = 'Use the id of a row of tracked_users.';
  end if;
  new.created_at := null;
  new.refund_of := null;
  return new;
end;
$$;

comment on function tollgate.prepare_grant_by_hand() is
  'Trigger: only the kernel may place a grant in time; for everybody else it is made now. Raises TG004.';

create function tollgate.prepare_grant()
returns trigger
language plpgsql
volatile
security definer
set search_path = ''
set enable_seqscan = off
set plan_cache_mode = force_generic_plan
as $$
declare
  v_usage public.user_usage;
  v_grants_left numeric;
begin
  select * into v_usage from public.user_usage u where u.user_id = new.user_id for no key update;
  if not found then
    raise exception using
      errcode = 'TG004', message = 'user_id is not a known user', hint = 'Use the id of a row of tracked_users.';
  end if;
  new.created_at := greatest(coalesce(new.created_at, clock_timestamp()), v_usage.last_transfer_at);
  new.expires_at := nullif(new.expires_at, 'infinity');
  perform tollgate.check_request(v_usage.user_id::text, new.token_amount, new.metadata, new.request_id);
  select coalesce(sum(g.token_amount - g.tokens_used), 0) into v_grants_left
  from public.user_token_grants g
  where g.user_id = new.user_id and not g.is_spent and coalesce(g.expires_at, 'infinity') > new.created_at;
  if new.tokens_used <> 0 or new.is_spent then
    raise exception using
      errcode = 'TG001',
      message = 'tokens_used of a new grant must be 0, and is_spent false',
      hint = 'Leave both out.';
  elsif new.expires_at <= new.created_at then
    raise exception using
      errcode = 'TG001',
      message = format('expires_at %s is not in the future', new.expires_at),
      hint = 'Give a later time, or none for a grant that never expires.';
  -- 2^53 - 1: the largest integer that every JSON client reads exactly.
  elsif v_grants_left > 9007199254740991 - new.token_amount then
    raise exception using
      errcode = 'TG001',
      message = 'A user''s grants may not total more than 9007199254740991 tokens',
      hint = 'Grant fewer tokens.';
  end if;
  return new;
end;
$$;

alter function tollgate.prepare_grant() owner to tollgate_kernel;
comment on function tollgate.prepare_grant() is
  'Trigger: locks the user, dates the grant under the lock and checks it. Raises TG001, TG004.';

create function tollgate.grant_hash(p_grant public.user_token_grants)
returns bigint
language plpgsql
immutable
security invoker
set search_path = ''
as $$
begin
  return hash_record_extended(
    row(
      'grant'::text, p_grant.token_amount::bigint, p_grant.grant_type::text,
      nullif(p_grant.expires_at, 'infinity'), p_grant.metadata
    ), 0
  );
end;
$$;

comment on function tollgate.grant_hash(public.user_token_grants) is
  'The request_hash of a grant: equal for equal parameters, by hand or by function.';

create function tollgate.book_grant()
returns trigger
language plpgsql
volatile
security definer
set search_path = ''
set enable_seqscan = off
set plan_cache_mode = force_generic_plan
as $$
declare
  u public.tracked_users;
  t public.token_transfers;
  v_booking tollgate.booking;
begin
  select * into strict u from public.tracked_users f where f.id = new.user_id;
  t.amount := new.token_amount;
  t.transaction_type := 'grant';
  t.user_token_grants_id := new.id;
  t.request_id := new.request_id;
  t.request_hash := case when new.request_id is not null then tollgate.grant_hash(new) end;
  t.metadata := new.metadata;
  v_booking := tollgate.book(
    tollgate.account_for(u.project_id, u.id, u.external_id, null, new.created_at), t, '{}'
  );
  perform tollgate.record(array[v_booking.transfer], null, array[(v_booking.account).usage], null, null);
  return null;
end;
$$;

alter function tollgate.book_grant() owner to tollgate_kernel;
comment on function tollgate.book_grant() is 'Trigger: books the transfer of a new grant.';

-- Triggers of one event fire in the order of their names.
create trigger grant_1_by_hand_is_made_now before insert on public.user_token_grants
for each row when (current_user <> 'tollgate_kernel') execute function tollgate.prepare_grant_by_hand();
create trigger grant_2_is_checked before insert on public.user_token_grants
for each row execute function tollgate.prepare_grant();
create trigger grant_3_is_booked after insert on public.user_token_grants
for each row when (new.refund_of is null) execute function tollgate.book_grant();

create type tollgate.grant_receipt as (
  grant_id uuid,
  tokens bigint,
  grant_type public.grant_type,
  expires_at timestamptz,
  metadata jsonb,
  grants_left bigint,
  transfer_number bigint,
  request_id text,
  replayed boolean,
  created_at timestamptz
);

comment on type tollgate.grant_receipt is 'The answer to a grant.';

create function tollgate.grant_tokens(
  p_project_id uuid,
  p_external_user_id text,
  p_tokens bigint,
  p_grant_type public.grant_type,
  p_expires_at timestamptz,
  p_metadata jsonb,
  p_request_id text,
  p_at timestamptz default null
)
returns tollgate.grant_receipt
language plpgsql
volatile
security definer
set search_path = ''
set enable_seqscan = off
set plan_cache_mode = force_generic_plan
as $$
declare
  g public.user_token_grants;
  t public.token_transfers;
  v_replayed boolean;
begin
  perform tollgate.require_role(p_project_id, 'admin');
  perform tollgate.check_request(p_external_user_id, p_tokens, p_metadata, p_request_id);
  if p_grant_type is null then
    raise exception using
      errcode = 'TG001',
      message = 'The grant type is missing',
      hint = 'Give one of: ' || array_to_string(enum_range(null::public.grant_type), ', ') || '.';
  end if;
  g.user_id := tollgate.tracked_user_id(p_project_id, p_external_user_id);
  g.token_amount := p_tokens;
  g.grant_type := p_grant_type;
  g.expires_at := p_expires_at;
  g.metadata := p_metadata;
  if not tollgate.lock_user(g.user_id) then
    perform tollgate.create_user(p_project_id, p_external_user_id, coalesce(p_at, clock_timestamp()));
  end if;

  t := tollgate.find_replay(g.user_id, p_request_id, tollgate.grant_hash(g));
  v_replayed := t.user_id is not null;
  if not v_replayed then
    insert into public.user_token_grants
      (user_id, token_amount, grant_type, expires_at, request_id, metadata, created_at)
    values
      (g.user_id, p_tokens, p_grant_type, p_expires_at, p_request_id, p_metadata, p_at);
    select * into strict t from public.token_transfers f
    where f.user_id = g.user_id
    order by f.transfer_number desc
    limit 1;
  end if;
  return row(
    t.user_token_grants_id, p_tokens, p_grant_type, nullif(p_expires_at, 'infinity'), p_metadata,
    t.grants_left, t.transfer_number, t.request_id, v_replayed, t.created_at
  )::tollgate.grant_receipt;
end;
$$;

alter function tollgate.grant_tokens(uuid, text, bigint, public.grant_type, timestamptz, jsonb, text, timestamptz)
owner to tollgate_kernel;
comment on function tollgate.grant_tokens(uuid, text, bigint, public.grant_type, timestamptz, jsonb, text, timestamptz) is
  'Gives 1 to 1e15 tokens to a user; an unknown user is created on the project''s default plan. p_at places the call in time, for tests and demo data only. Raises TG001, TG004, TG006, TG008, TG009.';

revoke all on all functions in schema tollgate from public;
grant execute on function tollgate.grant_hash(public.user_token_grants) to tollgate_kernel;
grant execute on function
tollgate.grant_tokens(uuid, text, bigint, public.grant_type, timestamptz, jsonb, text, timestamptz)
to authenticated, service_role;
