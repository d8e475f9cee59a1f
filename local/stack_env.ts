import { chmodSync, existsSync, readFileSync, writeFileSync } from "node:fs";
import type { Demo } from "./demo.ts";
import type { Stack } from "./stack.ts";

/** Writes what a program needs to use the stack, for `source` or `node --env-file`. */
export function writeStackEnv(file: string, stack: Stack, demo: Demo | undefined): void {
  const variables = {
    SUPABASE_URL: stack.url,
    SUPABASE_PUBLISHABLE_KEY: stack.publishableKey,
    SUPABASE_SECRET_KEY: stack.secretKey,
    SUPABASE_DB_URL: stack.dbUrl(),
    ...(demo && { TOLLGATE_API_KEY: demo.apiKey, TOLLGATE_PROJECT_ID: demo.projectId }),
  };
  const lines = Object.entries(variables).map(([name, value]) => `${name}=${value}\n`);
  writeFileSync(file, lines.join(""), { mode: 0o600 });
  chmodSync(file, 0o600); // The mode above is for a new file only.
}

/** The value of one variable of an earlier run. */
export function readStackEnv(file: string, name: string): string | undefined {
  if (!existsSync(file)) return undefined;
  const line = readFileSync(file, "utf8").split("\n").find((line) => line.startsWith(`${name}=`));
  return line?.slice(name.length + 1);
}
