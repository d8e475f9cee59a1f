-- Grants: inserting a row is all it takes, by hand in Studio, by RPC or by the API. Triggers lock
-- the user, set the time and book the transfer. Voiding one, and grants that come again by themselves.

create function tollgate.prepare_grant_by_hand()
returns trigger
language plpgsql
volatile
security invoker
set search_path = ''
as $$
begin
  new.created_at := null;
  new.refund_of := null;
  new.voided_at := null;
  new.recurring_grant_id := null;
  return new;
end;
$$;

comment on function tollgate.prepare_grant_by_hand() is
  'Trigger: only the kernel may place a grant in time, or say where it comes from.';

create function tollgate.require_known_user()
returns trigger
language plpgsql
volatile
security invoker
set search_path = ''
as $$
begin
  -- Under the caller's row level security: another project's user must look like none at all.
  if not exists (select from public.tracked_users u where u.id = new.user_id) then
    raise exception using
      errcode = 'TG004', message = 'user_id is not a known user', hint = 'Use the id of a row of tracked_users.';
  end if;
  return new;
end;
$$;

comment on function tollgate.require_known_user() is 'Trigger: refuses a user that the caller does not see. Raises TG004.';

create function tollgate.check_grant_terms(
  p_user_id uuid,
  p_token_amount bigint,
  p_grant_type public.grant_type,
  p_priority integer,
  p_tag_ids uuid[],
  p_metadata jsonb,
  p_request_id text
)
returns void
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_problem text;
  v_hint text := 'Leave it out.';
begin
  -- Arrays have no foreign key: whoever deletes one of the tags waits, and then finds what is for it.
  perform from public.tags t join public.tracked_users u on u.project_id = t.project_id
  where t.id = any(p_tag_ids) and u.id = p_user_id
  order by t.id
  for key share of t;
  perform tollgate.check_request(p_user_id::text, p_token_amount, p_metadata, p_request_id);
  if p_grant_type is null then
    v_problem := 'The grant type is missing';
    v_hint := 'Give one of: ' || array_to_string(array_remove(enum_range(null::public.grant_type), 'rollover'), ', ') || '.';
  elsif p_grant_type = 'rollover' then
    v_problem := 'Grants of type rollover are made by quotas';
    v_hint := 'Use another grant type.';
  elsif p_priority is null or p_priority not between 1 and 100 then
    v_problem := 'priority must be a whole number from 1 to 100';
    v_hint := 'Lower numbers are spent first; 50 is usual.';
  elsif p_tag_ids is not null and (
    cardinality(p_tag_ids) not between 1 and 100
    or exists (
      select from unnest(p_tag_ids) i
      where not exists (
        select from public.tags t join public.tracked_users u on u.project_id = t.project_id
        where t.id = i and u.id = p_user_id
      )
    )
  ) then
    v_problem := 'tag_ids must be 1 to 100 tags of the project';
    v_hint := 'Leave it out for tokens that can be spent on anything.';
  end if;
  if v_problem is not null then
    raise exception using errcode = 'TG001', message = v_problem, hint = v_hint;
  end if;
end;
$$;

comment on function tollgate.check_grant_terms(uuid, bigint, public.grant_type, integer, uuid[], jsonb, text) is
  'What must hold of a grant, and of a recurring one. Raises TG001.';

create function tollgate.prepare_grant()
returns trigger
language plpgsql
volatile
security definer
set search_path = ''
set enable_seqscan = off
set plan_cache_mode = force_generic_plan
as $$
declare
  v_usage public.user_usage;
  v_grants_left numeric;
  v_problem text;
  v_hint text := 'Leave both out.';
