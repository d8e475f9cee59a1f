import { spawnSync } from "node:child_process";
import { rmSync } from "node:fs";
import path from "node:path";
import { setImmediate } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { getAuthSchemaSql } from "@supabase/lite";
import { readConfig } from "../../local/config.ts";
import { bootstrap, databaseUrl } from "../../local/database.ts";
import { loadKeys } from "../../local/keys.ts";
import { pushMigrations } from "../../local/migrations.ts";
import { endLeftover, type Postgres, startPostgres } from "../../local/postgres.ts";
import { commandLine } from "../../local/processes.ts";
import { RUN_FILE, RunFile } from "../../local/run_file.ts";
import { makeScratchFolder } from "../../local/scratch.ts";
import { Supervisor } from "../../local/supervisor.ts";
import { type Http, serveHttp } from "../support/http.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));

/** A durable Postgres with all migrations, to be killed. */
export class MortalPostgres {
  readonly #folder: string;
  readonly #supervisor: Supervisor;
  #postgres: Postgres;

  private constructor(folder: string, supervisor: Supervisor, postgres: Postgres) {
    this.#folder = folder;
    this.#supervisor = supervisor;
    this.#postgres = postgres;
  }

  static async start(): Promise<MortalPostgres> {
    const folder = await makeScratchFolder();
    const supervisor = new Supervisor(await RunFile.claim(path.join(folder, RUN_FILE)), () => {});
    const postgres = await serve(folder, supervisor);
    const server = new MortalPostgres(folder, supervisor, postgres);
    await bootstrap(postgres.port, getAuthSchemaSql(), false);
    await pushMigrations(ROOT, server.url(), supervisor.launch);
    return server;
  }

  url(user?: string): string {
    return databaseUrl(this.#postgres.port, user);
  }

  /** REST and a real edge function over it. */
  async serveHttp(): Promise<Http> {
    return await serveHttp({
      folder: this.#folder,
      launch: this.#supervisor.launch,
      dbUrl: (user) => this.url(user),
      keys: await loadKeys(path.join(this.#folder, "keys.json"), readConfig(ROOT)),
    });
  }

  kill(): Promise<number> {
    return killTree(this.#postgres.server.pid);
  }

  async restart(): Promise<void> {
    const { port } = this.#postgres;
    this.#postgres = await serve(this.#folder, this.#supervisor, port);
  }

  async stop(): Promise<void> {
    await this.#supervisor.stop(Promise.resolve());
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

async function serve(folder: string, { launch }: Supervisor, port?: number): Promise<Postgres> {
  const dataDir = path.join(folder, "postgres");
  await endLeftover(dataDir);
  return await startPostgres({ dataDir, port, durable: true, maxConnections: 50, launch });
}

/** kill -9 for a server and all its children, none of which gets to do anything about it. Returns
 * how many there were, once they are gone. */
async function killTree(server: number): Promise<number> {
  process.kill(server, "SIGSTOP"); // It starts no more children.
  const listed = spawnSync("ps", ["-A", "-o", "pid=,ppid="], { encoding: "utf8" }).stdout;
  const children = listed.trim().split("\n")
    .map((line) => line.trim().split(/\s+/).map(Number) as [number, number])
    .filter(([, parent]) => parent === server).map(([pid]) => pid);
  const all = [server, ...children];
  for (const pid of all) process.kill(pid, "SIGKILL");
  while (all.some((pid) => commandLine(pid) !== undefined)) await setImmediate();
  return all.length;
}
