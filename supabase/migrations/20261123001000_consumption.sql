-- The kernel: one call checks, deducts, records and answers.
--
-- lock the user -> read the account (account_at) -> decide -> book, in memory -> record. Checking
-- stops before the last step, a batch does the middle ones for each item, and a hold, a settlement,
-- a refund go through the same steps: so every rule is written once.

create type public.consume_mode as enum ('all_or_nothing', 'up_to');
comment on type public.consume_mode is
  'all_or_nothing: all of the tokens, or a denial. up_to: as many as there are, at least 1, or a denial.';

create type public.receipt as (
  success boolean,
  tokens_requested bigint,
  tokens_consumed bigint,
  base_quota_used bigint,
  grants_used bigint,
  message text,
  reason text,
  hint text,
  shortfall bigint,
  retry_at timestamptz,
  user_id text,
  quota_left bigint,
  grants_left bigint,
  tokens_held bigint,
  sources jsonb,
  nearest_limit jsonb,
  transfer_number bigint,
  request_id text,
  replayed boolean,
  created_at timestamptz
);

comment on type public.receipt is
  'The answer to a consumption, applied or denied. Amounts are tokens. Of a denial: reason for programs, hint with the remedy, shortfall with how many tokens are lacking, retry_at where waiting helps.';

create type tollgate.request as (
  position integer,
  user_id uuid,
  external_id text,
  tokens bigint,
  mode public.consume_mode,
  tag_id uuid,
  metadata jsonb,
  request_id text,
  request_hash bigint,
  unknown_tag text
);

comment on type tollgate.request is 'One consumption that is asked for.';

create type tollgate.decision as (
  tokens bigint,
  from_quota bigint,
  from_grants bigint,
  nearest_limit tollgate.limit_state,
  reason text,
  message text,
  hint text,
  shortfall bigint,
  retry_at timestamptz
);

comment on type tollgate.decision is
  'What a request may take, and from where; or, with a reason, why it may not, and what would help.';

create type tollgate.booking as (account tollgate.account, transfer public.token_transfers);

comment on type tollgate.booking is 'A transfer, and the account after it.';

create type tollgate.attempt as (
  account tollgate.account,
  transfer public.token_transfers,
  sources public.token_source[],
  receipt public.receipt
);

comment on type tollgate.attempt is
  'A request that was answered in memory: the account after it, and what is to be recorded, if anything.';

create function tollgate.problem_of(
  p_external_user_id text, p_tokens bigint, p_metadata jsonb, p_request_id text, p_minimum bigint default 1
)
returns text
language plpgsql
immutable
security invoker
set search_path = ''
as $$
begin
  if p_external_user_id is null or char_length(p_external_user_id) not between 1 and 255 then
    return 'The external user id must have 1 to 255 characters';
  elsif p_tokens is null or p_tokens not between p_minimum and 1000000000000000 then
    return format('The number of tokens must be a whole number from %s to 1000000000000000', p_minimum);
  elsif p_metadata is not null and jsonb_typeof(p_metadata) <> 'object' then
    return 'metadata must be a JSON object';
  elsif p_metadata is not null and octet_length(p_metadata::text) > 16384 then
    return 'metadata must not be longer than 16384 bytes';
  elsif p_request_id !~ '^[\x20-\x7e]{1,255}$' then
    return 'The request id must have 1 to 255 printable ASCII characters';
  end if;
  return null;
end;
$$;

comment on function tollgate.problem_of(text, bigint, jsonb, text, bigint) is
  'What is wrong with the arguments of a call, or null.';

create function tollgate.check_request(
  p_external_user_id text, p_tokens bigint, p_metadata jsonb, p_request_id text, p_minimum bigint default 1
)
returns void
language plpgsql
immutable
security invoker
set search_path = ''
as $$
declare
  v_problem constant text := tollgate.problem_of(
    p_external_user_id, p_tokens, p_metadata, p_request_id, p_minimum
  );
