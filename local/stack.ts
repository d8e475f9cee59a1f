import { mkdirSync, rmSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { startApiServer } from "./api_server_client.ts";
import { type Config, readConfig } from "./config.ts";
import { bootstrap, createDatabase, databaseUrl, keepTemplate } from "./database.ts";
import { findFunctions, functionEnv, startFunction } from "./functions.ts";
import { StackError } from "./errors.ts";
import { type Keys, loadKeys, signUserJwt } from "./keys.ts";
import type { LogSink } from "./log.ts";
import { loadSeeds, pushMigrations } from "./migrations.ts";
import { isTaken } from "./ports.ts";
import { endLeftover, startPostgres, SUPERUSER } from "./postgres.ts";
import type { RestSettings } from "./rest.ts";
import { RUN_FILE, RunFile } from "./run_file.ts";
import { makeScratchFolder } from "./scratch.ts";
import { Supervisor } from "./supervisor.ts";

export interface StackOptions {
  /** The folder that has supabase/; by default this repository. */
  root?: string;
  /** Where data and keys live; by default a temporary folder that `stop` removes. */
  folder?: string;
  /** By default free ones. */
  apiPort?: number;
  dbPort?: number;
  /** Survive a power cut (fsync)? By default not. */
  durable?: boolean;
  /** Connections of the REST layer: so many calls run at the same time. By default 20. */
  poolSize?: number;
  /** Load the seed files of config.toml? By default yes. */
  seed?: boolean;
  /** Grant new objects in `public` to the API roles? By default as config.toml says. */
  autoExposeNewTables?: boolean;
  /** Restart functions when their source changes? By default not. */
  watch?: boolean;
  /** Variables for the functions, beside and above the usual ones. */
  functionEnv?: Record<string, string>;
  /** Receives every line that any part prints; by default they are kept in `logs`. */
  log?: LogSink;
  /** Told after each step how long it took. */
  onStep?: (step: string, milliseconds: number) => void;
  /** Gives up starting. */
  signal?: AbortSignal;
}

export interface Stack extends Keys {
  url: string;
  apiPort: number;
  dbPort: number;
  /** By default for the role and the database `postgres`. */
  dbUrl(user?: string, database?: string): string;
  functionNames: string[];
  /** Every line printed so far, as `source: line`, unless `log` receives them. */
  logs: readonly string[];
  /** Makes a database with all migrations and no rows; gives its URL for the role `postgres`. */
  createDatabase(name: string): Promise<string>;
  /** A JWT as Supabase Auth would give this user; the id must be a uuid. */
  signUserJwt(userId: string, claims?: Record<string, unknown>): Promise<string>;
  /** Settles when a part ends by itself, with a sentence on it. */
  failure: Promise<string>;
  /** Ends every process; removes a temporary folder. */
  stop(): Promise<void>;
}

const REPOSITORY = fileURLToPath(new URL("..", import.meta.url));
const MAX_CONNECTIONS = 400;
const DATA = "postgres";

/** Starts PostgreSQL, REST, auth and functions, with all migrations applied. */
export async function startStack(options: StackOptions = {}): Promise<Stack> {
  const root = path.resolve(options.root ?? REPOSITORY);
  const config = readConfig(root);
  const isScratch = options.folder === undefined;
  const folder = options.folder ?? await makeScratchFolder();
  mkdirSync(folder, { recursive: true });
  const run = await RunFile.claim(path.join(folder, RUN_FILE));
  const logs: string[] = [];
  const log = options.log ?? ((source, line) => logs.push(`${source}: ${line}`));
  const supervisor = new Supervisor(run, log);

  const booting = checkPlace(folder, options)
    .then(() => boot(supervisor, { ...options, root, folder, isScratch }, config));
  const settled = booting.then(() => {}, () => {});
  async function stop() {
    await supervisor.stop(settled);
    if (isScratch) rmSync(folder, { recursive: true, force: true });
  }
  const giveUp = () => void stop();
  if (options.signal?.aborted) giveUp();
  options.signal?.addEventListener("abort", giveUp);
  try {
    return { ...await booting, logs, failure: supervisor.failure, stop };
  } catch (error) {
    await stop();
    throw error;
  } finally {
    options.signal?.removeEventListener("abort", giveUp);
  }
}

async function checkPlace(folder: string, { apiPort, dbPort }: StackOptions): Promise<void> {
  await endLeftover(path.join(folder, DATA));
  await refuseIfTaken(apiPort, "api", "TOLLGATE_API_PORT");
  await refuseIfTaken(dbPort, "database", "TOLLGATE_DB_PORT");
}

async function refuseIfTaken(port: number | undefined, use: string, variable: string) {
  if (port === undefined || !await isTaken(port)) return;
  throw new StackError(
    `Port ${port} (${use}) is taken by another program. Stop it (\`npx supabase stop\` if it is ` +
      `Supabase in Docker) or choose another port: \`${variable}=${port + 1000} npm start\`.`,
  );
}

type BootOptions = StackOptions & { root: string; folder: string; isScratch: boolean };

async function boot(supervisor: Supervisor, options: BootOptions, config: Config) {
  const { launch } = supervisor;
  const { root, folder, onStep = () => {} } = options;
  const step = async <T>(name: string, work: Promise<T>): Promise<T> => {
    const start = performance.now();
    const result = await work;
    onStep(name, performance.now() - start);
    return result;
  };
  const sources = findFunctions(root, config);
  const keys = await loadKeys(path.join(folder, "keys.json"), config);

  const [postgres, api] = await together([
    step(
      "PostgreSQL",
      startPostgres({
        dataDir: path.join(folder, DATA),
        port: options.dbPort,
        durable: options.durable ?? false,
        maxConnections: MAX_CONNECTIONS,
        launch,
      }),
    ),
    startApiServer(options.apiPort ?? 0, folder, launch),
  ]);
  supervisor.expectAlive(postgres.server);
  supervisor.expectAlive(api.server);
  const dbUrl = (user?: string, database?: string) => databaseUrl(postgres.port, user, database);

  async function prepareDatabase() {
    const autoExpose = options.autoExposeNewTables ?? config.api.auto_expose_new_tables;
    await step("Supabase roles", bootstrap(postgres.port, api.authSchema, autoExpose));
    await step("Migrations", pushMigrations(root, dbUrl(), launch));
    if (options.isScratch) await keepTemplate(postgres.port);
    if (options.seed ?? true) await step("Seed", loadSeeds(root, dbUrl(), config));
  }
  const env = { ...functionEnv(api.url, dbUrl(), keys), ...options.functionEnv };
  const watch = options.watch ?? false;
  const startFunctions = sources.map((source) =>
    startFunction(source, { root, folder, env, watch, launch })
  );
  const [functions] = await together([
    step("Functions", together(startFunctions)),
    prepareDatabase(),
  ]);
  for (const { server } of functions) supervisor.expectAlive(server);
  const rest = restSettings(config, keys, dbUrl, options.poolSize ?? 20);
  const ports = Object.fromEntries(functions.map(({ name, port }) => [name, port]));
  await step("REST and auth", api.connect({ rest, functions: ports }));

  return {
    ...keys,
    url: api.url,
    apiPort: api.port,
    dbPort: postgres.port,
    dbUrl,
    functionNames: functions.map(({ name }) => name),
    async createDatabase(name: string) {
      if (!options.isScratch) throw new Error("only a stack in a temporary folder has a template");
      await createDatabase(postgres.port, name);
      return dbUrl("postgres", name);
    },
    signUserJwt: (userId: string, claims?: Record<string, unknown>) =>
      signUserJwt(keys.jwtSecret, userId, claims),
  };
}

function restSettings(
  { api, auth }: Config,
  { jwtSecret, publishableKey, secretKey }: Keys,
  dbUrl: (user: string) => string,
  poolSize: number,
): RestSettings {
  return {
    urls: {
      authenticator: dbUrl("authenticator"),
      authAdmin: dbUrl("supabase_auth_admin"),
      superuser: dbUrl(SUPERUSER),
    },
    keys: { jwtSecret, publishableKey, secretKey },
    api: {
      schemas: api.schemas,
      extraSearchPath: api.extra_search_path,
      maxRows: api.max_rows,
    },
    auth: {
      siteUrl: auth.site_url,
      jwtExpiry: auth.jwt_expiry,
      enableSignup: auth.enable_signup,
    },
    poolSize,
  };
}

/** Like Promise.all, but a failure is reported only when nothing goes on any more. */
async function together<T extends readonly unknown[]>(
  work: readonly [...{ [K in keyof T]: Promise<T[K]> }],
) {
  await Promise.allSettled(work);
  return await Promise.all(work);
}
