-- One transfer: the user's calls queue, the account moves on in memory, the rows are written together.

create type tollgate.booking as (account tollgate.account, transfer public.token_transfers);

comment on type tollgate.booking is 'A transfer, and the account after it.';

create function tollgate.lock_user(p_user_id uuid)
returns public.user_usage
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_usage public.user_usage;
begin
  select * into v_usage from public.user_usage u where u.user_id = p_user_id for no key update;
  if not found then
    -- Of two calls that are the user's first, one waits here, and then finds the user.
    perform pg_advisory_xact_lock(uuid_hash_extended(p_user_id, 0));
    select * into v_usage from public.user_usage u where u.user_id = p_user_id for no key update;
  end if;
  return v_usage;
end;
$$;

comment on function tollgate.lock_user(uuid) is
  'Makes a user''s calls queue until the end of the transaction, and gives the user''s row; null where the user does not exist yet. Lock alone, read all else afterwards: a statement that waited for a lock re-reads only the locked row.';

create function tollgate.current_api_key_id(p_project_id uuid)
returns uuid
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  v_id uuid := nullif(current_setting('tollgate.api_key_id', true), '');
begin
  if v_id is not null then
    select k.id into v_id from public.api_keys k where k.id = v_id and k.project_id = p_project_id;
  end if;
  return v_id;
end;
$$;

comment on function tollgate.current_api_key_id(uuid) is
  'The API key that authenticate() let in earlier in this transaction, if any, and if it is the project''s.';

create function tollgate.book(
  p_account tollgate.account, p_transfer public.token_transfers, p_sources public.token_source[]
)
returns tollgate.booking
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  a tollgate.account := p_account;
  t public.token_transfers := p_transfer;
  v_is_hold constant boolean := t.transaction_type = 'hold';
  v_counted_at constant timestamptz := coalesce(t.counted_at, a.at);
  v_tokens constant bigint := case when t.transaction_type in ('consumption', 'refund') then - t.amount else 0 end;
  v_held bigint := 0;
  v_counts public.limit_usage[] := a.other_limits;
  l tollgate.limit_state;
  s public.token_source;
begin
  foreach s in array p_sources loop
    if v_is_hold then
      v_held := v_held + s.tokens;
    end if;
    if s.grant_id is not null then
      for i in 1 .. cardinality(a.grants) loop
        if a.grants[i].id = s.grant_id then
          a.grants[i].tokens_left := a.grants[i].tokens_left - s.tokens;
          a.grants_left := a.grants_left - s.tokens;
          exit;
        end if;
      end loop;
    elsif t.quota_id = (a.quota).quota_id and t.quota_period_start = (a.quota).period_start then
      if v_is_hold then
        a.quota_held := a.quota_held + s.tokens;
      else
        a.quota.tokens_used := (a.quota).tokens_used + s.tokens;
        a.quota.token_amount := greatest((a.quota).token_amount, (a.quota).tokens_used);
      end if;
      a.quota_left := tollgate.quota_left(a.quota_is_open, a.quota_amount, (a.quota).tokens_used, a.quota_held);
    end if;
  end loop;
  a.tokens_held := a.tokens_held + v_held;

  for i in 1 .. cardinality(a.limits) loop
    l := a.limits[i];
    if tollgate.counts_in(l, t.tag_id, v_counted_at) then
      l.tokens_used := l.tokens_used + v_tokens;
      l.tokens_held := l.tokens_held + v_held;
      a.limits[i] := l;
    end if;
    v_counts := v_counts || row(l.counter_id, l.starts_at, l.ends_at, l.tokens_used)::public.limit_usage;
  end loop;
  a.usage := row(
    a.user_id, a.time_zone, a.week_start, (a.usage).due_at, (a.usage).last_transfer_number + 1, a.at,
    case when a.is_tamper_evident then coalesce((a.usage).last_hash, '') end, v_counts
  )::public.user_usage;

  t.user_id := a.user_id;
  t.transfer_number := (a.usage).last_transfer_number;
  t.base_quota_used := coalesce(t.base_quota_used, 0);
  t.grants_used := coalesce(t.grants_used, 0);
  t.quota_left := a.quota_left;
  t.grants_left := a.grants_left;
  t.tokens_held := a.tokens_held;
  t.api_key_id := tollgate.current_api_key_id(a.project_id);
  t.created_at := a.at;
  return row(a, t)::tollgate.booking;
