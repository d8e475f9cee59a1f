-- The kernel: one call checks, deducts, records and answers.

create type tollgate.receipt as (
  success boolean,
  tokens_consumed bigint,
  base_quota_used bigint,
  grants_used bigint,
  message text,
  reason text,
  retry_at timestamptz,
  quota_left bigint,
  grants_left bigint,
  nearest_limit jsonb,
  transfer_number bigint,
  request_id text,
  replayed boolean,
  user_id uuid,
  created_at timestamptz
);

comment on type tollgate.receipt is 'The answer to a consumption, applied or denied.';

-- What the rules need to know of a user, from the configuration tables.
create function tollgate.check_request(
  p_external_user_id text, p_tokens bigint, p_metadata jsonb, p_request_id text
)
returns void
language plpgsql
immutable
security invoker
set search_path = ''
as $$
declare
  v_problem text;
begin
  if p_external_user_id is null or char_length(p_external_user_id) not between 1 and 255 then
    v_problem := 'The external user id must have 1 to 255 characters';
  elsif p_tokens is null or p_tokens not between 1 and 1000000000000000 then
    v_problem := 'The number of tokens must be a whole number from 1 to 1000000000000000';
  elsif p_metadata is not null and jsonb_typeof(p_metadata) <> 'object' then
    v_problem := 'metadata must be a JSON object';
  elsif p_metadata is not null and octet_length(p_metadata::text) > 16384 then
    v_problem := 'metadata must not be longer than 16384 bytes';
  elsif p_request_id is not null and char_length(p_request_id) not between 1 and 255 then
    v_problem := 'The request id must have 1 to 255 characters';
  else
    return;
  end if;
  raise exception using
    errcode = 'TG001', message = v_problem, hint = 'Correct the argument and call again; nothing was written.';
end;
$$;

comment on function tollgate.check_request(text, bigint, jsonb, text) is
  'Refuses arguments out of range with TG001.';

create function tollgate.create_user(p_project_id uuid, p_external_user_id text, p_at timestamptz)
returns boolean
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_plan_id uuid;
begin
  select p.default_plan_id into v_plan_id from public.projects p where p.id = p_project_id;
  if not found then
    raise exception using
      errcode = 'TG009', message = 'The project is not known', hint = 'Check the project id.';
  elsif v_plan_id is null then
    raise exception using
      errcode = 'TG004',
      message = format('The user %L is not known in this project', p_external_user_id),
      hint = 'Insert the user into tracked_users, or give the project a default plan: then first use creates users.';
  end if;
  insert into public.tracked_users (project_id, external_id, plan_id, billing_anchor, created_at)
  values (p_project_id, p_external_user_id, v_plan_id, p_at, p_at)
  on conflict (id) do nothing;
  return found;
end;
$$;

comment on function tollgate.create_user(uuid, text, timestamptz) is
  'Creates a user on the project''s default plan; false where another call just did. Raises TG004, TG009.';

create function tollgate.receipt_of(p_transfer public.token_transfers, p_replayed boolean)
returns tollgate.receipt
language plpgsql
immutable
security invoker
set search_path = ''
as $$
begin
  return row(
    true,
    - p_transfer.amount,
    p_transfer.base_quota_used,
    p_transfer.grants_used,
    format(
      'Consumed %s tokens: %s from base quota, %s from grants',
      - p_transfer.amount, p_transfer.base_quota_used, p_transfer.grants_used
    ),
    null,
    null,
    p_transfer.quota_left,
    p_transfer.grants_left,
    p_transfer.nearest_limit,
    p_transfer.transfer_number,
    p_transfer.request_id,
    p_replayed,
    p_transfer.user_id,
    p_transfer.created_at
  )::tollgate.receipt;
end;
$$;

comment on function tollgate.receipt_of(public.token_transfers, boolean) is
  'The receipt of an applied consumption, the same at first and on replay.';

