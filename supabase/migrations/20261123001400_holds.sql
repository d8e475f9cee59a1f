-- Holds: tokens set aside before the real amount is known, by the same rules and from the same sources
-- as a consumption, then settled or released. Expiry is a question of time alone: account_at() reads
-- the holds whose end has not come, so what an expired one set aside is free again with nothing run.

create type public.hold_state as enum ('open', 'settled', 'released', 'expired');
comment on type public.hold_state is 'open, then exactly one of the others, for ever.';

create type public.hold_receipt as (
  success boolean,
  hold_id text,
  state public.hold_state,
  tokens_held bigint,
  tag text,
  expires_at timestamptz,
  message text,
  reason text,
  hint text,
  shortfall bigint,
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
);

comment on type public.hold_receipt is
  'The answer to a step of a hold. tokens_held are those of this hold; the left ones can be spent beside it.';

create type public.settlement_receipt as (
  success boolean,
  hold_id text,
  tokens_consumed bigint,
  tokens_returned bigint,
  excess_consumed bigint,
  base_quota_used bigint,
  grants_used bigint,
  message text,
  reason text,
  hint text,
  shortfall bigint,
  retry_at timestamptz,
  user_id text,
  quota_left bigint,
  grants_left bigint,
  tokens_held bigint,
  sources jsonb,
  nearest_limit jsonb,
  transfer_number bigint,
  excess_transfer_number bigint,
  request_id text,
  replayed boolean,
  created_at timestamptz
);

comment on type public.settlement_receipt is
  'The answer to the settlement of a hold: what was charged, in all and beyond the hold, and what returned. Denied only where an excess was.';

create function tollgate.hold_id(p_user_id uuid, p_transfer_number bigint)
returns text
language plpgsql
immutable
strict
security invoker
set search_path = ''
as $$
begin
  return concat('hold_', replace(p_user_id::text, '-', ''), '_', p_transfer_number);
end;
$$;

comment on function tollgate.hold_id(uuid, bigint) is
  'A hold''s id, as callers see it. It says whose hold it is, so that holds need no index across users.';

create function tollgate.lock_hold(
  p_project_id uuid,
  p_hold_id text,
  p_metadata jsonb,
  p_request_id text,
  out hold public.token_holds,
  out external_id text
)
returns record
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_parts constant text[] := regexp_match(p_hold_id, '^hold_([0-9a-f]{32})_([1-9][0-9]{0,17})$');
begin
  select u.external_id into external_id
  from public.tracked_users u
  where u.id = v_parts[1]::uuid and u.project_id = p_project_id
    and (tollgate.is_trusted() or u.auth_user_id = tollgate.caller_id());
  if found then
    perform tollgate.require_consumer(v_parts[1]::uuid);
    perform tollgate.check_request(external_id, 1, p_metadata, p_request_id);
    perform tollgate.lock_user(v_parts[1]::uuid);
    select * into hold from public.token_holds h
    where h.user_id = v_parts[1]::uuid and h.transfer_number = v_parts[2]::bigint
      -- Nobody may settle for nothing what a backend set aside for them.
      and (tollgate.is_trusted() or h.placed_by = tollgate.caller_id());
  end if;
  if hold.user_id is null then
    raise exception using
      errcode = 'TG011',
      message = 'The hold is not known in this project',
      hint = 'Use the hold_id that the answer to the hold gave.';
  end if;
end;
$$;

comment on function tollgate.lock_hold(uuid, text, jsonb, text) is
  'Finds a hold of the project, and makes its user''s calls queue; for a signed-in user only a hold that this user placed. Raises TG001, TG008, TG011.';

create function tollgate.state_of(p_hold public.token_holds, p_at timestamptz)
returns public.hold_state
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  if p_hold.ended_by is null then
    return case when p_hold.expires_at > p_at then 'open' else 'expired' end;
  end if;
  return case t.transaction_type when 'release' then 'released' else 'settled' end
  from public.token_transfers t
  where t.user_id = p_hold.user_id and t.transfer_number = p_hold.ended_by;
end;
$$;

