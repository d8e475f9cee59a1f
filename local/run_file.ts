import { linkSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { z } from "zod";
import { errorCode, StackError } from "./errors.ts";
import { commandLine, endProcess } from "./processes.ts";

/** A process id alone may have been given to somebody else since: the mark, a part of its command
 * line, tells. */
const Identity = z.object({ pid: z.int().positive(), mark: z.string() });
type Identity = z.infer<typeof Identity>;
const Run = z.object({ owner: Identity, children: z.array(Identity) });

export const RUN_FILE = "run.json";

/** The files of this process. One that names us and is not among them is from an earlier life of our
 * process id, as happens when a container starts again. */
const ours = new Set<string>();

/** Notes on disk who runs a stack and which children it has, so that a later start can clean up
 * after one that was killed. */
export class RunFile {
  readonly #path: string;
  readonly #owner: Identity;
  readonly #children: Identity[] = [];

  /** Claims the stack of this file; throws when a live process already has it. */
  static async claim(path: string): Promise<RunFile> {
    const owner = await reclaim(path);
    if (owner !== undefined) {
      throw new StackError(
        `Tollgate is already running in this folder (process ${owner}). ` +
          `Stop it with Ctrl-C in its terminal, or with \`kill ${owner}\`.`,
      );
    }
    return new RunFile(path);
  }

  private constructor(path: string) {
    this.#path = path;
    this.#owner = { pid: process.pid, mark: commandLine(process.pid) ?? "" };
    linkSync(this.#draft(), path); // Fails where somebody else has just claimed it.
    rmSync(this.#draftPath);
    ours.add(path);
  }

  add({ pid, mark }: Identity): void {
    this.#children.push({ pid, mark });
    renameSync(this.#draft(), this.#path);
  }

  remove(): void {
    rmSync(this.#path, { force: true });
    ours.delete(this.#path);
  }

  /** Written aside, so that nobody reads half of it and takes us for gone. */
  #draft(): string {
    const text = JSON.stringify({ owner: this.#owner, children: this.#children }) + "\n";
    writeFileSync(this.#draftPath, text);
    return this.#draftPath;
  }

  get #draftPath(): string {
    return `${this.#path}.${process.pid}`;
  }
}

/** Ends what a killed run left behind. Gives the process id of the owner when that is alive: then
 * nothing is touched. */
export async function reclaim(path: string): Promise<number | undefined> {
  const run = read(path);
  const isOwned = run && (run.owner.pid === process.pid ? ours.has(path) : isAlive(run.owner));
  if (isOwned) return run.owner.pid;
  // SIGINT: PostgreSQL's fast shutdown; Deno and Node simply end.
  await Promise.all(
    (run?.children ?? []).filter(isAlive).map(({ pid }) => endProcess(pid, "SIGINT")),
  );
  rmSync(path, { force: true });
  return undefined;
}

function isAlive({ pid, mark }: Identity): boolean {
  return commandLine(pid)?.includes(mark) ?? false;
}

function read(path: string): z.infer<typeof Run> | undefined {
  let text;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    if (errorCode(error) === "ENOENT") return undefined;
    throw error;
  }
  try {
    return Run.parse(JSON.parse(text));
  } catch {
    return undefined; // No run file of ours.
  }
}
