-- What a user may spend: plans, their base quota, the tags that tokens are spent on, and
-- restrictions per window of time.

create type public.plan_type as enum ('subscription', 'pay_as_you_go');
comment on type public.plan_type is
  'subscription: base quota first, while payment leaves it open, then grants. pay_as_you_go: grants only.';

create type public.period as enum (
  '1 hour', '1 day', '1 week', '2 weeks', '1 month', '3 months', '6 months', '1 year'
);
comment on type public.period is 'How often something comes again: a base quota, or a recurring grant (not hourly).';
create type public.quota_anchor as enum ('billing_anchor', 'calendar');
comment on type public.quota_anchor is
  'billing_anchor: periods are counted from the user''s billing_anchor. calendar: they are the hours, days, weeks, months, quarters, half-years and years of the calendar.';
create type public.restriction_type as enum ('tag', 'total');
comment on type public.restriction_type is 'tag limits one tag, or several together; total limits all tokens.';

-- The largest single amount. Sums of a few thousand of them still are exact in JSON (2^53).
create domain public.token_amount as bigint
constraint amount_is_0_to_1e15 check (value between 0 and 1000000000000000);
comment on domain public.token_amount is 'Whole tokens, 0 to 1e15.';

create table public.plans (
  id uuid primary key default gen_random_uuid(),
  project_id uuid not null references public.projects (id) on delete cascade,
  name text not null,
  plan_type public.plan_type not null default 'subscription',
  created_at timestamptz not null default now(),
  constraint name_is_unique_in_project unique (project_id, name),
  -- Lets a user and a project refer to a plan of their own project only.
  constraint plan_has_one_project unique (id, project_id),
  constraint name_has_1_to_100_characters check (char_length(name) between 1 and 100)
);

comment on table public.plans is 'A plan of a project. Changing it counts from the next call on.';
comment on column public.plans.id is 'The plan.';
comment on column public.plans.project_id is 'The project it belongs to, for ever.';
comment on column public.plans.name is 'For people, unique in the project.';
comment on column public.plans.created_at is 'When the plan was made.';
comment on column public.plans.plan_type is
  'subscription: base quota first, while payment leaves it open, then grants. pay_as_you_go: grants only.';

alter table public.projects
add constraint default_plan_belongs_to_project foreign key (default_plan_id, id)
references public.plans (id, project_id) on delete set null (default_plan_id);

create index idx_projects_default_plan on public.projects (default_plan_id, id);

create table public.plan_quotas (
  id uuid primary key default gen_random_uuid(),
  plan_id uuid not null references public.plans (id) on delete cascade,
  token_amount public.token_amount not null,
  period public.period not null default '1 month',
  counted_from public.quota_anchor not null default 'billing_anchor',
  rollover_max_tokens public.token_amount,
  rollover_periods smallint,
  rollover_since timestamptz,
  created_at timestamptz not null default now(),
  constraint plan_has_one_quota unique (plan_id),
  constraint rollover_has_a_maximum_and_1_to_12_periods check (
    num_nonnulls(rollover_max_tokens, rollover_periods) in (0, 2) and rollover_periods between 1 and 12
  )
);

comment on table public.plan_quotas is 'The base quota of a subscription plan.';
comment on column public.plan_quotas.id is 'The quota.';
comment on column public.plan_quotas.plan_id is 'The plan; pay_as_you_go plans ignore their quota.';
comment on column public.plan_quotas.created_at is 'When the quota was made.';
comment on column public.plan_quotas.token_amount is 'Tokens per period, 0 to 1e15. A change counts at once.';
comment on column public.plan_quotas.period is
  'How often the quota is full again. A period of which something was used or held runs to its end, unless the user''s plan changes.';
comment on column public.plan_quotas.counted_from is
  'Whether periods are counted from the user''s billing_anchor, or are those of the calendar.';
comment on column public.plan_quotas.rollover_max_tokens is
  'The most that is carried over of what a period left unused, as a grant of type rollover. Empty: nothing is.';
comment on column public.plan_quotas.rollover_periods is
  'For how many further periods what was carried over can be spent, 1 to 12.';