begin
  select * into v_usage from public.user_usage u where u.user_id = new.user_id for no key update;
  if not found then
    raise exception using
      errcode = 'TG004', message = 'user_id is not a known user', hint = 'Use the id of a row of tracked_users.';
  end if;
  new.created_at := greatest(coalesce(new.created_at, clock_timestamp()), v_usage.not_before);
  new.effective_at := coalesce(new.effective_at, new.created_at);
  new.expires_at := nullif(new.expires_at, 'infinity');
  if new.tag_ids is not null then
    new.tag_ids := array(select distinct i from unnest(new.tag_ids) i order by i);
  end if;
  perform tollgate.check_grant_terms(
    new.user_id, new.token_amount, new.grant_type, new.priority, new.tag_ids, new.metadata, new.request_id
  );
  select coalesce(sum(g.token_amount - g.tokens_used), 0) into v_grants_left
  from public.user_token_grants g
  where g.user_id = new.user_id and not g.is_spent
    and coalesce(g.voided_at, g.expires_at, 'infinity') > new.created_at;
  if new.tokens_used <> 0 or new.is_spent then
    v_problem := 'tokens_used of a new grant must be 0, and is_spent false';
  elsif not tollgate.is_instant(new.effective_at) then
    v_problem := 'effective_at must be an instant of the years 1 to 9999';
    v_hint := 'Leave it out for tokens that can be spent from now on.';
  elsif new.expires_at <= new.created_at then
    v_problem := format('expires_at %s is not in the future', new.expires_at);
    v_hint := 'Give a later time, or none for a grant that never expires.';
  elsif new.expires_at <= new.effective_at then
    v_problem := format('expires_at %s is not after effective_at', new.expires_at);
    v_hint := 'Give a later time, or none for a grant that never expires.';
  elsif not tollgate.is_instant(new.expires_at) then
    v_problem := 'expires_at must be an instant of the years 1 to 9999';
    v_hint := 'Give an earlier time, or none for a grant that never expires.';
  elsif (new.cost_basis is null) <> (new.cost_currency is null)
    or new.cost_basis not between 0 and 1000000000000000 or new.cost_currency !~ '^[A-Z]{3}$' then
    v_problem := 'cost_basis must be a whole number from 0 to 1000000000000000, and cost_currency a code such as EUR';
    v_hint := 'Give both, the amount in the smallest unit of the currency, or neither.';
  -- With a base quota of 1e15 besides, they still are less than 2^53, and so exact for every JSON client.
  elsif v_grants_left > 8000000000000000 - new.token_amount then
    v_problem := 'A user''s grants may not total more than 8000000000000000 tokens';
    v_hint := 'Grant fewer tokens.';
  elsif exists (
    select from public.token_transfers t where t.user_id = new.user_id and t.request_id = new.request_id
  ) then
    perform tollgate.refuse('idempotency_mismatch', new.request_id);
  end if;
  if v_problem is not null then
    raise exception using errcode = 'TG001', message = v_problem, hint = v_hint;
  end if;
  return new;
end;
$$;

alter function tollgate.prepare_grant() owner to tollgate_kernel;
comment on function tollgate.prepare_grant() is
  'Trigger: locks the user, dates the grant under the lock and checks it. Raises TG001, TG004, TG006.';

create function tollgate.grant_hash(p_grant public.user_token_grants)
returns bigint
language plpgsql
immutable
security invoker
set search_path = ''
as $$
begin
  return hash_record_extended(
    row(
      'grant'::text, p_grant.token_amount::bigint, p_grant.grant_type::text,
      nullif(p_grant.effective_at, p_grant.created_at), nullif(p_grant.expires_at, 'infinity'),
      p_grant.priority, p_grant.tag_ids, p_grant.cost_basis, p_grant.cost_currency, p_grant.metadata
    ), 0
  );
end;
$$;

comment on function tollgate.grant_hash(public.user_token_grants) is
  'The request_hash of a grant: equal for equal parameters, by hand or by function.';

create function tollgate.book_grants()
returns trigger
language plpgsql
volatile
security definer
set search_path = ''
set enable_seqscan = off
set plan_cache_mode = force_generic_plan
as $$
declare
  v_user record;
  u public.tracked_users;
  g public.user_token_grants;
  t public.token_transfers;
  a tollgate.account;
  v_booking tollgate.booking;