create function tollgate.denial_of(
  p_transfer public.token_transfers,
  p_account tollgate.accounts,
  p_limit tollgate.limit_state,
  p_quota_used bigint,
  p_quota_resets_at timestamptz
)
returns tollgate.receipt
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  v_tokens constant bigint := - p_transfer.amount;
  r tollgate.receipt;
begin
  if p_limit.tokens_used + v_tokens > p_limit.max_tokens then
    r.reason := 'restriction_exceeded';
    r.message := format(
      'Limit reached: %s tokens requested, %s of %s per %s left%s',
      v_tokens, greatest(0, p_limit.max_tokens - p_limit.tokens_used), p_limit.max_tokens,
      substring(p_limit.duration::text from 3), ' for ' || p_limit.tag
    );
    if v_tokens <= p_limit.max_tokens then
      r.retry_at := p_limit.resets_at;
    end if;
  elsif p_transfer.grants_left < 0 then
    if p_account.payment_status <> 'active'
      and v_tokens <= greatest(0, p_account.quota_amount - p_quota_used) + p_transfer.grants_used + p_transfer.grants_left then
      r.reason := 'payment_inactive';
      r.message := format(
        'Not enough tokens: %s requested, and base quota is closed while payment is %s',
        v_tokens, p_account.payment_status
      );
    else
      r.reason := 'insufficient_tokens';
      r.message := format('Not enough tokens: %s requested, %s left', v_tokens, v_tokens + p_transfer.grants_left);
      if p_account.payment_status = 'active' and v_tokens <= p_account.quota_amount then
        r.retry_at := p_quota_resets_at;
      end if;
    end if;
  else
    return null;
  end if;

  r.success := false;
  r.tokens_consumed := 0;
  r.base_quota_used := 0;
  r.grants_used := 0;
  r.quota_left := p_transfer.quota_left + p_transfer.base_quota_used;
  r.grants_left := p_transfer.grants_left + p_transfer.grants_used;
  if p_limit.max_tokens is not null then
    r.nearest_limit := tollgate.limit_json(p_limit, 0);
  end if;
  r.request_id := p_transfer.request_id;
  r.replayed := false;
  r.user_id := p_transfer.user_id;
  r.created_at := p_transfer.created_at;
  return r;
end;
$$;

comment on function tollgate.denial_of(
  public.token_transfers, tollgate.accounts, tollgate.limit_state, bigint, timestamptz
) is
  'The denial of a transfer that would pass a restriction or overdraw the grants, or null where neither is so.';

create function tollgate.find_replay(
  p_user_id uuid,
  p_request_id text,
  p_amount bigint,
  p_tag_id uuid,
  p_metadata jsonb
)
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
  if found and (
    v_transfer.amount <> p_amount
    or v_transfer.tag_id is distinct from p_tag_id
    or v_transfer.metadata is distinct from p_metadata
  ) then
    raise exception using
      errcode = 'TG006',
      message = format('The request id %L was used for another request of this user', p_request_id),
      hint = 'Repeat a request with exactly the same parameters, or use a new request id.';
  end if;
  return v_transfer;
end;
$$;

comment on function tollgate.find_replay(uuid, text, bigint, uuid, jsonb) is
  'The transfer to which a request id was applied before, or null. Raises TG006 where it was another request.';

create function tollgate.draw_grants(
  p_user_id uuid, p_transfer_number bigint, p_tokens bigint, p_at timestamptz
)
returns void
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_needed bigint := p_tokens;
  v_taken bigint;
  v_grant record;
