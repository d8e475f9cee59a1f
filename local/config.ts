import { readFileSync } from "node:fs";
import path from "node:path";
import { parse } from "smol-toml";
import { z } from "zod";
import { messageOf, StackError } from "./errors.ts";

const Port = z.int().min(1).max(65535);

/** What the local stack heeds of supabase/config.toml, with the CLI's defaults. */
const Config = z.object({
  api: z.object({
    port: Port.default(54321),
    schemas: z.array(z.string()).min(1).default(["public"]),
    extra_search_path: z.array(z.string()).default(["public", "extensions"]),
    max_rows: z.int().positive().default(1000),
    auto_expose_new_tables: z.boolean().default(true),
  }).prefault({}),
  db: z.object({
    port: Port.default(54322),
    major_version: z.literal(17, "the local stack has PostgreSQL 17").default(17),
    seed: z.object({
      enabled: z.boolean().default(true),
      sql_paths: z.array(z.string()).default(["./seed.sql"]),
    }).prefault({}),
  }).prefault({}),
  auth: z.object({
    enable_signup: z.boolean().default(true),
    jwt_expiry: z.int().positive().default(3600),
    jwt_secret: z.string().min(32).optional(),
    publishable_key: z.string().optional(),
    secret_key: z.string().optional(),
    site_url: z.string().default("http://127.0.0.1:3000"),
  }).prefault({}),
  functions: z.record(
    z.string(),
    z.object({
      enabled: z.boolean().default(true),
      verify_jwt: z.boolean().default(true),
      import_map: z.string().optional(),
      entrypoint: z.string().optional(),
    }),
  ).default({}),
});

export type Config = z.infer<typeof Config>;

export function readConfig(root: string): Config {
  const file = path.join(root, "supabase", "config.toml");
  let text;
  try {
    text = parse(readFileSync(file, "utf8"));
  } catch (error) {
    throw new StackError(`Cannot read ${file}: ${messageOf(error)}`);
  }
  const config = Config.safeParse(text);
  if (!config.success) {
    throw new StackError(`${file} is not valid:\n${z.prettifyError(config.error)}`);
  }
  return config.data;
}