begin
  for v_user in
    select i.user_id as id, array_agg(row(i.*)::public.user_token_grants order by i.created_at, i.id) as grants
    from inserted i
    where i.recurring_grant_id is null and i.refund_of is null
    group by i.user_id
    order by i.user_id
  loop
    select * into strict u from public.tracked_users f where f.id = v_user.id;
    -- 0 is what was due before the first of them.
    for i in 0 .. cardinality(v_user.grants) loop
      g := v_user.grants[greatest(i, 1)];
      a := tollgate.account_at(u.project_id, u.id, u.external_id, '{}', g.created_at);
      -- All rows of the statement are there already: each transfer is to show what was left after it.
      a.grants_left := a.grants_left - (
        select coalesce(sum(f.token_amount), 0) from unnest(v_user.grants[i + 1 :]) f where f.effective_at <= a.at
      );
      if i = 0 then
        if a.due_grants is not null then
          perform tollgate.book_due_grants(a);
        end if;
        continue;
      end if;
      -- What has come due since the first is left to the next call.
      a.grants_left := a.grants_left - (select coalesce(sum(f.token_amount), 0) from unnest(a.due_grants) f);
      t := null;
      t.amount := g.token_amount;
      t.transaction_type := 'grant';
      t.user_token_grants_id := g.id;
      t.request_id := g.request_id;
      t.request_hash := case when g.request_id is not null then tollgate.grant_hash(g) end;
      t.metadata := g.metadata;
      v_booking := tollgate.book(a, t, '{}');
      perform tollgate.record(array[v_booking.transfer], null, array[(v_booking.account).usage], null);
    end loop;
  end loop;
  return null;
end;
$$;

alter function tollgate.book_grants() owner to tollgate_kernel;
comment on function tollgate.book_grants() is
  'Trigger: books the transfers of new grants; what was due is written down before them.';

-- Triggers of one event fire in the order of their names.
create trigger grant_1_by_hand_has_a_user before insert on public.user_token_grants
for each row when (current_user <> 'tollgate_kernel') execute function tollgate.require_known_user();
create trigger grant_2_by_hand_is_made_now before insert on public.user_token_grants
for each row when (current_user <> 'tollgate_kernel') execute function tollgate.prepare_grant_by_hand();
-- Those that come by themselves were checked when they were agreed on, and are booked together.
create trigger grant_3_is_checked before insert on public.user_token_grants
for each row when (new.recurring_grant_id is null) execute function tollgate.prepare_grant();
create trigger grant_4_is_booked after insert on public.user_token_grants
referencing new table as inserted for each statement execute function tollgate.book_grants();

create function tollgate.end_grant_after_what_it_paid()
returns trigger
language plpgsql
volatile
security invoker
set search_path = ''
as $$
begin
  update public.user_token_grants g set expires_at = least(u.not_before, old.expires_at)
  from public.user_usage u
  where g.user_id = new.user_id and g.id = new.id and u.user_id = new.user_id and u.not_before > new.expires_at;
  return null;
end;
$$;

comment on function tollgate.end_grant_after_what_it_paid() is
  'Trigger: an end before the user''s last transfer, or a quota period that began later, is moved there, or to the end it had before that, so that what the grant paid, and as-of balances, stay true.';

-- After the update: a table with a BEFORE trigger for rows has every row locked before it is updated.
create trigger grant_5_ends_after_what_it_paid after update of expires_at on public.user_token_grants
for each row when (current_user <> 'tollgate_kernel' and new.expires_at < coalesce(old.expires_at, 'infinity'))
execute function tollgate.end_grant_after_what_it_paid();

create function tollgate.tag_ids(p_project_id uuid, p_names text[])
returns uuid[]
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  v_unknown text;
begin
  select n into v_unknown
  from unnest(p_names) n
  where not exists (select from public.tags t where t.project_id = p_project_id and t.name = n)
  order by n
  limit 1;
  if found then
    perform tollgate.refuse('unknown_tag', v_unknown);
  end if;
  return case when p_names is not null then
    array(select t.id from public.tags t where t.project_id = p_project_id and t.name = any(p_names) order by t.id)
  end;
end;
$$;

comment on function tollgate.tag_ids(uuid, text[]) is 'The ids of a project''s tags, null for null. Raises TG005.';

create function tollgate.tag_names(p_ids uuid[])
returns text[]
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  return case when p_ids is not null then
    array(select t.name from public.tags t where t.id = any(p_ids) order by t.name)
  end;
end;
$$;

comment on function tollgate.tag_names(uuid[]) is 'The names of tags, null for null.';

create type public.grant_receipt as (
  grant_id uuid,
  user_id text,
  tokens bigint,
  grant_type public.grant_type,
  effective_at timestamptz,
  expires_at timestamptz,
  priority smallint,
  tags text[],
  cost_basis bigint,
  cost_currency text,
  metadata jsonb,
  grants_left bigint,
  transfer_number bigint,
  request_id text,
  replayed boolean,
  created_at timestamptz
);

