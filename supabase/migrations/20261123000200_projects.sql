-- Tenants: one project is one app that meters its users. Owners and members are auth.users.

create type public.project_role as enum ('viewer', 'admin', 'owner');
comment on type public.project_role is
  'What a member may do, ascending: viewer reads, admin also manages, owner also manages members.';

create type public.weekday as enum (
  'monday', 'tuesday', 'wednesday', 'thursday', 'friday', 'saturday', 'sunday'
);
comment on type public.weekday is 'A day of the week, in the order of ISO 8601.';

create table public.projects (
  id uuid primary key default gen_random_uuid(),
  name text not null,
  time_zone text not null default 'UTC',
  week_start public.weekday not null default 'monday',
  grace_days smallint not null default 0,
  default_plan_id uuid,
  allow_client_consumption boolean not null default false,
  tamper_evident boolean not null default false,
  created_at timestamptz not null default now(),
  constraint name_has_1_to_100_characters check (char_length(name) between 1 and 100),
  constraint grace_is_0_to_90_days check (grace_days between 0 and 90)
);

comment on table public.projects is 'A tenant: one app that meters its users.';
comment on column public.projects.id is 'Goes into every call of the public functions.';
comment on column public.projects.name is 'For people, 1 to 100 characters.';
comment on column public.projects.created_at is 'When the project was made.';
comment on column public.projects.time_zone is
  'IANA name of an area and a place, such as America/New_York, or UTC. Hours, days, weeks, months and quota periods begin by these clocks, except for users with a zone of their own.';
comment on column public.projects.week_start is 'The day on which weeks begin.';
comment on column public.projects.grace_days is
  'How many days a user''s base quota stays open after payment_status has become past_due, 0 to 90.';
comment on column public.projects.default_plan_id is
  'Plan of users that are created by their first consumption or grant. Empty: unknown users are refused.';
comment on column public.projects.allow_client_consumption is
  'May a signed-in end user consume own tokens straight from a browser or mobile app?';

comment on column public.projects.tamper_evident is
  'Does each new transfer carry a hash of itself and of its predecessor, so that verify_ledger() finds any that is edited, removed or inserted behind the kernel''s back?';

create table public.project_members (
  project_id uuid not null references public.projects (id) on delete cascade,
  user_id uuid not null references auth.users (id) on delete cascade,
  role public.project_role not null default 'viewer',
  created_at timestamptz not null default now(),
  primary key (project_id, user_id)
);

-- my_projects() below starts from the signed-in user; so does the cascade from auth.users.
create index idx_project_members_user on public.project_members (user_id);

comment on table public.project_members is 'Who may see and manage a project.';
comment on column public.project_members.project_id is 'The project.';
comment on column public.project_members.created_at is 'When the member was added.';
comment on column public.project_members.user_id is 'A row of auth.users.';
comment on column public.project_members.role is 'viewer reads, admin also manages, owner also manages members.';

create function tollgate.check_time_zone()
returns trigger
language plpgsql
volatile
security invoker
set search_path = ''
as $$
begin
  -- EST, CET and the like are in the list as well, but do not say where clocks are changed, and when.
  if new.time_zone is not null and not exists (
    select from pg_catalog.pg_timezone_names z
    where z.name = new.time_zone and (z.name = 'UTC' or z.name ~ '^[A-Z][A-Za-z_]*/')
  ) then
    raise exception using
      errcode = 'TG001',
      message = format('time_zone %L is not a known time zone', new.time_zone),
      hint = 'Use an IANA name such as UTC, Europe/Paris or America/New_York, no abbreviation and no offset; select name from pg_timezone_names lists them.';
  end if;
  return new;
end;
$$;

comment on function tollgate.check_time_zone() is
  'Trigger: time_zone is UTC or the name of an area and a place. Raises TG001.';
revoke all on function tollgate.check_time_zone() from public;

create trigger time_zone_is_known
before insert or update of time_zone on public.projects
for each row execute function tollgate.check_time_zone();

