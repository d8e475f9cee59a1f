import { expect, test } from "vitest";
import { useDatabase } from "../support/database.ts";
import { Project, type User } from "../support/project.ts";

const { sql } = useDatabase();
const at = "2031-05-05T00:00:00Z";

async function payAsYouGoUser() {
  const project = await Project.create(sql);
  await project.plan({ type: "pay_as_you_go" });
  return project.user("ada");
}

/** Tokens used of each grant, in the order in which they were given. */
async function used(user: User): Promise<number[]> {
  const grants = await sql<{ tokens_used: number }[]>`
    select g.tokens_used from user_token_grants g
    join token_transfers t on t.user_id = g.user_id and t.user_token_grants_id = g.id
    where g.user_id = ${user.id!} order by t.transfer_number`;
  return grants.map(({ tokens_used }) => tokens_used);
}

/** Grants of 10, given in this order. */
async function userWithGrants() {
  const user = await payAsYouGoUser();
  const grant = (day: number, priority: number | undefined, expiresAt?: string) =>
    user.grant(10, {
      at: `2031-05-0${day}T00:00:00Z`,
      ...(priority && { priority }),
      ...(expiresAt && { expiresAt }),
    });
  const given = [
    await grant(1, undefined),
    await grant(1, 51, "2031-05-06T00:00:00Z"),
    await grant(2, 1),
    await grant(2, 100, "2031-05-05T12:00:00Z"),
    await grant(3, 50, "2031-07-01T00:00:00Z"),
    await grant(3, 50, "2031-06-01T00:00:00Z"),
    await grant(4, 1),
  ];
  return { user, ids: given.map(({ grant_id }) => grant_id) };
}

test("a lower number comes first, then what expires first, then what was given first", async () => {
  const { user, ids } = await userWithGrants();

  const receipt = await user.consume(70, { at });

  expect(receipt.sources.map(({ grant_id }) => ids.indexOf(grant_id!)))
    .toEqual([2, 6, 5, 4, 0, 1, 3]);
});

test("the balance lists grants in the order in which they will be spent", async () => {
  const { user, ids } = await userWithGrants();

  const { grants } = await user.balance(at);

  expect(grants.map(({ grant_id }) => ids.indexOf(grant_id))).toEqual([2, 6, 5, 4, 0, 1, 3]);
  expect(grants.map(({ priority }) => priority)).toEqual([1, 1, 50, 50, 50, 51, 100]);
});

test("each call goes on where the last one stopped", async () => {
  const { user } = await userWithGrants();

  await user.consume(15, { at });
  expect(await used(user)).toEqual([0, 0, 10, 0, 0, 0, 5]);
  await user.consume(20, { at });
  expect(await used(user)).toEqual([0, 0, 10, 0, 5, 10, 10]);
});

test("a refund goes back to the last ones that paid, and they are spent in order again", async () => {
  const { user, ids } = await userWithGrants();
  await user.consume(55, { at, requestId: "c" });

  expect(await user.refund("c", { at, tokens: 30 })).toMatchObject({
    grants_left: 45,
    sources: [
      { grant_id: ids[1], tokens: 5, left: 10 },
      { grant_id: ids[0], tokens: 10, left: 10 },
      { grant_id: ids[4], tokens: 10, left: 10 },
      { grant_id: ids[5], tokens: 5, left: 5 },
    ],
  });
  expect(await used(user)).toEqual([0, 0, 10, 0, 0, 5, 10]);
  const again = await user.consume(12, { at });
  expect(again.sources.map(({ grant_id, tokens }) => [ids.indexOf(grant_id!), tokens]))
    .toEqual([[5, 5], [4, 7]]);
});

test("a hold sets aside in the same order, and is settled in it", async () => {
  const { user } = await userWithGrants();
  const { hold_id } = await user.hold(25, { at });
  await user.consume(5, { at });

  await user.settle(hold_id, 12, { at });

  expect(await used(user)).toEqual([0, 0, 10, 0, 0, 5, 2]);
});

test("base quota comes before every priority", async () => {
  const project = await Project.create(sql);
  await project.plan({ quota: 10 });
  const user = await project.user("ada", { billingAnchor: at });
  await user.grant(10, { at, priority: 1 });

  expect(await user.consume(15, { at })).toMatchObject({ base_quota_used: 10, grants_used: 5 });
});

test("a grant of a lower number is not spent before it takes effect", async () => {
  const user = await payAsYouGoUser();
  await user.grant(10, { at, priority: 1, effectiveAt: "2031-05-06T00:00:00Z" });
  await user.grant(10, { at, priority: 90 });

  await user.consume(4, { at });
  expect(await used(user)).toEqual([0, 4]);
  await user.consume(4, { at: "2031-05-06T00:00:00Z" });
  expect(await used(user)).toEqual([4, 4]);
});