begin
  if v_problem is not null then
    raise exception using
      errcode = 'TG001', message = v_problem, hint = 'Correct the argument and call again; nothing was written.';
  end if;
end;
$$;

comment on function tollgate.check_request(text, bigint, jsonb, text, bigint) is
  'Refuses arguments out of range with TG001.';

create function tollgate.refuse_unknown_user(p_project_id uuid, p_external_user_id text)
returns void
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  if not exists (select from public.projects p where p.id = p_project_id) then
    raise exception using
      errcode = 'TG009', message = 'The project is not known', hint = 'Check the project id.';
  end if;
  raise exception using
    errcode = 'TG004',
    message = format('The user %L is not known in this project', p_external_user_id),
    hint = 'Insert the user into tracked_users, or give the project a default plan: then first use creates users.';
end;
$$;

comment on function tollgate.refuse_unknown_user(uuid, text) is
  'Says that a user is not known, TG004, or that the project is not, TG009.';

create function tollgate.create_user(p_project_id uuid, p_external_user_id text, p_at timestamptz)
returns void
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_plan_id uuid;
begin
  select p.default_plan_id into v_plan_id from public.projects p where p.id = p_project_id;
  if v_plan_id is null then
    perform tollgate.refuse_unknown_user(p_project_id, p_external_user_id);
  end if;
  insert into public.tracked_users (project_id, external_id, plan_id, billing_anchor, created_at)
  values (p_project_id, p_external_user_id, v_plan_id, p_at, p_at)
  on conflict (id) do nothing;
  if not found then
    -- Calls of the kernel hold the user's lock, so it was somebody in Studio.
    raise exception using
      errcode = 'serialization_failure',
      message = 'The user was created by hand while this call was about to',
      hint = 'Call again; nothing was written.';
  end if;
end;
$$;

comment on function tollgate.create_user(uuid, text, timestamptz) is
  'Creates a user, whose lock the caller holds, on the project''s default plan. Raises TG004, TG009.';

create function tollgate.lock_user(p_user_id uuid)
returns boolean
language plpgsql
volatile
security invoker
set search_path = ''
as $$
begin
  perform from public.user_usage u where u.user_id = p_user_id for no key update;
  if found then
    return true;
  end if;
  -- Of two calls that are the user's first, one waits here, and then finds the user.
  perform pg_advisory_xact_lock(uuid_hash_extended(p_user_id, 0));
  perform from public.user_usage u where u.user_id = p_user_id for no key update;
  return found;
end;
$$;

comment on function tollgate.lock_user(uuid) is
  'Makes a user''s calls queue until the end of the transaction; false where the user does not exist yet. Lock alone, read afterwards: a statement that waited for a lock re-reads only the locked row.';

create function tollgate.limit_frees_at(
  p_account tollgate.account, p_limit tollgate.limit_state, p_tokens bigint
)
returns timestamptz
language plpgsql
immutable
security invoker
set search_path = ''
as $$
declare
  v_left bigint := p_limit.max_tokens - p_limit.tokens_used - p_limit.tokens_held;
  h public.token_holds;
begin
  if p_tokens > p_limit.max_tokens then
    return 'infinity';
  end if;
  foreach h in array p_account.holds loop
    exit when h.expires_at >= p_limit.resets_at;
    if coalesce(p_limit.tag_id = h.tag_id, p_limit.tag_id is null) and h.created_at >= p_limit.starts_at then
      v_left := v_left + h.token_amount;
      if v_left >= p_tokens then
        return h.expires_at;
      end if;
    end if;
  end loop;
  return p_limit.resets_at;
end;
$$;

comment on function tollgate.limit_frees_at(tollgate.account, tollgate.limit_state, bigint) is
  'When a restriction has room for so many tokens at the latest: when enough holds have expired, or its window ends; infinity where they are more than it ever allows.';

create function tollgate.tokens_return_at(p_account tollgate.account, p_tokens bigint)
returns timestamptz
language plpgsql
immutable
security invoker
set search_path = ''
as $$
declare
  a constant tollgate.account := p_account;
  q constant public.user_quota_usage := a.quota;
