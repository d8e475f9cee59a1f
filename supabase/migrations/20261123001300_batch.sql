-- Many consumptions in one call, over many users and tags: each is decided in order, by the same rules
-- as a single one. Locked in one order, then decided in memory and written together, so that an item
-- costs little.

create function tollgate.lock_users(p_user_ids uuid[])
returns void
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_key bigint;
begin
  -- Sorted, so that no two batches can wait for each other. First those that do not exist yet: who
  -- waits for one of them has locked none that does. (Counted, as the planner would join `not exists`.)
  for v_key in
    select distinct uuid_hash_extended(i, 0) as key
    from unnest(p_user_ids) i
    where (select count(*) from public.user_usage u where u.user_id = i) = 0
    order by key
  loop
    perform pg_advisory_xact_lock(v_key);
  end loop;
  perform from public.user_usage u where u.user_id = any(p_user_ids) order by u.user_id for no key update;
end;
$$;

comment on function tollgate.lock_users(uuid[]) is 'What lock_user() is for one user, for many, without deadlocks.';

create function tollgate.read_items(p_project_id uuid, p_items jsonb)
returns tollgate.request[]
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  v_fields constant text[] := '{user_id,tokens_to_consume,tag,metadata,request_id,mode}';
  v_requests tollgate.request[] := '{}';
  v_tags jsonb;
  v_item jsonb;
  v_problem text;
  v_tokens numeric;
  q tollgate.request;
begin
  if p_items is null or jsonb_typeof(p_items) <> 'array' or jsonb_array_length(p_items) not between 1 and 1000 then
    raise exception using
      errcode = 'TG001', message = 'items must be an array of 1 to 1000 objects', hint = 'Split a larger batch.';
  end if;
  select jsonb_object_agg(t.name, t.id) into v_tags
  from public.tags t
  where t.project_id = p_project_id
    and t.name = any(array(select distinct i ->> 'tag' from jsonb_array_elements(p_items) i));

  for v_item in select i from jsonb_array_elements(p_items) i loop
    v_problem := case
      when jsonb_typeof(v_item) <> 'object' then 'must be an object'
      -- A misspelt request_id would be applied again and again.
      when v_item - v_fields <> '{}'
        then format('%s is not a field', (select to_json(left(k, 64)) from jsonb_object_keys(v_item - v_fields) k limit 1))
      when jsonb_typeof(v_item -> 'user_id') is distinct from 'string' then 'user_id must be text'
      when jsonb_typeof(v_item -> 'tokens_to_consume') is distinct from 'number'
        then 'tokens_to_consume must be a number'
      when jsonb_typeof(v_item -> 'tag') not in ('string', 'null') then 'tag must be text'
      when jsonb_typeof(v_item -> 'request_id') not in ('string', 'null') then 'request_id must be text'
      when coalesce(v_item ->> 'mode', 'up_to') not in ('all_or_nothing', 'up_to')
        then 'mode must be all_or_nothing or up_to'
    end;
    if v_problem is null then
      v_tokens := v_item -> 'tokens_to_consume';
      q.position := cardinality(v_requests);
      q.external_id := v_item ->> 'user_id';
      q.tokens := case when v_tokens between 1 and 1e15 and v_tokens = trunc(v_tokens) then v_tokens end;
      q.mode := coalesce(v_item ->> 'mode', 'all_or_nothing');
      q.tag_id := v_tags ->> (v_item ->> 'tag');
      q.unknown_tag := case when q.tag_id is null then v_item ->> 'tag' end;
      q.metadata := nullif(v_item -> 'metadata', 'null');
      q.request_id := v_item ->> 'request_id';
      q.request_hash := tollgate.consume_hash(q);
      v_problem := tollgate.problem_of(q.external_id, q.tokens, q.metadata, q.request_id);
    end if;
    if v_problem is not null then
      raise exception using
        errcode = 'TG001',
        message = format('items[%s]: %s', cardinality(v_requests), v_problem),
        hint = 'Correct the item and call again; nothing was written.';
    end if;
    q.user_id := tollgate.tracked_user_id(p_project_id, q.external_id);
    v_requests := v_requests || q;
  end loop;
  return v_requests;
