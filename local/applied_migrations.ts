import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { z } from "zod";

/** File name -> SHA-256 of what was applied. */
const Book = z.record(z.string(), z.string());

/** Notes in `bookFile` what has just been applied, and names the files that were edited after an
 * earlier run applied them: like any migration tool, the CLI does not apply those again. */
export function noteApplied(root: string, bookFile: string): string[] {
  const folder = path.join(root, "supabase", "migrations");
  const files = existsSync(folder)
    ? readdirSync(folder).filter((name) => name.endsWith(".sql"))
    : [];
  const now = Object.fromEntries(files.map((name) => [name, sha256(path.join(folder, name))]));
  const before = existsSync(bookFile) ? Book.parse(JSON.parse(readFileSync(bookFile, "utf8"))) : {};
  writeFileSync(bookFile, JSON.stringify({ ...now, ...before }, null, 2) + "\n");
  return files.filter((name) => before[name] !== undefined && before[name] !== now[name]);
}

function sha256(file: string): string {
  return createHash("sha256").update(readFileSync(file, "utf8")).digest("hex");
}
