-- Refunds: tokens of a consumption go back to the very sources that paid.

create type public.refund_receipt as (
  transfer_number bigint,
  refunded_transfer_number bigint,
  tokens_refunded bigint,
  base_quota_restored bigint,
  grants_restored bigint,
  tokens_lapsed bigint,
  tokens_regranted bigint,
  grant_id uuid,
  refundable_left bigint,
  message text,
  user_id text,
  quota_left bigint,
  grants_left bigint,
  tokens_held bigint,
  sources jsonb,
  request_id text,
  replayed boolean,
  created_at timestamptz
);

comment on type public.refund_receipt is
  'The answer to a refund. tokens_lapsed went back to sources that have expired, and cannot be spent; tokens_regranted became a new grant instead.';

create function tollgate.refund_receipt_of(p_transfer public.token_transfers, p_external_id text, p_replayed boolean)
returns public.refund_receipt
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  t constant public.token_transfers := p_transfer;
  v_sources public.token_source[] := tollgate.sources_of(t);
  v_lapsed bigint := 0;
  v_refundable bigint;
begin
  for i in 1 .. cardinality(v_sources) loop
    v_sources[i].tokens := - v_sources[i].tokens;
    if v_sources[i].grant_id is not null and v_sources[i].tokens_left = 0 then
      v_lapsed := v_lapsed + v_sources[i].tokens;
    end if;
  end loop;
  if tollgate.quota_has_lapsed(t) then
    v_lapsed := v_lapsed - t.base_quota_used;
  end if;
  select - o.amount - (
    select sum(r.amount) from public.token_transfers r
    where r.user_id = t.user_id and r.refers_to = t.refers_to and r.transaction_type = 'refund'
      and r.transfer_number <= t.transfer_number
  ) into v_refundable
  from public.token_transfers o
  where o.user_id = t.user_id and o.transfer_number = t.refers_to;
  return row(
    t.transfer_number,
    t.refers_to,
    t.amount,
    - t.base_quota_used,
    - t.grants_used,
    v_lapsed,
    t.amount + t.base_quota_used + t.grants_used,
    t.user_token_grants_id,
    v_refundable,
    format('Refunded %s tokens of transfer %s', t.amount, t.refers_to),
    p_external_id,
    t.quota_left,
    t.grants_left,
    t.tokens_held,
    tollgate.sources_json(v_sources),
    t.request_id,
    p_replayed,
    t.created_at
  )::public.refund_receipt;
end;
$$;

comment on function tollgate.refund_receipt_of(public.token_transfers, text, boolean) is
  'The receipt of a refund, from the audit trail: the same at first and on replay.';

create function tollgate.refundable(p_user_id uuid, p_transfer_number bigint, p_original_request_id text)
returns public.token_transfers
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  t public.token_transfers;
begin
  if num_nonnulls(p_transfer_number, p_original_request_id) <> 1 then
    raise exception using
      errcode = 'TG001',
      message = 'Either the transfer_number or the request id of the consumption must be given',
      hint = 'Give one of the two.';
  end if;
  select * into t from public.token_transfers f
  where f.user_id = p_user_id
    and f.transfer_number = coalesce(p_transfer_number, (
      select g.transfer_number from public.token_transfers g
      where g.user_id = p_user_id and g.request_id = p_original_request_id
    ));
  if not found then
    raise exception using
      errcode = 'TG014',
      message = 'The user has no such transfer',
      hint = 'Use the transfer_number or the request_id of a receipt.';
  elsif t.transaction_type <> 'consumption' then
    raise exception using
      errcode = 'TG014',
      message = format('Transfer %s is a %s: only consumptions can be refunded', t.transfer_number, t.transaction_type),
      hint = 'Release a hold; void a grant.';
  end if;
  return t;
end;
$$;

comment on function tollgate.refundable(uuid, bigint, text) is
  'The consumption to refund, by number or request id. Raises TG001, TG014.';

create function tollgate.refund_tokens(
  p_project_id uuid,
  p_external_user_id text,
  p_transfer_number bigint,
  p_original_request_id text,
  p_tokens bigint,
  p_regrant_lapsed boolean,
  p_grant_expires_at timestamptz,
  p_metadata jsonb,
  p_request_id text,
  p_at timestamptz default null
)
returns public.refund_receipt
language plpgsql
volatile
security definer
set search_path = ''
set enable_seqscan = off
set plan_cache_mode = force_generic_plan
as $$
declare
  v_user_id constant uuid := tollgate.tracked_user_id(p_project_id, p_external_user_id);
  v_hash constant bigint := hash_record_extended(
    row(
      'refund'::text, p_transfer_number, p_original_request_id, p_tokens, p_regrant_lapsed,
      p_grant_expires_at, p_metadata
    ), 0
  );
  t public.token_transfers;
  o public.token_transfers;
  a tollgate.account;
  s public.token_source;
  g public.user_token_grants;
  v_booking tollgate.booking;
  v_sources public.token_source[] := '{}';
  v_paid public.token_source[];
  v_skipped bigint;
  v_needed bigint;
  v_lapsed boolean;
  v_regranted bigint := 0;
  v_usage public.user_usage;
  v_at timestamptz;
  v_problem text;
