import { describe, expect, test } from "vitest";
import { Clocks, ZONES } from "../support/clocks.ts";
import { useDatabase } from "../support/database.ts";
import { Random, seed } from "../support/random.ts";

const { sql } = useDatabase();
const random = new Random();
const DAY = 86_400_000;
const periods = ["1 day", "1 week", "1 month", "1 year"] as const;

interface Period {
  period_start: Date;
  period_end: Date;
}

/** An anchor's local time, `count` periods later: days that a month lacks become its last day. */
function after(anchor: number, period: typeof periods[number], count: number): number {
  if (period === "1 day") return anchor + count * DAY;
  if (period === "1 week") return anchor + count * 7 * DAY;
  const date = new Date(anchor);
  const months = period === "1 month" ? count : 12 * count;
  const [year, month] = [date.getUTCFullYear(), date.getUTCMonth() + months];
  const day = Math.min(date.getUTCDate(), new Date(Date.UTC(year, month + 1, 0)).getUTCDate());
  return Date.UTC(year, month, day) + anchor - Math.floor(anchor / DAY) * DAY;
}

/** Anchors on days that months lack, at the times of changing clocks, and some at random. */
function casesOf(clocks: Clocks) {
  const anchors = [
    clocks.instantOf(Date.UTC(2024, 1, 29, 10, 30)),
    clocks.instantOf(Date.UTC(2025, 0, 31, 0, 0)),
    clocks.instantOf(Date.UTC(2025, 2, 30, 2, 30)),
    clocks.instantOf(Date.UTC(2027, 7, 31, 23, 59, 59)),
    ...Array.from(
      { length: 4 },
      () => random.integer(+new Date("2024-01-01"), +new Date("2028-01-01")),
    ),
  ].map((anchor) => Math.floor(anchor / 1000) * 1000);
  const instants = [
    ...clocks.changes(+new Date("2025-01-01"), +new Date("2028-12-31"))
      .flatMap((change) => [change - 1, change, change + DAY]),
    ...Array.from(
      { length: 10 },
      () => random.integer(+new Date("2024-01-01"), +new Date("2029-01-01")),
    ),
  ];
  return anchors.flatMap((anchor) =>
    [anchor - 1, anchor, ...instants].map((at) => ({ anchor, at }))
  );
}

describe.each(ZONES)(`%s (TOLLGATE_SEED=${seed})`, (zone) => {
  const clocks = new Clocks(zone);
  const cases = casesOf(clocks);
  const periodsAt = async (period: string, instants: number[]): Promise<Period[]> =>
    await sql<Period[]>`
      select p.period_start, p.period_end
      from unnest(
        ${cases.map(({ anchor }) => new Date(anchor).toISOString())}::timestamptz[],
        ${instants.map((at) => new Date(at).toISOString())}::timestamptz[]
      ) with ordinality i (anchor, at, position),
      tollgate.quota_period_at(i.anchor, ${period}, ${zone}, i.at) p
      order by i.position`;

  test.each(periods)(
    "periods of %s are multiples of the anchor, without gap or overlap",
    async (period) => {
      const found = await periodsAt(period, cases.map(({ at }) => at));

      const wrong = cases.filter(({ anchor, at }, index) => {
        const [start, end] = [+found[index]!.period_start, +found[index]!.period_end];
        const local = clocks.local(anchor);
        const length = { "1 day": 1, "1 week": 7, "1 month": 30.44, "1 year": 365.24 }[period] *
          DAY;
        const about = Math.round((start - anchor) / length);
        const count = [about - 1, about, about + 1].find((count) =>
          clocks.instantOf(after(local, period, count)) === start &&
          clocks.instantOf(after(local, period, count + 1)) === end
        );
        return count === undefined || start > at || at >= end;
      });
      expect(wrong).toEqual([]);
      const next = await periodsAt(period, found.map(({ period_end }) => +period_end));
      expect(next.map(({ period_start }) => period_start))
        .toEqual(found.map(({ period_end }) => period_end));
    },
  );
});
