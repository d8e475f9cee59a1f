-- Who may do what to a user's tokens. The kernel's entry points ask here themselves, so that it
-- does not matter who can reach them. (What RLS decides for tables stands with each table.)

create function tollgate.is_trusted()
returns boolean
language plpgsql
stable
security invoker
set search_path = ''
as $$
declare
  -- The setting `role` is what the API switched to for this request; SECURITY DEFINER does not
  -- change it. On a direct connection, such as the SQL editor's or a migration's, it is 'none'.
  v_role constant name := coalesce(nullif(current_setting('role'), 'none')::name, session_user);
begin
  return v_role in ('service_role', 'postgres') or pg_has_role(v_role, 'service_role', 'usage');
end;
$$;

comment on function tollgate.is_trusted() is
  'True for service_role, postgres and roles that have the rights of service_role: they may act for every project. False for signed-in users.';

create function tollgate.caller_id()
returns uuid
language sql
stable
security definer
set search_path = ''
as $$ select auth.uid(); $$;

comment on function tollgate.caller_id() is
  'auth.uid() for functions owned by tollgate_kernel, which cannot see schema auth.';

create function tollgate.require_role(p_project_id uuid, p_minimum public.project_role)
returns void
language plpgsql
stable
security invoker
set search_path = ''
as $$
begin
  if tollgate.is_trusted() or p_project_id in (select tollgate.my_projects(p_minimum)) then
    return;
  elsif p_project_id in (select tollgate.my_projects('viewer')) then
    raise exception using
      errcode = 'TG008',
      message = format('This needs the role %s in the project', p_minimum),
      hint = 'Ask an owner of the project for the role.';
  end if;
  raise exception using
    errcode = 'TG009',
    message = 'The project is not known',
    hint = 'Check the project id, and that you are a member.';
end;
$$;

comment on function tollgate.require_role(uuid, public.project_role) is
  'Refuses a signed-in caller without the role: with TG008 as a member, with TG009 as anybody else.';

create function tollgate.require_reader(p_user_id uuid)
returns void
language plpgsql
stable
security definer
set search_path = ''
as $$
begin
  if exists (
    select from public.tracked_users u
    where u.id = p_user_id
      and (
        tollgate.is_trusted()
        or u.auth_user_id = tollgate.caller_id()
        or u.project_id in (select tollgate.my_projects('viewer'))
      )
  ) then
    return;
  end if;
  raise exception using
    errcode = 'TG004',
    message = 'The user is not known in this project',
    hint = 'A user is created by the first consumption or grant that succeeds.';
end;
$$;

comment on function tollgate.require_reader(uuid) is
  'Refuses with TG004 a user that does not exist or that a signed-in caller may not see: neither as member nor as that user.';

create function tollgate.require_consumer(p_user_id uuid)
returns void
language plpgsql
stable
security definer
set search_path = ''
as $$
declare
  v_allowed boolean;
begin
  if tollgate.is_trusted() then
    return;
  end if;
  select p.allow_client_consumption into v_allowed
  from public.tracked_users u
  join public.projects p on p.id = u.project_id
  where u.id = p_user_id and u.auth_user_id = tollgate.caller_id();
  if not found then
    raise exception using
      errcode = 'TG004',
      message = 'The user is not known in this project',
      hint = 'Signed-in users can consume only their own tokens.';
  elsif not v_allowed then
    raise exception using
      errcode = 'TG008',
      message = 'The project does not allow consumption by its users',
      hint = 'Call the API from your backend, or set projects.allow_client_consumption.';
  end if;
end;
$$;

comment on function tollgate.require_consumer(uuid) is
  'Refuses a signed-in caller who is not that user (TG004), or whose project does not let users consume (TG008).';

revoke all on all functions in schema tollgate from public;
grant execute on function
tollgate.is_trusted(),
tollgate.caller_id(),
tollgate.my_projects(public.project_role),
tollgate.require_role(uuid, public.project_role),
tollgate.require_reader(uuid),
tollgate.require_consumer(uuid)
to tollgate_kernel, authenticated, service_role;
