-- Windows and periods: pure functions of an anchor, a length, a time zone and an instant. They read no
-- table and no clock, so that nothing has to run when a window or a period ends.
--
-- A length is an interval of hours, of days or of months: 7 days are a week, 12 months a year. Starts
-- are inclusive, ends exclusive. Windows, and periods, of one length tile time without gap or overlap.

create function tollgate.instant_of(p_local timestamp, p_time_zone text)
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

comment on function tollgate.instant_of(timestamp, text) is
  'The instant at which clocks in the zone show a local time: the first, where they show it twice; where they skip it, as if they had not yet been changed. (Temporal, and RFC 5545, call that compatible.)';

create function tollgate.first_instant(p_local timestamp, p_time_zone text)
returns timestamptz
language plpgsql
stable
strict
security invoker
set search_path = ''
as $$
declare
  v_instant constant timestamptz := tollgate.instant_of(p_local, p_time_zone);
  v_skipped constant interval := (v_instant at time zone p_time_zone) - p_local;
begin
  if v_skipped = interval '0' then
    return v_instant;
  end if;
  -- Skipped: the instant of the change. Clocks are changed on whole minutes.
  return (
    select min(m)
    from generate_series(v_instant - v_skipped, v_instant, interval '1 minute') m
    where m at time zone p_time_zone >= p_local
  );
end;
$$;

comment on function tollgate.first_instant(timestamp, text) is
  'The first instant at which clocks in the zone show a local time, or a later one where they skip it: so a day without midnight begins when clocks are changed.';

create function tollgate.window_at(
  p_length interval,
  p_time_zone text,
  p_week_start public.weekday,
  p_at timestamptz,
  out starts_at timestamptz,
  out ends_at timestamptz
)
returns record
language plpgsql
stable
strict
security invoker
set search_path = ''
as $$
declare
  v_local constant timestamp := p_at at time zone p_time_zone;
  v_months constant integer := 12 * extract(year from p_length) + extract(month from p_length);
  v_days constant integer := extract(day from p_length);
  -- A Monday and the first day of a month, a quarter and a year: windows of several units are counted
  -- from here.
  v_origin timestamp := '2001-01-01';
  v_count integer;
begin
  if p_length = interval '1 hour' then
    -- An hour is 60 minutes even where clocks show it twice: date_trunc() with a zone keeps the
    -- offset of p_at. Only a change by part of an hour (Lord Howe) cuts an hour short: then it has
    -- those minutes that belong to it by their own offset.
    starts_at := date_trunc('hour', p_at, p_time_zone);
    ends_at := starts_at + p_length;
    if date_trunc('hour', starts_at, p_time_zone) <> starts_at
      or date_trunc('hour', ends_at - interval '1 minute', p_time_zone) <> starts_at then
      select min(m), max(m) + interval '1 minute'
      into starts_at, ends_at
      from generate_series(starts_at, ends_at - interval '1 minute', interval '1 minute') m
      where date_trunc('hour', m, p_time_zone) = starts_at;
    end if;
    return;
  end if;

  -- By the clocks; where they are set back across a boundary, the next window has begun already.
  if v_months > 0 then
    v_count := floor((12 * (extract(year from v_local) - 2001) + extract(month from v_local) - 1) / v_months);
  elsif v_days > 0 then
    if v_days % 7 = 0 then
      v_origin := v_origin + make_interval(
        days => array_position(enum_range(null::public.weekday), p_week_start) - 1
      );
    end if;
    v_count := floor((v_local::date - v_origin::date)::numeric / v_days);
  else
    v_count := floor(extract(epoch from v_local - v_origin) / extract(epoch from p_length));
  end if;
  loop
    starts_at := tollgate.first_instant(v_origin + v_count * p_length, p_time_zone);
    ends_at := tollgate.first_instant(v_origin + (v_count + 1) * p_length, p_time_zone);
    exit when p_at < ends_at;
    v_count := v_count + 1;
  end loop;
end;
$$;

comment on function tollgate.window_at(interval, text, public.weekday, timestamptz) is
  'The calendar window that an instant lies in. One hour is 60 minutes, also where clocks show it twice. Several hours, days, weeks and months are by the clocks on the wall, counted from Monday, January 1st 2001: 6 hours begin at 0, 6, 12 and 18 o''clock, 3 months are quarters; on a day when clocks are changed a window is shorter or longer by the change. Weeks (whole multiples of 7 days) begin on p_week_start.';

create function tollgate.period_start(
  p_anchor timestamptz, p_length interval, p_time_zone text, p_number integer
)
returns timestamptz
language plpgsql
stable
strict
security invoker
set search_path = ''
as $$
begin
  -- Number 0 begins at the anchor also where clocks show the anchor's time for the second time.
  if p_number = 0 or p_length < interval '1 day' then
    return p_anchor + p_number * p_length;
  end if;
  return tollgate.instant_of((p_anchor at time zone p_time_zone) + p_number * p_length, p_time_zone);
end;
$$;

comment on function tollgate.period_start(timestamptz, interval, text, integer) is
  'When the period with a number begins; number 0 begins at the anchor. Always a multiple of the length from the anchor itself, so that an anchor on the 31st gives February 28th and then March 31st. Hours are elapsed time; days, weeks and months go by local clocks, and days that a month lacks become its last day.';

create function tollgate.period_number(
  p_anchor timestamptz, p_length interval, p_time_zone text, p_at timestamptz
)
returns integer
language plpgsql
stable
strict
security invoker
set search_path = ''
as $$
declare
  v_months constant integer := 12 * extract(year from p_length) + extract(month from p_length);
  v_anchor constant timestamp := p_anchor at time zone p_time_zone;
  v_local constant timestamp := p_at at time zone p_time_zone;
  v_number integer;
begin
  -- A guess that is at most a few off, then the exact answer.
  if v_months > 0 then
    v_number := floor((
      12 * (extract(year from v_local) - extract(year from v_anchor))
      + extract(month from v_local) - extract(month from v_anchor)
    ) / v_months);
  else
    v_number := floor(extract(epoch from p_at - p_anchor) / extract(epoch from p_length));
  end if;
  while p_at < tollgate.period_start(p_anchor, p_length, p_time_zone, v_number) loop
    v_number := v_number - 1;
  end loop;
  while p_at >= tollgate.period_start(p_anchor, p_length, p_time_zone, v_number + 1) loop
    v_number := v_number + 1;
  end loop;
  return v_number;
end;
$$;

comment on function tollgate.period_number(timestamptz, interval, text, timestamptz) is
  'The number of the period that an instant lies in, counted from an anchor: 0 for the one that begins there, negative before.';

revoke all on all functions in schema tollgate from public;
grant execute on function
tollgate.instant_of(timestamp, text),
tollgate.first_instant(timestamp, text),
tollgate.window_at(interval, text, public.weekday, timestamptz),
tollgate.period_start(timestamptz, interval, text, integer),
tollgate.period_number(timestamptz, interval, text, timestamptz)
to tollgate_kernel;
