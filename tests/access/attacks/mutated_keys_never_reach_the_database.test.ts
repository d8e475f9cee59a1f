import { createHash } from "node:crypto";
import { expect, test } from "vitest";
import { connectDatabase } from "../../../supabase/functions/_shared/database.ts";
import { createApp } from "../../../supabase/functions/api/app.ts";
import { Random, seed } from "../../support/random.ts";

// Nothing listens on port 1: a request that gets as far as the database is answered 503.
const app = createApp({
  database: connectDatabase({ supabaseUrl: "http://127.0.0.1:1", secretKey: "none" }),
});

async function statusWith(key: string): Promise<number> {
  const { status } = await app.request("/api/v1/consume", {
    method: "POST",
    headers: { authorization: `Bearer ${key}` },
    body: JSON.stringify({ user_id: "ada", tokens_to_consume: 1 }),
  });
  return status;
}

const body = `tg_live_${"0123456789abcdef".repeat(3).slice(0, 40)}`;
const key = body + createHash("sha256").update(body).digest("hex").slice(0, 8);

const mutations: ((key: string, random: Random) => string)[] = [
  (key, random) => {
    const at = random.integer(8, key.length - 1);
    const digit = random.pick([..."0123456789abcdef"].filter((other) => other !== key[at]));
    return key.slice(0, at) + digit + key.slice(at + 1);
  },
  (key, random) => {
    const at = random.integer(0, key.length - 1);
    return key.slice(0, at) + key.slice(at + 1);
  },
  (key, random) => {
    const at = random.integer(0, key.length);
    return key.slice(0, at) + random.pick([..."0aZ_-%'\"."]) + key.slice(at);
  },
  (key, random) => {
    const at = random.integer(9, key.length - 1);
    return key[at] === key[at - 1]
      ? key.slice(1)
      : key.slice(0, at - 1) + key[at] + key[at - 1] + key.slice(at + 1);
  },
  (key) => key.toUpperCase(),
  (key, random) => key.slice(0, random.integer(1, key.length - 1)),
];

test("the key itself does", async () => {
  expect(await statusWith(key)).toBe(503);
});

test(`none of 10,000 mutations of it does (SEED=${seed})`, async () => {
  const random = new Random();
  const statuses = new Set<number>();
  for (let n = 0; n < 10_000; n++) {
    statuses.add(await statusWith(random.pick(mutations)(key, random)));
  }
  expect([...statuses]).toEqual([401]);
});
