-- What a user may spend: plans, their base quota, the tags that tokens are spent on, and
-- restrictions per calendar window.

create type public.plan_type as enum ('subscription', 'pay_as_you_go');
comment on type public.plan_type is
  'subscription: base quota first, while payment is active, then grants. pay_as_you_go: grants only.';

create type public.quota_period as enum ('1 day', '1 week', '1 month', '1 year');
comment on type public.quota_period is 'How long a base quota lasts, counted from the user''s billing anchor.';
create type public.restriction_type as enum ('tag', 'total');
comment on type public.restriction_type is 'tag limits one tag, total limits all tokens.';
create type public.restriction_duration as enum ('1 hour', '1 day', '1 week', '1 month');
comment on type public.restriction_duration is 'The current calendar hour, day, week (from Monday) or month, by the project''s clocks.';

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
  'subscription: base quota first, while payment is active, then grants. pay_as_you_go: grants only.';

alter table public.projects
add constraint default_plan_belongs_to_project foreign key (default_plan_id, id)
references public.plans (id, project_id) on delete set null (default_plan_id);

create index idx_projects_default_plan on public.projects (default_plan_id, id);

create table public.plan_quotas (
  id uuid primary key default gen_random_uuid(),
  plan_id uuid not null references public.plans (id) on delete cascade,
  token_amount public.token_amount not null,
  period public.quota_period not null default '1 month',
  created_at timestamptz not null default now(),
  constraint plan_has_one_quota unique (plan_id)
);

comment on table public.plan_quotas is 'The base quota of a subscription plan.';
comment on column public.plan_quotas.id is 'The quota.';
comment on column public.plan_quotas.plan_id is 'The plan; pay_as_you_go plans ignore their quota.';
comment on column public.plan_quotas.created_at is 'When the quota was made.';
comment on column public.plan_quotas.token_amount is 'Tokens per period, 0 to 1e15. A change counts at once.';
comment on column public.plan_quotas.period is
  'Counted from the user''s billing_anchor. A period once begun runs to its end.';

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

create table public.plan_restrictions (
  id uuid primary key default gen_random_uuid(),
  plan_id uuid not null references public.plans (id) on delete cascade,
  restriction_type public.restriction_type not null,
  restriction_config jsonb not null,
  tag_id uuid references public.tags (id) on delete cascade,
  max_tokens public.token_amount not null default 0,
  duration public.restriction_duration not null default '1 day',
  created_at timestamptz not null default now(),
  constraint tag_restriction_has_a_tag check ((restriction_type = 'tag') = (tag_id is not null))
);

-- The hot path reads a plan's restrictions; the second serves the cascade from tags.
create index idx_plan_restrictions_plan on public.plan_restrictions (plan_id);
create index idx_plan_restrictions_tag on public.plan_restrictions (tag_id);

comment on table public.plan_restrictions is
  'A limit of a plan on tokens per calendar hour, day, week or month, overall or for one tag.';
comment on column public.plan_restrictions.id is 'The restriction.';
comment on column public.plan_restrictions.plan_id is 'The plan whose users it limits.';
comment on column public.plan_restrictions.restriction_type is 'tag limits one tag, total limits all tokens.';
comment on column public.plan_restrictions.created_at is 'When the restriction was made.';
comment on column public.plan_restrictions.restriction_config is
  '{"tag_name": "GPT-4", "max_tokens": 2000, "duration": "1 day"}; without tag_name for type total. Durations: 1 hour, 1 day, 1 week, 1 month.';
comment on column public.plan_restrictions.tag_id is 'Filled from restriction_config.';
comment on column public.plan_restrictions.max_tokens is 'Filled from restriction_config.';
comment on column public.plan_restrictions.duration is 'Filled from restriction_config.';

create function tollgate.read_restriction_config()
returns trigger
language plpgsql
volatile
security invoker
set search_path = ''
as $$
declare
  v_config constant jsonb := new.restriction_config;
  v_problem text;
  v_hint text := '{"tag_name": "GPT-4", "max_tokens": 2000, "duration": "1 day"}; leave tag_name out for type total.';
begin
  if jsonb_typeof(v_config) is distinct from 'object' then
    v_problem := 'must be a JSON object';
  elsif v_config - array['tag_name', 'max_tokens', 'duration'] <> '{}' then
    v_problem := format('has an unknown field %L',
      (select min(k) from jsonb_object_keys(v_config - array['tag_name', 'max_tokens', 'duration']) k));
  elsif jsonb_typeof(v_config -> 'max_tokens') is distinct from 'number'
    or (v_config ->> 'max_tokens')::numeric not between 0 and 1000000000000000
    or (v_config ->> 'max_tokens')::numeric % 1 <> 0 then
    v_problem := 'needs max_tokens, a whole number from 0 to 1000000000000000';
  elsif v_config ->> 'duration' is null
    or v_config ->> 'duration' not in ('1 hour', '1 day', '1 week', '1 month') then
    v_problem := 'needs duration, one of "1 hour", "1 day", "1 week", "1 month"';
  elsif new.restriction_type = 'total' and v_config ? 'tag_name' then
    v_problem := 'of type total must not have tag_name';
    v_hint := 'Use restriction_type tag for one tag, or leave tag_name out.';
  elsif new.restriction_type = 'tag' and jsonb_typeof(v_config -> 'tag_name') is distinct from 'string' then
    v_problem := 'of type tag needs tag_name, a text';
  end if;

  new.tag_id := null;
  if v_problem is null and new.restriction_type = 'tag' then
    select t.id into new.tag_id
    from public.plans p
    join public.tags t on t.project_id = p.project_id and t.name = v_config ->> 'tag_name'
    where p.id = new.plan_id;
    if not found then
      v_problem := format('names tag_name %L, which is not a tag of the plan''s project', v_config ->> 'tag_name');
      v_hint := 'Insert it into tags first; names are case-sensitive.';
    end if;
  end if;

  if v_problem is not null then
    raise exception using
      errcode = 'TG001', message = 'restriction_config ' || v_problem, hint = v_hint;
  end if;

  new.max_tokens := (v_config ->> 'max_tokens')::numeric::bigint;
  new.duration := (v_config ->> 'duration')::public.restriction_duration;
  return new;
end;
$$;

comment on function tollgate.read_restriction_config() is
  'Trigger: checks restriction_config and fills the columns that the hot path reads. Raises TG001, naming the field.';
revoke all on function tollgate.read_restriction_config() from public;

create trigger config_is_valid
before insert or update on public.plan_restrictions
for each row execute function tollgate.read_restriction_config();

create function tollgate.rename_tag_in_restrictions()
returns trigger
language plpgsql
volatile
security invoker
set search_path = ''
as $$
begin
  update public.plan_restrictions r
  set restriction_config = jsonb_set(r.restriction_config, '{tag_name}', to_jsonb(new.name))
  where r.tag_id = new.id;
  return null;
end;
$$;

revoke all on function tollgate.rename_tag_in_restrictions() from public;

create trigger restrictions_follow_the_name
after update of name on public.tags
for each row when (old.name <> new.name) execute function tollgate.rename_tag_in_restrictions();

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
grant select, insert (plan_id, token_amount, period), update (token_amount, period), delete
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
