import { createHash } from "node:crypto";
import type { Sql } from "postgres";
import { withConnection } from "./database.ts";
import { errorCode } from "./errors.ts";
import { readStackEnv } from "./stack_env.ts";

export interface Demo {
  projectId: string;
  apiKey: string;
}

const INVALID_API_KEY = "TG002";

/** An API key of the seeded project `Demo`: the one of the last run if it still works, else a new
 * one. Undefined when somebody has deleted the project. */
export function ensureDemo(dbUrl: string, envFile: string): Promise<Demo | undefined> {
  return withConnection(dbUrl, async (sql) => {
    const [project] = await sql<{ id: string }[]>`
      select id from public.projects where name = 'Demo' order by created_at limit 1`;
    if (!project) return undefined;
    const kept = readStackEnv(envFile, "TOLLGATE_API_KEY");
    if (kept && await works(sql, kept)) return { projectId: project.id, apiKey: kept };
    const [created] = await sql<{ api_key: string }[]>`
      select api_key from public.create_api_key(${project.id}, 'npm start')`;
    return created && { projectId: project.id, apiKey: created.api_key };
  });
}

/** Asks as the edge function does. Any other complaint, such as an unknown user, comes after the key
 * was accepted. */
async function works(sql: Sql, apiKey: string): Promise<boolean> {
  const hash = createHash("sha256").update(apiKey).digest("hex");
  try {
    await sql`select from public.balance_with_api_key(decode(${hash}, 'hex'), 'ada')`;
    return true;
  } catch (error) {
    return errorCode(error) !== INVALID_API_KEY;
  }
}
