import { type ChildProcess, spawn } from "node:child_process";
import { errorCode, StackError } from "./errors.ts";
import { forwardLines } from "./log.ts";

export interface LaunchOptions {
  name: string;
  file: string;
  args: readonly string[];
  cwd: string;
  env?: NodeJS.ProcessEnv | undefined;
  uid?: number | undefined;
  gid?: number | undefined;
  /** A part of the command line by which a later start knows the process again. */
  mark: string;
  /** Opens a message channel: the child learns of our end when the channel closes. */
  ipc?: boolean | undefined;
  onLine?: ((line: string) => void) | undefined;
}

/** Starts a program as a part of a stack. */
export type Launch = (options: LaunchOptions) => Promise<Child>;

/** A child process that has started. */
export interface Child {
  name: string;
  pid: number;
  mark: string;
  process: ChildProcess;
  /** Settles when the child has ended: a word on how, e.g. "exit code 1" or "SIGKILL". */
  ended: Promise<string>;
  isAlive(): boolean;
  /** Asks the child to end, insists after `graceMs`, and waits until it has. */
  stop(signal: NodeJS.Signals, graceMs: number): Promise<void>;
}

/** Starts a child in a process group of its own, so that a terminal's Ctrl-C reaches only us and we
 * decide the order in which things end. */
export async function launch(options: LaunchOptions): Promise<Child> {
  const { name, file, mark, onLine, uid, gid } = options;
  const child = spawn(file, options.args, {
    cwd: options.cwd,
    detached: process.platform !== "win32",
    windowsHide: true,
    stdio: ["ignore", "pipe", "pipe", ...(options.ipc ? ["ipc" as const] : [])],
    ...(options.env && { env: options.env }),
    ...(uid !== undefined && { uid }),
    ...(gid !== undefined && { gid }),
  });
  let alive = true;
  const ended = new Promise<string>((resolve) => {
    child.once("exit", () => alive = false);
    child.once("close", (code, signal) => resolve(signal ?? `exit code ${code}`));
  });
  if (onLine) {
    for (const stream of [child.stdout, child.stderr]) if (stream) forwardLines(stream, onLine);
  }
  await new Promise<void>((resolve, reject) => {
    child.once("spawn", resolve);
    child.once("error", (error) => reject(cannotLaunch(file, error)));
  });
  const { pid } = child;
  if (pid === undefined) throw new Error(`${name} has no process id`);
  return {
    name,
    pid,
    mark,
    process: child,
    ended,
    isAlive: () => alive,
    async stop(signal, graceMs) {
      if (alive) child.kill(signal);
      const insist = setTimeout(() => child.kill("SIGKILL"), graceMs);
      await ended;
      clearTimeout(insist);
    },
  };
}

function cannotLaunch(file: string, error: Error): Error {
  const how = { EACCES: "may not be executed", ENOENT: "is missing" }[errorCode(error) ?? ""];
  return how
    ? new StackError(`${file} ${how}. Run \`npm ci\` as the user who starts the stack.`)
    : error;
}
