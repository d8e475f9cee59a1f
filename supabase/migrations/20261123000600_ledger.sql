-- The ledger. token_transfers and user_token_grants_consume are append-only and the truth;
-- what is left of a grant, of a quota period, of a window is running state, written in the
-- same transaction and recomputed by verify_ledger(). Only tollgate_kernel writes here.
--
-- Every key begins with user_id and no row refers to another user's: the tables can be
-- distributed by user_id. Audit rows have no foreign keys: they cost a third of a call, and
-- nobody but the kernel can insert them. For the same reason the tables of the hot path have one
-- short check each: Postgres parses every check anew for every statement, and one that said all that
-- verify_ledger() says about a transfer took a tenth of a call.

create type public.grant_type as enum ('trial', 'bonus', 'purchase', 'refund', 'adjustment', 'rollover');
comment on type public.grant_type is 'Why tokens are given.';
create type public.transaction_type as enum (
  'grant', 'consumption', 'hold', 'extension', 'release', 'refund', 'void', 'account_change'
);
comment on type public.transaction_type is
  'grant adds tokens, consumption takes them (also when it settles a hold), refund gives some back, void ends a grant and takes its rest; hold, extension and release only set tokens aside or free them; account_change moves none: it says what changed of plan, payment, anchor or zone.';

create type public.token_source as (grant_id uuid, tokens bigint, tokens_left bigint);
comment on type public.token_source is
  'What pays: a grant, or the base quota where grant_id is null; how many tokens, and what is then left in it.';

create table public.user_token_grants (
  user_id uuid not null references public.tracked_users (id),
  id uuid not null default gen_random_uuid(),
  token_amount public.token_amount not null,
  tokens_used bigint not null default 0,
  is_spent boolean not null default false,
  grant_type public.grant_type not null,
  effective_at timestamptz,
  expires_at timestamptz,
  voided_at timestamptz,
  priority smallint not null default 50,
  tag_ids uuid[],
  cost_basis bigint,
  cost_currency text,
  recurring_grant_id uuid,
  refund_of bigint,
  request_id text,
  metadata jsonb,
  created_at timestamptz not null default clock_timestamp(),
  primary key (user_id, id),
  constraint used_is_0_to_amount check (
    token_amount >= 1 and tokens_used between 0 and token_amount and is_spent = (tokens_used = token_amount)
  )
)
with (fillfactor = 50);
-- What else must hold of a grant is checked by a trigger, once: a CHECK is parsed for every update.

-- FIFO order of what can still be spent. Spent grants leave it and expired ones are skipped by
-- its range, so a call costs the same with any history. is_spent changes once in a grant's
-- life: an index on tokens_used itself would end heap-only updates.
create index idx_user_token_grants_expires
on public.user_token_grants (user_id, coalesce(voided_at, expires_at, 'infinity'), created_at, id)
where not is_spent;

-- Finds the grants of a tag when the tag is deleted. Few grants are for some tags only.
create index idx_user_token_grants_tags on public.user_token_grants using gin (tag_ids)
where tag_ids is not null;
comment on table public.user_token_grants is
  'Tokens given to a user. Inserting a row books its transfer; spent by priority, then first in, first out by expiry.';
comment on column public.user_token_grants.user_id is
  'The user who may spend the tokens, a row of tracked_users. Fixed.';
comment on column public.user_token_grants.id is 'The grant.';
comment on column public.user_token_grants.grant_type is 'Why the tokens were given. Fixed.';
comment on column public.user_token_grants.metadata is 'The caller''s own context, an object. Fixed.';
comment on column public.user_token_grants.created_at is
  'When the tokens were given; of two grants of one priority that expire together the older is spent first.';
comment on column public.user_token_grants.token_amount is 'Tokens given, 1 to 1e15. Fixed.';
comment on column public.user_token_grants.tokens_used is 'Tokens spent so far; written by the kernel only.';
comment on column public.user_token_grants.is_spent is 'Whether all tokens are spent; written by the kernel only.';
comment on column public.user_token_grants.expires_at is
  'From this instant on the rest cannot be spent. Empty: never expires, and is spent last of its priority. May be changed.';
