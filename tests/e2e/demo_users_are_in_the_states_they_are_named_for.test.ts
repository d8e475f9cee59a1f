import { execFileSync } from "node:child_process";
import { expect, test } from "vitest";
import type { Stack } from "../../local/stack.ts";
import { welcome } from "../../local/welcome.ts";
import {
  type Balance,
  callApi,
  type Receipt,
  service,
  stack,
  type TransferPage,
} from "../support/tenant.ts";

// Only our own stack is seeded, and fresh: its demo users have not spent anything today.
const demo = test.runIf(stack.own);

const { data: project } = await service.from("projects").select("id").eq("name", "Demo")
  .limit(1).maybeSingle().throwOnError();
const { data: keys } = project
  ? await service.rpc("create_api_key", { p_project_id: project.id, p_name: "e2e" }).throwOnError()
  : { data: [] };
const apiKey = keys[0]?.api_key ?? "";
const headers = { authorization: `Bearer ${apiKey}` };

const balance = (userId: string) =>
  callApi<Balance>(`/v1/users/${userId}/balance`, { headers }).then(({ body }) => body);

const consume = (user_id: string, tokens_to_consume: number, tag?: string) =>
  callApi<Receipt>("/v1/consume", {
    method: "POST",
    headers,
    body: JSON.stringify({ user_id, tokens_to_consume, tag }),
  });

demo("the curl line that npm start prints consumes 500 tokens of ada", async () => {
  const before = await balance("ada");
  const text = welcome(
    { url: stack.url, dbUrl: () => "" } as Partial<Stack> as Stack,
    { projectId: project!.id, apiKey },
    ".local/stack.env",
    0,
  );
  const [curl = ""] = /curl -X POST (.+\n)+/.exec(text) ?? [];

  const answer = execFileSync("sh", ["-c", curl], { encoding: "utf8", stdio: "pipe" });

  expect(JSON.parse(answer)).toMatchObject({
    success: true,
    tokens_consumed: 500,
    user_id: "ada",
    sources: [{ type: "quota", tokens: 500, left: expect.any(Number) }],
    nearest_limit: { tag: "GPT-4", max_tokens: 2000, used: 500, left: 1500 },
  });
  expect((await balance("ada")).tokens_left).toBe(before.tokens_left - 500);
});

demo("ada has quota, a trial and a purchase, and a history", async () => {
  expect(await balance("ada")).toMatchObject({
    plan: "Pro",
    payment_status: "active",
    grants_left: 25_000,
  });
  const { body } = await callApi<{ data: object[] }>("/v1/users/ada/transfers?limit=100", {
    headers,
  });
  expect(body.data.length).toBeGreaterThan(70);
});

demo("fresh has used nothing", async () => {
  expect(await balance("fresh")).toMatchObject({
    quota_used: 0,
    quota_left: 50_000,
    grants_left: 0,
  });
});

demo("quota-nearly-used has a last two percent of quota, and nothing else", async () => {
  const { quota_amount, quota_left, grants_left } = await balance("quota-nearly-used");

  expect(quota_left).toBeGreaterThan(0);
  expect(quota_left).toBeLessThan(0.02 * quota_amount);
  expect(grants_left).toBe(0);
});

demo("past-due is denied for the payment", async () => {
  const { status, body } = await consume("past-due", 500);

  expect(status).toBe(402);
  expect(body).toMatchObject({ reason: "payment_inactive", quota_left: 0 });
});

demo("grants-about-to-expire has grants that end within two days", async () => {
  const { data } = await service.from("user_token_grants")
    .select("expires_at, tracked_users!inner(external_id, project_id)")
    .eq("tracked_users.project_id", project!.id)
    .eq("tracked_users.external_id", "grants-about-to-expire")
    .gt("expires_at", new Date().toISOString()).eq("is_spent", false).throwOnError();

  expect(await balance("grants-about-to-expire")).toMatchObject({
    plan: "Pay as you go",
    quota_amount: null,
  });
  expect(data.length).toBeGreaterThan(0);
  for (const { expires_at } of data) {
    expect(Date.parse(expires_at!)).toBeLessThan(Date.now() + 2 * 86_400_000);
  }
});