begin
  for v_grant in
    select g.id, g.token_amount - g.tokens_used as tokens_left
    from public.user_token_grants g
    where g.user_id = p_user_id and not g.is_spent and coalesce(g.expires_at, 'infinity') > p_at
    order by coalesce(g.expires_at, 'infinity'), g.created_at, g.id
  loop
    v_taken := least(v_needed, v_grant.tokens_left);
    update public.user_token_grants g
    set tokens_used = g.tokens_used + v_taken, is_spent = (v_taken = v_grant.tokens_left)
    where g.user_id = p_user_id and g.id = v_grant.id;
    insert into public.user_token_grants_consume
      (user_id, transfer_number, user_token_grants_id, token_deduction, created_at)
    values (p_user_id, p_transfer_number, v_grant.id, v_taken, p_at);
    v_needed := v_needed - v_taken;
    exit when v_needed = 0;
  end loop;
  if v_needed > 0 then
    raise exception using
      errcode = 'serialization_failure',
      message = 'A grant was ended by hand while this call drew on it',
      hint = 'Call again; nothing was written.';
  end if;
end;
$$;

comment on function tollgate.draw_grants(uuid, bigint, bigint, timestamptz) is
  'Takes tokens from the grants in force, first in, first out by expiry, never-expiring last.';

create function tollgate.draw_quota(
  p_account tollgate.accounts, p_tokens bigint, p_period_start timestamptz, p_period_end timestamptz
)
returns void
language plpgsql
volatile
security invoker
set search_path = ''
as $$
begin
  update public.user_quota_usage q
  set tokens_used = q.tokens_used + p_tokens, token_amount = p_account.quota_amount
  where q.user_id = p_account.user_id
    and q.quota_id = p_account.quota_id
    and q.period_start = p_period_start;
  if not found then
    insert into public.user_quota_usage
      (user_id, quota_id, period_start, period_end, token_amount, tokens_used)
    values (
      p_account.user_id, p_account.quota_id, p_period_start, p_period_end,
      p_account.quota_amount, p_tokens
    );
  end if;
end;
$$;

comment on function tollgate.draw_quota(tollgate.accounts, bigint, timestamptz, timestamptz) is
  'Takes tokens from the base quota of a period.';

create function tollgate.save_usage(p_usage public.user_usage, p_tag_usage public.user_tag_usage, p_tokens bigint)
returns void
language plpgsql
volatile
security invoker
set search_path = ''
as $$
begin
  update public.user_usage u
  set
    time_zone = p_usage.time_zone,
    hour_start = p_usage.hour_start,
    day_start = p_usage.day_start,
    week_start = p_usage.week_start,
    month_start = p_usage.month_start,
    hour_end = p_usage.hour_end,
    day_end = p_usage.day_end,
    week_end = p_usage.week_end,
    month_end = p_usage.month_end,
    hour_used = p_usage.hour_used + p_tokens,
    day_used = p_usage.day_used + p_tokens,
    week_used = p_usage.week_used + p_tokens,
    month_used = p_usage.month_used + p_tokens,
    last_transfer_number = p_usage.last_transfer_number,
    last_transfer_at = p_usage.last_transfer_at
  where u.user_id = p_usage.user_id;

  if p_tag_usage.tag_id is null then
    return;
  end if;
  update public.user_tag_usage t
  set
    time_zone = p_tag_usage.time_zone,
    hour_start = p_tag_usage.hour_start,
    day_start = p_tag_usage.day_start,
    week_start = p_tag_usage.week_start,
    month_start = p_tag_usage.month_start,
    hour_used = p_tag_usage.hour_used + p_tokens,
    day_used = p_tag_usage.day_used + p_tokens,
    week_used = p_tag_usage.week_used + p_tokens,
    month_used = p_tag_usage.month_used + p_tokens
  where t.user_id = p_tag_usage.user_id and t.tag_id = p_tag_usage.tag_id;
  if not found then
    insert into public.user_tag_usage (
      user_id, tag_id, time_zone, hour_start, day_start, week_start, month_start,
      hour_used, day_used, week_used, month_used
    )
    values (
      p_tag_usage.user_id, p_tag_usage.tag_id, p_tag_usage.time_zone,
      p_tag_usage.hour_start, p_tag_usage.day_start, p_tag_usage.week_start, p_tag_usage.month_start,
      p_tokens, p_tokens, p_tokens, p_tokens
    );
  end if;
end;
$$;

