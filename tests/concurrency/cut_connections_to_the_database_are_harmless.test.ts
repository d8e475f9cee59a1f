import postgres from "postgres";
import { expect, test } from "vitest";
import { types, useDatabase } from "../support/database.ts";
import { Project, type Receipt } from "../support/project.ts";
import { Random, seed } from "../support/random.ts";
import { type Cut, CuttingProxy, retry, someCuts } from "./cutting_proxy.ts";

const { sql, url } = useDatabase();

const CLIENTS = 4;
const CALLS = 30;
const TOKENS = 7;

test(`calls whose connections are cut, repeated until answered, count once each (TOLLGATE_SEED=${seed})`, async () => {
  const random = new Random();
  const project = await Project.create(sql);
  await project.plan({ quota: 10_000 });
  const user = await project.user("ada");
  const { hostname, port } = new URL(url);

  await Promise.all(Array.from({ length: CLIENTS }, async (_, client) => {
    const proxy = await CuttingProxy.to({ host: hostname, port: Number(port) });
    const proxied = new URL(url);
    proxied.port = String(proxy.port);
    const connection = postgres(proxied.href, { max: 1, types, backoff: false, onnotice() {} });
    const call = async (requestId: string, cut?: Cut) => {
      await connection`select`;
      proxy.arm(cut);
      // One message there, and one transaction: a prepared statement would take two round trips.
      const [receipt] = await connection.unsafe<Receipt[]>(
        `select * from consume_tokens('${project.id}', 'ada', ${TOKENS}, p_request_id => '${requestId}')`,
      );
      return receipt!;
    };

    await call(`${client} 10`);
    const size = proxy.passed;
    for (let n = 11; n < 10 + CALLS; n++) {
      const requestId = `${client} ${n}`;
      await retry(someCuts(random, size), size, (cut) => call(requestId, cut), {
        code: expect.stringMatching(/^(CONNECTION_CLOSED|ECONNRESET|EPIPE)$/),
      });
    }
    await connection.end();
    await proxy.close();
  }));

  expect(await user.balance()).toMatchObject({ tokens_left: 10_000 - CLIENTS * CALLS * TOKENS });
  expect(
    await sql`select distinct request_id, amount from token_transfers where user_id = ${user.id!}`,
  ).toHaveLength(CLIENTS * CALLS);
  expect(await sql`select from token_transfers`).toHaveLength(CLIENTS * CALLS);
});
