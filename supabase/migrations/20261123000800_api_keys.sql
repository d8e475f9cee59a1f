-- API keys of a project. The plaintext exists once, in the answer of create_api_key(); the table
-- holds its SHA-256. 160 random bits need no slow hash.

create type public.api_key_scope as enum ('consume', 'read', 'grant', 'link', 'refund', 'manage');
comment on type public.api_key_scope is 'What a key may do.';

create table public.api_keys (
  id uuid primary key default gen_random_uuid(),
  project_id uuid not null references public.projects (id) on delete cascade,
  name text not null,
  scopes public.api_key_scope[] not null default '{consume,read,grant,link,refund,manage}',
  key_hash bytea not null,
  key_hint text not null,
  expires_at timestamptz,
  revoked_at timestamptz,
  last_used_at timestamptz,
  created_at timestamptz not null default now(),
  constraint key_is_unique unique (key_hash),
  constraint key_hash_is_a_sha_256 check (octet_length(key_hash) = 32),
  constraint name_has_1_to_100_characters check (char_length(name) between 1 and 100),
  constraint key_has_a_scope check (cardinality(scopes) > 0)
);

create index idx_api_keys_project on public.api_keys (project_id);

comment on table public.api_keys is
  'Keys of a project''s backend. Make one with create_api_key(), which shows the key once.';
comment on column public.api_keys.id is 'The key, for revoke_api_key() and rotate_api_key().';
comment on column public.api_keys.project_id is 'The project it opens.';
comment on column public.api_keys.name is 'For people: where the key is used.';
comment on column public.api_keys.created_at is 'When the key was made.';
comment on column public.api_keys.scopes is
  'consume: consumptions, checks and holds. read: balances, transfers and usage. grant: grants and recurring grants, also to end them. refund: refunds. link: PUT /v1/users/:user_id/link. manage: PATCH /v1/users/:user_id.';
comment on column public.api_keys.key_hash is 'SHA-256 of the key.';
comment on column public.api_keys.key_hint is 'The key''s first characters, to tell keys apart.';
comment on column public.api_keys.expires_at is 'From this instant on the key is refused. Empty: never.';
comment on column public.api_keys.revoked_at is 'From this instant on the key is refused.';
comment on column public.api_keys.last_used_at is 'Last use, to the hour.';

create function tollgate.new_api_key()
returns text
language sql
volatile
security invoker
set search_path = ''
as $$
  -- Two version 4 uuids hold 244 bits of the server's strong randomness; the hash spreads them.
  with random as (
    select 'tg_live_' || encode(
      substring(sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())) for 20), 'hex'
    ) as body
  )
  select body || encode(substring(sha256(convert_to(body, 'UTF8')) for 4), 'hex') from random;
$$;

comment on function tollgate.new_api_key() is
  'A new key: tg_live_, 160 random bits as 40 hex digits, and a checksum of 8 hex digits, the first 4 bytes of SHA-256 over all before it.';

create function tollgate.create_api_key(
  p_project_id uuid, p_name text, p_expires_at timestamptz, p_scopes public.api_key_scope[]
)
returns table (id uuid, name text, api_key text, scopes public.api_key_scope[], expires_at timestamptz)
language plpgsql
volatile
security definer
set search_path = ''
as $$
declare
  v_api_key constant text := tollgate.new_api_key();
  v_problem text;
begin
  perform tollgate.require_role(p_project_id, 'admin');
  if not exists (select from public.projects p where p.id = p_project_id) then
    raise exception using
      errcode = 'TG009', message = 'The project is not known', hint = 'Check the project id.';
  elsif p_name is null or char_length(p_name) not between 1 and 100 then
    v_problem := 'The name must have 1 to 100 characters';
  elsif p_expires_at <= clock_timestamp() then
    v_problem := 'expires_at must be in the future';
  elsif array_ndims(p_scopes) is distinct from 1 or array_position(p_scopes, null) is not null then
    v_problem := 'A key needs at least one of the scopes consume, read, grant, link, refund, manage';
  end if;
  if v_problem is not null then
    raise exception using
      errcode = 'TG001', message = v_problem, hint = 'Correct the argument and call again; no key was made.';
  end if;
  return query
    insert into public.api_keys as k (project_id, name, scopes, key_hash, key_hint, expires_at)
    values (
      p_project_id, p_name, p_scopes, sha256(convert_to(v_api_key, 'UTF8')), left(v_api_key, 12), p_expires_at
    )
    returning k.id, k.name, v_api_key, k.scopes, k.expires_at;
end;
$$;

comment on function tollgate.create_api_key(uuid, text, timestamptz, public.api_key_scope[]) is
  'Makes a key and answers its plaintext, which is stored nowhere. Raises TG001, TG008, TG009.';

create function tollgate.revoke_api_key(p_key_id uuid)
returns timestamptz
language plpgsql
volatile
security definer
set search_path = ''
as $$
declare
  v_revoked_at timestamptz;
begin
  update public.api_keys k
  set revoked_at = least(k.revoked_at, clock_timestamp())
  where k.id = p_key_id
    and (tollgate.is_trusted() or k.project_id in (select tollgate.my_projects('admin')))
  returning k.revoked_at into v_revoked_at;
  if not found then
    raise exception using
      errcode = 'TG002', message = 'The API key is not known', hint = 'Use the id of a row of api_keys.';
  end if;
  return v_revoked_at;
