-- What the benchmark calls: 1,000 users paid from quota, 1,000 paid from 5 grants each, one total and
-- one tag restriction on both plans; users with history; and the floor to compare with.
create table bench_ids as
select
  gen_random_uuid() as project, gen_random_uuid() as tag,
  gen_random_uuid() as subscription, gen_random_uuid() as pay_as_you_go;

insert into projects (id, name) select project, 'Bench' from bench_ids;
insert into tags (id, project_id, name) select tag, project, 'GPT-4' from bench_ids;
insert into plans (id, project_id, name, plan_type)
select subscription, project, 'Quota', 'subscription'::plan_type from bench_ids
union all
select pay_as_you_go, project, 'Grants', 'pay_as_you_go' from bench_ids;
insert into plan_quotas (plan_id, token_amount) select subscription, 1e12 from bench_ids;
insert into plan_restrictions (plan_id, restriction_type, restriction_config)
select id, 'tag'::restriction_type,
  '{"tag_name": "GPT-4", "max_tokens": 1000000000000, "duration": "1 day"}'::jsonb from plans
union all
select id, 'total', '{"max_tokens": 1000000000000, "duration": "1 month"}' from plans;

insert into tracked_users (project_id, external_id, plan_id)
select project, 'quota' || n, subscription from bench_ids, generate_series(1, 1000) n
union all
select project, 'grants' || n, pay_as_you_go from bench_ids, generate_series(1, 1000) n
union all
select project, 'history' || n, subscription from bench_ids, unnest('{0,10000,100000,1000000}'::integer[]) n;
insert into user_token_grants (user_id, token_amount, grant_type, expires_at)
select id, 1e11, 'purchase', now() + n * interval '1 day'
from tracked_users, generate_series(1, 5) n
where external_id ~ '^(grants|history)';

-- Past consumption of the users with history, as much as their names say: a hundred transfers from
-- each grant, one from each quota period. Written past the triggers, which would take minutes.
set session_replication_role = replica;
create temporary table history as
select
  u.id as user_id, n, g.first_number + n as transfer_number,
  timestamptz '2020-01-01Z' + n * interval '1 minute' as at,
  md5(u.id::text || n / 100)::uuid as grant_id
from tracked_users u
join (select user_id, max(transfer_number) as first_number from token_transfers group by user_id) g
  on g.user_id = u.id
cross join generate_series(1, substring(u.external_id from '^history(.*)$')::integer) n;
insert into token_transfers (
  user_id, transfer_number, amount, transaction_type, base_quota_used, grants_used,
  quota_left, grants_left, tokens_held, created_at
)
select user_id, transfer_number, -2, 'consumption', 1, 1, 0, 0, 0, at from history;
insert into user_token_grants_consume
select user_id, transfer_number, grant_id, 1, 0, at, 1 from history;
insert into user_token_grants (
  user_id, id, token_amount, tokens_used, is_spent, grant_type, effective_at, created_at
)
select user_id, grant_id, count(*), count(*), true, 'purchase', min(at), min(at) from history group by 1, 2;
insert into user_usage_buckets (
  user_id, starts_at, tag_id, api_key_id, calls, tokens_used, base_quota_used, grants_used
)
select user_id, tollgate.quarter_of(at), no.id, no.id, count(*), 2 * count(*), count(*), count(*)
from history, (select '00000000-0000-0000-0000-000000000000'::uuid as id) no
group by 1, 2, 3;
insert into user_quota_usage (user_id, quota_id, period_start, period_end, token_amount, tokens_used)
select h.user_id, q.id, h.at, h.at + interval '1 minute', 1, 1 from history h, plan_quotas q;
update user_usage u set last_transfer_number = h.last_number
from (select user_id, max(transfer_number) as last_number from history group by user_id) h
where h.user_id = u.user_id;
reset session_replication_role;

-- The floor: what any ledger must do. Find by project and external id, update a balance, audit.
create table floor_users (
  project_id uuid, external_id text, balance bigint not null, primary key (project_id, external_id)
) with (fillfactor = 80);
insert into floor_users select project, 'floor' || n, 1e12 from bench_ids, generate_series(1, 1000) n;
create table floor_audit (
  id bigint generated always as identity primary key, project_id uuid not null, external_id text not null,
  amount bigint not null, created_at timestamptz not null default clock_timestamp()
);
create index on floor_audit (external_id, created_at);
create function floor_consume(p_project_id uuid, p_external_id text, p_tokens bigint)
returns boolean language plpgsql as $$
begin
  update floor_users u set balance = u.balance - p_tokens
  where u.project_id = p_project_id and u.external_id = p_external_id and u.balance >= p_tokens;
  if not found then
    return false;
  end if;
  insert into floor_audit (project_id, external_id, amount) values (p_project_id, p_external_id, - p_tokens);
  return true;
end
$$;
grant all on bench_ids, floor_users, floor_audit to postgres;
