import { randomUUID } from "node:crypto";
import type { TestSql } from "./database.ts";

export type Duration = "1 hour" | "1 day" | "1 week" | "1 month";

/** A limit per calendar window, of one tag or, without it, of all. */
export interface Restriction {
  tag?: string;
  maxTokens: number;
  duration: Duration;
}

export interface PlanOptions {
  type?: "subscription" | "pay_as_you_go";
  quota?: number;
  period?: "1 day" | "1 week" | "1 month" | "1 year";
  restrictions?: Restriction[];
}

export interface UserOptions {
  planId?: string;
  paymentStatus?: "active" | "past_due" | "canceled";
  /** An instant, ISO 8601. */
  billingAnchor?: string;
}

/** A call placed in time goes to the kernel; without `at` it goes to the public function. */
export interface Call {
  tag?: string;
  at?: string;
  metadata?: Record<string, string | number>;
  requestId?: string;
}

/** A project in the test's own database, set up by plain SQL as an owner would in Studio. */
export class Project {
  private constructor(readonly sql: TestSql, readonly id: string) {}

  static async create(sql: TestSql, timeZone = "UTC"): Promise<Project> {
    const id = randomUUID();
    await sql`insert into projects (id, name, time_zone) values (${id}, 'Test', ${timeZone})`;
    return new Project(sql, id);
  }

  /** The same project over another connection. */
  on(sql: TestSql): Project {
    return new Project(sql, this.id);
  }

  /** Makes a plan, the default one of the project, with its tags, quota and restrictions. */
  async plan({ type = "subscription", quota, period = "1 month", restrictions = [] }: PlanOptions) {
    const { sql, id } = this;
    const [plan] = await sql<{ id: string }[]>`
      insert into plans (project_id, name, plan_type) values (${id}, ${randomUUID()}, ${type})
      returning id`;
    if (quota !== undefined) {
      await sql`insert into plan_quotas (plan_id, token_amount, period)
        values (${plan!.id}, ${quota}, ${period})`;
    }
    for (const restriction of restrictions) await this.restrict(plan!.id, restriction);
    await sql`update projects set default_plan_id = ${plan!.id} where id = ${id}`;
    return plan!.id;
  }

  async restrict(planId: string, { tag, maxTokens, duration }: Restriction) {
    if (tag) await this.tagId(tag);
    const config = { ...(tag && { tag_name: tag }), max_tokens: maxTokens, duration };
    await this.sql`insert into plan_restrictions (plan_id, restriction_type, restriction_config)
      values (${planId}, ${tag ? "tag" : "total"}, ${this.sql.json(config)})`;
  }

  /** The id of a tag, made if need be. */
  async tagId(name: string): Promise<string> {
    await this.sql`insert into tags (project_id, name) values (${this.id}, ${name})
      on conflict (project_id, name) do nothing`;
    const [tag] = await this.sql<{ id: string }[]>`
      select id from tags where project_id = ${this.id} and name = ${name}`;
    return tag!.id;
  }

  async user(externalId: string, options: UserOptions = {}): Promise<User> {
    const { planId = null, paymentStatus = "active", billingAnchor } = options;
    const [user] = await this.sql<{ id: string }[]>`
      insert into tracked_users (project_id, external_id, plan_id, payment_status, billing_anchor)
      values (${this.id}, ${externalId}, ${planId}, ${paymentStatus},
        coalesce(${billingAnchor ?? null}, now()))
      returning id`;
    return new User(this, externalId, user!.id);
  }

  /** A user that need not exist yet. */
  unknownUser(externalId: string): User {
    return new User(this, externalId, undefined);
  }
}

export interface Receipt {
  success: boolean;
  tokens_consumed: number;
  base_quota_used: number;
  grants_used: number;
  message: string;
  reason: string | null;
  retry_at: Date | null;
  quota_left: number;
  grants_left: number;
  nearest_limit: Record<string, unknown> | null;
  transfer_number: number | null;
  request_id: string | null;
  replayed: boolean;
  created_at: Date;
}

export interface Balance {
  user_id: string;
  plan: string;
  plan_type: string;
  payment_status: string;
  tokens_left: number;
  quota_amount: number | null;
  quota_used: number | null;
  quota_left: number;
  quota_resets_at: Date | null;
  grants_left: number;
  restrictions: {
    tag: string | null;
    max_tokens: number;
    duration: Duration;
    used: number;
    left: number;
    resets_at: string;
  }[];
  as_of: Date;
}

export class User {
  constructor(
    readonly project: Project,
    readonly externalId: string,
    readonly id: string | undefined,
  ) {}

  /** The same user over another connection. */
  on(sql: TestSql): User {
    return new User(this.project.on(sql), this.externalId, this.id);
  }

  /** Consumes through the kernel, which answers the whole receipt. */
  async consume(tokens: number, { tag, at, metadata, requestId }: Call = {}): Promise<Receipt> {
    const { sql, id } = this.project;
    const tagId = tag === undefined ? null : await this.project.tagId(tag);
    const [receipt] = await sql<Receipt[]>`
      select * from tollgate.consume(${id}, ${this.externalId}, ${tokens}, ${tagId},
        ${metadata ? sql.json(metadata) : null}, ${requestId ?? null}, ${at ?? null})`;
    return receipt!;
  }

  /** Grants through the kernel. */
  async grant(
    tokens: number,
    { at, expiresAt, type = "bonus", requestId }: {
      at?: string;
      expiresAt?: string;
      type?: string;
      requestId?: string;
    } = {},
  ) {
    const { sql, id } = this.project;
    const [grant] = await sql<{ grant_id: string; grants_left: number; replayed: boolean }[]>`
      select * from tollgate.grant_tokens(${id}, ${this.externalId}, ${tokens}, ${type},
        ${expiresAt ?? null}, null, ${requestId ?? null}, ${at ?? null})`;
    return grant!;
  }

  async balance(at?: string): Promise<Balance> {
    const { sql, id } = this.project;
    const [balance] = await sql<Balance[]>`
      select * from tollgate.balance(
        tollgate.tracked_user_id(${id}, ${this.externalId}), ${at ?? null})`;
    return balance!;
  }
}