end;
$$;

comment on function tollgate.book(tollgate.account, public.token_transfers, public.token_source[]) is
  'Moves an account on by one transfer, in memory, and completes the transfer: its number, its instant, what is left after it.';

create function tollgate.draws_of(p_transfer public.token_transfers, p_sources public.token_source[])
returns public.user_token_grants_consume[]
language plpgsql
immutable
security invoker
set search_path = ''
as $$
declare
  v_draws public.user_token_grants_consume[] := '{}';
  s public.token_source;
begin
  foreach s in array p_sources loop
    if s.grant_id is not null then
      v_draws := v_draws || row(
        p_transfer.user_id, p_transfer.transfer_number, s.grant_id, s.tokens, s.tokens_left,
        p_transfer.created_at, cardinality(v_draws) + 1
      )::public.user_token_grants_consume;
    end if;
  end loop;
  return v_draws;
end;
$$;

comment on function tollgate.draws_of(public.token_transfers, public.token_source[]) is
  'The rows of user_token_grants_consume of a transfer.';

create function tollgate.charge_period(p_transfer public.token_transfers)
returns void
language plpgsql
volatile
security invoker
set search_path = ''
as $$
begin
  update public.user_quota_usage q
  set
    tokens_used = q.tokens_used + p_transfer.base_quota_used,
    token_amount = greatest(q.token_amount, q.tokens_used + p_transfer.base_quota_used)
  where q.user_id = p_transfer.user_id
    and q.quota_id = p_transfer.quota_id
    and q.period_start = p_transfer.quota_period_start;
end;
$$;

comment on function tollgate.charge_period(public.token_transfers) is
  'Charges the quota period of a settlement, or gives it back what a refund returns, though it may be over.';

create function tollgate.quota_has_lapsed(p_transfer public.token_transfers)
returns boolean
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  -- Only what settles an old hold or refunds goes to a period other than its own.
  return p_transfer.counted_at is not null and exists (
    select from public.user_quota_usage q
    where q.user_id = p_transfer.user_id
      and q.quota_id = p_transfer.quota_id
      and q.period_start = p_transfer.quota_period_start
      and q.period_end <= p_transfer.created_at
  );
end;
$$;

comment on function tollgate.quota_has_lapsed(public.token_transfers) is
  'Whether a transfer used base quota of a period that was over by then.';

create function tollgate.sources_of(p_transfer public.token_transfers)
returns public.token_source[]
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  t constant public.token_transfers := p_transfer;
  v_sources public.token_source[] := '{}';
begin
  if t.base_quota_used <> 0 then
    v_sources := array[row(
      null, t.base_quota_used, case when tollgate.quota_has_lapsed(t) then 0 else t.quota_left end
    )::public.token_source];
  end if;
  if t.grants_used <> 0 then
    v_sources := v_sources || array(
      select row(c.user_token_grants_id, c.token_deduction, c.tokens_left)::public.token_source
      from public.user_token_grants_consume c
      where c.user_id = t.user_id and c.transfer_number = t.transfer_number
      order by c.position
    );
  end if;
  return v_sources;
end;
$$;

comment on function tollgate.sources_of(public.token_transfers) is
  'What paid for a transfer, in the order in which it was drawn on, from the audit trail.';

create function tollgate.sources_json(p_sources public.token_source[])
returns jsonb
language plpgsql
immutable
security invoker
set search_path = ''
as $$
declare
  v_json jsonb := '[]';
  s public.token_source;
begin
  foreach s in array p_sources loop
    if s.grant_id is null then
      v_json := v_json || jsonb_build_object('type', 'quota', 'tokens', s.tokens, 'left', s.tokens_left);
    else
      v_json := v_json
        || jsonb_build_object('type', 'grant', 'grant_id', s.grant_id, 'tokens', s.tokens, 'left', s.tokens_left);
    end if;
  end loop;
  return v_json;