comment on function tollgate.state_of(public.token_holds, timestamptz) is 'The state of a hold at an instant.';

create function tollgate.require_open(p_hold public.token_holds, p_at timestamptz)
returns void
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  v_state constant public.hold_state := tollgate.state_of(p_hold, p_at);
begin
  if v_state = 'expired' then
    raise exception using
      errcode = 'TG012',
      message = format('The hold expired at %s, and its %s tokens were given back', p_hold.expires_at, p_hold.token_amount),
      hint = 'Consume what was used with a new call; next time hold for longer, or extend the hold in time.';
  elsif v_state <> 'open' then
    raise exception using
      errcode = 'TG012',
      message = format('The hold has been %s', v_state),
      hint = 'A hold ends once. To repeat the call that ended it, send its request_id; to correct a settlement, refund it or consume more.';
  end if;
end;
$$;

comment on function tollgate.require_open(public.token_holds, timestamptz) is 'Refuses a hold that has ended with TG012.';

create function tollgate.expiry_of(p_at timestamptz, p_ttl_seconds integer)
returns timestamptz
language plpgsql
immutable
security invoker
set search_path = ''
as $$
begin
  if p_ttl_seconds is null or p_ttl_seconds not between 1 and 86400 then
    raise exception using
      errcode = 'TG001',
      message = 'ttl_seconds must be a whole number from 1 to 86400',
      hint = 'A hold lasts at most 24 hours; extend it for longer.';
  end if;
  return p_at + make_interval(secs => p_ttl_seconds);
end;
$$;

comment on function tollgate.expiry_of(timestamptz, integer) is 'When a hold for so many seconds ends. Raises TG001.';

create function tollgate.hold_receipt_of(
  p_hold public.token_holds, p_transfer public.token_transfers, p_external_id text, p_replayed boolean
)
returns public.hold_receipt
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  t constant public.token_transfers := p_transfer;
  v_released constant boolean := t.transaction_type = 'release';
  v_tag text;
begin
  select g.name into v_tag from public.tags g where g.id = p_hold.tag_id;
  return row(
    true,
    tollgate.hold_id(p_hold.user_id, p_hold.transfer_number),
    case when v_released then 'released' else 'open' end,
    p_hold.token_amount,
    v_tag,
    coalesce(t.hold_expires_at, p_hold.expires_at),
    format(case when v_released then 'Released %s tokens' else 'Holding %s tokens' end, p_hold.token_amount),
    null, null, 0, null,
    p_external_id,
    t.quota_left,
    t.grants_left,
    tollgate.sources_json(p_hold.sources),
    t.nearest_limit,
    t.transfer_number,
    t.request_id,
    p_replayed,
    t.created_at
  )::public.hold_receipt;
end;
$$;

comment on function tollgate.hold_receipt_of(public.token_holds, public.token_transfers, text, boolean) is
  'The receipt of a step of a hold, the same at first and on replay.';

create function tollgate.lock_grants(p_hold public.token_holds)
returns void
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  s public.token_source;
begin
  foreach s in array p_hold.sources loop
    continue when s.grant_id is null;
    perform from public.user_token_grants f
    where f.user_id = p_hold.user_id and f.id = s.grant_id
      and coalesce(f.voided_at, f.expires_at, 'infinity') > p_hold.created_at
    for no key update;
    if not found then
      perform tollgate.refuse_ended_grant();
    end if;
  end loop;
end;
$$;

comment on function tollgate.lock_grants(public.token_holds) is
  'Keeps the grants of a new hold, which it does not update, from being ended by hand before it was made. Refuses with serialization_failure, as record() does, where one has been ended since it was read.';

create function tollgate.hold(
  p_project_id uuid,
  p_external_user_id text,
  p_tokens bigint,
  p_tag_id uuid,
  p_ttl_seconds integer,
  p_metadata jsonb,
  p_request_id text,
  p_at timestamptz default null
)
returns public.hold_receipt
language plpgsql
volatile
security definer
set search_path = ''
set enable_seqscan = off
set plan_cache_mode = force_generic_plan
as $$
declare
  v_user_id constant uuid := tollgate.tracked_user_id(p_project_id, p_external_user_id);
  v_usage public.user_usage;
  v_hash bigint;
  a tollgate.account;
  d tollgate.decision;
  l tollgate.limit_state;
  h public.token_holds;
  t public.token_transfers;
  v_booking tollgate.booking;
