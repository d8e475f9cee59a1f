-- Reading: a user's balance and transfers.

create function tollgate.account_as_of(p_user_id uuid, p_at timestamptz)
returns tollgate.account
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  a tollgate.account;
  e public.tracked_users;
  p public.projects;
  v_last bigint;
  v_last_at timestamptz;
begin
  -- The user's instants rise with the numbers.
  select t.transfer_number, t.created_at into v_last, v_last_at from public.token_transfers t
  where t.user_id = p_user_id and t.created_at <= p_at
  order by t.transfer_number desc
  limit 1;
  v_last := coalesce(v_last, 0);

  select * into strict e from public.tracked_users u where u.id = p_user_id;
  e := jsonb_populate_record(e, coalesce(
    (
      select t.metadata -> 'after' from public.token_transfers t
      where t.user_id = p_user_id and t.transaction_type = 'account_change' and t.transfer_number <= v_last
      order by t.transfer_number desc
      limit 1
    ),
    (
      select t.metadata -> 'before' from public.token_transfers t
      where t.user_id = p_user_id and t.transaction_type = 'account_change' and t.transfer_number > v_last
      order by t.transfer_number
      limit 1
    ),
    '{}'
  ));
  select * into strict p from public.projects f where f.id = e.project_id;

  a := tollgate.account_of(
    p,
    e,
    -- Without counts, and with recurring grants to look for.
    row(p_user_id, '', 'monday', '-infinity', v_last, coalesce(v_last_at, '-infinity'), null, '{}')::public.user_usage,
    p_at,
    v_last
  );
  a.limits := tollgate.limits_of(
    a, array(select unnest(r.tag_ids) from public.plan_restrictions r where r.plan_id = a.plan_id)
  );
  a.quota := (
    select q from public.user_quota_usage q
    where q.user_id = p_user_id and q.quota_id = (a.plan_quota).id and q.begun_at <= p_at
    order by q.period_start desc
    limit 1
  );
  if p_at < (a.quota).period_end then
    -- A change of plan that cut it short was yet to come.
    a.quota.period_end := coalesce((a.quota).cut_from, (a.quota).period_end);
  end if;
  a.quota.tokens_used := (a.quota).tokens_used - tollgate.quota_used_after(a.quota, v_last);
  a.grants := array(
    select row(
      f.id, f.token_amount - f.tokens_used + coalesce(l.tokens, 0), f.grant_type, f.priority, f.effective_at,
      f.expires_at, f.tag_ids, f.created_at
    )::tollgate.grant_state
    from public.user_token_grants f
    left join (
      select c.user_token_grants_id as grant_id, sum(c.token_deduction)::bigint as tokens
      from public.user_token_grants_consume c
      where c.user_id = p_user_id and c.transfer_number > v_last
      group by c.user_token_grants_id
    ) l on l.grant_id = f.id
    where f.user_id = p_user_id
      and coalesce(f.voided_at, f.expires_at, 'infinity') > p_at
      -- What comes again was there as soon as it was due, written down or not.
      and case when f.recurring_grant_id is null then f.created_at else f.effective_at end <= p_at
      and not exists (
        select from public.recurring_grants r
        where r.user_id = p_user_id and r.id = f.recurring_grant_id and r.created_at > p_at
      )
      and f.token_amount > f.tokens_used - coalesce(l.tokens, 0)
    order by f.priority, coalesce(f.expires_at, 'infinity'), f.created_at, f.effective_at, f.id
  );
  a.holds := array(
    select h from public.token_holds h
    where h.user_id = p_user_id and h.transfer_number <= v_last and coalesce(h.ended_by > v_last, true)
      and p_at < (
        select max(t.hold_expires_at) from public.token_transfers t
        where t.user_id = h.user_id and t.transfer_number <= v_last
          and (t.transfer_number = h.transfer_number or t.refers_to = h.transfer_number)
      )
    order by h.expires_at
  );
  return tollgate.add_up(a);
end;
$$;

comment on function tollgate.account_as_of(uuid, timestamptz) is
  'A user''s account as it was at an instant of the past: what has been written since is taken back. Which plan, payment, anchor and zone the user had is of then; how plans, quotas and restrictions are defined, and the project''s zone, are of today.';

create type tollgate.balance as (
  user_id text,
  plan text,
  plan_type public.plan_type,
  next_plan text,
  next_plan_at timestamptz,
  payment_status public.payment_status,
  quota_open_until timestamptz,
  time_zone text,
  tokens_left bigint,
  tokens_held bigint,
  tokens_settled bigint,
  quota_amount bigint,
  quota_used bigint,
  quota_held bigint,
  quota_left bigint,
  quota_resets_at timestamptz,
  grants_left bigint,
  grants jsonb,
  restrictions jsonb,
  as_of timestamptz
);

create function tollgate.grants_json(p_grants tollgate.grant_state[])
returns jsonb
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  return (
    select coalesce(jsonb_agg(jsonb_build_object(
      'grant_id', g.id,
      'grant_type', g.grant_type,
      'tokens_left', g.tokens_left,
      'priority', g.priority,
      'effective_at', g.effective_at,
      'expires_at', nullif(g.expires_at, 'infinity'),
      'tags', tollgate.tag_names(g.tag_ids)
    ) order by g.position), '[]')
    from unnest(p_grants) with ordinality
      g (id, tokens_left, grant_type, priority, effective_at, expires_at, tag_ids, created_at, position)
  );