end;
$$;

comment on function tollgate.read_items(uuid, jsonb) is
  'The requests of a batch, in order. Raises TG001, naming the item; an unknown tag is a mistake of its item alone.';

create function tollgate.failure_of(p_request tollgate.request, p_reason text, p_mistake tollgate.mistake)
returns public.receipt
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  return row(
    false, p_request.tokens, 0, 0, 0, p_mistake.message, p_reason, p_mistake.hint, 0, null, p_request.external_id,
    null, null, null, '[]'::jsonb, null, null, p_request.request_id, false, clock_timestamp()
  )::public.receipt;
end;
$$;

comment on function tollgate.failure_of(tollgate.request, text, tollgate.mistake) is
  'The receipt of an item for which a single call would raise an error, or which its batch takes down with it.';

create function tollgate.consume_batch(
  p_project_id uuid, p_items jsonb, p_all_or_nothing boolean, p_at timestamptz default null
)
returns setof public.receipt
language plpgsql
volatile
security definer
set search_path = ''
set enable_seqscan = off
set plan_cache_mode = force_generic_plan
as $$
declare
  v_requests constant tollgate.request[] := tollgate.read_items(p_project_id, p_items);
  v_user_ids uuid[];
  v_tag_ids uuid[];
  v_user_id uuid;
  v_at timestamptz;
  v_user record;
  q tollgate.request;
  a tollgate.account;
  t public.token_transfers;
  v_attempt tollgate.attempt;
  r public.receipt;
  v_first_number bigint;
  v_quota_used bigint;
  v_known integer;
  v_ids text[];
  v_hashes bigint[];
  v_mine public.receipt[];
  v_positions integer[] := '{}';
  v_receipts public.receipt[] := '{}';
  v_before boolean[] := '{}';
  v_transfers public.token_transfers[] := '{}';
  v_draws public.user_token_grants_consume[] := '{}';
  v_usages public.user_usage[] := '{}';
  v_quotas public.user_quota_usage[] := '{}';
  v_new text[] := '{}';
