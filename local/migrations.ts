import { existsSync, readFileSync } from "node:fs";
import { createHash } from "node:crypto";
import path from "node:path";
import { supabaseCli } from "./binaries.ts";
import type { Launch } from "./children.ts";
import type { Config } from "./config.ts";
import { withConnection } from "./database.ts";
import { messageOf, StackError } from "./errors.ts";

/** Applies pending migrations as anybody would: with the Supabase CLI. `url` is for the role
 * `postgres`, which is not a superuser: what works here works on hosted projects. */
export async function pushMigrations(root: string, url: string, launch: Launch): Promise<void> {
  const output: string[] = [];
  const cli = await launch({
    name: "supabase",
    file: supabaseCli(),
    args: [
      ...["db", "push", `--remote=${url}?sslmode=disable`],
      ...["--workdir", root, "--yes", "--agent", "no"],
    ],
    cwd: root,
    env: {
      ...withoutSupabase(process.env),
      DO_NOT_TRACK: "1",
      NO_COLOR: "1",
      SUPABASE_NO_UPDATE_NOTIFIER: "1", // It asks GitHub, for up to 0.8 s.
    },
    mark: url,
    onLine: (line) => output.push(line),
  });
  const ending = await cli.ended;
  if (ending !== "exit code 0") {
    throw new StackError(
      `\`supabase db push\` failed (${ending}):\n${output.join("\n").trim()}\n` +
        `Correct supabase/migrations, then start again.`,
    );
  }
}

/** Variables that point the CLI at another project do not concern a local push. */
function withoutSupabase(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(env).filter(([name]) => !/^(SUPABASE|PG)/.test(name)));
}

/** Loads each seed file once, in the books of the CLI, so that either may do it. */
export function loadSeeds(root: string, url: string, { db }: Config): Promise<void> {
  const files = db.seed.enabled ? db.seed.sql_paths : [];
  return withConnection(url, async (sql) => {
    await sql`create schema if not exists supabase_migrations`;
    await sql`
      create table if not exists supabase_migrations.seed_files
        (path text not null primary key, hash text not null)`;
    for (const file of files) {
      const name = path.posix.join("supabase", file);
      const full = path.join(root, name);
      const [loaded] = await sql`
        select from supabase_migrations.seed_files where path = ${name}`;
      if (loaded || !existsSync(full)) continue;
      const text = readFileSync(full, "utf8");
      const hash = createHash("sha256").update(text).digest("hex");
      try {
        await sql.begin(async (tx) => {
          await tx.unsafe(text);
          await tx`insert into supabase_migrations.seed_files values (${name}, ${hash})`;
        });
      } catch (error) {
        throw new StackError(`${name} failed: ${messageOf(error)}`);
      }
    }
  });
}
