import { createHash } from "node:crypto";
import type { TestSql } from "../support/database.ts";
import { Project } from "../support/project.ts";
import { kindOf } from "./bad_values.ts";

/** A project in which whatever is right can be asked for. */
export class World {
  private constructor(
    readonly project: Project,
    readonly apiKey: string,
    readonly ownerId: string,
  ) {}

  static async create(sql: TestSql): Promise<World> {
    const project = await Project.create(sql);
    const restrictions = [{ tag: "GPT-4", maxTokens: 100_000, duration: "1 day" } as const];
    await project.plan({ quota: 1_000_000, restrictions }, "Pro");
    const [key] = await sql<
      { api_key: string }[]
    >`select * from create_api_key(${project.id}, 'x')`;
    const ownerId = crypto.randomUUID();
    await sql`insert into auth.users (id, email) values (${ownerId}, 'owner@example.com')`;
    return new World(project, key!.api_key, ownerId);
  }

  /** For the fields of an operation, values that are right and were not used before. */
  async rightValues(operation: string, fields: readonly string[]) {
    const { project } = this;
    const ada = project.unknownUser("ada");
    const original = crypto.randomUUID();
    const { transfer_number } = await ada.consume(10, { requestId: original });
    const { hold_id } = await ada.hold(10, { ttl: 3600 });
    const { grant_id } = await ada.grant(10);
    const recurring_grant_id = await ada.recurringGrant(10, "1 day", {
      startsAt: "2090-01-01T00:00:00Z",
    });
    const [key] = await project.sql`select * from create_api_key(${project.id}, 'spare')`;
    const fresh: Record<string, unknown> = {
      project_id: project.id,
      key_hash: `\\x${createHash("sha256").update(this.apiKey).digest("hex")}`,
      key_id: key!["id"],
      hold_id,
      transfer_number,
      original_request_id: original,
      request_id: crypto.randomUUID(),
      grant_id,
      recurring_grant_id,
      as_of: new Date().toISOString(),
    };
    return Object.fromEntries(
      fields.map((field) => [field, fresh[field] ?? kindOf(operation, field).right]),
    );
  }
}

/**
 * The fields that a request must have, and this one: a refund names its original in one way only, and
 * a cost has a currency.
 */
export function fieldsWith(field: string | undefined, required: readonly string[]): string[] {
  const others = field === "original_request_id"
    ? required.filter((name) => name !== "transfer_number")
    : required;
  const cost = field?.startsWith("cost_") ? ["cost_basis", "cost_currency"] : [];
  return [...new Set([...others, ...cost, ...(field === undefined ? [] : [field])])];
}

/** A JSON object of values, but for one field, whose JSON is given. */
export function withJson(values: Record<string, unknown>, field: string, json: string): string {
  const members = Object.entries(values).filter(([name]) => name !== field)
    .map(([name, value]) => `${JSON.stringify(name)}:${JSON.stringify(value)}`);
  return `{${[...members, `${JSON.stringify(field)}:${json}`].join(",")}}`;
}