demo("blocked-by-restriction has no GPT-4 left today, but other tokens", async () => {
  const blocked = await consume("blocked-by-restriction", 1, "GPT-4");
  const other = await consume("blocked-by-restriction", 1, "embeddings");

  expect(blocked.status).toBe(429);
  expect(blocked.body).toMatchObject({
    reason: "restriction_exceeded",
    nearest_limit: { tag: "GPT-4", max_tokens: 2000, used: 2000, left: 0 },
  });
  expect(other.status).toBe(200);
});

demo("ada's plan forbids GPT-5, which waiting does not change", async () => {
  const { status, body } = await consume("ada", 1, "GPT-5");

  expect(status).toBe(429);
  expect(body).toMatchObject({ message: "The plan does not allow GPT-5", retry_at: null });
});

demo(
  "quota-rolled-over has what the last period left, and the first call writes it down",
  async () => {
    const rollover = { grant_type: "rollover", tokens_left: 15_000 };
    expect(await balance("quota-rolled-over")).toMatchObject({
      quota_left: 100_000,
      grants_left: 15_000,
      grants: [rollover],
    });

    await consume("quota-rolled-over", 1);

    const { body } = await callApi<TransferPage>("/v1/users/quota-rolled-over/transfers?limit=2", {
      headers,
    });
    expect(body.data.map(({ transaction_type, amount }) => [transaction_type, amount])).toEqual([
      ["consumption", -1],
      ["grant", 15_000],
    ]);
    expect(await balance("quota-rolled-over")).toMatchObject({ grants: [rollover] });
  },
);

demo("weekly-bonus has this week's bonus alone, of three", async () => {
  const { grants, grants_left } = await balance("weekly-bonus");
  const { data } = await service.from("user_token_grants")
    .select("token_amount, recurring_grant_id, tracked_users!inner(external_id, project_id)")
    .eq("tracked_users.project_id", project!.id)
    .eq("tracked_users.external_id", "weekly-bonus").throwOnError();

  expect(grants).toMatchObject([{ grant_type: "bonus", tokens_left: grants_left }]);
  expect(grants_left).toBeGreaterThan(400);
  expect(data).toHaveLength(3);
  for (const grant of data) {
    expect(grant).toMatchObject({ token_amount: 500, recurring_grant_id: expect.any(String) });
  }
});

demo("five-hours-used-up may call again when the first of two calls has rolled off", async () => {
  const { status, body } = await consume("five-hours-used-up", 4000, "GPT-4");
  const more = await consume("five-hours-used-up", 4001, "GPT-4");

  expect(status).toBe(429);
  expect(body.nearest_limit).toMatchObject({
    tags: null,
    duration: "5 hours",
    window: "rolling",
    used: 10_000,
  });
  // The two calls were two hours apart.
  expect(Date.parse(more.body.retry_at) - Date.parse(body.retry_at)).toBe(2 * 3_600_000);
});

demo("plan-ends-soon shares one limit between two models, and goes to Pro by itself", async () => {
  const { plan, next_plan, next_plan_at, quota_resets_at, restrictions } = await balance(
    "plan-ends-soon",
  );

  expect({ plan, next_plan }).toEqual({ plan: "Team", next_plan: "Pro" });
  expect(next_plan_at).toBe(quota_resets_at);
  expect(restrictions).toContainEqual(
    expect.objectContaining({ tags: ["GPT-4", "GPT-5"], max_tokens: 30_000 }),
  );
});

demo("past-due-in-grace may use the quota for a week more", async () => {
  const { payment_status, quota_open_until } = await balance("past-due-in-grace");
  const { status } = await consume("past-due-in-grace", 500);

  expect(payment_status).toBe("past_due");
  expect(Date.parse(quota_open_until)).toBeGreaterThan(Date.now() + 6 * 86_400_000);
  expect(status).toBe(200);
});
