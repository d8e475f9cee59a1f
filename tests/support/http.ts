import { fileURLToPath } from "node:url";
import { startApiServer } from "../../local/api_server_client.ts";
import type { Launch } from "../../local/children.ts";
import { readConfig } from "../../local/config.ts";
import { findFunctions, functionEnv, startFunction } from "../../local/functions.ts";
import type { Keys } from "../../local/keys.ts";
import { HOST } from "../../local/ports.ts";
import { SUPERUSER } from "../../local/postgres.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));

export interface HttpOptions {
  folder: string;
  launch: Launch;
  /** The URL that logs in to the database as a role. */
  dbUrl(user?: string): string;
  keys: Keys;
}

export interface Http {
  /** Of the gateway, as clients know it. */
  url: string;
  /** Of the edge function itself, which goes on whatever becomes of the gateway. */
  functionUrl: string;
  /** kill -9 of gateway and REST; the edge function stays. */
  killRest(): Promise<void>;
  /** Starts them again, at the same address. */
  restartRest(): Promise<void>;
}

/** Serves a database by a PostgREST and a real edge function of its own. */
export async function serveHttp({ folder, launch, dbUrl, keys }: HttpOptions): Promise<Http> {
  const config = readConfig(ROOT);
  let server = await startApiServer(0, folder, launch);
  const { url, port } = server;
  const api = await startFunction(findFunctions(ROOT, config).find((it) => it.name === "api")!, {
    ...{ root: ROOT, folder, watch: false, launch },
    env: functionEnv(url, dbUrl(), keys),
  });
  const connect = () =>
    server.connect({
      rest: {
        urls: {
          authenticator: dbUrl("authenticator"),
          authAdmin: dbUrl("supabase_auth_admin"),
          superuser: dbUrl(SUPERUSER),
        },
        keys,
        api: {
          schemas: config.api.schemas,
          extraSearchPath: config.api.extra_search_path,
          maxRows: config.api.max_rows,
        },
        auth: { siteUrl: url, jwtExpiry: 3600, enableSignup: false },
        poolSize: 8,
      },
      functions: { api: api.port },
    });
  await connect();
  return {
    url,
    functionUrl: `http://${HOST}:${api.port}`,
    killRest: () => server.server.stop("SIGKILL", 1000),
    async restartRest() {
      server = await startApiServer(port, folder, launch);
      await connect();
    },
  };
}
