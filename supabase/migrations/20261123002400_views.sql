-- For people: what owners look at in Studio. Each shows what its reader may see, by row level
-- security. Functions and dashboards that need one user should call get_user_balance().

create view public.current_balances with (security_invoker = true) as
select u.project_id, b.*
from public.tracked_users u
cross join lateral tollgate.balance(u.id) b;

comment on view public.current_balances is 'What each user may spend now, in tokens.';

create view public.restriction_status with (security_invoker = true) as
select u.project_id, b.user_id, b.plan, r.tag, r.tags, r.duration, r."window", r.max_tokens, r.used, r.held, r."left", r.resets_at
from public.tracked_users u
cross join lateral tollgate.balance(u.id) b
cross join lateral jsonb_to_recordset(b.restrictions) r (
  tag text, tags text[], duration text, "window" text, max_tokens bigint, used bigint, held bigint, "left" bigint, resets_at timestamptz
);

comment on view public.restriction_status is
  'Each user''s restrictions: used and left in the current window, and when it resets.';

create view public.usage_by_day_and_tag with (security_invoker = true) as
select
  u.project_id,
  (b.starts_at at time zone p.time_zone)::date as day,
  g.name as tag,
  sum(b.calls)::bigint as calls,
  count(distinct b.user_id) as users,
  sum(b.tokens_used)::bigint as tokens
from public.user_usage_buckets b
join public.tracked_users u on u.id = b.user_id
join public.projects p on p.id = u.project_id
left join public.tags g on g.id = b.tag_id
group by u.project_id, day, g.name;

comment on view public.usage_by_day_and_tag is
  'Tokens consumed, less those refunded, per day, by the project''s clocks, and tag. For one of many: get_usage().';

create view public.recent_transfers with (security_invoker = true) as
select
  u.project_id, u.external_id as user_id, t.transfer_number, t.amount, t.transaction_type, g.name as tag,
  t.base_quota_used, t.grants_used, t.quota_left, t.grants_left, t.tokens_held, t.refers_to, t.request_id, t.metadata, t.created_at
from public.token_transfers t
join public.tracked_users u on u.id = t.user_id
left join public.tags g on g.id = t.tag_id
where t.created_at > now() - interval '7 days';

comment on view public.recent_transfers is 'Transfers of the last seven days.';

revoke all
on public.current_balances, public.restriction_status, public.usage_by_day_and_tag, public.recent_transfers
from public, anon, authenticated, service_role;
grant select
on public.current_balances, public.restriction_status, public.usage_by_day_and_tag, public.recent_transfers
to authenticated, service_role;