comment on column public.user_token_grants.effective_at is
  'From this instant on the tokens can be spent. Empty: from now on. Fixed.';
comment on column public.user_token_grants.voided_at is
  'From this instant on the rest cannot be spent: see void_grant(). Written by the kernel only.';
comment on column public.user_token_grants.priority is
  '1 to 100, 50 if left out: grants of a lower number are spent first. Fixed.';
comment on column public.user_token_grants.tag_ids is
  'The tags that the tokens can be spent on, rows of tags. Empty: on anything. Fixed.';
comment on column public.user_token_grants.cost_basis is
  'What was paid for all the tokens, in the smallest unit of cost_currency, such as cents. Fixed.';
comment on column public.user_token_grants.cost_currency is 'ISO 4217, such as EUR. Fixed.';
comment on column public.user_token_grants.recurring_grant_id is
  'The row of recurring_grants, or for type rollover of plan_quotas, that this grant comes of; filled.';
comment on column public.user_token_grants.refund_of is
  'Number of the refund that made this grant of tokens whose source had lapsed; empty for all other grants.';
comment on column public.user_token_grants.request_id is 'The caller''s idempotency key, if any.';

create table public.user_token_grants_consume (
  user_id uuid not null,
  transfer_number bigint not null,
  user_token_grants_id uuid not null,
  token_deduction bigint not null,
  tokens_left bigint not null,
  created_at timestamptz not null,
  position smallint not null,
  primary key (user_id, transfer_number, position),
  constraint tokens_left_is_0_or_more check (tokens_left >= 0)
);

comment on table public.user_token_grants_consume is
  'Append-only: which transfer took how many tokens from which grant, or gave them back.';
comment on column public.user_token_grants_consume.user_id is 'The user, a row of tracked_users.';
comment on column public.user_token_grants_consume.transfer_number is
  'The consumption or refund, a row of token_transfers.';
comment on column public.user_token_grants_consume.user_token_grants_id is
  'The grant that paid, a row of user_token_grants.';
comment on column public.user_token_grants_consume.token_deduction is
  'Tokens taken from the grant; negative where a refund gave them back.';
comment on column public.user_token_grants_consume.tokens_left is
  'What could then still be spent of the grant: 0 where it had expired.';
comment on column public.user_token_grants_consume.position is
  'Place in the order in which the grants of a transfer were drawn on: 1, 2, 3, ...';
comment on column public.user_token_grants_consume.created_at is 'The instant of the transfer.';

create table public.user_quota_usage (
  user_id uuid not null references public.tracked_users (id),
  quota_id uuid not null references public.plan_quotas (id),
  period_start timestamptz not null,
  period_end timestamptz not null,
  token_amount public.token_amount not null,
  is_fixed boolean not null default false,
  tokens_used bigint not null,
  begun_at timestamptz not null default now(),
  cut_from timestamptz,
  primary key (user_id, quota_id, period_start),
  constraint period_has_a_length check (period_start < period_end),
  constraint used_is_0_to_amount check (tokens_used between 0 and token_amount)
)
with (fillfactor = 80);

-- Finds usage when a quota is deleted. With all columns of the primary key: the planner takes either for a
-- user's row, and with fewer it might read all rows of a quota.
create index idx_user_quota_usage_quota on public.user_quota_usage (quota_id, user_id, period_start);

comment on table public.user_quota_usage is
  'Base quota used, a row for each period of which some was used or held, or that a change of plan began.';
comment on column public.user_quota_usage.user_id is 'The user.';
comment on column public.user_quota_usage.quota_id is 'The quota.';
comment on column public.user_quota_usage.period_start is 'First instant of the period.';
comment on column public.user_quota_usage.period_end is 'First instant after the period.';
comment on column public.user_quota_usage.cut_from is
  'When the period was to end, where a change of plan ended it before.';
comment on column public.user_quota_usage.begun_at is
  'When the row was made: by the first call that drew on the period, set some of it aside, or wrote down what rolls over into it.';
