-- Usage over time, from the quarters of an hour in user_usage_buckets: a year by day reads no transfer.

create type public.usage_step as enum ('hour', 'day', 'week', 'month');
comment on type public.usage_step is 'Calendar hours, days, weeks or months.';
create type public.usage_dimension as enum ('tag', 'user', 'key', 'source');
comment on type public.usage_dimension is
  'By what usage is split up: tag, tracked user, name of the API key, or what paid: base_quota, grants, and below zero what was regranted.';

create function tollgate.usage(
  p_project_id uuid,
  p_from timestamptz,
  p_to timestamptz,
  p_step public.usage_step,
  p_group_by public.usage_dimension,
  p_external_user_id text,
  p_tag text
)
returns table (
  starts_at timestamptz,
  ends_at timestamptz,
  tokens_used bigint,
  base_quota_used bigint,
  grants_used bigint,
  calls bigint,
  groups jsonb
)
language plpgsql
stable
security definer
set search_path = ''
set enable_seqscan = off
-- Of one user no others may be read: the condition is known when the plan is made.
set plan_cache_mode = force_custom_plan
as $$
declare
  v_to constant timestamptz := coalesce(p_to, clock_timestamp());
  v_length constant interval := case p_step when 'week' then '7 days' else '1 ' || p_step end;
  v_user_id uuid;
  v_tag_id uuid;
  v_time_zone text;
  v_week_start public.weekday;
  v_window record;
  v_starts timestamptz[] := '{}';
  v_end timestamptz;
  v_is_member boolean;
