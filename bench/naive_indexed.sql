-- The same sums with the best indexes and bounds: index-only, and of the user's own live grants alone.
set search_path = %SCHEMA%;
create index on token_transfers (user_id, created_at) include (amount, tag_id);
create index on user_token_grants_consume (user_token_grants_id) include (token_deduction);
create index on user_token_grants (user_id, expires_at);
create or replace function grants_left(p_user_id uuid)
returns table (id uuid, tokens_left bigint, expires_at timestamptz) language sql stable as $$
  select utg.id, greatest(0, utg.token_amount - coalesce(consumed.total_consumed, 0))::bigint, utg.expires_at
  from user_token_grants utg
  cross join lateral (
    select sum(token_deduction) as total_consumed
    from user_token_grants_consume
    where user_token_grants_id = utg.id
  ) consumed
  where utg.user_id = p_user_id and (utg.expires_at is null or utg.expires_at > now())
$$;
reset search_path;
