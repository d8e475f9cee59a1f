-- The ledger. token_transfers and user_token_grants_consume are append-only and the truth;
-- what is left of a grant, of a quota period, of a window is running state, written in the
-- same transaction and recomputed by verify_ledger(). Only tollgate_kernel writes here.
--
-- Every key begins with user_id and no row refers to another user's: the tables can be
-- distributed by user_id. Audit rows have no foreign keys: they cost a third of a call, and
-- nobody but the kernel can insert them. For the same reason the tables of the hot path have one
-- short check each: Postgres parses every check anew for every statement, and one that said all that
-- verify_ledger() says about a transfer took a tenth of a call.

create type public.grant_type as enum ('trial', 'bonus', 'purchase', 'refund', 'adjustment');
comment on type public.grant_type is 'Why tokens are given.';
create type public.transaction_type as enum ('grant', 'consumption', 'hold', 'extension', 'release', 'refund');
comment on type public.transaction_type is
  'grant adds tokens, consumption takes them (also when it settles a hold), refund gives some back; hold, extension and release only set tokens aside or free them.';

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
  expires_at timestamptz,
  refund_of bigint,
  request_id text,
  metadata jsonb,
  created_at timestamptz not null default clock_timestamp(),
  primary key (user_id, id),
  constraint used_is_0_to_amount check (
    token_amount >= 1 and tokens_used between 0 and token_amount and is_spent = (tokens_used = token_amount)
  )
)
with (fillfactor = 80);

-- FIFO order of what can still be spent. Spent grants leave it and expired ones are skipped by
-- its range, so a call costs the same with any history. is_spent changes once in a grant's
-- life: an index on tokens_used itself would end heap-only updates.
create index idx_user_token_grants_expires
on public.user_token_grants (user_id, coalesce(expires_at, 'infinity'), created_at, id)
where not is_spent;

comment on table public.user_token_grants is
  'Tokens given to a user. Inserting a row books its transfer; spent first in, first out by expiry.';
comment on column public.user_token_grants.user_id is
  'The user who may spend the tokens, a row of tracked_users. Fixed.';
comment on column public.user_token_grants.id is 'The grant.';
comment on column public.user_token_grants.grant_type is 'Why the tokens were given. Fixed.';
comment on column public.user_token_grants.metadata is 'The callers own context, an object. Fixed.';
comment on column public.user_token_grants.created_at is
  'When the tokens were given; the older of two grants that expire together is spent first.';
comment on column public.user_token_grants.token_amount is 'Tokens given, 1 to 1e15. Fixed.';
comment on column public.user_token_grants.tokens_used is 'Tokens spent so far; written by the kernel only.';
comment on column public.user_token_grants.is_spent is 'Whether all tokens are spent; written by the kernel only.';
comment on column public.user_token_grants.expires_at is
  'From this instant on the rest cannot be spent. Empty: never expires, and is spent last. May be changed.';
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
  tokens_used bigint not null,
  primary key (user_id, quota_id, period_start),
  constraint period_has_a_length check (period_start < period_end),
  constraint used_is_0_to_amount check (tokens_used between 0 and token_amount)
)
with (fillfactor = 80);

-- Finds usage when a quota is deleted. With all columns of the primary key: the planner takes either for a
-- user's row, and with fewer it might read all rows of a quota.
create index idx_user_quota_usage_quota on public.user_quota_usage (quota_id, user_id, period_start);

comment on table public.user_quota_usage is
  'Base quota used, a row for each period in which some was used.';
comment on column public.user_quota_usage.user_id is 'The user.';
comment on column public.user_quota_usage.quota_id is 'The quota.';
comment on column public.user_quota_usage.period_start is 'First instant of the period.';
comment on column public.user_quota_usage.period_end is 'First instant after the period.';
comment on column public.user_quota_usage.tokens_used is 'Tokens used in the period, 0 to token_amount.';
comment on column public.user_quota_usage.token_amount is
  'The quota''s size when it was last drawn on.';

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
  metadata jsonb,
  created_at timestamptz not null,
  primary key (user_id, transfer_number),
  constraint nothing_left_is_0_or_more check (least(quota_left, grants_left, tokens_held) >= 0)
);

