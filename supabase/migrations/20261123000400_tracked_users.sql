-- End users of an app, known by the app's own id for them.

create type public.payment_status as enum ('trial', 'active', 'past_due', 'paused', 'canceled');
comment on type public.payment_status is
  'active opens the base quota of a subscription; trial, past_due and canceled do until quota_open_until, where it is empty a trial for ever and the others not at all; paused closes it. Grants can be spent in any status.';

create function tollgate.quota_is_open(
  p_status public.payment_status, p_open_until timestamptz, p_at timestamptz
)
returns boolean
language plpgsql
immutable
parallel safe
security invoker
set search_path = ''
as $$
begin
  return case p_status
    when 'active' then true
    when 'trial' then coalesce(p_at < p_open_until, true)
    when 'paused' then false
    else coalesce(p_at < p_open_until, false)
  end;
end;
$$;

comment on function tollgate.quota_is_open(public.payment_status, timestamptz, timestamptz) is
  'Whether the base quota can be spent at an instant. A trial without an end is open; past_due and canceled without one are closed.';
revoke all on function tollgate.quota_is_open(public.payment_status, timestamptz, timestamptz) from public;
grant execute on function tollgate.quota_is_open(public.payment_status, timestamptz, timestamptz)
to authenticated, service_role, tollgate_kernel;

create function tollgate.computed_uuid(p_seed bytea)
returns uuid
language plpgsql
immutable
strict
parallel safe
security invoker
set search_path = ''
as $$
declare
  v_id constant bytea := substring(sha256(p_seed) from 1 for 16);
begin
  return encode(
    set_byte(set_byte(v_id, 6, (get_byte(v_id, 6) & 15) | 128), 8, (get_byte(v_id, 8) & 63) | 128), 'hex'
  )::uuid;
end;
$$;

comment on function tollgate.computed_uuid(bytea) is
  'The first 16 bytes of SHA-256 as a version 8 uuid (RFC 9562, 5.8): the same for the same seed, so that what it names is made once.';
revoke all on function tollgate.computed_uuid(bytea) from public;
grant execute on function tollgate.computed_uuid(bytea) to authenticated, service_role, tollgate_kernel;

create function tollgate.tracked_user_id(p_project_id uuid, p_external_id text)
returns uuid
language plpgsql
immutable
strict
parallel safe
security invoker
set search_path = ''
as $$
begin
  return tollgate.computed_uuid(uuid_send(p_project_id) || convert_to(p_external_id, 'UTF8'));
end;
$$;

comment on function tollgate.tracked_user_id(uuid, text) is
  'A tracked user''s id: the first 16 bytes of SHA-256 over the project id''s 16 bytes and the external id in UTF-8, as a version 8 uuid (RFC 9562, 5.8). Computed, so that any caller knows where a user lives and first use is idempotent.';
revoke all on function tollgate.tracked_user_id(uuid, text) from public;
grant execute on function tollgate.tracked_user_id(uuid, text) to authenticated, service_role, tollgate_kernel;

create table public.tracked_users (
  id uuid primary key default gen_random_uuid(),
  project_id uuid not null references public.projects (id),
  external_id text not null,
  plan_id uuid not null,
  plan_since timestamptz not null default '-infinity',
  next_plan_id uuid,
  next_plan_at timestamptz,
  payment_status public.payment_status not null default 'active',
  quota_open_until timestamptz,
  quota_open_since timestamptz not null default '-infinity',
  billing_anchor timestamptz not null default now(),
  time_zone text,
  auth_user_id uuid references auth.users (id) on delete set null,
  changed_at timestamptz not null default now(),
  created_at timestamptz not null default now(),
  constraint id_is_computed_from_project_and_external_id
  check (id = tollgate.tracked_user_id(project_id, external_id)),
  constraint external_id_has_1_to_255_characters check (char_length(external_id) between 1 and 255),
  constraint plan_belongs_to_project foreign key (plan_id, project_id)
  references public.plans (id, project_id),
  constraint next_plan_belongs_to_project foreign key (next_plan_id, project_id)
  references public.plans (id, project_id),
  constraint next_plan_has_an_instant check ((next_plan_id is null) = (next_plan_at is null))
);

