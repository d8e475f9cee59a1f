-- Running state, read: what a user's restrictions, quota period, grants and holds come to at an instant.
-- Every decision is made by it and every balance shows it. Nothing here writes, and nothing has to run
-- for time to pass: windows end, periods begin, holds and grants lapse, recurring grants come due, plans
-- change because somebody asks later.
--
-- The kernel's entry points set two planner settings. enable_seqscan = off: a plan that is cached while
-- a table is small would otherwise scan it whole when it has grown. plan_cache_mode =
-- force_generic_plan: planning costs ten times as much as running, and arrays of one user or a thousand
-- are looked up by the same index.

create type tollgate.limit_state as (
  counter_id uuid,
  config jsonb,
  tag_ids uuid[],
  max_tokens bigint,
  length interval,
  is_rolling boolean,
  in_force_until timestamptz,
  starts_at timestamptz,
  ends_at timestamptz,
  tokens_used bigint,
  tokens_held bigint
);

comment on type tollgate.limit_state is
  'A restriction in its current window: what was used of it, what holds set aside. The window is the current one until ends_at; a rolling one moves on then.';

create type tollgate.grant_state as (
  id uuid,
  tokens_left bigint,
  grant_type public.grant_type,
  priority smallint,
  effective_at timestamptz,
  expires_at timestamptz,
  tag_ids uuid[],
  created_at timestamptz
);

comment on type tollgate.grant_state is 'A grant that has not ended, and what can still be spent of it.';

create type tollgate.account as (
  user_id uuid,
  external_id text,
  project_id uuid,
  is_tamper_evident boolean,
  exists_already boolean,
  existing_since timestamptz,
  billing_anchor timestamptz,
  payment_status public.payment_status,
  quota_open_until timestamptz,
  quota_open_since timestamptz,
  time_zone text,
  week_start public.weekday,
  plan_id uuid,
  plan_since timestamptz,
  next_plan_id uuid,
  next_plan_at timestamptz,
  plan_name text,
  plan_type public.plan_type,
  plan_quota public.plan_quotas,
  quota_amount bigint,
  at timestamptz,
  up_to_transfer bigint,
  usage public.user_usage,
  limits tollgate.limit_state[],
  other_limits public.limit_usage[],
  quota public.user_quota_usage,
  quota_is_new boolean,
  quota_is_open boolean,
  quota_held bigint,
  quota_left bigint,
  grants tollgate.grant_state[],
  due_grants public.user_token_grants[],
  has_scoped_grants boolean,
  grants_left bigint,
  holds public.token_holds[],
  but_hold bigint,
  tokens_held bigint
);

comment on type tollgate.account is
  'All that the rules need to know of one user at one instant: restrictions and their windows, the quota period (quota_is_new: nothing is written of it yet), the grants that have not ended in the order of use, the open holds by expiry. due_grants are among the grants, but not written down yet; null where none can be due.';

create function tollgate.quarter_of(p_at timestamptz)
returns timestamptz
language plpgsql
immutable
strict
security invoker
set search_path = ''
as $$
begin
  return date_bin(interval '15 minutes', p_at, timestamptz '2001-01-01 00:00:00Z');
end;
$$;

comment on function tollgate.quarter_of(timestamptz) is 'The first instant of the quarter of an hour that an instant lies in.';

create function tollgate.limit_window_at(
  p_limit tollgate.limit_state, p_time_zone text, p_week_start public.weekday, p_at timestamptz
)
returns tollgate.limit_state
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  l tollgate.limit_state := p_limit;
begin
  if l.is_rolling then
    l.starts_at := tollgate.quarter_of(p_at - make_interval(secs => extract(epoch from l.length)));
    l.ends_at := l.starts_at + interval '15 minutes' + make_interval(secs => extract(epoch from l.length));
  else
    select w.starts_at, w.ends_at into l.starts_at, l.ends_at
    from tollgate.window_at(l.length, p_time_zone, p_week_start, p_at) w;
  end if;
  return l;
end;
$$;

comment on function tollgate.limit_window_at(tollgate.limit_state, text, public.weekday, timestamptz) is
  'A restriction with its window at an instant. A rolling window of 5 hours begins with the quarter of an hour of 5 hours ago, so that what was used has rolled off at most 15 minutes later than after 5 hours, never sooner; its hours, days and weeks are elapsed time, whatever the time zone.';