create function tollgate.keep_an_owner()
returns trigger
language plpgsql
volatile
security definer
set search_path = ''
as $$
begin
  -- Two owners that leave at once would each still see the other: one waits here.
  perform from public.projects p where p.id = old.project_id for no key update;
  if found and not exists (
    select from public.project_members m where m.project_id = old.project_id and m.role = 'owner'
  ) then
    raise exception using
      errcode = 'TG007',
      message = 'A project cannot lose its last owner',
      hint = 'Make another member owner first.';
  end if;
  return null;
end;
$$;

revoke all on function tollgate.keep_an_owner() from public;

create trigger last_owner_stays
after delete or update of role, user_id, project_id on public.project_members
for each row when (old.role = 'owner') execute function tollgate.keep_an_owner();

create trigger member_stays_in_project
before update of project_id on public.project_members
for each row when (old.project_id <> new.project_id)
execute function tollgate.refuse_edit('a member belongs to one project', 'Insert a new row for the other project.');

create function tollgate.my_projects(p_minimum public.project_role)
returns setof uuid
language sql
stable
security definer
set search_path = ''
as $$
  select m.project_id
  from public.project_members m
  where m.user_id = (select auth.uid()) and m.role >= p_minimum;
$$;

comment on function tollgate.my_projects(public.project_role) is
  'Projects in which the signed-in user has at least this role: the one rule behind every policy for members.';

revoke all on function tollgate.my_projects(public.project_role) from public;
grant execute on function tollgate.my_projects(public.project_role) to authenticated, service_role;

create function tollgate.create_project(p_name text, p_time_zone text)
returns public.projects
language plpgsql
volatile
security definer
set search_path = ''
as $$
declare
  v_owner constant uuid := (select auth.uid());
  v_project public.projects;
begin
  if v_owner is null then
    raise exception using
      errcode = 'TG008',
      message = 'Only a signed-in user can own a project',
      hint = 'Sign in first; service_role and the SQL editor can insert into projects and project_members.';
  elsif p_name is null or char_length(p_name) not between 1 and 100 then
    raise exception using
      errcode = 'TG001', message = 'The name must have 1 to 100 characters', hint = 'Give another name.';
  end if;
  insert into public.projects (name, time_zone) values (p_name, coalesce(p_time_zone, 'UTC'))
  returning * into v_project;
  insert into public.project_members (project_id, user_id, role) values (v_project.id, v_owner, 'owner');
  return v_project;
end;
$$;

revoke all on function tollgate.create_project(text, text) from public;
grant execute on function tollgate.create_project(text, text) to authenticated;

create function public.create_project(p_name text, p_time_zone text default 'UTC')
returns public.projects
language plpgsql
volatile
security invoker
set search_path = ''
as $$
begin
  return tollgate.create_project(p_name, p_time_zone);
end;
$$;

comment on function public.create_project(text, text) is
  'Creates a project, owned by the signed-in caller. p_time_zone is an IANA name. Raises TG001, TG008.';

revoke all on function public.create_project(text, text) from public, anon, authenticated, service_role;
grant execute on function public.create_project(text, text) to authenticated;

alter table public.projects enable row level security;
alter table public.project_members enable row level security;

create policy "members read their projects" on public.projects
for select to authenticated
using (id in (select tollgate.my_projects('viewer')));

create policy "admins change their projects" on public.projects
for update to authenticated
using (id in (select tollgate.my_projects('admin')))
with check (id in (select tollgate.my_projects('admin')));

create policy "members read the members" on public.project_members
for select to authenticated
using (project_id in (select tollgate.my_projects('viewer')));

create policy "owners add members" on public.project_members
for insert to authenticated
with check (project_id in (select tollgate.my_projects('owner')));

create policy "owners change members" on public.project_members
for update to authenticated
using (project_id in (select tollgate.my_projects('owner')))
with check (project_id in (select tollgate.my_projects('owner')));

create policy "owners remove members" on public.project_members
for delete to authenticated
using (project_id in (select tollgate.my_projects('owner')));

revoke all on public.projects, public.project_members from public, anon, authenticated, service_role;
grant select, update (name, time_zone, week_start, grace_days, default_plan_id, allow_client_consumption, tamper_evident)
on public.projects to authenticated;
grant select, insert (project_id, user_id, role), update (role), delete
on public.project_members to authenticated;
grant select, insert, update, delete on public.projects, public.project_members to service_role;
grant select, update on public.projects to tollgate_kernel;
