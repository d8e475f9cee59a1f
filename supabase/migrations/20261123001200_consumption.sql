-- Consumption: check the request, lock the user -> find a replay -> open the account (open_account) ->
-- decide -> book -> record. A check stops before the last step, a batch does the middle ones for each
-- item, and a hold, a settlement, a refund go through the same steps.

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
  return case
    when p_external_user_id is null or char_length(p_external_user_id) not between 1 and 255
      then 'The external user id must have 1 to 255 characters'
    when p_tokens is null or p_tokens not between p_minimum and 1000000000000000
      then format('The number of tokens must be a whole number from %s to 1000000000000000', p_minimum)
    when jsonb_typeof(p_metadata) <> 'object' then 'metadata must be a JSON object'
    -- Much deeper, the API could not answer it any more.
    when p_metadata @? 'strict $.**{32} ? (@.type() == "object" || @.type() == "array")'
      then 'metadata must be at most 32 levels deep'
    -- The API allows 16 KiB without the spaces that Postgres writes between members.
    when octet_length(p_metadata::text) > 32768 then 'metadata must not be longer than 32768 bytes'
    when char_length(p_request_id) not between 1 and 255 or p_request_id ~ '[^\x20-\x7e]'
      then 'The request id must have 1 to 255 printable ASCII characters'
  end;
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
  perform tollgate.refuse('unknown_user', p_external_user_id);
end;
$$;

comment on function tollgate.refuse_unknown_user(uuid, text) is
  'Says that a user is not known, TG004, or that the project is not, TG009.';

create function tollgate.create_user(
  p_project_id uuid, p_external_user_id text, p_at timestamptz, p_plan_id uuid default null
)
returns void
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_plan_id uuid := p_plan_id;
begin
  if v_plan_id is null then
    select p.default_plan_id into v_plan_id from public.projects p where p.id = p_project_id;
  end if;
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