create function tollgate.limits_of(p_account tollgate.account, p_tag_ids uuid[])
returns tollgate.limit_state[]
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  return array(
    select row(
      r.counter_id, r.restriction_config, r.tag_ids, r.max_tokens, r.duration, r.is_rolling, r.ends_at,
      c.starts_at, c.ends_at, c.tokens_used, 0
    )::tollgate.limit_state
    from public.plan_restrictions r
    left join lateral (
      select * from unnest((p_account.usage).limits) f
      where f.counter_id = r.counter_id
        -- By other clocks windows are others.
        and (p_account.usage).time_zone = p_account.time_zone and (p_account.usage).week_start = p_account.week_start
      limit 1
    ) c on true
    where r.plan_id = p_account.plan_id and (r.tag_ids is null or r.tag_ids && p_tag_ids)
      and r.starts_at <= p_account.at and r.ends_at > p_account.at
    order by r.tag_ids nulls first, r.duration, r.max_tokens
  );
end;
$$;

comment on function tollgate.limits_of(tollgate.account, uuid[]) is
  'The restrictions of the account''s plan that are in force, those on all tokens and those on any of the tags: in the windows and with the counts of the last transfer, or without any where they were not counted.';

create function tollgate.count_buckets(
  p_user_id uuid, p_tag_ids uuid[], p_from timestamptz, p_before timestamptz default 'infinity'
)
returns bigint
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  return (
    select coalesce(sum(b.tokens_used), 0)
    from public.user_usage_buckets b
    where b.user_id = p_user_id and b.starts_at >= p_from and b.starts_at < p_before
      and (p_tag_ids is null or b.tag_id = any(p_tag_ids))
  );
end;
$$;

comment on function tollgate.count_buckets(uuid, uuid[], timestamptz, timestamptz) is
  'Tokens used between two instants, each the first of a quarter of an hour; of some tags, or of all where they are null.';

create function tollgate.count_transfers(
  p_user_id uuid, p_tag_ids uuid[], p_from timestamptz, p_up_to_transfer bigint
)
returns bigint
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  return (
    select coalesce(sum(- t.amount), 0)
    from public.token_transfers t
    where t.user_id = p_user_id and t.transfer_number <= p_up_to_transfer
      and t.transaction_type in ('consumption', 'refund')
      and coalesce(t.counted_at, t.created_at) >= p_from
      and (p_tag_ids is null or t.tag_id = any(p_tag_ids))
  );
end;
$$;

comment on function tollgate.count_transfers(uuid, uuid[], timestamptz, bigint) is
  'Tokens used since an instant as the audit trail had it up to a transfer. Reads history: only for the past.';

create function tollgate.counted_anew(p_account tollgate.account, p_limit tollgate.limit_state)
returns tollgate.limit_state
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  a constant tollgate.account := p_account;
  l tollgate.limit_state := tollgate.limit_window_at(p_limit, a.time_zone, a.week_start, a.at);
begin
  l.tokens_used := case
    -- Whatever this restriction counts was counted: nothing in a calendar window after that.
    when p_limit.ends_at is not null and not l.is_rolling then 0
    when p_limit.ends_at is not null
      then l.tokens_used - tollgate.count_buckets(a.user_id, l.tag_ids, p_limit.starts_at, l.starts_at)
    when a.up_to_transfer is null then tollgate.count_buckets(a.user_id, l.tag_ids, l.starts_at)
    else tollgate.count_transfers(a.user_id, l.tag_ids, l.starts_at, a.up_to_transfer)
  end;
  return l;
end;
$$;

comment on function tollgate.counted_anew(tollgate.account, tollgate.limit_state) is
  'A restriction in its current window, where that of the last transfer has ended, or summed up where it was not counted, as after a change of plan, of the restriction or of the time zone.';

create function tollgate.other_limits(p_account tollgate.account)
returns public.limit_usage[]
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  return array(
    select c
    from unnest((p_account.usage).limits) c
    join public.plan_restrictions r on r.counter_id = c.counter_id
    where r.plan_id = p_account.plan_id and r.starts_at <= p_account.at and r.ends_at > p_account.at
      and (p_account.usage).time_zone = p_account.time_zone and (p_account.usage).week_start = p_account.week_start
      and not exists (select from unnest(p_account.limits) f where f.counter_id = c.counter_id)
  );
