// Windows and periods by the clocks of any zone, as Temporal has them.

import { Temporal } from "temporal-polyfill";
import type { Duration, Period } from "../support/project.ts";

export interface Clocks {
  timeZone: string;
  /** 1 for Monday to 7 for Sunday. */
  weekStart: number;
}

/** The end is the first instant after it. */
export interface Span {
  start: number;
  end: number;
}

export const HOUR = 3_600_000;
export const DAY = 24 * HOUR;
export const QUARTER = HOUR / 4;

/** The first instant of the quarter of an hour. */
export function quarterOf(at: number): number {
  return Math.floor(at / QUARTER) * QUARTER;
}

/** In elapsed time, of a length that has one. */
export function elapsed(length: Duration): number {
  const { hours, days } = partsOf(length);
  return hours * HOUR + days * DAY;
}

/** The calendar window that an instant lies in. */
export function windowAt(length: Duration | Period, clocks: Clocks, at: number): Span {
  const key = [length, clocks.timeZone, clocks.weekStart].join();
  return remembered(key, at, () => findWindow(length, clocks, at));
}

function findWindow(length: Duration | Period, { timeZone, weekStart }: Clocks, at: number): Span {
  const parts = partsOf(length);
  if (parts.hours === 1) return hourAt(timeZone, at);
  const isWeeks = parts.days > 0 && parts.days % 7 === 0;
  const origin = new Temporal.PlainDateTime(2001, 1, 1).add({ days: isWeeks ? weekStart - 1 : 0 });
  return spanAt(parts, at, (n) => firstInstant(origin.add(times(parts, n)), timeZone));
}

/** When the period with a number begins; number 0 does at the anchor. */
export function periodStart(anchor: number, length: Period, timeZone: string, n: number): number {
  const parts = partsOf(length);
  if (parts.hours > 0) return anchor + n * parts.hours * HOUR;
  const local = localAt(anchor, timeZone).add(times(parts, n));
  return local.toZonedDateTime(timeZone).epochMilliseconds;
}

/** The period that an instant lies in. */
export function periodAt(anchor: number, length: Period, timeZone: string, at: number): Span {
  const start = (n: number) => periodStart(anchor, length, timeZone, n);
  const key = [anchor, length, timeZone].join();
  return remembered(key, at, () => spanAt(partsOf(length), at, start));
}

/** Temporal is slow, and the same spans are asked for again and again. */
const spans = new Map<string, Span[]>();

function remembered(key: string, at: number, find: () => Span): Span {
  const known = spans.get(key) ?? [];
  let span = known.find(({ start, end }) => start <= at && at < end);
  if (!span) {
    span = find();
    spans.set(key, [span, ...known].slice(0, 50));
  }
  return span;
}

function partsOf(length: Duration | Period) {
  const [count, unit] = length.split(" ") as [string, string];
  const of = (name: string) => unit.startsWith(name) ? Number(count) : 0;
  return {
    hours: of("hour"),
    days: of("day") + 7 * of("week"),
    months: of("month") + 12 * of("year"),
  };
}

type Parts = ReturnType<typeof partsOf>;

export function monthsOf(length: Period): number {
  return partsOf(length).months;
}

function times({ hours, days, months }: Parts, n: number): Parts {
  return { hours: n * hours, days: n * days, months: n * months };
}

function spanAt({ hours, days, months }: Parts, at: number, start: (n: number) => number): Span {
  let n = Math.floor((at - start(0)) / (hours * HOUR + days * DAY + months * 30.4 * DAY));
  while (start(n) > at) n--;
  while (start(n + 1) <= at) n++;
  return { start: start(n), end: start(n + 1) };
}

/** An hour begins on the hour and has 60 minutes, unless clocks are changed by a part of an hour. */
function hourAt(timeZone: string, at: number): Span {
  const offset = offsetAt(at, timeZone);
  const hour = (instant: number) => Math.floor((instant + offset) / HOUR);
  const isSame = (other: number) =>
    (offsetAt(other, timeZone) - offset) % HOUR === 0 && hour(other) === hour(at);
  let start = quarterOf(at);
  let end = start + QUARTER;
  while (isSame(start - 1)) start -= QUARTER;
  while (isSame(end)) end += QUARTER;
  return { start, end };
}

/** The first instant at which clocks show a time, or a later one where they skip it. */
function firstInstant(local: Temporal.PlainDateTime, timeZone: string): number {
  const shown = local.toZonedDateTime(timeZone, { disambiguation: "earlier" });
  const isSkipped = !shown.toPlainDateTime().equals(local);
  return (isSkipped ? shown.getTimeZoneTransition("next")! : shown).epochMilliseconds;
}

function localAt(at: number, timeZone: string): Temporal.PlainDateTime {
  return zonedAt(at, timeZone).toPlainDateTime();
}

function offsetAt(at: number, timeZone: string): number {
  return zonedAt(at, timeZone).offsetNanoseconds / 1e6;
}

function zonedAt(at: number, timeZone: string): Temporal.ZonedDateTime {
  return Temporal.Instant.fromEpochMilliseconds(at).toZonedDateTimeISO(timeZone);
}
