// A stack of its own, whose REST layer has 5 connections: what HTTP clients see of faults of the
// database. Not one answer may be anything but 200, or 503 with Retry-After.
import { rmSync } from "node:fs";
import postgres from "postgres";
import { afterAll, beforeAll, expect, test } from "vitest";
import { withConnection } from "../../local/database.ts";
import { SUPERUSER } from "../../local/postgres.ts";
import { makeScratchFolder } from "../../local/scratch.ts";
import { type Stack, startStack } from "../../local/stack.ts";
import { report } from "../support/chaos.ts";
import { untilWaiting, whileLocked } from "../support/concurrency.ts";
import { contents } from "../support/contents.ts";
import { type TestSql, types } from "../support/database.ts";
import { HIDES_TIMEOUTS } from "../support/mutant.ts";
import { Project, type User } from "../support/project.ts";

const POOL = 5;
const CLIENTS = 200;
const QUOTA = 1000;

let folder: string;
let stack: Stack;
let sql: TestSql;
let ada: User;
let apiKey: string;

beforeAll(async () => {
  folder = await makeScratchFolder();
  stack = await startStack({ folder, poolSize: POOL, seed: false });
  sql = postgres(stack.dbUrl(), { max: 4, types, onnotice() {} });
  // Else each change of a function here would make the REST layer read its schema 200 times at once.
  await withConnection(
    stack.dbUrl(SUPERUSER),
    (superuser) => superuser`alter event trigger pgrst_ddl_watch disable`,
  );
  const project = await Project.create(sql);
  await project.plan({ quota: QUOTA });
  ada = await project.user("ada");
  const [key] = await sql<{ api_key: string }[]>`
    select api_key from create_api_key(${project.id}, 'Test')`;
  apiKey = key!.api_key;
});
afterAll(async () => {
  expect(await sql`select * from verify_ledger()`).toEqual([]);
  await sql.end();
  await stack.stop();
  rmSync(folder, { recursive: true, force: true });
});

interface Answer {
  status: number;
  retryAfter: string | null;
  replayed: boolean;
}

async function consume(user: string, requestId: string): Promise<Answer> {
  const response = await fetch(`${stack.url}/functions/v1/api/v1/consume`, {
    method: "POST",
    headers: { authorization: `Bearer ${apiKey}`, "idempotency-key": requestId },
    body: JSON.stringify({ user_id: user, tokens_to_consume: 1 }),
  });
  const { status, headers } = response;
  await response.text();
  return {
    status,
    retryAfter: headers.get("retry-after"),
    replayed: headers.has("idempotent-replayed"),
  };
}

async function health(): Promise<number> {
  const { status, body } = await fetch(`${stack.url}/functions/v1/api/v1/health`);
  await body?.cancel();
  return status;
}

/** Every other client is ada. */
const userOf = (client: number) => client % 2 ? `user ${client}` : "ada";
const clients = Array.from({ length: CLIENTS }, (_, client) => client);
const isOk = ({ status, retryAfter }: Answer) =>
  status === 200 || (status === 503 && Number(retryAfter) > 0);

/** How many answers of each status there are. */
function tally(answers: Answer[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { status } of answers) counts[status] = (counts[status] ?? 0) + 1;
  return counts;
}

/** Repeats what was answered 503, with the same request ids, until all is answered 200. */
async function repeat(requestIds: Map<number, string>, answers: Answer[]) {
  for (const [client, requestId] of requestIds) {
    while (answers[client]!.status === 503) {
      answers[client] = await consume(userOf(client), requestId);
    }
  }
  expect(tally(answers)).toEqual({ 200: CLIENTS });
}

async function recorded(prefix: string) {
  const [row] = await sql<{ transfers: number; ids: number; tokens: number }[]>`
    select count(*) as transfers, count(distinct request_id) as ids, -sum(amount)::bigint as tokens
    from token_transfers where starts_with(request_id, ${prefix})`;
  return { ...row };
}

