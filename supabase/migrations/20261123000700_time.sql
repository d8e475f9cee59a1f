-- Calendar windows and quota periods, by a project's clocks. Pure functions of an instant and a
-- time zone: they read no table and no clock.

create function tollgate.first_instant(p_local timestamp, p_time_zone text)
returns timestamptz
language plpgsql
stable
strict
security invoker
set search_path = ''
as $$
declare
  v_instant constant timestamptz := p_local at time zone p_time_zone;
  v_day_before constant timestamptz := v_instant - interval '24 hours';
  -- The same local time, had the clocks of the day before not been changed since.
  v_earlier constant timestamptz := v_day_before
    + (p_local - (v_day_before at time zone p_time_zone));
begin
  -- Where clocks are set back a time is shown twice, and Postgres picks the second.
  if v_earlier < v_instant and v_earlier at time zone p_time_zone = p_local then
    return v_earlier;
  end if;
  return v_instant;
end;
$$;

comment on function tollgate.first_instant(timestamp, text) is
  'The first instant at which clocks in the zone show a local time; a local time that is skipped counts as if clocks had not yet been changed.';

create type tollgate.windows as (
  hour_start timestamptz,
  day_start timestamptz,
  week_start timestamptz,
  month_start timestamptz,
  hour_end timestamptz,
  day_end timestamptz,
  week_end timestamptz,
  month_end timestamptz
);

create function tollgate.windows_at(p_at timestamptz, p_time_zone text)
returns tollgate.windows
language plpgsql
stable
strict
security invoker
set search_path = ''
as $$
declare
  v_local constant timestamp := p_at at time zone p_time_zone;
  v_day constant timestamp := date_trunc('day', v_local);
  v_week constant timestamp := date_trunc('week', v_local);
  v_month constant timestamp := date_trunc('month', v_local);
  w tollgate.windows;
begin
  -- An hour is 60 minutes even where clocks show it twice: date_trunc() with a zone keeps the
  -- offset of p_at. Only a change by less than an hour (Lord Howe) cuts an hour short: then the
  -- hour before the change ends, and this one begins, at the change.
  w.hour_start := date_trunc('hour', p_at, p_time_zone);
  w.hour_end := w.hour_start + interval '1 hour';
  if date_trunc('hour', w.hour_start, p_time_zone) < w.hour_start then
    w.hour_start := date_trunc('hour', w.hour_start, p_time_zone) + interval '1 hour';
  end if;

  w.day_start := tollgate.first_instant(v_day, p_time_zone);
  w.day_end := tollgate.first_instant(v_day + interval '1 day', p_time_zone);
  w.week_start := tollgate.first_instant(v_week, p_time_zone);
  w.week_end := tollgate.first_instant(v_week + interval '1 week', p_time_zone);
  w.month_start := tollgate.first_instant(v_month, p_time_zone);
  w.month_end := tollgate.first_instant(v_month + interval '1 month', p_time_zone);
  return w;
end;
$$;

comment on function tollgate.windows_at(timestamptz, text) is
  'The calendar hour, day, week (from Monday, ISO 8601) and month that an instant lies in: start inclusive, end exclusive. Windows of one length tile time without gap or overlap.';

create function tollgate.quota_period_at(
  p_anchor timestamptz,
  p_period public.quota_period,
  p_time_zone text,
  p_at timestamptz,
  out period_start timestamptz,
  out period_end timestamptz
)
returns record
language plpgsql
stable
strict
security invoker
set search_path = ''
as $$
declare
  v_length constant interval := p_period::text::interval;
  v_anchor constant timestamp := p_anchor at time zone p_time_zone;
  v_local constant timestamp := p_at at time zone p_time_zone;
  v_count integer;
begin
  -- A guess that is at most one off, then the exact answer: always a multiple of the anchor
  -- itself, so that an anchor on the 31st gives February 28th and then March 31st.
  v_count := case p_period
    when '1 day' then v_local::date - v_anchor::date
    when '1 week' then div(v_local::date - v_anchor::date, 7)
    when '1 month' then
      12 * (extract(year from v_local) - extract(year from v_anchor))
      + extract(month from v_local) - extract(month from v_anchor)
    when '1 year' then extract(year from v_local) - extract(year from v_anchor)
  end;
  loop
    period_start := tollgate.first_instant(v_anchor + v_count * v_length, p_time_zone);
    period_end := tollgate.first_instant(v_anchor + (v_count + 1) * v_length, p_time_zone);
    if p_at < period_start then
      v_count := v_count - 1;
    elsif p_at >= period_end then
      v_count := v_count + 1;
    else
      return;
    end if;
  end loop;
end;
$$;

comment on function tollgate.quota_period_at(timestamptz, public.quota_period, text, timestamptz) is
  'The quota period that an instant lies in, counted from a billing anchor by local clocks: start inclusive, end exclusive. Days that a month lacks become its last day.';

revoke all on all functions in schema tollgate from public;
grant execute on function
tollgate.first_instant(timestamp, text),
tollgate.windows_at(timestamptz, text),
tollgate.quota_period_at(timestamptz, public.quota_period, text, timestamptz)
to tollgate_kernel;