end;
$$;

comment on function tollgate.other_limits(tollgate.account) is
  'Counts of restrictions that do not concern the account''s tags, which stay as they are. All others are dropped: they would miss what is consumed while their restriction is of another plan, or not in force.';

create function tollgate.quota_period_at(
  p_quota public.plan_quotas,
  p_anchor timestamptz,
  p_time_zone text,
  p_week_start public.weekday,
  p_at timestamptz,
  out period_start timestamptz,
  out period_end timestamptz
)
returns record
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  v_length constant interval := p_quota.period::text::interval;
  v_number integer;
begin
  if p_quota.counted_from = 'calendar' then
    select w.starts_at, w.ends_at into period_start, period_end
    from tollgate.window_at(v_length, p_time_zone, p_week_start, p_at) w;
  else
    v_number := tollgate.period_number(p_anchor, v_length, p_time_zone, p_at);
    period_start := tollgate.period_start(p_anchor, v_length, p_time_zone, v_number);
    period_end := tollgate.period_start(p_anchor, v_length, p_time_zone, v_number + 1);
  end if;
end;
$$;

comment on function tollgate.quota_period_at(public.plan_quotas, timestamptz, text, public.weekday, timestamptz) is
  'The period of a quota that an instant lies in: counted from a user''s billing anchor, or of the calendar.';

create function tollgate.quota_at(p_account tollgate.account)
returns public.user_quota_usage
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  a constant tollgate.account := p_account;
  q public.user_quota_usage := a.quota;
begin
  if a.quota_is_new then
    -- A period once begun runs to its end; after a change of anchor or zone the next one starts there.
    select greatest(n.period_start, q.period_end), n.period_end into q.period_start, q.period_end
    from tollgate.quota_period_at(a.plan_quota, a.billing_anchor, a.time_zone, a.week_start, a.at) n;
    q.user_id := a.user_id;
    q.quota_id := (a.plan_quota).id;
    q.is_fixed := false;
    q.tokens_used := 0;
    q.begun_at := a.at;
    q.cut_from := null;
  end if;
  if not q.is_fixed then
    -- Never below what was used, where the quota has been made smaller since.
    q.token_amount := greatest((a.plan_quota).token_amount, q.tokens_used);
  end if;
  return q;
end;
$$;

comment on function tollgate.quota_at(tollgate.account) is
  'The current period of the account''s quota and what was used in it, from the last period that was begun.';

create function tollgate.due_occurrences(p_account tollgate.account)
returns setof public.user_token_grants
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  a constant tollgate.account := p_account;
  r public.recurring_grants;
  g public.user_token_grants;
  v_every interval;
  v_valid_for interval;
  v_first integer;
begin
  for r in
    select * from public.recurring_grants f
    where f.user_id = a.user_id and f.starts_at <= a.at and (a.up_to_transfer is null or f.created_at <= a.at)
  loop
    v_every := r.every::text::interval;
    v_valid_for := r.valid_for::text::interval;
    v_first := case when a.up_to_transfer is null then r.occurrences_booked else 0 end;
    if v_valid_for is not null then
      -- Those before have lapsed.
      v_first := greatest(v_first, tollgate.period_number(
        r.starts_at, v_every, a.time_zone, a.at - 2 * v_valid_for
      ));
    end if;
    for i in v_first .. tollgate.period_number(r.starts_at, v_every, a.time_zone, a.at) loop
      g.effective_at := tollgate.period_start(r.starts_at, v_every, a.time_zone, i);
      exit when g.effective_at >= r.ends_at;
      g.expires_at := case
        -- Months are all counted from starts_at: from the 31st, those of February last until March 31st.
        when least(v_every, v_valid_for) >= interval '1 month'
          then tollgate.period_start(r.starts_at, i * v_every + v_valid_for, a.time_zone, 1)
        else tollgate.period_start(g.effective_at, v_valid_for, a.time_zone, 1)
      end;
      g.id := tollgate.computed_uuid(uuid_send(r.id) || int4send(i));
      continue when g.expires_at <= a.at or a.up_to_transfer is not null and (
        -- What had come due before the last transfer was written down by then, or had lapsed.
        greatest(g.effective_at, r.created_at) < (a.usage).not_before
        or exists (select from public.user_token_grants f where f.user_id = a.user_id and f.id = g.id)
      );
      g.user_id := a.user_id;
      g.token_amount := r.token_amount;
      g.grant_type := r.grant_type;
      g.priority := r.priority;
      g.tag_ids := r.tag_ids;
      g.recurring_grant_id := r.id;
      g.metadata := r.metadata;
      return next g;
    end loop;
  end loop;
