-- The source document's own design: every call sums up what it needs. Its tables, its query of the
-- balance and its indexes are kept; added is what it leaves out: the user's row is locked first, so that
-- concurrent calls cannot oversell, windows are sums of token_transfers since date_trunc(), and grants
-- are drawn on first in, first out. Made once for each variant and size of history, in schema %SCHEMA%.
create schema %SCHEMA%;
set search_path = %SCHEMA%;

create table tracked_users (id uuid primary key, project_id uuid not null, external_id text not null);
create table user_token_grants (
  id uuid primary key, user_id uuid not null, token_amount bigint not null, expires_at timestamptz
);
create table user_token_grants_consume (
  id bigint generated always as identity primary key, user_token_grants_id uuid not null,
  token_deduction bigint not null, created_at timestamptz not null default clock_timestamp()
);
create table token_transfers (
  id bigint generated always as identity primary key, user_id uuid not null, amount bigint not null,
  tag_id uuid, created_at timestamptz not null default clock_timestamp()
);
create index idx_tracked_users_project_external on tracked_users (project_id, external_id);
create index idx_user_token_grants_expires on user_token_grants (expires_at) where expires_at is not null;

-- %USERS% users with 5 grants and %SIZE% consumptions of them each, a minute apart, up to now. How many
-- users matters: as written, the subquery groups the rows of all of them.
insert into tracked_users
select gen_random_uuid(), project, 'user' || n from public.bench_ids, generate_series(1, %USERS%) n;
insert into user_token_grants
select gen_random_uuid(), id, 1e12, now() + n * interval '1 day' from tracked_users, generate_series(1, 5) n;
insert into token_transfers (user_id, amount, tag_id, created_at)
select u.id, -1, tag, now() - n * interval '1 minute' from tracked_users u, public.bench_ids, generate_series(1, %SIZE%) n;
insert into user_token_grants_consume (user_token_grants_id, token_deduction, created_at)
select g.id, 1, now() - n * interval '1 minute'
from (select id, row_number() over (partition by user_id) - 1 as i from user_token_grants) g
join generate_series(1, %SIZE%) n on n % 5 = g.i;

create function used(p_user_id uuid, p_tag_id uuid, p_since timestamptz)
returns bigint language sql stable as $$
  select coalesce(sum(- amount), 0)::bigint from token_transfers
  where user_id = p_user_id and amount < 0 and created_at >= p_since and (p_tag_id is null or tag_id = p_tag_id)
$$;

-- What is left of each grant, as the document sums it up.
create function grants_left(p_user_id uuid)
returns table (id uuid, tokens_left bigint, expires_at timestamptz) language sql stable as $$
  select utg.id, greatest(0, utg.token_amount - coalesce(consumed.total_consumed, 0))::bigint, utg.expires_at
  from user_token_grants utg
  left join (
    select user_token_grants_id, sum(token_deduction) as total_consumed
    from user_token_grants_consume
    group by user_token_grants_id
  ) consumed on utg.id = consumed.user_token_grants_id
  where utg.user_id = p_user_id and (utg.expires_at is null or utg.expires_at > now())
$$;

create function consume(p_project_id uuid, p_external_user_id text, p_tokens bigint, p_tag_id uuid)
returns boolean language plpgsql set search_path = %SCHEMA% as $$
declare
  v_user_id uuid;
  v_needed bigint := p_tokens;
  v_grant record;
begin
  select id into v_user_id from tracked_users
  where project_id = p_project_id and external_id = p_external_user_id
  for update;
  if used(v_user_id, null, date_trunc('month', now())) + p_tokens > 1e12
    or used(v_user_id, p_tag_id, date_trunc('day', now())) + p_tokens > 1e12
    or (select coalesce(sum(tokens_left), 0) from grants_left(v_user_id)) < p_tokens then
    return false;
  end if;
  for v_grant in select * from grants_left(v_user_id) order by expires_at nulls last loop
    exit when v_needed = 0;
    insert into user_token_grants_consume (user_token_grants_id, token_deduction)
    select v_grant.id, least(v_needed, v_grant.tokens_left) where v_grant.tokens_left > 0;
    v_needed := v_needed - least(v_needed, v_grant.tokens_left);
  end loop;
  insert into token_transfers (user_id, amount, tag_id) values (v_user_id, - p_tokens, p_tag_id);
  return true;
end
$$;
grant usage on schema %SCHEMA% to postgres;
grant all on all tables in schema %SCHEMA% to postgres;
grant all on all sequences in schema %SCHEMA% to postgres;
reset search_path;
