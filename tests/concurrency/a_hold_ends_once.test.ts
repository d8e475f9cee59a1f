import { expect, test } from "vitest";
import { inQueue } from "../support/concurrency.ts";
import { useDatabase } from "../support/database.ts";
import { type HoldReceipt, Project, type Settlement, type User } from "../support/project.ts";

const { sql, connect } = useDatabase();
const callers = connect(2);

// A hold of 600 seconds is made at START and ends at END.
const START = "2030-01-15T10:00:00Z";
const BEFORE_END = "2030-01-15T10:09:59.999999Z";
const END = "2030-01-15T10:10:00Z";

/** A user with 10 tokens of quota and 5 of a grant, of which a hold sets 12 aside. */
async function userWithHold(at?: string) {
  const project = await Project.create(sql);
  await project.plan({ quota: 10, restrictions: [{ maxTokens: 15, duration: "1 month" }] });
  const user = await project.user("ada", at ? { billingAnchor: at } : {});
  await user.grant(5, at ? { at } : {});
  const { hold_id } = await user.hold(12, at ? { at } : {});
  return { user, hold_id, own: user.on(callers) };
}

// postgres.js would cut an instant that it knows to be one to milliseconds: these go as text.

async function settleAt({ project: { sql, id } }: User, holdId: string, at: string) {
  const [settlement] = await sql<Settlement[]>`
    select * from tollgate.settle_hold(${id}, ${holdId}, 12, false, null, null,
      ${at}::text::timestamptz)`;
  return settlement!;
}

async function extendAt({ project: { sql, id } }: User, holdId: string, at: string) {
  const [receipt] = await sql<HoldReceipt[]>`
    select * from tollgate.change_hold(${id}, ${holdId}, 60, null, ${at}::text::timestamptz)`;
  return receipt!;
}

test("of two settlements at once one charges, and the other finds the hold settled", async () => {
  const { user, hold_id, own } = await userWithHold();

  const answers = await inQueue(sql, user, [
    () => own.settle(hold_id, 11),
    () => own.settle(hold_id, 3),
  ]);

  expect(answers).toEqual([expect.objectContaining({ tokens_consumed: 11 }), "TG012"]);
  expect(await user.balance()).toMatchObject({ tokens_left: 4, tokens_held: 0 });
});

test("of two settlements at once with one request id the second is the first's replay", async () => {
  const { user, hold_id, own } = await userWithHold();

  const [first, second] = await inQueue(sql, user, [
    () => own.settle(hold_id, 14, { allowExcess: true, requestId: "s" }),
    () => own.settle(hold_id, 14, { allowExcess: true, requestId: "s" }),
  ]) as [Settlement, Settlement];

  expect(first).toMatchObject({ success: true, excess_consumed: 2, replayed: false });
  expect(second).toEqual({ ...first, replayed: true });
  expect(await user.balance()).toMatchObject({ tokens_left: 1, tokens_held: 0 });
});

test("two different settlements at once with one request id: the second is a mistake", async () => {
  const { user, hold_id, own } = await userWithHold();

  const answers = await inQueue(sql, user, [
    () => own.settle(hold_id, 3, { requestId: "s" }),
    () => own.settle(hold_id, 4, { requestId: "s" }),
  ]);

  expect(answers).toEqual([expect.objectContaining({ tokens_consumed: 3 }), "TG006"]);
  expect(await user.balance()).toMatchObject({ tokens_left: 12, tokens_held: 0 });
});

test("a settlement whose excess is denied leaves the hold to the one that waits behind", async () => {
  const { user, hold_id, own } = await userWithHold();

  const answers = await inQueue(sql, user, [
    () => own.settle(hold_id, 16, { allowExcess: true }),
    () => own.settle(hold_id, 12),
  ]);

  expect(answers).toMatchObject([{ success: false }, { success: true, tokens_consumed: 12 }]);
  expect(await user.balance()).toMatchObject({ tokens_left: 3, tokens_held: 0 });
});

test("a settlement before a release charges, and the release finds the hold settled", async () => {
  const { user, hold_id, own } = await userWithHold();

  const answers = await inQueue(sql, user, [
    () => own.settle(hold_id, 11),
    () => own.release(hold_id),
  ]);

  expect(answers).toEqual([expect.objectContaining({ tokens_consumed: 11 }), "TG012"]);
  expect(await user.balance()).toMatchObject({ tokens_left: 4, tokens_held: 0 });
});