comment on type public.grant_receipt is 'The answer to a grant.';

create function tollgate.grant_tokens(
  p_project_id uuid,
  p_external_user_id text,
  p_tokens bigint,
  p_grant_type public.grant_type,
  p_expires_at timestamptz,
  p_metadata jsonb,
  p_request_id text,
  p_at timestamptz default null,
  p_effective_at timestamptz default null,
  p_priority integer default 50,
  p_tags text[] default null,
  p_cost_basis bigint default null,
  p_cost_currency text default null
)
returns public.grant_receipt
language plpgsql
volatile
security definer
set search_path = ''
set enable_seqscan = off
set plan_cache_mode = force_generic_plan
as $$
declare
  g public.user_token_grants;
  t public.token_transfers;
  v_replayed boolean;
begin
  perform tollgate.require_role(p_project_id, 'admin');
  perform tollgate.check_request(p_external_user_id, p_tokens, p_metadata, p_request_id);
  if p_priority not between 1 and 100 then
    raise exception using
      errcode = 'TG001', message = 'priority must be a whole number from 1 to 100', hint = '50 is usual.';
  end if;
  g.user_id := tollgate.tracked_user_id(p_project_id, p_external_user_id);
  g.token_amount := p_tokens;
  g.grant_type := p_grant_type;
  g.effective_at := p_effective_at;
  g.expires_at := p_expires_at;
  g.priority := coalesce(p_priority, 50);
  g.cost_basis := p_cost_basis;
  g.cost_currency := p_cost_currency;
  g.metadata := p_metadata;
  if (tollgate.lock_user(g.user_id)).user_id is null then
    perform tollgate.create_user(p_project_id, p_external_user_id, coalesce(p_at, clock_timestamp()));
  end if;
  g.tag_ids := tollgate.tag_ids(p_project_id, p_tags);

  t := tollgate.find_replay(g.user_id, p_request_id, tollgate.grant_hash(g));
  v_replayed := t.user_id is not null;
  if not v_replayed then
    -- As before any call, what was due is written down first.
    perform tollgate.open_account(
      p_project_id, g.user_id, p_external_user_id, '{}', coalesce(p_at, clock_timestamp())
    );
    insert into public.user_token_grants (
      user_id, token_amount, grant_type, effective_at, expires_at, priority, tag_ids, cost_basis, cost_currency,
      request_id, metadata, created_at
    )
    values (
      g.user_id, p_tokens, p_grant_type, p_effective_at, p_expires_at, g.priority, g.tag_ids, p_cost_basis,
      p_cost_currency, p_request_id, p_metadata, p_at
    );
    select * into strict t from public.token_transfers f
    where f.user_id = g.user_id
    order by f.transfer_number desc
    limit 1;
  end if;
  return row(
    t.user_token_grants_id, p_external_user_id, p_tokens, p_grant_type, coalesce(p_effective_at, t.created_at),
    nullif(p_expires_at, 'infinity'), g.priority, tollgate.tag_names(g.tag_ids), p_cost_basis, p_cost_currency,
    p_metadata, t.grants_left, t.transfer_number, t.request_id, v_replayed, t.created_at
  )::public.grant_receipt;
end;
$$;

alter function tollgate.grant_tokens(
  uuid, text, bigint, public.grant_type, timestamptz, jsonb, text, timestamptz, timestamptz, integer, text[], bigint, text
) owner to tollgate_kernel;
comment on function tollgate.grant_tokens(
  uuid, text, bigint, public.grant_type, timestamptz, jsonb, text, timestamptz, timestamptz, integer, text[], bigint, text
) is
  'Gives 1 to 1e15 tokens to a user; an unknown user is created on the project''s default plan. p_at places the call in time, for tests and demo data only. Raises TG001, TG004, TG005, TG006, TG008, TG009.';

create type public.void_receipt as (
  grant_id uuid,
  user_id text,
  tokens_voided bigint,
  tokens_held bigint,
  message text,
  quota_left bigint,
  grants_left bigint,
  transfer_number bigint,
  request_id text,
  replayed boolean,
  created_at timestamptz
);

comment on type public.void_receipt is
  'The answer to voiding a grant: what was left of it and now is gone. tokens_held of the user are in open holds: those of this grant may still be settled, but not returned.';