comment on column public.user_quota_usage.tokens_used is 'Tokens used in the period, 0 to token_amount.';
comment on column public.user_quota_usage.token_amount is
  'The quota''s size in the period, when it was last drawn on.';
comment on column public.user_quota_usage.is_fixed is
  'Whether a change of plan fixed token_amount until the period ends; otherwise it follows plan_quotas.';

create table public.token_transfers (
  user_id uuid not null,
  transfer_number bigint not null,
  amount bigint not null,
  transaction_type public.transaction_type not null,
  tag_id uuid,
  user_token_grants_id uuid,
  quota_id uuid,
  quota_period_start timestamptz,
  base_quota_used bigint not null default 0,
  grants_used bigint not null default 0,
  quota_left bigint not null,
  grants_left bigint not null,
  tokens_held bigint not null,
  refers_to bigint,
  counted_at timestamptz,
  hold_expires_at timestamptz,
  nearest_limit jsonb,
  request_id text,
  request_hash bigint,
  api_key_id uuid,
  metadata jsonb,
  created_at timestamptz not null,
  hash bytea,
  primary key (user_id, transfer_number),
  constraint nothing_left_is_0_or_more check (least(quota_left, grants_left, tokens_held) >= 0)
);

-- A request id is applied once.
create unique index idx_token_transfers_request
on public.token_transfers (user_id, request_id) where request_id is not null;

-- The refunds of a consumption are found by it. Few transfers refer to another.
create index idx_token_transfers_refers_to
on public.token_transfers (user_id, refers_to) where refers_to is not null;

-- What a user's account was in the past is found by its changes. Few transfers are changes.
create index idx_token_transfers_account_changes
on public.token_transfers (user_id, transfer_number) where transaction_type = 'account_change';

comment on table public.token_transfers is
  'Append-only audit trail: + for grants and refunds, - for consumption and voids, 0 for steps of a hold and changes of the account; numbered 1, 2, 3, ... for each user.';
comment on column public.token_transfers.user_id is 'The user, a row of tracked_users.';
comment on column public.token_transfers.transfer_number is '1, 2, 3, ... for each user, without gaps.';
comment on column public.token_transfers.amount is
  'Tokens: positive for a grant or refund, negative for a consumption or void, 0 for all else.';
comment on column public.token_transfers.transaction_type is 'What happened.';
comment on column public.token_transfers.tag_id is 'What the tokens were spent on, a row of tags.';
comment on column public.token_transfers.user_token_grants_id is
  'The grant that was made or voided, a row of user_token_grants; for a refund only where it made one.';
comment on column public.token_transfers.quota_id is 'The quota that paid, a row of plan_quotas.';
comment on column public.token_transfers.quota_period_start is
  'The period that paid, a row of user_quota_usage.';
comment on column public.token_transfers.base_quota_used is
  'Tokens that the base quota paid; negative where it got them back.';
comment on column public.token_transfers.grants_used is
  'Tokens that grants paid, split up in user_token_grants_consume; negative where they got them back.';
comment on column public.token_transfers.created_at is
  'The instant of the transfer, read under the user''s lock.';
comment on column public.token_transfers.quota_left is 'Base quota left after this transfer, in the current period.';
comment on column public.token_transfers.grants_left is 'Tokens left in grants in force after this transfer.';
comment on column public.token_transfers.tokens_held is
  'Tokens in open holds after this transfer; they are not in quota_left and grants_left.';
comment on column public.token_transfers.refers_to is
  'Number of the hold that this settles, extends or releases, or of the consumption that it refunds.';
comment on column public.token_transfers.counted_at is
  'The instant in whose windows the tokens count, where it is not created_at: that of the hold, or of the consumption.';
comment on column public.token_transfers.hold_expires_at is
  'Until when the hold that this made or extended was to last.';
comment on column public.token_transfers.nearest_limit is
  'The restriction with the least left after this transfer, as in the receipt.';
comment on column public.token_transfers.request_id is 'The caller''s idempotency key.';
comment on column public.token_transfers.request_hash is
  'Hash of the parameters of the request, by which a repetition is told from another request.';
