import { describe, expect, test } from "vitest";
import { atOnce } from "../support/concurrency.ts";
import { useDatabase } from "../support/database.ts";
import { Project, type User } from "../support/project.ts";
import { Random, seed } from "../support/random.ts";

const { sql, connect } = useDatabase();
const crowd = connect(33);

const ANCHOR = "2031-01-01T00:00:00Z";
const at = "2031-06-10T00:00:00Z";

/** What comes to a user who has not been seen since January: 5 times 300 of rollover, 23 times 10. */
const ROLLED = 5;
const TIMES = 23;
const DUE = ROLLED * 300 + TIMES * 10;

async function unseenUser(name = "ada", project?: Project) {
  if (!project) {
    project = await Project.create(sql);
    await project.plan({ quota: 300, rollover: { maxTokens: 1000, periods: 12 } });
  }
  const user = await project.user(name, { billingAnchor: ANCHOR, createdAt: ANCHOR });
  await user.recurringGrant(10, "1 week", { startsAt: "2031-01-06T00:00:00Z" });
  return user;
}

async function expectEachOnce(user: User) {
  expect(
    await sql`select grant_type, count(*)::integer as grants,
        count(distinct effective_at)::integer as instants,
        sum(token_amount)::integer as tokens
      from user_token_grants
      where user_id = ${user.id!} and recurring_grant_id is not null
      group by grant_type order by grant_type`,
  ).toEqual([
    { grant_type: "bonus", grants: TIMES, instants: TIMES, tokens: TIMES * 10 },
    { grant_type: "rollover", grants: ROLLED, instants: ROLLED, tokens: ROLLED * 300 },
  ]);
  expect(
    await sql`select count(*)::integer as transfers, sum(amount)::integer as tokens
      from token_transfers where user_id = ${user.id!} and transaction_type = 'grant'`,
  ).toEqual([{ transfers: TIMES + ROLLED, tokens: DUE }]);
}

test("32 consumptions at once that look first: each grant comes once, and all of it is spent", async () => {
  const user = await unseenUser();

  const receipts = await atOnce(
    crowd,
    32,
    (connection) => user.on(connection).consume(63, { at }),
  );

  const consumed = receipts.reduce((sum, { tokens_consumed }) => sum + tokens_consumed, 0);
  expect(consumed).toBe(63 * Math.floor((300 + DUE) / 63));
  await expectEachOnce(user);
  expect(await user.balance(at)).toMatchObject({ tokens_left: 300 + DUE - consumed });
});

test("32 balances and checks at once all see them, and write none", async () => {
  const user = await unseenUser();

  const answers = await atOnce(crowd, 32, async (connection, index) => {
    const own = user.on(connection);
    return index % 2
      ? (await own.balance(at)).grants_left
      : (await own.check(300 + DUE, { at })).success;
  });

  expect(answers).toEqual(Array.from({ length: 32 }, (_, index) => index % 2 ? DUE : true));
  expect(await sql`select from token_transfers where user_id = ${user.id!}`).toEqual([]);
});

test("balances and checks beside consumptions that look first always add up", async () => {
  const user = await unseenUser();
  const total = 300 + DUE;

  const lefts = await atOnce(crowd, 32, async (connection, index) => {
    const own = user.on(connection);
    const found: number[] = [];
    if (index % 4 < 2) {
      await own.consume(index % 4 === 0 ? 1 : total + 1, { at });
      return found;
    }
    for (let look = 0; look < 4; look++) {
      const { tokens_left, grants } = await own.balance(at);
      found.push(tokens_left);
      expect(new Set(grants.map(({ grant_id }) => grant_id)).size).toBe(ROLLED + TIMES);
      const { quota_left, grants_left } = await own.check(1, { at });
      found.push(quota_left + grants_left + 1);
    }
    return found;
  });

  for (const left of lefts.flat()) {
    expect(left).toBeGreaterThanOrEqual(total - 8);
    expect(left).toBeLessThanOrEqual(total);
  }
  await expectEachOnce(user);
  expect(await user.balance(at)).toMatchObject({ tokens_left: total - 8 });
});