create function tollgate.void_grant(
  p_project_id uuid,
  p_external_user_id text,
  p_grant_id uuid,
  p_metadata jsonb,
  p_request_id text,
  p_at timestamptz default null
)
returns public.void_receipt
language plpgsql
volatile
security definer
set search_path = ''
set enable_seqscan = off
set plan_cache_mode = force_generic_plan
as $$
declare
  v_user_id constant uuid := tollgate.tracked_user_id(p_project_id, p_external_user_id);
  v_hash constant bigint := hash_record_extended(row('void'::text, p_grant_id, p_metadata), 0);
  a tollgate.account;
  t public.token_transfers;
  f public.user_token_grants;
  g tollgate.grant_state;
  v_rest bigint := 0;
  v_booking tollgate.booking;
begin
  perform tollgate.require_role(p_project_id, 'admin');
  perform tollgate.check_request(p_external_user_id, 1, p_metadata, p_request_id);
  if (tollgate.lock_user(v_user_id)).user_id is null then
    perform tollgate.refuse_unknown_user(p_project_id, p_external_user_id);
  end if;
  t := tollgate.find_replay(v_user_id, p_request_id, v_hash);
  if t.user_id is null then
    a := tollgate.account_for(p_project_id, v_user_id, p_external_user_id, null, p_at);
    select * into f from public.user_token_grants u where u.user_id = v_user_id and u.id = p_grant_id;
    if not found then
      raise exception using
        errcode = 'TG016',
        message = 'The user has no such grant',
        hint = 'Use the grant_id that the answer to the grant gave.';
    elsif f.is_spent or coalesce(f.voided_at, f.expires_at) <= a.at then
      raise exception using
        errcode = 'TG017',
        message = case
          when f.is_spent then 'The grant has been spent'
          when f.voided_at is not null then 'The grant has been voided'
          else format('The grant expired at %s', f.expires_at)
        end,
        hint = 'Nothing is left of it to be voided.';
    end if;
    foreach g in array a.grants loop
      if g.id = p_grant_id then
        v_rest := g.tokens_left;
        if g.effective_at <= a.at then
          a.grants_left := a.grants_left - v_rest;
        end if;
      end if;
    end loop;
    t.amount := - v_rest;
    t.transaction_type := 'void';
    t.user_token_grants_id := p_grant_id;
    t.request_id := p_request_id;
    t.request_hash := v_hash;
    t.metadata := p_metadata;
    v_booking := tollgate.book(a, t, '{}');
    t := v_booking.transfer;
    update public.user_token_grants u set voided_at = t.created_at
    where u.user_id = v_user_id and u.id = p_grant_id;
    perform tollgate.record(array[t], null, array[(v_booking.account).usage], null);
  end if;
  return row(
    p_grant_id, p_external_user_id, - t.amount, t.tokens_held, format('Voided %s tokens', - t.amount), t.quota_left,
    t.grants_left, t.transfer_number, t.request_id, a.user_id is null, t.created_at
  )::public.void_receipt;
end;
$$;

alter function tollgate.void_grant(uuid, text, uuid, jsonb, text, timestamptz) owner to tollgate_kernel;
comment on function tollgate.void_grant(uuid, text, uuid, jsonb, text, timestamptz) is
  'Ends a grant: what is left of it, and not held, is gone; what was spent stays spent. Raises TG001, TG004, TG006, TG008, TG009, TG016 for an unknown grant, TG017 for one that has ended.';

-- Recurring grants.

create function tollgate.next_occurrence(p_user_id uuid, p_time_zone text)
returns timestamptz
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  return (
    select coalesce(min(n.at), 'infinity')
    from public.recurring_grants r
    cross join lateral (
      select tollgate.period_start(r.starts_at, r.every::text::interval, p_time_zone, r.occurrences_booked) as at
    ) n
    where r.user_id = p_user_id and n.at < coalesce(r.ends_at, 'infinity')
  );
end;
$$;

comment on function tollgate.next_occurrence(uuid, text) is
  'When the next of a user''s recurring grants is due that is not written down; infinity for none.';

create function tollgate.book_due_grants(p_account tollgate.account)
returns void
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  a tollgate.account := p_account;
  d public.user_token_grants;
  t public.token_transfers;
  v_booking tollgate.booking;
  v_transfers public.token_transfers[] := '{}';
