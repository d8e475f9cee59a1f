import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { connectToStack } from "../../support/rest.ts";
import { callApi, stack, Tenant } from "../../support/tenant.ts";

const sql = connectToStack("superuser");
const tenant = await Tenant.create({ quota: 10 });
const canary = tenant.apiKey;

/** Answers of every kind, asked for with the canary in every place where a key may be. */
async function answers(): Promise<unknown[]> {
  const headers = { "x-api-key": canary, authorization: `Bearer ${canary}` };
  const paths = [
    "/v1/users/ada/balance",
    "/v1/users/nobody/transfers",
    "/v1/nothing",
    "/v1/consume",
  ];
  return [
    await tenant.consume("ada", 5),
    await tenant.consume("ada", 50),
    await tenant.consume("ada", -1),
    await tenant.post("/v1/consume", "{not json"),
    await tenant.grant("ada", 5),
    ...await Promise.all(paths.map((path) => callApi(path, { headers }))),
  ];
}

test("no answer, log or table holds an API key or the secret key", async () => {
  const bodies = JSON.stringify(await answers());
  const tables = await sql<{ name: string }[]>`
    select format('%I.%I', n.nspname, c.relname) as name
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where c.relkind in ('r', 'm') and n.nspname not in ('pg_catalog', 'information_schema')
    union all select 'extensions.pg_stat_statements'`;
  const logs = readFileSync(stack.own!.logFile, "utf8");

  for (const secret of [canary, stack.secretKey]) {
    expect(bodies).not.toContain(secret);
    expect(logs).not.toContain(secret);
    for (const { name } of tables) {
      const [found] = await sql.unsafe(
        `select count(*) as rows from ${name} t where strpos(t::text, $1) > 0`,
        [secret],
      );
      expect({ name, rows: found?.["rows"] }).toEqual({ name, rows: 0 });
    }
  }
  expect(tables.length).toBeGreaterThan(20);
});
