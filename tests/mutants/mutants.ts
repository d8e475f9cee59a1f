import type { Sql, TransactionSql } from "postgres";
import { databaseUrl, withConnection } from "../../local/database.ts";
import { SUPERUSER } from "../../local/postgres.ts";

export interface Mutant {
  name: string;
  /** The name of a function that is not overloaded. */
  target: string;
  text: string;
  replacement: string;
  /** The test files that are to catch it. */
  tests: string[];
}

function mutant(
  name: string,
  target: string,
  text: string,
  replacement: string,
  ...tests: string[]
): Mutant {
  return { name, target: `tollgate.${target}`, text, replacement, tests };
}

/** Faults in the SQL, each of which the tests must notice: `npm run mutants`. */
export const MUTANTS: Mutant[] = [
  mutant(
    "a limit allows one less",
    "decide",
    "if v_left < d.tokens then",
    "if v_left <= d.tokens then",
    "rules/restriction",
  ),
  mutant(
    "grants allow one more",
    "decide",
    "elsif d.from_grants > v_grants_left then",
    "elsif d.from_grants > v_grants_left + 1 then",
    "rules/pay_as_you_go",
  ),
  mutant(
    "the restriction of a tag is not counted",
    "decide",
    "continue when coalesce(p_tag_id <> all(l.tag_ids), l.tag_ids is not null);",
    "continue when l.tag_ids is not null;",
    "rules/restriction",
  ),
  mutant(
    "a payer loses a token",
    "split",
    "v_taken := least(v_needed, g.tokens_left);",
    "v_taken := least(v_needed, g.tokens_left - 1);",
    "rules/one_call_spills",
  ),
  mutant(
    "a grant is spent before its time",
    "split",
    "g.effective_at > p_account.at or ",
    "",
    "rules/grants_can_be_spent",
  ),
  mutant(
    "a grant is spent on any tag",
    "split",
    " or coalesce(p_tag_id <> all(g.tag_ids), g.tag_ids is not null)",
    "",
    "rules/grants_are_spent_on",
  ),
  mutant(
    "a replay is not recognised",
    "find_replay",
    "t.request_id = p_request_id",
    "false",
    "rules/request_id",
  ),
  mutant(
    "a mismatch is accepted",
    "find_replay",
    "found and v_transfer.request_hash is distinct from p_request_hash",
    "false",
    "rules/request_id",
  ),
  mutant(
    "a hold is open at its expiry",
    "state_of",
    "p_hold.expires_at > p_at",
    "p_hold.expires_at >= p_at",
    "rules/hold",
  ),
  mutant("a hold ends twice", "require_open", "v_state <> 'open'", "false", "rules/hold"),
  mutant(
    "a hold of another project is found",
    "lock_hold",
    " and u.project_id = p_project_id",
    "",
    "rules/hold",
  ),
  mutant(
    "any transfer can be refunded",
    "refundable",
    "t.transaction_type <> 'consumption'",
    "false",
    "rules/refund",
  ),
  mutant(
    "a refund's hash leaves out the tokens",
    "refund_tokens",
    "p_original_request_id, p_tokens, p_regrant_lapsed",
    "p_original_request_id, p_regrant_lapsed",
    "rules/refund",
  ),
];

/** Makes the function of a mutant wrong; throws where its text is not there exactly once. */
export async function applyMutant(sql: Sql | TransactionSql, mutant: Mutant): Promise<void> {
  const [row] = await sql<{ definition: string | null }[]>`
    select pg_get_functiondef(to_regproc(${mutant.target})) as definition`;
  const parts = row?.definition?.split(mutant.text) ?? [];
  if (parts.length !== 2) {
    throw new Error(
      `Mutant "${mutant.name}": its text must occur exactly once in ${mutant.target}.`,
    );
  }
  await sql.unsafe(parts.join(mutant.replacement));
}

/** Puts the named mutant into all databases that the tests of a stack will see. */
export async function mutateStack(port: number, name: string): Promise<void> {
  const mutant = MUTANTS.find((candidate) => candidate.name === name);
  if (!mutant) throw new Error(`TOLLGATE_MUTANT: there is no mutant "${name}".`);
  for (const database of ["tollgate_template", "postgres"]) {
    await withConnection(
      databaseUrl(port, SUPERUSER, database),
      (sql) => applyMutant(sql, mutant),
    );
  }
}