begin
  -- Tokens come back only when a hold expires or a quota period begins: how many are there then?
  return (
    with freed as (
      select h.expires_at as at, s.grant_id, s.tokens,
        h.quota_id = q.quota_id and h.quota_period_start = q.period_start as of_this_period
      from unnest(a.holds) h
      cross join lateral unnest(h.sources) s
    )
    select t.at
    from (select f.at from freed f union select q.period_end where a.payment_status = 'active') t
    where p_tokens <= coalesce((
        select sum(g.tokens_left + coalesce((
          select sum(f.tokens) from freed f where f.grant_id = g.id and f.at <= t.at
        ), 0))
        from unnest(a.grants) g
        where coalesce(g.expires_at, 'infinity') > t.at
      ), 0)
      + case
        when a.payment_status <> 'active' or a.quota_id is null then 0
        when t.at >= q.period_end then a.quota_amount
        else greatest(0, a.quota_amount - q.tokens_used - a.quota_held + coalesce((
          select sum(f.tokens) from freed f where f.grant_id is null and f.of_this_period and f.at <= t.at
        ), 0))
      end
    order by t.at
    limit 1
  );
end;
$$;

comment on function tollgate.tokens_return_at(tollgate.account, bigint) is
  'When a user who has too few tokens will have so many, if nothing else happens: when enough open holds have expired, or a quota period begins; null where waiting alone does not help.';

create function tollgate.decide(
  p_account tollgate.account, p_tokens bigint, p_mode public.consume_mode, p_tag_id uuid
)
returns tollgate.decision
language plpgsql
immutable
security invoker
set search_path = ''
as $$
declare
  d tollgate.decision;
  l tollgate.limit_state;
  v_left bigint;
  v_least_left bigint;
  v_frees_at timestamptz;
  v_requested text := p_tokens;
begin
  d.tokens := p_tokens;
  if p_mode = 'up_to' then
    v_requested := 'up to ' || p_tokens;
    d.tokens := least(d.tokens, p_account.quota_left + p_account.grants_left);
    foreach l in array p_account.limits loop
      if l.tag_id is null or l.tag_id = p_tag_id then
        d.tokens := least(d.tokens, l.max_tokens - l.tokens_used - l.tokens_held);
      end if;
    end loop;
    d.tokens := greatest(d.tokens, 1);
  end if;

  -- One restriction decides: of those exceeded the last to let this call through, else the nearest.
  foreach l in array p_account.limits loop
    continue when l.tag_id is not null and l.tag_id is distinct from p_tag_id;
    v_left := l.max_tokens - l.tokens_used - l.tokens_held;
    if v_left < d.tokens then
      v_frees_at := tollgate.limit_frees_at(p_account, l, d.tokens);
      if d.reason is null or v_frees_at > d.retry_at or v_frees_at = d.retry_at and v_left < v_least_left then
        d.reason := 'restriction_exceeded';
        d.nearest_limit := l;
        d.retry_at := v_frees_at;
        v_least_left := v_left;
      end if;
    elsif d.reason is null and (v_least_left is null or v_left < v_least_left) then
      d.nearest_limit := l;
      v_least_left := v_left;
    end if;
  end loop;

  d.from_quota := least(d.tokens, p_account.quota_left);
  d.from_grants := d.tokens - d.from_quota;
  if d.reason is not null then
    l := d.nearest_limit;
    d.shortfall := d.tokens - greatest(0, v_least_left);
    d.message := format(
      'Limit reached: %s tokens requested, %s of %s per %s left%s',
      v_requested, greatest(0, v_least_left), l.max_tokens, substring(l.duration::text from 3), ' for ' || l.tag
    );
    if d.retry_at = 'infinity' then
      d.retry_at := null;
      d.hint := format('Ask for at most %s tokens a call, or raise the restriction.', l.max_tokens);
    else
      d.hint := 'Call again at retry_at, or raise the restriction.';
    end if;
  elsif d.from_grants > p_account.grants_left then
    d.shortfall := d.from_grants - p_account.grants_left;
    if p_account.payment_status <> 'active'
      and d.tokens <= greatest(0, p_account.quota_amount - (p_account.quota).tokens_used - p_account.quota_held) + p_account.grants_left then
      d.reason := 'payment_inactive';
      d.message := format(
        'Not enough tokens: %s requested, and base quota is closed while payment is %s', v_requested, p_account.payment_status
      );
      d.hint := format('Set payment_status to active once the user has paid, or grant what is lacking (%s).', d.shortfall);
    else
      d.reason := 'insufficient_tokens';
      d.message := format(
        'Not enough tokens: %s requested, %s left', v_requested, p_account.quota_left + p_account.grants_left
      );
      d.retry_at := tollgate.tokens_return_at(p_account, d.tokens);
      d.hint := format(
        'Grant what is lacking (%s)%s.', d.shortfall, case when d.retry_at is not null then ', or call again at retry_at' end
      );
    end if;
  end if;
  return d;
