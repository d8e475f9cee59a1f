import { chmodSync, mkdtempSync, readdirSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { reclaim, RUN_FILE } from "./run_file.ts";

const PREFIX = "tollgate-";

/** A temporary folder for one stack. Removes those of stacks that were killed. */
export async function makeScratchFolder(): Promise<string> {
  await removeAbandoned();
  const folder = mkdtempSync(path.join(tmpdir(), PREFIX));
  chmodSync(folder, 0o755); // Root's PostgreSQL runs as another user. Secrets have modes of their own.
  return folder;
}

async function removeAbandoned(): Promise<void> {
  for (const name of readdirSync(tmpdir()).filter((name) => name.startsWith(PREFIX))) {
    const folder = path.join(tmpdir(), name);
    try {
      const isNew = Date.now() - statSync(folder).mtimeMs < 60_000;
      if (!readdirSync(folder).includes(RUN_FILE) && isNew) continue; // Just being made.
      if (await reclaim(path.join(folder, RUN_FILE)) === undefined) {
        rmSync(folder, { recursive: true, force: true });
      }
    } catch {
      // Another user's, or another start was faster: not ours to clean.
    }
  }
}