comment on column public.token_transfers.api_key_id is 'The API key of the request, a row of api_keys, if it came with one.';
comment on column public.token_transfers.hash is
  'SHA-256 of the hash before it and of this transfer, where the project is tamper_evident.';
comment on column public.token_transfers.metadata is
  'The caller''s own context, an object; of an account_change, what was before and after.';

create table public.token_holds (
  user_id uuid not null,
  transfer_number bigint not null,
  token_amount public.token_amount not null,
  tag_id uuid,
  quota_id uuid,
  quota_period_start timestamptz,
  sources public.token_source[] not null,
  placed_by uuid,
  ended_by bigint,
  expires_at timestamptz not null,
  created_at timestamptz not null,
  primary key (user_id, transfer_number),
  constraint hold_has_tokens_and_an_end check (
    token_amount >= 1 and expires_at > created_at and cardinality(sources) >= 1
  )
);

-- Open holds of a user. Expired ones are skipped by its range, with nothing having to remove them.
create index idx_token_holds_open on public.token_holds (user_id, expires_at) where ended_by is null;

comment on table public.token_holds is
  'Tokens set aside before the real amount is known: open until settled or released, or until expires_at. See open_holds.';
comment on column public.token_holds.user_id is 'The user.';
comment on column public.token_holds.transfer_number is 'The transfer that made the hold, a row of token_transfers.';
comment on column public.token_holds.token_amount is 'Tokens set aside.';
comment on column public.token_holds.tag_id is 'What the tokens will be spent on.';
comment on column public.token_holds.quota_id is 'The quota that tokens are set aside of, if any.';
comment on column public.token_holds.quota_period_start is 'The period of that quota.';
comment on column public.token_holds.sources is
  'Where the tokens are set aside, in the order in which settling charges them.';
comment on column public.token_holds.placed_by is
  'The signed-in user who placed the hold, who alone of users may end it; empty where a backend did.';
comment on column public.token_holds.ended_by is
  'Number of the transfer that settled or released the hold; empty while it is open, and for ever where it expired.';
comment on column public.token_holds.expires_at is
  'From this instant on the hold counts no more, unless it was settled or released before.';
comment on column public.token_holds.created_at is
  'When the tokens were set aside: in the windows of this instant they count, also when settled.';

-- What comes again by itself: occurrences count as grants when they are due, see due_occurrences(), and are
-- written down by the next call that writes, see open_account().
create table public.recurring_grants (
  user_id uuid not null references public.tracked_users (id) on delete cascade,
  id uuid not null default gen_random_uuid(),
  token_amount public.token_amount not null,
  grant_type public.grant_type not null,
  every public.period not null,
  starts_at timestamptz not null default clock_timestamp(),
  ends_at timestamptz,
  valid_for public.period,
  priority smallint not null default 50,
  tag_ids uuid[],
  request_id text,
  request_hash bigint,
  metadata jsonb,
  occurrences_booked integer not null default 0,
  created_at timestamptz not null default clock_timestamp(),
  primary key (user_id, id),
  constraint amount_is_1_or_more check (token_amount >= 1),
  constraint ends_at_is_not_before_starts_at check (ends_at >= starts_at),
  constraint priority_is_1_to_100 check (priority between 1 and 100)
);

create unique index idx_recurring_grants_request
on public.recurring_grants (user_id, request_id) where request_id is not null;

create index idx_recurring_grants_tags on public.recurring_grants using gin (tag_ids)
where tag_ids is not null;

comment on table public.recurring_grants is
  'Grants that a user gets again and again: 500 tokens every week until June. No job makes them: an occurrence counts from its instant on, and is written down by the user''s next call that spends or changes something.';
comment on column public.recurring_grants.user_id is 'The user, a row of tracked_users. Fixed.';
comment on column public.recurring_grants.id is 'The recurring grant.';
comment on column public.recurring_grants.token_amount is 'Tokens each time, 1 to 1e12. Fixed.';
comment on column public.recurring_grants.grant_type is 'Why the tokens are given. Fixed.';
comment on column public.recurring_grants.every is 'How often. Fixed.';
comment on column public.recurring_grants.starts_at is
  'The first time, and what the others are counted from, by the user''s clocks. Fixed.';
