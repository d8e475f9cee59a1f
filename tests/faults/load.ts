import postgres from "postgres";
import { type TestSql, types } from "../support/database.ts";
import type { Receipt } from "../support/project.ts";

/** How the load's connections are known among those of a database. */
export const LOAD = "tollgate load";
const USERS = 4;

// A request's number says who consumes how much.
const userOf = (request: number) => `user ${request % USERS}`;
const tokensOf = (request: number) => 1 + request % 5;
const requestId = (request: number) => `request ${request}`;

/** One client's way to the server. */
interface Caller {
  /** Consumes what the number of the request says, or raises Unanswered. */
  consume(request: number, losesAnswer: boolean): Promise<Receipt>;
  end(): Promise<void>;
}

/** A call that may have been applied, or not: it is to be repeated. */
class Unanswered extends Error {}

/** Straight to Postgres. */
export function bySql(url: string, project: string): () => Caller {
  return () => {
    const connection = postgres(url, {
      max: 1,
      types,
      fetch_types: false, // A query that nobody would catch the end of.
      onnotice() {},
      connection: { application_name: LOAD },
    });
    return {
      async consume(request, losesAnswer) {
        const call = `select * from consume_tokens('${project}', '${userOf(request)}',
          ${tokensOf(request)}, p_request_id => '${requestId(request)}')`;
        try {
          if (losesAnswer) {
            await connection.unsafe(
              `begin; ${call}; commit; select pg_terminate_backend(pg_backend_pid())`,
            );
            throw new Error("a backend answered after its end");
          }
          const [receipt] = await connection.unsafe<Receipt[]>(call);
          return receipt!;
        } catch (error) {
          const { code = "" } = error as { code?: string };
          throw /^(CONNECTION_|ECONN|EPIPE|57P)/.test(code) ? new Unanswered() : error;
        }
      },
      end: () => connection.end(),
    };
  };
}

/** To the edge function, at its own address. */
export function byHttp(url: string, apiKey: string): () => Caller {
  return () => ({
    async consume(request) {
      const response = await fetch(`${url}/api/v1/consume`, {
        method: "POST",
        headers: { authorization: `Bearer ${apiKey}`, "idempotency-key": requestId(request) },
        body: JSON.stringify({ user_id: userOf(request), tokens_to_consume: tokensOf(request) }),
      });
      const text = await response.text();
      if (response.status === 503 && response.headers.get("retry-after") === "1") {
        throw new Unanswered();
      }
      if (response.status !== 200) throw new Error(`${response.status}: ${text}`);
      return JSON.parse(text) as Receipt;
    },
    async end() {},
  });
}

interface Client {
  caller: Caller;
  unanswered: number | undefined;
}

interface RunOptions {
  /** What becomes of a call whose connection breaks: the client repeats it at once, or stops. */
  onBreak: "repeat" | "stop";
  isEnough: () => boolean;
  onAnswer?: (answers: number) => void;
  /** Shall the connection of this request's first try end after the commit, before the answer? */
  losesAnswer?: (request: number) => boolean;
}

/** Clients that consume as fast as they can, and note what they were told. */
export class Load {
  readonly acknowledged: number[] = [];
  replays = 0;
  broken = 0;
  readonly #clients: Client[];
  readonly #connect: () => Caller;
  #requests = 0;

  constructor(clients: number, connect: () => Caller) {
    this.#connect = connect;
    this.#clients = Array.from(
      { length: clients },
      () => ({ caller: connect(), unanswered: undefined }),
    );
  }

  /** Unanswered requests of the run before come first, with the same request ids. */
  async run(options: RunOptions): Promise<void> {
    await Promise.all(this.#clients.map((client) => this.#call(client, options)));
  }

  async end(): Promise<void> {
    await Promise.all(this.#clients.map(({ caller }) => caller.end()));
  }

  async #call(client: Client, { onBreak, isEnough, onAnswer, losesAnswer }: RunOptions) {
    while (client.unanswered !== undefined || !isEnough()) {
      const isFirstTry = client.unanswered === undefined;
      const request = client.unanswered ??= this.#requests++;
      try {
        const { success, replayed } = await client.caller.consume(
          request,
          isFirstTry && (losesAnswer?.(request) ?? false),
        );
        if (!success) throw new Error(`request ${request} was denied`);
        client.unanswered = undefined;
        this.acknowledged.push(request);
        if (replayed) this.replays++;
        onAnswer?.(this.acknowledged.length);
      } catch (error) {
        if (!(error instanceof Unanswered)) throw error;
        this.broken++;
        // What postgres.js has read of the broken answer would get into the next one.
        client.caller = this.#connect();
        if (onBreak === "stop") return;
      }
    }
  }
}

/** Requests whose record is not what their callers were told. */
export interface Audit {
  /** Acknowledged, but not recorded. */
  lost: string[];
  doubled: string[];
  /** Recorded for another user, or with another amount. */
  wrong: string[];
  /** Recorded, but not acknowledged: allowed until the request is repeated. */
  unacknowledged: string[];
}

export const FLAWLESS: Audit = { lost: [], doubled: [], wrong: [], unacknowledged: [] };

/** Holds what callers were told against every transfer of the project. */
export async function audit(
  sql: TestSql,
  project: string,
  acknowledged: readonly number[],
): Promise<Audit> {
  const rows = await sql<{ request_id: string; user: string; amount: number }[]>`
    select t.request_id, u.external_id as user, t.amount
    from token_transfers t join tracked_users u on u.id = t.user_id
    where u.project_id = ${project}`;
  const recorded = new Set(rows.map(({ request_id }) => request_id));
  const answered = new Set(acknowledged.map(requestId));
  const seen = new Set<string>();
  const numberOf = (id: string) => Number(id.split(" ")[1]);
  return {
    lost: [...answered].filter((id) => !recorded.has(id)),
    doubled: rows.filter(({ request_id: id }) => seen.has(id) || !seen.add(id))
      .map(({ request_id }) => request_id),
    wrong: rows.filter(({ request_id, user, amount }) =>
      user !== userOf(numberOf(request_id)) || amount !== -tokensOf(numberOf(request_id))
    ).map(({ request_id }) => request_id),
    unacknowledged: [...recorded].filter((id) => !answered.has(id)),
  };
}
