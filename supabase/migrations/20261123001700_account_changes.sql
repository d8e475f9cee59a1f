-- Changes of a user's plan, payment, anchor and zone, each with a transfer that says what was before and
-- after: at once, or a plan or a cancelation at the end of the quota period. By function, or by hand in
-- Studio.
--
-- A change at the end of the period needs nobody to make it: account_at() reads next_plan_id from
-- next_plan_at on.

create type public.change_time as enum ('now', 'period_end');
comment on type public.change_time is 'When a change of plan or a cancelation takes effect.';
create type public.quota_policy as enum ('keep', 'prorate', 'reset');
comment on type public.quota_policy is
  'What a change of plan in mid-period makes of the base quota. keep: what was used counts against the new quota. prorate: what is left, less the share of the old quota and plus that of the new one for the time that remains, at most what the old plan or keep would leave. reset: the new quota is full.';

create function tollgate.settings_of(p_user public.tracked_users)
returns jsonb
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  u constant public.tracked_users := p_user;
begin
  return jsonb_build_object(
    'plan_id', u.plan_id,
    'plan', (select p.name from public.plans p where p.id = u.plan_id),
    'plan_since', u.plan_since,
    'next_plan_id', u.next_plan_id,
    'next_plan', (select p.name from public.plans p where p.id = u.next_plan_id),
    'next_plan_at', u.next_plan_at,
    'payment_status', u.payment_status,
    'quota_open_until', u.quota_open_until,
    'quota_open_since', u.quota_open_since,
    'billing_anchor', u.billing_anchor,
    'time_zone', u.time_zone,
    'changed_at', u.changed_at
  );
end;
$$;

comment on function tollgate.settings_of(public.tracked_users) is
  'What the rules read of a user, for the audit trail: column names of tracked_users, and the names of plans.';

create function tollgate.changed_user(p_old public.tracked_users, p_new public.tracked_users, p_at timestamptz)
returns public.tracked_users
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  o constant public.tracked_users := p_old;
  n public.tracked_users := p_new;
begin
  if o.next_plan_at <= p_at then
    -- Took effect meanwhile, whatever is to come next.
    n.plan_since := p_at;
    if n.plan_id in (o.plan_id, o.next_plan_id) then
      n.plan_id := o.next_plan_id;
      n.plan_since := o.next_plan_at;
    end if;
    if (n.next_plan_id, n.next_plan_at) = (o.next_plan_id, o.next_plan_at) then
      n.next_plan_id := null;
      n.next_plan_at := null;
    end if;
  elsif n.plan_id <> o.plan_id then
    n.plan_since := p_at;
  end if;
  if n.payment_status <> o.payment_status and n.quota_open_until is not distinct from o.quota_open_until then
    select case when n.payment_status = 'past_due' and p.grace_days > 0 then p_at + make_interval(hours => 24 * p.grace_days) end
    into n.quota_open_until
    from public.projects p
    where p.id = n.project_id;
  end if;
  if tollgate.quota_is_open(n.payment_status, n.quota_open_until, p_at)
    and not tollgate.quota_is_open(o.payment_status, o.quota_open_until, p_at) then
    n.quota_open_since := p_at;
  end if;
  return n;
end;
$$;

comment on function tollgate.changed_user(public.tracked_users, public.tracked_users, timestamptz) is
  'A changed row of tracked_users with what follows from the change: since when the plan, until when and since when the base quota is open. A next plan that is due is the plan.';

