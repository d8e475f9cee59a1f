import { expect, test } from "vitest";
import { useDatabase } from "../support/database.ts";
import { Project, type User } from "../support/project.ts";

const { sql } = useDatabase();

/** Of 100 tokens a month what is left rolls over for two months. The first month begins on January 15th. */
async function newUser(): Promise<User> {
  const project = await Project.create(sql);
  await project.plan({ quota: 100, rollover: { maxTokens: 60, periods: 2 } });
  return project.user("ada", {
    billingAnchor: "2031-01-15T00:00:00Z",
    createdAt: "2031-01-15T00:00:00Z",
  });
}

async function rollovers(user: User, at: string) {
  const { grants } = await user.balance(at);
  return grants.filter(({ grant_type }) => grant_type === "rollover")
    .map(({ effective_at, tokens_left }) => [effective_at.slice(0, 10), tokens_left]);
}

test.each([
  ["later", "2031-01-20T00:00:00Z"],
  ["earlier", "2031-01-10T00:00:00Z"],
])(
  "what has rolled over does not once more when the billing anchor becomes %s",
  async (_, anchor) => {
    const user = await newUser();
    await user.grant(1, { at: "2031-02-25T00:00:00Z" });
    expect(await rollovers(user, "2031-02-25T00:00:00Z")).toEqual([["2031-02-15", 60]]);

    await user.change({ billingAnchor: anchor, at: "2031-02-25T00:00:01Z" });

    expect(await rollovers(user, "2031-02-25T00:00:02Z")).toEqual([["2031-02-15", 60]]);
  },
);

test("what is refunded of a period that is over lapses, and does not roll over", async () => {
  const user = await newUser();
  await user.consume(100, { at: "2031-01-16T00:00:00Z" });

  const refund = await user.refund(1, { tokens: 30, at: "2031-02-20T00:00:00Z" });

  expect(refund).toMatchObject({ tokens_lapsed: 30, grants_left: 0 });
  expect(await rollovers(user, "2031-02-20T00:00:01Z")).toEqual([]);
});

test("nothing rolls over once the next period has begun, whatever else is due then", async () => {
  const user = await newUser();
  await user.hold(100, { at: "2031-02-14T23:00:00Z", ttl: 86400 });
  await user.consume(1, { at: "2031-02-15T12:00:00Z" });
  await user.recurringGrant(5, "1 week", { startsAt: "2031-02-17T00:00:00Z" });

  // The hold has expired. Before the next period, its tokens would have been left over.
  expect(await rollovers(user, "2031-02-17T00:00:00Z")).toEqual([]);
});
