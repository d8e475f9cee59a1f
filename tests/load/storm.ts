import postgres from "postgres";
import { types } from "../support/database.ts";
import type { Receipt } from "../support/project.ts";

/** One call of consume_tokens(). */
export interface Consumption {
  user: string;
  tokens: number;
  requestId?: string;
}

/** How many calls were answered how; of those that were not, how many with which SQLSTATE. */
export interface Tally {
  applied: number;
  replayed: number;
  denied: number;
  tokens: number;
  failed: Record<string, number>;
}

/** Makes all calls, in this order, over so many connections that each call as fast as they can. */
export async function storm(
  url: string,
  clients: number,
  projectId: string,
  calls: Consumption[],
): Promise<Tally> {
  const pool = postgres(url, { max: clients, types, onnotice() {} });
  const tally: Tally = { applied: 0, replayed: 0, denied: 0, tokens: 0, failed: {} };
  const queue = calls.values();
  async function client() {
    for (const { user, tokens, requestId } of queue) {
      try {
        const [receipt] = await pool<Receipt[]>`
          select * from consume_tokens(${projectId}, ${user}, ${tokens},
            p_request_id => ${requestId ?? null})`;
        if (receipt!.replayed) tally.replayed++;
        else if (receipt!.success) tally.applied++;
        else tally.denied++;
        if (!receipt!.replayed) tally.tokens += receipt!.tokens_consumed;
      } catch (error) {
        const { code } = error as { code: string };
        tally.failed[code] = (tally.failed[code] ?? 0) + 1;
      }
    }
  }
  await Promise.all(Array.from({ length: clients }, client));
  await pool.end();
  return tally;
}
