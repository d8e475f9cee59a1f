import net from "node:net";
import { expect } from "vitest";
import type { Random } from "../support/random.ts";

/** Where to cut a connection: once so many bytes of the request or of the answer have passed. */
export interface Cut {
  of: "request" | "answer";
  after: number;
}

/** A TCP proxy that cuts the connections through it where it is told to. */
export class CuttingProxy {
  readonly #server: net.Server;
  #cut: Cut | undefined;
  #passed = { request: 0, answer: 0 };

  private constructor(target: { host: string; port: number }) {
    this.#server = net.createServer((client) => {
      const server = net.connect(target);
      for (
        const [of, from, to] of [["request", client, server], ["answer", server, client]] as const
      ) {
        from.on("data", (chunk) => this.#pass(of, chunk, from, to));
        from.on("close", () => to.end());
        // A broken connection is what this is for; the other end hears of it by "close".
        from.on("error", () => {});
      }
    });
  }

  static async to(target: { host: string; port: number }): Promise<CuttingProxy> {
    const proxy = new CuttingProxy(target);
    await new Promise<void>((resolve) => proxy.#server.listen(0, "127.0.0.1", resolve));
    return proxy;
  }

  get port(): number {
    return (this.#server.address() as net.AddressInfo).port;
  }

  /** Counts from here on, and cuts once: or, without a cut, not at all. */
  arm(cut?: Cut): void {
    this.#cut = cut;
    this.#passed = { request: 0, answer: 0 };
  }

  /** The bytes that have passed since. */
  get passed(): { request: number; answer: number } {
    return { ...this.#passed };
  }

  close(): Promise<unknown> {
    return new Promise((resolve) => this.#server.close(resolve));
  }

  #pass(of: Cut["of"], chunk: Buffer, from: net.Socket, to: net.Socket): void {
    const before = this.#passed[of];
    this.#passed[of] += chunk.length;
    if (this.#cut?.of !== of || this.#passed[of] < this.#cut.after) {
      to.write(chunk);
      return;
    }
    to.end(chunk.subarray(0, this.#cut.after - before));
    from.destroy();
    // What the server still answers is lost, and counts for nothing.
    to.removeAllListeners("data").resume();
    this.#cut = undefined;
  }
}

/** One to three cuts of a call whose request and answer have these sizes. */
export function someCuts(random: Random, size: CuttingProxy["passed"]): Cut[] {
  return Array.from({ length: random.integer(1, 3) }, () =>
    random.pick<Cut>([
      { of: "request", after: random.integer(0, size.request - 1) },
      { of: "request", after: size.request },
      { of: "answer", after: 0 },
      // Answers are not all as long, but none is cut after its end.
      { of: "answer", after: random.integer(1, Math.floor(size.answer * 0.9)) },
    ]));
}

/** Makes a call once for each cut, losing the connection each time, and then until it is answered. */
export async function retry(
  cuts: Cut[],
  size: CuttingProxy["passed"],
  call: (cut?: Cut) => Promise<{ replayed: boolean }>,
  lost: object,
): Promise<void> {
  for (const cut of cuts) await expect(call(cut)).rejects.toMatchObject(lost);
  const { replayed } = await call();
  // An answer, however little of it came, is given for what was applied; half a request never is.
  if (cuts.some(({ of }) => of === "answer")) expect(replayed).toBe(true);
  else if (cuts.every(({ after }) => after < size.request)) expect(replayed).toBe(false);
}