create function tollgate.quota_used_since(p_user_id uuid, p_from timestamptz, p_at timestamptz)
returns bigint
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  v_used bigint;
begin
  if exists (
    select from public.user_quota_usage q
    where q.user_id = p_user_id and q.period_start < p_from and q.period_end > p_from
  ) then
    select coalesce(sum(b.base_quota_used), 0) into v_used
    from public.user_usage_buckets b
    where b.user_id = p_user_id and b.starts_at >= tollgate.quarter_of(p_from);
  else
    select coalesce(sum(q.tokens_used), 0) into v_used
    from public.user_quota_usage q
    where q.user_id = p_user_id and q.period_start >= p_from;
  end if;
  return v_used + (
    select coalesce(sum(s.tokens), 0)
    from public.token_holds h
    cross join lateral unnest(h.sources) s
    where h.user_id = p_user_id and h.ended_by is null and h.expires_at > p_at and h.created_at >= p_from
      and s.grant_id is null
  );
end;
$$;

comment on function tollgate.quota_used_since(uuid, timestamptz, timestamptz) is
  'What base quotas of any plan have paid since an instant, and what open holds set aside of them; of a period that began before, since the first instant of the quarter of an hour.';

create function tollgate.carry_quota(
  p_old public.tracked_users, p_new public.tracked_users, p_policy public.quota_policy, p_at timestamptz
)
returns void
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_old_quota constant public.plan_quotas := tollgate.plan_quota_of(p_old.plan_id);
  v_new_quota constant public.plan_quotas := tollgate.plan_quota_of(p_new.plan_id);
  v_project public.projects;
  v_old record;
  v_new record;
  v_row public.user_quota_usage;
  v_held bigint;
  v_left bigint := 0;
  -- Seconds of the old period, and those that remain of it; as of a quota of 0 where there is none.
  v_old_amount bigint := 0;
  v_old_length numeric := 1;
  v_old_rest numeric := 0;
  v_old_room bigint;
  v_new_length numeric;
  v_new_room bigint;
  v_amount numeric;
begin
  select * into strict v_project from public.projects p where p.id = p_new.project_id;

  if v_old_quota.id is not null then
    v_old := tollgate.quota_period_at(
      v_old_quota, p_old.billing_anchor, coalesce(p_old.time_zone, v_project.time_zone), v_project.week_start, p_at
    );
    select * into v_row from public.user_quota_usage q
    where q.user_id = p_old.id and q.quota_id = v_old_quota.id and q.period_end > p_at
    order by q.period_start desc
    limit 1;
    select coalesce(sum(s.tokens), 0) into v_held
    from public.token_holds h
    cross join lateral unnest(h.sources) s
    where h.user_id = p_old.id and h.ended_by is null and h.expires_at > p_at and s.grant_id is null
      and h.quota_id = v_old_quota.id and h.quota_period_start = v_row.period_start;
    v_left := greatest(0,
      case when v_row.is_fixed then v_row.token_amount else v_old_quota.token_amount end
      - coalesce(v_row.tokens_used, 0) - v_held
    );
    v_old_amount := v_old_quota.token_amount;
    v_old_rest := extract(epoch from coalesce(v_row.period_end, v_old.period_end) - p_at);
    v_old_length := v_old_rest + extract(epoch from p_at - case
      when v_row.is_fixed is not false then v_old.period_start else v_row.period_start
    end);
  end if;
  -- Nothing is used of a period that begins at this instant.
  delete from public.user_quota_usage q where q.user_id = p_new.id and q.period_start = p_at;
  -- That of the new plan too, where it was left for the next one before: else a user who comes back would
  -- be in two periods at once.
  update public.user_quota_usage q set period_end = p_at, cut_from = q.period_end
  where q.user_id = p_new.id and q.period_end > p_at
    and q.quota_id in (select n.id from public.plan_quotas n where n.plan_id in (p_old.plan_id, p_new.plan_id));
  if v_new_quota.id is null then
    return;
  end if;

  v_new := tollgate.quota_period_at(
    v_new_quota, p_new.billing_anchor, coalesce(p_new.time_zone, v_project.time_zone), v_project.week_start, p_at
  );
  v_new_length := extract(epoch from v_new.period_end - v_new.period_start);
  -- Whatever quota paid it: switching there and back is no way to a second one.
  if v_old_quota.id is not null then
    v_old_room := v_old_amount - tollgate.quota_used_since(p_old.id, v_old.period_start, p_at);
  end if;
  v_new_room := v_new_quota.token_amount - tollgate.quota_used_since(p_new.id, v_new.period_start, p_at);
  v_amount := case p_policy
    when 'keep' then v_new_room
    when 'prorate' then least(
      v_left + floor(
        (
          v_new_quota.token_amount * extract(epoch from v_new.period_end - p_at) * v_old_length
          - v_old_amount * v_old_rest * v_new_length
        ) / (v_old_length * v_new_length)
      ),
      -- A debt that a smaller plan could not take is not forgiven by a larger one.
      greatest(v_left, v_old_room, v_new_room)
    )
    when 'reset' then v_new_quota.token_amount
  end;
  perform tollgate.begin_period(row(
    p_new.id, v_new_quota.id, p_at, v_new.period_end, greatest(0, v_amount), p_policy <> 'reset', 0, p_at, null
  )::public.user_quota_usage);
