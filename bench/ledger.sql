-- A ledger for verify_ledger(): a thousand transfers of one user, made by the product's own
-- functions, and the same of 999 others, copied past the triggers, which would take minutes.
do $$
declare
  v_project uuid;
  v_plan uuid;
  v_tag uuid;
  v_at timestamptz := now() - interval '100 days';
  v_call record;
begin
  insert into projects (name) values ('Ledger') returning id into v_project;
  insert into tags (project_id, name) values (v_project, 'GPT-4') returning id into v_tag;
  insert into plans (project_id, name, plan_type) values (v_project, 'Pro', 'subscription') returning id into v_plan;
  insert into plan_quotas (plan_id, token_amount, period) values (v_plan, 600, '1 month');
  insert into plan_restrictions (plan_id, restriction_type, restriction_config) values
    (v_plan, 'total', '{"max_tokens": 1000000, "duration": "1 month"}'),
    (v_plan, 'tag', '{"tag_name": "GPT-4", "max_tokens": 100000, "duration": "1 day", "window": "rolling"}');
  insert into tracked_users (project_id, external_id, plan_id, billing_anchor, created_at)
  values (v_project, 'user1', v_plan, v_at, v_at);

  -- Of ten calls one gives, one holds, settles and refunds, eight consume.
  for i in 1 .. 833 loop
    v_at := v_at + interval '3 hours';
    case i % 10
      when 1 then
        perform tollgate.grant_tokens(
          v_project, 'user1', 60, 'purchase', v_at + interval '20 days', null, 'grant ' || i, v_at
        );
      when 2 then
        select h.* into v_call from tollgate.hold(v_project, 'user1', 9, v_tag, 600, null, 'hold ' || i, v_at) h;
        select s.* into v_call
        from tollgate.settle_hold(v_project, v_call.hold_id, 5, false, null, 'settle ' || i, v_at + interval '1 minute') s;
        perform tollgate.refund_tokens(
          v_project, 'user1', v_call.transfer_number, null, 2, false, null, null, 'refund ' || i, v_at + interval '2 minutes'
        );
      else
        perform tollgate.consume(
          v_project, 'user1', 7, case when i % 2 = 0 then v_tag end, '{"model": "gpt-4"}', 'call ' || i, v_at
        );
    end case;
  end loop;
end
$$;

create table copies as
select 'user' || n as external_id, tollgate.tracked_user_id(p.id, 'user' || n) as user_id
from projects p, generate_series(2, 1000) n;

do $$
declare
  v_table text;
begin
  set local session_replication_role = replica;
  insert into tracked_users (id, project_id, external_id, plan_id, billing_anchor, created_at)
  select c.user_id, u.project_id, c.external_id, u.plan_id, u.billing_anchor, u.created_at from tracked_users u, copies c;
  foreach v_table in array array[
    'user_usage', 'user_token_grants', 'user_token_grants_consume', 'user_quota_usage', 'token_transfers', 'token_holds',
    'user_usage_buckets', 'user_tags'
  ] loop
    execute (
      select format(
        'insert into %1$I (%2$s) select %3$s from %1$I t, copies c', v_table,
        string_agg(quote_ident(attname), ', ' order by attnum),
        string_agg(case when attname = 'user_id' then 'c.user_id' else 't.' || quote_ident(attname) end, ', ' order by attnum)
      )
      from pg_attribute
      where attrelid = v_table::regclass and attnum > 0 and not attisdropped
    );
  end loop;
end
$$;
drop table copies;