comment on function tollgate.save_usage(public.user_usage, public.user_tag_usage, bigint) is
  'Adds tokens to the running state of the windows, overall and of the tag, if any.';

create function tollgate.consume(
  p_project_id uuid,
  p_external_user_id text,
  p_tokens bigint,
  p_tag_id uuid,
  p_metadata jsonb,
  p_request_id text,
  p_at timestamptz default null
)
returns tollgate.receipt
language plpgsql
volatile
security definer
set search_path = ''
set enable_seqscan = off
as $$
declare
  v_user_id constant uuid := tollgate.tracked_user_id(p_project_id, p_external_user_id);
  v_created boolean := false;
  v_at timestamptz;
  v_account tollgate.accounts;
  v_usage public.user_usage;
  v_tag_usage public.user_tag_usage;
  v_limit tollgate.limit_state;
  v_quota record;
  v_from_quota bigint;
  v_from_grants bigint;
  v_transfer public.token_transfers;
  v_denial tollgate.receipt;
begin
  perform tollgate.require_consumer(v_user_id);
  perform tollgate.check_request(p_external_user_id, p_tokens, p_metadata, p_request_id);

  -- Lock alone, read afterwards: a statement that waited for a lock re-reads only the locked row.
  select * into v_usage from public.user_usage u where u.user_id = v_user_id for no key update;
  if not found then
    v_created := tollgate.create_user(p_project_id, p_external_user_id, coalesce(p_at, clock_timestamp()));
    select * into strict v_usage from public.user_usage u where u.user_id = v_user_id for no key update;
  end if;

  v_transfer := tollgate.find_replay(v_user_id, p_request_id, - p_tokens, p_tag_id, p_metadata);
  if v_transfer.user_id is not null then
    return tollgate.receipt_of(v_transfer, true);
  end if;

  -- One instant for the whole call, read under the lock; a user's time never runs backwards.
  v_at := greatest(coalesce(p_at, clock_timestamp()), v_usage.last_transfer_at);
  select * into strict v_account from tollgate.accounts a where a.user_id = v_user_id;
  v_usage := tollgate.usage_at(v_usage, v_account.time_zone, v_at);
  if p_tag_id is not null then
    perform from public.tags t where t.id = p_tag_id and t.project_id = p_project_id;
    if not found then
      raise exception using
        errcode = 'TG005',
        message = 'The tag is not known in this project',
        hint = 'Insert it into tags first, or correct the id.';
    end if;
    v_tag_usage := tollgate.tag_usage_at(v_usage, p_tag_id);
  end if;

  -- One restriction decides: of those exceeded the last to let this call through, else the nearest.
  select s.* into v_limit
  from public.plan_restrictions r
  cross join lateral tollgate.limit_state(r, v_usage, v_tag_usage) s
  where r.plan_id = v_account.plan_id and (r.tag_id is null or r.tag_id = p_tag_id)
  order by
    s.tokens_used + p_tokens > s.max_tokens desc,
    p_tokens > s.max_tokens desc,
    case when s.tokens_used + p_tokens > s.max_tokens then s.resets_at end desc,
    s.max_tokens - s.tokens_used
  limit 1;

  v_quota := tollgate.quota_at(v_account, v_at);
  v_from_quota := least(p_tokens, v_quota.tokens_left);
  v_from_grants := p_tokens - v_from_quota;

  v_transfer.user_id := v_user_id;
  v_transfer.transfer_number := v_usage.last_transfer_number + 1;
  v_transfer.amount := - p_tokens;
  v_transfer.transaction_type := 'consumption';
  v_transfer.tag_id := p_tag_id;
  v_transfer.base_quota_used := v_from_quota;
  v_transfer.grants_used := v_from_grants;
  v_transfer.quota_left := v_quota.tokens_left - v_from_quota;
  v_transfer.grants_left := tollgate.grants_left(v_user_id, v_at) - v_from_grants;
  v_transfer.request_id := p_request_id;
  v_transfer.metadata := p_metadata;
  v_transfer.created_at := v_at;

  v_denial := tollgate.denial_of(v_transfer, v_account, v_limit, v_quota.tokens_used, v_quota.period_end);
  if v_denial.reason is not null then
    if v_created then
      delete from public.tracked_users u where u.id = v_user_id;
    end if;
    return v_denial;
  end if;

  if v_from_quota > 0 then
    v_transfer.quota_id := v_account.quota_id;
    v_transfer.quota_period_start := v_quota.period_start;
    perform tollgate.draw_quota(v_account, v_from_quota, v_quota.period_start, v_quota.period_end);
  end if;
  if v_from_grants > 0 then
    perform tollgate.draw_grants(v_user_id, v_transfer.transfer_number, v_from_grants, v_at);
  end if;
  if v_limit.max_tokens is not null then
    v_transfer.nearest_limit := tollgate.limit_json(v_limit, p_tokens);
  end if;
  insert into public.token_transfers select v_transfer.*;
  v_usage.last_transfer_number := v_transfer.transfer_number;
  v_usage.last_transfer_at := v_at;
  perform tollgate.save_usage(v_usage, v_tag_usage, p_tokens);
  return tollgate.receipt_of(v_transfer, false);