end;
$$;

comment on function tollgate.carry_quota(public.tracked_users, public.tracked_users, public.quota_policy, timestamptz) is
  'Ends the current period of the old plan''s quota, and begins one of the new plan''s that lasts to the end of that plan''s own period. Its size is what the policy leaves, and with keep and prorate fixed. Tokens that holds set aside count as used, except with reset.';

create function tollgate.instant_of_change(p_user_id uuid, p_at timestamptz default null)
returns timestamptz
language plpgsql
volatile
security invoker
set search_path = ''
as $$
begin
  return (
    select greatest(coalesce(p_at, clock_timestamp()), u.not_before + interval '1 microsecond')
    from public.user_usage u
    where u.user_id = p_user_id
  );
end;
$$;

comment on function tollgate.instant_of_change(uuid, timestamptz) is
  'Now, or the instant given, but later than the user''s last transfer: the quota period that a change of plan ends must hold all that was used of it. The caller holds the user''s lock.';

create function tollgate.book_account_change(
  p_old public.tracked_users,
  p_new public.tracked_users,
  p_policy public.quota_policy,
  p_request_id text,
  p_request_hash bigint
)
returns public.token_transfers
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_old constant public.tracked_users := tollgate.changed_user(p_old, p_old, p_new.changed_at);
  v_moves constant boolean := p_new.plan_id <> v_old.plan_id;
  t public.token_transfers;
  a tollgate.account;
  v_booking tollgate.booking;
begin
  if v_moves then
    perform tollgate.carry_quota(v_old, p_new, p_policy, p_new.changed_at);
  end if;
  t.amount := 0;
  t.transaction_type := 'account_change';
  t.request_id := p_request_id;
  t.request_hash := p_request_hash;
  t.metadata := jsonb_build_object(
    'before', tollgate.settings_of(v_old),
    'after', tollgate.settings_of(p_new),
    'quota_policy', case when v_moves then p_policy end
  );
  a := tollgate.account_at(p_new.project_id, p_new.id, p_new.external_id, '{}', p_new.changed_at);
  -- What has come due by the new clocks alone is left to the next call.
  a.grants_left := a.grants_left - (select coalesce(sum(d.token_amount), 0) from unnest(a.due_grants) d);
  v_booking := tollgate.book(a, t, '{}');
  perform tollgate.record(array[v_booking.transfer], null, array[(v_booking.account).usage], null);
  return v_booking.transfer;
end;
$$;

comment on function tollgate.book_account_change(
  public.tracked_users, public.tracked_users, public.quota_policy, text, bigint
) is
  'Books the transfer of a change that stands in tracked_users, and carries the base quota over.';

create function tollgate.complete_change_by_hand()
returns trigger
language plpgsql
volatile
security definer
set search_path = ''
set enable_seqscan = off
set plan_cache_mode = force_generic_plan
as $$
declare
  v_at timestamptz;
