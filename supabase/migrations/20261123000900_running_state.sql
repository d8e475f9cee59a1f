-- Running state, read: what a user's windows, quota period and grants hold at an instant. The
-- kernel decides by it and balances show it. Nothing here writes.
--
-- The kernel's entry points `set enable_seqscan = off`: a plan that is cached while a table is small
-- would otherwise scan it whole when it has grown.

create view tollgate.accounts with (security_invoker = true) as
select
  u.id as user_id,
  u.external_id,
  u.project_id,
  u.billing_anchor,
  u.payment_status,
  p.time_zone,
  l.id as plan_id,
  l.name as plan_name,
  l.plan_type,
  q.id as quota_id,
  q.token_amount::bigint as quota_amount,
  q.period as quota_period
from public.tracked_users u
join public.projects p on p.id = u.project_id
join public.plans l on l.id = u.plan_id
left join public.plan_quotas q on q.plan_id = l.id and l.plan_type = 'subscription';

revoke all on tollgate.accounts from public, anon, authenticated, service_role;
grant select on tollgate.accounts to tollgate_kernel;

create function tollgate.count_usage(
  p_user_id uuid,
  p_tag_id uuid,
  p_hour_start timestamptz,
  p_day_start timestamptz,
  p_week_start timestamptz,
  p_month_start timestamptz,
  out hour_used bigint,
  out day_used bigint,
  out week_used bigint,
  out month_used bigint
)
returns record
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  v_start constant timestamptz := least(p_week_start, p_month_start);
  v_transfer record;
begin
  hour_used := 0; day_used := 0; week_used := 0; month_used := 0;
  -- Newest first, so that it ends where the longest window began.
  for v_transfer in
    select - t.amount as tokens, t.transaction_type, t.tag_id, t.created_at
    from public.token_transfers t
    where t.user_id = p_user_id
    order by t.transfer_number desc
  loop
    exit when v_transfer.created_at < v_start;
    continue when v_transfer.transaction_type <> 'consumption'
      or p_tag_id is not null and v_transfer.tag_id is distinct from p_tag_id;
    if v_transfer.created_at >= p_hour_start then hour_used := hour_used + v_transfer.tokens; end if;
    if v_transfer.created_at >= p_day_start then day_used := day_used + v_transfer.tokens; end if;
    if v_transfer.created_at >= p_week_start then week_used := week_used + v_transfer.tokens; end if;
    if v_transfer.created_at >= p_month_start then month_used := month_used + v_transfer.tokens; end if;
  end loop;
end;
$$;

comment on function tollgate.count_usage(uuid, uuid, timestamptz, timestamptz, timestamptz, timestamptz) is
  'Tokens used since the start of each window, summed from the audit trail; of one tag, or of all where the tag is null. Needed only when a project''s time zone has changed, and by verify_ledger().';

create function tollgate.usage_at(p_usage public.user_usage, p_time_zone text, p_at timestamptz)
returns public.user_usage
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  u public.user_usage := p_usage;
  w tollgate.windows;
begin
  -- All windows end on an hour, so within the same hour nothing can have changed.
  if p_at >= u.hour_start and p_at < u.hour_end and u.time_zone = p_time_zone then
    return u;
  end if;

  w := tollgate.windows_at(p_at, p_time_zone);
  if u.time_zone = p_time_zone then
    if u.hour_start <> w.hour_start then u.hour_used := 0; end if;
    if u.day_start <> w.day_start then u.day_used := 0; end if;
    if u.week_start <> w.week_start then u.week_used := 0; end if;
    if u.month_start <> w.month_start then u.month_used := 0; end if;
  else
    select * into u.hour_used, u.day_used, u.week_used, u.month_used
    from tollgate.count_usage(u.user_id, null, w.hour_start, w.day_start, w.week_start, w.month_start);
    u.time_zone := p_time_zone;
  end if;
  u.hour_start := w.hour_start; u.hour_end := w.hour_end;
  u.day_start := w.day_start; u.day_end := w.day_end;
  u.week_start := w.week_start; u.week_end := w.week_end;
  u.month_start := w.month_start; u.month_end := w.month_end;
  return u;
end;
$$;

comment on function tollgate.usage_at(public.user_usage, text, timestamptz) is
  'A user''s usage in the windows of an instant, from the usage at the last transfer.';

create function tollgate.tag_usage_at(p_usage public.user_usage, p_tag_id uuid)
returns public.user_tag_usage
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  t public.user_tag_usage;
begin
  select * into t from public.user_tag_usage g where g.user_id = p_usage.user_id and g.tag_id = p_tag_id;
  if not found then
    t.user_id := p_usage.user_id;
    t.tag_id := p_tag_id;
    t.hour_used := 0; t.day_used := 0; t.week_used := 0; t.month_used := 0;
  elsif t.time_zone = p_usage.time_zone then
    if t.hour_start <> p_usage.hour_start then t.hour_used := 0; end if;
    if t.day_start <> p_usage.day_start then t.day_used := 0; end if;
    if t.week_start <> p_usage.week_start then t.week_used := 0; end if;
    if t.month_start <> p_usage.month_start then t.month_used := 0; end if;
  else
    select * into t.hour_used, t.day_used, t.week_used, t.month_used
    from tollgate.count_usage(
      p_usage.user_id, p_tag_id,
      p_usage.hour_start, p_usage.day_start, p_usage.week_start, p_usage.month_start
    );
  end if;
  t.time_zone := p_usage.time_zone;
  t.hour_start := p_usage.hour_start;
  t.day_start := p_usage.day_start;
  t.week_start := p_usage.week_start;
  t.month_start := p_usage.month_start;
  return t;