comment on column public.recurring_grants.ends_at is
  'From this instant on there are no more: set it to now() to stop. Empty: without end.';
comment on column public.recurring_grants.valid_for is
  'How long the tokens of one time can be spent. Empty: for ever. Fixed.';
comment on column public.recurring_grants.priority is 'As of user_token_grants. Fixed.';
comment on column public.recurring_grants.tag_ids is 'As of user_token_grants. Fixed.';
comment on column public.recurring_grants.request_id is 'The caller''s idempotency key, if any.';
comment on column public.recurring_grants.request_hash is
  'Hash of the parameters of the request, by which a repetition is told from another request.';
comment on column public.recurring_grants.metadata is 'The caller''s own context, an object. Fixed.';
comment on column public.recurring_grants.occurrences_booked is
  'How many times have been written down as grants, or had lapsed by then; written by the kernel only.';
comment on column public.recurring_grants.created_at is 'When the row was made.';

-- Running state. A user's row here is also the lock that all calls of that user queue for.
create type public.limit_usage as (
  counter_id uuid,
  starts_at timestamptz,
  ends_at timestamptz,
  tokens_used bigint
);
comment on type public.limit_usage is
  'What a restriction counts, by its counter_id: the tokens used from starts_at on, valid until ends_at, when the window ends or, of a rolling one, moves on.';

create table public.user_usage (
  user_id uuid primary key references public.tracked_users (id) on delete cascade,
  time_zone text not null default '',
  week_start public.weekday not null default 'monday',
  due_at timestamptz not null default 'infinity',
  last_transfer_number bigint not null default 0,
  not_before timestamptz not null default '-infinity',
  last_hash bytea,
  limits public.limit_usage[] not null default '{}'
)
with (fillfactor = 50);

comment on table public.user_usage is
  'Running state: what the restrictions of the user''s plan count, at the last transfer. Recomputable from token_transfers.';
comment on column public.user_usage.user_id is 'The user.';
comment on column public.user_usage.time_zone is 'The zone by which windows were cut.';
comment on column public.user_usage.week_start is 'The day on which weeks began.';
comment on column public.user_usage.due_at is 'From when on calls must look for recurring grants that are due; infinity where none is to come.';
comment on column public.user_usage.last_transfer_number is 'Number of the user''s newest transfer.';
comment on column public.user_usage.not_before is
  'Nothing more of the user is dated before it: the instant of the newest transfer, or of the newest quota period where that began without one.';
comment on column public.user_usage.last_hash is 'Hash of the user''s newest transfer, if it has one.';
comment on column public.user_usage.limits is
  'The counts of restrictions. One that is not here is summed up from user_usage_buckets when it is needed.';

-- Usage by quarters of an hour: what windows are counted and usage is reported from. Every time zone's
-- hours and days begin on a quarter. The nil uuid stands for no tag and no API key.
create table public.user_usage_buckets (
  user_id uuid not null,
  starts_at timestamptz not null,
  tag_id uuid not null,
  api_key_id uuid not null,
  calls bigint not null,
  tokens_used bigint not null,
  base_quota_used bigint not null,
  grants_used bigint not null,
  primary key (user_id, starts_at, tag_id, api_key_id)
)
with (fillfactor = 80);

comment on table public.user_usage_buckets is
  'Running state: usage of each quarter of an hour, by tag and API key, less what was refunded of it. Recomputable from token_transfers. See get_usage().';
comment on column public.user_usage_buckets.user_id is 'The user, a row of tracked_users.';
comment on column public.user_usage_buckets.starts_at is 'First instant of the quarter of an hour.';
comment on column public.user_usage_buckets.tag_id is 'The tag, a row of tags; the nil uuid for none.';
comment on column public.user_usage_buckets.api_key_id is 'The API key, a row of api_keys; the nil uuid for none.';
comment on column public.user_usage_buckets.calls is 'Consumptions and settlements.';
comment on column public.user_usage_buckets.tokens_used is 'Tokens used.';
comment on column public.user_usage_buckets.base_quota_used is 'Those that the base quota paid.';
comment on column public.user_usage_buckets.grants_used is 'Those that grants paid.';