begin
  perform tollgate.lock_user(old.id);
  -- One instant: what comes due after it is not there yet.
  v_at := tollgate.instant_of_change(old.id);
  perform tollgate.open_account(old.project_id, old.id, old.external_id, '{}', v_at);
  if new.next_plan_at is distinct from old.next_plan_at and new.next_plan_at <= v_at then
    raise exception using
      errcode = 'TG001',
      message = format('next_plan_at %s is not in the future', new.next_plan_at),
      hint = 'Set plan_id for a change of plan now.';
  end if;
  new := tollgate.changed_user(old, new, v_at);
  new.changed_at := v_at;
  return new;
end;
$$;

alter function tollgate.complete_change_by_hand() owner to tollgate_kernel;
comment on function tollgate.complete_change_by_hand() is
  'Trigger: locks the user, writes down what was due before a change by hand, dates the change and fills what follows from it. Raises TG001.';

create function tollgate.book_change_by_hand()
returns trigger
language plpgsql
volatile
security definer
set search_path = ''
set enable_seqscan = off
set plan_cache_mode = force_generic_plan
as $$
begin
  perform tollgate.book_account_change(old, new, 'keep', null, null);
  return null;
end;
$$;

alter function tollgate.book_change_by_hand() owner to tollgate_kernel;
comment on function tollgate.book_change_by_hand() is
  'Trigger: books the transfer of a change by hand. Of the base quota, what was used stays used.';

create trigger change_1_is_completed
before update of plan_id, next_plan_id, next_plan_at, payment_status, quota_open_until, billing_anchor, time_zone
on public.tracked_users
for each row when (
  current_user <> 'tollgate_kernel'
  and (
    old.plan_id, old.next_plan_id, old.next_plan_at, old.payment_status, old.quota_open_until,
    old.billing_anchor, old.time_zone
  ) is distinct from (
    new.plan_id, new.next_plan_id, new.next_plan_at, new.payment_status, new.quota_open_until,
    new.billing_anchor, new.time_zone
  )
)
execute function tollgate.complete_change_by_hand();

create trigger change_2_is_booked
after update of plan_id, next_plan_id, next_plan_at, payment_status, quota_open_until, billing_anchor, time_zone
on public.tracked_users
for each row when (current_user <> 'tollgate_kernel' and old.changed_at <> new.changed_at)
execute function tollgate.book_change_by_hand();

create type public.account_receipt as (
  user_id text,
  plan text,
  next_plan text,
  next_plan_at timestamptz,
  payment_status public.payment_status,
  quota_open_until timestamptz,
  billing_anchor timestamptz,
  time_zone text,
  quota_left bigint,
  grants_left bigint,
  transfer_number bigint,
  request_id text,
  replayed boolean,
  created_at timestamptz
);

comment on type public.account_receipt is 'The answer to a change of a user''s account: how it stands after it.';

create function tollgate.account_receipt_of(p_transfer public.token_transfers, p_external_id text, p_replayed boolean)
returns public.account_receipt
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  t constant public.token_transfers := p_transfer;
  r public.account_receipt := jsonb_populate_record(null::public.account_receipt, t.metadata -> 'after');
begin
  r.user_id := p_external_id;
  r.quota_left := t.quota_left;
  r.grants_left := t.grants_left;
  r.transfer_number := t.transfer_number;
  r.request_id := t.request_id;
  r.replayed := p_replayed;
  r.created_at := t.created_at;
  return r;
end;
$$;

comment on function tollgate.account_receipt_of(public.token_transfers, text, boolean) is
  'The receipt of a change, from the audit trail: the same at first and on replay.';

create function tollgate.lock_account(p_user_id uuid)
returns boolean
language plpgsql
volatile
security invoker
set search_path = ''
as $$
begin
  perform from public.tracked_users u where u.id = p_user_id for no key update;
  if not found then
    perform pg_advisory_xact_lock(uuid_hash_extended(p_user_id, 0));
    perform from public.tracked_users u where u.id = p_user_id for no key update;
  end if;
  return (tollgate.lock_user(p_user_id)).user_id is not null;