end;
$$;

comment on function tollgate.decide(tollgate.account, bigint, public.consume_mode, uuid) is
  'The rules: restrictions of the plan that are overall or of the tag, then base quota, then grants. All of the tokens, or with mode up_to as many as there are, at least 1.';

create function tollgate.split(p_account tollgate.account, p_decision tollgate.decision)
returns public.token_source[]
language plpgsql
immutable
security invoker
set search_path = ''
as $$
declare
  v_needed bigint := p_decision.from_grants;
  v_taken bigint;
  v_sources public.token_source[] := '{}';
  g tollgate.grant_state;
begin
  if p_decision.from_quota > 0 then
    v_sources := array[
      row(null, p_decision.from_quota, p_account.quota_left - p_decision.from_quota)::public.token_source
    ];
  end if;
  foreach g in array p_account.grants loop
    exit when v_needed = 0;
    v_taken := least(v_needed, g.tokens_left);
    if v_taken > 0 then
      v_sources := v_sources || row(g.id, v_taken, g.tokens_left - v_taken)::public.token_source;
      v_needed := v_needed - v_taken;
    end if;
  end loop;
  return v_sources;
end;
$$;

comment on function tollgate.split(tollgate.account, tollgate.decision) is
  'The sources that pay, in order: base quota, then grants first in, first out by expiry, never-expiring last.';

create function tollgate.book(
  p_account tollgate.account, p_transfer public.token_transfers, p_sources public.token_source[]
)
returns tollgate.booking
language plpgsql
immutable
security invoker
set search_path = ''
as $$
declare
  a tollgate.account := p_account;
  u public.user_usage := a.usage;
  t public.token_transfers := p_transfer;
  v_is_hold constant boolean := t.transaction_type = 'hold';
  v_counted_at constant timestamptz := coalesce(t.counted_at, a.at);
  v_tokens constant bigint := case when t.transaction_type in ('consumption', 'refund') then - t.amount else 0 end;
  v_held bigint := 0;
  v_hour bigint;
  v_day bigint;
  v_week bigint;
  v_month bigint;
  v_place integer;
  g public.user_tag_usage;
  l tollgate.limit_state;
  s public.token_source;
