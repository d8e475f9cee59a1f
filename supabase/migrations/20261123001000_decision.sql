-- The rules: what a call may take, and from where. Decided in memory, from an account; nothing here
-- writes a table, and only a denial reads one. Consumptions, batches, holds, checks and excesses are all decided here.

create type public.consume_mode as enum ('all_or_nothing', 'up_to');
comment on type public.consume_mode is
  'all_or_nothing: all of the tokens, or a denial. up_to: as many as there are, at least 1, or a denial.';

create type tollgate.decision as (
  tokens bigint,
  from_quota bigint,
  from_grants bigint,
  nearest_limit tollgate.limit_state,
  reason text,
  message text,
  hint text,
  shortfall bigint,
  retry_at timestamptz
);

comment on type tollgate.decision is
  'What a request may take, and from where; or, with a reason, why it may not, and what would help.';

create function tollgate.limit_frees_at(
  p_account tollgate.account, p_limit tollgate.limit_state, p_tokens bigint
)
returns timestamptz
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  l constant tollgate.limit_state := p_limit;
  v_left bigint := l.max_tokens - l.tokens_used - l.tokens_held;
  v_length constant interval := make_interval(secs => extract(epoch from l.length));
  v_freed record;
begin
  if p_tokens > l.max_tokens then
    return l.in_force_until;
  end if;
  for v_freed in
    select f.at, f.tokens
    from (
      select
        case
          when l.is_rolling then least(h.expires_at, tollgate.quarter_of(h.created_at) + v_length + interval '15 minutes')
          else h.expires_at
        end as at,
        h.token_amount as tokens
      from unnest(p_account.holds) h
      where tollgate.counts_in(l, h.tag_id, h.created_at)
      union all
      select b.starts_at + v_length + interval '15 minutes', b.tokens_used
      from public.user_usage_buckets b
      where l.is_rolling and b.user_id = p_account.user_id and b.starts_at >= l.starts_at
        and (l.tag_ids is null or b.tag_id = any(l.tag_ids))
    ) f
    order by f.at
  loop
    exit when not l.is_rolling and v_freed.at >= l.ends_at;
    v_left := v_left + v_freed.tokens;
    if v_left >= p_tokens then
      return least(v_freed.at, l.in_force_until);
    end if;
  end loop;
  return least(tollgate.limit_resets_at(l), l.in_force_until);
end;
$$;

comment on function tollgate.limit_frees_at(tollgate.account, tollgate.limit_state, bigint) is
  'When a restriction has room for so many tokens at the latest: when enough holds have expired, or enough has rolled off, or its window ends, or it is no longer in force. Tokens that are more than it ever allows wait for the last: infinity, where it is in force for ever.';

create function tollgate.grants_left_for(p_account tollgate.account, p_tag_id uuid)
returns bigint
language plpgsql
immutable
security invoker
set search_path = ''
as $$
declare
  v_left bigint := p_account.grants_left;
  g tollgate.grant_state;
begin
  if p_account.has_scoped_grants then
    foreach g in array p_account.grants loop
      if g.effective_at <= p_account.at and (g.tag_ids is null or p_tag_id = any(g.tag_ids)) is not true then
        v_left := v_left - g.tokens_left;
      end if;
    end loop;
  end if;
  return v_left;
end;
$$;

comment on function tollgate.grants_left_for(tollgate.account, uuid) is
  'Tokens left in the grants that can be spent on a tag now, or on none.';

create function tollgate.tokens_return_at(p_account tollgate.account, p_tokens bigint, p_tag_id uuid)
returns timestamptz
language plpgsql
immutable
security invoker
set search_path = ''
as $$
declare
  a constant tollgate.account := p_account;
  q constant public.user_quota_usage := a.quota;
