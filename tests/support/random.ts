/** The seed of this run's random tests; put it into the test's name, and into TOLLGATE_SEED to run it again. */
export const seed = Number(
  process.env["TOLLGATE_SEED"] ??
    // In CI always the same: what turns it red is the change, not the luck of the draw.
    (process.env["CI"] ? 20261126 : Math.floor(Math.random() * 2 ** 31)),
);

/** Pseudo-random numbers that are the same for the same seed (mulberry32). */
export class Random {
  #state: number;

  /** Another stream of numbers for each number it is given. */
  constructor(stream = 0) {
    this.#state = (seed + Math.imul(stream, 0x9e3779b9)) | 0;
  }

  /** 0 <= number < 1. */
  number(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let t = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  }

  /** An integer from `first` to `last`, both inclusive. */
  integer(first: number, last: number): number {
    return first + Math.floor(this.number() * (last - first + 1));
  }

  pick<T>(values: readonly T[]): T {
    return values[this.integer(0, values.length - 1)]!;
  }
}