test(`first looks of every kind at once (TOLLGATE_SEED=${seed})`, async () => {
  const random = new Random();
  for (let round = 0; round < 3; round++) {
    const user = await unseenUser();
    const { project } = user;
    const kinds = Array.from({ length: 32 }, () => random.integer(0, 9));

    await atOnce<unknown>(crowd, 32, (connection, index): Promise<unknown> => {
      const own = user.on(connection);
      switch (kinds[index]) {
        case 0:
          return own.consume(7, { at });
        case 1:
          return own.consume(1e6, { at });
        case 2:
          return own.hold(7, { at });
        case 3:
          return own.balance(at);
        case 4:
          return own.check(7, { at });
        case 5:
          return project.on(connection)
            .consumeBatch([{ user_id: "ada", tokens_to_consume: 7 }], { at });
        case 6:
          return own.change({ timeZone: "Asia/Tokyo", at });
        case 7:
          return own.voidGrant(project.id, { at }).catch(() => undefined);
        case 8:
          return own.hold(7, { at }).then(({ hold_id }) => own.release(hold_id, { at }));
        default:
          return connection`insert into user_token_grants (user_id, token_amount, grant_type)
            values (${user.id!}, 1, 'bonus')`;
      }
    });
    await user.consume(1, { at });

    const ofType = (type: string) =>
      sql`select count(*)::integer as grants, count(distinct effective_at)::integer as instants
        from user_token_grants where user_id = ${user.id!} and grant_type = ${type}
          and recurring_grant_id is not null`;
    expect(await ofType("bonus")).toEqual([{ grants: TIMES, instants: TIMES }]);
    expect(await ofType("rollover")).toEqual([{ grants: ROLLED, instants: ROLLED }]);
  }
});

test("batches over many unseen users at once: each grant comes once to each", async () => {
  const first = await unseenUser("user 0");
  const users = [first];
  for (let index = 1; index < 8; index++) {
    users.push(await unseenUser(`user ${index}`, first.project));
  }
  const items = users.map(({ externalId }) => ({ user_id: externalId, tokens_to_consume: 20 }));

  await atOnce(
    crowd,
    16,
    (connection, index) =>
      first.project.on(connection)
        .consumeBatch(index % 2 ? items : items.toReversed(), { at }),
  );

  for (const user of users) {
    await expectEachOnce(user);
    expect(await user.balance(at)).toMatchObject({ tokens_left: 300 + DUE - 16 * 20 });
  }
});

describe("of 32 calls", () => {
  test("with one request id that make a recurring grant one makes it", async () => {
    const project = await Project.create(sql);
    await project.plan({ type: "pay_as_you_go" });

    const answers = await atOnce(
      crowd,
      32,
      (connection) =>
        connection<{ recurring_grant_id: string; replayed: boolean }[]>`
          select * from create_recurring_grant(${project.id}, 'ada', 5, 'bonus', '1 week',
            p_request_id => 'r-1')`,
    );

    expect(new Set(answers.map(([answer]) => answer!.recurring_grant_id)).size).toBe(1);
    expect(answers.filter(([answer]) => answer!.replayed)).toHaveLength(31);
    expect(await project.unknownUser("ada").balance()).toMatchObject({ grants_left: 5 });
  });

  test("that end a recurring grant one does", async () => {
    const user = await unseenUser();
    const [row] = await sql<{ id: string }[]>`
      select id from recurring_grants where user_id = ${user.id!}`;

    const answers = await atOnce(
      crowd,
      32,
      (connection) =>
        connection<{ replayed: boolean }[]>`
          select replayed from end_recurring_grant(${user.project.id}, 'ada', ${row!.id})`,
    );

    expect(answers.filter(([answer]) => answer!.replayed)).toHaveLength(31);
  });
});

test("a period that ends while 32 calls are under way rolls over once", async () => {
  const project = await Project.create(sql);
  await project.plan({ quota: 1000, period: "1 hour", rollover: { maxTokens: 1000, periods: 2 } });
  const user = await project.user("ada", { billingAnchor: ANCHOR, createdAt: ANCHOR });
  const minutes = (index: number) =>
    new Date(+new Date(ANCHOR) + (55 + index / 2) * 60_000).toISOString();

  const receipts = await atOnce(
    crowd,
    32,
    (connection, index) => user.on(connection).consume(10, { at: minutes(index) }),
  );

  const inFirst = receipts.filter(({ created_at }) => +created_at < +new Date(ANCHOR) + 3_600_000);
  expect(
    await sql`select token_amount from user_token_grants where user_id = ${user.id!}`,
  ).toEqual([{ token_amount: 1000 - 10 * inFirst.length }]);
  expect(await user.balance(minutes(31))).toMatchObject({ tokens_left: 2000 - 320 });
});
