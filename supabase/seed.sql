-- Demo data for local use: one project, two plans, users in telling states, three weeks of
-- history. All history is made by the kernel itself, placed in time by its last argument.

insert into public.projects (id, name, time_zone)
values ('d0000000-0000-4000-8000-000000000001', 'Demo', 'America/New_York');

insert into public.plans (id, project_id, name, plan_type)
values
  ('d0000000-0000-4000-8000-000000000011', 'd0000000-0000-4000-8000-000000000001', 'Pro', 'subscription'),
  ('d0000000-0000-4000-8000-000000000012', 'd0000000-0000-4000-8000-000000000001', 'Pay as you go', 'pay_as_you_go');

insert into public.plan_quotas (plan_id, token_amount, period)
values ('d0000000-0000-4000-8000-000000000011', 50000, '1 month');

update public.projects
set default_plan_id = 'd0000000-0000-4000-8000-000000000011'
where id = 'd0000000-0000-4000-8000-000000000001';

insert into public.tags (id, project_id, name)
values
  ('d0000000-0000-4000-8000-000000000021', 'd0000000-0000-4000-8000-000000000001', 'GPT-4'),
  ('d0000000-0000-4000-8000-000000000022', 'd0000000-0000-4000-8000-000000000001', 'embeddings');

insert into public.plan_restrictions (plan_id, restriction_type, restriction_config)
values
  ('d0000000-0000-4000-8000-000000000011', 'tag', '{"tag_name": "GPT-4", "max_tokens": 2000, "duration": "1 day"}'),
  ('d0000000-0000-4000-8000-000000000011', 'total', '{"max_tokens": 20000, "duration": "1 day"}'),
  ('d0000000-0000-4000-8000-000000000012', 'total', '{"max_tokens": 5000, "duration": "1 hour"}');

insert into public.tracked_users (project_id, external_id, plan_id, payment_status, billing_anchor, created_at)
select
  'd0000000-0000-4000-8000-000000000001',
  u.external_id,
  u.plan_id::uuid,
  u.payment_status::public.payment_status,
  now() - u.age,
  now() - u.age
from (
  values
    ('ada', 'd0000000-0000-4000-8000-000000000011', 'active', interval '22 days'),
    ('fresh', 'd0000000-0000-4000-8000-000000000011', 'active', interval '0'),
    ('quota-nearly-used', 'd0000000-0000-4000-8000-000000000011', 'active', interval '22 days'),
    ('past-due', 'd0000000-0000-4000-8000-000000000011', 'past_due', interval '40 days'),
    ('grants-about-to-expire', 'd0000000-0000-4000-8000-000000000012', 'active', interval '22 days'),
    ('blocked-by-restriction', 'd0000000-0000-4000-8000-000000000011', 'active', interval '22 days')
) u (external_id, plan_id, payment_status, age);

do $$
declare
  v_project constant uuid := 'd0000000-0000-4000-8000-000000000001';
  v_gpt_4 constant uuid := 'd0000000-0000-4000-8000-000000000021';
  v_embeddings constant uuid := 'd0000000-0000-4000-8000-000000000022';
  v_user text;
  v_at timestamptz;
begin
  perform tollgate.grant_tokens(v_project, 'ada', 5000, 'trial', now() + interval '30 days', '{"campaign": "launch"}', null, now() - interval '21 days');
  perform tollgate.grant_tokens(v_project, 'ada', 20000, 'purchase', null, '{"invoice": "in_1001"}', null, now() - interval '10 days');
  perform tollgate.grant_tokens(v_project, 'past-due', 3000, 'bonus', null, null, null, now() - interval '21 days');
  perform tollgate.grant_tokens(v_project, 'grants-about-to-expire', 10000, 'trial', now() + interval '12 hours', null, null, now() - interval '21 days');
  perform tollgate.grant_tokens(v_project, 'grants-about-to-expire', 4000, 'bonus', now() + interval '2 days', null, null, now() - interval '20 days');
  perform tollgate.grant_tokens(v_project, 'grants-about-to-expire', 9000, 'bonus', now() - interval '5 days', null, null, now() - interval '19 days');

  foreach v_user in array array['ada', 'quota-nearly-used', 'past-due', 'grants-about-to-expire', 'blocked-by-restriction'] loop
    for v_day in reverse 19..2 loop
      for v_call in 1..4 loop
        v_at := now() - make_interval(days => v_day) + make_interval(hours => 3 * v_call);
        perform tollgate.consume(
          v_project, v_user, 40 + (v_day * 37 + v_call * 101) % 160,
          case when v_call % 2 = 0 then v_gpt_4 else v_embeddings end,
          jsonb_build_object('request', format('%s-%s', v_day, v_call)), null, v_at
        );
      end loop;
      if v_user = 'quota-nearly-used' and v_day <= 6 then
        -- Two of these may fall on one day by the project's clocks: together still below its limit.
        perform tollgate.consume(v_project, v_user, 8100, v_embeddings, '{"job": "re-index"}', null, v_at);
      end if;
    end loop;
  end loop;

  perform tollgate.consume(v_project, 'blocked-by-restriction', 2000, v_gpt_4, null, null);
end;
$$;