end;
$$;

comment on function tollgate.due_occurrences(tollgate.account) is
  'Occurrences of recurring grants that are due, have not lapsed and are not written down yet. Their ids are computed, so that none can be made twice.';

create function tollgate.quota_used_after(p_quota public.user_quota_usage, p_transfer_number bigint)
returns bigint
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  return (
    select coalesce(sum(t.base_quota_used), 0) from public.token_transfers t
    where t.user_id = p_quota.user_id and t.transfer_number > p_transfer_number
      and t.quota_id = p_quota.quota_id and t.quota_period_start = p_quota.period_start
  );
end;
$$;

comment on function tollgate.quota_used_after(public.user_quota_usage, bigint) is
  'What was used of a quota period after a transfer, less what was refunded of it. Reads history: only for the past.';

create function tollgate.due_rollovers(p_account tollgate.account)
returns setof public.user_token_grants
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  a constant tollgate.account := p_account;
  v_quota constant public.plan_quotas := a.plan_quota;
  p public.user_quota_usage;
  g public.user_token_grants;
  v_end timestamptz := (a.quota).period_start;
  v_was_begun boolean;
  v_held bigint;
  v_left bigint;
begin
  -- Back from the current period, as far as what was carried over can still be spent.
  for i in 1 .. v_quota.rollover_periods loop
    exit when v_end <= greatest(v_quota.rollover_since, a.existing_since, a.plan_since, a.quota_open_since);
    select * into p from public.user_quota_usage f
    where f.user_id = a.user_id and f.quota_id = v_quota.id and f.period_start < v_end and f.begun_at <= a.at
    order by f.period_start desc
    limit 1;
    v_was_begun := found and p.period_end = v_end;
    if not v_was_begun then
      -- Nothing was used.
      select greatest(n.period_start, p.period_end) into p.period_start
      from tollgate.quota_period_at(
        v_quota, a.billing_anchor, a.time_zone, a.week_start, v_end - interval '1 microsecond'
      ) n;
      p.token_amount := v_quota.token_amount;
      p.tokens_used := 0;
    elsif not p.is_fixed then
      -- Never more than the quota, where it has been made smaller since the period was last drawn on.
      p.token_amount := least(p.token_amount, v_quota.token_amount);
    end if;
    if v_was_begun and a.up_to_transfer is not null then
      p.tokens_used := p.tokens_used - tollgate.quota_used_after(p, a.up_to_transfer);
    end if;
    -- Also those that have expired since, so that it does not matter when somebody looks.
    select coalesce(sum(s.tokens), 0) into v_held
    from (
      select * from unnest(a.holds)
      union all
      select * from public.token_holds f
      where f.user_id = a.user_id and f.ended_by is null and f.expires_at > v_end and f.expires_at <= a.at
    ) h
    cross join lateral unnest(h.sources) s
    where s.grant_id is null and h.quota_id = v_quota.id and h.quota_period_start = p.period_start;

    g.id := tollgate.computed_uuid(uuid_send(v_quota.id) || uuid_send(a.user_id) || timestamptz_send(v_end));
    v_left := p.token_amount - p.tokens_used - v_held;
    if v_left > 0 and (a.usage).not_before >= v_end then
      -- What was refunded after the period lapsed with it.
      v_left := v_left + (
        select coalesce(sum(t.base_quota_used), 0) from public.token_transfers t
        where t.user_id = a.user_id and t.refers_to is not null and t.transaction_type = 'refund'
          and t.quota_id = v_quota.id and t.quota_period_start = p.period_start and t.created_at >= v_end
          and t.transfer_number <= coalesce(a.up_to_transfer, t.transfer_number)
      );
    end if;
    g.token_amount := greatest(0, least(v_left, v_quota.rollover_max_tokens));
    g.effective_at := v_end;
    g.expires_at := v_end;
    for n in 1 .. v_quota.rollover_periods loop
      g.expires_at := (tollgate.quota_period_at(
        v_quota, a.billing_anchor, a.time_zone, a.week_start, g.expires_at
      )).period_end;
    end loop;
    if g.token_amount > 0 and g.expires_at > a.at and not exists (
      select from public.user_token_grants f where f.user_id = a.user_id and f.id = g.id
    ) then
      g.user_id := a.user_id;
      g.grant_type := 'rollover';
      g.priority := 50;
      g.recurring_grant_id := v_quota.id;
      return next g;
    end if;
    -- When it was begun, what the periods before had left rolled over.
    exit when v_was_begun;
    v_end := p.period_start;
  end loop;
