import { expect, test } from "vitest";
import { type Receipt, Tenant, verifyLedgerAtEnd } from "../support/tenant.ts";

verifyLedgerAtEnd();

const IDS = 30;
const COPIES = 16;

test("of 16 copies of each of 30 requests at once one is applied, and 15 answer the same", async () => {
  const tenant = await Tenant.create({ quota: 1000 });
  const users = ["ada", "bob", "cid"];

  const answers = await Promise.all(
    Array.from({ length: IDS * COPIES }, (_, n) =>
      tenant.post<Receipt>("/v1/consume", {
        user_id: users[n % users.length],
        tokens_to_consume: n % IDS + 1,
      }, { "idempotency-key": `request ${n % IDS}` })),
  );

  for (let id = 0; id < IDS; id++) {
    const copies = answers.filter((_, n) => n % IDS === id);
    const replayed = copies.map(({ headers }) => headers.get("idempotent-replayed"));
    expect(replayed.filter((header) => header === "true")).toHaveLength(COPIES - 1);
    expect(replayed.filter((header) => header === null)).toHaveLength(1);
    const { status, body } = copies[replayed.indexOf(null)]!;
    expect(body).toMatchObject({ success: true, replayed: false, tokens_consumed: id + 1 });
    for (const [n, copy] of copies.entries()) {
      expect(copy.status).toBe(status);
      expect(copy.body).toEqual({ ...body, replayed: replayed[n] === "true" });
    }
  }
  for (const [index, user] of users.entries()) {
    // Of 1 to 30 tokens every third request is this user's.
    const { body } = await tenant.balance(user);
    expect(body.quota_used).toBe(135 + 10 * (index + 1));
    expect((await tenant.transfers(user)).body.data).toHaveLength(10);
  }
});