-- Owners look users up by their own id for them. Uniqueness follows from the computed id.
create index idx_tracked_users_project_external on public.tracked_users (project_id, external_id);
-- Which users are on a plan; also serves the foreign key when a plan is deleted.
create index idx_tracked_users_plan on public.tracked_users (plan_id, project_id);
create index idx_tracked_users_next_plan on public.tracked_users (next_plan_id, project_id)
where next_plan_id is not null;
-- A signed-in end user finds the own row; also serves the foreign key to auth.users.
create index idx_tracked_users_auth_user on public.tracked_users (auth_user_id)
where auth_user_id is not null;

comment on table public.tracked_users is 'End users of an app, by the app''s own id for them.';
comment on column public.tracked_users.project_id is 'The project the user belongs to, for ever.';
comment on column public.tracked_users.created_at is 'When the user was first seen.';
comment on column public.tracked_users.id is 'Computed from project_id and external_id: leave it as it is.';
comment on column public.tracked_users.external_id is 'The app''s own id for the user, 1 to 255 characters.';
comment on column public.tracked_users.plan_id is 'Leave empty for the project''s default plan. From next_plan_at on next_plan_id counts in its place.';
comment on column public.tracked_users.plan_since is 'Since when the user is on the plan; filled.';
comment on column public.tracked_users.next_plan_id is
  'The plan from next_plan_at on, by itself: see change_user(). Empty: plan_id goes on.';
comment on column public.tracked_users.next_plan_at is 'When the next plan takes effect.';
comment on column public.tracked_users.payment_status is
  'active opens the base quota of a subscription; trial, past_due and canceled do until quota_open_until, where it is empty a trial for ever and the others not at all; paused closes it. Grants can be spent in any status.';
comment on column public.tracked_users.quota_open_until is
  'Until when trial, past_due or canceled leave the base quota open. A change of payment_status alone fills it with the project''s grace time where it becomes past_due, and empties it otherwise.';
comment on column public.tracked_users.quota_open_since is
  'Since when the base quota has been open without a break, as far as payment goes; filled.';
comment on column public.tracked_users.billing_anchor is
  'Quota periods are counted from this instant. A change takes effect when the current period ends, if something of it was used or held, else at once.';
comment on column public.tracked_users.time_zone is
  'IANA name, such as Asia/Tokyo, if the user''s windows and periods go by other clocks than the project''s.';
comment on column public.tracked_users.changed_at is
  'When plan, payment, anchor or zone were last changed; filled.';
comment on column public.tracked_users.auth_user_id is
  'The auth.users row that may see this user''s balance and transfers, if any: see link_user().';

create function tollgate.prepare_tracked_user()
returns trigger
language plpgsql
volatile
security invoker
set search_path = ''
as $$
begin
  new.id := tollgate.tracked_user_id(new.project_id, new.external_id);
  if new.plan_id is null then
    select p.default_plan_id into new.plan_id from public.projects p where p.id = new.project_id;
    if new.plan_id is null then
      raise exception using
        errcode = 'TG001',
        message = 'plan_id is empty and the project has no default plan',
        hint = 'Give plan_id, or set projects.default_plan_id first.';
    end if;
  end if;
  return new;
end;
$$;

revoke all on function tollgate.prepare_tracked_user() from public;

create trigger id_and_plan_are_filled
before insert on public.tracked_users
for each row execute function tollgate.prepare_tracked_user();

create trigger new_time_zone_is_known
before insert on public.tracked_users
for each row when (new.time_zone is not null) execute function tollgate.check_time_zone();