begin
  -- Tokens come back only when a hold expires, a quota period begins or a grant takes effect: how many
  -- are there then?
  return (
    with freed as (
      select h.expires_at as at, s.grant_id, s.tokens,
        h.quota_id = q.quota_id and h.quota_period_start = q.period_start as of_this_period
      from unnest(a.holds) h
      cross join lateral unnest(h.sources) s
    )
    select t.at
    from (
      select f.at from freed f
      union
      select q.period_end
      union
      select g.effective_at from unnest(a.grants) g where g.effective_at > a.at
    ) t
    where t.at is not null and p_tokens <= coalesce((
        select sum(g.tokens_left + coalesce((
          select sum(f.tokens) from freed f where f.grant_id = g.id and f.at <= t.at
        ), 0))
        from unnest(a.grants) g
        where coalesce(g.expires_at, 'infinity') > t.at and g.effective_at <= t.at
          and (g.tag_ids is null or p_tag_id = any(g.tag_ids))
      ), 0)
      + case
        when (a.plan_quota).id is null or not tollgate.quota_is_open(a.payment_status, a.quota_open_until, t.at)
          -- What the next plan gives is its own affair.
          or t.at >= a.next_plan_at then 0
        when t.at >= q.period_end then (a.plan_quota).token_amount
        else greatest(0, a.quota_amount - q.tokens_used - a.quota_held + coalesce((
          select sum(f.tokens) from freed f where f.grant_id is null and f.of_this_period and f.at <= t.at
        ), 0))
      end
    order by t.at
    limit 1
  );
end;
$$;

comment on function tollgate.tokens_return_at(tollgate.account, bigint, uuid) is
  'When a user who has too few tokens for a tag will have so many, if nothing else happens: when enough open holds have expired, a quota period begins, or grants that were given take effect; null where waiting alone does not help. Recurring grants and rollovers yet to come do not count.';

create function tollgate.tags_of(p_limit tollgate.limit_state)
returns text
language plpgsql
immutable
security invoker
set search_path = ''
as $$
begin
  return coalesce(
    p_limit.config ->> 'tag_name',
    (select string_agg(n, ', ') from jsonb_array_elements_text(p_limit.config -> 'tag_names') n)
  );
end;
$$;

comment on function tollgate.tags_of(tollgate.limit_state) is 'The names of the tags that a restriction limits; null for all.';

create function tollgate.refusal(
  p_account tollgate.account,
  p_decision tollgate.decision,
  p_requested text,
  p_tag_id uuid,
  p_grants_left bigint
)
returns tollgate.decision
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  d tollgate.decision := p_decision;
  l constant tollgate.limit_state := d.nearest_limit;
  v_left bigint;
  v_or_wait text;
begin
  if d.reason is not null then
    v_left := greatest(0, l.max_tokens - l.tokens_used - l.tokens_held);
    d.shortfall := d.tokens - v_left;
    if l.max_tokens = 0 then
      d.message := format('The plan does not allow %s', coalesce(tollgate.tags_of(l), 'any tokens to be used'));
    else
      d.message := format(
        'Limit reached: %s tokens requested, %s of %s per %s left%s',
        p_requested, v_left, l.max_tokens, regexp_replace(l.config ->> 'duration', '^1 ', ''),
        ' for ' || tollgate.tags_of(l)
      );
    end if;
    if d.retry_at = 'infinity' then
      d.retry_at := null;
      d.hint := case
        when l.max_tokens = 0 then 'Move the user to another plan, or raise the restriction.'
        else format('Ask for at most %s tokens a call, or raise the restriction.', l.max_tokens)
      end;
    else
      d.hint := 'Call again at retry_at, or raise the restriction.';
    end if;
    return d;
  end if;

  d.shortfall := d.from_grants - p_grants_left;
  d.retry_at := tollgate.tokens_return_at(p_account, d.tokens, p_tag_id);
  v_or_wait := case when d.retry_at is not null then ', or call again at retry_at' end;
  if (p_account.plan_quota).id is not null and not p_account.quota_is_open
    and d.tokens <= p_grants_left + tollgate.quota_left(
      true, p_account.quota_amount, (p_account.quota).tokens_used, p_account.quota_held
    ) then
    d.reason := 'payment_inactive';
    d.message := format(
      'Not enough tokens: %s requested, and base quota is closed while payment is %s', p_requested, p_account.payment_status
    );
    d.hint := format(
      'Set payment_status to active once the user has paid, or grant what is lacking (%s)%s.', d.shortfall, v_or_wait
    );
  else
    d.reason := 'insufficient_tokens';
    d.message := format(
      'Not enough tokens: %s requested, %s left', p_requested, p_account.quota_left + p_grants_left
    );
    d.hint := format('Grant what is lacking (%s)%s.', d.shortfall, v_or_wait);
  end if;
  return d;
end;
$$;

comment on function tollgate.refusal(
  tollgate.account, tollgate.decision, text, uuid, bigint
) is
  'A decision against a request, with what is said of it: of a restriction, where one is the reason, else of tokens that are lacking.';

