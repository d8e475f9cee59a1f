import type { TestProject } from "vitest/node";
import { startStack } from "../../local/stack.ts";

/** Where the tests find the stack under test. */
export interface StackUnderTest {
  url: string;
  publishableKey: string;
  secretKey: string;
  /** Only on a stack of our own: for forged and expired tokens, and for a database per file. */
  own?: { jwtSecret: string; dbPort: number };
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
  const stack = await startStack({ poolSize: 70 });
  project.provide("stack", {
    url: stack.url,
    publishableKey: stack.publishableKey,
    secretKey: stack.secretKey,
    own: { jwtSecret: stack.jwtSecret, dbPort: stack.dbPort },
  });
  return () => stack.stop();
}
