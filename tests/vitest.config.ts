import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    dir: "tests",
    globalSetup: "tests/support/global_setup.ts",
    testTimeout: 30_000,
    hookTimeout: 60_000,
    // Two cores: more workers only queue for them.
    maxWorkers: 2,
  },
});