begin
  update public.recurring_grants r
  set occurrences_booked = greatest(r.occurrences_booked, 1 + tollgate.period_number(
    r.starts_at, r.every::text::interval, a.time_zone, least(a.at, r.ends_at - interval '1 microsecond')
  ))
  where r.user_id = a.user_id and r.starts_at <= a.at;
  update public.user_usage u
  set
    due_at = tollgate.next_occurrence(a.user_id, a.time_zone),
    time_zone = a.time_zone,
    limits = case when u.time_zone = a.time_zone then u.limits else '{}' end
  where u.user_id = a.user_id;

  if tollgate.rollovers_are_due(a) then
    -- Begun, so that nothing rolls over into it twice.
    perform tollgate.begin_period(a.quota);
    -- Though there may be nothing to roll over, and then no transfer that says so.
    update public.user_usage u set not_before = a.at where u.user_id = a.user_id;
  end if;

  -- They are among the account's grants already: each transfer is to show what was left after it.
  foreach d in array a.due_grants loop
    a.grants_left := a.grants_left - d.token_amount;
  end loop;
  for d in select * from unnest(a.due_grants) f order by f.effective_at, f.id loop
    t := null;
    t.amount := d.token_amount;
    t.transaction_type := 'grant';
    t.user_token_grants_id := d.id;
    t.metadata := d.metadata;
    a.grants_left := a.grants_left + d.token_amount;
    v_booking := tollgate.book(a, t, '{}');
    a := v_booking.account;
    v_transfers := v_transfers || v_booking.transfer;
  end loop;
  if cardinality(v_transfers) > 0 then
    insert into public.user_token_grants (
      user_id, id, token_amount, grant_type, effective_at, expires_at, priority, tag_ids, recurring_grant_id,
      metadata, created_at
    )
    select
      f.user_id, f.id, f.token_amount, f.grant_type, f.effective_at, f.expires_at, f.priority, f.tag_ids,
      f.recurring_grant_id, f.metadata, a.at
    from unnest(a.due_grants) f;
    perform tollgate.record(v_transfers, null, array[a.usage], null);
  end if;
end;
$$;

comment on function tollgate.book_due_grants(tollgate.account) is
  'Writes down the account''s due grants, dated now and in force since they were due. The caller holds the user''s lock.';

create function tollgate.prepare_recurring_grant()
returns trigger
language plpgsql
volatile
security definer
set search_path = ''
set enable_seqscan = off
set plan_cache_mode = force_generic_plan
as $$
declare
  v_time_zone text;
begin
  select coalesce(u.time_zone, p.time_zone) into v_time_zone
  from public.tracked_users u
  join public.projects p on p.id = u.project_id
  where u.id = new.user_id;
  if tg_op = 'INSERT' then
    perform from public.user_usage u where u.user_id = new.user_id for no key update;
    perform tollgate.check_grant_terms(
      new.user_id, new.token_amount, new.grant_type, new.priority, new.tag_ids, new.metadata, new.request_id
    );
    new.created_at := clock_timestamp();
    new.occurrences_booked := 0;
    new.ends_at := nullif(new.ends_at, 'infinity');
    if coalesce(new.every, '1 hour') = '1 hour' or new.starts_at is null or new.ends_at <= new.starts_at then
      raise exception using
        errcode = 'TG001',
        message = 'A recurring grant needs a period of a day or longer, an instant to start at, and an end after that',
        hint = 'For example 1 week; leave starts_at out to start now, and ends_at for one without end.';
    elsif not tollgate.is_instant(new.starts_at) or not tollgate.is_instant(new.ends_at) then
      raise exception using
        errcode = 'TG001',
        message = format(
          '%s must be an instant of the years 1 to 9999',
          case when tollgate.is_instant(new.starts_at) then 'ends_at' else 'starts_at' end
        ),
        hint = 'Leave starts_at out to start now, and ends_at for one without end.';
    elsif new.token_amount > 1000000000000 then
      -- A thousand times a larger one would be more than JSON, or a bigint, can say.
      raise exception using
        errcode = 'TG001',
        message = 'A recurring grant may give at most 1000000000000 tokens each time',
        hint = 'Give fewer tokens, more often.';
    elsif tollgate.period_number(new.starts_at, new.every::text::interval, v_time_zone, clock_timestamp()) > 1000 then
      raise exception using
        errcode = 'TG001',
        message = format('starts_at %s lies more than 1000 times in the past', new.starts_at),
        hint = 'Start later; grant at once what was missed.';
    end if;
  end if;
  update public.user_usage u
  set due_at = least(u.due_at, case
    when tg_op = 'INSERT' then new.starts_at
    else tollgate.period_start(new.starts_at, new.every::text::interval, v_time_zone, new.occurrences_booked)
  end)
  where u.user_id = new.user_id;
  return new;