end;
$$;

comment on function tollgate.due_rollovers(tollgate.account) is
  'What the last quota periods left unused, as far as it rolls over and is not written down yet: at most rollover_max_tokens of each, to be spent in the next rollover_periods periods. Only of periods that ended after rollover was switched on and after the user was created, came to the plan and had the quota opened; tokens that holds had set aside when it ended do not roll over. Their ids are computed, so that none can be made twice.';

create function tollgate.rollovers_are_due(p_account tollgate.account)
returns boolean
language plpgsql
immutable
security invoker
set search_path = ''
as $$
begin
  return (p_account.plan_quota).rollover_periods is not null
    and p_account.exists_already and p_account.quota_is_new and p_account.quota_is_open;
end;
$$;

comment on function tollgate.rollovers_are_due(tollgate.account) is
  'Whether the quota period is one of which nothing is written down yet, so that what earlier ones left unused rolls over. Once only: what comes back to a period after that lapses.';

create function tollgate.add_due_grants(p_account tollgate.account)
returns tollgate.account
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  a tollgate.account := p_account;
begin
  a.due_grants := array(select d from tollgate.due_occurrences(a) d)
    || case when tollgate.rollovers_are_due(a) then array(select d from tollgate.due_rollovers(a) d) else '{}' end;
  if cardinality(a.due_grants) > 0 then
    a.grants := array(
      select g
      from unnest(a.grants || array(
        select row(
          d.id, d.token_amount, d.grant_type, d.priority, d.effective_at, d.expires_at, d.tag_ids, a.at
        )::tollgate.grant_state
        from unnest(a.due_grants) d
      )) g
      order by g.priority, coalesce(g.expires_at, 'infinity'), g.created_at, g.effective_at, g.id
    );
  end if;
  return a;
end;
$$;

comment on function tollgate.add_due_grants(tollgate.account) is
  'The account with the grants that are due: they count as if they were written down. Nothing rolls over any more once the current period has begun.';

create function tollgate.counts_in(p_limit tollgate.limit_state, p_tag_id uuid, p_at timestamptz)
returns boolean
language plpgsql
immutable
security invoker
set search_path = ''
as $$
begin
  return (p_limit.tag_ids is null or coalesce(p_tag_id = any(p_limit.tag_ids), false)) and p_at >= p_limit.starts_at;
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

create function tollgate.quota_left(p_is_open boolean, p_amount bigint, p_used bigint, p_held bigint)
returns bigint
language plpgsql
immutable
security invoker
set search_path = ''
as $$
begin
  return case when p_is_open then greatest(0, p_amount - p_used - p_held) else 0 end;
end;
$$;

comment on function tollgate.quota_left(boolean, bigint, bigint, bigint) is
  'What can be spent of the current quota period: 0 without a quota, or while payment closes it.';

create function tollgate.add_up(p_account tollgate.account)
returns tollgate.account
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  a tollgate.account := p_account;
  l tollgate.limit_state;
  g tollgate.grant_state;
  v_counted integer := 0;
