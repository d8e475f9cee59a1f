import { expect, test } from "vitest";
import { atOnce, inQueue } from "../support/concurrency.ts";
import { useDatabase } from "../support/database.ts";
import { Project } from "../support/project.ts";

const { sql, connect } = useDatabase();
const callers = connect(2);
const crowd = connect(17);

async function userWithGrant(tokens: number) {
  const project = await Project.create(sql);
  await project.plan({ type: "pay_as_you_go" });
  const user = await project.user("ada");
  const { grant_id } = await user.grant(tokens);
  return { user, grantId: grant_id };
}

/** The answer's tokens, or the code of the error. */
const voided = (call: Promise<{ tokens_voided: number }>) =>
  call.then(({ tokens_voided }) => tokens_voided, (error: { code: string }) => error.code);

test("of a void and a consumption of all tokens at once the first one has them", async () => {
  const first = await userWithGrant(100);
  expect(
    await inQueue(sql, first.user, [
      () => first.user.on(callers).voidGrant(first.grantId),
      () => first.user.on(callers).consume(100),
    ]),
  ).toMatchObject([{ tokens_voided: 100 }, { success: false, shortfall: 100 }]);

  const second = await userWithGrant(100);
  expect(
    await inQueue(sql, second.user, [
      () => second.user.on(callers).consume(100),
      () => second.user.on(callers).voidGrant(second.grantId),
    ]),
  ).toMatchObject([{ success: true }, "TG017"]);
});

test("of sixteen voids of one grant at once one is made", async () => {
  const { user, grantId } = await userWithGrant(100);

  const answers = await atOnce(
    crowd,
    16,
    (connection) => voided(user.on(connection).voidGrant(grantId)),
  );

  expect(answers.sort()).toEqual([100, ...Array(15).fill("TG017")]);
});

test("of sixteen voids with one request id one is made, and all answer it", async () => {
  const { user, grantId } = await userWithGrant(100);

  const answers = await atOnce(
    crowd,
    16,
    (connection) => user.on(connection).voidGrant(grantId, { requestId: "v-1" }),
  );

  const first = answers.find(({ replayed }) => !replayed)!;
  expect(answers.filter(({ replayed }) => replayed)).toHaveLength(15);
  for (const answer of answers) expect({ ...answer, replayed: false }).toEqual(first);
});

test("a void among calls that consume, hold, settle and refund: each token goes one way", async () => {
  const { user, grantId } = await userWithGrant(100);

  const spent = await atOnce(crowd, 16, async (connection, index) => {
    const own = user.on(connection);
    if (index === 0) return -await own.voidGrant(grantId).then((r) => r.tokens_voided);
    const { success, transfer_number } = await own.consume(3);
    if (success && index % 3 === 0) {
      await own.refund(transfer_number!);
      return 0;
    }
    const { hold_id, success: held } = await own.hold(4);
    if (held) await own.settle(hold_id, 2);
    return (success ? 3 : 0) + (held ? 2 : 0);
  });

  const [grant] = await sql<{ tokens_used: number }[]>`
    select tokens_used from user_token_grants where id = ${grantId}`;
  expect(grant!.tokens_used).toBe(spent.slice(1).reduce((sum, tokens) => sum + tokens, 0));
  expect(grant!.tokens_used - spent[0]!).toBeLessThanOrEqual(100);
  expect(await user.balance()).toMatchObject({ tokens_left: 0, tokens_held: 0 });
  const after = await sql`select from token_transfers t
    where t.user_id = ${user.id!} and t.transaction_type in ('consumption', 'hold')
      and t.counted_at is null and t.transfer_number > (
        select v.transfer_number from token_transfers v
        where v.user_id = t.user_id and v.transaction_type = 'void'
      )`;
  expect(after).toHaveLength(0);
});

test("a void of a grant that came by itself, as the first call of all, finds it", async () => {
  const project = await Project.create(sql);
  await project.plan({ type: "pay_as_you_go" });
  const user = await project.user("ada", { createdAt: "2030-01-01T00:00:00Z" });
  await user.recurringGrant(100, "1 month", { startsAt: "2031-01-01T00:00:00Z" });
  const at = "2031-01-15T00:00:00Z";
  const [grant] = (await user.balance(at)).grants;

  const answers = await atOnce(crowd, 16, (connection, index) => {
    const own = user.on(connection);
    return index % 2
      ? voided(own.voidGrant(grant!.grant_id, { at }))
      : own.consume(10, { at }).then(({ tokens_consumed }) => -tokens_consumed);
  });

  const voids = answers.filter((_, index) => index % 2).filter((answer) => answer !== "TG017");
  expect(voids).toHaveLength(1);
  const consumed = answers.filter((answer) => answer === -10).length * 10;
  expect(voids).toEqual([100 - consumed]);
  expect(await user.balance(at)).toMatchObject({ tokens_left: 0, grants: [] });
});
