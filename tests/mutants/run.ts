// Puts each mutant into the database of a test run of its own, and expects a test to fail.
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { z } from "zod";
import { MUTANTS } from "./mutants.ts";

const Report = z.object({
  numPassedTests: z.number(),
  testResults: z.array(z.object({
    name: z.string(),
    status: z.string(),
    message: z.string(),
    assertionResults: z.array(z.object({ fullName: z.string(), status: z.string() })),
  })),
});

/** The number of tests that passed, and the first that failed. */
function runTests(files: string[], mutant?: string): { passed: number; failed?: string } {
  const folder = mkdtempSync(path.join(tmpdir(), "tollgate-mutants-"));
  const file = path.join(folder, "report.json");
  // In CI random tests draw the same numbers each time.
  const env: NodeJS.ProcessEnv = { ...process.env, CI: "true" };
  delete env["TOLLGATE_MUTANT"];
  if (mutant) env["TOLLGATE_MUTANT"] = mutant;
  const run = spawnSync(
    "npx",
    ["vitest", "run", "--config", "tests/vitest.config.ts", ...files]
      .concat("--bail=1", "--reporter=json", `--outputFile=${file}`),
    { env, encoding: "utf8" },
  );
  try {
    const { numPassedTests, testResults } = Report.parse(JSON.parse(readFileSync(file, "utf8")));
    for (const { name, status, message, assertionResults } of testResults) {
      const failed = assertionResults.find(({ status }) => status === "failed");
      // A file may also fail in its hooks: useDatabase() verifies the ledger at the end.
      if (failed || status === "failed") {
        const what = failed?.fullName ?? `a hook (${message.split("\n")[0]})`;
        return { passed: numPassedTests, failed: `${path.basename(name, ".test.ts")}: ${what}` };
      }
    }
    // A run that failed otherwise says nothing about the mutant.
    if (run.status !== 0 || numPassedTests === 0) throw new Error("No test passed or failed.");
    return { passed: numPassedTests };
  } catch (cause) {
    throw new Error(`The tests did not run (${mutant ?? "no mutant"}):\n${run.stderr}`, { cause });
  } finally {
    rmSync(folder, { recursive: true });
  }
}

// What fails anyway would seem to catch everything.
const usual = runTests([...new Set(MUTANTS.flatMap(({ tests }) => tests))]);
if (usual.failed) throw new Error(`Fails without a mutant: ${usual.failed}`);
console.log(`without a mutant: ${usual.passed} tests pass`);

let survived = 0;
for (const { name, tests } of MUTANTS) {
  const { failed } = runTests(tests, name);
  if (!failed) survived++;
  console.log(`${name}: ${failed ? `caught by ${failed}` : "SURVIVED"}`);
}
console.log(`${MUTANTS.length - survived} caught, ${survived} survived`);
process.exitCode = survived ? 1 : 0;
