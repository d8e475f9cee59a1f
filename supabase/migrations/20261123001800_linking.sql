-- Links a tracked user to the auth.users row that may then see the user's balance and transfers.

create function tollgate.link_user(p_project_id uuid, p_external_user_id text, p_auth_user_id uuid)
returns uuid
language plpgsql
volatile
security definer
set search_path = ''
set enable_seqscan = off
set plan_cache_mode = force_generic_plan
as $$
declare
  v_user_id constant uuid := tollgate.tracked_user_id(p_project_id, p_external_user_id);
  v_linked uuid;
begin
  perform tollgate.require_role(p_project_id, 'admin');
  perform tollgate.check_request(p_external_user_id, 1, null, null);
  if p_auth_user_id is not null and not exists (select from auth.users a where a.id = p_auth_user_id) then
    raise exception using
      errcode = 'TG001',
      message = 'auth_user_id is not a user of this Supabase project',
      hint = 'Use the id of a row of auth.users, or null to unlink.';
  end if;

  if not tollgate.lock_account(v_user_id) then
    perform tollgate.create_user(p_project_id, p_external_user_id, clock_timestamp());
  end if;
  select u.auth_user_id into v_linked from public.tracked_users u where u.id = v_user_id;
  -- Handing a balance from one person to another must take two deliberate steps.
  if v_linked <> p_auth_user_id then
    raise exception using
      errcode = 'TG010',
      message = format('The user %L is linked to another auth user', p_external_user_id),
      hint = 'Unlink the user first, with auth_user_id null.';
  end if;
  update public.tracked_users u set auth_user_id = p_auth_user_id where u.id = v_user_id;
  return p_auth_user_id;
end;
$$;

comment on function tollgate.link_user(uuid, text, uuid) is
  'Links a tracked user to a row of auth.users, or unlinks with null; an unknown user is created on the project''s default plan. Raises TG001, TG004, TG008, TG009, TG010.';

revoke all on all functions in schema tollgate from public;
grant execute on function tollgate.link_user(uuid, text, uuid) to authenticated, service_role;