-- A request id is applied once.
create unique index idx_token_transfers_request
on public.token_transfers (user_id, request_id) where request_id is not null;

-- The refunds of a consumption are found by it. Few transfers refer to another.
create index idx_token_transfers_refers_to
on public.token_transfers (user_id, refers_to) where refers_to is not null;

comment on table public.token_transfers is
  'Append-only audit trail: + for grants and refunds, - for consumption, 0 for steps of a hold; numbered 1, 2, 3, ... for each user.';
comment on column public.token_transfers.user_id is 'The user, a row of tracked_users.';
comment on column public.token_transfers.transfer_number is '1, 2, 3, ... for each user, without gaps.';
comment on column public.token_transfers.amount is
  'Tokens: positive for a grant or refund, negative for a consumption, 0 for a hold, its extension and its release.';
comment on column public.token_transfers.transaction_type is 'What happened.';
comment on column public.token_transfers.tag_id is 'What the tokens were spent on, a row of tags.';
comment on column public.token_transfers.user_token_grants_id is
  'The grant that was made, a row of user_token_grants; for a refund only where it made one.';
comment on column public.token_transfers.quota_id is 'The quota that paid, a row of plan_quotas.';
comment on column public.token_transfers.quota_period_start is
  'The period that paid, a row of user_quota_usage.';
comment on column public.token_transfers.base_quota_used is
  'Tokens that the base quota paid; negative where it got them back.';
comment on column public.token_transfers.grants_used is
  'Tokens that grants paid, split up in user_token_grants_consume; negative where they got them back.';
comment on column public.token_transfers.created_at is
  'The instant of the transfer, read under the users lock.';
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
comment on column public.token_transfers.metadata is 'The caller''s own context, an object.';

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

-- Running state. A user's row here is also the lock that all calls of that user queue for.
-- The columns that rarely change come first: an update then logs only its tail.
create table public.user_usage (
  user_id uuid primary key references public.tracked_users (id) on delete cascade,
  time_zone text not null default '',
  hour_start timestamptz not null default '-infinity',
  day_start timestamptz not null default '-infinity',
  week_start timestamptz not null default '-infinity',
  month_start timestamptz not null default '-infinity',
  hour_end timestamptz not null default '-infinity',
  day_end timestamptz not null default '-infinity',
  week_end timestamptz not null default '-infinity',
  month_end timestamptz not null default '-infinity',
  month_used bigint not null default 0,
  week_used bigint not null default 0,
  day_used bigint not null default 0,
  hour_used bigint not null default 0,
  last_transfer_number bigint not null default 0,
  last_transfer_at timestamptz not null default '-infinity'
)
with (fillfactor = 50);

comment on table public.user_usage is
  'Running state: tokens used in the windows of the last transfer, over all tags. Recomputable from token_transfers.';
comment on column public.user_usage.user_id is 'The user.';
comment on column public.user_usage.hour_start is 'First instant of the hour.';
comment on column public.user_usage.day_start is 'First instant of the day.';
comment on column public.user_usage.week_start is 'First instant of the week.';
comment on column public.user_usage.month_start is 'First instant of the month.';
comment on column public.user_usage.hour_end is 'First instant after the hour.';
comment on column public.user_usage.day_end is 'First instant after the day.';
comment on column public.user_usage.week_end is 'First instant after the week.';
comment on column public.user_usage.month_end is 'First instant after the month.';
comment on column public.user_usage.month_used is 'Tokens used in the month.';
comment on column public.user_usage.week_used is 'Tokens used in the week.';
comment on column public.user_usage.day_used is 'Tokens used in the day.';
comment on column public.user_usage.hour_used is 'Tokens used in the hour.';
comment on column public.user_usage.last_transfer_number is 'Number of the users newest transfer.';
comment on column public.user_usage.last_transfer_at is
  'Instant of the users newest transfer: the users time does not run backwards from it.';
comment on column public.user_usage.time_zone is 'The zone by which the windows were cut.';

create table public.user_tag_usage (
  user_id uuid not null references public.tracked_users (id),
  tag_id uuid not null references public.tags (id),
  time_zone text not null,
  hour_start timestamptz not null,
  day_start timestamptz not null,
  week_start timestamptz not null,
  month_start timestamptz not null,
  month_used bigint not null,
  week_used bigint not null,
  day_used bigint not null,
  hour_used bigint not null,
  primary key (user_id, tag_id)
)
with (fillfactor = 50);

