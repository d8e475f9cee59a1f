import { execFileSync } from "node:child_process";
import { supabaseCli } from "./binaries.ts";

/** What a command of the Supabase CLI prints; its chatter is left out. */
export function supabase(...args: string[]): string {
  return execFileSync(supabaseCli(), args, {
    env: { ...process.env, SUPABASE_NO_UPDATE_NOTIFIER: "1" },
    stdio: ["ignore", "pipe", "ignore"],
    encoding: "utf8",
  });
}
