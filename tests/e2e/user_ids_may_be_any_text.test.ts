import { expect, test } from "vitest";
import { Random, seed } from "../support/random.ts";
import { type ErrorJson, Tenant, verifyLedgerAtEnd } from "../support/tenant.ts";

verifyLedgerAtEnd();

const tenant = await Tenant.create({ quota: 1000 });

test.each([
  "a/b",
  "/",
  "100%",
  "%2F",
  "%",
  "a?b=c&d#e",
  "a+b c",
  " ",
  "..a",
  "...",
  "tab\tand\nnewline",
  "quotes \" and ' and \\",
  "'; drop table tracked_users; --",
  '{"user":"ada"}',
  "null",
  "ключ",
  "日本語",
  "👩‍👩‍👧‍👦",
  "\u202Eright-to-left",
])("%j is a user id like any other", async (userId) => {
  const granted = await tenant.grant(userId, 50);
  const consumed = await tenant.consume(userId, 100);
  const balance = await tenant.balance(userId);
  const transfers = await tenant.transfers(userId);
  const changed = await tenant.change(userId, { time_zone: null });

  expect(changed.body.user_id).toBe(userId);
  expect(granted.body.user_id).toBe(userId);
  expect(consumed.body.user_id).toBe(userId);
  expect(balance.body).toMatchObject({ user_id: userId, tokens_left: 950 });
  expect(transfers.body.data.map(({ amount }) => amount)).toEqual([-100, 50]);
});

test.each(["x", "ы", "🙂"])("255 times %s is a user id", async (character) => {
  const userId = character.repeat(255);

  await tenant.consume(userId, 100);

  expect((await tenant.balance(userId)).body).toMatchObject({ user_id: userId, tokens_left: 900 });
});

/** Characters of all kinds, some of which something along the way might want to change. */
const ranges = (
  "20-7e 1-1f 7f-a0 c0-24f 300-36f 370-58f 590-6ff 900-dff 1e00-1fff 2000-206f 2100-218f ac00-d7a3 " +
  "4e00-9fff e000-f8ff f900-faff fdd0-fdef fe00-fe0f feff-feff ff01-ff5e fff0-ffff 10000-1ffff " +
  "e0000-e01ef 10ff00-10ffff"
).split(" ").map((range) => range.split("-").map((hex) => parseInt(hex, 16)) as [number, number]);

function randomText(random: Random): string {
  const length = random.pick([1, 2, 3, random.integer(4, 20), 240]);
  const some = random.number() < 0.5 ? ranges : [random.pick(ranges)];
  return Array.from({ length }, () => String.fromCodePoint(random.integer(...random.pick(some))))
    .join("");
}

/** Other texts that look, sort, decode or compare like this one. */
function lookAlikes(text: string): string[] {
  const normalized = ["NFC", "NFD", "NFKC", "NFKD"].map((form) => text.normalize(form));
  const around = [
    " ",
    "\t",
    "\n",
    "\u00a0",
    "\u200b",
    "\u200e",
    "\u202e",
    "\ufeff",
    "/",
    ".",
    "\\",
  ];
  return [
    ...[
      text,
      ...normalized,
      text.toUpperCase(),
      text.toLowerCase(),
      [...text].toReversed().join(""),
    ],
    ...around.flatMap((character) => [`${text}${character}`, `${character}${text}`]),
    ...[
      encodeURIComponent(text),
      `${text}%00`,
      `%${text}`,
      `../${text}`,
      `${text}?a#b`,
      `0${text}`,
    ],
    ...[text.replaceAll("a", "\u0430"), text.replaceAll(" ", "+"), JSON.stringify(text)],
  ];
}

test(`texts that differ at all are users of their own (TOLLGATE_SEED=${seed})`, async () => {
  const random = new Random();
  const own = await Tenant.create({ quota: 1_000_000 });
  const texts = ["Bob", "e\u0301", "01", "\u1e9b\u0323", "İi", "ﬁ", "Ω", "ß", "a/b", "👩‍💻"];
  while (texts.length < 15) texts.push(randomText(random));
  const ids = [...new Set(texts.flatMap(lookAlikes))].filter((id) => [...id].length <= 255);
  const tokensOf = new Map(ids.map((id, n) => [id, n + 1]));

  const calls = ids.map((id) => async () => {
    const { status, body } = await own.consume(id, tokensOf.get(id)!);
    expect([status, body.user_id, body.transfer_number], JSON.stringify(id)).toEqual([200, id, 1]);
  });
  await eightAtATime(calls);

  const reads = ids.filter((id) => !/^\.\.?$/.test(id)).map((id) => async () => {
    const { status, body } = await own.balance(id);
    expect([status, body.user_id, body.quota_used], JSON.stringify(id))
      .toEqual([200, id, tokensOf.get(id)]);
  });
  await eightAtATime(reads);
});

async function eightAtATime(calls: (() => Promise<void>)[]) {
  const queue = calls.values();
  await Promise.all(Array.from({ length: 8 }, async () => {
    for (const call of queue) await call();
  }));
}

test.each([
  ["empty", ""],
  ["of 256 characters", "x".repeat(256)],
  ["of 256 emoji", "🙂".repeat(256)],
  ["with a NUL", "a\0b"],
  ["with half of a surrogate pair", "a\ud800"],
])("a user id %s is refused", async (_, userId) => {
  const { status, body } = await tenant.post<ErrorJson>("/v1/consume", {
    user_id: userId,
    tokens_to_consume: 1,
  });

  expect(status).toBe(400);
  expect(body.error).toMatchObject({
    code: "invalid_request",
    message: "user_id must be text of 1 to 255 characters, all of them valid and none NUL.",
  });
});

test.each([
  // Every client takes the dots out of a path before it sends it.
  [".", "method_not_allowed"],
  ["..", "unknown_route"],
])("the user %j exists, but has no URL", async (userId, code) => {
  const consumed = await tenant.consume(userId, 1);

  const { body } = await tenant.api<ErrorJson>(`/v1/users/${userId}/balance`);
  const changed = await tenant.change<ErrorJson>(userId, { payment_status: "paused" });

  expect(consumed.body.user_id).toBe(userId);
  expect(body.error.code).toBe(code);
  expect(changed.body.error.code).toBe("unknown_route");
});

test.each(["%", "%zz", "%c3%28", "%ff", "%ed%a0%80"])(
  "the malformed escape %s in a path is refused",
  async (escape) => {
    const { status, body } = await tenant.api<ErrorJson>(`/v1/users/a${escape}/balance`);

    expect(status).toBe(400);
    expect(body.error.message).toBe("The URL holds a malformed percent-encoding.");
  },
);
