import { expect, test } from "vitest";
import { useDatabase } from "../support/database.ts";
import { Project } from "../support/project.ts";

const { sql } = useDatabase();

async function userOnMayTenth() {
  const project = await Project.create(sql);
  await project.plan({ quota: 1000, restrictions: [{ maxTokens: 100, duration: "1 day" }] });
  const user = await project.user("ada", { billingAnchor: "2026-05-01T00:00Z" });
  await user.consume(60, { at: "2026-05-10T00:00:00Z" });
  return user;
}

test("a call that is placed before the last transfer is dated with it", async () => {
  const user = await userOnMayTenth();

  expect(await user.consume(1, { at: "2026-05-09T23:59:59Z" })).toMatchObject({
    created_at: new Date("2026-05-10T00:00:00Z"),
  });
});

test("a call that is placed in an earlier window counts in the last one", async () => {
  const user = await userOnMayTenth();

  expect(await user.consume(41, { at: "2026-05-09T23:59:59Z" })).toMatchObject({
    reason: "restriction_exceeded",
    retry_at: new Date("2026-05-11T00:00:00Z"),
  });
  await user.consume(40, { at: "2026-05-09T23:59:59Z" });
  expect((await user.balance("2026-05-10T12:00Z")).restrictions).toMatchObject([{ used: 100 }]);
});

test("a call that is placed in an earlier quota period draws on the last one", async () => {
  const user = await userOnMayTenth();

  await user.consume(40, { at: "2026-04-10T00:00:00Z" });

  expect(await sql`select tokens_used from user_quota_usage where user_id = ${user.id!}`)
    .toEqual([{ tokens_used: 100 }]);
});

test("a call that is placed before a quota period that a denied call began draws on that one", async () => {
  const project = await Project.create(sql);
  const plan = await project.plan({
    quota: 10,
    period: "1 day",
    rollover: { maxTokens: 5, periods: 1 },
  });
  const user = await project.user("ada", { billingAnchor: "2126-05-01T00:00Z", planId: plan });
  await user.consume(10, { at: "2126-05-01T12:00:00Z" });
  expect(await user.consume(99, { at: "2126-05-02T00:00:00Z" })).toMatchObject({ success: false });

  expect(await user.consume(4, { at: "2126-05-01T23:59:59Z" })).toMatchObject({
    quota_left: 6,
    created_at: new Date("2126-05-02T00:00:00Z"),
  });
  await user.grant(7);
  expect(await user.consume(13, { at: "2126-05-01T23:59:58Z" })).toMatchObject({
    base_quota_used: 6,
    grants_used: 7,
    created_at: new Date("2126-05-02T00:00:00Z"),
  });
  expect(await sql`select * from verify_ledger(${project.id})`).toEqual([]);
});

test("a grant that expired before the last transfer cannot be spent by a late clock", async () => {
  const project = await Project.create(sql);
  await project.plan({ type: "pay_as_you_go" });
  const user = await project.user("ada");
  await user.grant(100, { at: "2026-05-01T00:00Z", expiresAt: "2026-05-09T00:00Z" });
  await user.grant(1, { at: "2026-05-10T00:00Z" });

  expect(await user.consume(50, { at: "2026-05-08T00:00Z" })).toMatchObject({
    success: false,
    grants_left: 1,
  });
});

test("a grant that is placed before the last transfer is dated with it", async () => {
  const user = await userOnMayTenth();
  await user.grant(100, { at: "2026-05-09T00:00Z" });

  expect(await sql`select created_at from user_token_grants where user_id = ${user.id!}`)
    .toEqual([{ created_at: new Date("2026-05-10T00:00:00Z") }]);
});

test("a balance that is read before the last transfer is as of then", async () => {
  const user = await userOnMayTenth();

  expect(await user.balance("2026-05-10T00:00Z")).toMatchObject({
    quota_used: 60,
    restrictions: [{ used: 60 }],
    as_of: new Date("2026-05-10T00:00:00Z"),
  });
  expect(await user.balance("2026-05-09T23:59:59.999999Z")).toMatchObject({
    quota_used: 0,
    restrictions: [{ used: 0, resets_at: "2026-05-10T00:00:00+00:00" }],
    as_of: new Date("2026-05-09T23:59:59.999Z"),
  });
});