end;
$$;

alter function tollgate.prepare_recurring_grant() owner to tollgate_kernel;
comment on function tollgate.prepare_recurring_grant() is
  'Trigger: checks a recurring grant, and has the user''s next call look for what is due. Raises TG001.';

create trigger recurring_grant_1_by_hand_has_a_user before insert on public.recurring_grants
for each row when (current_user <> 'tollgate_kernel') execute function tollgate.require_known_user();
create trigger recurring_grant_2_is_checked before insert or update of ends_at on public.recurring_grants
for each row execute function tollgate.prepare_recurring_grant();

create type public.recurring_grant_receipt as (
  recurring_grant_id uuid,
  user_id text,
  tokens bigint,
  grant_type public.grant_type,
  every public.period,
  starts_at timestamptz,
  ends_at timestamptz,
  valid_for public.period,
  priority smallint,
  tags text[],
  metadata jsonb,
  request_id text,
  replayed boolean,
  created_at timestamptz
);

comment on type public.recurring_grant_receipt is 'The answer to making or ending a recurring grant.';

create function tollgate.recurring_receipt_of(
  p_recurring_grant public.recurring_grants, p_external_user_id text, p_replayed boolean
)
returns public.recurring_grant_receipt
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  r constant public.recurring_grants := p_recurring_grant;
begin
  return row(
    r.id, p_external_user_id, r.token_amount, r.grant_type, r.every, r.starts_at, r.ends_at, r.valid_for,
    r.priority, tollgate.tag_names(r.tag_ids), r.metadata, r.request_id, p_replayed, r.created_at
  )::public.recurring_grant_receipt;
end;
$$;

comment on function tollgate.recurring_receipt_of(public.recurring_grants, text, boolean) is
  'A recurring grant as callers see it.';

create function tollgate.create_recurring_grant(
  p_project_id uuid,
  p_external_user_id text,
  p_tokens bigint,
  p_grant_type public.grant_type,
  p_every public.period,
  p_starts_at timestamptz,
  p_ends_at timestamptz,
  p_valid_for public.period,
  p_priority integer,
  p_tags text[],
  p_metadata jsonb,
  p_request_id text
)
returns public.recurring_grant_receipt
language plpgsql
volatile
security definer
set search_path = ''
set enable_seqscan = off
set plan_cache_mode = force_generic_plan
as $$
declare
  v_user_id constant uuid := tollgate.tracked_user_id(p_project_id, p_external_user_id);
  v_hash bigint;
  v_tag_ids uuid[];
  r public.recurring_grants;
  v_replayed boolean;
begin
  perform tollgate.require_role(p_project_id, 'admin');
  perform tollgate.check_request(p_external_user_id, p_tokens, p_metadata, p_request_id);
  if p_priority not between 1 and 100 then
    raise exception using
      errcode = 'TG001', message = 'priority must be a whole number from 1 to 100', hint = '50 is usual.';
  end if;
  if (tollgate.lock_user(v_user_id)).user_id is null then
    perform tollgate.create_user(p_project_id, p_external_user_id, clock_timestamp());
  end if;
  v_tag_ids := tollgate.tag_ids(p_project_id, p_tags);

  select * into r from public.recurring_grants f where f.user_id = v_user_id and f.request_id = p_request_id;
  v_replayed := found;
  v_hash := hash_record_extended(
    row(
      'recurring grant'::text, p_tokens, p_grant_type::text, p_every::text, p_starts_at, p_ends_at, p_valid_for::text,
      coalesce(p_priority, 50), v_tag_ids, p_metadata
    ), 0
  );
  if v_replayed and r.request_hash is distinct from v_hash then
    perform tollgate.refuse('idempotency_mismatch', p_request_id);
  elsif not v_replayed then
    r.starts_at := coalesce(p_starts_at, clock_timestamp());
    if p_ends_at <= r.starts_at then
      raise exception using
        errcode = 'TG001',
        message = format('ends_at %s is not after starts_at', p_ends_at),
        hint = 'Give a later time, or none for a recurring grant without end.';
    end if;
    insert into public.recurring_grants as f (
      user_id, token_amount, grant_type, every, starts_at, ends_at, valid_for, priority, tag_ids, request_id,
      request_hash, metadata
    )
    values (
      v_user_id, p_tokens, p_grant_type, p_every, r.starts_at, p_ends_at, p_valid_for,
      coalesce(p_priority, 50), v_tag_ids, p_request_id, case when p_request_id is not null then v_hash end, p_metadata
    )
    returning * into r;
  end if;
  return tollgate.recurring_receipt_of(r, p_external_user_id, v_replayed);