end;
$$;

comment on function tollgate.grants_json(tollgate.grant_state[]) is 'Grants that have not ended, as callers see them.';

create function tollgate.balance(p_user_id uuid, p_at timestamptz default null)
returns tollgate.balance
language plpgsql
stable
security definer
set search_path = ''
set enable_seqscan = off
set plan_cache_mode = force_generic_plan
as $$
declare
  v_user record;
  a tollgate.account;
begin
  perform tollgate.require_reader(p_user_id);
  select
    u.project_id, u.external_id, s.not_before,
    array(
      select unnest(r.tag_ids) from public.plan_restrictions r where r.plan_id in (u.plan_id, u.next_plan_id)
    ) as tag_ids
  into strict v_user
  from public.tracked_users u
  join public.user_usage s on s.user_id = u.id
  where u.id = p_user_id;
  -- What was agreed on since is taken back too, though no call has written it down.
  if p_at < v_user.not_before
    or p_at < (select max(r.created_at) from public.recurring_grants r where r.user_id = p_user_id) then
    a := tollgate.account_as_of(p_user_id, p_at);
  else
    a := tollgate.account_at(
      v_user.project_id, p_user_id, v_user.external_id, v_user.tag_ids, coalesce(p_at, clock_timestamp())
    );
  end if;
  return row(
    a.external_id,
    a.plan_name,
    a.plan_type,
    (select p.name from public.plans p where p.id = a.next_plan_id),
    a.next_plan_at,
    a.payment_status,
    a.quota_open_until,
    a.time_zone,
    a.quota_left + a.grants_left,
    a.tokens_held,
    a.quota_left + a.grants_left + a.tokens_held,
    a.quota_amount,
    (a.quota).tokens_used,
    case when (a.plan_quota).id is not null then a.quota_held end,
    a.quota_left,
    (a.quota).period_end,
    a.grants_left,
    tollgate.grants_json(a.grants),
    (
      select coalesce(jsonb_agg(
        tollgate.limit_json(l) order by tollgate.tags_of(l) nulls first, l.length, l.max_tokens
      ), '[]')
      from unnest(a.limits) l
    ),
    a.at
  )::tollgate.balance;
end;
$$;

alter function tollgate.balance(uuid, timestamptz) owner to tollgate_kernel;
comment on function tollgate.balance(uuid, timestamptz) is
  'What a user has and may spend, from one snapshot, now or as of an instant: quota of the current period, grants in the order of use, open holds, and each restriction''s current window. tokens_settled = tokens_left + tokens_held. Raises TG004.';

create function tollgate.check_as_of(p_user_id uuid, p_as_of timestamptz)
returns void
language plpgsql
stable
security definer
set search_path = ''
as $$
begin
  perform tollgate.require_reader(p_user_id);
  if p_as_of > clock_timestamp()
    or p_as_of < (select u.created_at from public.tracked_users u where u.id = p_user_id) then
    raise exception using
      errcode = 'TG001',
      message = format('as_of %s is not an instant of the user''s past', p_as_of),
      hint = 'Give an instant between the user''s creation and now, or none for now.';
  end if;
end;
$$;

alter function tollgate.check_as_of(uuid, timestamptz) owner to tollgate_kernel;
comment on function tollgate.check_as_of(uuid, timestamptz) is
  'Refuses with TG001 an instant at which the user did not exist, or that has not come. Raises TG004.';

create function tollgate.transfers(p_user_id uuid, p_limit integer, p_before bigint)
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
stable
security definer
set search_path = ''
set enable_seqscan = off
set plan_cache_mode = force_generic_plan
as $$
begin
  perform tollgate.require_reader(p_user_id);
  if p_limit is null or p_limit not between 1 and 101 then
    raise exception using
      errcode = 'TG001', message = 'limit must be from 1 to 101', hint = 'Ask for fewer transfers a page.';
  end if;
  return query
    select
      t.transfer_number, t.amount, t.transaction_type, g.name,
      t.base_quota_used, t.grants_used, t.quota_left, t.grants_left, t.tokens_held,
      t.user_token_grants_id, t.refers_to, t.request_id, t.metadata, t.created_at
    from public.token_transfers t
    left join public.tags g on g.id = t.tag_id
    where t.user_id = p_user_id
      and t.transfer_number < coalesce(p_before, 9223372036854775807)
    order by t.transfer_number desc
    limit p_limit;
end;
$$;

alter function tollgate.transfers(uuid, integer, bigint) owner to tollgate_kernel;
comment on function tollgate.transfers(uuid, integer, bigint) is
  'A user''s transfers, newest first, 1 to 101 of those with a number below p_before. Raises TG001, TG004.';

revoke all on all functions in schema tollgate from public;
grant execute on function
tollgate.account_as_of(uuid, timestamptz),
tollgate.grants_json(tollgate.grant_state[])
to tollgate_kernel;
grant execute on function
tollgate.balance(uuid, timestamptz),
tollgate.check_as_of(uuid, timestamptz),
tollgate.transfers(uuid, integer, bigint)
to authenticated, service_role;