begin
  perform tollgate.require_consumer(v_user_id);
  perform tollgate.check_request(p_external_user_id, p_tokens, p_metadata, p_request_id);
  perform tollgate.expiry_of(now(), p_ttl_seconds);
  v_usage := tollgate.lock_user(v_user_id);

  -- A user who has placed it may end it: to the backend that is another hold, never a replay of its own.
  h.placed_by := case when not tollgate.is_trusted() then tollgate.caller_id() end;
  v_hash := hash_record_extended(row('hold'::text, p_tokens, p_tag_id, p_ttl_seconds, p_metadata, h.placed_by), 0);
  t := tollgate.find_replay(v_user_id, p_request_id, v_hash);
  if t.user_id is not null then
    select * into strict h from public.token_holds f
    where f.user_id = v_user_id and f.transfer_number = t.transfer_number;
    return tollgate.hold_receipt_of(h, t, p_external_user_id, true);
  end if;

  a := tollgate.account_for(p_project_id, v_user_id, p_external_user_id, p_tag_id, p_at);
  d := tollgate.decide(a, p_tokens, 'all_or_nothing', p_tag_id);
  if d.reason is null and cardinality(a.holds) >= 100 then
    d.reason := 'too_many_holds';
    d.message := 'The user has 100 open holds, and can have no more';
    d.hint := 'Settle or release holds as soon as the amount is known.';
    d.shortfall := 0;
    d.retry_at := a.holds[1].expires_at;
  end if;
  if d.reason is not null then
    return row(
      false, null, null, 0, null, null, d.message, d.reason, d.hint, d.shortfall, d.retry_at, a.external_id,
      a.quota_left, a.grants_left, '[]'::jsonb, tollgate.limit_json(d.nearest_limit), null, p_request_id, false, a.at
    )::public.hold_receipt;
  end if;

  t.amount := 0;
  t.transaction_type := 'hold';
  t.tag_id := p_tag_id;
  if d.from_quota > 0 then
    t.quota_id := (a.plan_quota).id;
    t.quota_period_start := (a.quota).period_start;
  end if;
  l := d.nearest_limit;
  l.tokens_held := l.tokens_held + p_tokens;
  t.nearest_limit := tollgate.limit_json(l);
  t.hold_expires_at := tollgate.expiry_of(a.at, p_ttl_seconds);
  t.request_id := p_request_id;
  t.request_hash := v_hash;
  t.metadata := p_metadata;
  h.sources := tollgate.split(a, d, p_tag_id);
  v_booking := tollgate.book(a, t, h.sources);
  a := v_booking.account;
  t := v_booking.transfer;

  h.user_id := t.user_id;
  h.transfer_number := t.transfer_number;
  h.token_amount := p_tokens;
  h.tag_id := p_tag_id;
  h.quota_id := t.quota_id;
  h.quota_period_start := t.quota_period_start;
  h.expires_at := t.hold_expires_at;
  h.created_at := t.created_at;
  if v_usage.user_id is null then
    perform tollgate.create_user(p_project_id, p_external_user_id, a.at);
  end if;
  insert into public.token_holds select h.*;
  -- The quota period is begun by it, and cannot move.
  perform tollgate.record(
    array[t], null, array[a.usage], case when d.from_quota > 0 then array[a.quota] end
  );
  perform tollgate.lock_grants(h);
  return tollgate.hold_receipt_of(h, t, p_external_user_id, false);
end;
$$;

alter function tollgate.hold(uuid, text, bigint, uuid, integer, jsonb, text, timestamptz) owner to tollgate_kernel;
comment on function tollgate.hold(uuid, text, bigint, uuid, integer, jsonb, text, timestamptz) is
  'Sets 1 to 1e15 tokens aside for 1 to 86400 seconds, all or nothing, by the rules of a consumption. At most 100 open holds a user. Raises TG001, TG004, TG005, TG006, TG008, TG009.';