begin
  u.last_transfer_number := u.last_transfer_number + 1;
  u.last_transfer_at := a.at;

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
      if a.payment_status = 'active' then
        a.quota_left := greatest(0, a.quota_amount - (a.quota).tokens_used - a.quota_held);
      end if;
    end if;
  end loop;
  a.tokens_held := a.tokens_held + v_held;

  v_hour := case when v_counted_at >= u.hour_start then v_tokens else 0 end;
  v_day := case when v_counted_at >= u.day_start then v_tokens else 0 end;
  v_week := case when v_counted_at >= u.week_start then v_tokens else 0 end;
  v_month := case when v_counted_at >= u.month_start then v_tokens else 0 end;
  u.hour_used := u.hour_used + v_hour;
  u.day_used := u.day_used + v_day;
  u.week_used := u.week_used + v_week;
  u.month_used := u.month_used + v_month;
  if t.tag_id is not null then
    v_place := cardinality(a.tags) + 1;
    g := row(
      a.user_id, t.tag_id, u.time_zone, u.hour_start, u.day_start, u.week_start, u.month_start, 0, 0, 0, 0
    )::public.user_tag_usage;
    for i in 1 .. cardinality(a.tags) loop
      if a.tags[i].tag_id = t.tag_id then
        v_place := i;
        g := a.tags[i];
      end if;
    end loop;
    g.hour_used := g.hour_used + v_hour;
    g.day_used := g.day_used + v_day;
    g.week_used := g.week_used + v_week;
    g.month_used := g.month_used + v_month;
    a.tags[v_place] := g;
  end if;
  for i in 1 .. cardinality(a.limits) loop
    l := a.limits[i];
    if (l.tag_id is null or l.tag_id = t.tag_id) and v_counted_at >= l.starts_at then
      l.tokens_used := l.tokens_used + v_tokens;
      l.tokens_held := l.tokens_held + v_held;
      a.limits[i] := l;
    end if;
  end loop;
  a.usage := u;

  t.user_id := a.user_id;
  t.transfer_number := u.last_transfer_number;
  t.base_quota_used := coalesce(t.base_quota_used, 0);
  t.grants_used := coalesce(t.grants_used, 0);
  t.quota_left := a.quota_left;
  t.grants_left := a.grants_left;
  t.tokens_held := a.tokens_held;
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

create function tollgate.receipt_of(
  p_transfer public.token_transfers,
  p_external_id text,
  p_requested bigint,
  p_sources public.token_source[],
  p_replayed boolean
)
returns public.receipt
language plpgsql
immutable
security invoker
set search_path = ''
as $$
declare
  t constant public.token_transfers := p_transfer;
begin
  return row(
    true,
    p_requested,
    - t.amount,
    t.base_quota_used,
    t.grants_used,
    format(
      'Consumed %s tokens: %s from base quota, %s from grants',
      case when - t.amount = p_requested then p_requested::text else concat(- t.amount, ' of ', p_requested) end,
      t.base_quota_used, t.grants_used
    ),
    null,
    null,
    0,
    null,
    p_external_id,
    t.quota_left,
    t.grants_left,
    t.tokens_held,
    tollgate.sources_json(p_sources),
    t.nearest_limit,
    t.transfer_number,
    t.request_id,
    p_replayed,
    t.created_at
  )::public.receipt;
end;
$$;

comment on function tollgate.receipt_of(public.token_transfers, text, bigint, public.token_source[], boolean) is
  'The receipt of an applied consumption, the same at first and on replay.';

create function tollgate.denial_of(
  p_account tollgate.account, p_decision tollgate.decision, p_requested bigint, p_request_id text
)
returns public.receipt
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  a constant tollgate.account := p_account;
  d constant tollgate.decision := p_decision;
begin
  return row(
    false, p_requested, 0, 0, 0, d.message, d.reason, d.hint, d.shortfall, d.retry_at, a.external_id,
    a.quota_left, a.grants_left, a.tokens_held, '[]'::jsonb, tollgate.limit_json(d.nearest_limit),
    null, p_request_id, false, a.at
  )::public.receipt;
end;
$$;

comment on function tollgate.denial_of(tollgate.account, tollgate.decision, bigint, text) is
  'The receipt of a denial: nothing consumed, why, and what would help.';

create function tollgate.refuse_mismatch(p_request_id text)
returns void
language plpgsql
immutable
security invoker
set search_path = ''
as $$
begin
  raise exception using
    errcode = 'TG006',
    message = format('The request id %L was used for another request of this user', p_request_id),
    hint = 'Repeat a request with exactly the same parameters, or use a new request id.';
end;
$$;

comment on function tollgate.refuse_mismatch(text) is
  'Says that a request id was applied with other parameters, TG006.';

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
    perform tollgate.refuse_mismatch(p_request_id);
  end if;
  return v_transfer;