create table public.user_tags (
  user_id uuid not null references public.tracked_users (id),
  tag_id uuid not null references public.tags (id),
  primary key (user_id, tag_id)
);

-- Finds a tag's history when the tag is deleted. With both columns: the planner takes either for a
-- user's row, and with fewer it might read all rows of a tag.
create index idx_user_tags_tag on public.user_tags (tag_id, user_id);

comment on table public.user_tags is 'Tags that a user has spent tokens on, or set some aside for.';
comment on column public.user_tags.user_id is 'The user.';
comment on column public.user_tags.tag_id is 'The tag.';

-- A new user gets its row of running state, whoever inserts the user.

create function tollgate.open_user_usage()
returns trigger
language plpgsql
volatile
security definer
set search_path = ''
as $$
begin
  insert into public.user_usage (user_id) values (new.id);
  return null;
end;
$$;

alter function tollgate.open_user_usage() owner to tollgate_kernel;
revoke all on function tollgate.open_user_usage() from public;

create trigger usage_is_opened
after insert on public.tracked_users
for each row execute function tollgate.open_user_usage();

-- Edits by hand, which bypass row level security in Studio.

create trigger kernel_writes
before insert or update or delete or truncate on public.token_transfers
for each statement when (current_user <> 'tollgate_kernel')
execute function tollgate.refuse_edit(
  'transfers are the audit trail',
  'Use consume_tokens() to take tokens, refund_tokens() to give some back.'
);

create trigger kernel_writes
before insert or update or delete or truncate on public.user_token_grants_consume
for each statement when (current_user <> 'tollgate_kernel')
execute function tollgate.refuse_edit('it is the audit trail', 'Use consume_tokens() to take tokens.');

create trigger kernel_writes
before insert or update or delete or truncate on public.user_quota_usage
for each statement when (current_user <> 'tollgate_kernel')
execute function tollgate.refuse_edit(
  'it is kept by consumption',
  'Use grant_tokens() to give more, or change plan_quotas.token_amount.'
);

create trigger kernel_writes
before insert or update or delete or truncate on public.user_usage_buckets
for each statement when (current_user <> 'tollgate_kernel')
execute function tollgate.refuse_edit(
  'it is kept by consumption', 'Use refund_tokens() to take a consumption back.'
);

create trigger kernel_writes
before insert or update or delete or truncate on public.user_tags
for each statement when (current_user <> 'tollgate_kernel')
execute function tollgate.refuse_edit('it is kept by consumption', 'Consume tokens for the tag.');

create trigger kernel_writes
before insert or update or delete or truncate on public.token_holds
for each statement when (current_user <> 'tollgate_kernel')
execute function tollgate.refuse_edit(
  'holds are part of the ledger', 'Use release_hold() or settle_hold() to end a hold.'
);

create trigger kernel_writes
before insert or update or truncate on public.user_usage
for each statement when (current_user <> 'tollgate_kernel')
execute function tollgate.refuse_edit(
  'it is kept by consumption', 'Change the restriction in plan_restrictions instead.'
);

create trigger grant_is_fixed
before delete or truncate on public.user_token_grants
for each statement
execute function tollgate.refuse_edit('grants are part of the ledger', 'Use void_grant() to end a grant.');

create trigger only_expiry_changes
before update of
  user_id, id, token_amount, tokens_used, is_spent, grant_type, effective_at, voided_at, priority,
  cost_basis, cost_currency, recurring_grant_id, refund_of, request_id, created_at
on public.user_token_grants
for each statement when (current_user <> 'tollgate_kernel')
execute function tollgate.refuse_edit(
  'a grant is part of the ledger', 'Use grant_tokens() for more tokens, void_grant() to end this grant.'
);

