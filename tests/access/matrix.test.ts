import { readFileSync, writeFileSync } from "node:fs";
import { expect, test } from "vitest";
import { verifyLedgerAtEnd } from "../support/tenant.ts";
import { format, MatrixRun } from "./matrix.ts";

const EXPECTED = new URL("matrix.expected.txt", import.meta.url);

verifyLedgerAtEnd();
const run = new MatrixRun();

test(
  "every actor can do what matrix.expected.txt says with every object, and no more",
  async () => {
    const observed = format(await run.observe());

    if (process.env["UPDATE_MATRIX"]) writeFileSync(EXPECTED, observed);
    expect(observed).toBe(readFileSync(EXPECTED, "utf8"));
  },
  240_000,
);