end;
$$;

alter function tollgate.consume(uuid, text, bigint, uuid, jsonb, text, timestamptz) owner to tollgate_kernel;
comment on function tollgate.consume(uuid, text, bigint, uuid, jsonb, text, timestamptz) is
  'Takes 1 to 1e15 tokens from a user, all or nothing; an unknown user is created on the project''s default plan. A denial writes nothing. p_at places the call in time, for tests and demo data only. Raises TG001, TG004, TG005, TG006, TG008, TG009.';

create function tollgate.tag_id(p_project_id uuid, p_name text)
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

comment on function tollgate.tag_id(uuid, text) is 'The id of a project''s tag, null for null. Raises TG005.';

-- Volatile, to see what the statement that calls it has just written.
create function tollgate.sources_of(p_receipt tollgate.receipt)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
as $$
declare
  v_sources jsonb := '[]';
begin
  if p_receipt.base_quota_used > 0 then
    v_sources := jsonb_build_array(jsonb_build_object('type', 'quota', 'tokens', p_receipt.base_quota_used));
  end if;
  if p_receipt.grants_used > 0 then
    v_sources := v_sources || (
      select jsonb_agg(
        jsonb_build_object('type', 'grant', 'grant_id', c.user_token_grants_id, 'tokens', c.token_deduction)
        order by coalesce(g.expires_at, 'infinity'), g.created_at, g.id
      )
      from public.user_token_grants_consume c
      join public.user_token_grants g on g.user_id = c.user_id and g.id = c.user_token_grants_id
      where c.user_id = p_receipt.user_id and c.transfer_number = p_receipt.transfer_number
    );
  end if;
  return v_sources;
end;
$$;

comment on function tollgate.sources_of(tollgate.receipt) is
  'What paid for a consumption, in the order in which it was drawn on.';

revoke all on all functions in schema tollgate from public;
grant execute on function
tollgate.check_request(text, bigint, jsonb, text),
tollgate.create_user(uuid, text, timestamptz),
tollgate.receipt_of(public.token_transfers, boolean),
tollgate.denial_of(public.token_transfers, tollgate.accounts, tollgate.limit_state, bigint, timestamptz),
tollgate.find_replay(uuid, text, bigint, uuid, jsonb),
tollgate.draw_quota(tollgate.accounts, bigint, timestamptz, timestamptz),
tollgate.draw_grants(uuid, bigint, bigint, timestamptz),
tollgate.save_usage(public.user_usage, public.user_tag_usage, bigint)
to tollgate_kernel;
grant execute on function tollgate.consume(uuid, text, bigint, uuid, jsonb, text, timestamptz)
to authenticated, service_role;
grant execute on function tollgate.tag_id(uuid, text), tollgate.sources_of(tollgate.receipt) to service_role;
