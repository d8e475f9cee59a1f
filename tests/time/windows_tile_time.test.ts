import { describe, expect, test } from "vitest";
import { Clocks, ZONES } from "../support/clocks.ts";
import { useDatabase } from "../support/database.ts";
import { Random, seed } from "../support/random.ts";

const { sql } = useDatabase();
const random = new Random();
const from = Date.UTC(2025, 0, 1);
const to = Date.UTC(2028, 11, 31);
const units = ["hour", "day", "week", "month"] as const;

type Windows = Record<`${typeof units[number]}_${"start" | "end"}`, Date>;

async function windowsAt(instants: number[], zone: string): Promise<Windows[]> {
  return await sql<Windows[]>`
    select w.* from unnest(${instants.map((at) => new Date(at).toISOString())}::timestamptz[])
      with ordinality i (at, position),
    tollgate.windows_at(i.at, ${zone}) w
    order by i.position`;
}

/** Around every change of clocks, and some at random. */
function instantsOf(clocks: Clocks): number[] {
  const minutes = [-1500, -90, -60, -45, -30, -15, 0, 15, 30, 45, 60, 90, 1500];
  return [
    ...clocks.changes(from, to).flatMap((change) => [
      change - 1,
      ...minutes.map((minute) => change + minute * 60_000),
    ]),
    ...Array.from({ length: 20 }, () => random.integer(from, to)),
  ];
}

describe.each(ZONES)(`%s (TOLLGATE_SEED=${seed})`, (zone) => {
  const clocks = new Clocks(zone);
  const instants = instantsOf(clocks);

  test("windows begin and end as another time zone library says", async () => {
    const windows = await windowsAt(instants, zone);

    const found = windows.map((w, index) => ({
      at: new Date(instants[index]!),
      ...Object.fromEntries(units.map((unit) => [unit, [w[`${unit}_start`], w[`${unit}_end`]]])),
    }));
    expect(found).toEqual(instants.map((at) => ({
      at: new Date(at),
      ...Object.fromEntries(
        Object.entries(clocks.windows(at)).map((
          [unit, bounds],
        ) => [unit, bounds.map((bound) => new Date(bound))]),
      ),
    })));
  });

  test("an instant lies in its windows, and each lies in the longer ones", async () => {
    const windows = await windowsAt(instants, zone);

    const outside = instants.filter((at, index) => {
      const w = windows[index]!;
      return units.some((unit) => +w[`${unit}_start`] > at || at >= +w[`${unit}_end`]) ||
        w.hour_start < w.day_start || w.hour_end > w.day_end ||
        w.day_start < w.week_start || w.day_end > w.week_end ||
        w.day_start < w.month_start || w.day_end > w.month_end;
    });
    expect(outside).toEqual([]);
  });

  test.each(units)(
    "the next %s begins where one ends, and the one before ends there",
    async (unit) => {
      const windows = await windowsAt(instants, zone);
      const ends = windows.map((w) => w[`${unit}_end`]);

      const next = await windowsAt(ends.map(Number), zone);
      const same = await windowsAt(ends.map((end) => +end - 1), zone);

      expect(next.map((w) => w[`${unit}_start`])).toEqual(ends);
      expect(same.map((w) => w[`${unit}_end`])).toEqual(ends);
      expect(same.map((w) => w[`${unit}_start`])).toEqual(windows.map((w) => w[`${unit}_start`]));
    },
  );
});