begin
  for i in 1 .. cardinality(a.limits) loop
    l := a.limits[i];
    if l.ends_at is not null then
      v_counted := v_counted + 1;
      continue when a.at < l.ends_at;
    end if;
    a.limits[i] := tollgate.counted_anew(a, l);
  end loop;
  if v_counted < cardinality((a.usage).limits) then
    a.other_limits := tollgate.other_limits(a);
  end if;
  if (a.plan_quota).id is not null then
    a.quota_is_open := tollgate.quota_is_open(a.payment_status, a.quota_open_until, a.at);
    a.quota_is_new := coalesce(a.at >= (a.quota).period_end, true);
    a.quota := tollgate.quota_at(a);
    a.quota_amount := case when (a.quota).is_fixed then (a.quota).token_amount else (a.plan_quota).token_amount end;
  end if;
  -- In another zone recurring grants are due at other instants.
  if (a.usage).due_at <= a.at or (a.usage).time_zone not in ('', a.time_zone) or tollgate.rollovers_are_due(a) then
    a := tollgate.add_due_grants(a);
  end if;
  if cardinality(a.holds) > 0 then
    if a.but_hold is not null then
      a.holds := array(select h from unnest(a.holds) h where h.transfer_number <> a.but_hold);
    end if;
    a := tollgate.hold_aside(a);
  end if;
  a.quota_left := tollgate.quota_left(a.quota_is_open, a.quota_amount, (a.quota).tokens_used, a.quota_held);
  foreach g in array a.grants loop
    if g.effective_at <= a.at then
      a.grants_left := a.grants_left + g.tokens_left;
      a.has_scoped_grants := a.has_scoped_grants or g.tag_ids is not null;
    end if;
  end loop;
  return a;
end;
$$;

comment on function tollgate.add_up(tollgate.account) is
  'An account that was read, completed: windows, period, due grants, holds, and what is left.';

create function tollgate.plan_quota_of(p_plan_id uuid)
returns public.plan_quotas
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  v_quota public.plan_quotas;
begin
  select q.* into v_quota
  from public.plan_quotas q
  join public.plans p on p.id = q.plan_id
  where q.plan_id = p_plan_id and p.plan_type = 'subscription';
  return v_quota;
end;
$$;

comment on function tollgate.plan_quota_of(uuid) is 'The base quota of a plan, null for one without.';

create function tollgate.account_of(
  p_project public.projects,
  p_user public.tracked_users,
  p_usage public.user_usage,
  p_at timestamptz,
  p_up_to_transfer bigint default null
)
returns tollgate.account
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  e public.tracked_users := p_user;
  l public.plans;
begin
  if e.next_plan_at <= p_at then
    e.plan_id := e.next_plan_id;
    e.plan_since := e.next_plan_at;
    e.next_plan_id := null;
    e.next_plan_at := null;
  end if;
  select * into l from public.plans f where f.id = e.plan_id;
  return row(
    e.id, e.external_id, p_project.id, p_project.tamper_evident, true, e.created_at, e.billing_anchor,
    e.payment_status, e.quota_open_until, e.quota_open_since, coalesce(e.time_zone, p_project.time_zone),
    p_project.week_start, e.plan_id, e.plan_since, e.next_plan_id, e.next_plan_at, l.name, l.plan_type,
    tollgate.plan_quota_of(e.plan_id), null,
    p_at, p_up_to_transfer, p_usage, '{}', '{}', null, false, false, 0, 0, '{}', null, false, 0, '{}', null, 0
  )::tollgate.account;
end;
$$;

comment on function tollgate.account_of(
  public.projects, public.tracked_users, public.user_usage, timestamptz, bigint
) is
  'The account of a user, as far as it does not depend on what the user did: from next_plan_at on that is the next plan''s.';

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
  p public.projects;
  e public.tracked_users;
  u public.user_usage;
begin
  -- One row a statement, which costs less than a join; all see one snapshot, since the function is stable.
  select * into p from public.projects f where f.id = p_project_id;
  select * into e from public.tracked_users f where f.id = p_user_id;
  if found then
    select * into u from public.user_usage f where f.user_id = p_user_id;
    a := tollgate.account_of(p, e, u, greatest(p_at, u.not_before));
  else
    if p.default_plan_id is null then
      return null;
    end if;
    e.id := p_user_id;
    e.external_id := p_external_id;
    e.plan_id := p.default_plan_id;
    e.plan_since := '-infinity';
    e.payment_status := 'active';
    e.quota_open_since := '-infinity';
    e.billing_anchor := p_at;
    e.created_at := p_at;
    u := row(p_user_id, '', 'monday', 'infinity', 0, '-infinity', null, '{}')::public.user_usage;
    a := tollgate.account_of(p, e, u, p_at);
    a.exists_already := false;
  end if;
  a.limits := tollgate.limits_of(a, p_tag_ids);
  if (a.plan_quota).id is not null then
    a.quota := (
      select f from public.user_quota_usage f
      where f.user_id = p_user_id and f.quota_id = (a.plan_quota).id
      order by f.period_start desc
      limit 1
    );
  end if;
  a.grants := array(
    select row(
      f.id, f.token_amount - f.tokens_used, f.grant_type, f.priority, f.effective_at, f.expires_at, f.tag_ids,
      f.created_at
    )::tollgate.grant_state
    from (
      -- In the order of its index, which the planner then prefers, however small the table.
      select * from public.user_token_grants g
      where g.user_id = p_user_id
        and not g.is_spent
        and coalesce(g.voided_at, g.expires_at, 'infinity') > a.at
      order by coalesce(g.voided_at, g.expires_at, 'infinity'), g.created_at, g.id
    ) f
    order by f.priority, coalesce(f.expires_at, 'infinity'), f.created_at, f.effective_at, f.id
  );
  a.holds := array(
    select h from public.token_holds h
    where h.user_id = p_user_id
      and h.ended_by is null
      and h.expires_at > a.at
    order by h.expires_at
  );
  a.but_hold := p_but_hold;
  return tollgate.add_up(a);
