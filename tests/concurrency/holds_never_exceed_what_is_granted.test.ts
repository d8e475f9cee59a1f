import { expect, test } from "vitest";
import { atOnce } from "../support/concurrency.ts";
import { useDatabase } from "../support/database.ts";
import { type PlanOptions, Project } from "../support/project.ts";
import { Random, seed } from "../support/random.ts";

const { sql, connect } = useDatabase();
const crowd = connect(17);

const START = "2030-01-15T10:00:00Z";

async function userOf(plan: PlanOptions) {
  const project = await Project.create(sql);
  await project.plan(plan);
  return project.user("ada", { billingAnchor: START });
}

test("a hold outlives the grant that pays it: settled, it charges that grant alone", async () => {
  const user = await userOf({ type: "pay_as_you_go" });
  await user.grant(10, { at: START, expiresAt: "2030-01-15T10:05:00Z" });
  await user.grant(10, { at: START });
  const { hold_id } = await user.hold(8, { at: START });

  const at = "2030-01-15T10:06:00Z";
  expect(await user.balance(at)).toMatchObject({ grants_left: 10, tokens_held: 8 });
  expect(await user.settle(hold_id, 5, { at })).toMatchObject({
    tokens_consumed: 5,
    tokens_returned: 3,
    grants_left: 10,
  });

  expect(await user.balance(at)).toMatchObject({ tokens_left: 10, tokens_held: 0 });
  expect(
    await sql`select tokens_used from user_token_grants where user_id = ${user.id!}
      order by expires_at`,
  ).toEqual([{ tokens_used: 5 }, { tokens_used: 0 }]);
});

test("sixteen calls at once for tokens whose grant has expired under a hold get none", async () => {
  const user = await userOf({ type: "pay_as_you_go" });
  await user.grant(10, { at: START, expiresAt: "2030-01-15T10:05:00Z" });
  const { hold_id } = await user.hold(8, { at: START });

  const at = "2030-01-15T10:06:00Z";
  const answers = await atOnce<{ success: boolean }>(
    crowd,
    16,
    (connection, index) => {
      const own = user.on(connection);
      return index ? own.consume(1, { at }) : own.settle(hold_id, 8, { at });
    },
  );

  expect(answers.map(({ success }) => success)).toEqual([true, ...Array(15).fill(false)]);
  expect(await user.balance(at)).toMatchObject({ tokens_left: 0, tokens_held: 0 });
});

test("sixteen connections hold to the last token that a whole hold fits in", async () => {
  const user = await userOf({ quota: 50 });
  await user.grant(30);
  await user.grant(20);

  const answers = await atOnce(crowd, 16, async (connection) => [
    await user.on(connection).hold(7),
    await user.on(connection).hold(7),
  ]);

  expect(answers.flat().filter(({ success }) => success)).toHaveLength(14);
  expect(await user.balance()).toMatchObject({ tokens_held: 98, tokens_left: 2 });
});

test("sixteen connections together never hold past a restriction", async () => {
  const user = await userOf({
    quota: 1000,
    restrictions: [{ tag: "GPT-4", maxTokens: 50, duration: "1 month" }],
  });

  const answers = await atOnce(
    crowd,
    16,
    (connection) => user.on(connection).hold(7, { tag: "GPT-4" }),
  );

  expect(answers.filter(({ success }) => success)).toHaveLength(7);
  expect((await user.balance()).restrictions).toMatchObject([{ used: 0, held: 49, left: 1 }]);
});

test(`sixteen connections hold, settle, release and consume: at every transfer what is used, held and left adds up (TOLLGATE_SEED=${seed})`, async () => {
  const user = await userOf({ quota: 40 });
  await user.grant(30, { expiresAt: "2100-01-01T00:00:00Z" });
  await user.grant(30);
  const random = new Random();
  const plans = Array.from({ length: 16 }, () =>
    Array.from({ length: 8 }, () => ({
      step: random.pick(["consume", "settle", "settle", "release", "keep"] as const),
      tokens: random.integer(2, 9),
      share: random.number(),
    })));

  await atOnce(crowd, 16, async (connection, index) => {
    const own = user.on(connection);
    for (const { step, tokens, share } of plans[index]!) {
      if (step === "consume") await own.consume(tokens);
      else {
        const { hold_id, success } = await own.hold(tokens);
        if (success && step === "settle") await own.settle(hold_id, Math.floor(share * tokens));
        if (success && step === "release") await own.release(hold_id);
      }
    }
  });

  const transfers = await sql<{ transfer_number: number; missing: number; least: number }[]>`
    select transfer_number, least(quota_left, grants_left, tokens_held) as least,
      (40 + sum(amount) over (order by transfer_number)
        - quota_left - grants_left - tokens_held)::bigint as missing
    from token_transfers where user_id = ${user.id!} order by transfer_number`;
  expect(transfers.filter(({ missing, least }) => missing !== 0 || least < 0)).toEqual([]);
  const { tokens_left } = await user.balance();
  if (tokens_left > 0) expect(await user.consume(tokens_left)).toMatchObject({ success: true });
  expect(await user.consume(1)).toMatchObject({ success: false });
});

test("of 128 holds from sixteen connections 100 are open at once, and expiry makes room", async () => {
  const user = await userOf({ quota: 1000 });

  const answers = await atOnce(crowd, 16, async (connection) => {
    const own = [];
    for (let n = 0; n < 8; n++) own.push(await user.on(connection).hold(1, { at: START }));
    return own;
  });

  const denied = answers.flat().filter(({ success }) => !success);
  expect(denied.map(({ reason }) => reason)).toEqual(Array(28).fill("too_many_holds"));
  expect(await user.balance(START)).toMatchObject({ tokens_held: 100, tokens_left: 900 });
  expect(await user.hold(1, { at: "2030-01-15T10:10:00Z" })).toMatchObject({ success: true });
});