end;
$$;

comment on function tollgate.find_replay(uuid, text, bigint) is
  'The transfer to which a request id was applied before, or null. Raises TG006 where it was another request.';

create function tollgate.consume_hash(p_request tollgate.request)
returns bigint
language plpgsql
immutable
security invoker
set search_path = ''
as $$
begin
  return hash_record_extended(
    row(
      'consumption'::text, p_request.tokens, p_request.mode = 'up_to', p_request.tag_id, p_request.unknown_tag,
      p_request.metadata
    ), 0
  );
end;
$$;

comment on function tollgate.consume_hash(tollgate.request) is
  'The request_hash of a consumption: equal for equal parameters, in a batch or alone.';

create function tollgate.attempt(p_account tollgate.account, p_request tollgate.request)
returns tollgate.attempt
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  d constant tollgate.decision := tollgate.decide(
    p_account, p_request.tokens, p_request.mode, p_request.tag_id
  );
  l tollgate.limit_state := d.nearest_limit;
  t public.token_transfers;
  v_sources public.token_source[];
  v_booking tollgate.booking;
begin
  if d.reason is not null then
    return row(p_account, null, null, tollgate.denial_of(p_account, d, p_request.tokens, p_request.request_id))::tollgate.attempt;
  end if;
  t.amount := - d.tokens;
  t.transaction_type := 'consumption';
  t.tag_id := p_request.tag_id;
  t.base_quota_used := d.from_quota;
  t.grants_used := d.from_grants;
  t.request_id := p_request.request_id;
  t.request_hash := p_request.request_hash;
  t.metadata := p_request.metadata;
  if d.from_quota > 0 then
    t.quota_id := p_account.quota_id;
    t.quota_period_start := (p_account.quota).period_start;
  end if;
  l.tokens_used := l.tokens_used + d.tokens;
  t.nearest_limit := tollgate.limit_json(l);
  v_sources := tollgate.split(p_account, d);
  v_booking := tollgate.book(p_account, t, v_sources);
  return row(
    v_booking.account,
    v_booking.transfer,
    v_sources,
    tollgate.receipt_of(v_booking.transfer, p_account.external_id, p_request.tokens, v_sources, false)
  )::tollgate.attempt;
end;
$$;

comment on function tollgate.attempt(tollgate.account, tollgate.request) is
  'Answers a request, in memory: nothing is read or written.';

