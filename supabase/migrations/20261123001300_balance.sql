-- Reading: a user's balance and transfers.

create type tollgate.balance as (
  user_id text,
  plan text,
  plan_type public.plan_type,
  payment_status public.payment_status,
  tokens_left bigint,
  quota_amount bigint,
  quota_used bigint,
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
as $$
declare
  v_account tollgate.accounts;
  v_usage public.user_usage;
  v_at timestamptz;
  v_quota record;
  v_grants_left bigint;
begin
  perform tollgate.require_reader(p_user_id);
  select * into strict v_account from tollgate.accounts a where a.user_id = p_user_id;
  select * into strict v_usage from public.user_usage u where u.user_id = p_user_id;
  v_at := greatest(coalesce(p_at, clock_timestamp()), v_usage.last_transfer_at);
  v_usage := tollgate.usage_at(v_usage, v_account.time_zone, v_at);
  v_quota := tollgate.quota_at(v_account, v_at);
  v_grants_left := tollgate.grants_left(p_user_id, v_at);
  return row(
    v_account.external_id,
    v_account.plan_name,
    v_account.plan_type,
    v_account.payment_status,
    v_quota.tokens_left + v_grants_left,
    v_account.quota_amount,
    v_quota.tokens_used,
    v_quota.tokens_left,
    v_quota.period_end,
    v_grants_left,
    (
      select coalesce(jsonb_agg(tollgate.limit_json(s, 0) order by s.tag nulls first, s.duration, s.max_tokens), '[]')
      from public.plan_restrictions r
      cross join lateral tollgate.limit_state(r, v_usage, tollgate.tag_usage_at(v_usage, r.tag_id)) s
      where r.plan_id = v_account.plan_id
    ),
    v_at
  )::tollgate.balance;
end;
$$;

alter function tollgate.balance(uuid, timestamptz) owner to tollgate_kernel;
comment on function tollgate.balance(uuid, timestamptz) is
  'What a user has and may spend, from one snapshot: quota of the current period, grants in force, and each restriction''s current window. p_at is for tests only. Raises TG004.';

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
  grant_id uuid,
  request_id text,
  metadata jsonb,
  created_at timestamptz
)
language plpgsql
stable
security definer
set search_path = ''
set enable_seqscan = off
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
      t.base_quota_used, t.grants_used, t.quota_left, t.grants_left,
      t.user_token_grants_id, t.request_id, t.metadata, t.created_at
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
