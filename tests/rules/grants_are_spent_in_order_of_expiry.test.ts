import { expect, test } from "vitest";
import { useDatabase } from "../support/database.ts";
import { Project, type User } from "../support/project.ts";

const { sql } = useDatabase();

/** Tokens used of each grant, oldest grant first. */
async function used(user: User): Promise<number[]> {
  const grants = await sql<{ tokens_used: number }[]>`
    select tokens_used from user_token_grants where user_id = ${user.id!} order by created_at`;
  return grants.map(({ tokens_used }) => tokens_used);
}

async function payAsYouGoUser() {
  const project = await Project.create(sql);
  await project.plan({ type: "pay_as_you_go" });
  return project.user("ada");
}

test("the grant that expires first is spent first, whenever it was given", async () => {
  const user = await payAsYouGoUser();
  await user.grant(100, { at: "2026-05-01T00:00:00Z", expiresAt: "2026-07-01T00:00:00Z" });
  await user.grant(100, { at: "2026-05-02T00:00:00Z", expiresAt: "2026-06-01T00:00:00Z" });
  await user.grant(100, { at: "2026-05-03T00:00:00Z", expiresAt: "2026-06-15T00:00:00Z" });

  await user.consume(150, { at: "2026-05-04T00:00:00Z" });

  expect(await used(user)).toEqual([0, 100, 50]);
});

test("a grant that never expires is spent last", async () => {
  const user = await payAsYouGoUser();
  await user.grant(100, { at: "2026-05-01T00:00:00Z" });
  await user.grant(100, { at: "2026-05-02T00:00:00Z", expiresAt: "9999-01-01T00:00:00Z" });

  await user.consume(130, { at: "2026-05-04T00:00:00Z" });

  expect(await used(user)).toEqual([30, 100]);
});

test.each([
  { expiry: "with the same expiry", expiresAt: "2026-06-01T00:00:00Z" },
  { expiry: "without expiry" },
])("of grants $expiry the older is spent first", async ({ expiresAt }) => {
  const user = await payAsYouGoUser();
  const expiry = expiresAt ? { expiresAt } : {};
  await user.grant(100, { at: "2026-05-01T00:00:00Z", ...expiry });
  await user.grant(100, { at: "2026-05-02T00:00:00Z", ...expiry });
  await user.grant(100, { at: "2026-05-03T00:00:00Z", ...expiry });

  await user.consume(120, { at: "2026-05-04T00:00:00Z" });

  expect(await used(user)).toEqual([100, 20, 0]);
});

test("the type of a grant does not matter", async () => {
  const user = await payAsYouGoUser();
  const types = ["purchase", "adjustment", "refund", "trial", "bonus"];
  for (const [day, type] of types.entries()) {
    await user.grant(10, { type, at: `2026-05-0${day + 1}T00:00:00Z` });
  }

  await user.consume(35, { at: "2026-05-07T00:00:00Z" });

  expect(await used(user)).toEqual([10, 10, 10, 5, 0]);
});

test("a grant half spent goes on where it was left", async () => {
  const user = await payAsYouGoUser();
  await user.grant(100, { at: "2026-05-01T00:00:00Z", expiresAt: "2026-06-01T00:00:00Z" });
  await user.grant(100, { at: "2026-05-02T00:00:00Z" });
  await user.consume(70, { at: "2026-05-03T00:00:00Z" });

  await user.consume(50, { at: "2026-05-04T00:00:00Z" });

  expect(await used(user)).toEqual([100, 20]);
});

test("an expired grant is skipped", async () => {
  const user = await payAsYouGoUser();
  await user.grant(100, { at: "2026-05-01T00:00:00Z", expiresAt: "2026-05-02T00:00:00Z" });
  await user.grant(100, { at: "2026-05-01T01:00:00Z" });

  const receipt = await user.consume(60, { at: "2026-05-03T00:00:00Z" });

  expect(receipt).toMatchObject({ grants_used: 60, grants_left: 40 });
  expect(await used(user)).toEqual([0, 60]);
});

test("a grant can be spent until just before it expires", async () => {
  const user = await payAsYouGoUser();
  await user.grant(100, { at: "2026-05-01T00:00:00Z", expiresAt: "2026-05-02T00:00:00Z" });

  expect(await user.consume(60, { at: "2026-05-01T23:59:59.999999Z" })).toMatchObject({
    success: true,
    grants_left: 40,
  });
});

test("a grant that expires at the very instant of the call is expired", async () => {
  const user = await payAsYouGoUser();
  await user.grant(100, { at: "2026-05-01T00:00:00Z", expiresAt: "2026-05-02T00:00:00Z" });

  expect(await user.consume(60, { at: "2026-05-02T00:00:00Z" })).toMatchObject({
    reason: "insufficient_tokens",
    message: "Not enough tokens: 60 requested, 0 left",
    grants_left: 0,
  });
  expect(await user.balance("2026-05-02T00:00:00Z")).toMatchObject({ grants_left: 0 });
});

test("a grant that expires at the very instant of the call is passed over for the next", async () => {
  const user = await payAsYouGoUser();
  await user.grant(100, { at: "2026-05-01T00:00:00Z", expiresAt: "2026-05-02T00:00:00Z" });
  await user.grant(100, { at: "2026-05-01T01:00:00Z" });

  await user.consume(60, { at: "2026-05-02T00:00:00Z" });

  expect(await used(user)).toEqual([0, 60]);
});

test("what expires with a grant is not made up for by another user's", async () => {
  const project = await Project.create(sql);
  await project.plan({ type: "pay_as_you_go" });
  const ada = await project.user("ada");
  const grace = await project.user("grace");
  await grace.grant(100);

  expect(await ada.consume(1)).toMatchObject({ success: false, grants_left: 0 });
  expect(await used(grace)).toEqual([0]);
});
