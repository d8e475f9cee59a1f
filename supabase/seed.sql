-- Demo data for local use: one project, three plans, users in telling states, three weeks of
-- history. All history is made by the kernel itself, placed in time by its arguments.

insert into public.projects (id, name, time_zone, grace_days)
values ('d0000000-0000-4000-8000-000000000001', 'Demo', 'America/New_York', 7);

insert into public.plans (id, project_id, name, plan_type)
values
  ('d0000000-0000-4000-8000-000000000011', 'd0000000-0000-4000-8000-000000000001', 'Pro', 'subscription'),
  ('d0000000-0000-4000-8000-000000000012', 'd0000000-0000-4000-8000-000000000001', 'Pay as you go', 'pay_as_you_go'),
  ('d0000000-0000-4000-8000-000000000013', 'd0000000-0000-4000-8000-000000000001', 'Team', 'subscription');

-- As if Team's quota had rolled over for long: what a period leaves is not carried over unless the
-- rollover was switched on by then.
alter table public.plan_quotas disable trigger rollover_is_dated;
insert into public.plan_quotas (plan_id, token_amount, period, rollover_max_tokens, rollover_periods, rollover_since)
values
  ('d0000000-0000-4000-8000-000000000011', 50000, '1 month', null, null, null),
  ('d0000000-0000-4000-8000-000000000013', 100000, '1 month', 20000, 2, now() - interval '1 year');
alter table public.plan_quotas enable trigger rollover_is_dated;

update public.projects
set default_plan_id = 'd0000000-0000-4000-8000-000000000011'
where id = 'd0000000-0000-4000-8000-000000000001';

insert into public.tags (id, project_id, name)
values
  ('d0000000-0000-4000-8000-000000000021', 'd0000000-0000-4000-8000-000000000001', 'GPT-4'),
  ('d0000000-0000-4000-8000-000000000022', 'd0000000-0000-4000-8000-000000000001', 'embeddings'),
  ('d0000000-0000-4000-8000-000000000023', 'd0000000-0000-4000-8000-000000000001', 'GPT-5');

-- Pro forbids GPT-5; on Team it shares a limit with GPT-4, and all tokens a rolling one.
insert into public.plan_restrictions (plan_id, restriction_type, restriction_config)
values
  ('d0000000-0000-4000-8000-000000000011', 'tag', '{"tag_name": "GPT-4", "max_tokens": 2000, "duration": "1 day"}'),
  ('d0000000-0000-4000-8000-000000000011', 'total', '{"max_tokens": 20000, "duration": "1 day"}'),
  ('d0000000-0000-4000-8000-000000000012', 'total', '{"max_tokens": 5000, "duration": "1 hour"}'),
  ('d0000000-0000-4000-8000-000000000011', 'tag', '{"tag_name": "GPT-5", "max_tokens": 0, "duration": "1 day"}'),
  ('d0000000-0000-4000-8000-000000000013', 'tag', '{"tag_names": ["GPT-4", "GPT-5"], "max_tokens": 30000, "duration": "1 day"}'),
  ('d0000000-0000-4000-8000-000000000013', 'total', '{"max_tokens": 10000, "duration": "5 hours", "window": "rolling"}');

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
    ('blocked-by-restriction', 'd0000000-0000-4000-8000-000000000011', 'active', interval '22 days'),
    ('quota-rolled-over', 'd0000000-0000-4000-8000-000000000013', 'active', interval '40 days'),
    ('weekly-bonus', 'd0000000-0000-4000-8000-000000000012', 'active', interval '22 days'),
    ('five-hours-used-up', 'd0000000-0000-4000-8000-000000000013', 'active', interval '22 days'),
    ('plan-ends-soon', 'd0000000-0000-4000-8000-000000000013', 'active', interval '22 days'),
    ('past-due-in-grace', 'd0000000-0000-4000-8000-000000000011', 'active', interval '22 days')
) u (external_id, plan_id, payment_status, age);

-- 500 tokens each week, for a week, for half a year to come.
insert into public.recurring_grants (user_id, token_amount, grant_type, every, valid_for, starts_at, ends_at)
select u.id, 500, 'bonus', '1 week', '1 week', now() - interval '17 days', now() + interval '26 weeks'
from public.tracked_users u
where u.external_id = 'weekly-bonus';

do $$
declare
  v_project constant uuid := 'd0000000-0000-4000-8000-000000000001';
  v_gpt_4 constant uuid := 'd0000000-0000-4000-8000-000000000021';
  v_embeddings constant uuid := 'd0000000-0000-4000-8000-000000000022';
  v_gpt_5 constant uuid := 'd0000000-0000-4000-8000-000000000023';
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

  -- The rest of the first period is carried over as soon as anybody looks.
  for v_day in reverse 39..30 loop
    perform tollgate.consume(v_project, 'quota-rolled-over', 8500, v_gpt_5, null, null, now() - make_interval(days => v_day));
  end loop;
  -- Each week's bonus is written down by the first call after it was due.
  for v_day in reverse 16..1 loop
    perform tollgate.consume(v_project, 'weekly-bonus', 30, v_embeddings, null, null, now() - make_interval(days => v_day));
  end loop;
  -- 4000 of these tokens roll off in two hours.
  perform tollgate.consume(v_project, 'five-hours-used-up', 4000, v_gpt_4, null, null, now() - interval '3 hours');
  perform tollgate.consume(v_project, 'five-hours-used-up', 6000, v_gpt_5, null, null, now() - interval '1 hour');

  perform tollgate.change_user(v_project, 'plan-ends-soon', 'Pro', null, 'period_end', 'keep', null, null, null, null);
  perform tollgate.change_user(v_project, 'past-due-in-grace', null, 'past_due', 'now', 'keep', null, null, null, null);
end;
$$;
