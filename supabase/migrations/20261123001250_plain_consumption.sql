-- The plain case of a consumption, straight through. Most calls are plain: no grant is due, no hold is open,
-- no window or quota period has ended since the user's last transfer, no grant is for some tags only or
-- for later, and there is enough. ..._consumption does the same by way of an account in memory, with
-- 0.7 times as many calls a second; it decides all that is not plain, every denial included, and every
-- check. So a rule of consumption is changed in both, and
-- tests/consistency/single_calls_and_batches_of_one_agree.test.ts holds them against each other.

create type tollgate.plain_consumption as (
  transfer public.token_transfers,
  sources public.token_source[],
  counts public.limit_usage[],
  quota_amount bigint
);

comment on type tollgate.plain_consumption is
  'A plain consumption that is to be written: its transfer, what pays, the counts of restrictions after it, the size of the base quota.';

create function tollgate.decide_plainly(
  p_project_id uuid, p_usage public.user_usage, p_request tollgate.request, p_at timestamptz
)
returns tollgate.plain_consumption
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  v_user_id constant uuid := p_request.user_id;
  v_tokens constant bigint := p_request.tokens;
  p public.projects;
  e public.tracked_users;
  v_at timestamptz;
  r record;
  v_left bigint;
  v_least_left bigint;
  v_nearest_limit tollgate.limit_state;
  v_counts public.limit_usage[] := '{}';
  v_quota public.plan_quotas;
  q public.user_quota_usage;
  v_from_quota bigint := 0;
  v_quota_left bigint := 0;
  g record;
  v_needed bigint := v_tokens;
  v_grants_left bigint := 0;
  s public.token_source;
  v_sources public.token_source[] := '{}';
  t public.token_transfers;
begin
  select * into e from public.tracked_users f where f.id = v_user_id;
  select * into p from public.projects f where f.id = p_project_id;
  v_at := greatest(coalesce(p_at, clock_timestamp()), p_usage.not_before);
  if p_usage.due_at <= v_at or p_usage.time_zone <> coalesce(e.time_zone, p.time_zone) or p_usage.week_start <> p.week_start
    or e.next_plan_at <= v_at or e.payment_status <> 'active' or p.tamper_evident or p_usage.last_hash is not null
    or exists (
      select from public.token_holds h where h.user_id = v_user_id and h.ended_by is null and h.expires_at > v_at
    )
    or p_request.tag_id is not null and not exists (
      select from public.tags f where f.id = p_request.tag_id and f.project_id = p_project_id
    ) then
    return null;
  end if;

  -- All restrictions in force: those on other tags keep their counts, all other counts are dropped.
  for r in
    select
      f.*, c.starts_at as counted_from, c.ends_at as counted_until, c.tokens_used,
      (f.tag_ids is null or p_request.tag_id = any(f.tag_ids)) is true as counts
    from public.plan_restrictions f
    left join lateral (select * from unnest(p_usage.limits) n where n.counter_id = f.counter_id limit 1) c on true
    where f.plan_id = e.plan_id and f.starts_at <= v_at and f.ends_at > v_at
    order by f.tag_ids nulls first, f.duration, f.max_tokens
  loop
    if r.counts then
      v_left := r.max_tokens - r.tokens_used - v_tokens;
      if (v_left >= 0 and v_at < r.counted_until) is not true then
        return null;
      end if;
      r.tokens_used := r.tokens_used + v_tokens;
      if v_least_left is null or v_left < v_least_left then
        v_least_left := v_left;
        v_nearest_limit := row(
          r.counter_id, r.restriction_config, r.tag_ids, r.max_tokens, r.duration, r.is_rolling, r.ends_at,
          r.counted_from, r.counted_until, r.tokens_used, 0
        );
      end if;
    end if;
    if r.tokens_used is not null then
      v_counts := v_counts || row(r.counter_id, r.counted_from, r.counted_until, r.tokens_used)::public.limit_usage;
    end if;
  end loop;

  v_quota := tollgate.plan_quota_of(e.plan_id);
  if v_quota.id is not null then
    select * into q from public.user_quota_usage f
    where f.user_id = v_user_id and f.quota_id = v_quota.id
    order by f.period_start desc
    limit 1;
    if (v_at < q.period_end and not q.is_fixed) is not true then
      return null;
    end if;
    v_quota_left := tollgate.quota_left(true, v_quota.token_amount, q.tokens_used, 0);
    v_from_quota := least(v_tokens, v_quota_left);
    v_quota_left := v_quota_left - v_from_quota;
    if v_from_quota > 0 then
      v_needed := v_needed - v_from_quota;
      v_sources := array[row(null, v_from_quota, v_quota_left)::public.token_source];
    end if;
  end if;

  for g in
    select f.id, f.token_amount - f.tokens_used as tokens_left, f.effective_at, f.tag_ids
    from (
      -- In the order of its index, which the planner then prefers, however small the table.
      select * from public.user_token_grants n
      where n.user_id = v_user_id and not n.is_spent and coalesce(n.voided_at, n.expires_at, 'infinity') > v_at
      order by coalesce(n.voided_at, n.expires_at, 'infinity'), n.created_at, n.id
    ) f
    order by f.priority, coalesce(f.expires_at, 'infinity'), f.created_at, f.effective_at, f.id
  loop
    if g.effective_at > v_at or g.tag_ids is not null then
      return null;
    end if;
    v_grants_left := v_grants_left + g.tokens_left;
    if v_needed > 0 then
      s := row(g.id, least(v_needed, g.tokens_left), greatest(0, g.tokens_left - v_needed));
      v_needed := v_needed - s.tokens;
      v_sources := v_sources || s;
    end if;
  end loop;
  if v_needed > 0 then
    return null;
  end if;

  t := row(
    v_user_id, p_usage.last_transfer_number + 1, - v_tokens, 'consumption', p_request.tag_id, null,
    case when v_from_quota > 0 then v_quota.id end, case when v_from_quota > 0 then q.period_start end,
    v_from_quota, v_tokens - v_from_quota, v_quota_left, v_grants_left - (v_tokens - v_from_quota), 0, null, null,
    null, tollgate.limit_json(v_nearest_limit), p_request.request_id, p_request.request_hash,
    tollgate.current_api_key_id(p_project_id), p_request.metadata, v_at, null
  );
  return row(t, v_sources, v_counts, v_quota.token_amount)::tollgate.plain_consumption;
