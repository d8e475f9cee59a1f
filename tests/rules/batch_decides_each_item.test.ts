import { describe, expect, test } from "vitest";
import { contents } from "../support/contents.ts";
import { useDatabase } from "../support/database.ts";
import { type BatchItem, Project } from "../support/project.ts";

const { sql } = useDatabase();
const at = "2026-05-06T09:30:00Z";

async function projectWithLimits() {
  const project = await Project.create(sql);
  await project.plan({
    quota: 100,
    restrictions: [{ tag: "GPT-4", maxTokens: 50, duration: "1 day" }],
  });
  await project.tagId("GPT-5");
  return project;
}

const item = (user_id: string, tokens_to_consume: number, more: Partial<BatchItem> = {}) => ({
  user_id,
  tokens_to_consume,
  ...more,
});

describe("a batch", () => {
  test("decides its items in order, each with its own receipt", async () => {
    const project = await projectWithLimits();

    const receipts = await project.consumeBatch([
      item("ada", 60),
      item("bob", 40, { tag: "GPT-4" }),
      item("ada", 50),
      item("bob", 20, { tag: "GPT-4" }),
      item("bob", 20, { tag: "GPT-5" }),
      item("ada", 40, { metadata: { chat: 7 }, request_id: "r-1" }),
      item("ada", 1),
    ], { at });

    expect(receipts).toMatchObject([
      { user_id: "ada", success: true, quota_left: 40, transfer_number: 1 },
      { user_id: "bob", success: true, nearest_limit: { used: 40, left: 10 }, transfer_number: 1 },
      { user_id: "ada", success: false, reason: "insufficient_tokens", shortfall: 10 },
      { user_id: "bob", success: false, reason: "restriction_exceeded", shortfall: 10 },
      { user_id: "bob", success: true, nearest_limit: null, transfer_number: 2 },
      { user_id: "ada", success: true, quota_left: 0, request_id: "r-1", transfer_number: 2 },
      { user_id: "ada", success: false, shortfall: 1 },
    ]);
  });

  test("answers the very receipts that single calls answer", async () => {
    const items = [
      item("ada", 30, { tag: "GPT-4" }),
      item("ada", 30, { tag: "GPT-4", mode: "up_to" as const }),
      item("ada", 100, { tag: "GPT-4" }),
      item("ada", 80, { request_id: "r-1", metadata: { chat: 7 } }),
      item("ada", 500, { mode: "up_to" as const }),
    ];
    const [alone, together] = [await projectWithLimits(), await projectWithLimits()];
    const receipts: object[] = [];
    for (const project of [alone, together]) {
      const user = await project.user("ada", { billingAnchor: "2026-05-01T00:00:00Z" });
      await user.grant(30, { at, expiresAt: "2026-06-01T00:00:00Z" });
      await user.grant(40, { at });
      await user.hold(15, { at });
    }
    const single = alone.unknownUser("ada");
    for (const { tokens_to_consume, request_id, ...call } of items) {
      receipts.push(
        await single.consume(tokens_to_consume, {
          at,
          ...call,
          ...(request_id && { requestId: request_id }),
        }),
      );
    }

    const batch = await together.consumeBatch(items, { at });

    const withoutGrants = (list: object[]) =>
      list.map((receipt) => JSON.stringify(receipt).replace(/"grant_id":"[^"]+"/g, ""));
    expect(withoutGrants(batch)).toEqual(withoutGrants(receipts));
  });

  test("leaves the ledger as single calls leave it", async () => {
    const project = await projectWithLimits();
    const user = await project.user("ada", { billingAnchor: "2026-05-01T00:00:00Z" });
    await user.grant(30, { at, expiresAt: "2026-06-01T00:00:00Z" });
    await user.grant(40, { at });

    await project.consumeBatch([item("ada", 90), item("ada", 30), item("ada", 45)], { at });

    expect(
      await sql`select transfer_number, token_deduction, tokens_left, position
        from user_token_grants_consume where user_id = ${user.id!}
        order by transfer_number, position`,
    ).toEqual([
      { transfer_number: 4, token_deduction: 20, tokens_left: 10, position: 1 },
      { transfer_number: 5, token_deduction: 10, tokens_left: 0, position: 1 },
      { transfer_number: 5, token_deduction: 35, tokens_left: 5, position: 2 },
    ]);
  });

  test("reports a mistake in an item without harm to the others", async () => {
    const project = await projectWithLimits();
    const user = await project.user("ada");
    await user.consume(1, { at, requestId: "used" });

    expect(
      await project.consumeBatch([
        item("ada", 10, { tag: "GPT-9" }),
        item("ada", 10, { request_id: "used" }),
        item("ada", 10),
      ], { at }),
    ).toMatchObject([
      {
        success: false,
        reason: "unknown_tag",
        message: "The tag 'GPT-9' is not known in this project",
        tokens_requested: 10,
        tokens_consumed: 0,
        transfer_number: null,
      },
      { success: false, reason: "idempotency_mismatch", request_id: "used" },
      { success: true, quota_left: 89 },
    ]);
  });

  test("reports users that are unknown where the project has no default plan", async () => {
    const project = await Project.create(sql);
    const planId = await project.plan({ quota: 100 });
    await project.user("ada", { planId });
    await sql`update projects set default_plan_id = null where id = ${project.id}`;

    expect(await project.consumeBatch([item("bob", 1), item("ada", 1)], { at })).toMatchObject([
      { success: false, reason: "unknown_user", user_id: "bob" },
      { success: true },
    ]);
  });

  test("applies a request id once, within the batch and beyond it", async () => {
    const project = await projectWithLimits();
    const items = [
      item("ada", 10, { request_id: "r-1" }),
      item("ada", 10, { request_id: "r-1" }),
      item("bob", 10, { request_id: "r-1" }),
      item("ada", 11, { request_id: "r-1" }),
      item("ada", 200, { request_id: "r-2" }),
      item("ada", 20, { request_id: "r-2" }),
    ];

    const receipts = await project.consumeBatch(items, { at });

    expect(receipts).toMatchObject([
      { success: true, replayed: false },
      { success: true, replayed: true, transfer_number: 1, quota_left: 90 },
      { success: true, replayed: false, user_id: "bob" },
      { success: false, reason: "idempotency_mismatch" },
      { success: false, reason: "insufficient_tokens" },
      { success: true, replayed: false, quota_left: 70 },
    ]);
    const again = await project.consumeBatch(items.toSpliced(4, 1), { at });
    expect(again).toMatchObject([
      { ...receipts[0], replayed: true },
      { ...receipts[0], replayed: true },
      { ...receipts[2], replayed: true },
      { reason: "idempotency_mismatch" },
      { ...receipts[5], replayed: true },
    ]);
    expect(await project.unknownUser("ada").consume(10, { requestId: "r-1" }))
      .toEqual({ ...receipts[0], replayed: true });
  });

  test("creates the users who consumed something, and no others", async () => {
    const project = await projectWithLimits();

    await project.consumeBatch([item("ada", 1), item("greedy", 101), item("bob", 1)], { at });

    expect(
      await sql`select external_id, billing_anchor from tracked_users
        where project_id = ${project.id} order by 1`,
    ).toEqual([
      { external_id: "ada", billing_anchor: new Date(at) },
      { external_id: "bob", billing_anchor: new Date(at) },
    ]);
  });

  test("may hold a thousand items over many users and tags", async () => {
    const project = await projectWithLimits();
    const items = Array.from(
      { length: 1000 },
      (_, index) =>
        item(`user-${index % 300}`, 1 + index % 3, {
          ...(index % 2 && { tag: index % 4 === 1 ? "GPT-4" : "GPT-5" }),
        }),
    );

    const receipts = await project.consumeBatch(items);

    expect(receipts.every(({ success }) => success)).toBe(true);
    expect(receipts.map(({ user_id }) => user_id)).toEqual(items.map(({ user_id }) => user_id));
    const [total] =
      await sql`select sum(- amount)::integer as tokens, count(*)::integer as transfers
      from token_transfers t join tracked_users u on u.id = t.user_id
      where u.project_id = ${project.id}`;
    expect(total).toEqual({
      tokens: items.reduce((sum, { tokens_to_consume }) => sum + tokens_to_consume, 0),
      transfers: 1000,
    });
  });
});

describe("all or nothing", () => {
  test("applies a batch in which every item can be", async () => {
    const project = await projectWithLimits();

    expect(
      await project.consumeBatch([item("ada", 60), item("ada", 40)], { at, allOrNothing: true }),
    ).toMatchObject([{ success: true }, { success: true, quota_left: 0 }]);
  });

  test("refuses all items for one, and says which", async () => {
    const project = await projectWithLimits();
    const user = await project.user("ada");
    await user.consume(1, { at, requestId: "before" });
    const before = await contents(sql);

    expect(
      await project.consumeBatch([
        item("ada", 60),
        item("ada", 60),
        item("ada", 1, { request_id: "before" }),
        item("bob", 1),
      ], { at, allOrNothing: true }),
    ).toMatchObject([
      { success: false, reason: "batch_denied", tokens_consumed: 0, transfer_number: null },
      { success: false, reason: "insufficient_tokens", shortfall: 21 },
      { success: true, replayed: true },
      { success: false, reason: "batch_denied" },
    ]);
    expect(await contents(sql)).toEqual(before);
  });
});

test.each([
  ["no array", "{}", "items must be an array of 1 to 1000 objects"],
  ["null", "null", "items must be an array of 1 to 1000 objects"],
  ["no items", "[]", "items must be an array of 1 to 1000 objects"],
  [
    "1001 items",
    JSON.stringify(Array(1001).fill(item("ada", 1))),
    "items must be an array of 1 to 1000 objects",
  ],
  ["an item that is text", '["ada"]', "items[0]: must be an object"],
  ["an item without user", '[{"tokens_to_consume": 1}]', "items[0]: user_id must be text"],
  [
    "a user that is a number",
    '[{"user_id": 1, "tokens_to_consume": 1}]',
    "items[0]: user_id must be text",
  ],
  [
    "a user without a name",
    '[{"user_id": "", "tokens_to_consume": 1}]',
    "items[0]: The external user id must have 1 to 255 characters",
  ],
  [
    "tokens as text",
    '[{"user_id": "ada", "tokens_to_consume": "1"}]',
    "items[0]: tokens_to_consume must be a number",
  ],
  ...["0", "-1", "1.5", "1e400", "1000000000000001"].map((tokens) => [
    `${tokens} tokens in the second item`,
    `[{"user_id": "ada", "tokens_to_consume": 1}, {"user_id": "ada", "tokens_to_consume": ${tokens}}]`,
    "items[1]: The number of tokens must be a whole number from 1 to 1000000000000000",
  ]),
  [
    "a tag that is a number",
    '[{"user_id": "ada", "tokens_to_consume": 1, "tag": 4}]',
    "items[0]: tag must be text",
  ],
  [
    "a request id with an umlaut",
    '[{"user_id": "ada", "tokens_to_consume": 1, "request_id": "ä"}]',
    "items[0]: The request id must have 1 to 255 printable ASCII characters",
  ],
  [
    "a request id that is a number",
    '[{"user_id": "ada", "tokens_to_consume": 1, "request_id": 7}]',
    "items[0]: request_id must be text",
  ],
  [
    "an unknown mode",
    '[{"user_id": "ada", "tokens_to_consume": 1, "mode": "some"}]',
    "items[0]: mode must be all_or_nothing or up_to",
  ],
  [
    "metadata that is a list",
    '[{"user_id": "ada", "tokens_to_consume": 1, "metadata": []}]',
    "items[0]: metadata must be a JSON object",
  ],
])("a batch with %s is refused whole, naming the item", async (_, items, message) => {
  const project = await projectWithLimits();

  await expect(sql`select consume_batch(${project.id}, ${items}::text::jsonb)`)
    .rejects.toMatchObject({ code: "TG001", message });
});

test("a batch for an unknown project is refused", async () => {
  await expect(
    sql`select consume_batch(gen_random_uuid(), '[{"user_id": "ada", "tokens_to_consume": 1}]')`,
  ).rejects.toMatchObject({ code: "TG009" });
});