comment on column public.plan_quotas.rollover_since is
  'Filled when rollover_max_tokens is set: periods that had ended by then carry nothing over.';

create table public.tags (
  id uuid primary key default gen_random_uuid(),
  project_id uuid not null references public.projects (id) on delete cascade,
  name text not null,
  created_at timestamptz not null default now(),
  constraint tag_name_is_unique_in_project unique (project_id, name),
  constraint tag_name_has_1_to_100_characters check (char_length(name) between 1 and 100)
);

comment on table public.tags is 'What tokens are spent on: a model or a feature, such as GPT-4.';
comment on column public.tags.id is 'The tag: p_tag_id of consume_tokens_v2().';
comment on column public.tags.project_id is 'The project it belongs to, for ever.';
comment on column public.tags.name is 'As it appears in API calls, unique in the project, case-sensitive.';
comment on column public.tags.created_at is 'When the tag was made.';

create function tollgate.date_rollover()
returns trigger
language plpgsql
volatile
security invoker
set search_path = ''
as $$
begin
  new.rollover_since := case
    when new.rollover_max_tokens is null then null
    when tg_op = 'UPDATE' and old.rollover_max_tokens is not null then old.rollover_since
    else clock_timestamp()
  end;
  return new;
end;
$$;

comment on function tollgate.date_rollover() is 'Trigger: remembers since when a quota rolls over.';
revoke all on function tollgate.date_rollover() from public;

create trigger rollover_is_dated
before insert or update of rollover_max_tokens, rollover_since on public.plan_quotas
for each row execute function tollgate.date_rollover();

create table public.plan_restrictions (
  id uuid primary key default gen_random_uuid(),
  plan_id uuid not null references public.plans (id) on delete cascade,
  restriction_type public.restriction_type not null,
  restriction_config jsonb not null,
  tag_ids uuid[],
  max_tokens public.token_amount not null default 0,
  duration interval not null default '1 day',
  is_rolling boolean not null default false,
  starts_at timestamptz not null default '-infinity',
  ends_at timestamptz not null default 'infinity',
  counter_id uuid not null default gen_random_uuid(),
  created_at timestamptz not null default now(),
  constraint tag_restriction_has_tags check ((restriction_type = 'tag') = (tag_ids is not null))
);

-- The hot path reads a plan's restrictions; the second finds those of a tag that is renamed or deleted.
create index idx_plan_restrictions_plan on public.plan_restrictions (plan_id);
create index idx_plan_restrictions_tags on public.plan_restrictions using gin (tag_ids);

comment on table public.plan_restrictions is
  'A limit of a plan on tokens per window of time, overall or for some tags.';
comment on column public.plan_restrictions.id is 'The restriction.';
comment on column public.plan_restrictions.plan_id is 'The plan whose users it limits.';
comment on column public.plan_restrictions.restriction_type is
  'tag limits one tag, or several together; total limits all tokens.';
comment on column public.plan_restrictions.created_at is 'When the restriction was made.';
comment on column public.plan_restrictions.restriction_config is
  '{"tag_name": "GPT-4", "max_tokens": 2000, "duration": "1 day"}. For type total without tag_name; "tag_names": ["GPT-4", "GPT-5"] share one limit; max_tokens 0 forbids. Durations: 1 to 999 hours, days, weeks or months. Optional: "window": "rolling" for the last 5 hours, say, instead of the current ones (not for months); "starts_at" and "ends_at" (ISO 8601) for a limit that is in force only between two instants.';
comment on column public.plan_restrictions.tag_ids is 'Filled from restriction_config.';
comment on column public.plan_restrictions.max_tokens is 'Filled from restriction_config.';
comment on column public.plan_restrictions.duration is 'Filled from restriction_config.';
comment on column public.plan_restrictions.is_rolling is 'Filled from restriction_config.';
comment on column public.plan_restrictions.starts_at is 'Filled from restriction_config.';
comment on column public.plan_restrictions.ends_at is 'Filled from restriction_config.';
comment on column public.plan_restrictions.counter_id is
  'Names the count that users keep for it; renewed when what is counted changes, so that they count anew.';

