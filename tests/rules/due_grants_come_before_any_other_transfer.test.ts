import { expect, test } from "vitest";
import { useDatabase } from "../support/database.ts";
import { Project, type User } from "../support/project.ts";

const { sql } = useDatabase();

/** Two recurring grants and a rollover are due on March 1st, in this order: 5, 7 and 60 tokens. */
async function newUser(): Promise<User> {
  const project = await Project.create(sql);
  await project.plan({ quota: 60, rollover: { maxTokens: 60, periods: 1 } });
  const user = await project.user("ada", {
    billingAnchor: "2031-02-01T00:00:00Z",
    createdAt: "2031-02-01T00:00:00Z",
  });
  await user.recurringGrant(5, "1 year", { startsAt: "2031-02-27T00:00:00Z" });
  await user.recurringGrant(7, "1 year", { startsAt: "2031-02-28T00:00:00Z" });
  return user;
}

test("a grant comes after those that were due", async () => {
  const user = await newUser();

  const grant = await user.grant(1000, { at: "2031-03-01T12:00:00Z" });

  expect(grant).toMatchObject({ transfer_number: 4, grants_left: 1072 });
});

test("each transfer of a due grant shows what was left after it", async () => {
  const user = await newUser();

  await user.consume(1, { at: "2031-03-01T12:00:00Z" });

  expect(
    await sql`select amount, grants_left from token_transfers
      where user_id = ${user.id!} order by transfer_number`,
  ).toEqual([
    { amount: 5, grants_left: 5 },
    { amount: 7, grants_left: 12 },
    { amount: 60, grants_left: 72 },
    { amount: -1, grants_left: 72 },
  ]);
});

test("a check knows the number of the transfer after those of due grants", async () => {
  const user = await newUser();
  const at = "2031-03-01T12:00:00Z";

  const checked = await user.check(1, { at });

  expect(checked).toEqual(await user.consume(1, { at }));
});
