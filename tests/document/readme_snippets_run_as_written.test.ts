import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import type { TransactionSql } from "postgres";
import { beforeAll, describe, expect, test } from "vitest";
import { endpoints } from "../../supabase/functions/api/routes.ts";
import { useDatabase } from "../support/database.ts";
import { Project } from "../support/project.ts";
import { type Receipt, service, stack, Tenant, verifyLedgerAtEnd } from "../support/tenant.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const documents = ["README.md", "docs/time-and-plans.md", "docs/proof.md"]
  .map((name) => readFileSync(path.join(root, name), "utf8")).join("\n");
const { sql } = useDatabase();
verifyLedgerAtEnd();

/** What follows a comment such as `<!-- run: name -->`, and matches. */
function after(comment: string, pattern: string): string {
  const match = new RegExp(`<!-- ${comment} -->\\s+${pattern}`, "s").exec(documents);
  if (!match?.[1]) throw new Error(`No document has what belongs to "${comment}"`);
  return match[1];
}

/** The code block that follows `<!-- run: name -->`. */
function snippet(name: string): string {
  return after(`run: ${name}`, "```\\w+\\n(.*?)```");
}

/** The cells of the table that follows `<!-- check: name -->`, without its head. */
function table(name: string): string[][] {
  const lines = after(`check: ${name}`, "((?:\\|[^\\n]*\\n)+)").trim().split("\n");
  return lines.slice(2).map((line) =>
    line.split("|").slice(1, -1).map((cell) => cell.trim().replaceAll("`", ""))
  );
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

test("the snippets of sign-up and client show a linked user the balance", async () => {
  const tenant = await Tenant.create({ quota: 800 });
  await tenant.consume("ada", 1);

  run(snippet("link"), { TOLLGATE_API_KEY: tenant.apiKey });
  expect(run(snippet("client"), { TOLLGATE_PROJECT_ID: tenant.id })).toBe("799 tokens left\n");
});

describe("on the demo data", () => {
  beforeAll(async () => {
    await sql.file(path.join(root, "supabase/seed.sql"));
  });

  type Transaction = TransactionSql<{ bigint: number }>;

  interface Row {
    grants_left: number;
    quota_left: number;
    grants: object[];
  }

  /** Runs a snippet in a transaction that leaves nothing behind. */
  async function onDemo<T>(name: string, check: (rows: T[], tx: Transaction) => unknown) {
    const rollback = new Error("rollback");
    await sql.begin(async (tx) => {
      const results = await tx.unsafe(snippet(name)).simple() as unknown as T[] | T[][];
      const last = results.at(-1);
      await check(Array.isArray(last) ? last : results as T[], tx);
      throw rollback;
    }).catch((error) => {
      if (error !== rollback) throw error;
    });
  }

  const consume = (tx: Transaction, user: string, tokens: number, tag: string | null = null) =>
    tx`select r.* from projects p, consume_tokens(p.id, ${user}, ${tokens}, ${tag}) r
      where p.name = 'Demo'`.then(([receipt]) => receipt);

  const balance = (tx: Transaction, user: string) =>
    tx<Row[]>`select * from current_balances where user_id = ${user}`.then(([row]) => row!);

  test("the owner's snippet restricts, grants and shows balances", () =>
    onDemo("studio", (balances) => {
      expect(balances).toContainEqual(
        expect.objectContaining({ user_id: "ada", grants_left: 26_500 }),
      );
      expect(balances).toContainEqual(
        expect.objectContaining({ user_id: "fresh", quota_left: 50_000 }),
      );
    }));

  test("the restrictions of the document are in force as it says", () =>
    onDemo("restrictions", async (_, tx) => {
      expect(await consume(tx, "plan-ends-soon", 1, "embeddings")).toMatchObject({
        message: "The plan does not allow embeddings",
      });
      expect(await consume(tx, "plan-ends-soon", 4001, "GPT-5")).toMatchObject({
        nearest_limit: { tags: ["GPT-4", "GPT-5"], duration: "1 week" },
      });
      expect(await consume(tx, "plan-ends-soon", 5000)).toMatchObject({
        success: true,
        nearest_limit: { duration: "5 hours", window: "rolling", left: 0 },
      });
    }));

  test("the rollover of the document is switched on", () =>
    onDemo("rollover", async (_, tx) => {
      expect(
        await tx`select q.rollover_periods, q.rollover_since > now() as from_now_on
          from plan_quotas q join plans p on p.id = q.plan_id where p.name = 'Pro'`,
      ).toEqual([{ rollover_periods: 1, from_now_on: true }]);
    }));

  test("the grant of the document waits until 2030", () =>
    onDemo("grants", async ([grant], tx) => {
      const { grants, grants_left } = await balance(tx, "ada");

      expect(grant).toMatchObject({ effective_at: new Date("2030-01-01T00:00Z"), tags: ["GPT-4"] });
      expect(grants[0]).toMatchObject({ priority: 10, tokens_left: 3000 });
      expect(grants_left).toBe(25_000);
    }));

  test("the recurring grant of the document counts at once", () =>
    onDemo("recurring", async (_, tx) => {
      expect(await balance(tx, "ada")).toMatchObject({ grants_left: 25_500 });
    }));

  test("the balance of last week is that of then", () =>
    onDemo<Row>("as-of", async ([then], tx) => {
      expect(then).toMatchObject({ plan: "Pro", grants_left: 25_000 });
      expect(then!.quota_left).toBeGreaterThan((await balance(tx, "ada")).quota_left);
    }));

  test("the usage of a month is by days without a gap, with each tag in each", () => {
    interface Day {
      starts_at: Date;
      ends_at: Date;
      calls: number;
      groups: { group: string }[];
    }
    return onDemo<Day>("usage", (days) => {
      expect(days.slice(1).map(({ starts_at }) => starts_at))
        .toEqual(days.slice(0, -1).map(({ ends_at }) => ends_at));
      expect(days.length).toBeGreaterThanOrEqual(29);
      expect(days.reduce((sum, { calls }) => sum + calls, 0)).toBeGreaterThan(300);
      for (const { groups } of days) {
        expect(groups.map(({ group }) => group)).toEqual(["GPT-4", "GPT-5", "embeddings"]);
      }
    });
  });
});

const instants = (cell: string) => cell.split(", ").map((instant) => new Date(instant));

test("every disagreement that verify_ledger() may find is documented", async () => {
  const [{ source }] = await sql<[{ source: string }]>`
    select prosrc as source from pg_proc where proname = 'verify_ledger'`;
  const names = [...source.matchAll(/^ {2}select '([^']+)'/gm)].map(([, name]) => name);

  expect(table("disagreements").map(([name]) => name)).toEqual([...new Set(names)]);
});

test.each(table("windows"))("%s in %s at %s begins at %s and ends at %s", async (...cells) => {
  const [duration, zone, at, starts, ends] = cells;
  const length = duration!.replace("1 week", "7 days");

  expect(
    await sql`select * from tollgate.window_at(${length}::interval, ${zone!}, 'monday', ${at!})`,
  ).toEqual([{ starts_at: new Date(starts!), ends_at: new Date(ends!) }]);
});

test.each(table("periods"))("from %s every %s in %s: %s", async (...cells) => {
  const [anchor, period, zone, next] = cells;

  const begins = await sql<{ at: Date }[]>`
    select tollgate.period_start(${anchor!}, ${period!}::interval, ${zone!}, n::integer) as at
    from generate_series(1, ${instants(next!).length}::integer) n order by n`;

  expect(begins.map(({ at }) => at)).toEqual(instants(next!));
});

test.each(table("policies"))("a change with %s leaves %s", async (policy, left) => {
  const project = await Project.create(sql);
  await project.plan({ quota: 100_000 }, "large");
  await project.plan({ quota: 40_000 }, "small");
  const user = await project.user("ada", {
    createdAt: "2026-04-01T00:00Z",
    billingAnchor: "2026-04-01T00:00Z",
  });
  await user.consume(10_000, { at: "2026-04-05T00:00Z" });

  const quotaPolicy = policy as "keep" | "prorate" | "reset";
  expect(await user.change({ plan: "large", quotaPolicy, at: "2026-04-16T00:00Z" }))
    .toMatchObject({ quota_left: Number(left!.replace(",", "")) });
});

test("the webhook's snippet moves a user to the plan that was bought, once", async () => {
  const tenant = await Tenant.create({ quota: 800 });
  const planId = await tenant.plan({ quota: 1000 });
  const { data: plan } = await service.from("plans").update({ name: "Pro" }).eq("id", planId)
    .select("name").single().throwOnError();
  const object = {
    metadata: { user_id: "user 123" },
    status: "active",
    cancel_at: null,
    ended_at: null,
    trial_end: null,
    billing_cycle_anchor: Date.parse("2026-01-31T12:00Z") / 1000,
    items: { data: [{ price: { lookup_key: plan.name } }] },
  };
  const send = (id: string, more: object) => {
    const event = JSON.stringify({ id, data: { object: { ...object, ...more } } });
    run(`${snippet("stripe")}\nawait onSubscription(${event});`, {
      TOLLGATE_API_KEY: tenant.apiKey,
    });
  };

  send("evt_1", {});
  send("evt_1", {});
  expect((await tenant.balance("user 123")).body).toMatchObject({
    plan: "Pro",
    payment_status: "active",
    quota_left: 1000,
  });
  expect((await tenant.transfers("user 123")).body.data).toHaveLength(1);

  send("evt_2", { cancel_at: Date.parse("2040-01-01T00:00Z") / 1000 });
  expect((await tenant.balance("user 123")).body).toMatchObject({
    payment_status: "canceled",
    quota_open_until: "2040-01-01T00:00:00+00:00",
    quota_left: 1000,
  });

  send("evt_3", { status: "canceled", ended_at: Date.now() / 1000 - 60 });
  expect((await tenant.balance("user 123")).body).toMatchObject({ quota_left: 0 });

  send("evt_4", { status: "unpaid" });
  expect((await tenant.balance("user 123")).body).toMatchObject({
    payment_status: "paused",
    quota_open_until: null,
    quota_left: 0,
  });
});

test("the snippet of usage over HTTP shows this month by tag", async () => {
  const tenant = await Tenant.create({ quota: 800 });
  await tenant.tagId("GPT-4");
  await tenant.consume("ada", 500, { tag: "GPT-4" });

  expect(run(snippet("usage-http"), { TOLLGATE_API_KEY: tenant.apiKey }))
    .toBe("GPT-4: 500 tokens this month\n");
});

test("the receipt has the fields of the document's, in each part", async () => {
  const tenant = await Tenant.create({
    quota: 800,
    restrictions: [{ tag: "GPT-4", maxTokens: 2000, duration: "1 day" }],
  });
  const documented = JSON.parse(after("shape: receipt", "```json\\n(.*?)```"));

  const { body } = await tenant.consume("ada", 500, { tag: "GPT-4" });

  const fields = (receipt: Receipt) => ({
    receipt: Object.keys(receipt),
    source: Object.keys((receipt.sources as object[])[0]!).sort(),
    limit: Object.keys(receipt.nearest_limit as object).sort(),
  });
  expect(fields(body)).toEqual(fields(documented));
});

test("the document's table of routes lists all routes and no others", () => {
  expect(table("routes").map(([route]) => route).sort())
    .toEqual(endpoints.map(({ method, path }) => `${method} ${path}`).sort());
});

test("the first project's snippet answers a key", async () => {
  const results = await sql.unsafe(snippet("first-project"));

  const [row] = results.at(-1) as unknown as { api_key: string }[];
  expect(row?.api_key).toMatch(/^tg_live_[0-9a-f]{48}$/);
});