end;
$$;

alter function tollgate.create_recurring_grant(
  uuid, text, bigint, public.grant_type, public.period, timestamptz, timestamptz, public.period, integer, text[], jsonb, text
) owner to tollgate_kernel;
comment on function tollgate.create_recurring_grant(
  uuid, text, bigint, public.grant_type, public.period, timestamptz, timestamptz, public.period, integer, text[], jsonb, text
) is
  'Gives 1 to 1e12 tokens to a user again and again; an unknown user is created on the project''s default plan. Raises TG001, TG004, TG005, TG006, TG008, TG009.';

create function tollgate.end_recurring_grant(p_project_id uuid, p_external_user_id text, p_recurring_grant_id uuid)
returns public.recurring_grant_receipt
language plpgsql
volatile
security definer
set search_path = ''
set enable_seqscan = off
set plan_cache_mode = force_generic_plan
as $$
declare
  v_user_id constant uuid := tollgate.tracked_user_id(p_project_id, p_external_user_id);
  v_now timestamptz;
  r public.recurring_grants;
begin
  perform tollgate.require_role(p_project_id, 'admin');
  perform tollgate.check_request(p_external_user_id, 1, null, null);
  if (tollgate.lock_user(v_user_id)).user_id is null then
    perform tollgate.refuse_unknown_user(p_project_id, p_external_user_id);
  end if;
  v_now := clock_timestamp();
  select * into r from public.recurring_grants f where f.user_id = v_user_id and f.id = p_recurring_grant_id;
  if not found then
    raise exception using
      errcode = 'TG016',
      message = 'The user has no such recurring grant',
      hint = 'Use the recurring_grant_id that the answer gave when it was made.';
  elsif coalesce(r.ends_at, 'infinity') > greatest(v_now, r.starts_at) then
    update public.recurring_grants f set ends_at = greatest(v_now, r.starts_at)
    where f.user_id = v_user_id and f.id = r.id
    returning * into r;
    v_now := null;
  end if;
  return tollgate.recurring_receipt_of(r, p_external_user_id, v_now is not null);
end;
$$;

alter function tollgate.end_recurring_grant(uuid, text, uuid) owner to tollgate_kernel;
comment on function tollgate.end_recurring_grant(uuid, text, uuid) is
  'Stops a recurring grant from now on; what it has given stays. Ended before, it is left as it is. Raises TG001, TG004, TG008, TG009, TG016.';

revoke all on all functions in schema tollgate from public;
grant execute on function
tollgate.check_grant_terms(uuid, bigint, public.grant_type, integer, uuid[], jsonb, text),
tollgate.grant_hash(public.user_token_grants),
tollgate.tag_ids(uuid, text[]),
tollgate.tag_names(uuid[]),
tollgate.next_occurrence(uuid, text),
tollgate.book_due_grants(tollgate.account),
tollgate.recurring_receipt_of(public.recurring_grants, text, boolean)
to tollgate_kernel;
grant execute on function
tollgate.grant_tokens(
  uuid, text, bigint, public.grant_type, timestamptz, jsonb, text, timestamptz, timestamptz, integer, text[], bigint, text
),
tollgate.void_grant(uuid, text, uuid, jsonb, text, timestamptz),
tollgate.create_recurring_grant(
  uuid, text, bigint, public.grant_type, public.period, timestamptz, timestamptz, public.period, integer, text[], jsonb, text
),
tollgate.end_recurring_grant(uuid, text, uuid)
to authenticated, service_role;