test("a release before a settlement gives all back, and the settlement charges nothing", async () => {
  const { user, hold_id, own } = await userWithHold();

  const answers = await inQueue(sql, user, [
    () => own.release(hold_id),
    () => own.settle(hold_id, 11),
  ]);

  expect(answers).toEqual([expect.objectContaining({ state: "released" }), "TG012"]);
  expect(await user.balance()).toMatchObject({ tokens_left: 15, tokens_held: 0 });
});

test("of two releases at once one gives the tokens back", async () => {
  const { user, hold_id, own } = await userWithHold();

  const answers = await inQueue(sql, user, [
    () => own.release(hold_id),
    () => own.release(hold_id),
  ]);

  expect(answers).toEqual([expect.objectContaining({ state: "released" }), "TG012"]);
  expect(await user.balance()).toMatchObject({ tokens_left: 15, tokens_held: 0 });
});

test("a settlement before an extension ends the hold; after one it charges all the same", async () => {
  const settled = await userWithHold();
  const extended = await userWithHold();

  const settledFirst = await inQueue(sql, settled.user, [
    () => settled.own.settle(settled.hold_id, 11),
    () => settled.own.extend(settled.hold_id, 900),
  ]);
  const extendedFirst = await inQueue(sql, extended.user, [
    () => extended.own.extend(extended.hold_id, 900),
    () => extended.own.settle(extended.hold_id, 11),
  ]);

  expect(settledFirst).toEqual([expect.objectContaining({ tokens_consumed: 11 }), "TG012"]);
  expect(extendedFirst).toMatchObject([{ state: "open" }, { tokens_consumed: 11 }]);
  for (const { user } of [settled, extended]) {
    expect(await user.balance()).toMatchObject({ tokens_left: 4, tokens_held: 0 });
  }
});

test("a microsecond before its end a hold settles, though a call at its end waits behind", async () => {
  const { user, hold_id, own } = await userWithHold(START);

  const answers = await inQueue(sql, user, [
    () => settleAt(own, hold_id, BEFORE_END),
    () => own.consume(3, { at: END }),
  ]);

  expect(answers).toMatchObject([{ tokens_consumed: 12 }, { success: true }]);
  expect(await user.balance(END)).toMatchObject({ tokens_left: 0, tokens_held: 0 });
});

test("at its end a hold settles no more, and its tokens pay the call that waits behind", async () => {
  const { user, hold_id, own } = await userWithHold(START);

  const answers = await inQueue(sql, user, [
    () => settleAt(own, hold_id, END),
    () => own.consume(15, { at: END }),
  ]);

  expect(answers).toEqual(["TG012", expect.objectContaining({ tokens_consumed: 15 })]);
  expect(await user.balance(END)).toMatchObject({ tokens_left: 0, tokens_held: 0 });
});

test("a settlement that comes under the lock after a call dated at the hold's end is late", async () => {
  const { user, hold_id, own } = await userWithHold(START);

  const answers = await inQueue(sql, user, [
    () => own.consume(15, { at: END }),
    () => settleAt(own, hold_id, BEFORE_END),
  ]);

  expect(answers).toEqual([expect.objectContaining({ tokens_consumed: 15 }), "TG012"]);
});

test("an extension a microsecond before the end keeps the tokens from a call at the end", async () => {
  const { user, hold_id, own } = await userWithHold(START);

  const answers = await inQueue(sql, user, [
    () => extendAt(own, hold_id, BEFORE_END),
    () => own.consume(4, { at: END }),
  ]);

  expect(answers).toMatchObject([{ state: "open" }, { success: false, tokens_held: 12 }]);
  expect(await settleAt(user, hold_id, END)).toMatchObject({ tokens_consumed: 12 });
});

test("an extension at the end is too late for the tokens that a call behind it takes", async () => {
  const { user, hold_id, own } = await userWithHold(START);

  const answers = await inQueue(sql, user, [
    () => extendAt(own, hold_id, END),
    () => own.consume(15, { at: END }),
  ]);

  expect(answers).toEqual(["TG012", expect.objectContaining({ tokens_consumed: 15 })]);
});
