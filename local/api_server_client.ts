import { createRequire } from "node:module";
import path from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import type { Child, Launch } from "./children.ts";
import { StackError } from "./errors.ts";
import { HOST } from "./ports.ts";
import type { RestSettings } from "./rest.ts";

/** Sent to the API server once the database is ready. */
export interface ApiServerOrder {
  rest: RestSettings;
  /** Function name -> port of its Deno. */
  functions: Record<string, number>;
}

export type ApiServerMessage =
  | { type: "listening"; port: number; authSchema: string }
  | { type: "ready" }
  | { type: "failed"; message: string };

export interface ApiServer {
  url: string;
  port: number;
  server: Child;
  /** The tables of the auth service, as SQL. */
  authSchema: string;
  connect(order: ApiServerOrder): Promise<void>;
}

const ENTRY = fileURLToPath(new URL("api_server.ts", import.meta.url));

/** Starts the API server, which listens at once and answers 503 until `connect`. Port 0 takes a free
 * one. */
export async function startApiServer(
  port: number,
  folder: string,
  launch: Launch,
): Promise<ApiServer> {
  const mark = `--stack=${folder}`; // Tells our process from those of other stacks.
  const tsx = pathToFileURL(createRequire(import.meta.url).resolve("tsx")).href;
  const server = await launch({
    name: "api-server",
    file: process.execPath,
    args: ["--import", tsx, ENTRY, String(port), mark],
    cwd: path.dirname(ENTRY),
    // Under vitest these would change what the child loads.
    env: { ...process.env, NODE_OPTIONS: "", NO_COLOR: "1" },
    mark,
    ipc: true,
  });
  const listening = await nextMessage(server);
  if (listening.type !== "listening") throw new Error(`unexpected message ${listening.type}`);
  return {
    url: `http://${HOST}:${listening.port}`,
    port: listening.port,
    server,
    authSchema: listening.authSchema,
    async connect(order) {
      const answer = nextMessage(server);
      server.process.send(order);
      await answer;
    },
  };
}

function nextMessage(server: Child): Promise<ApiServerMessage> {
  return new Promise((resolve, reject) => {
    server.process.once("message", (message: ApiServerMessage) => {
      if (message.type !== "failed") resolve(message);
      else reject(new StackError(`The API server could not start: ${message.message}`));
    });
    void server.ended.then((how) => reject(new StackError(`The API server ended at once: ${how}`)));
  });
}