end;
$$;

comment on function tollgate.sources_json(public.token_source[]) is 'Sources as callers see them.';

create type tollgate.mistake as (errcode text, message text, hint text);

comment on type tollgate.mistake is 'A mistake of the caller, raised by a single call and reported by an item of a batch.';

create function tollgate.mistake_of(p_reason text, p_subject text)
returns tollgate.mistake
language plpgsql
immutable
security invoker
set search_path = ''
as $$
declare
  m tollgate.mistake;
begin
  case p_reason
    when 'unknown_user' then
      m.errcode := 'TG004';
      m.message := format('The user %L is not known in this project', p_subject);
      m.hint := 'Insert the user into tracked_users, or give the project a default plan: then first use creates users.';
    when 'unknown_tag' then
      m.errcode := 'TG005';
      m.message := format('The tag %L is not known in this project', p_subject);
      m.hint := 'Insert it into tags first; names are case-sensitive.';
    when 'idempotency_mismatch' then
      m.errcode := 'TG006';
      m.message := format('The request id %L was used for another request of this user', p_subject);
      m.hint := 'Repeat a request with exactly the same parameters, or use a new request id.';
  end case;
  return m;
end;
$$;

comment on function tollgate.mistake_of(text, text) is
  'What is said of an unknown user, an unknown tag, or a request id that was another request''s.';

create function tollgate.refuse(p_reason text, p_subject text)
returns void
language plpgsql
immutable
security invoker
set search_path = ''
as $$
declare
  m constant tollgate.mistake := tollgate.mistake_of(p_reason, p_subject);
begin
  raise exception using errcode = m.errcode, message = m.message, hint = m.hint;
end;
$$;

comment on function tollgate.refuse(text, text) is 'Raises a mistake: TG004, TG005 or TG006.';

create function tollgate.find_replay(p_user_id uuid, p_request_id text, p_request_hash bigint)
returns public.token_transfers
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  v_transfer public.token_transfers;
begin
  if p_request_id is null then
    return null;
  end if;
  select * into v_transfer from public.token_transfers t
  where t.user_id = p_user_id and t.request_id = p_request_id;
  if found and v_transfer.request_hash is distinct from p_request_hash then
    perform tollgate.refuse('idempotency_mismatch', p_request_id);
  end if;
  return v_transfer;
end;
$$;

comment on function tollgate.find_replay(uuid, text, bigint) is
  'The transfer to which a request id was applied before, or null. Raises TG006 where it was another request.';

create function tollgate.count_in_bucket(p_transfer public.token_transfers)
returns void
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_nil constant uuid := '00000000-0000-0000-0000-000000000000';
  v_starts_at constant timestamptz := tollgate.quarter_of(coalesce(p_transfer.counted_at, p_transfer.created_at));
  v_api_key_id uuid := coalesce(p_transfer.api_key_id, v_nil);
begin
  if p_transfer.transaction_type = 'refund' then
    select coalesce(o.api_key_id, v_nil) into strict v_api_key_id
    from public.token_transfers o
    where o.user_id = p_transfer.user_id and o.transfer_number = p_transfer.refers_to;
  end if;
  update public.user_usage_buckets b
  set
    calls = b.calls + case when p_transfer.transaction_type = 'consumption' then 1 else 0 end,
    tokens_used = b.tokens_used - p_transfer.amount,
    base_quota_used = b.base_quota_used + p_transfer.base_quota_used,
    grants_used = b.grants_used + p_transfer.grants_used
  where b.user_id = p_transfer.user_id and b.starts_at = v_starts_at and b.tag_id = coalesce(p_transfer.tag_id, v_nil)
    and b.api_key_id = v_api_key_id;
  if not found then
    insert into public.user_usage_buckets
    values (
      p_transfer.user_id, v_starts_at, coalesce(p_transfer.tag_id, v_nil), v_api_key_id,
      case when p_transfer.transaction_type = 'consumption' then 1 else 0 end, - p_transfer.amount,
      p_transfer.base_quota_used, p_transfer.grants_used
    );
    if p_transfer.tag_id is not null then
      insert into public.user_tags values (p_transfer.user_id, p_transfer.tag_id) on conflict do nothing;
    end if;
  end if;