-- Finds a tag's history when the tag is deleted; both columns, as above.
create index idx_user_tag_usage_tag on public.user_tag_usage (tag_id, user_id);

comment on table public.user_tag_usage is
  'Running state: tokens used in the windows of the last consumption with this tag. Recomputable from token_transfers.';
comment on column public.user_tag_usage.user_id is 'The user.';
comment on column public.user_tag_usage.tag_id is 'The tag.';
comment on column public.user_tag_usage.time_zone is 'The zone by which the windows were cut.';
comment on column public.user_tag_usage.hour_start is 'First instant of the hour.';
comment on column public.user_tag_usage.day_start is 'First instant of the day.';
comment on column public.user_tag_usage.week_start is 'First instant of the week.';
comment on column public.user_tag_usage.month_start is 'First instant of the month.';
comment on column public.user_tag_usage.month_used is 'Tokens used in the month.';
comment on column public.user_tag_usage.week_used is 'Tokens used in the week.';
comment on column public.user_tag_usage.day_used is 'Tokens used in the day.';
comment on column public.user_tag_usage.hour_used is 'Tokens used in the hour.';

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
before insert or update or delete or truncate on public.user_tag_usage
for each statement when (current_user <> 'tollgate_kernel')
execute function tollgate.refuse_edit(
  'it is kept by consumption', 'Change the restriction in plan_restrictions instead.'
);

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
execute function tollgate.refuse_edit('grants are part of the ledger', 'Set expires_at to now() to end a grant.');

create trigger only_expiry_changes
before update of user_id, id, token_amount, tokens_used, is_spent, grant_type, refund_of, request_id, created_at
on public.user_token_grants
for each statement when (current_user <> 'tollgate_kernel')
execute function tollgate.refuse_edit(
  'a grant is part of the ledger',
  'Use grant_tokens() for more tokens; set expires_at to now() to end this grant.'
);

-- Studio's row editor sends JSON columns along, changed or not: so the values are compared. After the
-- update, since a row trigger before it would lock each row that a consumption draws on once more.
create trigger metadata_is_fixed
after update of metadata on public.user_token_grants
for each row when (current_user <> 'tollgate_kernel' and old.metadata is distinct from new.metadata)
execute function tollgate.refuse_edit(
  'a grant is part of the ledger',
  'Use grant_tokens() for more tokens; set expires_at to now() to end this grant.'
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
      if exists (select from public.user_tag_usage u where u.tag_id = old.id) then
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
alter table public.user_tag_usage enable row level security;

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
create policy "who sees the user reads tag usage" on public.user_tag_usage
for select to authenticated using (exists (select from public.tracked_users t where t.id = user_id));

-- Transfers without the names of their tags would mislead the user who reads them.
create policy "members and users of a tag read tags" on public.tags
for select to authenticated
using (
  project_id in (select tollgate.my_projects('viewer'))
  or id in (
    select g.tag_id
    from public.tracked_users u
    join public.user_tag_usage g on g.user_id = u.id
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

revoke all
on public.user_token_grants, public.user_token_grants_consume, public.user_quota_usage,
public.token_transfers, public.token_holds, public.user_usage, public.user_tag_usage
from public, anon, authenticated, service_role;
grant select
on public.user_token_grants, public.user_token_grants_consume, public.user_quota_usage,
public.token_transfers, public.token_holds, public.user_usage, public.user_tag_usage
to authenticated, service_role, tollgate_kernel;
grant
  insert (user_id, token_amount, grant_type, expires_at, request_id, metadata),
  update (expires_at)
on public.user_token_grants to authenticated, service_role;

grant insert on public.token_transfers, public.user_token_grants_consume, public.token_holds to tollgate_kernel;
grant update (ended_by, expires_at) on public.token_holds to tollgate_kernel;
grant insert, update (tokens_used, is_spent) on public.user_token_grants to tollgate_kernel;
grant insert, update on public.user_quota_usage, public.user_usage, public.user_tag_usage to tollgate_kernel;
