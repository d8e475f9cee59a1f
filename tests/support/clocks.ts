import { Temporal } from "temporal-polyfill";
import { Constants } from "../../supabase/functions/_shared/database.types.ts";

// The rules of ..._time in terms of Temporal, to check the database by. Instants are numbers, as in a
// Date.

/** A length of time as Postgres and people write it. */
export type Length = `${number} ${"hour" | "day" | "week" | "month" | "year"}${"" | "s"}`;

type Window = [start: number, end: number];
type Unit = "hours" | "days" | "weeks" | "months" | "years";

const HOUR = 3_600_000;

const clocks = (instant: number, zone: string) =>
  Temporal.Instant.fromEpochMilliseconds(instant).toZonedDateTimeISO(zone);

/** The instants between two others at which a zone's clocks are changed. */
export function changes(zone: string, from: number, to: number): number[] {
  const found: number[] = [];
  let change = clocks(from, zone).getTimeZoneTransition("next");
  while (change && change.epochMilliseconds < to) {
    found.push(change.epochMilliseconds);
    change = change.getTimeZoneTransition("next");
  }
  return found;
}

/** The first instant at which clocks show a local time; a skipped one as if they had not been changed. */
export function instantOf(local: string, zone: string): number {
  return Temporal.PlainDateTime.from(local).toZonedDateTime(zone).epochMilliseconds;
}

/** When a period begins: always counted from the anchor, days and more by local clocks. */
export function periodStart(anchor: number, length: Length, zone: string, number: number): number {
  return clocks(anchor, zone).add(times(length, number)).epochMilliseconds;
}

/** Day 1 of ISO 8601 first. */
export const WEEKDAYS = Constants.public.Enums.weekday;

/** The window that an instant lies in: its first instant, and that of the next. */
export function windowAt(length: Length, zone: string, weekStart: number, at: number): Window {
  if (length === "1 hour") return hourAt(at, zone);
  const { days, weeks } = times(length, 1);
  const inWeeks = weeks > 0 || days > 0 && days % 7 === 0;
  const origin = Temporal.PlainDateTime.from("2001-01-01")
    .add({ days: inWeeks ? weekStart - 1 : 0 });

  const [count, unit] = parts(length);
  const passed = origin.until(clocks(at, zone).toPlainDateTime(), { largestUnit: unit })[unit];
  const nearby = [-1, 0, 1, 2].map((more) =>
    firstInstant(origin.add(times(length, Math.floor(passed / count) + more)), zone)
  );
  return [nearby.findLast((start) => start <= at)!, nearby.find((start) => start > at)!];
}

/** 60 minutes by the offset of the instant; only a change by part of an hour cuts them short. */
function hourAt(at: number, zone: string): Window {
  const { minute, second, millisecond } = clocks(at, zone);
  const start = at - 60_000 * minute - 1000 * second - millisecond;
  const change = changes(zone, start, start + HOUR)
    .find((change) => (offset(change, zone) - offset(change - 1, zone)) % HOUR !== 0);
  if (change === undefined) return [start, start + HOUR];
  return at < change ? [start, change] : [change, start + HOUR];
}

/** The first instant at which clocks show a local time or, where they skip it, a later one. */
function firstInstant(local: Temporal.PlainDateTime, zone: string): number {
  const compatible = local.toZonedDateTime(zone);
  if (compatible.toPlainDateTime().equals(local)) return compatible.epochMilliseconds;
  return local.toZonedDateTime(zone, { disambiguation: "earlier" })
    .getTimeZoneTransition("next")!.epochMilliseconds;
}

const offset = (instant: number, zone: string) => clocks(instant, zone).offsetNanoseconds / 1e6;

function parts(length: Length) {
  const [count, unit] = length.split(" ") as [string, string];
  return [Number(count), `${unit.replace(/s$/, "")}s` as Unit] as const;
}

function times(length: Length, number: number): Temporal.Duration {
  const [count, unit] = parts(length);
  return Temporal.Duration.from({ [unit]: count * number });
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
  "America/Caracas",
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
  "Asia/Pyongyang",
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
