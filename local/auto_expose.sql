-- `api.auto_expose_new_tables`, on unless config.toml says otherwise: what migrations create in
-- `public` is granted to the API roles at once. Each migration must therefore revoke, then grant.
alter default privileges for role postgres in schema public
  grant all on tables to anon, authenticated, service_role;
alter default privileges for role postgres in schema public
  grant all on functions to anon, authenticated, service_role;
alter default privileges for role postgres in schema public
  grant all on sequences to anon, authenticated, service_role;