create function tollgate.decide(
  p_account tollgate.account, p_tokens bigint, p_mode public.consume_mode, p_tag_id uuid
)
returns tollgate.decision
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  d tollgate.decision;
  l tollgate.limit_state;
  v_left bigint;
  v_least_left bigint;
  v_frees_at timestamptz;
  v_grants_left constant bigint := tollgate.grants_left_for(p_account, p_tag_id);
begin
  d.tokens := p_tokens;
  if p_mode = 'up_to' then
    d.tokens := least(d.tokens, p_account.quota_left + v_grants_left);
    foreach l in array p_account.limits loop
      if l.tag_ids is null or p_tag_id = any(l.tag_ids) then
        d.tokens := least(d.tokens, l.max_tokens - l.tokens_used - l.tokens_held);
      end if;
    end loop;
    d.tokens := greatest(d.tokens, 1);
  end if;

  -- One restriction decides: of those exceeded the last to let this call through, else the nearest.
  foreach l in array p_account.limits loop
    continue when (l.tag_ids is null or p_tag_id = any(l.tag_ids)) is not true;
    v_left := l.max_tokens - l.tokens_used - l.tokens_held;
    if v_left < d.tokens then
      v_frees_at := tollgate.limit_frees_at(p_account, l, d.tokens);
      if d.reason is null or v_frees_at > d.retry_at or v_frees_at = d.retry_at and v_left < v_least_left then
        d.reason := 'restriction_exceeded';
        d.nearest_limit := l;
        d.retry_at := v_frees_at;
        v_least_left := v_left;
      end if;
    elsif d.reason is null and (v_least_left is null or v_left < v_least_left) then
      d.nearest_limit := l;
      v_least_left := v_left;
    end if;
  end loop;

  d.from_quota := least(d.tokens, p_account.quota_left);
  d.from_grants := d.tokens - d.from_quota;
  if d.reason is not null or d.from_grants > v_grants_left then
    return tollgate.refusal(
      p_account, d, case p_mode when 'up_to' then 'up to ' else '' end || p_tokens, p_tag_id, v_grants_left
    );
  end if;
  return d;
end;
$$;

comment on function tollgate.decide(tollgate.account, bigint, public.consume_mode, uuid) is
  'The rules: restrictions of the plan that are overall or of the tag, then base quota, then grants. All of the tokens, or with mode up_to as many as there are, at least 1.';

create function tollgate.split(p_account tollgate.account, p_decision tollgate.decision, p_tag_id uuid)
returns public.token_source[]
language plpgsql
immutable
security invoker
set search_path = ''
as $$
declare
  v_needed bigint := p_decision.from_grants;
  v_taken bigint;
  v_sources public.token_source[] := '{}';
  g tollgate.grant_state;
begin
  if p_decision.from_quota > 0 then
    v_sources := array[
      row(null, p_decision.from_quota, p_account.quota_left - p_decision.from_quota)::public.token_source
    ];
  end if;
  foreach g in array p_account.grants loop
    exit when v_needed = 0;
    continue when g.effective_at > p_account.at
      or (g.tag_ids is null or p_tag_id = any(g.tag_ids)) is not true;
    v_taken := least(v_needed, g.tokens_left);
    if v_taken > 0 then
      v_sources := v_sources || row(g.id, v_taken, g.tokens_left - v_taken)::public.token_source;
      v_needed := v_needed - v_taken;
    end if;
  end loop;
  return v_sources;
end;
$$;

comment on function tollgate.split(tollgate.account, tollgate.decision, uuid) is
  'The sources that pay for a tag, in order: base quota, then grants by priority, then first in, first out by expiry, never-expiring last.';

revoke all on all functions in schema tollgate from public;
grant execute on function
tollgate.limit_frees_at(tollgate.account, tollgate.limit_state, bigint),
tollgate.grants_left_for(tollgate.account, uuid),
tollgate.tokens_return_at(tollgate.account, bigint, uuid),
tollgate.tags_of(tollgate.limit_state),
tollgate.refusal(tollgate.account, tollgate.decision, text, uuid, bigint),
tollgate.decide(tollgate.account, bigint, public.consume_mode, uuid),
tollgate.split(tollgate.account, tollgate.decision, uuid)
to tollgate_kernel;
