-- Reading: a user's balance and transfers.

create type tollgate.balance as (
  user_id text,
  plan text,
  plan_type public.plan_type,
  payment_status public.payment_status,
  tokens_left bigint,
  tokens_held bigint,
  tokens_settled bigint,
  quota_amount bigint,
  quota_used bigint,
  quota_held bigint,
  quota_left bigint,
  quota_resets_at timestamptz,
  grants_left bigint,
  restrictions jsonb,
  as_of timestamptz
);

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
  v_row record;
  a tollgate.account;
begin
  perform tollgate.require_reader(p_user_id);
  select
    tollgate.account_at(
      u.project_id, u.id, u.external_id,
      array(select r.tag_id from public.plan_restrictions r where r.plan_id = u.plan_id),
      coalesce(p_at, clock_timestamp())
    ) as account
  into strict v_row
  from public.tracked_users u
  where u.id = p_user_id;
  a := v_row.account;
  return row(
    a.external_id,
    a.plan_name,
    a.plan_type,
    a.payment_status,
    a.quota_left + a.grants_left,
    a.tokens_held,
    a.quota_left + a.grants_left + a.tokens_held,
    a.quota_amount,
    (a.quota).tokens_used,
    case when a.quota_id is not null then a.quota_held end,
    a.quota_left,
    (a.quota).period_end,
    a.grants_left,
    (
      select coalesce(jsonb_agg(tollgate.limit_json(l) order by l.tag nulls first, l.duration, l.max_tokens), '[]')
      from unnest(a.limits) l
    ),
    a.at
  )::tollgate.balance;
end;
$$;

alter function tollgate.balance(uuid, timestamptz) owner to tollgate_kernel;
comment on function tollgate.balance(uuid, timestamptz) is
  'What a user has and may spend, from one snapshot: quota of the current period, grants in force, open holds, and each restriction''s current window. tokens_settled = tokens_left + tokens_held. p_at is for tests only. Raises TG004.';

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
grant execute on function tollgate.balance(uuid, timestamptz), tollgate.transfers(uuid, integer, bigint)
to authenticated, service_role;