begin
  select array_agg(distinct u.user_id) into v_user_ids from unnest(v_requests) u;
  select coalesce(array_agg(distinct u.tag_id), '{}') into v_tag_ids
  from unnest(v_requests) u
  where u.tag_id is not null;
  if not tollgate.is_trusted() then
    foreach v_user_id in array v_user_ids loop
      perform tollgate.require_consumer(v_user_id);
    end loop;
  end if;
  if not exists (select from public.projects p where p.id = p_project_id) then
    perform tollgate.refuse_unknown_user(p_project_id, null);
  end if;
  perform tollgate.lock_users(v_user_ids);

  -- One instant for the whole call, read under the locks.
  v_at := coalesce(p_at, clock_timestamp());

  for v_user in
    select
      u.user_id,
      u.external_id,
      array_agg(u.request order by (u.request).position) as requests,
      array_agg(u.replay) filter (where (u.replay).user_id is not null) as replays,
      count((u.replay).user_id) > 0
        or count(distinct (u.request).request_id) < count((u.request).request_id) as repeats
    from (
      select
        f.user_id,
        f.external_id,
        f as request,
        (
          select p from public.token_transfers p where p.user_id = f.user_id and p.request_id = f.request_id
        ) as replay
      from unnest(v_requests) f
    ) u
    group by u.user_id, u.external_id
    order by u.user_id
  loop
    a := tollgate.open_account(p_project_id, v_user.user_id, v_user.external_id, v_tag_ids, v_at);
    v_first_number := (a.usage).last_transfer_number;
    v_quota_used := (a.quota).tokens_used;
    v_ids := '{}'; v_hashes := '{}'; v_mine := '{}';

    foreach q in array v_user.requests loop
      t := null;
      v_known := null;
      if v_user.repeats and q.request_id is not null then
        select p.* into t from unnest(v_user.replays) p where p.request_id = q.request_id;
        v_known := array_position(v_ids, q.request_id);
      end if;
      v_before := v_before || (t.user_id is not null);

      if coalesce(t.request_hash, v_hashes[v_known], q.request_hash) <> q.request_hash then
        r := tollgate.failure_of(
          q, 'idempotency_mismatch', tollgate.mistake_of('idempotency_mismatch', q.request_id)
        );
      elsif t.user_id is not null then
        r := tollgate.receipt_of(t, q.external_id, q.tokens, tollgate.sources_of(t), true);
      elsif v_known is not null then
        r := v_mine[v_known];
        r.replayed := true;
      elsif q.unknown_tag is not null then
        r := tollgate.failure_of(q, 'unknown_tag', tollgate.mistake_of('unknown_tag', q.unknown_tag));
      elsif a.user_id is null then
        r := tollgate.failure_of(q, 'unknown_user', tollgate.mistake_of('unknown_user', q.external_id));
      else
        v_attempt := tollgate.attempt(a, q);
        r := v_attempt.receipt;
        if r.success then
          a := v_attempt.account;
          v_transfers := v_transfers || v_attempt.transfer;
          v_draws := v_draws || tollgate.draws_of(v_attempt.transfer, v_attempt.sources);
          if v_user.repeats then
            v_ids := v_ids || q.request_id;
            v_hashes := v_hashes || q.request_hash;
            v_mine := v_mine || r;
          end if;
        end if;
      end if;
      v_positions := v_positions || q.position;
      v_receipts := v_receipts || r;
    end loop;

    if (a.usage).last_transfer_number > v_first_number then
      v_usages := v_usages || a.usage;
      if (a.quota).tokens_used > v_quota_used then
        v_quotas := v_quotas || a.quota;
      end if;
      if not a.exists_already then
        v_new := v_new || a.external_id;
      end if;
    end if;
  end loop;

  if p_all_or_nothing and exists (select from unnest(v_receipts) f where not f.success) then
    for i in 1 .. cardinality(v_receipts) loop
      if v_receipts[i].success and not v_before[i] then
        v_receipts[i] := tollgate.failure_of(
          v_requests[v_positions[i] + 1], 'batch_denied',
          row(
            null,
            'Not applied, because another item of the batch was refused',
            'Correct or leave out the items that were refused, and send the batch again.'
          )::tollgate.mistake
        );
      end if;
    end loop;
  elsif cardinality(v_transfers) > 0 then
    for i in 1 .. cardinality(v_new) loop
      perform tollgate.create_user(p_project_id, v_new[i], v_at);
    end loop;
    perform tollgate.record(v_transfers, v_draws, v_usages, v_quotas);
  end if;

  for v_known in select f.i from unnest(v_positions) with ordinality f (position, i) order by f.position loop
    return next v_receipts[v_known];
  end loop;
end;
$$;

alter function tollgate.consume_batch(uuid, jsonb, boolean, timestamptz) owner to tollgate_kernel;
comment on function tollgate.consume_batch(uuid, jsonb, boolean, timestamptz) is
  'Up to 1000 consumptions of a project, each answered by its receipt, in their order: [{"user_id", "tokens_to_consume", "tag", "metadata", "request_id", "mode"}]. What would be an error of a single call has success false and a reason: unknown_tag, unknown_user, idempotency_mismatch. With p_all_or_nothing one refused item refuses the others, with reason batch_denied. Raises TG001, naming the item, TG004, TG008, TG009.';

revoke all on all functions in schema tollgate from public;
grant execute on function
tollgate.lock_users(uuid[]),
tollgate.read_items(uuid, jsonb),
tollgate.failure_of(tollgate.request, text, tollgate.mistake)
to tollgate_kernel;
grant execute on function tollgate.consume_batch(uuid, jsonb, boolean, timestamptz) to authenticated, service_role;