const ALL_ONCE = { transfers: CLIENTS, ids: CLIENTS, tokens: CLIENTS };
const idsOf = (prefix: string) =>
  new Map(clients.map((client) => [client, `${prefix} ${client}`] as const));

test(`while ${CLIENTS} clients wait for the ${POOL} connections health answers, and then all are served`, async () => {
  const ids = idsOf("wait");
  let answered = 0;
  let stuck: Promise<Answer>[] = [];
  let answers: Promise<Answer[]> | undefined;

  await whileLocked(sql, ada, async () => {
    stuck = clients.slice(0, POOL).map((client) => consume("ada", `stuck ${client}`));
    await untilWaiting(sql, POOL);
    answers = Promise.all(clients.map(async (client) => {
      const answer = await consume(userOf(client), ids.get(client)!);
      answered++;
      return answer;
    }));
    for (let n = 0; n < 20; n++) expect(await health()).toBe(200);
    expect(answered).toBe(0);
  });

  expect(tally(await Promise.all(stuck))).toEqual({ 200: POOL });
  const all = await answers!;
  expect(all.filter((answer) => !isOk(answer))).toEqual([]);
  await repeat(ids, all);
  expect(await recorded("wait")).toEqual(ALL_ONCE);
});

test("a statement_timeout is 503 with Retry-After, writes nothing, and the retry is applied once", async () => {
  await sql`alter role service_role set statement_timeout = '400ms'`;
  await sql`notify pgrst, 'reload schema'`;
  const before = await contents(sql);

  await whileLocked(sql, ada, async () => {
    const answer = await consume("ada", "statement_timeout");
    expect(answer).toMatchObject({ status: 503, retryAfter: "1" });
  });

  expect(await contents(sql)).toEqual(before);
  expect(await consume("ada", "statement_timeout")).toMatchObject({ status: 200, replayed: false });
  expect(await consume("ada", "statement_timeout")).toMatchObject({ status: 200, replayed: true });
});

test("so is a lock_timeout", async () => {
  const setTimeout = (value: string) => sql.unsafe(`alter function tollgate.lock_user ${value}`);
  await setTimeout("set lock_timeout = '50ms'");
  const before = await contents(sql);

  await whileLocked(sql, ada, async () => {
    const answer = await consume("ada", "lock_timeout");
    expect(answer).toMatchObject({ status: 503, retryAfter: "1" });
  });

  expect(await contents(sql)).toEqual(before);
  await setTimeout("reset lock_timeout");
  expect(await consume("ada", "lock_timeout")).toMatchObject({ status: 200, replayed: false });
  expect(await consume("ada", "lock_timeout")).toMatchObject({ status: 200, replayed: true });
});

/** 200 clients while ada is locked, until some of them have been timed out. */
async function exhaust(ids: Map<number, string>): Promise<Answer[]> {
  let timedOut = 0;
  let answers: Promise<Answer[]> | undefined;
  await whileLocked(sql, ada, async () => {
    answers = Promise.all([...ids].map(async ([client, id]) => {
      const answer = await consume(userOf(client), id);
      if (answer.status !== 200) timedOut++;
      return answer;
    }));
    while (timedOut < 2 * POOL) expect(await health()).toBe(200);
  });
  return await answers!;
}

test(`${CLIENTS} clients of ${POOL} connections that time out are answered 200 or 503, and retry safely`, async () => {
  const ids = idsOf("exhaust");
  const answers = await exhaust(ids);
  report("pool exhaustion", tally(answers));
  expect(answers.filter((answer) => !isOk(answer))).toEqual([]);

  await repeat(ids, answers);

  expect(await recorded("exhaust")).toEqual(ALL_ONCE);
});

test("a kernel that hides timeouts is found out: clients get other answers", async () => {
  const [original] = await sql<{ definition: string }[]>`
    select pg_get_functiondef('tollgate.lock_user(uuid)'::regprocedure) as definition`;
  await sql.unsafe(HIDES_TIMEOUTS);

  const answers = await exhaust(idsOf("hidden"));

  await sql.unsafe(original!.definition);
  expect(answers.filter((answer) => !isOk(answer))).not.toEqual([]);
});