end;
$$;

comment on function tollgate.account_at(uuid, uuid, text, uuid[], timestamptz, bigint) is
  'A user''s account at an instant, or at the user''s last transfer where that is later. Of restrictions of tags only those of the tags named. A user that does not exist yet has the account that first use would create, or null where the project has no default plan. p_but_hold leaves out one hold.';

create function tollgate.limit_resets_at(p_limit tollgate.limit_state)
returns timestamptz
language plpgsql
immutable
security invoker
set search_path = ''
as $$
begin
  if p_limit.is_rolling then
    return p_limit.ends_at + make_interval(secs => extract(epoch from p_limit.length));
  end if;
  return p_limit.ends_at;
end;
$$;

comment on function tollgate.limit_resets_at(tollgate.limit_state) is
  'When all that is used of a restriction will count no more: at the end of its window, or, of a rolling one, when whatever has been used until now has rolled off.';

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
    'tag', p_limit.config ->> 'tag_name',
    'tags', coalesce(
      p_limit.config -> 'tag_names',
      case when p_limit.tag_ids is not null then jsonb_build_array(p_limit.config -> 'tag_name') end
    ),
    'max_tokens', p_limit.max_tokens,
    'duration', p_limit.config ->> 'duration',
    'window', coalesce(p_limit.config ->> 'window', 'calendar'),
    'used', p_limit.tokens_used,
    'held', p_limit.tokens_held,
    'left', greatest(0, p_limit.max_tokens - p_limit.tokens_used - p_limit.tokens_held),
    'resets_at', tollgate.limit_resets_at(p_limit)
  );
end;
$$;

comment on function tollgate.limit_json(tollgate.limit_state) is 'A restriction as callers see it; null for none.';

revoke all on all functions in schema tollgate from public;
grant execute on function
tollgate.quarter_of(timestamptz),
tollgate.limits_of(tollgate.account, uuid[]),
tollgate.limit_window_at(tollgate.limit_state, text, public.weekday, timestamptz),
tollgate.count_buckets(uuid, uuid[], timestamptz, timestamptz),
tollgate.count_transfers(uuid, uuid[], timestamptz, bigint),
tollgate.counted_anew(tollgate.account, tollgate.limit_state),
tollgate.other_limits(tollgate.account),
tollgate.quota_period_at(public.plan_quotas, timestamptz, text, public.weekday, timestamptz),
tollgate.quota_at(tollgate.account),
tollgate.due_occurrences(tollgate.account),
tollgate.quota_used_after(public.user_quota_usage, bigint),
tollgate.due_rollovers(tollgate.account),
tollgate.rollovers_are_due(tollgate.account),
tollgate.add_due_grants(tollgate.account),
tollgate.counts_in(tollgate.limit_state, uuid, timestamptz),
tollgate.hold_aside(tollgate.account),
tollgate.quota_left(boolean, bigint, bigint, bigint),
tollgate.add_up(tollgate.account),
tollgate.plan_quota_of(uuid),
tollgate.account_of(public.projects, public.tracked_users, public.user_usage, timestamptz, bigint),
tollgate.account_at(uuid, uuid, text, uuid[], timestamptz, bigint),
tollgate.limit_resets_at(tollgate.limit_state),
tollgate.limit_json(tollgate.limit_state)
to tollgate_kernel;
