import { expect, test } from "vitest";
import { Tenant, verifyLedgerAtEnd } from "../support/tenant.ts";

verifyLedgerAtEnd();

const limits = ({ headers }: { headers: Headers }) => [
  headers.get("ratelimit-policy"),
  headers.get("ratelimit")?.replace(/t=\d+$/, "t=N") ?? null,
];

test("every answer about tokens tells of the nearest restriction", async () => {
  const tenant = await Tenant.create({
    quota: 1000,
    restrictions: [
      { maxTokens: 900, duration: "1 month" },
      { tag: "GPT 4", maxTokens: 100, duration: "1 week" },
    ],
  });
  const tag = "GPT 4";
  const policy = '"week-GPT%204";q=100;qu="tokens";w=604800';
  const left = (tokens: number) => `"week-GPT%204";r=${tokens};t=N`;

  expect(limits(await tenant.check("ada", 10, { tag }))).toEqual([policy, left(90)]);
  expect(limits(await tenant.consume("ada", 10, { tag }))).toEqual([policy, left(90)]);
  const hold = await tenant.hold("ada", 20, { tag });
  expect(limits(hold)).toEqual([policy, left(70)]);
  expect(limits(await tenant.settle(hold.body.hold_id, 5)))
    .toEqual([policy, left(85)]);
  expect(limits(await tenant.consume("ada", 86, { tag }))).toEqual([policy, left(85)]);
  expect(limits(await tenant.consume("ada", 10)))
    .toEqual(['"month";q=900;qu="tokens"', '"month";r=875;t=N']);
});

test("rolling windows, windows of several units and groups of tags are named in full", async () => {
  const rolling = await Tenant.create({
    quota: 1000,
    restrictions: [{ maxTokens: 900, duration: "5 hours", window: "rolling" }],
  });
  const grouped = await Tenant.create({
    quota: 1000,
    restrictions: [{ tags: ["GPT-4", "GPT 5"], maxTokens: 100, duration: "2 weeks" }],
  });
  const quarterly = await Tenant.create({
    quota: 1000,
    restrictions: [{ maxTokens: 900, duration: "3 months" }],
  });

  expect(limits(await rolling.consume("ada", 10))).toEqual([
    '"rolling-5-hours";q=900;qu="tokens";w=18000',
    '"rolling-5-hours";r=890;t=N',
  ]);
  expect(limits(await grouped.consume("ada", 10, { tag: "GPT 5" }))).toEqual([
    '"2-weeks-GPT-4,GPT%205";q=100;qu="tokens";w=1209600',
    '"2-weeks-GPT-4,GPT%205";r=90;t=N',
  ]);
  expect(limits(await quarterly.consume("ada", 10))).toEqual([
    '"3-months";q=900;qu="tokens"',
    '"3-months";r=890;t=N',
  ]);
});

test("t ends with the window", async () => {
  const tenant = await Tenant.create({
    quota: 1000,
    restrictions: [{ maxTokens: 900, duration: "1 hour" }],
  });

  const { headers, body } = await tenant.consume("ada", 10);

  const { resets_at } = body.nearest_limit as { resets_at: string };
  const seconds = Number(/t=(\d+)$/.exec(headers.get("ratelimit") ?? "")?.[1]);
  const waited = Date.parse(body.created_at) + seconds * 1000;
  expect(waited).toBeGreaterThanOrEqual(Date.parse(resets_at));
  expect(waited).toBeLessThan(Date.parse(resets_at) + 1000);
});

test("without a restriction there are no such headers", async () => {
  const tenant = await Tenant.create({ quota: 1000 });

  expect(limits(await tenant.consume("ada", 10))).toEqual([null, null]);
  expect(limits(await tenant.consume("ada", 1000))).toEqual([null, null]);
});

test("a replay, whose receipt is of then, does not say what is left now", async () => {
  const tenant = await Tenant.create({
    quota: 1000,
    restrictions: [{ maxTokens: 900, duration: "1 month" }],
  });
  await tenant.consume("ada", 10, { request_id: "r1" });

  const replay = await tenant.consume("ada", 10, { request_id: "r1" });

  expect(replay.body.nearest_limit).toMatchObject({ left: 890 });
  expect(limits(replay)).toEqual([null, null]);
});

test("a restriction of 10^15 tokens fits into the headers", async () => {
  const tenant = await Tenant.create({
    quota: 1000,
    restrictions: [{ maxTokens: 1e15, duration: "1 day" }],
  });

  const { headers } = await tenant.check("ada", 1);

  expect(headers.get("ratelimit-policy")).toBe('"day";q=999999999999999;qu="tokens";w=86400');
  expect(headers.get("ratelimit")).toMatch(/^"day";r=999999999999999;t=\d+$/);
});