create function tollgate.record(
  p_transfers public.token_transfers[],
  p_draws public.user_token_grants_consume[],
  p_usages public.user_usage[],
  p_tags public.user_tag_usage[],
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
  q public.user_quota_usage;
  d public.user_token_grants_consume;
  n public.user_usage;
  g public.user_tag_usage;
begin
  -- Updates are made row by row, by key: joined to an array, the planner may prefer to scan the table.
  if p_quotas is not null then
    foreach q in array p_quotas loop
      update public.user_quota_usage f
      set tokens_used = q.tokens_used, token_amount = q.token_amount
      where f.user_id = q.user_id and f.quota_id = q.quota_id and f.period_start = q.period_start;
      if not found then
        insert into public.user_quota_usage select q.*;
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
        and (not p_only_grants_in_force or coalesce(f.expires_at, 'infinity') > d.created_at);
      if not found then
        raise exception using
          errcode = 'serialization_failure',
          message = 'A grant was ended by hand while this call drew on it',
          hint = 'Call again; nothing was written.';
      end if;
    end loop;
    insert into public.user_token_grants_consume select * from unnest(p_draws);
  end if;

  insert into public.token_transfers select * from unnest(p_transfers);

  foreach n in array p_usages loop
    update public.user_usage f
    set
      time_zone = n.time_zone,
      hour_start = n.hour_start,
      day_start = n.day_start,
      week_start = n.week_start,
      month_start = n.month_start,
      hour_end = n.hour_end,
      day_end = n.day_end,
      week_end = n.week_end,
      month_end = n.month_end,
      hour_used = n.hour_used,
      day_used = n.day_used,
      week_used = n.week_used,
      month_used = n.month_used,
      last_transfer_number = n.last_transfer_number,
      last_transfer_at = n.last_transfer_at
    where f.user_id = n.user_id;
  end loop;

  if p_tags is not null then
    foreach g in array p_tags loop
      update public.user_tag_usage f
      set
        time_zone = g.time_zone,
        hour_start = g.hour_start,
        day_start = g.day_start,
        week_start = g.week_start,
        month_start = g.month_start,
        hour_used = g.hour_used,
        day_used = g.day_used,
        week_used = g.week_used,
        month_used = g.month_used
      where f.user_id = g.user_id and f.tag_id = g.tag_id;
      if not found then
        insert into public.user_tag_usage select g.*;
      end if;
    end loop;
  end if;
end;
$$;

comment on function tollgate.record(
  public.token_transfers[], public.user_token_grants_consume[], public.user_usage[],
  public.user_tag_usage[], public.user_quota_usage[], boolean
) is
  'Writes transfers and the running state after them. Refuses with serialization_failure to draw on a grant that has been ended since it was read, but for settling holds, which outlive their grants.';

create function tollgate.account_for(
  p_project_id uuid, p_user_id uuid, p_external_user_id text, p_tag_id uuid, p_at timestamptz,
  p_but_hold bigint default null
)
returns tollgate.account
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  a constant tollgate.account := tollgate.account_at(
    p_project_id, p_user_id, p_external_user_id, array[p_tag_id], coalesce(p_at, clock_timestamp()), p_but_hold
  );
begin
  if a.user_id is null then
    perform tollgate.refuse_unknown_user(p_project_id, p_external_user_id);
  end if;
  -- A tag that the user has used before is known: tags with history cannot be deleted.
  if p_tag_id is not null and cardinality(a.tags) = 0
    and not exists (select from public.tags t where t.id = p_tag_id and t.project_id = p_project_id) then
    raise exception using
      errcode = 'TG005',
      message = 'The tag is not known in this project',
      hint = 'Insert it into tags first, or correct the id.';
  end if;
  return a;
end;
$$;

comment on function tollgate.account_for(uuid, uuid, text, uuid, timestamptz, bigint) is
  'One user''s account, now or at p_at. Raises TG004, TG005, TG009.';

create function tollgate.consume(
  p_project_id uuid,
  p_external_user_id text,
  p_tokens bigint,
  p_tag_id uuid,
  p_metadata jsonb,
  p_request_id text,
  p_at timestamptz default null,
  p_mode public.consume_mode default 'all_or_nothing',
  p_check_only boolean default false
)
returns public.receipt
language plpgsql
volatile
security definer
set search_path = ''
set enable_seqscan = off
set plan_cache_mode = force_generic_plan
as $$
declare
  v_user_id constant uuid := tollgate.tracked_user_id(p_project_id, p_external_user_id);
  v_exists boolean;
  v_request tollgate.request;
  v_attempt tollgate.attempt;
  t public.token_transfers;
begin
  perform tollgate.require_consumer(v_user_id);
  perform tollgate.check_request(p_external_user_id, p_tokens, p_metadata, p_request_id);
  if not p_check_only then
    v_exists := tollgate.lock_user(v_user_id);
  end if;

  v_request.tokens := p_tokens;
  v_request.mode := p_mode;
  v_request.tag_id := p_tag_id;
  v_request.metadata := p_metadata;
  v_request.request_id := p_request_id;
  v_request.request_hash := tollgate.consume_hash(v_request);
  t := tollgate.find_replay(v_user_id, p_request_id, v_request.request_hash);
  if t.user_id is not null then
    return tollgate.receipt_of(t, p_external_user_id, p_tokens, tollgate.sources_of(t), true);
  end if;

  v_attempt := tollgate.attempt(
    tollgate.account_for(p_project_id, v_user_id, p_external_user_id, p_tag_id, p_at), v_request
  );
  t := v_attempt.transfer;
  if t.user_id is not null and not p_check_only then
    if not v_exists then
      perform tollgate.create_user(p_project_id, p_external_user_id, t.created_at);
    end if;
    perform tollgate.record(
      array[t],
      case when t.grants_used > 0 then tollgate.draws_of(t, v_attempt.sources) end,
      array[(v_attempt.account).usage],
      (v_attempt.account).tags,
      case when t.base_quota_used > 0 then array[(v_attempt.account).quota] end
    );
  end if;
  return v_attempt.receipt;
end;
$$;

alter function tollgate.consume(uuid, text, bigint, uuid, jsonb, text, timestamptz, public.consume_mode, boolean)
owner to tollgate_kernel;
comment on function tollgate.consume(
  uuid, text, bigint, uuid, jsonb, text, timestamptz, public.consume_mode, boolean
) is
  'Takes 1 to 1e15 tokens from a user; an unknown user is created on the project''s default plan. A denial writes nothing. p_check_only answers the same, without locking or writing anything. p_at places the call in time, for tests and demo data only. Raises TG001, TG004, TG005, TG006, TG008, TG009.';

create function tollgate.tag_id(p_project_id uuid, p_external_user_id text, p_name text)
returns uuid
language plpgsql
stable
security definer
set search_path = ''
as $$
declare
  v_id uuid;
begin
  if p_name is null then
    return null;
  end if;
  -- Whose user it is not must not learn the project's tags.
  perform tollgate.require_consumer(tollgate.tracked_user_id(p_project_id, p_external_user_id));
  select t.id into v_id from public.tags t where t.project_id = p_project_id and t.name = p_name;
  if not found then
    raise exception using
      errcode = 'TG005',
      message = format('The tag %L is not known in this project', p_name),
      hint = 'Insert it into tags first; names are case-sensitive.';
  end if;
  return v_id;
end;
$$;

comment on function tollgate.tag_id(uuid, text, text) is
  'The id of a project''s tag, null for null, for who may consume the user''s tokens. Raises TG004, TG005, TG008.';

revoke all on all functions in schema tollgate from public;
grant execute on function
tollgate.problem_of(text, bigint, jsonb, text, bigint),
tollgate.check_request(text, bigint, jsonb, text, bigint),
tollgate.refuse_unknown_user(uuid, text),
tollgate.create_user(uuid, text, timestamptz),
tollgate.lock_user(uuid),
tollgate.limit_frees_at(tollgate.account, tollgate.limit_state, bigint),
tollgate.tokens_return_at(tollgate.account, bigint),
tollgate.decide(tollgate.account, bigint, public.consume_mode, uuid),
tollgate.split(tollgate.account, tollgate.decision),
tollgate.book(tollgate.account, public.token_transfers, public.token_source[]),
tollgate.draws_of(public.token_transfers, public.token_source[]),
tollgate.quota_has_lapsed(public.token_transfers),
tollgate.sources_of(public.token_transfers),
tollgate.sources_json(public.token_source[]),
tollgate.receipt_of(public.token_transfers, text, bigint, public.token_source[], boolean),
tollgate.denial_of(tollgate.account, tollgate.decision, bigint, text),
tollgate.refuse_mismatch(text),
tollgate.find_replay(uuid, text, bigint),
tollgate.consume_hash(tollgate.request),
tollgate.attempt(tollgate.account, tollgate.request),
tollgate.record(
  public.token_transfers[], public.user_token_grants_consume[], public.user_usage[],
  public.user_tag_usage[], public.user_quota_usage[], boolean
),
tollgate.account_for(uuid, uuid, text, uuid, timestamptz, bigint)
to tollgate_kernel;
grant execute on function
tollgate.consume(uuid, text, bigint, uuid, jsonb, text, timestamptz, public.consume_mode, boolean)
to authenticated, service_role;
grant execute on function tollgate.tag_id(uuid, text, text) to authenticated, service_role;