comment on function tollgate.create_user(uuid, text, timestamptz, uuid) is
  'Creates a user, whose lock the caller holds, on a plan, the project''s default one if null. Raises TG004, TG009.';

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
begin
  return row(
    true,
    p_requested,
    - p_transfer.amount,
    p_transfer.base_quota_used,
    p_transfer.grants_used,
    format(
      'Consumed %s tokens: %s from base quota, %s from grants',
      concat(- p_transfer.amount, case when - p_transfer.amount < p_requested then ' of ' || p_requested end),
      p_transfer.base_quota_used, p_transfer.grants_used
    ),
    null,
    null,
    0,
    null,
    p_external_id,
    p_transfer.quota_left,
    p_transfer.grants_left,
    p_transfer.tokens_held,
    tollgate.sources_json(p_sources),
    p_transfer.nearest_limit,
    p_transfer.transfer_number,
    p_transfer.request_id,
    p_replayed,
    p_transfer.created_at
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

create function tollgate.consume_hash(p_request tollgate.request)
returns bigint
language plpgsql
immutable
security invoker
set search_path = ''
as $$
begin
  return case when p_request.request_id is not null then hash_record_extended(
    row(
      'consumption'::text, p_request.tokens, p_request.mode = 'up_to', p_request.tag_id, p_request.unknown_tag,
      p_request.metadata
    ), 0
  ) end;
end;
$$;

comment on function tollgate.consume_hash(tollgate.request) is
  'The request_hash of a consumption: equal for equal parameters, in a batch or alone; null without a request id.';

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
    return row(
      p_account, null, null, tollgate.denial_of(p_account, d, p_request.tokens, p_request.request_id)
    )::tollgate.attempt;
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
    t.quota_id := (p_account.plan_quota).id;
    t.quota_period_start := (p_account.quota).period_start;
  end if;
  l.tokens_used := l.tokens_used + d.tokens;
  t.nearest_limit := tollgate.limit_json(l);
  v_sources := tollgate.split(p_account, d, p_request.tag_id);
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
  'Answers a request, in memory: nothing is written.';

create function tollgate.open_account(
  p_project_id uuid,
  p_user_id uuid,
  p_external_id text,
  p_tag_ids uuid[],
  p_at timestamptz,
  p_but_hold bigint default null
)
returns tollgate.account
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  a tollgate.account := tollgate.account_at(
    p_project_id, p_user_id, p_external_id, p_tag_ids, p_at, p_but_hold
  );
begin
  if a.due_grants is not null then
    -- With all holds, since each transfer shows what was left after it.
    perform tollgate.book_due_grants(case
      when p_but_hold is null then a
      else tollgate.account_at(p_project_id, p_user_id, p_external_id, p_tag_ids, a.at)
    end);
    a := tollgate.account_at(p_project_id, p_user_id, p_external_id, p_tag_ids, a.at, p_but_hold);
  end if;
  return a;
end;
$$;

comment on function tollgate.open_account(uuid, uuid, text, uuid[], timestamptz, bigint) is
  'The account of a user whose lock the caller holds, to be written: grants that were due are written down first, whatever becomes of the call.';

create function tollgate.account_for(
  p_project_id uuid, p_user_id uuid, p_external_user_id text, p_tag_id uuid, p_at timestamptz,
  p_but_hold bigint default null, p_read_only boolean default false
)
returns tollgate.account
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_at constant timestamptz := coalesce(p_at, clock_timestamp());
  a tollgate.account;
begin
  if p_read_only then
    a := tollgate.account_at(p_project_id, p_user_id, p_external_user_id, array[p_tag_id], v_at);
    -- Transfers of due grants would come first.
    a.usage.last_transfer_number := (a.usage).last_transfer_number + coalesce(cardinality(a.due_grants), 0);
  else
    a := tollgate.open_account(p_project_id, p_user_id, p_external_user_id, array[p_tag_id], v_at, p_but_hold);
  end if;
  if a.user_id is null then
    perform tollgate.refuse_unknown_user(p_project_id, p_external_user_id);
  end if;
  if p_tag_id is not null
    and not exists (select from public.tags t where t.id = p_tag_id and t.project_id = p_project_id) then
    raise exception using
      errcode = 'TG005',
      message = 'The tag is not known in this project',
      hint = 'Insert it into tags first, or correct the id.';
  end if;
  return a;
end;
$$;

comment on function tollgate.account_for(uuid, uuid, text, uuid, timestamptz, bigint, boolean) is
  'One user''s account, now or at p_at, to be written unless p_read_only. Raises TG004, TG005, TG009.';

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
  v_usage public.user_usage;
  v_request tollgate.request;
  v_receipt public.receipt;
  v_attempt tollgate.attempt;
  t public.token_transfers;
begin
  -- Both ask this themselves: asked first, it saves most calls two statements.
  if not tollgate.is_trusted() then
    perform tollgate.require_consumer(v_user_id);
  end if;
  if tollgate.problem_of(p_external_user_id, p_tokens, p_metadata, p_request_id) is not null then
    perform tollgate.check_request(p_external_user_id, p_tokens, p_metadata, p_request_id);
  end if;
  if not p_check_only then
    v_usage := tollgate.lock_user(v_user_id);
  end if;

  v_request := row(
    null, v_user_id, p_external_user_id, p_tokens, p_mode, p_tag_id, p_metadata, p_request_id, null, null
  );
  if p_request_id is not null then
    v_request.request_hash := tollgate.consume_hash(v_request);
    t := tollgate.find_replay(v_user_id, p_request_id, v_request.request_hash);
    if t.user_id is not null then
      return tollgate.receipt_of(t, p_external_user_id, p_tokens, tollgate.sources_of(t), true);
    end if;
  end if;

  if v_usage.user_id is not null and p_mode = 'all_or_nothing' then
    v_receipt := tollgate.consume_plainly(p_project_id, v_usage, v_request, p_at);
    if v_receipt.success then
      return v_receipt;
    end if;
  end if;

  v_attempt := tollgate.attempt(
    tollgate.account_for(
      p_project_id, v_user_id, p_external_user_id, p_tag_id, p_at, p_read_only => p_check_only
    ),
    v_request
  );
  t := v_attempt.transfer;
  if t.user_id is not null and not p_check_only then
    if v_usage.user_id is null then
      perform tollgate.create_user(p_project_id, p_external_user_id, t.created_at);
    end if;
    perform tollgate.record(
      array[t],
      case when t.grants_used > 0 then tollgate.draws_of(t, v_attempt.sources) end,
      array[(v_attempt.account).usage],
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
  'Takes 1 to 1e15 tokens from a user; an unknown user is created on the project''s default plan. A denial writes nothing but grants that were due. p_check_only answers the same, without locking or writing anything. p_at places the call in time, for tests and demo data only. Raises TG001, TG004, TG005, TG006, TG008, TG009.';

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
  if not tollgate.is_trusted() then
    -- Whose user it is not must not learn the project's tags.
    perform tollgate.require_consumer(tollgate.tracked_user_id(p_project_id, p_external_user_id));
  end if;
  select t.id into v_id from public.tags t where t.project_id = p_project_id and t.name = p_name;
  if not found then
    perform tollgate.refuse('unknown_tag', p_name);
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
tollgate.create_user(uuid, text, timestamptz, uuid),
tollgate.receipt_of(public.token_transfers, text, bigint, public.token_source[], boolean),
tollgate.denial_of(tollgate.account, tollgate.decision, bigint, text),
tollgate.consume_hash(tollgate.request),
tollgate.attempt(tollgate.account, tollgate.request),
tollgate.open_account(uuid, uuid, text, uuid[], timestamptz, bigint),
tollgate.account_for(uuid, uuid, text, uuid, timestamptz, bigint, boolean)
to tollgate_kernel;
grant execute on function
tollgate.consume(uuid, text, bigint, uuid, jsonb, text, timestamptz, public.consume_mode, boolean),
tollgate.tag_id(uuid, text, text)
to authenticated, service_role;
