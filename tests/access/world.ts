import { createHash, randomUUID } from "node:crypto";
import { Project } from "../support/project.ts";
import type { TestSql } from "../support/database.ts";
import { addAuthUsers } from "../support/rest.ts";

const NAMES = [
  ...["owner", "admin", "viewer", "guest", "newcomer"],
  ...["other_owner", "linked_user", "other_user", "stranger"],
] as const;

/** The auth users of a run of the matrix, by their part in it. */
export type People = Record<(typeof NAMES)[number], string>;

export const addPeople = (sql: TestSql): Promise<People> => addAuthUsers(sql, NAMES);

/** A project with a row of every kind, and rows that nothing refers to, to be changed or deleted. */
export interface World {
  id: string;
  emptyProject: string;
  tag: string;
  spareTag: string;
  restriction: string;
  plan: string;
  /** Without quota and users. */
  sparePlan: string;
  spareQuota: string;
  key: string;
  /** As PostgREST takes a bytea. */
  keyHash: string;
  users: { ada: string; bob: string; idle: string };
  /** An instant after the users were made and before any call. */
  then: string;
  /** An open hold of ada. */
  hold: string;
  /** Of ada. */
  grant: string;
  /** Of ada, with all its times to come. */
  recurringGrant: string;
}

/**
 * Makes a world that the given people own, manage and see. `ada` and `bob` have history and are linked
 * to two auth users; `idle` has neither.
 */
export async function createWorld(
  sql: TestSql,
  { owner, admin, viewer, guest, linked_user, other_user }: Partial<People>,
): Promise<World> {
  const project = await Project.create(sql);
  const { id } = project;
  const emptyProject = randomUUID();
  await sql`update projects set name = id where id = ${id}`;
  await sql`insert into projects (id, name) values (${emptyProject}, ${`${id} empty`})`;
  const members = Object.entries({ owner, admin, viewer, guest }).flatMap(([name, user_id]) => {
    const role = name === "guest" ? "viewer" : name;
    return user_id ? [id, emptyProject].map((project_id) => ({ project_id, user_id, role })) : [];
  });
  await sql`insert into project_members ${sql(members)}`;

  const sparePlan = await project.plan({});
  const quotaPlan = await project.plan({ quota: 1 });
  const plan = await project.plan({
    quota: 100,
    restrictions: [{ tag: "GPT-4", maxTokens: 1000, duration: "1 month" }],
  });
  const tag = await project.tagId("GPT-4");
  const spareTag = await project.tagId("spare");
  const users = { ada: "", bob: "", idle: "" };
  for (const name of ["ada", "bob", "idle"] as const) {
    users[name] = (await project.user(name)).id!;
  }
  const [now] = await sql<{ then: string }[]>`
    select clock_timestamp()::text as then`;
  for (const name of ["ada", "bob"]) {
    await project.unknownUser(name).grant(100);
    await project.unknownUser(name).consume(150, { tag: "GPT-4" });
    await project.unknownUser(name).hold(5, { ttl: 86_400 });
    await project.unknownUser(name).recurringGrant(7, "1 week", { startsAt: "2999-01-01T00:00Z" });
  }
  const { hold_id } = await project.unknownUser("ada").hold(1);
  const [row] = await sql<
    {
      key: string;
      api_key: string;
      restriction: string;
      quota: string;
      grant: string;
      recurring_grant: string;
    }[]
  >`
    with
      linked_ada as (update tracked_users set auth_user_id = ${
    linked_user ?? null
  } where id = ${users.ada}),
      linked_bob as (update tracked_users set auth_user_id = ${
    other_user ?? null
  } where id = ${users.bob})
    select k.id as key, k.api_key,
      (select r.id from plan_restrictions r where r.plan_id = ${plan}) as restriction,
      (select q.id from plan_quotas q where q.plan_id = ${quotaPlan}) as quota,
      (select g.id from user_token_grants g where g.user_id = ${users.ada}) as grant,
      (select r.id from recurring_grants r where r.user_id = ${users.ada}) as recurring_grant
    from create_api_key(${id}, 'Backend') k`;
  // So that no use of the key is noted: uses are noted once an hour.
  await sql`update api_keys set last_used_at = '2999-01-01' where id = ${row!.key}`;
  return {
    ...{ id, emptyProject, tag, spareTag, plan, sparePlan, users, then: now!.then },
    hold: hold_id,
    grant: row!.grant,
    recurringGrant: row!.recurring_grant,
    restriction: row!.restriction,
    spareQuota: row!.quota,
    key: row!.key,
    keyHash: `\\x${createHash("sha256").update(row!.api_key).digest("hex")}`,
  };
}