create function tollgate.settlement_of(
  p_hold public.token_holds,
  p_transfer public.token_transfers,
  p_excess public.token_transfers,
  p_external_id text,
  p_sources public.token_source[],
  p_excess_sources public.token_source[],
  p_replayed boolean
)
returns public.settlement_receipt
language plpgsql
immutable
security invoker
set search_path = ''
as $$
declare
  t constant public.token_transfers := p_transfer;
  v_excess constant bigint := coalesce(- p_excess.amount, 0);
  v_returned constant bigint := p_hold.token_amount + t.amount;
begin
  return row(
    true,
    tollgate.hold_id(p_hold.user_id, p_hold.transfer_number),
    v_excess - t.amount,
    v_returned,
    v_excess,
    t.base_quota_used + coalesce(p_excess.base_quota_used, 0),
    t.grants_used + coalesce(p_excess.grants_used, 0),
    format('Settled %s of %s tokens', v_excess - t.amount, p_hold.token_amount),
    null, null, 0, null,
    p_external_id,
    coalesce(p_excess.quota_left, t.quota_left),
    coalesce(p_excess.grants_left, t.grants_left),
    coalesce(p_excess.tokens_held, t.tokens_held),
    tollgate.sources_json(p_sources || p_excess_sources),
    coalesce(p_excess.nearest_limit, t.nearest_limit),
    t.transfer_number,
    p_excess.transfer_number,
    t.request_id,
    p_replayed,
    t.created_at
  )::public.settlement_receipt;
end;
$$;

comment on function tollgate.settlement_of(
  public.token_holds, public.token_transfers, public.token_transfers, text,
  public.token_source[], public.token_source[], boolean
) is 'The receipt of a settlement, the same at first and on replay.';

create function tollgate.settle_hold(
  p_project_id uuid,
  p_hold_id text,
  p_tokens bigint,
  p_allow_excess boolean,
  p_metadata jsonb,
  p_request_id text,
  p_at timestamptz default null
)
returns public.settlement_receipt
language plpgsql
volatile
security definer
set search_path = ''
set enable_seqscan = off
set plan_cache_mode = force_generic_plan
as $$
declare
  v_hash constant bigint := hash_record_extended(
    row('settlement'::text, p_hold_id, p_tokens, p_allow_excess, p_metadata), 0
  );
  v_found record;
  h public.token_holds;
  a tollgate.account;
  s public.token_source;
  g tollgate.grant_state;
  t public.token_transfers;
  v_needed bigint;
  v_sources public.token_source[] := '{}';
  v_booking tollgate.booking;
  v_request tollgate.request;
  v_excess tollgate.attempt;
  x public.token_transfers;
