import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { connectToStack, rest, signedIn } from "../../support/rest.ts";
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
    await callApi("/v1/consume", { headers: { authorization: `Bearer ${stack.secretKey}` } }),
    await callApi("/v1/consume", { headers: { "x-api-key": stack.secretKey } }),
    await rest(signedIn(canary), "GET", "api_keys"),
    await rest({ apikey: canary }, "GET", "api_keys"),
    await rest({ apikey: stack.secretKey }, "GET", "api_keys?select=key_hash"),
    await rest({ apikey: stack.secretKey }, "POST", "rpc/no_such_function", {}),
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
  const holders = async (text: string) => {
    const searches = tables.map(async ({ name }) => {
      const [found] = await sql.unsafe(
        `select exists (select from ${name} t where strpos(t::text, $1) > 0)`,
        [text],
      );
      return found?.["exists"] ? [name] : [];
    });
    return (await Promise.all(searches)).flat();
  };
  const hash = createHash("sha256").update(canary).digest("hex");

  expect(await holders(hash)).toEqual(["public.api_keys"]); // So the search finds what is there.
  for (const secret of [canary, stack.secretKey]) {
    expect(bodies).not.toContain(secret);
    expect(logs).not.toContain(secret);
    expect(await holders(secret)).toEqual([]);
    expect(await holders(Buffer.from(secret).toString("hex"))).toEqual([]); // A bytea prints so.
  }
});
