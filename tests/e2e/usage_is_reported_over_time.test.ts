import { expect, test } from "vitest";
import { type ErrorJson, service, Tenant, verifyLedgerAtEnd } from "../support/tenant.ts";

verifyLedgerAtEnd();

const DAY = 86_400_000;

const tenant = await Tenant.create({ quota: 1000 });
await tenant.tagId("GPT-4");
await tenant.tagId("embeddings");
await tenant.tagId("unused");
await tenant.grant("ada", 500);
const { body: first } = await tenant.consume("ada", 900, { tag: "GPT-4" });
await tenant.consume("ada", 300, { tag: "embeddings" });
await tenant.consume("bob", 40);
await service.rpc("consume_tokens", {
  ...{ p_project_id: tenant.id, p_external_user_id: "bob", p_tokens: 2 },
}).throwOnError();

const stranger = await Tenant.create({ quota: 1000 });
await stranger.consume("ada", 7);

/** From the day before the first consumption, so that whatever the hour there is one without. */
const dayBefore = new Date(Date.parse(first.created_at) - DAY).toISOString();
const month = { from: first.created_at, step: "month" };

type Steps = Awaited<ReturnType<typeof tenant.usage>>["body"]["data"];
type Amount = "tokens_used" | "base_quota_used" | "grants_used" | "calls";
const sumOf = (steps: Steps, amount: Amount) => steps.reduce((sum, step) => sum + step[amount], 0);

/** What each group has in all steps together; at the end of a month there may be two. */
function groupsOf(steps: Steps): Record<string, number[]> {
  const sums: Record<string, number[]> = {};
  for (const { groups } of steps) {
    for (
      const { group, tokens_used, calls } of groups as {
        group: string | null;
        tokens_used: number;
        calls: number;
      }[]
    ) {
      const [tokens = 0, times = 0] = sums[String(group)] ?? [];
      sums[String(group)] = [tokens + tokens_used, times + calls];
    }
  }
  return sums;
}

test("usage is answered by days, those without any as well", async () => {
  const { status, body } = await tenant.usage({ from: dayBefore });

  expect(status).toBe(200);
  const [empty, ...others] = body.data;
  const starts = `${dayBefore.slice(0, 10)}T00:00:00+00:00`;
  expect(empty).toEqual({
    starts_at: starts,
    ends_at: new Date(Date.parse(starts) + DAY).toISOString().replace(".000Z", "+00:00"),
    tokens_used: 0,
    base_quota_used: 0,
    grants_used: 0,
    calls: 0,
    groups: null,
  });
  expect(sumOf(others, "tokens_used")).toBe(1242);
  expect(sumOf(others, "base_quota_used")).toBe(1042);
  expect(sumOf(others, "grants_used")).toBe(200);
  expect(sumOf(others, "calls")).toBe(4);
});

test.each([["hour", 24], ["day", 1], ["week", 0], ["month", 0]])(
  "steps of one %s follow each other without a gap",
  async (step, atLeast) => {
    const { body } = await tenant.usage({ from: dayBefore, step });

    expect(body.data.length).toBeGreaterThan(atLeast);
    body.data.slice(1).forEach(({ starts_at }, n) => {
      expect(starts_at).toBe(body.data[n]!.ends_at);
    });
    expect(Date.parse(body.data[0]!.starts_at)).toBeLessThanOrEqual(Date.parse(dayBefore));
    expect(sumOf(body.data, "tokens_used")).toBe(1242);
  },
);

test.each([
  ["tag", { "GPT-4": [900, 1], "embeddings": [300, 1], "null": [42, 2] }],
  ["user", { ada: [1200, 2], bob: [42, 2] }],
  ["key", { e2e: [1240, 3], null: [2, 1] }],
  ["source", { base_quota: [1042, 4], grants: [200, 4] }],
])("grouped by %s every step says who used how much", async (group_by, groups) => {
  const { body } = await tenant.usage({ ...month, group_by });

  expect(groupsOf(body.data)).toEqual(groups);
});

test("usage can be that of one user, or of one tag", async () => {
  const ofBob = await tenant.usage({ ...month, user_id: "bob" });
  const ofTag = await tenant.usage({ ...month, tag: "GPT-4" });
  const ofBoth = await tenant.usage({ ...month, user_id: "bob", tag: "GPT-4" });
  const ofUnused = await tenant.usage({ ...month, tag: "unused", group_by: "tag" });

  expect(sumOf(ofBob.body.data, "tokens_used")).toBe(42);
  expect(sumOf(ofTag.body.data, "tokens_used")).toBe(900);
  expect(sumOf(ofBoth.body.data, "tokens_used")).toBe(0);
  expect(ofUnused.body.data[0]).toMatchObject({ tokens_used: 0, groups: [] });
});

