import { expect, test } from "vitest";
import { useDatabase } from "../support/database.ts";
import { Project } from "../support/project.ts";

const { sql } = useDatabase();

test("a grant that is ended by hand in the past ends at the user's last transfer", async () => {
  const project = await Project.create(sql);
  await project.plan({ type: "pay_as_you_go" });
  const user = project.unknownUser("ada");
  const { grant_id: id } = await user.grant(10, { at: "2031-01-05T10:00:00Z" });
  await user.consume(3, { at: "2031-01-05T11:00:00Z" });
  const said = await user.balance("2031-01-05T10:30:00Z");

  await sql`update user_token_grants set expires_at = '2030-06-01Z' where id = ${id}`;

  const [grant] = await sql`select expires_at from user_token_grants where id = ${id}`;
  expect(grant).toEqual({ expires_at: new Date("2031-01-05T11:00:00Z") });
  expect(await user.balance("2031-01-05T11:00:00Z")).toMatchObject({ grants_left: 0 });
  expect(await user.balance("2031-01-05T10:30:00Z")).toMatchObject({ grants_left: 10 });
  expect(said.grants_left).toBe(10);
});

test("one that has ended does not end later for being ended once more", async () => {
  const project = await Project.create(sql);
  await project.plan({ type: "pay_as_you_go" });
  const user = project.unknownUser("ada");
  const { grant_id: id } = await user.grant(10, {
    at: "2031-01-05T10:00:00Z",
    expiresAt: "2031-01-06T00:00:00Z",
  });
  await user.grant(5, { at: "2031-01-08T00:00:00Z" });

  await sql`update user_token_grants set expires_at = '2030-06-01Z' where id = ${id}`;

  const [grant] = await sql`select expires_at from user_token_grants where id = ${id}`;
  expect(grant).toEqual({ expires_at: new Date("2031-01-06T00:00:00Z") });
  expect(await user.balance("2031-01-07T00:00:00Z")).toMatchObject({ grants_left: 0 });
});

test("it can be given more time, and time without end", async () => {
  const project = await Project.create(sql);
  await project.plan({ type: "pay_as_you_go" });
  const user = project.unknownUser("ada");
  const { grant_id: id } = await user.grant(10, {
    at: "2031-01-05T10:00:00Z",
    expiresAt: "2031-02-01T00:00:00Z",
  });

  for (const end of [new Date("2031-03-01T00:00:00Z"), null, new Date("2031-01-20T00:00:00Z")]) {
    const [grant] = await sql`update user_token_grants set expires_at = ${end}
      where id = ${id} returning expires_at`;
    expect(grant).toEqual({ expires_at: end });
  }
});