end;
$$;

comment on function tollgate.lock_account(uuid) is
  'What lock_user() is, for a change of the account: the row of tracked_users is locked before that of user_usage, as an update by hand has it, so that two changes cannot wait for each other.';

create function tollgate.change_user(
  p_project_id uuid,
  p_external_user_id text,
  p_plan text,
  p_payment_status public.payment_status,
  p_when public.change_time,
  p_quota_policy public.quota_policy,
  p_quota_open_until timestamptz,
  p_billing_anchor timestamptz,
  p_time_zone text,
  p_request_id text,
  p_at timestamptz default null
)
returns public.account_receipt
language plpgsql
volatile
security definer
set search_path = ''
set enable_seqscan = off
set plan_cache_mode = force_generic_plan
as $$
declare
  v_user_id constant uuid := tollgate.tracked_user_id(p_project_id, p_external_user_id);
  v_hash constant bigint := hash_record_extended(
    row(
      'account_change'::text, p_plan, p_payment_status::text, p_when::text, p_quota_policy::text,
      p_quota_open_until, p_billing_anchor, p_time_zone
    ), 0
  );
  v_plan_id uuid;
  v_problem text;
  v_hint text;
  t public.token_transfers;
  a tollgate.account;
  o public.tracked_users;
  v_current public.tracked_users;
  n public.tracked_users;
begin
  perform tollgate.require_role(p_project_id, 'admin');
  perform tollgate.check_request(p_external_user_id, 1, null, p_request_id);
  if p_plan is not null then
    select p.id into v_plan_id from public.plans p where p.project_id = p_project_id and p.name = p_plan;
    if not found and not exists (select from public.projects p where p.id = p_project_id) then
      raise exception using
        errcode = 'TG009', message = 'The project is not known', hint = 'Check the project id.';
    end if;
  end if;
  if p_when is null or p_quota_policy is null then
    v_problem := 'When to change, and what becomes of the quota, must not be null';
    v_hint := 'Leave them out for now and keep.';
  elsif p_plan is not null and v_plan_id is null then
    v_problem := format('plan %L is not known in this project', p_plan);
    v_hint := 'Insert it into plans first; names are case-sensitive.';
  elsif num_nonnulls(p_plan, p_payment_status, p_quota_open_until, p_billing_anchor, p_time_zone) = 0 then
    v_problem := 'Nothing was given to change';
    v_hint := 'Give at least one of plan, payment status, quota_open_until, billing_anchor, time_zone.';
  elsif p_when = 'period_end' and p_plan is null and p_payment_status is distinct from 'canceled' then
    v_problem := 'Only a plan or a cancelation can wait for the end of the period';
    v_hint := 'Give a plan, or payment status canceled; all else changes at once.';
  elsif not tollgate.is_instant(p_billing_anchor) then
    v_problem := 'billing_anchor must be an instant of the years 1 to 9999';
    v_hint := 'Give a date and time.';
  elsif not tollgate.is_instant(p_quota_open_until) then
    v_problem := 'quota_open_until must be an instant of the years 1 to 9999';
    v_hint := 'Give a date and time.';
  end if;
  if v_problem is not null then
    raise exception using errcode = 'TG001', message = v_problem, hint = v_hint;
  end if;
  if not tollgate.lock_account(v_user_id) then
    perform tollgate.create_user(p_project_id, p_external_user_id, coalesce(p_at, clock_timestamp()), v_plan_id);
  end if;
  t := tollgate.find_replay(v_user_id, p_request_id, v_hash);
  if t.user_id is not null then
    return tollgate.account_receipt_of(t, p_external_user_id, true);
  end if;

  a := tollgate.account_for(
    p_project_id, v_user_id, p_external_user_id, null,
    case when v_plan_id is null then p_at else tollgate.instant_of_change(v_user_id, p_at) end
  );
  select * into strict o from public.tracked_users u where u.id = v_user_id;
  v_current := tollgate.changed_user(o, o, a.at);
  n := v_current;
  if p_when = 'period_end' and (a.plan_quota).id is null then
    raise exception using
      errcode = 'TG001',
      message = format('The plan %L has no base quota, and so no period that ends', a.plan_name),
      hint = 'Make the change now.';
  elsif v_plan_id is not null then
    n.next_plan_id := null;
    n.next_plan_at := null;
    if p_when = 'now' then
      n.plan_id := v_plan_id;
    elsif v_plan_id <> n.plan_id then
      n.next_plan_id := v_plan_id;
      n.next_plan_at := (a.quota).period_end;
    end if;
  end if;
  n.payment_status := coalesce(p_payment_status, n.payment_status);
  n.billing_anchor := coalesce(p_billing_anchor, n.billing_anchor);
  n.time_zone := nullif(coalesce(p_time_zone, n.time_zone), '');
  n := tollgate.changed_user(v_current, n, a.at);
  if p_payment_status = 'canceled' and p_when = 'period_end' and a.quota_is_open then
    -- Not for longer than it would have been open anyway.
    n.quota_open_until := least(
      (a.quota).period_end, case when o.payment_status <> 'active' then o.quota_open_until end
    );
  end if;
  n.quota_open_until := coalesce(p_quota_open_until, n.quota_open_until);
  -- Once more: who is canceled at the end of the period was not closed in between.
  n.quota_open_since := (tollgate.changed_user(v_current, n, a.at)).quota_open_since;
  n.changed_at := a.at;
  update public.tracked_users u
  set
    plan_id = n.plan_id,
    plan_since = n.plan_since,
    next_plan_id = n.next_plan_id,
    next_plan_at = n.next_plan_at,
    payment_status = n.payment_status,
    quota_open_until = n.quota_open_until,
    quota_open_since = n.quota_open_since,
    billing_anchor = n.billing_anchor,
    time_zone = n.time_zone,
    changed_at = n.changed_at
  where u.id = v_user_id;
  return tollgate.account_receipt_of(
    tollgate.book_account_change(o, n, p_quota_policy, p_request_id, v_hash), p_external_user_id, false
  );