create trigger time_zone_is_known
before update of time_zone on public.tracked_users
for each row when (new.time_zone is distinct from old.time_zone) execute function tollgate.check_time_zone();

create function tollgate.is_instant(p_at timestamptz)
returns boolean
language sql
immutable
strict
security invoker
set search_path = ''
return p_at between '0001-01-01 00:00:00+00' and '9999-12-31 23:59:59.999999+00';

comment on function tollgate.is_instant(timestamptz) is
  'Whether an instant can be computed with, and written in ISO 8601: one of the years 1 to 9999, by UTC, and not infinite.';
revoke all on function tollgate.is_instant(timestamptz) from public;
grant execute on function tollgate.is_instant(timestamptz) to authenticated, service_role, tollgate_kernel;

create function tollgate.check_account_instants()
returns trigger
language plpgsql
volatile
security invoker
set search_path = ''
as $$
begin
  if not tollgate.is_instant(new.next_plan_at) or not tollgate.is_instant(new.billing_anchor)
    or not tollgate.is_instant(new.quota_open_until) then
    raise exception using
      errcode = 'TG001',
      message = 'next_plan_at, billing_anchor and quota_open_until must be instants of the years 1 to 9999',
      hint = 'Give a date and time.';
  end if;
  return new;
end;
$$;

comment on function tollgate.check_account_instants() is
  'Trigger: an account''s instants can be computed with. Raises TG001.';
revoke all on function tollgate.check_account_instants() from public;

create trigger account_instants_are_checked
before insert or update of next_plan_at, billing_anchor, quota_open_until on public.tracked_users
for each row execute function tollgate.check_account_instants();

-- Before the trigger that fills them: those of one event fire in the order of their names.
create trigger account_dates_are_filled
before update of plan_since, quota_open_since, changed_at on public.tracked_users
for each row when (
  current_user <> 'tollgate_kernel'
  and (old.plan_since, old.quota_open_since, old.changed_at)
    is distinct from (new.plan_since, new.quota_open_since, new.changed_at)
)
execute function tollgate.refuse_edit(
  'plan_since, quota_open_since and changed_at are filled', 'Change plan_id, payment_status or quota_open_until instead.'
);

create trigger identity_is_fixed
before update of id, project_id, external_id on public.tracked_users
for each row when ((old.id, old.project_id, old.external_id) <> (new.id, new.project_id, new.external_id))
execute function tollgate.refuse_edit(
  'a user keeps project and external id', 'Insert a new tracked user.'
);

alter table public.tracked_users enable row level security;

-- The rows of every per-user table can be seen by who can see the user: this is the one rule.
create policy "members and the user read tracked users" on public.tracked_users
for select to authenticated
using (project_id in (select tollgate.my_projects('viewer')) or auth_user_id = (select auth.uid()));

create policy "admins add tracked users" on public.tracked_users
for insert to authenticated with check (project_id in (select tollgate.my_projects('admin')));
create policy "admins change tracked users" on public.tracked_users
for update to authenticated using (project_id in (select tollgate.my_projects('admin')));
create policy "admins remove tracked users" on public.tracked_users
for delete to authenticated using (project_id in (select tollgate.my_projects('admin')));

revoke all on public.tracked_users from public, anon, authenticated, service_role;
grant
  select,
  insert (
    project_id, external_id, plan_id, next_plan_id, next_plan_at, payment_status, quota_open_until,
    billing_anchor, time_zone
  ),
  update (
    plan_id, next_plan_id, next_plan_at, payment_status, quota_open_until, billing_anchor, time_zone
  ),
  delete
on public.tracked_users to authenticated;
grant select, insert, update, delete on public.tracked_users to service_role;
grant
  select,
  insert,
  update (
    plan_id, plan_since, next_plan_id, next_plan_at, payment_status, quota_open_until, quota_open_since,
    billing_anchor, time_zone, changed_at
  ),
  delete
on public.tracked_users to tollgate_kernel;