test("a user of another time zone has other days", async () => {
  const { body: { plan } } = await tenant.balance("ada");
  const { data: { id } } = await service.from("plans").select("id").eq("name", plan)
    .eq("project_id", tenant.id).single().throwOnError();
  await tenant.user("taro", id, { timeZone: "Asia/Tokyo" });

  const { body } = await tenant.usage({
    from: "2026-01-15T00:00:00Z",
    to: "2026-01-15T16:00:00Z",
    user_id: "taro",
  });

  expect(body.data.map(({ starts_at }) => starts_at)).toEqual([
    "2026-01-14T15:00:00+00:00",
    "2026-01-15T15:00:00+00:00",
  ]);
});

test("what is refunded no longer counts, though the call does", async () => {
  const own = await Tenant.create({ quota: 1000 });
  const { body: receipt } = await own.consume("ada", 100);
  await own.refund("ada", { transfer_number: receipt.transfer_number, tokens: 30 });

  const { body } = await own.usage({ from: receipt.created_at, step: "month" });

  expect(body.data[0]).toMatchObject({ tokens_used: 70, base_quota_used: 70, calls: 1 });
});

test("an offset of the instants is understood, if its + is encoded", async () => {
  const encoded = await tenant.usage({
    from: "2026-01-15T00:00:00+02:00",
    to: "2026-01-15T22:00:00+00:00",
  });
  const bare = await tenant.api<ErrorJson>("/v1/usage?from=2026-01-15T00:00:00+02:00");

  expect(encoded.body.data.map(({ starts_at }) => starts_at)).toEqual([
    "2026-01-14T00:00:00+00:00",
    "2026-01-15T00:00:00+00:00",
  ]);
  expect(bare.status).toBe(400);
  expect(bare.body.error.message).toMatch(/^from must be an ISO 8601 time with an offset/);
  expect(bare.body.error.hint).toContain("write Z, or %2B for the + of an offset");
});

test.each([
  ["no from", "", /^from is required\.$/],
  ["from at to", "from=2026-01-01T00:00:00Z&to=2026-01-01T00:00:00Z", /^from must be an instant/],
  ["to before from", "from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z", /^from must be an inst/],
  ["from in the future", "from=2090-01-01T00:00:00Z", /^from must be an instant before to/],
  [
    "more than 1000 hours",
    "from=2026-01-01T00:00:00Z&to=2026-02-11T17:00:00Z&step=hour",
    /^from and to are more than 1000 hours apart$/,
  ],
])("%s is refused", async (_, query, message) => {
  const { status, body } = await tenant.api<ErrorJson>(`/v1/usage?${query}`);

  expect(status).toBe(400);
  expect(body.error).toMatchObject({
    code: "invalid_request",
    message: expect.stringMatching(message),
  });
});

test("a thousand steps are answered", async () => {
  const { body } = await tenant.usage({
    from: "2026-01-01T00:00:00Z",
    to: "2026-02-11T16:00:00Z",
    step: "hour",
  });

  expect(body.data).toHaveLength(1000);
  expect(body.data.at(-1)!.ends_at).toBe("2026-02-11T16:00:00+00:00");
});

test("an unknown user and an unknown tag are mistakes, those of another project alike", async () => {
  await stranger.tagId("theirs");
  await stranger.consume("eve", 1);

  for (
    const [query, status, code] of [
      ["user_id=nobody", 404, "unknown_user"],
      ["user_id=eve", 404, "unknown_user"],
      ["tag=nothing", 400, "unknown_tag"],
      ["tag=theirs", 400, "unknown_tag"],
    ]
  ) {
    const answer = await tenant.api<ErrorJson>(`/v1/usage?from=2026-01-01T00:00:00Z&${query}`);

    expect([answer.status, answer.body.error.code], String(query)).toEqual([status, code]);
  }
});

test("usage of a project does not tell of another's", async () => {
  const { body } = await stranger.usage({ ...month, group_by: "user" });

  expect(Object.keys(groupsOf(body.data))).not.toContain("bob");
  expect(groupsOf(body.data)["ada"]).toEqual([7, 1]);
});