create function tollgate.read_instant(p_text text)
returns timestamptz
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  -- Without an offset it would be an instant of whatever zone the session has.
  if p_text ~ '^\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d(:?\d\d)?)$' then
    return p_text::timestamptz;
  end if;
  return null;
exception
  when datetime_field_overflow or invalid_datetime_format or invalid_time_zone_displacement_value then
    return null;
end;
$$;

comment on function tollgate.read_instant(text) is
  'An instant in ISO 8601 with an offset; null for anything else, also for a date that does not exist.';
revoke all on function tollgate.read_instant(text) from public;
grant execute on function tollgate.read_instant(text) to authenticated, service_role;

create function tollgate.read_restriction_config()
returns trigger
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_config constant jsonb := new.restriction_config;
  v_unknown constant jsonb := case when jsonb_typeof(v_config) = 'object' then v_config - array[
    'tag_name', 'tag_names', 'max_tokens', 'duration', 'window', 'starts_at', 'ends_at'
  ] end;
  v_names jsonb := coalesce(v_config -> 'tag_names', jsonb_build_array(v_config -> 'tag_name'));
  v_duration constant text := v_config ->> 'duration';
  v_name text;
  v_problem text;
  v_hint text := '{"tag_name": "GPT-4", "max_tokens": 2000, "duration": "1 day"}; leave tag_name out for type total.';
begin
  if v_unknown is null then
    v_problem := 'must be a JSON object';
  elsif v_unknown <> '{}' then
    v_problem := format('has an unknown field %L', (select min(k) from jsonb_object_keys(v_unknown) k));
  elsif jsonb_typeof(v_config -> 'max_tokens') is distinct from 'number'
    or (v_config ->> 'max_tokens')::numeric not between 0 and 1000000000000000
    or (v_config ->> 'max_tokens')::numeric % 1 <> 0 then
    v_problem := 'needs max_tokens, a whole number from 0 to 1000000000000000';
  elsif jsonb_typeof(v_config -> 'duration') is distinct from 'string'
    or v_duration !~ '^[1-9][0-9]{0,2} (hour|day|week|month)s?$' then
    v_problem := 'needs duration, 1 to 999 hours, days, weeks or months';
    v_hint := 'For example "1 hour", "5 hours", "1 day", "2 weeks", "1 month".';
  elsif v_config ? 'window' and coalesce(v_config ->> 'window', '') not in ('calendar', 'rolling') then
    v_problem := 'has a window that is neither "calendar" nor "rolling"';
    v_hint := 'Leave it out for the current hour, day, week or month.';
  elsif v_config ->> 'window' = 'rolling' and v_duration ~ 'month' then
    v_problem := 'has a rolling window of months, which have no fixed length';
    v_hint := 'Use "30 days", or a calendar window.';
  elsif v_config ? 'starts_at' and tollgate.read_instant(v_config ->> 'starts_at') is null
    or v_config ? 'ends_at' and tollgate.read_instant(v_config ->> 'ends_at') is null then
    v_problem := 'needs instants with an offset for starts_at and ends_at, in ISO 8601';
    v_hint := 'For example "2030-01-31T00:00:00Z"; leave them out for a restriction without end.';
  elsif tollgate.read_instant(v_config ->> 'starts_at') >= tollgate.read_instant(v_config ->> 'ends_at') then
    v_problem := 'has an ends_at that is not after starts_at';
    v_hint := 'Exchange them.';
  elsif new.restriction_type = 'total' and v_config ?| array['tag_name', 'tag_names'] then
    v_problem := 'of type total must not have tag_name or tag_names';
    v_hint := 'Use restriction_type tag for some tags, or leave them out.';
  elsif new.restriction_type = 'tag' and (
    v_config ?& array['tag_name', 'tag_names']
    or jsonb_typeof(v_names) is distinct from 'array'
    or jsonb_array_length(v_names) not between 1 and 100
    or jsonb_path_exists(v_names, 'strict $[*] ? (@.type() != "string")')
  ) then
    v_problem := 'of type tag needs tag_name, a text, or tag_names, 1 to 100 of them';
  end if;

  new.tag_ids := null;
  if v_problem is null and new.restriction_type = 'tag' then
    select min(n.name) filter (where t.id is null), array_agg(distinct t.id order by t.id)
    into v_name, new.tag_ids
    from jsonb_array_elements_text(v_names) n (name)
    left join (public.plans p join public.tags t on t.project_id = p.project_id)
      on p.id = new.plan_id and t.name = n.name;
    if v_name is not null then
      v_problem := format('names tag_name %L, which is not a tag of the plan''s project', v_name);
      v_hint := 'Insert it into tags first; names are case-sensitive.';
    elsif jsonb_array_length(v_names) > cardinality(new.tag_ids) then
      v_problem := 'names a tag twice in tag_names';
      v_hint := 'Name each tag once.';
    end if;
  end if;

  if v_problem is not null then
    raise exception using
      errcode = 'TG001', message = 'restriction_config ' || v_problem, hint = v_hint;
  end if;

  new.max_tokens := (v_config ->> 'max_tokens')::numeric::bigint;
  new.duration := v_duration::interval;
  new.is_rolling := coalesce(v_config ->> 'window' = 'rolling', false);
  new.starts_at := coalesce(tollgate.read_instant(v_config ->> 'starts_at'), '-infinity');
  new.ends_at := coalesce(tollgate.read_instant(v_config ->> 'ends_at'), 'infinity');
  if tg_op = 'UPDATE' then
    new.counter_id := case
      when (old.tag_ids, old.duration::text, old.is_rolling, old.starts_at, old.ends_at)
        is distinct from (new.tag_ids, new.duration::text, new.is_rolling, new.starts_at, new.ends_at)
      then gen_random_uuid()
      else old.counter_id
    end;
  else
    new.counter_id := gen_random_uuid();
  end if;
  return new;
