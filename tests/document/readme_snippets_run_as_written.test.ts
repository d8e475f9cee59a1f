import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { useDatabase } from "../support/database.ts";
import { connectAs, stack, Tenant, verifyLedgerAtEnd } from "../support/tenant.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const readme = readFileSync(path.join(root, "README.md"), "utf8");
const { sql } = useDatabase();
verifyLedgerAtEnd();

/** The code block that follows `<!-- run: name -->`. */
function snippet(name: string): string {
  const match = new RegExp(`<!-- run: ${name} -->\\s+\`\`\`\\w+\\n(.*?)\`\`\``, "s").exec(readme);
  if (!match?.[1]) throw new Error(`README.md has no snippet "${name}"`);
  return match[1];
}

/** Runs TypeScript in this repository, as a user's script would; gives what it prints. */
function run(code: string, env: Record<string, string>): string {
  const parent = path.join(root, ".local", "readme");
  mkdirSync(parent, { recursive: true });
  const folder = mkdtempSync(path.join(parent, "run-"));
  try {
    // supabase-js wants a WebSocket, which Node 20 lacks; nothing here opens one.
    writeFileSync(path.join(folder, "node20.mjs"), "globalThis.WebSocket ??= EventTarget;");
    writeFileSync(path.join(folder, "snippet.mts"), code);
    const args = ["--import", "tsx", "--import", "./node20.mjs", "snippet.mts"];
    return execFileSync(process.execPath, args, {
      cwd: folder,
      env: {
        ...process.env,
        SUPABASE_URL: stack.url,
        SUPABASE_PUBLISHABLE_KEY: stack.publishableKey,
        ...env,
      },
      encoding: "utf8",
      stdio: ["ignore", "pipe", "pipe"],
    });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

test("the backend's snippet consumes tokens", async () => {
  const tenant = await Tenant.create({ quota: 800 });
  await tenant.tagId("GPT-4");
  const env = { TOLLGATE_API_KEY: tenant.apiKey };

  expect(run(snippet("backend"), env)).toBe("Took 500 tokens.\n");
  expect(run(snippet("backend"), env)).toBe(
    "Denied: Not enough tokens: 500 requested, 300 left\n",
  );
});

test("the snippet that holds first settles for what was used", async () => {
  const tenant = await Tenant.create({ quota: 5000 });
  const env = { TOLLGATE_API_KEY: tenant.apiKey };

  expect(run(snippet("hold"), env)).toBe("Charged 1350, returned 2650.\n");
  expect((await tenant.balance("user_123")).body).toMatchObject({
    quota_used: 1350,
    tokens_held: 0,
  });
});

test("the client's snippet shows a linked user the balance", async () => {
  const tenant = await Tenant.create({ quota: 800 });
  await tenant.consume("ada", 1);
  const { data } = await connectAs(stack.publishableKey).auth
    .signUp({ email: "ada@example.com", password: "correct horse" });
  const link = { auth_user_id: data.user?.id };
  const { status } = await tenant.api("/v1/users/ada/link", {
    method: "PUT",
    body: JSON.stringify(link),
  });

  expect(status).toBe(200);
  expect(run(snippet("client"), { TOLLGATE_PROJECT_ID: tenant.id })).toBe("799 tokens left\n");
});

test("the owner's snippet restricts, grants and shows balances on the demo data", async () => {
  await sql.file(path.join(root, "supabase/seed.sql"));

  const results = await sql.unsafe(snippet("studio"));

  const balances = results.at(-1) as unknown as { user_id: string; grants_left: number }[];
  expect(balances.find(({ user_id }) => user_id === "ada")?.grants_left).toBe(26_000);
});

test("the first project's snippet answers a key", async () => {
  const results = await sql.unsafe(snippet("first-project"));

  const [row] = results.at(-1) as unknown as { api_key: string }[];
  expect(row?.api_key).toMatch(/^tg_live_[0-9a-f]{48}$/);
});
