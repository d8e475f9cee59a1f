-- Running state, read: what a user's windows, quota period, grants and holds come to at an instant.
-- Every decision is made by it and every balance shows it. Nothing here writes.
--
-- The kernel's entry points set two planner settings. enable_seqscan = off: a plan that is cached while
-- a table is small would otherwise scan it whole when it has grown. plan_cache_mode =
-- force_generic_plan: planning costs ten times as much as running, and arrays of one user or a thousand
-- are looked up by the same index.

create type tollgate.limit_state as (
  tag_id uuid,
  tag text,
  max_tokens bigint,
  duration public.restriction_duration,
  tokens_used bigint,
  tokens_held bigint,
  starts_at timestamptz,
  resets_at timestamptz
);

comment on type tollgate.limit_state is
  'A restriction in its current window: what was used of it, what holds set aside.';

create type tollgate.grant_state as (id uuid, tokens_left bigint, expires_at timestamptz);

comment on type tollgate.grant_state is 'A grant in force, and what can still be spent of it.';

create type tollgate.account as (
  user_id uuid,
  external_id text,
  project_id uuid,
  exists_already boolean,
  billing_anchor timestamptz,
  payment_status public.payment_status,
  time_zone text,
  plan_id uuid,
  plan_name text,
  plan_type public.plan_type,
  quota_id uuid,
  quota_amount bigint,
  quota_period public.quota_period,
  at timestamptz,
  usage public.user_usage,
  tags public.user_tag_usage[],
  limits tollgate.limit_state[],
  quota public.user_quota_usage,
  quota_held bigint,
  quota_left bigint,
  grants tollgate.grant_state[],
  grants_left bigint,
  holds public.token_holds[],
  tokens_held bigint
);

comment on type tollgate.account is
  'All that the rules need to know of one user at one instant: restrictions, tags and windows, the quota period, the grants in force by expiry, the open holds by expiry.';

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
    select
      - t.amount as tokens, t.transaction_type, t.tag_id, t.created_at,
      coalesce(t.counted_at, t.created_at) as counted_at
    from public.token_transfers t
    where t.user_id = p_user_id
    order by t.transfer_number desc
  loop
    exit when v_transfer.created_at < v_start;
    continue when v_transfer.transaction_type not in ('consumption', 'refund')
      or p_tag_id is not null and v_transfer.tag_id is distinct from p_tag_id;
    if v_transfer.counted_at >= p_hour_start then hour_used := hour_used + v_transfer.tokens; end if;
    if v_transfer.counted_at >= p_day_start then day_used := day_used + v_transfer.tokens; end if;
    if v_transfer.counted_at >= p_week_start then week_used := week_used + v_transfer.tokens; end if;
    if v_transfer.counted_at >= p_month_start then month_used := month_used + v_transfer.tokens; end if;
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

create function tollgate.tag_usage_at(p_tag public.user_tag_usage, p_usage public.user_usage)
returns public.user_tag_usage
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  t public.user_tag_usage := p_tag;
begin
  if t.time_zone = p_usage.time_zone then
    if t.hour_start <> p_usage.hour_start then t.hour_used := 0; end if;
    if t.day_start <> p_usage.day_start then t.day_used := 0; end if;
    if t.week_start <> p_usage.week_start then t.week_used := 0; end if;
    if t.month_start <> p_usage.month_start then t.month_used := 0; end if;
  else
    select * into t.hour_used, t.day_used, t.week_used, t.month_used
    from tollgate.count_usage(
      t.user_id, t.tag_id, p_usage.hour_start, p_usage.day_start, p_usage.week_start, p_usage.month_start
    );
    t.time_zone := p_usage.time_zone;
  end if;
  t.hour_start := p_usage.hour_start;
  t.day_start := p_usage.day_start;
  t.week_start := p_usage.week_start;
  t.month_start := p_usage.month_start;
  return t;
end;
$$;

comment on function tollgate.tag_usage_at(public.user_tag_usage, public.user_usage) is
  'A user''s usage of one tag in the windows that p_usage is in.';