end;
$$;

alter function tollgate.change_user(
  uuid, text, text, public.payment_status, public.change_time, public.quota_policy, timestamptz, timestamptz, text,
  text, timestamptz
) owner to tollgate_kernel;
comment on function tollgate.change_user(
  uuid, text, text, public.payment_status, public.change_time, public.quota_policy, timestamptz, timestamptz, text,
  text, timestamptz
) is
  'Changes what is given of a user''s plan (by name), payment status, until when the base quota is open, billing anchor and time zone (empty text: the project''s); an unknown user is created. A plan given for now takes back one that was to come. p_at places the call in time, for tests only. Raises TG001, TG004, TG006, TG008, TG009.';

revoke all on all functions in schema tollgate from public;
grant execute on function
tollgate.settings_of(public.tracked_users),
tollgate.changed_user(public.tracked_users, public.tracked_users, timestamptz),
tollgate.carry_quota(public.tracked_users, public.tracked_users, public.quota_policy, timestamptz),
tollgate.quota_used_since(uuid, timestamptz, timestamptz),
tollgate.instant_of_change(uuid, timestamptz),
tollgate.book_account_change(public.tracked_users, public.tracked_users, public.quota_policy, text, bigint),
tollgate.lock_account(uuid),
tollgate.account_receipt_of(public.token_transfers, text, boolean)
to tollgate_kernel;
grant execute on function
tollgate.change_user(
  uuid, text, text, public.payment_status, public.change_time, public.quota_policy, timestamptz, timestamptz, text,
  text, timestamptz
)
to authenticated, service_role;
