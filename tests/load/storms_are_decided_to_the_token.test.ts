// Storms of many clients whose outcome is known exactly beforehand. Here at a tenth of their size and
// with 32 clients, since other files share the server's 200 connections; with 64 and at full size by
//   TOLLGATE_CHAOS=1 npm test -- tests/load tests/faults
import postgres from "postgres";
import { expect, test } from "vitest";
import { chaos, report } from "../support/chaos.ts";
import { type TestSql, types, useDatabase } from "../support/database.ts";
import { createMutant, WITHOUT_USER_LOCK } from "../support/mutant.ts";
import { Project } from "../support/project.ts";
import { Random, seed } from "../support/random.ts";
import { type Consumption, storm, type Tally } from "./storm.ts";

const { sql, url } = useDatabase();

const SHARE = chaos ? 1 : 10;
const CLIENTS = chaos ? 64 : 32;
const TIMEOUT = chaos ? 300_000 : 30_000;

/** What callers were told, and what the ledger has in the end. */
interface Outcome {
  answers: Tally;
  recorded: object;
}

interface Storm {
  expected: Outcome;
  run(sql: TestSql, url: string): Promise<Outcome>;
}

const IDS = 5_000 / SHARE;
const CREDIT = 3_000 / SHARE;

/** Every request id twice, for one user who can pay for three of five. A denied id is free, and is
 * denied again. */
const everyIdTwice: Storm = {
  expected: {
    answers: {
      applied: CREDIT,
      replayed: CREDIT,
      denied: 2 * (IDS - CREDIT),
      tokens: CREDIT,
      failed: {},
    },
    recorded: { transfers: 1 + CREDIT, left: 0 },
  },
  async run(sql, url) {
    const project = await Project.create(sql);
    await project.plan({ type: "pay_as_you_go" });
    const user = await project.user("ada");
    await user.grant(CREDIT);
    const answers = await storm(url, CLIENTS, project.id, twice(new Random()));
    const [recorded] = await sql`
      select count(*) as transfers, sum(amount)::bigint as left
      from token_transfers where user_id = ${user.id!}`;
    return { answers, recorded: { ...recorded } };
  },
};

/** Of each request one copy anywhere, and the other one right behind it or anywhere later. */
function twice(random: Random): Consumption[] {
  const places = Array.from({ length: IDS }, (_, id) => {
    const first = random.number();
    const second = random.pick([first, first + random.number()]);
    return [{ id, place: first }, { id, place: second }];
  });
  return places.flat().toSorted((a, b) => a.place - b.place)
    .map(({ id }) => ({ user: "ada", tokens: 1, requestId: `request ${id}` }));
}

const USERS = 1_000 / SHARE;
const CALLS_EACH = 20;
const QUOTA = 60;
/** A call of this user takes so many tokens; the quota is enough for 20, 15, 12, 10 or 8 of 20 calls. */
const costOf = (user: number) => 1 + user % 7;
const allowed = Array.from(
  { length: USERS },
  (_, user) => Math.min(CALLS_EACH, Math.floor(QUOTA / costOf(user))),
);

/** Calls for many users, who are all made by their first one. */
const manyUsers: Storm = {
  expected: {
    answers: {
      applied: sum(allowed),
      replayed: 0,
      denied: USERS * CALLS_EACH - sum(allowed),
      tokens: sum(allowed.map((calls, user) => calls * costOf(user))),
      failed: {},
    },
    recorded: allowed.map((calls, user) => calls * costOf(user)),
  },
  async run(sql, url) {
    const random = new Random();
    const project = await Project.create(sql);
    await project.plan({ quota: QUOTA });
    const calls = Array.from({ length: USERS * CALLS_EACH }, (_, n) => ({
      call: { user: `user ${n % USERS}`, tokens: costOf(n % USERS) },
      // Bursts of a user's calls: on their own they would hardly ever meet.
      place: Math.floor(n / USERS / 4) + (n % USERS) / USERS + random.number() / USERS,
    }));
    const inOrder = calls.toSorted((a, b) => a.place - b.place).map(({ call }) => call);
    const answers = await storm(url, CLIENTS, project.id, inOrder);
    const users = await sql<{ used: number }[]>`
      select coalesce(-sum(t.amount), 0)::bigint as used
      from tracked_users u left join token_transfers t on t.user_id = u.id
      where u.project_id = ${project.id} group by u.id, u.external_id
      order by split_part(u.external_id, ' ', 2)::integer`;
    return { answers, recorded: users.map(({ used }) => used) };
  },
};

const ACCOUNTS = 500 / SHARE;
const WITHDRAWALS = 16;

/** Of each account all is withdrawn, 16 times at once. */
const withdrawals: Storm = {
  expected: {
    answers: {
      applied: ACCOUNTS,
      replayed: 0,
      denied: ACCOUNTS * (WITHDRAWALS - 1),
      tokens: ACCOUNTS * 100,
      failed: {},
    },
    recorded: Array(ACCOUNTS).fill(100),
  },
  async run(sql, url) {
    const project = await Project.create(sql);
    await project.plan({ type: "pay_as_you_go" });
    const accounts = Array.from({ length: ACCOUNTS }, (_, n) => `account ${n}`);
    for (const account of accounts) await project.unknownUser(account).grant(100);
    const calls = accounts.flatMap((user) =>
      Array.from({ length: WITHDRAWALS }, () => ({ user, tokens: 100 }))
    );
    const answers = await storm(url, CLIENTS, project.id, calls);
    const withdrawn = await sql<{ tokens: number }[]>`
      select -t.amount as tokens
      from tracked_users u join token_transfers t on t.user_id = u.id
      where u.project_id = ${project.id} and t.amount < 0`;
    return { answers, recorded: withdrawn.map(({ tokens }) => tokens) };
  },
};

const storms: [string, Storm][] = [
  [`${IDS} request ids sent twice, with credit for ${CREDIT}`, everyIdTwice],
  [`${USERS * CALLS_EACH} requests over ${USERS} users`, manyUsers],
  [`${ACCOUNTS} accounts x ${WITHDRAWALS} withdrawals of all`, withdrawals],
];

test.each(storms)(
  `%s, by ${CLIENTS} clients, have exactly the outcome that they must (TOLLGATE_SEED=${seed})`,
  async (name, { expected, run }) => {
    const outcome = await run(sql, url);
    report(name, { clients: CLIENTS, ...outcome.answers });
    expect(outcome).toEqual(expected);
  },
  TIMEOUT,
);

test.each(storms)(
  `without the user lock %s have another outcome (TOLLGATE_SEED=${seed})`,
  async (name, { expected, run }) => {
    const mutant = await createMutant(WITHOUT_USER_LOCK);
    const own = postgres(mutant, { max: 1, types, onnotice() {} });
    const outcome = await run(own, mutant);
    report(`${name}, without the user lock`, outcome.answers);
    await own.end();
    expect(outcome).not.toEqual(expected);
  },
  TIMEOUT,
);

function sum(numbers: number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