create function tollgate.quota_at(p_account tollgate.account)
returns public.user_quota_usage
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  q public.user_quota_usage := p_account.quota;
begin
  if q.period_end is null or p_account.at >= q.period_end then
    -- A period once begun runs to its end; after a change of anchor or zone the next one starts there.
    select greatest(n.period_start, q.period_end), n.period_end into q.period_start, q.period_end
    from tollgate.quota_period_at(
      p_account.billing_anchor, p_account.quota_period, p_account.time_zone, p_account.at
    ) n;
    q.user_id := p_account.user_id;
    q.quota_id := p_account.quota_id;
    q.tokens_used := 0;
  end if;
  -- Never below what was used, where the quota has been made smaller since.
  q.token_amount := greatest(p_account.quota_amount, q.tokens_used);
  return q;
end;
$$;

comment on function tollgate.quota_at(tollgate.account) is
  'The current period of the account''s quota and what was used in it, from the last period that was begun.';

create function tollgate.counts_in(p_limit tollgate.limit_state, p_tag_id uuid, p_at timestamptz)
returns boolean
language plpgsql
immutable
security invoker
set search_path = ''
as $$
begin
  return coalesce(p_limit.tag_id = p_tag_id, p_limit.tag_id is null) and p_at >= p_limit.starts_at;
end;
$$;

comment on function tollgate.counts_in(tollgate.limit_state, uuid, timestamptz) is
  'Whether tokens of a tag, or of none, that were used or set aside at an instant count in a restriction''s current window.';

create function tollgate.hold_aside(p_account tollgate.account)
returns tollgate.account
language plpgsql
immutable
security invoker
set search_path = ''
as $$
declare
  a tollgate.account := p_account;
  h public.token_holds;
  s public.token_source;
begin
  foreach h in array a.holds loop
    a.tokens_held := a.tokens_held + h.token_amount;
    foreach s in array h.sources loop
      if s.grant_id is null then
        if h.quota_id = (a.quota).quota_id and h.quota_period_start = (a.quota).period_start then
          a.quota_held := a.quota_held + s.tokens;
        end if;
      else
        for i in 1 .. cardinality(a.grants) loop
          if a.grants[i].id = s.grant_id then
            a.grants[i].tokens_left := a.grants[i].tokens_left - s.tokens;
          end if;
        end loop;
      end if;
    end loop;
    for i in 1 .. cardinality(a.limits) loop
      if tollgate.counts_in(a.limits[i], h.tag_id, h.created_at) then
        a.limits[i].tokens_held := a.limits[i].tokens_held + h.token_amount;
      end if;
    end loop;
  end loop;
  return a;
end;
$$;

comment on function tollgate.hold_aside(tollgate.account) is
  'The account without what its open holds set aside: of the current quota period, of grants in force, of the windows in which the holds were made.';

create function tollgate.account_at(
  p_project_id uuid,
  p_user_id uuid,
  p_external_id text,
  p_tag_ids uuid[],
  p_at timestamptz,
  p_but_hold bigint default null
)
returns tollgate.account
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  a tollgate.account;
  u public.user_usage;
  g public.user_tag_usage;
  v_limit tollgate.limit_state;
  v_window integer;
  v_grant tollgate.grant_state;
