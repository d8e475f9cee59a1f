import { type Child, type Launch, launch, type LaunchOptions } from "./children.ts";
import type { LogSink } from "./log.ts";
import type { RunFile } from "./run_file.ts";

/** Knows every process of a stack, so that none is left when it stops, at whatever moment. */
export class Supervisor {
  readonly #run: RunFile;
  readonly #log: LogSink;
  readonly #children = new Set<Child>();
  readonly #launching = new Set<Promise<void>>();
  #stopped: Promise<void> | undefined;
  #fail: (sentence: string) => void = () => {};
  /** Settles when a service ends by itself, with a sentence on it. */
  readonly failure = new Promise<string>((resolve) => this.#fail = resolve);

  constructor(run: RunFile, log: LogSink) {
    this.#run = run;
    this.#log = log;
  }

  readonly launch: Launch = (options) => {
    const launching = this.#launch(options);
    const settled = launching.then(() => {}, () => {});
    this.#launching.add(settled);
    void settled.then(() => this.#launching.delete(settled));
    return launching;
  };

  async #launch(options: LaunchOptions): Promise<Child> {
    this.#refuseWhenStopped();
    const child = await launch({
      ...options,
      onLine: (line) => {
        options.onLine?.(line);
        this.#log(options.name, line);
      },
    });
    this.#children.add(child);
    this.#run.add(child);
    void child.ended.then(() => this.#children.delete(child));
    return child;
  }

  /** From now on this child is a service: it should not end before the stack does. */
  expectAlive(child: Child): void {
    void child.ended.then((how) => {
      if (!this.#stopped) this.#fail(`${child.name} ended by itself (${how})`);
    });
  }

  /** Ends everything: PostgreSQL last, since the others use it, and once `quiet` settles: the driver
   * may throw where nobody can catch when the server goes away amid a query. */
  stop(quiet: Promise<unknown>): Promise<void> {
    this.#stopped ??= (async () => {
      await Promise.all(this.#launching);
      const all = [...this.#children];
      const isDatabase = (child: Child) => child.name === "postgres";
      await Promise.all(
        all.filter((child) => !isDatabase(child)).map((child) => child.stop("SIGTERM", 3000)),
      );
      await quiet;
      // SIGINT is PostgreSQL's fast shutdown. Windows knows no signals: there the server is killed
      // and recovers at its next start.
      await Promise.all(all.filter(isDatabase).map((child) => child.stop("SIGINT", 10_000)));
      this.#run.remove();
    })();
    return this.#stopped;
  }

  #refuseWhenStopped(): void {
    if (this.#stopped) throw new Error("the stack was stopped while it started");
  }
}
