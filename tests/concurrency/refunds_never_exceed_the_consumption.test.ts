import { expect, test } from "vitest";
import { atOnce, inQueue } from "../support/concurrency.ts";
import { useDatabase } from "../support/database.ts";
import { Project } from "../support/project.ts";

const { sql, connect } = useDatabase();
const callers = connect(2);
const crowd = connect(17);

/** A user who has consumed all of 10 tokens of quota and 8 of a grant of 10, in transfer 2. */
async function spender() {
  const project = await Project.create(sql);
  await project.plan({ quota: 10, restrictions: [{ maxTokens: 18, duration: "1 month" }] });
  const user = await project.user("ada");
  await user.grant(10);
  await user.consume(18, { requestId: "c" });
  return user;
}

test("of two whole refunds at once one is made", async () => {
  const user = await spender();
  const own = user.on(callers);

  const answers = await inQueue(sql, user, [() => own.refund(2), () => own.refund("c")]);

  expect(answers).toEqual([expect.objectContaining({ tokens_refunded: 18 }), "TG015"]);
  expect(await user.balance()).toMatchObject({ quota_left: 10, grants_left: 10 });
});

test("of two refunds at once that together pass the consumption one is made", async () => {
  const user = await spender();
  const own = user.on(callers);

  const answers = await inQueue(sql, user, [
    () => own.refund(2, { tokens: 10 }),
    () => own.refund(2, { tokens: 9 }),
  ]);

  expect(answers).toEqual([
    expect.objectContaining({ tokens_refunded: 10, refundable_left: 8 }),
    "TG015",
  ]);
  expect(await user.balance()).toMatchObject({ quota_left: 2, grants_left: 10 });
});

test("of two refunds at once, the second of what is left, each token goes back once", async () => {
  const user = await spender();
  const own = user.on(callers);

  const answers = await inQueue(sql, user, [
    () => own.refund(2, { tokens: 7 }),
    () => own.refund(2),
  ]);

  expect(answers).toMatchObject([
    { base_quota_restored: 0, grants_restored: 7 },
    { base_quota_restored: 10, grants_restored: 1, refundable_left: 0 },
  ]);
  expect(await user.balance()).toMatchObject({ quota_left: 10, grants_left: 10 });
});

test("of two regranting refunds at once of a lapsed grant one makes a grant", async () => {
  const user = await spender();
  const own = user.on(callers);
  await sql`update user_token_grants set expires_at = now() where user_id = ${user.id!}`;

  const answers = await inQueue(sql, user, [
    () => own.refund(2, { regrantLapsed: true }),
    () => own.refund(2, { regrantLapsed: true }),
  ]);

  expect(answers).toEqual([expect.objectContaining({ tokens_regranted: 8 }), "TG015"]);
  expect(await user.balance()).toMatchObject({ quota_left: 10, grants_left: 8 });
});

test("sixteen refunds at once of 4 of 18 tokens: four are made", async () => {
  const user = await spender();

  const answers = await atOnce(
    crowd,
    16,
    (connection) =>
      user.on(connection).refund(2, { tokens: 4 }).then(
        ({ refundable_left }) => refundable_left,
        (error: { code: string }) => error.code,
      ),
  );

  expect(answers.sort()).toEqual([10, 14, 2, 6, ...Array(12).fill("TG015")]);
  expect(await user.balance()).toMatchObject({ quota_left: 8, grants_left: 10 });
});

test("refunds and calls that spend them at once: no token is lost or made", async () => {
  const user = await spender();

  const spent = await atOnce(crowd, 16, async (connection, index) => {
    const own = user.on(connection);
    if (index % 2 === 0) return (await own.consume(3)).tokens_consumed;
    await own.refund(2, { tokens: 2 });
    return 0;
  });

  const total = spent.reduce((sum, tokens) => sum + tokens, 0);
  expect(await user.balance()).toMatchObject({
    tokens_left: 2 + 16 - total,
    restrictions: [{ used: 2 + total }],
  });
});
