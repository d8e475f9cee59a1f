import { describe, expect, test } from "vitest";
import { changes, instantOf, type Length, periodStart, ZONES } from "../support/clocks.ts";
import { useDatabase } from "../support/database.ts";
import { Random, seed } from "../support/random.ts";

const { sql } = useDatabase();
const random = new Random();
const MINUTE = 60_000;
const DAY = 86_400_000;
// All changes of two years; many years are in windows_and_periods_are_those_of_temporal.
const from = Date.UTC(2025, 0, 1);
const to = Date.UTC(2027, 0, 1);
const lengths: Length[] = [
  "1 hour",
  "1 day",
  "1 week",
  "2 weeks",
  "1 month",
  "3 months",
  "6 months",
  "1 year",
];

interface Period {
  length: Length;
  anchor: Date;
  at: Date;
  number: number;
  start: Date;
  end: Date;
}

/** Anchors on days that months lack, at the times of changing clocks, and some at random. */
function anchorsIn(zone: string): number[] {
  return [
    instantOf("2024-02-29T10:30", zone),
    instantOf("2025-01-31T00:00", zone),
    instantOf("2026-08-31T23:59:59", zone),
    ...changes(zone, from, to).slice(0, 2)
      .map((change) => change + random.integer(-120, 120) * MINUTE),
    ...Array.from({ length: 2 }, () => random.integer(from, to)),
  ];
}

function instantsIn(zone: string): number[] {
  return [
    ...changes(zone, from, to).flatMap((change) => [change - 1, change, change + DAY]),
    ...Array.from({ length: 10 }, () => random.integer(from, to)),
  ];
}

describe.each(ZONES)(`%s (TOLLGATE_SEED=${seed})`, (zone) => {
  const anchors = anchorsIn(zone);
  const instants = instantsIn(zone);
  const cases = anchors.flatMap((anchor) =>
    [anchor - 1, anchor, ...instants].map((at) => ({ anchor, at }))
  );
  const iso = (instants: number[]) => instants.map((instant) => new Date(instant).toISOString());
  const anchorOf = iso(cases.map(({ anchor }) => anchor));
  const at = iso(cases.map(({ at }) => at));

  test("periods begin and end as Temporal says", async () => {
    const periods = await sql<Period[]>`
      select l.length, i.anchor, i.at, p.number,
        tollgate.period_start(i.anchor, l.length::interval, ${zone}, p.number) as start,
        tollgate.period_start(i.anchor, l.length::interval, ${zone}, p.number + 1) as end
      from unnest(${lengths}::text[]) l (length),
      unnest(${anchorOf}::timestamptz[], ${at}::timestamptz[]) i (anchor, at),
      tollgate.period_number(i.anchor, l.length::interval, ${zone}, i.at) p (number)`;

    const wrong = periods.filter(({ length, anchor, at, number, start, end }) =>
      at < start || at >= end ||
      +start !== periodStart(+anchor, length, zone, number) ||
      +end !== periodStart(+anchor, length, zone, number + 1)
    );
    expect(periods).toHaveLength(lengths.length * cases.length);
    expect(wrong).toEqual([]);
  });

  test("the next period begins where one ends, and the one before ends there", async () => {
    expect(
      await sql`
        select l.length, i.*, p.number
        from unnest(${lengths}::interval[]) l (length),
        unnest(${anchorOf}::timestamptz[], ${at}::timestamptz[]) i (anchor, at),
        tollgate.period_number(i.anchor, l.length, ${zone}, i.at) p (number),
        tollgate.period_start(i.anchor, l.length, ${zone}, p.number + 1) next (starts_at)
        where p.number + 1 <>
            tollgate.period_number(i.anchor, l.length, ${zone}, next.starts_at)
          or p.number <> tollgate.period_number(
            i.anchor, l.length, ${zone}, next.starts_at - interval '1 microsecond')`,
    ).toEqual([]);
  });

  test("each period begins after the one before, and number 0 at the anchor", async () => {
    expect(
      await sql`
        select l.length, a.anchor, n.number
        from unnest(${lengths}::interval[]) l (length),
        unnest(${iso(anchors)}::timestamptz[]) a (anchor),
        generate_series(-6, 6) n (number),
        tollgate.period_start(a.anchor, l.length, ${zone}, n.number) p (starts_at)
        where p.starts_at <= tollgate.period_start(a.anchor, l.length, ${zone}, n.number - 1)
          or n.number = 0 and p.starts_at <> a.anchor`,
    ).toEqual([]);
  });
});
