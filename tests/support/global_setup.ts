import { appendFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import type { TestProject } from "vitest/node";
import { startStack } from "../../local/stack.ts";
import { mutateStack } from "../mutants/mutants.ts";

/** Where the tests find the stack under test. */
export interface StackUnderTest {
  url: string;
  publishableKey: string;
  secretKey: string;
  /** Only on a stack of our own: for forged and expired tokens, and for a database per file. */
  own?: { jwtSecret: string; dbPort: number; logFile: string };
}

declare module "vitest" {
  export interface ProvidedContext {
    stack: StackUnderTest;
  }
}

/** Starts one stack for the whole run, or takes the one that the environment names. */
export default async function setup(project: TestProject) {
  const { SUPABASE_URL, SUPABASE_PUBLISHABLE_KEY, SUPABASE_SECRET_KEY } = process.env;
  if (SUPABASE_URL) {
    if (!SUPABASE_PUBLISHABLE_KEY || !SUPABASE_SECRET_KEY) {
      throw new Error(
        "SUPABASE_URL is set: set SUPABASE_PUBLISHABLE_KEY and SUPABASE_SECRET_KEY too, or unset it to test a stack of our own.",
      );
    }
    project.provide("stack", {
      url: SUPABASE_URL,
      publishableKey: SUPABASE_PUBLISHABLE_KEY,
      secretKey: SUPABASE_SECRET_KEY,
    });
    return;
  }
  // Not called tollgate-...: that is what a starting stack sweeps away when its owner is gone.
  const folder = mkdtempSync(path.join(tmpdir(), "logs-of-tollgate-tests-"));
  const logFile = path.join(folder, "stack.log");
  writeFileSync(logFile, "");
  const stack = await startStack({
    poolSize: 70,
    log: (source, line) => appendFileSync(logFile, `${source}: ${line}\n`),
  });
  const mutant = process.env["TOLLGATE_MUTANT"];
  if (mutant) await mutateStack(stack.dbPort, mutant);
  project.provide("stack", {
    url: stack.url,
    publishableKey: stack.publishableKey,
    secretKey: stack.secretKey,
    own: { jwtSecret: stack.jwtSecret, dbPort: stack.dbPort, logFile },
  });
  return async () => {
    await stack.stop();
    const logs = readFileSync(logFile, "utf8");
    rmSync(folder, { recursive: true });
    const leaks = [stack.secretKey, stack.jwtSecret, /tg_live_[0-9a-f]{48}/]
      .filter((secret) => logs.search(secret) >= 0);
    if (leaks.length > 0) {
      throw new Error(`The stack's logs hold ${leaks.length} kinds of secrets.`);
    }
  };
}