end;
$$;

comment on function tollgate.tag_usage_at(public.user_usage, uuid) is
  'A user''s usage of one tag in the windows that p_usage is in.';

create function tollgate.quota_at(
  p_account tollgate.accounts,
  p_at timestamptz,
  out period_start timestamptz,
  out period_end timestamptz,
  out tokens_used bigint,
  out tokens_left bigint
)
returns record
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  tokens_left := 0;
  if p_account.quota_id is null then
    return;
  end if;
  select q.period_start, q.period_end, q.tokens_used into period_start, period_end, tokens_used
  from public.user_quota_usage q
  where q.user_id = p_account.user_id and q.quota_id = p_account.quota_id
  order by q.period_start desc
  limit 1;
  if period_end is null or p_at >= period_end then
    -- A period once begun runs to its end; after a change of anchor or zone the next one starts there.
    select greatest(n.period_start, quota_at.period_end), n.period_end, 0
    into period_start, period_end, tokens_used
    from tollgate.quota_period_at(
      p_account.billing_anchor, p_account.quota_period, p_account.time_zone, p_at
    ) n;
  end if;
  if p_account.payment_status = 'active' then
    tokens_left := greatest(0, p_account.quota_amount - tokens_used);
  end if;
end;
$$;

comment on function tollgate.quota_at(tollgate.accounts, timestamptz) is
  'The current quota period, what was used in it, and what may still be used: 0 while payment is not active. All null but tokens_left where the plan has no quota.';

create function tollgate.grants_left(p_user_id uuid, p_at timestamptz)
returns bigint
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  return coalesce((
    select sum(g.token_amount - g.tokens_used)
    from public.user_token_grants g
    where g.user_id = p_user_id and not g.is_spent and coalesce(g.expires_at, 'infinity') > p_at
  ), 0);
end;
$$;

comment on function tollgate.grants_left(uuid, timestamptz) is 'Tokens left in the grants that are in force.';

create type tollgate.limit_state as (
  tag text,
  max_tokens bigint,
  duration public.restriction_duration,
  tokens_used bigint,
  resets_at timestamptz
);

create function tollgate.limit_state(
  p_restriction public.plan_restrictions, p_usage public.user_usage, p_tag_usage public.user_tag_usage
)
returns tollgate.limit_state
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  v_state tollgate.limit_state;
begin
  v_state.tag := p_restriction.restriction_config ->> 'tag_name';
  v_state.max_tokens := p_restriction.max_tokens;
  v_state.duration := p_restriction.duration;
  if p_restriction.tag_id is null then
    v_state.tokens_used := tollgate.of_duration(
      p_restriction.duration, p_usage.hour_used, p_usage.day_used, p_usage.week_used, p_usage.month_used
    );
  else
    v_state.tokens_used := tollgate.of_duration(
      p_restriction.duration,
      p_tag_usage.hour_used, p_tag_usage.day_used, p_tag_usage.week_used, p_tag_usage.month_used
    );
  end if;
  v_state.resets_at := tollgate.of_duration(
    p_restriction.duration, p_usage.hour_end, p_usage.day_end, p_usage.week_end, p_usage.month_end
  );
  return v_state;
end;
$$;

comment on function tollgate.limit_state(public.plan_restrictions, public.user_usage, public.user_tag_usage) is
  'What a restriction''s current window has used, and when it resets.';

create function tollgate.limit_json(p_state tollgate.limit_state, p_tokens bigint)
returns jsonb
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  return jsonb_build_object(
    'tag', p_state.tag,
    'max_tokens', p_state.max_tokens,
    'duration', p_state.duration,
    'used', p_state.tokens_used + p_tokens,
    'left', greatest(0, p_state.max_tokens - p_state.tokens_used - p_tokens),
    'resets_at', p_state.resets_at
  );
end;
$$;

comment on function tollgate.limit_json(tollgate.limit_state, bigint) is
  'A restriction as callers see it, after so many more tokens.';

revoke all on all functions in schema tollgate from public;
grant execute on function
tollgate.count_usage(uuid, uuid, timestamptz, timestamptz, timestamptz, timestamptz),
tollgate.usage_at(public.user_usage, text, timestamptz),
tollgate.tag_usage_at(public.user_usage, uuid),
tollgate.quota_at(tollgate.accounts, timestamptz),
tollgate.grants_left(uuid, timestamptz),
tollgate.limit_state(public.plan_restrictions, public.user_usage, public.user_tag_usage),
tollgate.limit_json(tollgate.limit_state, bigint)
to tollgate_kernel;
