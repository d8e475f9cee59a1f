import { execFileSync } from "node:child_process";
import { expect, test } from "vitest";
import type { Stack } from "../../local/stack.ts";
import { welcome } from "../../local/welcome.ts";
import { type Balance, callApi, type Receipt, service, stack } from "../support/tenant.ts";

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
