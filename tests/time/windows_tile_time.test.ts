import { describe, expect, test } from "vitest";
import { changes, type Length, WEEKDAYS, windowAt, ZONES } from "../support/clocks.ts";
import { useDatabase } from "../support/database.ts";
import { Random, seed } from "../support/random.ts";

const { sql } = useDatabase();
const random = new Random();
// All changes of one year; many years are in windows_and_periods_are_those_of_temporal.
const from = Date.UTC(2026, 0, 1);
const to = Date.UTC(2027, 0, 1);
const lengths: Length[] = [
  "1 hour",
  "2 hours",
  "5 hours",
  "6 hours",
  "24 hours",
  "1 day",
  "3 days",
  "7 days",
  "2 weeks",
  "1 month",
  "3 months",
  "18 months",
];
const nested: [shorter: Length, longer: Length][] = [
  ["1 hour", "6 hours"],
  ["6 hours", "24 hours"],
  ["24 hours", "1 day"],
  ["1 day", "24 hours"],
  ["1 day", "3 days"],
  ["1 day", "7 days"],
  ["7 days", "2 weeks"],
  ["1 day", "1 month"],
  ["1 month", "3 months"],
  ["3 months", "18 months"],
];

/** Around every change of clocks, and some at random. */
function instantsIn(zone: string): number[] {
  const minutes = [-1500, -90, -60, -45, -30, -15, 0, 15, 30, 45, 60, 90, 1500];
  return [
    ...changes(zone, from, to).flatMap((change) => [
      change - 1,
      ...minutes.map((minute) => change + minute * 60_000),
    ]),
    ...Array.from({ length: 20 }, () => random.integer(from, to)),
  ];
}

describe.each(ZONES)(`%s (TOLLGATE_SEED=${seed})`, (zone) => {
  const weekStart = random.integer(1, 7);
  const weekday = WEEKDAYS[weekStart - 1]!;
  const instants = instantsIn(zone);
  const at = instants.map((instant) => new Date(instant).toISOString());

  test("windows begin and end as Temporal says", async () => {
    const windows = await sql<{ length: Length; at: Date; starts_at: Date; ends_at: Date }[]>`
      select l.length, i.at, w.*
      from unnest(${lengths}::text[]) l (length), unnest(${at}::timestamptz[]) i (at),
      tollgate.window_at(l.length::interval, ${zone}, ${weekday}, i.at) w`;

    expect(windows).toHaveLength(lengths.length * at.length);
    expect(windows).toEqual(windows.map(({ length, at }) => {
      const [start, end] = windowAt(length, zone, weekStart, +at);
      return { length, at, starts_at: new Date(start), ends_at: new Date(end) };
    }));
  });

  test("an instant lies in its window, and the next begins where that one ends", async () => {
    expect(
      await sql`
        select l.length, i.at, w::text, next::text, final::text
        from unnest(${lengths}::interval[]) l (length), unnest(${at}::timestamptz[]) i (at),
        tollgate.window_at(l.length, ${zone}, ${weekday}, i.at) w,
        tollgate.window_at(l.length, ${zone}, ${weekday}, w.ends_at) next,
        tollgate.window_at(l.length, ${zone}, ${weekday}, w.ends_at - interval '1 microsecond') final
        where i.at < w.starts_at or i.at >= w.ends_at
          or next.starts_at <> w.ends_at or final is distinct from w`,
    ).toEqual([]);
  });

  test("a later instant lies in the same window, or in one that begins after its end", async () => {
    expect(
      await sql`
        select * from (
          select l.length, i.at, w.*,
            lag(w.starts_at) over earlier as earlier_start,
            lag(w.ends_at) over earlier as earlier_end
          from unnest(${lengths}::interval[]) l (length), unnest(${at}::timestamptz[]) i (at),
          tollgate.window_at(l.length, ${zone}, ${weekday}, i.at) w
          window earlier as (partition by l.length::text order by i.at)
        ) w
        where starts_at < earlier_end
          and (starts_at, ends_at) is distinct from (earlier_start, earlier_end)`,
    ).toEqual([]);
  });

  test("a window lies in the longer ones that are made of such", async () => {
    expect(
      await sql`
        select n.*, i.at, s::text as is, l::text as in
        from unnest(
          ${nested.map(([shorter]) => shorter)}::interval[],
          ${nested.map(([, longer]) => longer)}::interval[]
        ) n (shorter, longer), unnest(${at}::timestamptz[]) i (at),
        tollgate.window_at(n.shorter, ${zone}, ${weekday}, i.at) s,
        tollgate.window_at(n.longer, ${zone}, ${weekday}, i.at) l
        where s.starts_at < l.starts_at or s.ends_at > l.ends_at`,
    ).toEqual([]);
  });
});