end;
$$;

comment on function tollgate.revoke_api_key(uuid) is
  'Ends a key from now on; a key that was revoked before keeps its time. Raises TG002.';

create function tollgate.rotate_api_key(p_key_id uuid, p_grace interval)
returns table (id uuid, name text, api_key text, scopes public.api_key_scope[], expires_at timestamptz)
language plpgsql
volatile
security definer
set search_path = ''
as $$
declare
  v_now constant timestamptz := clock_timestamp();
  v_old public.api_keys;
begin
  if p_grace is null or v_now + p_grace < v_now or v_now + p_grace > v_now + interval '90 days' then
    raise exception using
      errcode = 'TG001', message = 'The grace time must be from 0 to 90 days', hint = 'For example: 24 hours.';
  end if;
  select * into v_old from public.api_keys k
  where k.id = p_key_id
    and (tollgate.is_trusted() or k.project_id in (select tollgate.my_projects('admin')))
  for update;
  if not found or v_old.revoked_at <= v_now or v_old.expires_at <= v_now then
    raise exception using
      errcode = 'TG002',
      message = 'The API key is not known or has ended',
      hint = 'Use the id of a row of api_keys that is in force, or create a new key.';
  end if;
  update public.api_keys k set expires_at = least(k.expires_at, v_now + p_grace) where k.id = p_key_id;
  return query select n.* from tollgate.create_api_key(v_old.project_id, v_old.name, v_old.expires_at, v_old.scopes) n;
end;
$$;

comment on function tollgate.rotate_api_key(uuid, interval) is
  'Makes a key like another, which ends after the grace time. Raises TG001, TG002.';

create function tollgate.authenticate(p_key_hash bytea, p_scope public.api_key_scope)
returns uuid
language plpgsql
volatile
security definer
set search_path = ''
as $$
declare
  v_now constant timestamptz := clock_timestamp();
  v_key public.api_keys;
begin
  select * into v_key from public.api_keys k where k.key_hash = p_key_hash;
  if not found then
    raise exception using
      errcode = 'TG002',
      message = 'The API key is not known',
      hint = 'Create a key with create_api_key() and send it as Authorization: Bearer tg_live_...';
  elsif v_key.revoked_at <= v_now then
    raise exception using
      errcode = 'TG002', message = 'The API key has been revoked', hint = 'Create a new key with create_api_key().';
  elsif v_key.expires_at <= v_now then
    raise exception using
      errcode = 'TG002', message = 'The API key has expired', hint = 'Create a new key with create_api_key().';
  elsif p_scope <> all (v_key.scopes) then
    raise exception using
      errcode = 'TG003',
      message = format('The API key lacks the scope %s', p_scope),
      hint = format('Use a key with the scope %s, or create one with create_api_key().', p_scope);
  end if;

  -- At most one write an hour, and nobody waits for it.
  if v_key.last_used_at is null or v_key.last_used_at < date_trunc('hour', v_now) then
    update public.api_keys k set last_used_at = date_trunc('hour', v_now)
    where k.id = (
      select l.id from public.api_keys l
      where l.id = v_key.id and l.last_used_at is not distinct from v_key.last_used_at
      for no key update skip locked
    );
  end if;
  -- For the audit trail: see current_api_key_id().
  perform set_config('tollgate.api_key_id', v_key.id::text, true);
  return v_key.project_id;
end;
$$;

alter function tollgate.authenticate(bytea, public.api_key_scope) owner to tollgate_kernel;
comment on function tollgate.authenticate(bytea, public.api_key_scope) is
  'The project of an API key that is in force and has the scope. Raises TG002, TG003.';

revoke all on all functions in schema tollgate from public;
grant execute on function
tollgate.create_api_key(uuid, text, timestamptz, public.api_key_scope[]),
tollgate.revoke_api_key(uuid),
tollgate.rotate_api_key(uuid, interval)
to authenticated, service_role;
grant execute on function tollgate.authenticate(bytea, public.api_key_scope) to service_role;

create trigger key_stays_in_project
before update of id, project_id, key_hash on public.api_keys
for each row when ((old.id, old.project_id, old.key_hash) <> (new.id, new.project_id, new.key_hash))
execute function tollgate.refuse_edit('a key belongs to one project', 'Create a new key with create_api_key().');

alter table public.api_keys enable row level security;

create policy "admins read keys" on public.api_keys
for select to authenticated using (project_id in (select tollgate.my_projects('admin')));
create policy "admins change keys" on public.api_keys
for update to authenticated using (project_id in (select tollgate.my_projects('admin')));

revoke all on public.api_keys from public, anon, authenticated, service_role;
grant
  select (id, project_id, name, scopes, key_hint, expires_at, revoked_at, last_used_at, created_at),
  update (name, expires_at, revoked_at)
on public.api_keys to authenticated;
grant
  select (id, project_id, name, scopes, key_hint, expires_at, revoked_at, last_used_at, created_at),
  update (name, expires_at, revoked_at),
  delete
on public.api_keys to service_role;
grant select, update (last_used_at) on public.api_keys to tollgate_kernel;
