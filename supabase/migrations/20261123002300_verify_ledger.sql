-- The audit of the running state against the append-only rows. Empty, always.

create function public.verify_ledger()
returns table (disagreement text, user_id uuid, row_key text, expected text, found text)
language sql
stable
security invoker
set search_path = ''
as $$
  with consumed as (
    select c.user_id, c.user_token_grants_id as grant_id, sum(c.token_deduction) as tokens
    from public.user_token_grants_consume c
    group by c.user_id, c.user_token_grants_id
  ),
  drawn as (
    select c.user_id, c.transfer_number, sum(c.token_deduction) as tokens
    from public.user_token_grants_consume c
    group by c.user_id, c.transfer_number
  ),
  from_quota as (
    select t.user_id, t.quota_id, t.quota_period_start as period_start, sum(t.base_quota_used) as tokens
    from public.token_transfers t
    where t.base_quota_used <> 0
    group by t.user_id, t.quota_id, t.quota_period_start
  ),
  numbers as (
    select t.user_id, count(*) as transfers, max(t.transfer_number) as last_number, max(t.created_at) as last_at
    from public.token_transfers t
    group by t.user_id
  ),
  in_order as (
    select t.*, lag(t.created_at) over w as previous_at
    from public.token_transfers t
    window w as (partition by t.user_id order by t.transfer_number)
  ),
  counts as (
    select u.user_id, r.tag_ids, c.*
    from public.user_usage u
    cross join lateral unnest(u.limits) c
    join public.plan_restrictions r on r.counter_id = c.counter_id
  ),
  counted as (
    select
      t.user_id, tollgate.quarter_of(coalesce(t.counted_at, t.created_at)) as starts_at,
      coalesce(t.tag_id, '00000000-0000-0000-0000-000000000000') as tag_id,
      coalesce(
        case t.transaction_type when 'refund' then o.api_key_id else t.api_key_id end,
        '00000000-0000-0000-0000-000000000000'
      ) as api_key_id,
      array[
        count(*) filter (where t.transaction_type = 'consumption'),
        sum(- t.amount), sum(t.base_quota_used), sum(t.grants_used)
      ] as used
    from public.token_transfers t
    left join public.token_transfers o
      on t.transaction_type = 'refund' and o.user_id = t.user_id and o.transfer_number = t.refers_to
    where t.transaction_type in ('consumption', 'refund', 'hold')
    group by 1, 2, 3, 4
  ),
  refunded as (
    select r.user_id, r.refers_to as transfer_number, sum(r.amount) as tokens
    from public.token_transfers r
    where r.transaction_type = 'refund'
    group by r.user_id, r.refers_to
  ),
  held as (
    select h.user_id, s.grant_id, sum(s.tokens) as tokens
    from public.token_holds h
    cross join lateral unnest(h.sources) s
    join public.user_usage u on u.user_id = h.user_id
    where h.ended_by is null and h.expires_at > greatest(now(), u.last_transfer_at) and s.grant_id is not null
    group by h.user_id, s.grant_id
  ),
  recounted as (
    select
      c.user_id, c.counter_id, c.tokens_used,
      (
        select coalesce(sum(- t.amount), 0) from public.token_transfers t
        where t.user_id = c.user_id and t.transaction_type in ('consumption', 'refund')
          and coalesce(t.counted_at, t.created_at) >= c.starts_at
          and (c.tag_ids is null or t.tag_id = any(c.tag_ids))
      ) as expected
    from counts c
  )
  select 'tokens used of a grant', coalesce(g.user_id, c.user_id), coalesce(g.id, c.grant_id)::text,
    coalesce(c.tokens, 0)::text, g.tokens_used::text
  from public.user_token_grants g
  full join consumed c on c.user_id = g.user_id and c.grant_id = g.id
  where g.tokens_used is distinct from coalesce(c.tokens, 0)
  union all
  select 'transfer of a grant', coalesce(g.user_id, t.user_id), coalesce(g.id, t.user_token_grants_id)::text,
    g.token_amount::text, t.granted::text
  from public.user_token_grants g
  full join (
    select x.*, case x.transaction_type when 'grant' then x.amount else x.amount + x.base_quota_used + x.grants_used end as granted
    from public.token_transfers x
    where x.user_token_grants_id is not null and x.transaction_type <> 'void'
  ) t on t.user_id = g.user_id and t.user_token_grants_id = g.id
  where (g.token_amount, g.created_at, g.refund_of)
    is distinct from (t.granted, t.created_at, case t.transaction_type when 'refund' then t.transfer_number end)
  union all
  select 'amount of a transfer', t.user_id, t.transfer_number::text,
    concat_ws(' ', t.base_quota_used, t.grants_used, t.user_token_grants_id, t.refers_to), concat_ws(' ', t.transaction_type, t.amount)
  from public.token_transfers t
  where not case t.transaction_type
    when 'consumption' then
      t.amount = - t.base_quota_used - t.grants_used and least(t.base_quota_used, t.grants_used) >= 0
      and (t.amount < 0 or t.refers_to is not null) and t.user_token_grants_id is null
    when 'grant' then t.amount > 0 and t.user_token_grants_id is not null and t.base_quota_used = 0 and t.grants_used = 0
    when 'refund' then
      t.amount > 0 and greatest(t.base_quota_used, t.grants_used) <= 0 and t.refers_to is not null
      and (t.amount + t.base_quota_used + t.grants_used > 0) = (t.user_token_grants_id is not null)
      and t.amount + t.base_quota_used + t.grants_used >= 0
    when 'hold' then t.amount = 0 and t.refers_to is null and t.hold_expires_at > t.created_at
    when 'void' then t.amount <= 0 and t.user_token_grants_id is not null and t.base_quota_used = 0 and t.grants_used = 0
    when 'account_change' then t.amount = 0 and t.metadata ?& array['before', 'after']
    else t.amount = 0 and t.refers_to is not null
  end
  union all
  select 'grants that paid a transfer', coalesce(t.user_id, d.user_id),
    coalesce(t.transfer_number, d.transfer_number)::text, coalesce(d.tokens, 0)::text, t.grants_used::text
  from public.token_transfers t
  full join drawn d on d.user_id = t.user_id and d.transfer_number = t.transfer_number
  where t.grants_used is distinct from coalesce(d.tokens, 0)
  union all
  select 'tokens used of a quota period', coalesce(q.user_id, f.user_id),
    concat_ws(' ', coalesce(q.quota_id, f.quota_id), coalesce(q.period_start, f.period_start)),
    coalesce(f.tokens, 0)::text, q.tokens_used::text
  from public.user_quota_usage q
  full join from_quota f
    on f.user_id = q.user_id and f.quota_id = q.quota_id and f.period_start = q.period_start
  where q.tokens_used is distinct from coalesce(f.tokens, 0)
  union all
  select 'quota period of a transfer', t.user_id, t.transfer_number::text,
    concat_ws(' ', q.period_start, q.period_end), t.created_at::text
  from public.token_transfers t
  join public.user_quota_usage q
    on q.user_id = t.user_id and q.quota_id = t.quota_id and q.period_start = t.quota_period_start
  where coalesce(t.counted_at, t.created_at) < q.period_start or coalesce(t.counted_at, t.created_at) >= q.period_end
  union all
  select 'quota periods that overlap', p.user_id, concat_ws(' ', p.quota_id, p.period_start),
    p.period_end::text, p.next_start::text
  from (
    select q.*, lead(q.period_start) over (partition by q.user_id, q.quota_id order by q.period_start) as next_start
    from public.user_quota_usage q
  ) p
  where p.next_start < p.period_end
  union all
  select 'number of transfers', coalesce(u.user_id, n.user_id), null,
    concat_ws(' ', coalesce(n.transfers, 0), coalesce(n.last_number, 0)), u.last_transfer_number::text
  from public.user_usage u
  full join numbers n on n.user_id = u.user_id
  where u.last_transfer_number is distinct from coalesce(n.transfers, 0)
    or u.last_transfer_number is distinct from coalesce(n.last_number, 0)
    or u.last_transfer_at is distinct from coalesce(n.last_at, '-infinity')
  union all
  select 'time of a transfer', t.user_id, t.transfer_number::text, t.previous_at::text, t.created_at::text
  from in_order t
  where t.created_at < t.previous_at
  union all
  select 'tokens used of a restriction', r.user_id, r.counter_id::text, r.expected::text, r.tokens_used::text
  from recounted r
  where r.tokens_used <> r.expected
  union all
  select 'usage of a quarter of an hour', coalesce(b.user_id, c.user_id),
    concat_ws(' ', coalesce(b.starts_at, c.starts_at), coalesce(b.tag_id, c.tag_id), coalesce(b.api_key_id, c.api_key_id)),
    c.used::text, array[b.calls, b.tokens_used, b.base_quota_used, b.grants_used]::text
  from public.user_usage_buckets b
  full join counted c
    on c.user_id = b.user_id and c.starts_at = b.starts_at and c.tag_id = b.tag_id and c.api_key_id = b.api_key_id
  where array[b.calls, b.tokens_used, b.base_quota_used, b.grants_used]::numeric[] is distinct from c.used
  union all
  select 'tokens refunded of a consumption', r.user_id, r.transfer_number::text, (- o.amount)::text, r.tokens::text
  from refunded r
  left join public.token_transfers o
    on o.user_id = r.user_id and o.transfer_number = r.transfer_number and o.transaction_type = 'consumption'
  where r.tokens > - coalesce(o.amount, 0)
  union all
  select 'transfer of a hold', coalesce(h.user_id, t.user_id), coalesce(h.transfer_number, t.transfer_number)::text,
    h.created_at::text, t.created_at::text
  from public.token_holds h
  full join (select * from public.token_transfers x where x.transaction_type = 'hold') t
    on t.user_id = h.user_id and t.transfer_number = h.transfer_number
  where (h.created_at, coalesce(h.tag_id, h.user_id)) is distinct from (t.created_at, coalesce(t.tag_id, t.user_id))
  union all
  select 'tokens of a hold', h.user_id, h.transfer_number::text, h.token_amount::text, sum(s.tokens)::text
  from public.token_holds h
  cross join lateral unnest(h.sources) s
  group by h.user_id, h.transfer_number
  having sum(s.tokens) <> h.token_amount
  union all
  select 'end of a hold', h.user_id, h.transfer_number::text, h.ended_by::text,
    concat_ws(' ', t.transaction_type, t.refers_to, t.amount)
  from public.token_holds h
  left join public.token_transfers t on t.user_id = h.user_id and t.transfer_number = h.ended_by
  where h.ended_by is not null
    and (
      t.refers_to is distinct from h.transfer_number
      or t.transaction_type not in ('release', 'consumption')
      or - t.amount > h.token_amount
      or t.created_at >= h.expires_at
    )
  union all
  select 'end of a hold', t.user_id, t.refers_to::text, t.transfer_number::text, null
  from public.token_transfers t
  where t.refers_to is not null
    and (t.transaction_type = 'release' or t.transaction_type = 'consumption' and t.counted_at is not null)
    and not exists (
      select from public.token_holds h
      where h.user_id = t.user_id and h.transfer_number = t.refers_to and h.ended_by = t.transfer_number
    )
  union all
  select 'tokens held of a grant', l.user_id, l.grant_id::text, (g.token_amount - g.tokens_used)::text, l.tokens::text
  from held l
  left join public.user_token_grants g on g.user_id = l.user_id and g.id = l.grant_id
  where l.tokens > coalesce(g.token_amount - g.tokens_used, 0)
  union all
  select 'usage row of a user', u.id, null, 'one', 'none'
  from public.tracked_users u
  where not exists (select from public.user_usage s where s.user_id = u.id)
  union all
  select distinct 'tag of a user', t.user_id, t.tag_id::text, 'one', 'none'
  from public.token_transfers t
  where t.tag_id is not null
    and not exists (select from public.user_tags g where g.user_id = t.user_id and g.tag_id = t.tag_id);
$$;

comment on function public.verify_ledger() is
  'Recomputes all running state from token_transfers and user_token_grants_consume, holds each hold and refund against its transfers, and answers a row for each disagreement: none, ever. Reads everything, so run it off peak. For service_role and the SQL editor.';

revoke all on function public.verify_ledger() from public, anon, authenticated, service_role;
grant execute on function public.verify_ledger() to service_role;
grant execute on function tollgate.quarter_of(timestamptz) to service_role;
