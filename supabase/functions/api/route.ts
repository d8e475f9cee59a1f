import type { Context } from "hono";
import type { z } from "zod";
import type { TollgateDatabase } from "../_shared/database.ts";
import type { ErrorCode } from "../_shared/errors.ts";

/** What every request carries: the id that its answer, its errors and its retries go by. */
export type AppEnv = { Variables: { requestId: string } };
export type AppContext = Context<AppEnv>;

export type AnswerHeader = "Retry-After" | "RateLimit" | "RateLimit-Policy" | "Idempotent-Replayed";

/** A successful answer or a denial, as documented; errors are documented by their codes. */
interface DocumentedAnswer {
  description: string;
  schema: z.ZodType;
  headers?: readonly AnswerHeader[];
}

/** A handler with everything that the OpenAPI document says about it. */
export interface Route {
  operationId: string;
  summary: string;
  description: string;
  /** Whether it takes an API key, and so reaches the database. */
  secured: boolean;
  params?: z.ZodObject;
  query?: z.ZodObject;
  /** Where every field of it may be left out, so may the body. */
  body?: z.ZodObject;
  /** Where 64 KiB is too little. */
  maxBodyBytes?: number;
  answers: Record<number, DocumentedAnswer>;
  /** Errors of this route alone; those of every secured route go without saying. */
  errors: readonly ErrorCode[];
  handle(c: AppContext, database: TollgateDatabase): Response | Promise<Response>;
}

/** One line of the route table. */
export interface Endpoint {
  method: "GET" | "POST" | "PUT" | "PATCH";
  path: `/${string}`;
  route: Route;
}