begin
  if p_external_user_id is not null then
    v_user_id := tollgate.tracked_user_id(p_project_id, p_external_user_id);
    perform tollgate.require_reader(v_user_id);
  else
    perform tollgate.require_role(p_project_id, 'viewer');
  end if;
  select coalesce(u.time_zone, p.time_zone), p.week_start
  into v_time_zone, v_week_start
  from public.projects p
  left join public.tracked_users u on u.id = v_user_id
  where p.id = p_project_id;
  if not found then
    raise exception using
      errcode = 'TG009', message = 'The project is not known', hint = 'Check the project id.';
  elsif not tollgate.is_instant(p_from) or not tollgate.is_instant(v_to) then
    raise exception using
      errcode = 'TG001',
      message = format(
        '%s must be an instant of the years 1 to 9999', case when tollgate.is_instant(p_from) then 'to' else 'from' end
      ),
      hint = 'For example the last 30 days by day.';
  elsif p_from is null or p_step is null or p_from >= v_to then
    raise exception using
      errcode = 'TG001', message = 'from must be an instant before to, and the step not null',
      hint = 'For example the last 30 days by day.';
  end if;
  v_is_member := tollgate.is_trusted() or p_project_id in (select tollgate.my_projects('viewer'));
  if p_group_by = 'key' and not v_is_member then
    raise exception using
      errcode = 'TG008', message = 'Usage by API key is for members of the project', hint = 'Group by tag or source.';
  elsif p_tag is not null then
    -- Whoever is no member must not learn of tags that they have not used.
    select t.id into v_tag_id from public.tags t
    where t.project_id = p_project_id and t.name = p_tag
      and (v_is_member or exists (select from public.user_tags g where g.user_id = v_user_id and g.tag_id = t.id));
    if not found then
      perform tollgate.refuse('unknown_tag', p_tag);
    end if;
  end if;

  v_end := p_from;
  while v_end < v_to loop
    v_window := tollgate.window_at(v_length, v_time_zone, v_week_start, v_end);
    v_starts := v_starts || v_window.starts_at;
    v_end := v_window.ends_at;
    if cardinality(v_starts) > 1000 then
      raise exception using
        errcode = 'TG001',
        message = format('from and to are more than 1000 %ss apart', p_step),
        hint = 'Ask for a shorter time, or longer steps.';
    end if;
  end loop;

  return query
    with
    -- A plpgsql array would be copied for every row.
    bounds as materialized (select v_starts as starts),
    used as (
      select
        width_bucket(b.starts_at, w.starts) as position,
        case p_group_by
          when 'tag' then t.name
          when 'user' then u.external_id
          when 'key' then coalesce(k.name, nullif(b.api_key_id, '00000000-0000-0000-0000-000000000000')::text)
        end as label,
        sum(b.tokens_used)::bigint as tokens_used,
        sum(b.base_quota_used)::bigint as base_quota_used,
        sum(b.grants_used)::bigint as grants_used,
        sum(b.calls)::bigint as calls
      from bounds w
      cross join (
        -- Of one user found by key, or of all of the project: one of the two is never read.
        select f.id, f.external_id from public.tracked_users f where f.id = v_user_id
        union all
        select f.id, f.external_id from public.tracked_users f
        where v_user_id is null and f.project_id = p_project_id
      ) u
      join public.user_usage_buckets b on b.user_id = u.id
      left join public.tags t on t.project_id = p_project_id and t.id = b.tag_id
      left join public.api_keys k on k.project_id = p_project_id and k.id = b.api_key_id
      where (v_tag_id is null or b.tag_id = v_tag_id)
        and b.starts_at >= v_starts[1] and b.starts_at < v_end
      group by 1, 2
    ),
    grouped as (
      select g.position, g.label, g.tokens_used, g.calls
      from used g
      where p_group_by <> 'source'
      union all
      select g.position, s.label, s.tokens_used, g.calls
      from used g
      cross join lateral (values
        ('base_quota', g.base_quota_used),
        ('grants', g.grants_used),
        -- Given back as a new grant, since what had paid was over: from neither.
        ('regranted', g.tokens_used - g.base_quota_used - g.grants_used)
      ) s (label, tokens_used)
      where p_group_by = 'source' and s.tokens_used <> 0
    ),
    -- Windows and groups without usage are added as zeros, not joined: the planner knows too little of
    -- how many there are.
    filled as (
      select f.position, f.label, sum(f.tokens_used)::bigint as tokens_used, sum(f.calls)::bigint as calls
      from (
        select * from grouped
        union all
        select n, l.label, 0, 0
        from generate_series(1, cardinality(v_starts)) n
        cross join (select distinct g.label from grouped g) l
      ) f
      group by f.position, f.label
    ),
    split as (
      select f.position, jsonb_agg(jsonb_build_object(
        'group', f.label, 'tokens_used', f.tokens_used, 'calls', f.calls
      ) order by f.label nulls last) as groups
      from filled f
      group by f.position
    ),
    totals as (
      select
        w.position, sum(w.tokens_used)::bigint as tokens_used, sum(w.base_quota_used)::bigint as base_quota_used,
        sum(w.grants_used)::bigint as grants_used, sum(w.calls)::bigint as calls
      from (
        select g.position, g.tokens_used, g.base_quota_used, g.grants_used, g.calls from used g
        union all
        select n, 0, 0, 0, 0 from generate_series(1, cardinality(v_starts)) n
      ) w
      group by w.position
    )
    select
      v_starts[w.position], coalesce(v_starts[w.position + 1], v_end),
      w.tokens_used, w.base_quota_used, w.grants_used, w.calls,
      case when p_group_by is not null then coalesce(s.groups, '[]') end
    from totals w
    left join split s on s.position = w.position
    order by w.position;
end;
$$;

alter function tollgate.usage(
  uuid, timestamptz, timestamptz, public.usage_step, public.usage_dimension, text, text
) owner to tollgate_kernel;
comment on function tollgate.usage(
  uuid, timestamptz, timestamptz, public.usage_step, public.usage_dimension, text, text
) is
  'Tokens used by a project, or by one user, in whole calendar windows, from the one that p_from lies in to the one that p_to lies in or ends, at most 1000, none left out; by the clocks of the user, if one is named, else the project''s. What was refunded does not count, and what was held counts when it was held. groups splits a window up, with every group in every window. Raises TG001, TG004, TG005, TG008, TG009.';

revoke all on all functions in schema tollgate from public;
grant execute on function tollgate.usage(
  uuid, timestamptz, timestamptz, public.usage_step, public.usage_dimension, text, text
) to authenticated, service_role;
