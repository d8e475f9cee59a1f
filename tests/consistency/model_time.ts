// Windows and quota periods, for clocks that are a fixed offset from UTC.

export type Duration = "1 hour" | "1 day" | "1 week" | "1 month";
export type Period = "1 day" | "1 week" | "1 month" | "1 year";

const HOUR = 3_600_000;
const DAY = 24 * HOUR;

/** Where the window that `at` lies in begins (0), or the next one (1). */
export function windowStart(duration: Duration, at: number, offset: number, next: 0 | 1): number {
  const local = new Date(at + offset);
  const hour = Math.floor(local.getTime() / HOUR);
  const day = Math.floor(local.getTime() / DAY);
  const monday = day - (local.getUTCDay() + 6) % 7;
  const starts = {
    "1 hour": (hour + next) * HOUR,
    "1 day": (day + next) * DAY,
    "1 week": (monday + 7 * next) * DAY,
    "1 month": Date.UTC(local.getUTCFullYear(), local.getUTCMonth() + next),
  };
  return starts[duration] - offset;
}

/** Where the quota period that `at` lies in begins (0), or the next one (1). */
export function periodStart(
  anchor: number,
  period: Period,
  at: number,
  offset: number,
  next: 0 | 1,
): number {
  const nth = (count: number) => {
    if (period === "1 day") return anchor + count * DAY;
    if (period === "1 week") return anchor + count * 7 * DAY;
    return addMonths(anchor + offset, period === "1 month" ? count : 12 * count) - offset;
  };
  const longest = { "1 day": 1, "1 week": 7, "1 month": 31, "1 year": 366 }[period] * DAY;
  let count = Math.floor((at - anchor) / longest);
  while (nth(count + 1) <= at) count++;
  while (nth(count) > at) count--;
  return nth(count + next);
}

/** A day that the month lacks becomes its last one. */
function addMonths(local: number, months: number): number {
  const date = new Date(local);
  const day = date.getUTCDate();
  date.setUTCDate(1);
  date.setUTCMonth(date.getUTCMonth() + months);
  const lastDay = new Date(Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + 1, 0)).getUTCDate();
  return date.setUTCDate(Math.min(day, lastDay));
}