begin
  perform tollgate.require_role(p_project_id, 'admin');
  perform tollgate.check_request(p_external_user_id, coalesce(p_tokens, 1), p_metadata, p_request_id);
  v_usage := tollgate.lock_user(v_user_id);
  if v_usage.user_id is null then
    raise exception using
      errcode = 'TG004',
      message = format('The user %L is not known in this project', p_external_user_id),
      hint = 'Refund the user who consumed the tokens.';
  end if;
  t := tollgate.find_replay(v_user_id, p_request_id, v_hash);
  if t.user_id is not null then
    return tollgate.refund_receipt_of(t, p_external_user_id, true);
  end if;

  v_at := greatest(coalesce(p_at, clock_timestamp()), v_usage.not_before);
  if p_grant_expires_at <= v_at then
    v_problem := format('grant_expires_at %s is not in the future', p_grant_expires_at);
  elsif not tollgate.is_instant(nullif(p_grant_expires_at, 'infinity')) then
    v_problem := 'grant_expires_at must be an instant of the years 1 to 9999';
  end if;
  if v_problem is not null then
    raise exception using
      errcode = 'TG001', message = v_problem, hint = 'Give another time, or none for a grant that never expires.';
  end if;
  o := tollgate.refundable(v_user_id, p_transfer_number, p_original_request_id);
  a := tollgate.account_for(p_project_id, v_user_id, p_external_user_id, o.tag_id, v_at);
  select coalesce(sum(r.amount), 0) into v_skipped
  from public.token_transfers r
  where r.user_id = v_user_id and r.refers_to = o.transfer_number and r.transaction_type = 'refund';
  v_needed := coalesce(p_tokens, - o.amount - v_skipped);
  if v_needed = 0 or v_needed > - o.amount - v_skipped then
    raise exception using
      errcode = 'TG015',
      message = format('Of transfer %s only %s tokens are left to refund', o.transfer_number, - o.amount - v_skipped),
      hint = 'Refund at most what is left.';
  end if;
  t.amount := v_needed;
  t.base_quota_used := 0;
  t.grants_used := 0;

  -- The last source drawn on comes first, as if fewer tokens had been consumed.
  v_paid := tollgate.sources_of(o);
  for i in reverse cardinality(v_paid) .. 1 loop
    s := v_paid[i];
    s.tokens := s.tokens - least(s.tokens, v_skipped);
    v_skipped := v_skipped - (v_paid[i].tokens - s.tokens);
    s.tokens := least(s.tokens, v_needed);
    continue when s.tokens = 0;
    v_needed := v_needed - s.tokens;
    if s.grant_id is null then
      select q.period_end <= a.at into strict v_lapsed from public.user_quota_usage q
      where q.user_id = v_user_id and q.quota_id = o.quota_id and q.period_start = o.quota_period_start;
    else
      select * into strict g from public.user_token_grants f where f.user_id = v_user_id and f.id = s.grant_id;
      v_lapsed := coalesce(coalesce(g.voided_at, g.expires_at) <= a.at, false);
    end if;
    if v_lapsed and p_regrant_lapsed then
      v_regranted := v_regranted + s.tokens;
      continue;
    end if;
    if s.grant_id is null then
      t.quota_id := o.quota_id;
      t.quota_period_start := o.quota_period_start;
      t.base_quota_used := - s.tokens;
    else
      t.grants_used := t.grants_used - s.tokens;
      s.tokens_left := 0;
      if not v_lapsed then
        s.tokens_left := s.tokens + coalesce((select f.tokens_left from unnest(a.grants) f where f.id = g.id), 0);
        -- A grant that was spent is not among those in force.
        if g.is_spent then
          a.grants := a.grants || row(
            g.id, 0, g.grant_type, g.priority, g.effective_at, g.expires_at, g.tag_ids, g.created_at
          )::tollgate.grant_state;
        end if;
      end if;
    end if;
    s.tokens := - s.tokens;
    v_sources := v_sources || s;
  end loop;

  t.transaction_type := 'refund';
  t.tag_id := o.tag_id;
  t.refers_to := o.transfer_number;
  t.counted_at := coalesce(o.counted_at, o.created_at);
  t.request_id := p_request_id;
  t.request_hash := v_hash;
  t.metadata := p_metadata;
  if v_regranted > 0 then
    a.grants_left := a.grants_left + v_regranted;
    insert into public.user_token_grants
      (user_id, token_amount, grant_type, expires_at, refund_of, metadata, created_at)
    values
      (v_user_id, v_regranted, 'refund', p_grant_expires_at, (a.usage).last_transfer_number + 1, p_metadata, a.at)
    returning id into t.user_token_grants_id;
  end if;
  v_booking := tollgate.book(a, t, v_sources);
  t := v_booking.transfer;
  perform tollgate.charge_period(t);
  perform tollgate.record(
    array[t], tollgate.draws_of(t, v_sources), array[(v_booking.account).usage], null, false
  );
  return tollgate.refund_receipt_of(t, p_external_user_id, false);
end;
$$;

alter function tollgate.refund_tokens(
  uuid, text, bigint, text, bigint, boolean, timestamptz, jsonb, text, timestamptz
) owner to tollgate_kernel;
comment on function tollgate.refund_tokens(
  uuid, text, bigint, text, bigint, boolean, timestamptz, jsonb, text, timestamptz
) is
  'Gives tokens of a consumption back, 1 up to what has not been refunded of it, or all of that where p_tokens is null: to the sources that paid, the last one first, and to the restrictions in whose current window they were counted. What paid and has expired since stays so, or becomes a new grant of type refund with p_regrant_lapsed, which never expires where p_grant_expires_at is null. Raises TG001, TG004, TG006, TG008, TG009, TG014, TG015.';

revoke all on all functions in schema tollgate from public;
grant execute on function
tollgate.refund_receipt_of(public.token_transfers, text, boolean),
tollgate.refundable(uuid, bigint, text)
to tollgate_kernel;
grant execute on function
tollgate.refund_tokens(uuid, text, bigint, text, bigint, boolean, timestamptz, jsonb, text, timestamptz)
to authenticated, service_role;
