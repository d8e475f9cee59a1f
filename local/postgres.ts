import { chmodSync, chownSync, existsSync, mkdirSync, readFileSync, renameSync } from "node:fs";
import { rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { postgresBinaries } from "./binaries.ts";
import type { Child, Launch } from "./children.ts";
import { StackError } from "./errors.ts";
import { freePort, HOST } from "./ports.ts";
import { commandLine, endProcess } from "./processes.ts";
import { type Account, accountFor, asAccount } from "./server_account.ts";

const MAJOR_VERSION = "17";
/** The superuser, as on hosted projects; only the platform's own parts use it. */
export const SUPERUSER = "supabase_admin";
/** As with the CLI's local stack: the server listens on the loopback address only. */
export const PASSWORD = "postgres";

export interface PostgresOptions {
  dataDir: string;
  /** Undefined takes a free one. */
  port: number | undefined;
  /** Keep the data through a power cut? A test stack does not care, and is much faster. */
  durable: boolean;
  maxConnections: number;
  launch: Launch;
}

export interface Postgres {
  port: number;
  server: Child;
}

/** Starts PostgreSQL on a data folder, which it makes first when there is none. */
export async function startPostgres(options: PostgresOptions): Promise<Postgres> {
  const binaries = postgresBinaries();
  const { dataDir } = options;
  const account = accountFor(dataDir, path.dirname(binaries.postgres));
  if (!existsSync(dataDir)) {
    await initialise(dataDir, binaries.initdb, account, options.launch);
  }
  const version = readFileSync(path.join(dataDir, "PG_VERSION"), "utf8").trim();
  if (version !== MAJOR_VERSION) {
    throw new StackError(
      `${dataDir} was made by PostgreSQL ${version}, this is ${MAJOR_VERSION}. ` +
        `Start anew with \`npm run reset\` (the data is lost).`,
    );
  }
  for (let attempt = 1;; attempt++) {
    const port = options.port ?? await freePort();
    const server = await serve(binaries.postgres, port, account, options);
    if (server) return { port, server };
    if (options.port !== undefined || attempt === 5) {
      throw new StackError(`PostgreSQL could not listen on port ${port}: somebody else does.`);
    }
  }
}

async function initialise(dataDir: string, initdb: string, account: Account, launch: Launch) {
  // In a folder beside it and renamed when whole: a killed initdb leaves nothing half-made behind.
  const draft = `${dataDir}.draft`;
  const passwordFile = `${dataDir}.password`;
  rmSync(draft, { recursive: true, force: true });
  mkdirSync(draft, { recursive: true, mode: 0o700 });
  writeFileSync(passwordFile, `${PASSWORD}\n`);
  if (account.uid !== undefined && account.gid !== undefined) {
    chownSync(draft, account.uid, account.gid);
    chmodSync(passwordFile, 0o644);
  }
  const output: string[] = [];
  const child = await launch({
    name: "initdb",
    ...asAccount(account, initdb, [
      ...["--pgdata", draft, "--username", SUPERUSER, "--pwfile", passwordFile],
      ...["--auth", "scram-sha-256", "--encoding", "UTF8", "--no-sync", "--no-instructions"],
      // PostgreSQL's own C.UTF-8: the system's is not there on every macOS.
      ...["--locale", "C", "--locale-provider", "builtin", "--builtin-locale", "C.UTF-8"],
    ]),
    cwd: path.parse(dataDir).root,
    mark: draft,
    onLine: (line) => output.push(line),
  });
  const ending = await child.ended;
  rmSync(passwordFile);
  if (ending !== "exit code 0") {
    rmSync(draft, { recursive: true, force: true });
    throw new StackError(
      `PostgreSQL could not make its data folder ${dataDir} (${ending}):\n${output.join("\n")}`,
    );
  }
  renameSync(draft, dataDir);
}

/** A server of a killed run may still be alive; or its lock file may name a process id that, since a
 * reboot, belongs to somebody else, which PostgreSQL would take for a running server. */
export async function endLeftover(dataDir: string): Promise<void> {
  const lock = path.join(dataDir, "postmaster.pid");
  if (!existsSync(lock)) return;
  const pid = Number.parseInt(readFileSync(lock, "utf8"), 10);
  if (Number.isInteger(pid) && commandLine(pid)?.includes("postgres")) {
    await endProcess(pid, "SIGINT");
  }
  rmSync(lock, { force: true });
}

/** Undefined when somebody else listens on the port. */
async function serve(
  postgres: string,
  port: number,
  account: Account,
  { dataDir, durable, maxConnections, launch }: PostgresOptions,
): Promise<Child | undefined> {
  const settings = {
    listen_addresses: HOST,
    unix_socket_directories: "", // Their paths may be 107 characters long at most.
    max_connections: maxConnections,
    shared_preload_libraries: "pg_stat_statements",
    timezone: "UTC",
    log_timezone: "UTC",
    ...(!durable && { fsync: "off", synchronous_commit: "off", full_page_writes: "off" }),
  };
  const lastLines: string[] = [];
  const server = await launch({
    name: "postgres",
    ...asAccount(account, postgres, [
      ...["-D", dataDir, "-p", String(port)],
      ...Object.entries(settings).flatMap(([name, value]) => ["-c", `${name}=${value}`]),
    ]),
    cwd: path.parse(dataDir).root,
    mark: dataDir,
    onLine(line) {
      lastLines.push(line);
      if (lastLines.length > 10) lastLines.shift();
    },
  });
  while (server.isAlive()) {
    if (isReady(dataDir)) return server;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  if (lastLines.some((line) => /could not bind|could not create any TCP/.test(line))) return;
  throw new StackError(
    `PostgreSQL ended at once (${await server.ended}):\n${lastLines.join("\n")}`,
  );
}

/** The server keeps its state in the eighth line of its lock file. */
function isReady(dataDir: string): boolean {
  try {
    const lines = readFileSync(path.join(dataDir, "postmaster.pid"), "utf8").split("\n");
    return lines[7]?.trim() === "ready";
  } catch {
    return false;
  }
}
