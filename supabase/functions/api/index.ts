import { connectDatabase } from "../_shared/database.ts";
import { readEnv } from "../_shared/env.ts";
import { createApp } from "./app.ts";

const env = readEnv((name) => Deno.env.get(name));
Deno.serve(createApp({ database: connectDatabase(env) }).fetch);