begin
  select
    p_user_id, p_external_id, p_project_id, e.id is not null,
    coalesce(e.billing_anchor, p_at), coalesce(e.payment_status, 'active'), p.time_zone,
    l.id, l.name, l.plan_type, q.id, q.token_amount, q.period,
    greatest(p_at, s.last_transfer_at), s,
    array(
      select f from public.user_tag_usage f where f.user_id = p_user_id and f.tag_id = any(p_tag_ids)
    ),
    array(
      select row(
        r.tag_id, r.restriction_config ->> 'tag_name', r.max_tokens, r.duration, 0, 0, null, null
      )::tollgate.limit_state
      from public.plan_restrictions r
      where r.plan_id = l.id and (r.tag_id is null or r.tag_id = any(p_tag_ids))
      order by r.tag_id nulls first, r.duration, r.max_tokens
    ),
    (
      select c from public.user_quota_usage c
      where c.user_id = p_user_id and c.quota_id = q.id
      order by c.period_start desc
      limit 1
    ),
    0, 0,
    array(
      select row(f.id, f.token_amount - f.tokens_used, f.expires_at)::tollgate.grant_state
      from public.user_token_grants f
      where f.user_id = p_user_id
        and not f.is_spent
        and coalesce(f.expires_at, 'infinity') > greatest(p_at, s.last_transfer_at)
      order by coalesce(f.expires_at, 'infinity'), f.created_at, f.id
    ),
    0,
    array(
      select h from public.token_holds h
      where h.user_id = p_user_id
        and h.ended_by is null
        and h.expires_at > greatest(p_at, s.last_transfer_at)
        and h.transfer_number is distinct from p_but_hold
      order by h.expires_at
    ),
    0
  into a
  from public.projects p
  left join public.tracked_users e on e.id = p_user_id
  left join public.user_usage s on s.user_id = p_user_id
  -- A lookup by key for ever: joined, the planner may prefer to scan all plans while they are few.
  cross join lateral (
    select * from public.plans f where f.id = coalesce(e.plan_id, p.default_plan_id) limit 1
  ) l
  left join public.plan_quotas q on q.plan_id = l.id and l.plan_type = 'subscription'
  where p.id = p_project_id;
  if not found then
    return null;
  end if;

  if not a.exists_already then
    a.usage := row(
      a.user_id, '', '-infinity', '-infinity', '-infinity', '-infinity', '-infinity', '-infinity',
      '-infinity', '-infinity', 0, 0, 0, 0, 0, '-infinity'
    )::public.user_usage;
  end if;
  a.usage := tollgate.usage_at(a.usage, a.time_zone, a.at);
  for i in 1 .. cardinality(a.tags) loop
    a.tags[i] := tollgate.tag_usage_at(a.tags[i], a.usage);
  end loop;
  u := a.usage;
  for i in 1 .. cardinality(a.limits) loop
    v_limit := a.limits[i];
    v_window := case v_limit.duration when '1 hour' then 1 when '1 day' then 2 when '1 week' then 3 else 4 end;
    v_limit.starts_at := (array[u.hour_start, u.day_start, u.week_start, u.month_start])[v_window];
    v_limit.resets_at := (array[u.hour_end, u.day_end, u.week_end, u.month_end])[v_window];
    if v_limit.tag_id is null then
      v_limit.tokens_used := (array[u.hour_used, u.day_used, u.week_used, u.month_used])[v_window];
    else
      foreach g in array a.tags loop
        if g.tag_id = v_limit.tag_id then
          v_limit.tokens_used := (array[g.hour_used, g.day_used, g.week_used, g.month_used])[v_window];
        end if;
      end loop;
    end if;
    a.limits[i] := v_limit;
  end loop;
  if a.quota_id is not null then
    a.quota := tollgate.quota_at(a);
  end if;
  if cardinality(a.holds) > 0 then
    a := tollgate.hold_aside(a);
  end if;
  if a.quota_id is not null and a.payment_status = 'active' then
    a.quota_left := greatest(0, a.quota_amount - (a.quota).tokens_used - a.quota_held);
  end if;
  foreach v_grant in array a.grants loop
    a.grants_left := a.grants_left + v_grant.tokens_left;
  end loop;
  return a;
end;
$$;

comment on function tollgate.account_at(uuid, uuid, text, uuid[], timestamptz, bigint) is
  'A user''s account at an instant, or at the user''s last transfer where that is later. Of tags, and of restrictions of tags, only those named. A user that does not exist yet has the account that first use would create, or null where the project has no default plan. p_but_hold leaves out one hold.';

create function tollgate.limit_json(p_limit tollgate.limit_state)
returns jsonb
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  if p_limit.max_tokens is null then
    return null;
  end if;
  return jsonb_build_object(
    'tag', p_limit.tag,
    'max_tokens', p_limit.max_tokens,
    'duration', p_limit.duration,
    'used', p_limit.tokens_used,
    'held', p_limit.tokens_held,
    'left', greatest(0, p_limit.max_tokens - p_limit.tokens_used - p_limit.tokens_held),
    'resets_at', p_limit.resets_at
  );
end;
$$;

comment on function tollgate.limit_json(tollgate.limit_state) is 'A restriction as callers see it; null for none.';

revoke all on all functions in schema tollgate from public;
grant execute on function
tollgate.count_usage(uuid, uuid, timestamptz, timestamptz, timestamptz, timestamptz),
tollgate.usage_at(public.user_usage, text, timestamptz),
tollgate.tag_usage_at(public.user_tag_usage, public.user_usage),
tollgate.quota_at(tollgate.account),
tollgate.counts_in(tollgate.limit_state, uuid, timestamptz),
tollgate.hold_aside(tollgate.account),
tollgate.account_at(uuid, uuid, text, uuid[], timestamptz, bigint),
tollgate.limit_json(tollgate.limit_state)
to tollgate_kernel;
