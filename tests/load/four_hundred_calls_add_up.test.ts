import { expect, test } from "vitest";
import {
  type Answer,
  type Receipt,
  service,
  Tenant,
  verifyLedgerAtEnd,
} from "../support/tenant.ts";

verifyLedgerAtEnd();

const USERS = ["ada", "bob", "cid", "dan", "eve"];

test("400 consumptions over 16 connections are all answered, and add up to the token", async () => {
  const tenant = await Tenant.create({
    quota: 150,
    restrictions: [{ tag: "GPT-4", maxTokens: 40, duration: "1 month" }],
  });
  for (const user of USERS) await tenant.grant(user, 75);

  const calls = Array.from({ length: 400 }, (_, index) => ({
    user: USERS[index % USERS.length]!,
    tokens: 1 + index % 7,
    tag: index % 3 === 0 ? "GPT-4" : undefined,
  }));
  const answers: (Answer<Receipt> & { tag: string | undefined })[] = [];
  const queue = calls.values();
  const connection = async () => {
    for (const { user, tokens, tag } of queue) {
      answers.push({ ...await tenant.consume(user, tokens, { tag }), tag });
    }
  };
  await Promise.all(Array.from({ length: 16 }, connection));

  expect(answers).toHaveLength(400);
  expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200, 402, 429]));
  const { data: users } = await service.from("tracked_users")
    .select("id, external_id").eq("project_id", tenant.id).throwOnError();
  expect(users.map(({ external_id }) => external_id).toSorted()).toEqual(USERS);
  for (const { id, external_id } of users) {
    const applied = answers.filter(({ body }) => body.user_id === external_id && body.success);
    const total = sum(applied.map(({ body }) => body.tokens_consumed));
    const tagged = applied.filter(({ tag }) => tag === "GPT-4");
    const { data: transfers } = await service.from("token_transfers")
      .select("transfer_number, amount").eq("user_id", id).order("transfer_number").throwOnError();

    expect(transfers.map(({ transfer_number }) => transfer_number))
      .toEqual(transfers.map((_, index) => index + 1));
    expect(applied.map(({ body }) => body.transfer_number).toSorted((a, b) => a - b))
      .toEqual(transfers.slice(1).map(({ transfer_number }) => transfer_number));
    expect(sum(transfers.map(({ amount }) => amount))).toBe(75 - total);
    expect((await tenant.balance(external_id)).body).toMatchObject({
      tokens_left: 150 + 75 - total,
      restrictions: [{ used: sum(tagged.map(({ body }) => body.tokens_consumed)) }],
    });
  }
});

function sum(numbers: number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
