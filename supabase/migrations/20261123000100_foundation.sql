-- The private schema, the role that alone may write the ledger, and the two guards that
-- every topic uses. Nothing here changes a default of the project that Tollgate lives in:
-- each migration revokes and grants object by object.

-- `tollgate_kernel` owns the functions that write the ledger. Triggers tell a kernel write
-- from an edit by hand (in Studio, as `postgres`) by current_user. Nobody can log in as it.
do $$
begin
  if not exists (select from pg_catalog.pg_roles where rolname = 'tollgate_kernel') then
    create role tollgate_kernel nologin bypassrls;
  end if;
end
$$;

-- A member of the owner may replace the functions in later migrations.
grant tollgate_kernel to postgres;

create schema tollgate;
comment on schema tollgate is
  'Tollgate''s private kernel: all rules and all ledger writes. Never add it to the exposed API schemas.';

grant usage on schema tollgate to authenticated, service_role;
grant usage, create on schema tollgate to tollgate_kernel;
grant usage on schema public to tollgate_kernel;

create function tollgate.refuse_edit()
returns trigger
language plpgsql
volatile
security invoker
set search_path = ''
as $$
begin
  raise exception using
    errcode = 'TG007',
    message = format('%s of %I is not possible: %s', initcap(tg_op), tg_table_name, tg_argv[0]),
    hint = tg_argv[1];
end;
$$;

comment on function tollgate.refuse_edit() is
  'Trigger that refuses the statement. Arguments: why, and the right way (becomes the HINT). Raises TG007.';

revoke all on function tollgate.refuse_edit() from public;
