import type { TransactionSql } from "postgres";
import { expect, test } from "vitest";
import { useDatabase } from "../support/database.ts";
import { applyMutant, type Mutant, MUTANTS } from "./mutants.ts";

const { sql } = useDatabase();

/** Each on the functions as they are: one mutant may take away the text of another. */
async function tryOut(mutant: Mutant): Promise<string | undefined> {
  const undo = new Error("undo");
  return await sql.begin(async (tx) => {
    await applyMutant(tx as unknown as TransactionSql, mutant);
    throw undo;
  }).catch((error: unknown) => error === undo ? undefined : String(error));
}

test.each(MUTANTS)("$name: its text occurs exactly once", async (mutant) => {
  expect(await tryOut(mutant)).toBeUndefined();
});

test("a mutant whose text is gone is told", async () => {
  expect(await tryOut({ ...MUTANTS[0]!, text: "no such text" })).toContain("exactly once");
});
