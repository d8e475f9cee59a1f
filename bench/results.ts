// What a run of the benchmark found: bench/results.json, from which the report is made.

/** Round by round against what ran in the same round, so that what slows a whole round down does not count. */
export interface Ratio {
  median: number;
  lowest: number;
  highest: number;
}

export interface Measurement {
  name: string;
  clients: number;
  /** Calls a second; items a second of a batch. Median of all rounds. */
  perSecond: number;
  /** Against the first measurement of the same list and number of clients. */
  ratio: Ratio;
  /** Milliseconds of a call, of all rounds. */
  p50: number;
  p99: number;
  /** Of a call, or of an item of a batch. */
  walBytes: number;
}

export interface Results {
  date: string;
  command: string;
  minutes: number;
  rounds: number;
  secondsEach: number;
  machine: {
    cpu: string;
    cores: number;
    memoryGiB: number;
    postgres: string;
    generator: string;
    node: string;
  };
  /** The floor first. */
  consumption: Measurement[];
  /** Pages that a call touches. */
  buffers: Record<string, number>;
  /** A consumption with a request id first. */
  calls: Measurement[];
  /** Spread load first; 16 clients. */
  hot: { ours: Measurement[]; floor: Measurement[]; ofFloor: Ratio };
  /** Without history first. */
  history: (Measurement & { rows: number })[];
  /** `rows`: of each of so many users, one of whom is hit. */
  naive: (Measurement & { rows: number; users: number; indexed: boolean })[];
  /** verify_ledger() of everything, and of the one project that there is. */
  ledger: { transfers: number; users: number; seconds: number; secondsByProject: number };
  chain: { name: string; p50: number; p99: number }[];
  /** Median of lots of a hundred requests: the kernel counts a process's CPU in hundredths of a second. */
  edgeFunction: { cpuMilliseconds: number; rpcsPerRequest: number };
  storage: {
    /** That a consumption adds to tables and indexes. */
    bytesPerCall: number;
    hotRows: {
      table: string;
      updates: number;
      hotShare: number;
      mebibytesBefore: number;
      mebibytesAfter: number;
    }[];
  };
}