begin
  v_found := tollgate.lock_hold(p_project_id, p_hold_id, p_metadata, p_request_id);
  h := v_found.hold;
  perform tollgate.check_request(v_found.external_id, p_tokens, null, null, 0);
  t := tollgate.find_replay(h.user_id, p_request_id, v_hash);
  if t.user_id is not null then
    select * into x from public.token_transfers f
    where f.user_id = h.user_id and f.transfer_number = t.transfer_number + 1
      and f.transaction_type = 'consumption' and f.refers_to = h.transfer_number;
    return tollgate.settlement_of(
      h, t, x, v_found.external_id, tollgate.sources_of(t), tollgate.sources_of(x), true
    );
  end if;

  a := tollgate.account_for(p_project_id, h.user_id, v_found.external_id, h.tag_id, p_at, h.transfer_number);
  perform tollgate.require_open(h, a.at);
  if p_tokens > h.token_amount and p_allow_excess is not true then
    raise exception using
      errcode = 'TG013',
      message = format('The hold has %s tokens, fewer than %s', h.token_amount, p_tokens),
      hint = 'Settle at most what is held, or allow the excess to be consumed.';
  end if;

  -- In the order in which the tokens were set aside, whether or not their sources still are in force.
  v_needed := least(p_tokens, h.token_amount);
  t.amount := - v_needed;
  t.grants_used := 0;
  foreach s in array h.sources loop
    exit when v_needed = 0;
    s.tokens := least(s.tokens, v_needed);
    v_needed := v_needed - s.tokens;
    if s.grant_id is null then
      t.base_quota_used := s.tokens;
      t.quota_id := h.quota_id;
      t.quota_period_start := h.quota_period_start;
    else
      t.grants_used := t.grants_used + s.tokens;
      s.tokens_left := 0;
      foreach g in array a.grants loop
        if g.id = s.grant_id then
          s.tokens_left := g.tokens_left - s.tokens;
        end if;
      end loop;
    end if;
    v_sources := v_sources || s;
  end loop;

  t.transaction_type := 'consumption';
  t.tag_id := h.tag_id;
  t.refers_to := h.transfer_number;
  t.counted_at := h.created_at;
  t.request_id := p_request_id;
  t.request_hash := v_hash;
  t.metadata := p_metadata;
  v_booking := tollgate.book(a, t, v_sources);
  t := v_booking.transfer;
  t.nearest_limit := tollgate.limit_json(
    (tollgate.decide(v_booking.account, 0, 'all_or_nothing', h.tag_id)).nearest_limit
  );

  if p_tokens > h.token_amount then
    v_request.tokens := p_tokens - h.token_amount;
    v_request.mode := 'all_or_nothing';
    v_request.tag_id := h.tag_id;
    v_request.metadata := p_metadata;
    v_excess := tollgate.attempt(v_booking.account, v_request);
    if not (v_excess.receipt).success then
      -- Nothing comes of it, so that the hold is open still, and waits with the others.
      v_excess := tollgate.attempt(
        tollgate.account_for(p_project_id, h.user_id, v_found.external_id, h.tag_id, a.at, p_read_only => true),
        v_request
      );
      return row(
        false, p_hold_id, 0, 0, 0, 0, 0, (v_excess.receipt).message, (v_excess.receipt).reason,
        (v_excess.receipt).hint, (v_excess.receipt).shortfall,
        -- Later than that there is no hold to settle.
        case when (v_excess.receipt).retry_at < h.expires_at then (v_excess.receipt).retry_at end,
        a.external_id, (v_excess.receipt).quota_left, (v_excess.receipt).grants_left,
        (v_excess.receipt).tokens_held,
        '[]'::jsonb, (v_excess.receipt).nearest_limit, null, null, p_request_id, false, a.at
      )::public.settlement_receipt;
    end if;
    x := v_excess.transfer;
    x.refers_to := h.transfer_number;
  end if;

  update public.token_holds f set ended_by = t.transfer_number
  where f.user_id = h.user_id and f.transfer_number = h.transfer_number;
  perform tollgate.charge_period(t);
  perform tollgate.record(
    array[t], tollgate.draws_of(t, v_sources), array[(v_booking.account).usage], null, false
  );
  if x.user_id is not null then
    perform tollgate.record(
      array[x],
      tollgate.draws_of(x, v_excess.sources),
      array[(v_excess.account).usage],
      case when x.base_quota_used > 0 then array[(v_excess.account).quota] end
    );
  end if;
  return tollgate.settlement_of(
    h, t, x, a.external_id, tollgate.sources_of(t), tollgate.sources_of(x), false
  );
end;
$$;

alter function tollgate.settle_hold(uuid, text, bigint, boolean, jsonb, text, timestamptz) owner to tollgate_kernel;
comment on function tollgate.settle_hold(uuid, text, bigint, boolean, jsonb, text, timestamptz) is
  'Charges 0 tokens up to what is held, and returns the rest. What is charged counts in the windows in which the hold was made, and is paid by the sources set aside, even those that have expired since. p_allow_excess consumes what is beyond the hold as a transfer of its own, or denies all. Raises TG001, TG006, TG008, TG011, TG012, TG013.';

