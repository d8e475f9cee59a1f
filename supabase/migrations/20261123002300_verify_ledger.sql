-- The audit of the running state against the append-only rows. Empty, always.

create function public.verify_ledger(p_project_id uuid default null)
returns table (disagreement text, user_id uuid, row_key text, expected text, found text)
language plpgsql
stable
security invoker
set search_path = ''
-- Planned for the project, or for all; sums of a million transfers stay in memory.
set plan_cache_mode = force_custom_plan
set work_mem = '64MB'
as $$
#variable_conflict use_column
begin
  if p_project_id is not null and not exists (select from public.projects p where p.id = p_project_id) then
    raise exception using errcode = 'TG009', message = 'The project is not known', hint = 'Check the project id.';
  end if;
  return query
  with
  -- The rows of the project, or all. Not materialized: each query reads by its own index.
  users as not materialized (
    select * from public.tracked_users u where p_project_id is null or u.project_id = p_project_id
  ),
  transfers as not materialized (
    select * from public.token_transfers f where p_project_id is null or f.user_id in (select u.id from users u)
  ),
  grants as not materialized (
    select * from public.user_token_grants f where p_project_id is null or f.user_id in (select u.id from users u)
  ),
  draws as not materialized (
    select * from public.user_token_grants_consume f where p_project_id is null or f.user_id in (select u.id from users u)
  ),
  holds as not materialized (
    select * from public.token_holds f where p_project_id is null or f.user_id in (select u.id from users u)
  ),
  quota_usages as not materialized (
    select * from public.user_quota_usage f where p_project_id is null or f.user_id in (select u.id from users u)
  ),
  usages as not materialized (
    select * from public.user_usage f where p_project_id is null or f.user_id in (select u.id from users u)
  ),
  buckets as not materialized (
    select * from public.user_usage_buckets f where p_project_id is null or f.user_id in (select u.id from users u)
  ),
  used_tags as not materialized (
    select * from public.user_tags f where p_project_id is null or f.user_id in (select u.id from users u)
  ),
  recurring as not materialized (
    select * from public.recurring_grants f where p_project_id is null or f.user_id in (select u.id from users u)
  ),
  totals as (
    select t.user_id, count(*) as transfers, max(t.transfer_number) as last_number, max(t.created_at) as last_at
    from transfers t
    group by t.user_id
  ),
  -- What consumptions, refunds and holds come to in each quarter of an hour, as user_usage_buckets has it.
  counted as (
    select
      -- tollgate.quarter_of(), which as a call for each transfer would take a third of all time.
      t.user_id, date_bin(interval '15 minutes', coalesce(t.counted_at, t.created_at), timestamptz '2001-01-01Z') as starts_at,
      coalesce(t.tag_id, '00000000-0000-0000-0000-000000000000') as tag_id,
      coalesce(
        case when t.transaction_type <> 'refund' then t.api_key_id else (
          select o.api_key_id from transfers o
          where o.user_id = t.user_id and o.transfer_number = t.refers_to
        ) end,
        '00000000-0000-0000-0000-000000000000'
      ) as api_key_id,
      count(*) filter (where t.transaction_type = 'consumption') as calls,
      sum(- t.amount) as tokens_used,
      sum(t.base_quota_used) as base_quota_used,
      sum(t.grants_used) as grants_used
    from transfers t
    where t.transaction_type in ('consumption', 'refund', 'hold')
    group by 1, 2, 3, 4
  ),
  -- The counts that users keep of restrictions. Those of a restriction that is gone are dropped when next written.
  counts as (
    select u.user_id, u.time_zone, u.week_start, u.not_before, r.tag_ids, r.duration, r.is_rolling, c.*
    from usages u
    cross join lateral unnest(u.limits) c
    join public.plan_restrictions r on r.counter_id = c.counter_id
  ),
  grant_sources as (
    select h.user_id, h.transfer_number, h.ended_by, h.expires_at, s.grant_id, s.tokens
    from holds h
    cross join lateral unnest(h.sources) s
    where s.grant_id is not null
  ),
  voids as (
    select t.user_id, t.user_token_grants_id as grant_id, t.transfer_number, t.created_at, - t.amount as tokens
    from transfers t
    where t.transaction_type = 'void'
  ),
  -- As jsonb of one session, in which equal instants are equal texts; plans by id, since names may change.
  settings as (
    select
      t.user_id, t.transfer_number, t.created_at,
      to_jsonb(jsonb_populate_record(null::public.tracked_users, t.metadata -> 'before')) as before,
      to_jsonb(jsonb_populate_record(null::public.tracked_users, t.metadata -> 'after')) as after
    from transfers t
    where t.transaction_type = 'account_change'
  ),
  -- Changes of plan.
  moves as (
    select
      t.user_id, t.created_at, t.quota_left, (t.metadata -> 'after' ->> 'plan_id')::uuid as plan_id,
      t.metadata ->> 'quota_policy' as quota_policy
    from transfers t
    where t.transaction_type = 'account_change' and t.metadata ->> 'quota_policy' is not null
  ),
  -- Each transfer with the one before it, and with what was given in grants by then, and not used or voided.
  successions as (
    select
      f.user_id, f.transfer_number, f.created_at, f.grants_left,
      lag(f.created_at) over w as previous_at,
      coalesce(lag(f.transfer_number) over w, 0) as previous_number,
      sum(case
        when f.user_token_grants_id is null then - f.grants_used
        when f.transaction_type = 'refund' then f.amount + f.base_quota_used
        else f.amount
      end) over w as given
    from transfers f
    window w as (partition by f.user_id order by f.transfer_number)
  ),
  occurrences as (
    select r.*, k as number, tollgate.computed_uuid(uuid_send(r.id) || int4send(k)) as grant_id
    from recurring r
    cross join lateral generate_series(0, r.occurrences_booked - 1) k
  )

  -- Transfers are numbered 1, 2, 3, ... and dated in that order; user_usage knows the last one.
  select 'number of transfers', coalesce(u.user_id, n.user_id), null,
    concat_ws(' ', coalesce(n.transfers, 0), coalesce(n.last_number, 0)),
    u.last_transfer_number::text
  from usages u
  full join totals n on n.user_id = u.user_id
  where (u.last_transfer_number, u.last_transfer_number)
    is distinct from (coalesce(n.transfers, 0), coalesce(n.last_number, 0))
  union all
  -- A quota period may begin without a transfer, if a call is denied.
  select 'time of a user', u.user_id, null, l.at::text, u.not_before::text
  from usages u
  left join totals n on n.user_id = u.user_id
  left join (select q.user_id, max(q.begun_at) as begun_at from quota_usages q group by q.user_id) b on b.user_id = u.user_id
  cross join lateral (select coalesce(greatest(n.last_at, b.begun_at), '-infinity') as at) l
  where u.not_before <> l.at
  union all
  select 'number of transfers', t.user_id, t.transfer_number::text, (t.previous_number + 1)::text, t.transfer_number::text
  from successions t
  where t.transfer_number <> t.previous_number + 1
  union all
  select 'time of a transfer', t.user_id, t.transfer_number::text, t.previous_at::text, t.created_at::text
  from successions t
  where t.created_at < t.previous_at

  -- What settles a hold counts when the hold was made, a refund when its consumption did.
  union all
  select 'instant that a transfer counts at', t.user_id, t.transfer_number::text,
    t.original_counted_at::text, t.counted_at::text
  from (
    select f.*, (
      select coalesce(o.counted_at, o.created_at) from transfers o
      where o.user_id = f.user_id and o.transfer_number = f.refers_to
    ) as original_counted_at
    from transfers f
    where f.counted_at is not null or f.transaction_type = 'refund'
  ) t
  where (t.counted_at = t.original_counted_at) is not true

  -- A request id is applied once.
  union all
  select 'request id of a transfer', t.user_id, t.request_id, '1', count(*)::text
  from transfers t
  where t.request_id is not null
  group by t.user_id, t.request_id
  having count(*) > 1

  -- What a transfer says of itself, by its type.
  union all
  select 'amount of a transfer', t.user_id, t.transfer_number::text,
    concat_ws(' ', t.base_quota_used, t.grants_used, t.user_token_grants_id, t.refers_to),
    concat_ws(' ', t.transaction_type, t.amount)
  from transfers t
  where (case t.transaction_type
    when 'consumption' then
      t.amount = - t.base_quota_used - t.grants_used and least(t.base_quota_used, t.grants_used) >= 0
      and (t.amount < 0 or t.refers_to is not null) and t.user_token_grants_id is null
    when 'refund' then
      t.amount > 0 and greatest(t.base_quota_used, t.grants_used) <= 0 and t.refers_to is not null
      and (t.amount + t.base_quota_used + t.grants_used > 0) = (t.user_token_grants_id is not null)
      and t.amount + t.base_quota_used + t.grants_used >= 0
    else
      t.base_quota_used = 0 and t.grants_used = 0 and case t.transaction_type
        when 'grant' then t.amount > 0 and t.tag_id is null and t.refers_to is null
        when 'void' then t.amount <= 0 and t.tag_id is null and t.refers_to is null
        when 'hold' then t.amount = 0 and t.refers_to is null and t.hold_expires_at > t.created_at
        when 'account_change' then
          t.amount = 0 and t.tag_id is null and t.refers_to is null
          and jsonb_typeof(t.metadata -> 'before') = 'object' and jsonb_typeof(t.metadata -> 'after') = 'object'
        else t.amount = 0 and t.refers_to is not null
      end
    end
    and (t.transaction_type = 'refund' or (t.transaction_type in ('grant', 'void')) = (t.user_token_grants_id is not null))
    and (t.transaction_type = 'hold' or (t.base_quota_used <> 0) = (t.quota_id is not null))
    and (t.quota_id is null) = (t.quota_period_start is null)
    and (t.transaction_type in ('hold', 'extension')) = (t.hold_expires_at is not null)
    and (t.transaction_type in ('consumption', 'refund') or t.counted_at is null)
    and (t.request_id is null or t.request_hash is not null)
  ) is not true

  -- What a transfer says is left in grants was given, and not used or voided, by then. It may be less: holds set
  -- tokens aside, grants begin later or end, and their end may have been another then.
  union all
  select 'grants left after a transfer', t.user_id, t.transfer_number::text, 'at most ' || t.given, t.grants_left::text
  from successions t
  where t.grants_left not between 0 and t.given

  -- What it says is held was set aside by then, and not settled, released or expired.
  union all
  select 'tokens held after a transfer', t.user_id, t.transfer_number::text, t.expected::text, t.tokens_held::text
  from (
    select e.*, sum(e.tokens) over (partition by e.user_id order by e.at, e.transfer_number nulls first) as expected
    from (
      select f.user_id, f.created_at as at, f.transfer_number, f.tokens_held, 0 as tokens
      from transfers f
      where f.tokens_held <> 0 or f.user_id in (select o.user_id from holds o)
      union all
      select h.user_id, h.created_at, h.transfer_number, null, h.token_amount from holds h
      union all
      select h.user_id, f.created_at, h.ended_by, null, - h.token_amount
      from holds h
      join transfers f on f.user_id = h.user_id and f.transfer_number = h.ended_by
      union all
      select h.user_id, h.expires_at, null, null, - h.token_amount from holds h where h.ended_by is null
    ) e
  ) t
  where t.tokens_held <> t.expected

  -- What was consumed at once, not held before, was inside the restriction of its time. Counts of today may be
  -- above theirs, where it was lowered since.
  union all
  select 'limit of a consumption', t.user_id, t.transfer_number::text, t.nearest_limit ->> 'max_tokens',
    concat_ws(' ', t.nearest_limit ->> 'used', t.nearest_limit ->> 'held')
  from transfers t
  where t.transaction_type = 'consumption' and t.counted_at is null
    and (t.nearest_limit ->> 'used')::bigint + (t.nearest_limit ->> 'held')::bigint > (t.nearest_limit ->> 'max_tokens')::bigint

  -- Each grant has the transfer that made it, or was part of the refund that did.
  union all
  select 'transfer of a grant', coalesce(g.user_id, t.user_id), coalesce(g.id, t.user_token_grants_id)::text,
    g.token_amount::text, t.granted::text
  from grants g
  full join (
    select x.*, x.amount + x.base_quota_used + x.grants_used as granted
    from transfers x
    where x.user_token_grants_id is not null and x.transaction_type in ('grant', 'refund')
  ) t on t.user_id = g.user_id and t.user_token_grants_id = g.id
  where (g.token_amount, g.created_at, g.metadata, g.refund_of, g.request_id)
    is distinct from (
      t.granted, t.created_at, t.metadata, case t.transaction_type when 'refund' then t.transfer_number end,
      case t.transaction_type when 'grant' then t.request_id end
    )
    or g.effective_at is null

  -- What grants paid, by grant and by transfer.
  union all
  select 'tokens used of a grant', coalesce(g.user_id, c.user_id), coalesce(g.id, c.grant_id)::text,
    coalesce(c.tokens, 0)::text, g.tokens_used::text
  from grants g
  full join (
    select f.user_id, f.user_token_grants_id as grant_id, sum(f.token_deduction) as tokens
    from draws f
    group by f.user_id, f.user_token_grants_id
  ) c on c.user_id = g.user_id and c.grant_id = g.id
  where g.tokens_used is distinct from coalesce(c.tokens, 0)
    or g.tokens_used not between 0 and g.token_amount or g.is_spent <> (g.tokens_used = g.token_amount)
  union all
  select 'grants that paid a transfer', coalesce(t.user_id, d.user_id),
    coalesce(t.transfer_number, d.transfer_number)::text, coalesce(d.tokens, 0)::text, t.grants_used::text
  from transfers t
  full join (
    select
      f.user_id, f.transfer_number, sum(f.token_deduction) as tokens,
      count(*) as count, min(f.position) as first, max(f.position) as last
    from draws f
    group by f.user_id, f.transfer_number
  ) d on d.user_id = t.user_id and d.transfer_number = t.transfer_number
  where t.grants_used is distinct from coalesce(d.tokens, 0) or (d.first, d.last) <> (1, d.count)

  -- A grant pays from its effective_at to its end, for its tags; what settles a hold was taken when it was held.
  union all
  select 'terms of a grant that paid a transfer', t.user_id, t.transfer_number::text,
    concat_ws(' ', g.id, g.effective_at, coalesce(g.voided_at, g.expires_at), g.tag_ids),
    concat_ws(' ', coalesce(t.counted_at, t.created_at), t.tag_id)
  from draws c
  join transfers t on t.user_id = c.user_id and t.transfer_number = c.transfer_number
  join grants g on g.user_id = c.user_id and g.id = c.user_token_grants_id
  where (
    c.created_at = t.created_at and c.tokens_left <= g.token_amount - greatest(c.token_deduction, 0)
    and (
      c.token_deduction < 0
      or coalesce(t.counted_at, t.created_at)
        between g.effective_at and coalesce(g.voided_at, g.expires_at, 'infinity')
      and (g.tag_ids is null or t.tag_id = any(g.tag_ids))
    )
  ) is not true

  -- A grant is voided once, of all that was left of it, and not held, at that instant.
  union all
  select 'void of a grant', coalesce(g.user_id, v.user_id), coalesce(g.id, v.grant_id)::text,
    concat_ws(' ', g.voided_at, g.token_amount - v.used - v.held), concat_ws(' ', v.created_at, v.tokens)
  from (select * from grants f where f.voided_at is not null) g
  full join (
    select
      f.*, count(*) over (partition by f.user_id, f.grant_id) as times,
      (
        select coalesce(sum(c.token_deduction), 0) from draws c
        where c.user_id = f.user_id and c.user_token_grants_id = f.grant_id and c.transfer_number < f.transfer_number
      ) as used,
      (
        select coalesce(sum(s.tokens), 0) from grant_sources s
        where s.user_id = f.user_id and s.grant_id = f.grant_id and s.transfer_number < f.transfer_number
          and coalesce(s.ended_by > f.transfer_number, true)
          and f.created_at < (
            select max(e.hold_expires_at) from transfers e
            where e.user_id = s.user_id and e.transfer_number < f.transfer_number
              and (e.transfer_number = s.transfer_number or e.refers_to = s.transfer_number)
          )
      ) as held
    from voids f
  ) v on v.user_id = g.user_id and v.grant_id = g.id
  where (g.voided_at, g.token_amount - v.used - v.held, 1) is distinct from (v.created_at, v.tokens, v.times)

  -- Occurrences of recurring grants have the id of their number, below occurrences_booked, and its terms. By other
  -- clocks, which the user may have had then, they are due a little earlier or later. None that cannot lapse is missing.
  union all
  select 'occurrence of a recurring grant', g.user_id, g.id::text,
    concat_ws(' ', o.token_amount, o.number, tollgate.period_start(o.starts_at, o.every::text::interval, 'UTC', o.number)),
    concat_ws(' ', g.token_amount, g.effective_at)
  from grants g
  left join occurrences o on o.user_id = g.user_id and o.grant_id = g.id
  where (o.id is not null or g.recurring_grant_id is not null and g.grant_type <> 'rollover')
    and (
      (o.id, o.token_amount, o.grant_type, o.priority, o.tag_ids, o.metadata)
        is distinct from (g.recurring_grant_id, g.token_amount, g.grant_type, g.priority, g.tag_ids, g.metadata)
      or g.effective_at - tollgate.period_start(o.starts_at, o.every::text::interval, 'UTC', o.number)
        not between interval '-4 days' and interval '4 days'
    )
  union all
  select 'occurrence of a recurring grant', o.user_id, o.grant_id::text, concat_ws(' ', o.token_amount, o.number), null
  from occurrences o
  where o.valid_for is null
    and not exists (select from grants g where g.user_id = o.user_id and g.id = o.grant_id)

  -- A rollover has the id of its quota, user and instant: so there is one for each period.
  union all
  select 'rollover of a quota period', g.user_id, g.id::text, concat_ws(' ', g.recurring_grant_id, g.effective_at), null
  from grants g
  where g.grant_type = 'rollover'
    and g.id is distinct from tollgate.computed_uuid(
      uuid_send(g.recurring_grant_id) || uuid_send(g.user_id) || timestamptz_send(g.effective_at)
    )

  -- No occurrence is due before due_at, which is what calls look at. In another zone they look again.
  union all
  select 'next recurring grant of a user', s.user_id, r.id::text, n.at::text, s.due_at::text
  from recurring r
  join usages s on s.user_id = r.user_id
  join users u on u.id = r.user_id
  join public.projects p on p.id = u.project_id
  cross join lateral (
    -- No condition, which might be tried after the function: before the first transfer there is no zone.
    select case
      when s.time_zone = coalesce(u.time_zone, p.time_zone) then
        tollgate.period_start(r.starts_at, r.every::text::interval, s.time_zone, r.occurrences_booked)
    end as at
  ) n
  where n.at < coalesce(r.ends_at, 'infinity') and n.at < s.due_at

  -- What quota periods paid; when; and that those of one quota do not overlap.
  union all
  select 'tokens used of a quota period', coalesce(q.user_id, f.user_id),
    concat_ws(' ', coalesce(q.quota_id, f.quota_id), coalesce(q.period_start, f.period_start)),
    coalesce(f.tokens, 0)::text, q.tokens_used::text
  from quota_usages q
  full join (
    select
      t.user_id, t.quota_id, t.quota_period_start as period_start, sum(t.base_quota_used) as tokens,
      min(t.created_at) as first_at
    from transfers t
    where t.base_quota_used <> 0
    group by t.user_id, t.quota_id, t.quota_period_start
  ) f on f.user_id = q.user_id and f.quota_id = q.quota_id and f.period_start = q.period_start
  where q.tokens_used is distinct from coalesce(f.tokens, 0) or q.begun_at > f.first_at
  union all
  select 'quota period of a transfer', t.user_id, t.transfer_number::text,
    concat_ws(' ', q.period_start, q.period_end), coalesce(t.counted_at, t.created_at)::text
  from transfers t
  left join quota_usages q
    on q.user_id = t.user_id and q.quota_id = t.quota_id and q.period_start = t.quota_period_start
  where t.quota_id is not null
    -- At its very end: a change of plan at the same instant ended it.
    and (coalesce(t.counted_at, t.created_at) between q.period_start and q.period_end) is not true
  union all
  select 'quota periods that overlap', p.user_id, concat_ws(' ', p.quota_id, p.period_start),
    p.period_end::text, p.next_start::text
  from (
    select q.*, lead(q.period_start) over (partition by q.user_id, q.quota_id order by q.period_start) as next_start
    from quota_usages q
  ) p
  where p.next_start < p.period_end

  -- Only a change to the quota's plan begins a period of fixed size, all of which is left then, or none where payment
  -- closes it; and only a change of plan cuts a period short.
  union all
  select 'fixed quota period', q.user_id, concat_ws(' ', q.quota_id, q.period_start),
    concat_ws(' ', c.plan_id, c.quota_left), concat_ws(' ', q.is_fixed, q.token_amount)
  from quota_usages q
  join public.plan_quotas n on n.id = q.quota_id
  left join moves c
    on c.user_id = q.user_id and c.created_at = q.period_start and c.plan_id = n.plan_id and c.quota_policy <> 'reset'
  where q.is_fixed <> (c.user_id is not null) or q.is_fixed and c.quota_left not in (0, q.token_amount)
  union all
  select 'cut quota period', q.user_id, concat_ws(' ', q.quota_id, q.period_start), c.created_at::text,
    concat_ws(' ', q.period_end, q.cut_from)
  from quota_usages q
  left join moves c on c.user_id = q.user_id and c.created_at = q.period_end
  where q.cut_from is not null and (c.created_at < q.cut_from) is not true

  -- A restriction counts what was used since its window began; windows begin with a quarter of an hour.
  union all
  select 'tokens used of a restriction', c.user_id, c.counter_id::text, coalesce(sum(f.tokens_used), 0)::text, c.tokens_used::text
  from counts c
  left join counted f
    on f.user_id = c.user_id and f.starts_at >= c.starts_at and (c.tag_ids is null or f.tag_id = any(c.tag_ids))
  group by c.user_id, c.counter_id, c.tokens_used
  having c.tokens_used <> coalesce(sum(f.tokens_used), 0)
  union all
  select 'window of a restriction', c.user_id, c.counter_id::text,
    concat_ws(' ', w.starts_at, w.ends_at), concat_ws(' ', c.starts_at, c.ends_at)
  from counts c
  cross join lateral (
    select f.starts_at, f.ends_at
    from tollgate.window_at(c.duration, c.time_zone, c.week_start, c.starts_at) f
    where not c.is_rolling
    union all
    select q.at, q.at + interval '15 minutes' + make_interval(secs => extract(epoch from c.duration))
    from (select tollgate.quarter_of(c.starts_at) as at) q
    where c.is_rolling
  ) w
  where (c.starts_at, c.ends_at) is distinct from (w.starts_at, w.ends_at) or c.starts_at > c.not_before

  -- Usage by quarters of an hour, and the tags used.
  union all
  select 'usage of a quarter of an hour', coalesce(b.user_id, c.user_id),
    concat_ws(' ', coalesce(b.starts_at, c.starts_at), coalesce(b.tag_id, c.tag_id), coalesce(b.api_key_id, c.api_key_id)),
    concat_ws(' ', c.calls, c.tokens_used, c.base_quota_used, c.grants_used),
    concat_ws(' ', b.calls, b.tokens_used, b.base_quota_used, b.grants_used)
  from buckets b
  full join counted c
    on c.user_id = b.user_id and c.starts_at = b.starts_at and c.tag_id = b.tag_id and c.api_key_id = b.api_key_id
  where (b.calls, b.tokens_used, b.base_quota_used, b.grants_used)
    is distinct from (c.calls, c.tokens_used, c.base_quota_used, c.grants_used)
  union all
  select 'tag of a user', coalesce(g.user_id, c.user_id), coalesce(g.tag_id, c.tag_id)::text, c.tag_id::text, g.tag_id::text
  from used_tags g
  full join (
    select distinct f.user_id, f.tag_id from counted f where f.tag_id <> '00000000-0000-0000-0000-000000000000'
  ) c on c.user_id = g.user_id and c.tag_id = g.tag_id
  where g.tag_id is null or c.tag_id is null

  -- A consumption is refunded at most once over.
  union all
  select 'tokens refunded of a consumption', r.user_id, r.refers_to::text, (- o.amount)::text, r.tokens::text
  from (
    select t.user_id, t.refers_to, sum(t.amount) as tokens
    from transfers t
    where t.transaction_type = 'refund'
    group by t.user_id, t.refers_to
  ) r
  left join transfers o
    on o.user_id = r.user_id and o.transfer_number = r.refers_to and o.transaction_type = 'consumption'
  where r.tokens > - coalesce(o.amount, 0)

  -- A hold has its transfer, lasts as long as that or an extension says, its tokens have their sources; it ends once,
  -- in time, for at most what it held.
  union all
  select 'transfer of a hold', coalesce(h.user_id, t.user_id), coalesce(h.transfer_number, t.transfer_number)::text,
    concat_ws(' ', h.created_at, h.expires_at), concat_ws(' ', t.created_at, t.lasts_until)
  from holds h
  full join (
    select
      x.*, greatest(x.hold_expires_at, (
        select max(e.hold_expires_at) from transfers e
        where e.user_id = x.user_id and e.refers_to = x.transfer_number and e.transaction_type = 'extension'
      )) as lasts_until
    from transfers x
    where x.transaction_type = 'hold'
  ) t on t.user_id = h.user_id and t.transfer_number = h.transfer_number
  where (h.created_at, h.expires_at, h.tag_id, h.quota_id, h.quota_period_start)
    is distinct from (t.created_at, t.lasts_until, t.tag_id, t.quota_id, t.quota_period_start)
  union all
  select 'tokens of a hold', h.user_id, h.transfer_number::text, h.token_amount::text, sum(s.tokens)::text
  from holds h
  cross join lateral unnest(h.sources) s
  group by h.user_id, h.transfer_number, h.token_amount
  having sum(s.tokens) <> h.token_amount or min(s.tokens) < 1
    or count(*) filter (where s.grant_id is null) <> count(distinct h.quota_id)
  union all
  select 'end of a hold', h.user_id, h.transfer_number::text, h.ended_by::text,
    concat_ws(' ', t.transaction_type, t.refers_to, t.amount)
  from holds h
  left join transfers t on t.user_id = h.user_id and t.transfer_number = h.ended_by
  where h.ended_by is not null
    and (
      t.refers_to = h.transfer_number and t.transaction_type in ('release', 'consumption')
      and - t.amount <= h.token_amount and t.created_at < h.expires_at
    ) is not true
  union all
  select 'end of a hold', t.user_id, t.refers_to::text, t.transfer_number::text, null
  from transfers t
  where t.refers_to is not null and t.transaction_type <> 'refund'
    and not exists (
      select from holds h
      where h.user_id = t.user_id and h.transfer_number = t.refers_to and h.tag_id is not distinct from t.tag_id
        and case
          when t.transaction_type = 'extension' then
            h.expires_at >= t.hold_expires_at and coalesce(h.ended_by > t.transfer_number, true)
          -- What was consumed beyond the hold follows the settlement.
          when t.transaction_type = 'consumption' and t.counted_at is null then h.ended_by = t.transfer_number - 1
          else h.ended_by = t.transfer_number
        end
    )

  -- A settlement draws on what its hold set aside, grant by grant.
  union all
  select 'grants that paid a settlement', d.user_id, d.transfer_number::text,
    concat_ws(' ', d.user_token_grants_id, coalesce(s.tokens, 0)), d.token_deduction::text
  from holds h
  join draws d on d.user_id = h.user_id and d.transfer_number = h.ended_by
  left join grant_sources s
    on s.user_id = h.user_id and s.transfer_number = h.transfer_number and s.grant_id = d.user_token_grants_id
  where d.token_deduction > coalesce(s.tokens, 0)

  -- What open holds set aside of a grant is still in it.
  union all
  select 'tokens held of a grant', l.user_id, l.grant_id::text, (g.token_amount - g.tokens_used)::text, l.tokens::text
  from (
    select s.user_id, s.grant_id, sum(s.tokens) as tokens
    from grant_sources s
    join usages u on u.user_id = s.user_id
    where s.ended_by is null and s.expires_at > greatest(now(), u.not_before)
    group by s.user_id, s.grant_id
  ) l
  left join grants g on g.user_id = l.user_id and g.id = l.grant_id
  where l.tokens > coalesce(g.token_amount - g.tokens_used, 0)

  -- Each change of an account begins with what the one before left, or with the plan that took effect since; the
  -- last one left what is now.
  union all
  select 'account before a change', s.user_id, s.transfer_number::text, s.expected::text, s.before::text
  from (
    select c.user_id, c.transfer_number, c.created_at, c.before, c.after, c.previous || case
      when (c.previous ->> 'next_plan_at')::timestamptz <= c.created_at then jsonb_build_object(
        'plan_id', c.previous -> 'next_plan_id', 'plan_since', c.previous -> 'next_plan_at',
        'next_plan_id', null, 'next_plan_at', null
      )
      else '{}'
    end as expected
    from (
      select f.*, lag(f.after) over (partition by f.user_id order by f.transfer_number) as previous from settings f
    ) c
  ) s
  where s.before <> s.expected or (s.after ->> 'changed_at')::timestamptz <> s.created_at
  union all
  select 'account after the last change', u.id, l.transfer_number::text, l.after::text, n.settings::text
  from users u
  cross join lateral (
    select to_jsonb(u) || '{"id": null, "project_id": null, "external_id": null, "auth_user_id": null, "created_at": null}' as settings
  ) n
  join (
    select distinct on (s.user_id) s.user_id, s.transfer_number, s.after
    from settings s
    order by s.user_id, s.transfer_number desc
  ) l on l.user_id = u.id
  where n.settings <> l.after

  -- No row leads to another project. (To none it may: a tag can be deleted when its grants have ended.)
  union all
  select 'row of another project', o.user_id, concat_ws(' ', o.what, o.id), o.project_id::text, o.other_project_id::text
  from (
    select 'tag' as what, g.tag_id as id, g.user_id, u.project_id, t.project_id as other_project_id
    from (
      select f.user_id, f.tag_id from used_tags f
      union all
      select distinct f.user_id, f.tag_id from transfers f where f.tag_id is not null
      union all
      select f.user_id, unnest(f.tag_ids) from grants f where f.tag_ids is not null
      union all
      select f.user_id, unnest(f.tag_ids) from recurring f where f.tag_ids is not null
    ) g
    join users u on u.id = g.user_id
    join public.tags t on t.id = g.tag_id
    union all
    select 'quota', q.id, q.user_id, u.project_id, p.project_id
    from (
      select distinct f.user_id, f.quota_id as id from quota_usages f
      union
      select f.user_id, f.recurring_grant_id from grants f where f.grant_type = 'rollover'
    ) q
    join users u on u.id = q.user_id
    join public.plan_quotas n on n.id = q.id
    join public.plans p on p.id = n.plan_id
    union all
    select 'API key', k.id, k.user_id, u.project_id, a.project_id
    from (select distinct f.user_id, f.api_key_id as id from transfers f where f.api_key_id is not null) k
    join users u on u.id = k.user_id
    join public.api_keys a on a.id = k.id
    union all
    select 'plan', p.id, u.id, u.project_id, p.project_id
    from users u
    join public.plans p on p.id in (u.plan_id, u.next_plan_id)
    union all
    select 'plan', p.id, null, j.id, p.project_id
    from public.projects j
    join public.plans p on p.id = j.default_plan_id
    where p_project_id is null or j.id = p_project_id
    union all
    select 'tag', n.tag_id, null, p.project_id, t.project_id
    from (select r.plan_id, unnest(r.tag_ids) as tag_id from public.plan_restrictions r) n
    join public.plans p on p.id = n.plan_id
    join public.tags t on t.id = n.tag_id
    where p_project_id is null or p.project_id = p_project_id
  ) o
  where o.project_id <> o.other_project_id

  -- Every user has running state, and that its user.
  union all
  select 'usage row of a user', u.id, null, 'one', 'none'
  from users u
  where not exists (select from usages s where s.user_id = u.id)
  union all
  select 'usage row of a user', s.user_id, null, 'none', 'one'
  from usages s
  where not exists (select from users u where u.id = s.user_id)

  -- Where a project is tamper evident, a transfer's hash is that of itself after its predecessor's.
  union all
  select 'hash of a transfer', t.user_id, t.transfer_number::text, encode(t.expected, 'hex'), encode(t.hash, 'hex')
  from (
    select
      f.user_id, f.transfer_number, f.hash,
      case when f.hash is not null then tollgate.transfer_hash(
        row(f.*)::public.token_transfers, coalesce(d.sources, h.sources, '{}'),
        coalesce(lag(f.hash) over (partition by f.user_id order by f.transfer_number), '')
      ) end as expected
    from transfers f
    left join (
      select
        c.user_id, c.transfer_number,
        array_agg(
          row(c.user_token_grants_id, c.token_deduction, c.tokens_left)::public.token_source order by c.position
        ) as sources
      from draws c
      group by c.user_id, c.transfer_number
    ) d on d.user_id = f.user_id and d.transfer_number = f.transfer_number
    left join holds h on h.user_id = f.user_id and h.transfer_number = f.transfer_number
    where f.user_id in (select x.user_id from transfers x where x.hash is not null)
  ) t
  where t.hash <> t.expected
  union all
  select 'hash of the last transfer', u.user_id, u.last_transfer_number::text, encode(u.last_hash, 'hex'), encode(t.hash, 'hex')
  from usages u
  left join transfers t on t.user_id = u.user_id and t.transfer_number = u.last_transfer_number
  where t.hash is distinct from u.last_hash;
end;
$$;

comment on function public.verify_ledger(uuid) is
  'Recomputes all running state of a project, or of all where p_project_id is left out, from token_transfers and user_token_grants_consume, holds each grant, hold, refund and account against its transfers, and answers a row for each disagreement: none, ever. Reads everything, so run it off peak. Raises TG009. For service_role and the SQL editor.';

revoke all on function public.verify_ledger(uuid) from public, anon, authenticated, service_role;
grant execute on function public.verify_ledger(uuid) to service_role;
grant execute on function
tollgate.transfer_hash(public.token_transfers, public.token_source[], bytea),
tollgate.quarter_of(timestamptz),
tollgate.instant_of(timestamp, text),
tollgate.first_instant(timestamp, text),
tollgate.window_at(interval, text, public.weekday, timestamptz),
tollgate.period_start(timestamptz, interval, text, integer)
to service_role;