end;
$$;

comment on function tollgate.decide_plainly(uuid, public.user_usage, tollgate.request, timestamptz) is
  'What a request takes, all or nothing, now or at p_at, from a user, whose row the caller has locked; null where the case is not plain or would be denied. Stable, so that all it reads is one snapshot.';

create function tollgate.consume_plainly(
  p_project_id uuid, p_usage public.user_usage, p_request tollgate.request, p_at timestamptz
)
returns public.receipt
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  c constant tollgate.plain_consumption := tollgate.decide_plainly(p_project_id, p_usage, p_request, p_at);
  t constant public.token_transfers := c.transfer;
  s public.token_source;
  v_position smallint := 0;
begin
  if t.user_id is null then
    return null;
  end if;
  insert into public.token_transfers values (t.*);
  foreach s in array c.sources loop
    if s.grant_id is null then
      update public.user_quota_usage f
      set
        tokens_used = f.tokens_used + s.tokens,
        token_amount = greatest(c.quota_amount, f.tokens_used + s.tokens)
      where f.user_id = t.user_id and f.quota_id = t.quota_id and f.period_start = t.quota_period_start;
    else
      update public.user_token_grants f
      set
        tokens_used = f.tokens_used + s.tokens,
        is_spent = (f.tokens_used + s.tokens = f.token_amount)
      where f.user_id = t.user_id and f.id = s.grant_id and coalesce(f.voided_at, f.expires_at, 'infinity') > t.created_at;
      if not found then
        perform tollgate.refuse_ended_grant();
      end if;
      v_position := v_position + 1;
      insert into public.user_token_grants_consume
      values (t.user_id, t.transfer_number, s.grant_id, s.tokens, s.tokens_left, t.created_at, v_position);
    end if;
  end loop;
  perform tollgate.count_in_bucket(t);
  update public.user_usage f
  set last_transfer_number = t.transfer_number, not_before = t.created_at, limits = c.counts
  where f.user_id = t.user_id;
  return tollgate.receipt_of(t, p_request.external_id, p_request.tokens, c.sources, false);
end;
$$;

comment on function tollgate.consume_plainly(uuid, public.user_usage, tollgate.request, timestamptz) is
  'Takes the tokens of a request, all or nothing, now or at p_at, from a user, whose row the caller has locked, and answers the receipt; or, where the case is not plain or would be denied, writes nothing and answers null.';

revoke all on all functions in schema tollgate from public;
grant execute on function
tollgate.decide_plainly(uuid, public.user_usage, tollgate.request, timestamptz),
tollgate.consume_plainly(uuid, public.user_usage, tollgate.request, timestamptz)
to tollgate_kernel;
