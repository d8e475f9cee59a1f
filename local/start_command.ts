import { closeSync, ftruncateSync, mkdirSync, openSync, rmSync, writeSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { noteApplied } from "./applied_migrations.ts";
import { readConfig } from "./config.ts";
import { ensureDemo } from "./demo.ts";
import { errorCode, messageOf, StackError } from "./errors.ts";
import type { LogSink } from "./log.ts";
import { reclaim, RUN_FILE } from "./run_file.ts";
import { type Stack, startStack } from "./stack.ts";
import { writeStackEnv } from "./stack_env.ts";
import { welcome } from "./welcome.ts";

const USAGE = `Usage: npm start -- [options]

  --api-port <port>   instead of config.toml's api.port (or TOLLGATE_API_PORT)
  --db-port <port>    instead of config.toml's db.port (or TOLLGATE_DB_PORT)
  --reset             delete all local data first (npm run reset)
  --root <folder>     the folder that has supabase/`;

const DENO_CHATTER = /^(Watcher Process started|Listening on )/;

/** Runs the stack until a signal stops it; sets the exit code. */
export async function start(args: string[]): Promise<void> {
  const interrupt = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.on(signal, () => interrupt.abort());
  }
  // After a hangup there is no terminal to write to.
  for (const stream of [process.stdout, process.stderr]) stream.on("error", () => {});
  let hungUp = false;
  process.once("SIGHUP", () => hungUp = true);
  try {
    await run(args, interrupt.signal);
  } catch (error) {
    if (interrupt.signal.aborted) console.log("Stopped.");
    else {
      console.error(`✗ ${explain(error)}`);
      process.exitCode = 1;
    }
  }
  // Node aborts at its exit when it cannot restore the modes of a terminal that is gone.
  if (hungUp) [0, 1, 2].forEach(closeSync);
}

async function run(args: string[], signal: AbortSignal): Promise<void> {
  const { values } = parse(args);
  if (values.help) return console.log(USAGE);
  const started = performance.now();
  const root = path.resolve(values.root ?? fileURLToPath(new URL("..", import.meta.url)));
  const config = readConfig(root);
  const folder = path.join(root, ".local");
  if (values.reset) await reset(folder);
  mkdirSync(folder, { recursive: true });

  const stack = await startStack({
    root,
    folder,
    apiPort: port(values["api-port"] ?? process.env["TOLLGATE_API_PORT"]) ?? config.api.port,
    dbPort: port(values["db-port"] ?? process.env["TOLLGATE_DB_PORT"]) ?? config.db.port,
    durable: true,
    watch: true,
    log: logTo(path.join(folder, "stack.log")),
    onStep: (step, milliseconds) => console.log(`✓ ${step.padEnd(16)}${seconds(milliseconds)}`),
    signal,
  });
  try {
    for (const name of noteApplied(root, path.join(folder, "applied-migrations.json"))) {
      console.warn(
        `! ${name} was edited after it was applied here. \`npm run reset\` applies it anew; ` +
          `the local data is lost.`,
      );
    }
    const envFile = path.join(folder, "stack.env");
    const demo = await ensureDemo(stack.dbUrl(), envFile);
    writeStackEnv(envFile, stack, demo);
    console.log(welcome(stack, demo, envFile, performance.now() - started));
    await untilStopped(stack, signal);
  } finally {
    await stack.stop();
  }
  console.log("Stopped. `npm start` continues with the same data.");
}

function parse(args: string[]) {
  try {
    return parseArgs({
      args,
      options: {
        "api-port": { type: "string" },
        "db-port": { type: "string" },
        reset: { type: "boolean" },
        root: { type: "string" },
        help: { type: "boolean", short: "h" },
      },
    });
  } catch (error) {
    throw new StackError(`${messageOf(error)}\n${USAGE}`);
  }
}

function port(text: string | undefined): number | undefined {
  if (text === undefined || text === "") return undefined;
  const number = Number(text);
  if (Number.isInteger(number) && number > 0 && number < 65_536) return number;
  throw new StackError(`"${text}" is not a port: choose a number from 1024 to 65535.`);
}

async function reset(folder: string): Promise<void> {
  const owner = await reclaim(path.join(folder, RUN_FILE));
  if (owner !== undefined) {
    throw new StackError(
      `Tollgate is running in this folder (process ${owner}): stop it before a reset.`,
    );
  }
  rmSync(folder, { recursive: true, force: true });
}

/** Everything goes to the file; what functions print, also to the terminal. */
function logTo(file: string): LogSink {
  const fd = openSync(file, "a", 0o600);
  let isOurs = false;
  return (source, line) => {
    // Emptied with the first line: before, it may be that of a stack which still runs here.
    if (!isOurs) ftruncateSync(fd);
    isOurs = true;
    writeSync(fd, `${new Date().toISOString()} ${source}: ${line}\n`);
    if (source.startsWith("function:") && !DENO_CHATTER.test(line)) {
      console.log(`${source}: ${line}`);
    }
  };
}

async function untilStopped(stack: Stack, signal: AbortSignal): Promise<void> {
  const stopped = new Promise<undefined>((resolve) => {
    if (signal.aborted) resolve(undefined);
    signal.addEventListener("abort", () => resolve(undefined));
  });
  const failure = await Promise.race([stopped, stack.failure]);
  if (failure !== undefined) {
    throw new StackError(`${failure}. See .local/stack.log, then run \`npm start\` again.`);
  }
}

function seconds(milliseconds: number): string {
  return `${(milliseconds / 1000).toFixed(1)} s`;
}

function explain(error: unknown): string {
  if (error instanceof StackError) return error.message;
  if (["EACCES", "EPERM", "EROFS"].includes(errorCode(error) ?? "")) {
    return `${messageOf(error)}. Is something here another user's? Give the folder to yourself ` +
      `(\`sudo chown -R "$(id -un)" .\`) or delete .local, then start again.`;
  }
  return error instanceof Error ? error.stack ?? error.message : String(error);
}