end;
$$;

comment on function tollgate.count_in_bucket(public.token_transfers) is
  'Counts a consumption, or a refund against what it refunds, in its quarter of an hour. A hold opens the quarter that its settlement will count in, so that its tag can no longer be deleted.';

create function tollgate.transfer_hash(
  p_transfer public.token_transfers, p_sources public.token_source[], p_previous_hash bytea
)
returns bytea
language plpgsql
immutable
security invoker
set search_path = ''
as $$
declare
  t constant public.token_transfers := p_transfer;
begin
  -- Instants as numbers: as text they would depend on the session.
  return sha256(p_previous_hash || convert_to(jsonb_build_array(
    t.user_id, t.transfer_number, t.amount, t.transaction_type, t.tag_id, t.user_token_grants_id, t.quota_id,
    extract(epoch from t.quota_period_start), t.base_quota_used, t.grants_used, t.quota_left, t.grants_left,
    t.tokens_held, t.refers_to, extract(epoch from t.counted_at), extract(epoch from t.hold_expires_at),
    t.nearest_limit::text, t.request_id, t.request_hash, t.api_key_id, t.metadata::text,
    extract(epoch from t.created_at), p_sources
  )::text, 'UTF8'));
end;
$$;

comment on function tollgate.transfer_hash(public.token_transfers, public.token_source[], bytea) is
  'SHA-256 of the hash before it, nothing for the first, and of all that is known of a transfer, with the grants that it draws on or sets aside.';

create function tollgate.sealed(
  p_transfers public.token_transfers[], p_draws public.user_token_grants_consume[]
)
returns public.token_transfers[]
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  v_transfers public.token_transfers[] := p_transfers;
  t public.token_transfers;
  d public.user_token_grants_consume;
  v_user_id uuid;
  v_draw integer := 1;
  v_sources public.token_source[];
  v_hash bytea;
begin
  for i in 1 .. cardinality(v_transfers) loop
    t := v_transfers[i];
    if t.user_id is distinct from v_user_id then
      v_user_id := t.user_id;
      v_hash := coalesce((select u.last_hash from public.user_usage u where u.user_id = v_user_id), '');
    end if;
    v_sources := '{}';
    if t.transaction_type = 'hold' then
      select h.sources into v_sources from public.token_holds h
      where h.user_id = t.user_id and h.transfer_number = t.transfer_number;
    end if;
    loop
      d := p_draws[v_draw];
      exit when (d.user_id = t.user_id and d.transfer_number = t.transfer_number) is not true;
      v_sources := v_sources || row(d.user_token_grants_id, d.token_deduction, d.tokens_left)::public.token_source;
      v_draw := v_draw + 1;
    end loop;
    v_hash := tollgate.transfer_hash(t, v_sources, v_hash);
    v_transfers[i].hash := v_hash;
  end loop;
  return v_transfers;
end;
$$;

comment on function tollgate.sealed(public.token_transfers[], public.user_token_grants_consume[]) is
  'Transfers of a tamper-evident project that are about to be written, with their hashes. Those of a user follow each other, and draws come in the order of their transfers.';

create function tollgate.refuse_ended_grant()
returns void
language plpgsql
immutable
security invoker
set search_path = ''
as $$
begin
  raise exception using
    errcode = 'serialization_failure',
    message = 'A grant was ended by hand while this call drew on it',
    hint = 'Call again; nothing was written.';
end;
$$;

comment on function tollgate.refuse_ended_grant() is
  'Refuses to draw on a grant that has been ended since it was read: editing its end by hand does not wait for calls.';

create function tollgate.begin_period(p_quota public.user_quota_usage)
returns void
language plpgsql
volatile
security invoker
set search_path = ''
as $$
begin
  insert into public.user_quota_usage select p_quota.*;
exception
  when foreign_key_violation then
    raise exception using
      errcode = 'serialization_failure',
      message = 'The quota was deleted by hand while this call began a period of it',
      hint = 'Call again; nothing was written.';
end;
$$;

