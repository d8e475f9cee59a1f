import { createRequire } from "node:module";
import path from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { type Child, launch } from "../../local/children.ts";
import type { Message, Order } from "./load_process.ts";

const ENTRY = fileURLToPath(new URL("load_process.ts", import.meta.url));

/** The load process, as its driver sees it. */
export class LoadClient {
  readonly #process: Child;
  #stopped: Promise<number[]> | undefined;

  private constructor(process: Child) {
    this.#process = process;
  }

  static async start(url: string, project: string, clients: number): Promise<LoadClient> {
    const tsx = pathToFileURL(createRequire(import.meta.url).resolve("tsx")).href;
    const child = await launch({
      name: "load",
      file: process.execPath,
      args: ["--import", tsx, ENTRY, url, project, String(clients)],
      cwd: path.dirname(ENTRY),
      // Under vitest these would change what the child loads.
      env: { ...process.env, NODE_OPTIONS: "" },
      mark: ENTRY,
      ipc: true,
      onLine: (line) => console.error(line),
    });
    return new LoadClient(child);
  }

  /** Starts to call; returns when so many calls have been answered, and others are being made. */
  async reach(answers: number): Promise<void> {
    const reached = this.#next("reached");
    this.#stopped = this.#next("stopped").then(({ acknowledged }) => acknowledged);
    this.#order({ reach: answers });
    await reached;
  }

  /** All requests acknowledged so far, once every client has found the server gone. */
  async stopped(): Promise<number[]> {
    return await this.#stopped ?? [];
  }

  /** Repeats the calls that were not answered; gives all acknowledged requests. */
  async finish(): Promise<number[]> {
    const stopped = this.#next("stopped");
    this.#order({});
    return (await stopped).acknowledged;
  }

  end(): Promise<void> {
    return this.#process.stop("SIGTERM", 3000);
  }

  #order(order: Order): void {
    this.#process.process.send(order);
  }

  #next<Type extends Message["type"]>(type: Type): Promise<Extract<Message, { type: Type }>> {
    const { process: child, ended } = this.#process;
    return new Promise((resolve, reject) => {
      const hear = (message: Message) => {
        if (message.type !== type) return;
        child.off("message", hear);
        resolve(message as Extract<Message, { type: Type }>);
      };
      child.on("message", hear);
      void ended.then((how) => reject(new Error(`The load process ended: ${how}`)));
    });
  }
}
