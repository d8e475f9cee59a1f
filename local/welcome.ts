import path from "node:path";
import type { Demo } from "./demo.ts";
import type { Stack } from "./stack.ts";

/** What to do next, in words that can be pasted. */
export function welcome(
  stack: Stack,
  demo: Demo | undefined,
  envFile: string,
  milliseconds: number,
): string {
  const file = path.relative(process.cwd(), envFile);
  return `
Tollgate is ready (${(milliseconds / 1000).toFixed(1)} s).

  API       ${stack.url}
  Database  ${stack.dbUrl()}
${demo ? demoLines(stack, demo) : NO_DEMO}
All keys are in ${file}. Ctrl-C stops the stack and keeps its data; \`npm run reset\` starts anew.
`;
}

function demoLines(stack: Stack, { apiKey }: Demo): string {
  const body = JSON.stringify({ user_id: "ada", tokens_to_consume: 500, tag: "GPT-4" });
  return `  API key   ${apiKey}  (project Demo)

Consume tokens:

  curl -X POST ${stack.url}/functions/v1/api/v1/consume \\
    -H 'Authorization: Bearer ${apiKey}' \\
    -H 'Content-Type: application/json' \\
    -d '${body}'

Four of them use up ada's GPT-4 tokens of the day; the fifth is denied. What is left, and why:

  curl -H 'Authorization: Bearer ${apiKey}' \\
    ${stack.url}/functions/v1/api/v1/users/ada/balance

Other users to try: fresh, quota-nearly-used, quota-rolled-over, weekly-bonus,
grants-about-to-expire, blocked-by-restriction, five-hours-used-up, plan-ends-soon, past-due,
past-due-in-grace. Tables and views: connect psql or Studio to the database above.
`;
}

const NO_DEMO = `
There is no project named Demo, so no demo API key: \`npm run reset\` brings both back.
`;
