import { describe, expect, test } from "vitest";
import { Random, seed } from "../support/random.ts";
import { type Receipt, stack, Tenant, verifyLedgerAtEnd } from "../support/tenant.ts";
import { type Cut, CuttingProxy, retry, someCuts } from "./cutting_proxy.ts";

verifyLedgerAtEnd();

const CLIENTS = 4;
const CALLS = 20;
const TOKENS = 7;

// The proxy speaks no TLS, so it can only stand before a stack of our own.
describe.runIf(stack.own)("through a proxy that cuts", () => {
  test(`requests, repeated until answered, count once each (TOLLGATE_SEED=${seed})`, async () => {
    const random = new Random();
    const tenant = await Tenant.create({ quota: 10_000 });
    const { hostname, port } = new URL(stack.url);

    await Promise.all(Array.from({ length: CLIENTS }, async (_, client) => {
      const proxy = await CuttingProxy.to({ host: hostname, port: Number(port) });
      const call = async (requestId: string, cut?: Cut) => {
        proxy.arm(cut);
        const response = await fetch(
          `http://${hostname}:${proxy.port}/functions/v1/api/v1/consume`,
          {
            method: "POST",
            headers: {
              authorization: `Bearer ${tenant.apiKey}`,
              "idempotency-key": requestId,
              // Each call has a connection of its own.
              connection: "close",
            },
            body: JSON.stringify({ user_id: "ada", tokens_to_consume: TOKENS }),
          },
        );
        const receipt: Receipt = await response.json();
        expect(response.status).toBe(200);
        expect(receipt.replayed).toBe(response.headers.has("idempotent-replayed"));
        return receipt;
      };

      await call(`client ${client} call 10`);
      const size = proxy.passed;
      for (let n = 11; n < 10 + CALLS; n++) {
        const requestId = `client ${client} call ${n}`;
        await retry(someCuts(random, size), size, (cut) => call(requestId, cut), {
          name: "TypeError",
        });
      }
      await proxy.close();
    }));

    const { body: balance } = await tenant.balance("ada");
    expect(balance.tokens_left).toBe(10_000 - CLIENTS * CALLS * TOKENS);
    const { body: page } = await tenant.transfers("ada", `?limit=${CLIENTS * CALLS + 1}`);
    expect(page.data).toHaveLength(CLIENTS * CALLS);
    expect(new Set(page.data.map(({ request_id }) => request_id)).size).toBe(CLIENTS * CALLS);
  });
});