comment on function tollgate.begin_period(public.user_quota_usage) is
  'Writes the row of a quota period of which there is none yet. Refuses with serialization_failure where the quota has been deleted since it was read: deleting one that nobody has used does not wait for calls.';

create function tollgate.record(
  p_transfers public.token_transfers[],
  p_draws public.user_token_grants_consume[],
  p_usages public.user_usage[],
  p_quotas public.user_quota_usage[],
  p_only_grants_in_force boolean default true
)
returns void
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_transfers public.token_transfers[] := p_transfers;
  q public.user_quota_usage;
  d public.user_token_grants_consume;
  n public.user_usage;
  t public.token_transfers;
begin
  -- Updates are made row by row, by key: joined to an array, the planner may prefer to scan the table.
  if p_quotas is not null then
    foreach q in array p_quotas loop
      update public.user_quota_usage f
      set tokens_used = q.tokens_used, token_amount = q.token_amount
      where f.user_id = q.user_id and f.quota_id = q.quota_id and f.period_start = q.period_start;
      if not found then
        perform tollgate.begin_period(q);
      end if;
    end loop;
  end if;

  if p_draws is not null then
    foreach d in array p_draws loop
      update public.user_token_grants f
      set
        tokens_used = f.tokens_used + d.token_deduction,
        is_spent = (f.tokens_used + d.token_deduction = f.token_amount)
      where f.user_id = d.user_id and f.id = d.user_token_grants_id
        and (not p_only_grants_in_force or coalesce(f.voided_at, f.expires_at, 'infinity') > d.created_at);
      if not found then
        perform tollgate.refuse_ended_grant();
      end if;
    end loop;
    insert into public.user_token_grants_consume select * from unnest(p_draws);
  end if;

  -- All are of one project.
  if (p_usages[1]).last_hash is not null then
    v_transfers := tollgate.sealed(v_transfers, p_draws);
  end if;
  insert into public.token_transfers select * from unnest(v_transfers);
  foreach t in array v_transfers loop
    if t.transaction_type in ('consumption', 'refund', 'hold') then
      perform tollgate.count_in_bucket(t);
    end if;
  end loop;

  foreach n in array p_usages loop
    update public.user_usage f
    set
      -- By other clocks recurring grants are due at other instants: the next call looks.
      due_at = case when f.time_zone in (n.time_zone, '') then f.due_at else '-infinity' end,
      time_zone = n.time_zone,
      week_start = n.week_start,
      last_transfer_number = n.last_transfer_number,
      not_before = n.not_before,
      last_hash = case when n.last_hash is not null then (
        select s.hash from public.token_transfers s
        where s.user_id = n.user_id and s.transfer_number = n.last_transfer_number
      ) end,
      limits = n.limits
    where f.user_id = n.user_id;
  end loop;
end;
$$;

comment on function tollgate.record(
  public.token_transfers[], public.user_token_grants_consume[], public.user_usage[],
  public.user_quota_usage[], boolean
) is
  'Writes transfers and the running state after them. Refuses with serialization_failure to draw on a grant that has been ended since it was read, but for settling holds, which outlive their grants.';

revoke all on all functions in schema tollgate from public;
grant execute on function
tollgate.lock_user(uuid),
tollgate.book(tollgate.account, public.token_transfers, public.token_source[]),
tollgate.draws_of(public.token_transfers, public.token_source[]),
tollgate.charge_period(public.token_transfers),
tollgate.quota_has_lapsed(public.token_transfers),
tollgate.sources_of(public.token_transfers),
tollgate.sources_json(public.token_source[]),
tollgate.mistake_of(text, text),
tollgate.refuse(text, text),
tollgate.find_replay(uuid, text, bigint),
tollgate.current_api_key_id(uuid),
tollgate.count_in_bucket(public.token_transfers),
tollgate.transfer_hash(public.token_transfers, public.token_source[], bytea),
tollgate.sealed(public.token_transfers[], public.user_token_grants_consume[]),
tollgate.refuse_ended_grant(),
tollgate.begin_period(public.user_quota_usage),
tollgate.record(
  public.token_transfers[], public.user_token_grants_consume[], public.user_usage[],
  public.user_quota_usage[], boolean
)
to tollgate_kernel;
