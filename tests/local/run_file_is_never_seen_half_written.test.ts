import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { expect, test } from "vitest";
import { reclaim, RUN_FILE, RunFile } from "../../local/run_file.ts";

// Another stack that starts reads the file to see whether its owner lives, and removes the folder of
// one that does not: a database was once removed from under a live stack so.

test("who has opened the run file reads it whole, though it changes meanwhile", async () => {
  const folder = mkdtempSync(path.join(tmpdir(), "run-file-"));
  const file = path.join(folder, RUN_FILE);
  const run = await RunFile.claim(file);
  const opened = openSync(file, "r");
  try {
    run.add({ pid: process.pid, mark: "a child" });

    expect(JSON.parse(readFileSync(opened, "utf8"))).toMatchObject({ children: [] });
    expect(JSON.parse(readFileSync(file, "utf8"))).toMatchObject({
      children: [{ mark: "a child" }],
    });
    expect(await reclaim(file)).toBe(process.pid);
    await expect(RunFile.claim(file)).rejects.toThrow("already running");
  } finally {
    closeSync(opened);
    rmSync(folder, { recursive: true });
  }
});
