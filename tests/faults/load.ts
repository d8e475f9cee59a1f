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

interface Client {
  connection: TestSql;
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
  readonly #url: string;
  readonly #project: string;
  #requests = 0;

  constructor(url: string, project: string, clients: number) {
    this.#url = url;
    this.#project = project;
    this.#clients = Array.from(
      { length: clients },
      () => ({ connection: this.#connect(), unanswered: undefined }),
    );
  }

  /** Unanswered requests of the run before come first, with the same request ids. */
  async run(options: RunOptions): Promise<void> {
    await Promise.all(this.#clients.map((client) => this.#call(client, options)));
  }

  async end(): Promise<void> {
    await Promise.all(this.#clients.map(({ connection }) => connection.end()));
  }

  #connect(): TestSql {
    return postgres(this.#url, {
      max: 1,
      types,
      fetch_types: false, // A query that nobody would catch the end of.
      onnotice() {},
      connection: { application_name: LOAD },
    });
  }

  async #call(client: Client, { onBreak, isEnough, onAnswer, losesAnswer }: RunOptions) {
    while (client.unanswered !== undefined || !isEnough()) {
      const isFirstTry = client.unanswered === undefined;
      const request = client.unanswered ??= this.#requests++;
      try {
        const { success, replayed } = await this.#consume(
          client.connection,
          request,
          isFirstTry && losesAnswer?.(request),
        );
        if (!success) throw new Error(`request ${request} was denied`);
        client.unanswered = undefined;
        this.acknowledged.push(request);
        if (replayed) this.replays++;
        onAnswer?.(this.acknowledged.length);
      } catch (error) {
        const { code = "" } = error as { code?: string };
        if (!/^(CONNECTION_|ECONN|EPIPE|57P)/.test(code)) throw error;
        this.broken++;
        // What postgres.js has read of the broken answer would get into the next one.
        client.connection = this.#connect();
        if (onBreak === "stop") return;
      }
    }
  }

  async #consume(connection: TestSql, request: number, losesAnswer = false): Promise<Receipt> {
    const call = `select * from consume_tokens('${this.#project}', '${userOf(request)}',
      ${tokensOf(request)}, p_request_id => '${requestId(request)}')`;
    if (losesAnswer) {
      await connection.unsafe(
        `begin; ${call}; commit; select pg_terminate_backend(pg_backend_pid())`,
      );
      throw new Error("a backend answered after its end");
    }
    const [receipt] = await connection.unsafe<Receipt[]>(call);
    return receipt!;
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