-- Studio's row editor sends JSON and array columns along, changed or not: so the values are compared.
-- After the update, since a row trigger before it would lock each row that a consumption draws on once more.
create trigger metadata_and_tags_are_fixed
after update of metadata, tag_ids on public.user_token_grants
for each row when (
  current_user <> 'tollgate_kernel'
  and (old.metadata, old.tag_ids) is distinct from (new.metadata, new.tag_ids)
)
execute function tollgate.refuse_edit(
  'a grant is part of the ledger', 'Use grant_tokens() for more tokens, void_grant() to end this grant.'
);

create trigger recurring_grants_stay
before delete or truncate on public.recurring_grants
for each statement when (pg_trigger_depth() = 0)
execute function tollgate.refuse_edit(
  'its past times are part of the ledger', 'Set ends_at to now() to stop it.'
);

create trigger only_the_end_changes
before update of
  user_id, id, token_amount, grant_type, every, starts_at, valid_for, priority, request_id,
  request_hash, occurrences_booked, created_at
on public.recurring_grants
for each statement when (current_user <> 'tollgate_kernel')
execute function tollgate.refuse_edit(
  'a recurring grant is fixed', 'Set ends_at to now() to stop it, and insert another.'
);

create trigger metadata_and_tags_are_fixed
before update of metadata, tag_ids on public.recurring_grants
for each row when (
  current_user <> 'tollgate_kernel'
  and (old.metadata, old.tag_ids) is distinct from (new.metadata, new.tag_ids)
)
execute function tollgate.refuse_edit(
  'a recurring grant is fixed', 'Set ends_at to now() to stop it, and insert another.'
);

create function tollgate.refuse_if_it_has_history()
returns trigger
language plpgsql
volatile
security definer
set search_path = ''
as $$
declare
  v_hint text;
begin
  case tg_table_name
    when 'tracked_users' then
      if exists (
        select from public.user_usage u where u.user_id = old.id and u.last_transfer_number > 0
      ) then
        v_hint := 'Set payment_status to canceled, or move the user to another plan.';
      end if;
    when 'user_usage' then
      -- The cascade from a deleted user arrives here when the user is gone already.
      if exists (select from public.tracked_users t where t.id = old.user_id) then
        v_hint := 'Delete the tracked user instead.';
      end if;
    when 'tags' then
      if exists (select from public.user_tags u where u.tag_id = old.id)
        or exists (select from public.user_token_grants g where g.tag_ids @> array[old.id])
        or exists (select from public.recurring_grants r where r.tag_ids @> array[old.id]) then
        v_hint := 'Rename the tag instead; delete its restrictions if they should no longer count.';
      end if;
    when 'plan_quotas' then
      if exists (select from public.user_quota_usage u where u.quota_id = old.id) then
        v_hint := 'Set token_amount to 0, or plan_type to pay_as_you_go.';
      end if;
  end case;
  if v_hint is not null then
    raise exception using
      errcode = 'TG007',
      message = format('This row of %I has history in the ledger and cannot be deleted', tg_table_name),
      hint = v_hint;
  end if;
  return old;
end;
$$;

comment on function tollgate.refuse_if_it_has_history() is
  'Trigger: keeps users, tags and quotas that the ledger refers to. Raises TG007.';
revoke all on function tollgate.refuse_if_it_has_history() from public;

create trigger history_stays before delete on public.tracked_users
for each row execute function tollgate.refuse_if_it_has_history();
create trigger history_stays before delete on public.user_usage
for each row execute function tollgate.refuse_if_it_has_history();
create trigger history_stays before delete on public.tags
for each row execute function tollgate.refuse_if_it_has_history();
create trigger history_stays before delete on public.plan_quotas
for each row execute function tollgate.refuse_if_it_has_history();

-- Who can see the user can see the user's rows; nobody writes them directly, but for grants.

alter table public.user_token_grants enable row level security;
alter table public.user_token_grants_consume enable row level security;
alter table public.user_quota_usage enable row level security;
alter table public.token_transfers enable row level security;
alter table public.token_holds enable row level security;
alter table public.user_usage enable row level security;
alter table public.user_usage_buckets enable row level security;
alter table public.user_tags enable row level security;
alter table public.recurring_grants enable row level security;

