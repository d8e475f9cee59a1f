import { expect, test } from "vitest";
import { useDatabase } from "../support/database.ts";
import { Project, type User } from "../support/project.ts";
import { Random, seed } from "../support/random.ts";

const { sql } = useDatabase();

const query = `
-- Available grants (FIFO by expiry)
SELECT SUM(
  GREATEST(0, utg.token_amount - COALESCE(consumed.total_consumed, 0))
) 
FROM user_token_grants utg
LEFT JOIN (
  SELECT user_token_grants_id, SUM(token_deduction) as total_consumed
  FROM user_token_grants_consume 
  GROUP BY user_token_grants_id
) consumed ON utg.id = consumed.user_token_grants_id
WHERE utg.user_id = ? 
  AND (utg.expires_at IS NULL OR utg.expires_at > NOW())
`;

/** Tokens in grants by the document's own query, and by get_user_balance(). */
async function grantsLeft(user: User) {
  const [byQuery] = await sql.unsafe<{ sum: string | null }[]>(query.replace("?", `'${user.id!}'`));
  const [byFunction] = await sql<{ grants_left: number }[]>`
    select grants_left from get_user_balance(${user.project.id}, ${user.externalId})`;
  return { query: Number(byQuery!.sum), function: byFunction!.grants_left };
}

async function payAsYouGoUser() {
  const project = await Project.create(sql);
  await project.plan({ type: "pay_as_you_go" });
  // Others, whose grants must not count.
  const other = await project.user("other");
  await other.grant(1_000_000);
  await other.consume(999);
  return project.user("ada");
}

test("without grants both are nothing", async () => {
  const user = await payAsYouGoUser();

  expect(await grantsLeft(user)).toEqual({ query: 0, function: 0 });
});

test("of untouched grants both are all tokens", async () => {
  const user = await payAsYouGoUser();
  await user.grant(100);
  await user.grant(200, { expiresAt: "2999-01-01T00:00Z" });

  expect(await grantsLeft(user)).toEqual({ query: 300, function: 300 });
});

test("of grants spent in part both are the rest", async () => {
  const user = await payAsYouGoUser();
  await user.grant(100);
  await user.grant(200, { expiresAt: "2999-01-01T00:00Z" });
  await user.consume(30);
  await user.consume(190);

  expect(await grantsLeft(user)).toEqual({ query: 80, function: 80 });
});

test("of spent grants both are nothing", async () => {
  const user = await payAsYouGoUser();
  await user.grant(100);
  await user.consume(100);

  expect(await grantsLeft(user)).toEqual({ query: 0, function: 0 });
});

test("of an expired grant both are nothing, whatever it had left", async () => {
  const user = await payAsYouGoUser();
  await user.grant(100, { at: "2026-05-01T00:00Z", expiresAt: "2026-05-09T00:00Z" });
  await user.grant(10, { at: "2026-05-01T00:00Z" });
  await user.consume(30, { at: "2026-05-02T00:00Z" });

  expect(await grantsLeft(user)).toEqual({ query: 10, function: 10 });
});

test("of a grant that expires for ever late both are all tokens", async () => {
  const user = await payAsYouGoUser();
  await sql`insert into user_token_grants (user_id, token_amount, grant_type, expires_at)
    values (${user.id!}, 100, 'bonus', 'infinity')`;

  expect(await grantsLeft(user)).toEqual({ query: 100, function: 100 });
});

test(`after anything that happens both are the same (TOLLGATE_SEED=${seed})`, async () => {
  const random = new Random();
  const project = await Project.create(sql);
  await project.plan({ quota: 500, period: "1 day" });
  const users = [await project.user("ada"), await project.user("grace")];
  let hour = 0;
  for (let step = 0; step < 60; step++) {
    const at = new Date(Date.UTC(2026, 8, 1, hour += random.integer(0, 48))).toISOString();
    const user = random.pick(users);
    if (random.number() < 0.4) {
      const expiresAt = new Date(+new Date(at) + random.integer(1, 200) * 86_400_000).toISOString();
      await user.grant(random.integer(1, 400), {
        at,
        ...(random.number() < 0.7 && { expiresAt }),
      });
    } else {
      await user.consume(random.integer(1, 900), { at });
    }
    const left = await grantsLeft(user);
    expect(left.query).toBe(left.function);
  }
});
