import { describe, expect, test } from "vitest";
import { contents } from "../support/contents.ts";
import { useDatabase } from "../support/database.ts";
import { Project, type User } from "../support/project.ts";

const { sql } = useDatabase();

interface Denial {
  denial: string;
  reason: string;
  tokens: number;
  tag?: string;
  arrange(): Promise<User>;
}

const denials: Denial[] = [
  {
    denial: "a call without any tokens",
    reason: "insufficient_tokens",
    tokens: 1,
    async arrange() {
      const project = await Project.create(sql);
      await project.plan({});
      return project.user("ada");
    },
  },
  {
    denial: "a call that passes quota and several grants by one token",
    reason: "insufficient_tokens",
    tokens: 151,
    async arrange() {
      const project = await Project.create(sql);
      await project.plan({ quota: 120 });
      const user = await project.user("ada");
      await user.grant(30);
      await user.grant(20, { expiresAt: "2999-01-01T00:00:00Z" });
      await user.consume(20);
      return user;
    },
  },
  {
    denial: "a call that only a closed quota could pay",
    reason: "payment_inactive",
    tokens: 50,
    async arrange() {
      const project = await Project.create(sql);
      await project.plan({ quota: 100 });
      const user = await project.user("ada", { paymentStatus: "past_due" });
      await user.grant(20);
      return user;
    },
  },
  {
    denial: "a call that passes a total restriction",
    reason: "restriction_exceeded",
    tokens: 11,
    async arrange() {
      const project = await Project.create(sql);
      await project.plan({ quota: 100, restrictions: [{ maxTokens: 30, duration: "1 month" }] });
      const user = await project.user("ada");
      await user.consume(20);
      return user;
    },
  },
  {
    denial: "a call that passes the restriction of a tag never used before",
    reason: "restriction_exceeded",
    tokens: 31,
    tag: "GPT-4",
    async arrange() {
      const project = await Project.create(sql);
      await project.plan({
        quota: 100,
        restrictions: [{ tag: "GPT-4", maxTokens: 30, duration: "1 day" }],
      });
      const user = await project.user("ada");
      await user.consume(20);
      return user;
    },
  },
  {
    denial: "a first call of an unknown user that lacks tokens",
    reason: "insufficient_tokens",
    tokens: 101,
    async arrange() {
      const project = await Project.create(sql);
      await project.plan({ quota: 100 });
      return project.unknownUser("ada");
    },
  },
  {
    denial: "a first call of an unknown user that passes a restriction",
    reason: "restriction_exceeded",
    tokens: 31,
    async arrange() {
      const project = await Project.create(sql);
      await project.plan({ quota: 100, restrictions: [{ maxTokens: 30, duration: "1 hour" }] });
      return project.unknownUser("ada");
    },
  },
];

describe.each(denials)("$denial", ({ reason, tokens, tag, arrange }) => {
  test("writes nothing to any table", async () => {
    const user = await arrange();
    const before = await contents(sql);

    const receipt = await user.consume(tokens, {
      requestId: "r-1",
      metadata: { chat: 7 },
      ...(tag && { tag }),
    });

    expect(receipt).toMatchObject({
      success: false,
      tokens_consumed: 0,
      base_quota_used: 0,
      grants_used: 0,
      reason,
      transfer_number: null,
      request_id: "r-1",
      replayed: false,
    });
    expect(await contents(sql)).toEqual(before);
  });

  test("writes nothing through consume_tokens_v2", async () => {
    const { project, externalId } = await arrange();
    const tagId = tag ? await project.tagId(tag) : null;
    const before = await contents(sql);

    const rows = await sql`
      select * from consume_tokens_v2(${project.id}, ${externalId}, ${tokens}, ${tagId})`;

    expect(rows).toEqual([{
      success: false,
      tokens_consumed: 0,
      base_quota_used: 0,
      grants_used: 0,
      message: expect.stringMatching(/^(Not enough tokens|Limit reached): /),
    }]);
    expect(await contents(sql)).toEqual(before);
  });
});