create policy "who sees the user reads grants" on public.user_token_grants
for select to authenticated using (exists (select from public.tracked_users t where t.id = user_id));
create policy "who sees the user reads grant consumption" on public.user_token_grants_consume
for select to authenticated using (exists (select from public.tracked_users t where t.id = user_id));
create policy "who sees the user reads quota usage" on public.user_quota_usage
for select to authenticated using (exists (select from public.tracked_users t where t.id = user_id));
create policy "who sees the user reads transfers" on public.token_transfers
for select to authenticated using (exists (select from public.tracked_users t where t.id = user_id));
create policy "who sees the user reads holds" on public.token_holds
for select to authenticated using (exists (select from public.tracked_users t where t.id = user_id));
create policy "who sees the user reads usage" on public.user_usage
for select to authenticated using (exists (select from public.tracked_users t where t.id = user_id));
create policy "who sees the user reads usage buckets" on public.user_usage_buckets
for select to authenticated using (exists (select from public.tracked_users t where t.id = user_id));
create policy "who sees the user reads tags of the user" on public.user_tags
for select to authenticated using (exists (select from public.tracked_users t where t.id = user_id));
create policy "who sees the user reads recurring grants" on public.recurring_grants
for select to authenticated using (exists (select from public.tracked_users t where t.id = user_id));

-- Transfers without the names of their tags would mislead the user who reads them.
create policy "members and users of a tag read tags" on public.tags
for select to authenticated
using (
  project_id in (select tollgate.my_projects('viewer'))
  or id in (
    select g.tag_id
    from public.tracked_users u
    join public.user_tags g on g.user_id = u.id
    where u.auth_user_id = (select auth.uid())
  )
);

create policy "admins add grants" on public.user_token_grants
for insert to authenticated with check (exists (
  select from public.tracked_users t
  where t.id = user_id and t.project_id in (select tollgate.my_projects('admin'))
));
create policy "admins change grants" on public.user_token_grants
for update to authenticated using (exists (
  select from public.tracked_users t
  where t.id = user_id and t.project_id in (select tollgate.my_projects('admin'))
));

create policy "admins add recurring grants" on public.recurring_grants
for insert to authenticated with check (exists (
  select from public.tracked_users t
  where t.id = user_id and t.project_id in (select tollgate.my_projects('admin'))
));
create policy "admins end recurring grants" on public.recurring_grants
for update to authenticated using (exists (
  select from public.tracked_users t
  where t.id = user_id and t.project_id in (select tollgate.my_projects('admin'))
));

revoke all
on public.user_token_grants, public.user_token_grants_consume, public.user_quota_usage,
public.token_transfers, public.token_holds, public.user_usage, public.user_usage_buckets, public.user_tags,
public.recurring_grants
from public, anon, authenticated, service_role;
grant select
on public.user_token_grants, public.user_token_grants_consume, public.user_quota_usage,
public.token_transfers, public.token_holds, public.user_usage, public.user_usage_buckets, public.user_tags,
public.recurring_grants
to authenticated, service_role, tollgate_kernel;
grant
  insert (
    user_id, token_amount, grant_type, effective_at, expires_at, priority, tag_ids, cost_basis, cost_currency,
    request_id, metadata
  ),
  update (expires_at)
on public.user_token_grants to authenticated, service_role;
grant
  insert (
    user_id, token_amount, grant_type, every, starts_at, ends_at, valid_for, priority, tag_ids, request_id, metadata
  ),
  update (ends_at)
on public.recurring_grants to authenticated, service_role;

grant insert on public.token_transfers, public.user_token_grants_consume, public.token_holds, public.user_tags
to tollgate_kernel;
grant update (ended_by, expires_at) on public.token_holds to tollgate_kernel;
grant insert, update (tokens_used, is_spent, voided_at) on public.user_token_grants to tollgate_kernel;
grant delete on public.user_quota_usage to tollgate_kernel;
grant insert, update on public.user_quota_usage, public.user_usage, public.user_usage_buckets, public.recurring_grants
to tollgate_kernel;
