import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { deno } from "./binaries.ts";
import { startStack } from "./stack.ts";
import { supabase } from "./supabase_cli.ts";

export const TYPES_FILE = fileURLToPath(
  new URL("../supabase/functions/_shared/database.types.ts", import.meta.url),
);

/** The TypeScript types of schema `public`, by the Supabase CLI, formatted like all other code. */
export function generateTypes(dbUrl: string): string {
  const types = supabase("gen", "types", `--remote=${dbUrl}?sslmode=disable`, "--schema", "public");
  return execFileSync(deno(), ["fmt", "--line-width", "100", "--ext", "ts", "-"], {
    input: types,
    encoding: "utf8",
  });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const stack = await startStack({ seed: false });
  try {
    writeFileSync(TYPES_FILE, generateTypes(stack.dbUrl()));
  } finally {
    await stack.stop();
  }
}
