import type { Measurement, Ratio } from "./results.ts";

/** One workload's share of one round. */
export interface Round {
  milliseconds: number[];
  seconds: number;
  walBytes: number;
}

export function median(numbers: number[]): number {
  return percentile(numbers, 0.5);
}

function percentile(numbers: number[], share: number): number {
  return numbers.toSorted((a, b) => a - b)[Math.floor((numbers.length - 1) * share)]!;
}

function ratioOf(these: number[], those: number[]): Ratio {
  const ratios = these.map((number, round) => number / those[round]!);
  return { median: median(ratios), lowest: Math.min(...ratios), highest: Math.max(...ratios) };
}

/** `items`: how many each call does. */
export function summarise(
  name: string,
  clients: number,
  rounds: Round[],
  base: Round[] = rounds,
  items = 1,
): Measurement {
  // Calls that are slow end well after the round's time is up.
  const perSecond = ({ milliseconds, seconds }: Round) =>
    milliseconds.length /
    Math.max(seconds, milliseconds.reduce((sum, one) => sum + one, 0) / 1000 / clients);
  const rates = rounds.map((round) => perSecond(round) * items);
  const all = rounds.flatMap(({ milliseconds }) => milliseconds);
  return {
    name,
    clients,
    perSecond: median(rates),
    ratio: ratioOf(rates, base.map(perSecond)),
    ...latency(all),
    walBytes: median(
      rounds.map(({ walBytes, milliseconds }) => walBytes / milliseconds.length / items),
    ),
  };
}

export function latency(milliseconds: number[]): { p50: number; p99: number } {
  return { p50: percentile(milliseconds, 0.5), p99: percentile(milliseconds, 0.99) };
}