create function tollgate.change_hold(
  p_project_id uuid,
  p_hold_id text,
  p_ttl_seconds integer,
  p_request_id text,
  p_at timestamptz default null
)
returns public.hold_receipt
language plpgsql
volatile
security definer
set search_path = ''
set enable_seqscan = off
set plan_cache_mode = force_generic_plan
as $$
declare
  v_hash constant bigint := hash_record_extended(row('change'::text, p_hold_id, p_ttl_seconds), 0);
  v_found record;
  h public.token_holds;
  a tollgate.account;
  t public.token_transfers;
  v_booking tollgate.booking;
begin
  v_found := tollgate.lock_hold(p_project_id, p_hold_id, null, p_request_id);
  h := v_found.hold;
  t := tollgate.find_replay(h.user_id, p_request_id, v_hash);
  if t.user_id is not null then
    return tollgate.hold_receipt_of(h, t, v_found.external_id, true);
  end if;
  a := tollgate.account_for(
    p_project_id, h.user_id, v_found.external_id, h.tag_id, p_at,
    case when p_ttl_seconds is null then h.transfer_number end
  );
  perform tollgate.require_open(h, a.at);

  t.amount := 0;
  t.tag_id := h.tag_id;
  t.refers_to := h.transfer_number;
  t.request_id := p_request_id;
  t.request_hash := v_hash;
  t.nearest_limit := tollgate.limit_json((tollgate.decide(a, 0, 'all_or_nothing', h.tag_id)).nearest_limit);
  if p_ttl_seconds is null then
    t.transaction_type := 'release';
  else
    t.transaction_type := 'extension';
    t.hold_expires_at := greatest(h.expires_at, tollgate.expiry_of(a.at, p_ttl_seconds));
  end if;
  v_booking := tollgate.book(a, t, '{}');
  t := v_booking.transfer;
  update public.token_holds f
  set ended_by = case t.transaction_type when 'release' then t.transfer_number end,
    expires_at = coalesce(t.hold_expires_at, f.expires_at)
  where f.user_id = h.user_id and f.transfer_number = h.transfer_number;
  perform tollgate.record(array[t], null, array[(v_booking.account).usage], null);
  return tollgate.hold_receipt_of(h, t, a.external_id, false);
end;
$$;

alter function tollgate.change_hold(uuid, text, integer, text, timestamptz) owner to tollgate_kernel;
comment on function tollgate.change_hold(uuid, text, integer, text, timestamptz) is
  'Extends a hold to so many seconds from now, 1 to 86400, and never shortens it; or releases it, where p_ttl_seconds is null: all its tokens return to their sources. Raises TG001, TG006, TG008, TG011, TG012.';

create view public.open_holds with (security_invoker = true) as
select
  u.project_id, u.external_id as user_id, tollgate.hold_id(h.user_id, h.transfer_number) as hold_id,
  h.token_amount, g.name as tag, h.created_at, h.expires_at
from public.token_holds h
join public.tracked_users u on u.id = h.user_id
left join public.tags g on g.id = h.tag_id
where h.ended_by is null and h.expires_at > now();

comment on view public.open_holds is 'Tokens that are set aside now, and until when.';

revoke all on public.open_holds from public, anon, authenticated, service_role;
grant select on public.open_holds to authenticated, service_role;

revoke all on all functions in schema tollgate from public;
grant execute on function tollgate.hold_id(uuid, bigint) to tollgate_kernel, authenticated, service_role;
grant execute on function
tollgate.lock_hold(uuid, text, jsonb, text),
tollgate.state_of(public.token_holds, timestamptz),
tollgate.require_open(public.token_holds, timestamptz),
tollgate.expiry_of(timestamptz, integer),
tollgate.hold_receipt_of(public.token_holds, public.token_transfers, text, boolean),
tollgate.lock_grants(public.token_holds),
tollgate.settlement_of(
  public.token_holds, public.token_transfers, public.token_transfers, text,
  public.token_source[], public.token_source[], boolean
)
to tollgate_kernel;
grant execute on function
tollgate.hold(uuid, text, bigint, uuid, integer, jsonb, text, timestamptz),
tollgate.settle_hold(uuid, text, bigint, boolean, jsonb, text, timestamptz),
tollgate.change_hold(uuid, text, integer, text, timestamptz)
to authenticated, service_role;
