import { expect, test } from "vitest";
import { useDatabase } from "../support/database.ts";
import { before } from "../support/instants.ts";
import { Project, type Restriction } from "../support/project.ts";

const { sql } = useDatabase();
const at = "2026-05-06T09:30:00Z";

async function userForbidden(...restrictions: Partial<Restriction>[]) {
  const project = await Project.create(sql);
  await project.plan({
    quota: 9000,
    restrictions: restrictions.map((restriction) => ({
      maxTokens: 0,
      duration: "1 day",
      ...restriction,
    })),
  });
  return project.user("ada", { billingAnchor: "2026-05-01T00:00Z" });
}

const denial = {
  success: false,
  reason: "restriction_exceeded",
  hint: "Move the user to another plan, or raise the restriction.",
  shortfall: 1,
  retry_at: null,
};

test.each<[string, Partial<Restriction>, string]>([
  ["a tag", { tag: "GPT-4" }, "The plan does not allow GPT-4"],
  ["tags", { tags: ["GPT-4", "GPT-5"] }, "The plan does not allow GPT-4, GPT-5"],
  ["everything", {}, "The plan does not allow any tokens to be used"],
  [
    "a tag in a rolling window",
    { tag: "GPT-4", window: "rolling" },
    "The plan does not allow GPT-4",
  ],
])("%s: to consume, to hold, to check", async (_, restriction, message) => {
  const user = await userForbidden(restriction);
  const call = { tag: "GPT-4", at };
  const limit = {
    max_tokens: 0,
    used: 0,
    held: 0,
    left: 0,
    duration: "1 day",
    window: restriction.window ?? "calendar",
  };

  for (
    const answer of [
      await user.consume(1, call),
      await user.check(1, call),
      await user.hold(1, call),
      await user.consume(1, { ...call, mode: "up_to" }),
      (await user.project.consumeBatch(
        [{ user_id: "ada", tokens_to_consume: 1, tag: "GPT-4" }],
        { at },
      ))[0]!,
    ]
  ) {
    expect(answer).toMatchObject({ ...denial, message, nearest_limit: limit });
  }
  expect((await user.balance(at)).restrictions).toMatchObject([limit]);
  expect(await sql`select from token_transfers where user_id = ${user.id!}`).toEqual([]);
});

test("what is not named stays allowed", async () => {
  const user = await userForbidden({ tags: ["GPT-4", "GPT-5"] });

  expect(await user.consume(1, { tag: "Claude", at })).toMatchObject({ success: true });
  expect(await user.consume(1, { at })).toMatchObject({ success: true, nearest_limit: null });
});

test("until it is over it says when that is", async () => {
  const endsAt = "2026-05-20T00:00Z";
  const user = await userForbidden({ tag: "GPT-4", endsAt });
  const call = (at: string) => ({ tag: "GPT-4", at });

  for (
    const answer of [await user.consume(1, call(at)), await user.hold(1, call(before(endsAt)))]
  ) {
    expect(answer).toMatchObject({
      ...denial,
      message: "The plan does not allow GPT-4",
      hint: "Call again at retry_at, or raise the restriction.",
      retry_at: new Date(endsAt),
    });
  }
  expect(await user.consume(9000, call(endsAt))).toMatchObject({ success: true });
});

test("it outweighs a limit that would have room later", async () => {
  const user = await userForbidden(
    { maxTokens: 10, duration: "1 month" },
    { tag: "GPT-4" },
    { tag: "GPT-4", maxTokens: 5, duration: "1 hour" },
  );
  await user.consume(10, { at });

  expect(await user.check(1, { tag: "GPT-4", at })).toMatchObject({
    ...denial,
    message: "The plan does not allow GPT-4",
  });
});

test("what was used before it was set stays used, and is shown", async () => {
  const user = await userForbidden({});
  await sql`update plan_restrictions set restriction_config = '{"max_tokens": 50, "duration": "1 day"}'
    where plan_id = (select plan_id from tracked_users where id = ${user.id!})`;
  const { hold_id } = await user.hold(20, { at });
  await user.consume(30, { at });
  await sql`update plan_restrictions set restriction_config = '{"max_tokens": 0, "duration": "1 day"}'
    where plan_id = (select plan_id from tracked_users where id = ${user.id!})`;

  expect(await user.check(1, { at })).toMatchObject({
    message: "The plan does not allow any tokens to be used",
    nearest_limit: { max_tokens: 0, used: 30, held: 20, left: 0 },
  });
  // Was set aside when it was allowed.
  expect(await user.settle(hold_id, 20, { at })).toMatchObject({ success: true });
});
