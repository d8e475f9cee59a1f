import { existsSync, readdirSync } from "node:fs";
import path from "node:path";
import { deno } from "./binaries.ts";
import type { Child, Launch } from "./children.ts";
import type { Config } from "./config.ts";
import { StackError } from "./errors.ts";
import type { Keys } from "./keys.ts";
import { accepts, freePort, HOST } from "./ports.ts";

interface FunctionSource {
  name: string;
  entrypoint: string;
  config: string;
}

export interface FunctionOptions {
  root: string;
  /** The stack's folder. */
  folder: string;
  env: Record<string, string>;
  /** Restart when a source file changes? */
  watch: boolean;
  launch: Launch;
}

export interface RunningFunction {
  name: string;
  port: number;
  server: Child;
}

/** Every folder of supabase/functions that does not begin with `_`, as the CLI sees it. */
export function findFunctions(root: string, config: Config): FunctionSource[] {
  const folder = path.join(root, "supabase", "functions");
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && /^[A-Za-z0-9]/.test(entry.name))
    .filter(({ name }) => config.functions[name]?.enabled ?? true)
    .map(({ name }) => {
      const settings = config.functions[name];
      if (settings?.verify_jwt !== false) {
        throw new StackError(
          `Function "${name}" has verify_jwt on, which the local stack does not support. ` +
            `Set it off under [functions.${name}] in supabase/config.toml and check callers in the ` +
            `function, or use \`supabase start\`.`,
        );
      }
      const resolve = (file: string) => path.resolve(root, "supabase", file);
      return {
        name,
        entrypoint: resolve(settings.entrypoint ?? `functions/${name}/index.ts`),
        config: resolve(settings.import_map ?? `functions/${name}/deno.json`),
      };
    });
}

/** What hosted functions find in their environment. */
export function functionEnv(url: string, dbUrl: string, keys: Keys): Record<string, string> {
  return {
    SUPABASE_URL: url,
    SUPABASE_DB_URL: dbUrl,
    SUPABASE_PUBLISHABLE_KEYS: JSON.stringify({ default: keys.publishableKey }),
    SUPABASE_SECRET_KEYS: JSON.stringify({ default: keys.secretKey }),
    SUPABASE_ANON_KEY: keys.anonKey,
    SUPABASE_SERVICE_ROLE_KEY: keys.serviceRoleKey,
  };
}

/** Serves a function with Deno on a port of its own. */
export async function startFunction(
  source: FunctionSource,
  options: FunctionOptions,
): Promise<RunningFunction> {
  for (let attempt = 1;; attempt++) {
    const port = await freePort();
    const lines: string[] = [];
    let listening = false;
    const server = await serve(source, port, options, (line) => {
      if (!listening) lines.push(line);
    });
    const deadline = Date.now() + 30_000;
    const hasFailed = () => lines.some((line) => /Process failed|AddrInUse/.test(line));
    while (server.isAlive() && !hasFailed() && Date.now() < deadline) {
      listening = await accepts(port);
      if (listening) return { name: source.name, port, server };
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    await server.stop("SIGTERM", 1000);
    if (attempt < 5 && lines.some((line) => /AddrInUse/.test(line))) continue;
    throw new StackError(`Function "${source.name}" did not start:\n${lines.join("\n").trim()}`);
  }
}

async function serve(
  { name, entrypoint, config }: FunctionSource,
  port: number,
  { root, folder, env, watch, launch }: FunctionOptions,
  onLine: (line: string) => void,
): Promise<Child> {
  const mark = `--stack=${folder}`;
  return await launch({
    name: `function:${name}`,
    file: deno(),
    args: [
      "run",
      "--no-prompt",
      // Everything comes from our node_modules: nothing is downloaded, no version differs.
      ...["--cached-only", "--no-lock", "--node-modules-dir=manual"],
      ...(watch ? ["--watch", "--no-clear-screen"] : []),
      ...(existsSync(config) ? ["--config", config] : []),
      ...["--allow-net", "--allow-env"],
      entrypoint,
      mark, // Not for the function, which ignores it: tells our process from other stacks'.
    ],
    cwd: root,
    env: {
      PATH: process.env["PATH"],
      HOME: process.env["HOME"],
      ...env,
      DENO_DIR: path.join(folder, "deno"),
      DENO_NO_UPDATE_CHECK: "1",
      DENO_SERVE_ADDRESS: `tcp:${HOST}:${port}`,
      NO_COLOR: "1",
    },
    mark,
    onLine,
  });
}