end;
$$;

comment on function tollgate.read_restriction_config() is
  'Trigger: checks restriction_config and fills the columns that the hot path reads. Raises TG001, naming the field.';
revoke all on function tollgate.read_restriction_config() from public;

create trigger config_is_valid
before insert or update on public.plan_restrictions
for each row execute function tollgate.read_restriction_config();

create function tollgate.follow_tag_in_restrictions()
returns trigger
language plpgsql
volatile
security invoker
set search_path = ''
as $$
begin
  delete from public.plan_restrictions r
  where r.tag_ids @> array[old.id]
    and not exists (select from public.tags t where t.id = any(r.tag_ids));
  update public.plan_restrictions r
  set restriction_config = r.restriction_config || case
    when r.restriction_config ? 'tag_name' then jsonb_build_object('tag_name', new.name)
    else jsonb_build_object('tag_names', (
      select jsonb_agg(t.name order by t.name) from public.tags t where t.id = any(r.tag_ids)
    ))
  end
  where r.tag_ids @> array[old.id];
  return null;
end;
$$;

comment on function tollgate.follow_tag_in_restrictions() is
  'Trigger: restrictions name a renamed tag by its new name, and a deleted one no more; one that named no other tag is deleted with it.';
revoke all on function tollgate.follow_tag_in_restrictions() from public;

create trigger restrictions_follow_the_name
after update of name on public.tags
for each row when (old.name <> new.name) execute function tollgate.follow_tag_in_restrictions();

create trigger restrictions_follow_the_end
after delete on public.tags
for each row execute function tollgate.follow_tag_in_restrictions();

create trigger plan_stays_in_project
before update of id, project_id on public.plans
for each row when ((old.id, old.project_id) <> (new.id, new.project_id))
execute function tollgate.refuse_edit('a plan belongs to one project', 'Insert a new plan in the other project.');

create trigger tag_stays_in_project
before update of id, project_id on public.tags
for each row when ((old.id, old.project_id) <> (new.id, new.project_id))
execute function tollgate.refuse_edit('a tag belongs to one project', 'Insert a new tag in the other project.');

