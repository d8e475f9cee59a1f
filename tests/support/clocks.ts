const MINUTE = 60_000;
const HOUR = 3_600_000;
const DAY = 86_400_000;
/** No change of clocks since 2000 is off this grid. */
const GRID = 15 * MINUTE;

/** A zone's clocks by Intl, that is by ICU: what tests check the database's time zones against. */
export class Clocks {
  readonly #format: Intl.DateTimeFormat;

  constructor(readonly timeZone: string) {
    this.#format = new Intl.DateTimeFormat("en-US", {
      timeZone,
      hourCycle: "h23",
      year: "numeric",
      month: "numeric",
      day: "numeric",
      hour: "numeric",
      minute: "numeric",
      second: "numeric",
    });
  }

  /** What the clocks show at an instant, as if it were UTC. */
  local(instant: number): number {
    const [month, day, year, hour, minute, second] = this.#format.format(instant)
      .match(/\d+/g)!.map(Number) as [number, number, number, number, number, number];
    return Date.UTC(year, month - 1, day, hour, minute, second);
  }

  offset(instant: number): number {
    return this.local(instant) - Math.floor(instant / 1000) * 1000;
  }

  /** The instants between two others at which the clocks are changed. */
  changes(from: number, to: number): number[] {
    const changes: number[] = [];
    for (let day = from; day < to; day += DAY) {
      if (this.offset(day) !== this.offset(day + DAY)) {
        const before = this.offset(day);
        changes.push(first(day, day + DAY, MINUTE, (instant) => this.offset(instant) !== before));
      }
    }
    return changes;
  }

  /** The first instant at which the clocks show this or a later day. */
  startOfDay(local: number): number {
    return first(local - 2 * DAY, local + 2 * DAY, GRID, (instant) => this.local(instant) >= local);
  }

  /** The first instant at which the clocks show a time; a skipped one as if they had not been changed. */
  instantOf(local: number): number {
    const [before, after] = [this.offset(local - DAY), this.offset(local + DAY)];
    const shown = [local - before, local - after].filter((at) => this.local(at) === local);
    return shown.length === 0 ? local - before : Math.min(...shown);
  }

  /** First instants of the calendar windows around an instant, and of the next ones. */
  windows(instant: number) {
    const local = this.local(instant);
    const date = new Date(local);
    const [year, month, day] = [date.getUTCFullYear(), date.getUTCMonth(), date.getUTCDate()];
    const monday = day - ((date.getUTCDay() + 6) % 7);
    const starts = (...days: [number, number]) =>
      days.map((inMonth) => this.startOfDay(Date.UTC(year, month, inMonth)));
    return {
      hour: this.#hour(instant),
      day: starts(day, day + 1),
      week: starts(monday, monday + 7),
      month: [
        this.startOfDay(Date.UTC(year, month, 1)),
        this.startOfDay(Date.UTC(year, month + 1, 1)),
      ],
    };
  }

  /** An hour begins on the hour and has 60 minutes, unless clocks are changed by part of an hour. */
  #hour(instant: number): number[] {
    const offset = this.offset(instant);
    const same = (other: number) =>
      (this.offset(other) - offset) % HOUR === 0 &&
      Math.floor((other + offset) / HOUR) === Math.floor((instant + offset) / HOUR);
    let start = Math.floor(instant / GRID) * GRID;
    let end = start + GRID;
    while (same(start - 1)) start -= GRID;
    while (same(end)) end += GRID;
    return [start, end];
  }
}

/** The first step from `from` to `to` for which something holds that, once true, stays true. */
function first(
  from: number,
  to: number,
  step: number,
  holds: (instant: number) => boolean,
): number {
  let [low, high] = [Math.ceil(from / step), Math.ceil(to / step)];
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    if (holds(middle * step)) high = middle;
    else low = middle + 1;
  }
  return low * step;
}

/** Zones of every kind: with and without changes of clocks, by an hour, by half, at midnight, and odd offsets. */
export const ZONES = [
  "UTC",
  "Africa/Cairo",
  "Africa/Johannesburg",
  "Africa/Lagos",
  "America/Anchorage",
  "America/Argentina/Buenos_Aires",
  "America/Bogota",
  "America/Chicago",
  "America/Denver",
  "America/Halifax",
  "America/Havana",
  "America/Los_Angeles",
  "America/Mexico_City",
  "America/New_York",
  "America/Nuuk",
  "America/Phoenix",
  "America/Port-au-Prince",
  "America/Santiago",
  "America/Sao_Paulo",
  "America/St_Johns",
  "Antarctica/Troll",
  "Asia/Beirut",
  "Asia/Dubai",
  "Asia/Jerusalem",
  "Asia/Kathmandu",
  "Asia/Kolkata",
  "Asia/Shanghai",
  "Asia/Singapore",
  "Asia/Tehran",
  "Asia/Tokyo",
  "Atlantic/Azores",
  "Australia/Adelaide",
  "Australia/Eucla",
  "Australia/Lord_Howe",
  "Australia/Sydney",
  "Europe/Athens",
  "Europe/Berlin",
  "Europe/Dublin",
  "Europe/London",
  "Pacific/Apia",
  "Pacific/Auckland",
  "Pacific/Chatham",
  "Pacific/Easter",
  "Pacific/Kiritimati",
  "Pacific/Norfolk",
];