create trigger quota_stays_in_plan
before update of id, plan_id on public.plan_quotas
for each row when ((old.id, old.plan_id) <> (new.id, new.plan_id))
execute function tollgate.refuse_edit('a quota belongs to one plan', 'Insert a new quota for the other plan.');

create trigger restriction_stays_in_plan
before update of plan_id on public.plan_restrictions
for each row when (old.plan_id <> new.plan_id)
execute function tollgate.refuse_edit('a restriction belongs to one plan', 'Insert a new restriction for the other plan.');

alter table public.plans enable row level security;
alter table public.plan_quotas enable row level security;
alter table public.tags enable row level security;
alter table public.plan_restrictions enable row level security;

create policy "members read plans" on public.plans
for select to authenticated using (project_id in (select tollgate.my_projects('viewer')));
create policy "admins add plans" on public.plans
for insert to authenticated with check (project_id in (select tollgate.my_projects('admin')));
create policy "admins change plans" on public.plans
for update to authenticated using (project_id in (select tollgate.my_projects('admin')));
create policy "admins remove plans" on public.plans
for delete to authenticated using (project_id in (select tollgate.my_projects('admin')));

-- Reading tags is decided with the usage of tags, in the ledger.
create policy "admins add tags" on public.tags
for insert to authenticated with check (project_id in (select tollgate.my_projects('admin')));
create policy "admins change tags" on public.tags
for update to authenticated using (project_id in (select tollgate.my_projects('admin')));
create policy "admins remove tags" on public.tags
for delete to authenticated using (project_id in (select tollgate.my_projects('admin')));

create function tollgate.my_plans(p_minimum public.project_role)
returns setof uuid
language sql
stable
security definer
set search_path = ''
as $$
  select p.id from public.plans p where p.project_id in (select tollgate.my_projects(p_minimum));
$$;

comment on function tollgate.my_plans(public.project_role) is
  'Plans of the projects in which the signed-in user has at least this role.';
revoke all on function tollgate.my_plans(public.project_role) from public;
grant execute on function tollgate.my_plans(public.project_role) to authenticated, service_role;

create policy "members read quotas" on public.plan_quotas
for select to authenticated using (plan_id in (select tollgate.my_plans('viewer')));
create policy "admins add quotas" on public.plan_quotas
for insert to authenticated with check (plan_id in (select tollgate.my_plans('admin')));
create policy "admins change quotas" on public.plan_quotas
for update to authenticated using (plan_id in (select tollgate.my_plans('admin')));
create policy "admins remove quotas" on public.plan_quotas
for delete to authenticated using (plan_id in (select tollgate.my_plans('admin')));

create policy "members read restrictions" on public.plan_restrictions
for select to authenticated using (plan_id in (select tollgate.my_plans('viewer')));
create policy "admins add restrictions" on public.plan_restrictions
for insert to authenticated with check (plan_id in (select tollgate.my_plans('admin')));
create policy "admins change restrictions" on public.plan_restrictions
for update to authenticated using (plan_id in (select tollgate.my_plans('admin')));
create policy "admins remove restrictions" on public.plan_restrictions
for delete to authenticated using (plan_id in (select tollgate.my_plans('admin')));

revoke all on public.plans, public.plan_quotas, public.tags, public.plan_restrictions
from public, anon, authenticated, service_role;
grant select, insert (project_id, name, plan_type), update (name, plan_type), delete
on public.plans to authenticated;
grant
  select,
  insert (plan_id, token_amount, period, counted_from, rollover_max_tokens, rollover_periods),
  update (token_amount, period, counted_from, rollover_max_tokens, rollover_periods),
  delete
on public.plan_quotas to authenticated;
grant select, insert (project_id, name), update (name), delete
on public.tags to authenticated;
grant
  select,
  insert (plan_id, restriction_type, restriction_config),
  update (restriction_type, restriction_config),
  delete
on public.plan_restrictions to authenticated;
grant select, insert, update, delete
on public.plans, public.plan_quotas, public.tags, public.plan_restrictions to service_role;
grant select on public.plans, public.plan_quotas, public.tags, public.plan_restrictions to tollgate_kernel;
-- To lock tags.
grant update (name) on public.tags to tollgate_kernel;
