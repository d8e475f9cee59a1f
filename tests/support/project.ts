import { randomUUID } from "node:crypto";
import type { JSONValue } from "postgres";
import type { TestSql } from "./database.ts";

/** A whole number of hours, days, weeks or months: `1 day`, `5 hours`. */
export type Duration = `${number} ${"hour" | "day" | "week" | "month"}${"" | "s"}`;
export type Period =
  | "1 hour"
  | "1 day"
  | "1 week"
  | "2 weeks"
  | "1 month"
  | "3 months"
  | "6 months"
  | "1 year";
export type PaymentStatus = "trial" | "active" | "past_due" | "paused" | "canceled";

/** A limit per window, of one tag, of several together or, without them, of all. */
export interface Restriction {
  tag?: string;
  tags?: string[];
  maxTokens: number;
  duration: Duration;
  window?: "calendar" | "rolling";
  /** Instants, ISO 8601, between which it is in force. */
  startsAt?: string;
  endsAt?: string;
}

export interface PlanOptions {
  type?: "subscription" | "pay_as_you_go";
  quota?: number;
  period?: Period;
  countedFrom?: "billing_anchor" | "calendar";
  /** What is carried over of a period, at most, and for how many periods. */
  rollover?: { maxTokens: number; periods: number };
  restrictions?: Restriction[];
}

export interface UserOptions {
  planId?: string;
  paymentStatus?: PaymentStatus;
  /** Instants, ISO 8601. */
  billingAnchor?: string;
  quotaOpenUntil?: string;
  /** Must lie before any call: rollover counts periods since then. */
  createdAt?: string;
  timeZone?: string;
}

/** What can be changed of a user's account. */
export interface Change {
  plan?: string;
  paymentStatus?: PaymentStatus;
  when?: "now" | "period_end";
  quotaPolicy?: "keep" | "prorate" | "reset";
  quotaOpenUntil?: string;
  billingAnchor?: string;
  timeZone?: string;
  requestId?: string;
  at?: string;
}

/** A call of the kernel, which may be placed in time. */
export interface Call {
  tag?: string;
  at?: string;
  metadata?: Record<string, string | number>;
  requestId?: string;
}

export type Mode = "all_or_nothing" | "up_to";

/** A restriction as it stands in restriction_config. */
export function configOf(
  { tag, tags, maxTokens, duration, window, startsAt, endsAt }: Restriction,
): Record<string, string | number | string[]> {
  return {
    ...(tag && { tag_name: tag }),
    ...(tags && { tag_names: tags }),
    max_tokens: maxTokens,
    duration,
    ...(window && { window }),
    ...(startsAt && { starts_at: startsAt }),
    ...(endsAt && { ends_at: endsAt }),
  };
}

/** A project in the test's own database, set up by plain SQL as an owner would in Studio. */
export class Project {
  private constructor(readonly sql: TestSql, readonly id: string) {}

  static async create(
    sql: TestSql,
    timeZone = "UTC",
    { weekStart = "monday", graceDays = 0 }: { weekStart?: string; graceDays?: number } = {},
  ): Promise<Project> {
    const id = randomUUID();
    await sql`insert into projects (id, name, time_zone, week_start, grace_days)
      values (${id}, 'Test', ${timeZone}, ${weekStart}, ${graceDays})`;
    return new Project(sql, id);
  }

  /** The same project over another connection. */
  on(sql: TestSql): Project {
    return new Project(sql, this.id);
  }

  /** Makes a plan, the default one of the project, with its tags, quota and restrictions. */
  async plan(
    {
      type = "subscription",
      quota,
      period = "1 month",
      countedFrom = "billing_anchor",
      rollover,
      restrictions = [],
    }: PlanOptions,
    name: string = randomUUID(),
  ) {
    const { sql, id } = this;
    const [plan] = await sql<{ id: string }[]>`
      insert into plans (project_id, name, plan_type) values (${id}, ${name}, ${type})
      returning id`;
    if (quota !== undefined) {
      await sql`insert into plan_quotas
          (plan_id, token_amount, period, counted_from, rollover_max_tokens, rollover_periods)
        values (${plan!.id}, ${quota}, ${period}, ${countedFrom}, ${rollover?.maxTokens ?? null},
          ${rollover?.periods ?? null})`;
    }
    for (const restriction of restrictions) await this.restrict(plan!.id, restriction);
    await sql`update projects set default_plan_id = ${plan!.id} where id = ${id}`;
    return plan!.id;
  }

  async restrict(planId: string, restriction: Restriction) {
    const { tag, tags = tag ? [tag] : [] } = restriction;
    for (const name of tags) await this.tagId(name);
    await this.sql`insert into plan_restrictions (plan_id, restriction_type, restriction_config)
      values (${planId}, ${tags.length > 0 ? "tag" : "total"},
        ${this.sql.json(configOf(restriction))})`;
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
    const {
      planId = null,
      paymentStatus = "active",
      billingAnchor = null,
      quotaOpenUntil = null,
      createdAt = null,
      timeZone = null,
    } = options;
    const [user] = await this.sql<{ id: string }[]>`
      insert into tracked_users
        (project_id, external_id, plan_id, payment_status, billing_anchor, quota_open_until,
          created_at, time_zone)
      values (${this.id}, ${externalId}, ${planId}, ${paymentStatus},
        coalesce(${billingAnchor}, now()), ${quotaOpenUntil}, coalesce(${createdAt}, now()),
        ${timeZone})
      returning id`;
    return new User(this, externalId, user!.id);
  }

  /** Consumes for many users at once; the items are as in the HTTP API. */
  consumeBatch(
    items: BatchItem[],
    { allOrNothing = false, at }: { allOrNothing?: boolean; at?: string } = {},
  ): Promise<Receipt[]> {
    const { sql, id } = this;
    return sql<Receipt[]>`select * from tollgate.consume_batch(${id},
      ${sql.json(items as unknown as JSONValue)}, ${allOrNothing}, ${at ?? null})`;
  }

  /** Usage in calendar windows, of one user or tag if they are named. */
  usage(
    from: string,
    to: string,
    { step = "day", groupBy, user, tag }: {
      step?: "hour" | "day" | "week" | "month";
      groupBy?: "tag" | "user" | "key" | "source";
      user?: string;
      tag?: string;
    } = {},
  ): Promise<UsageWindow[]> {
    return this.sql<UsageWindow[]>`select * from get_usage(${this.id}, ${from}, ${to}, ${step},
      ${groupBy ?? null}, ${user ?? null}, ${tag ?? null})`;
  }

  /** A user that need not exist yet. */
  unknownUser(externalId: string): User {
    return new User(this, externalId, undefined);
  }
}

export interface Source {
  type: "quota" | "grant";
  grant_id?: string;
  tokens: number;
  left: number;
}

interface Answer {
  success: boolean;
  message: string;
  reason: string | null;
  hint: string | null;
  shortfall: number;
  retry_at: Date | null;
  user_id: string;
  quota_left: number;
  grants_left: number;
  tokens_held: number;
  sources: Source[];
  nearest_limit: LimitState | null;
  transfer_number: number | null;
  request_id: string | null;
  replayed: boolean;
  created_at: Date;
}

export interface Receipt extends Answer {
  tokens_requested: number;
  tokens_consumed: number;
  base_quota_used: number;
  grants_used: number;
}

/** Of a step of a hold. */
export interface HoldReceipt extends Answer {
  hold_id: string;
  state: "open" | "settled" | "released" | "expired" | null;
  tag: string | null;
  expires_at: Date | null;
}

export interface Settlement extends Answer {
  hold_id: string;
  tokens_consumed: number;
  tokens_returned: number;
  excess_consumed: number;
  base_quota_used: number;
  grants_used: number;
  excess_transfer_number: number | null;
}

export interface Refund {
  transfer_number: number;
  refunded_transfer_number: number;
  tokens_refunded: number;
  base_quota_restored: number;
  grants_restored: number;
  tokens_lapsed: number;
  tokens_regranted: number;
  grant_id: string | null;
  refundable_left: number;
  message: string;
  user_id: string;
  quota_left: number;
  grants_left: number;
  tokens_held: number;
  sources: Source[];
  request_id: string | null;
  replayed: boolean;
  created_at: Date;
}

/** The account after a change. */
export interface AccountReceipt {
  user_id: string;
  plan: string;
  next_plan: string | null;
  next_plan_at: Date | null;
  payment_status: PaymentStatus;
  quota_open_until: Date | null;
  billing_anchor: Date;
  time_zone: string | null;
  quota_left: number;
  grants_left: number;
  transfer_number: number;
  request_id: string | null;
  replayed: boolean;
  created_at: Date;
}

export interface VoidReceipt {
  grant_id: string;
  tokens_voided: number;
  tokens_held: number;
  quota_left: number;
  grants_left: number;
  transfer_number: number;
  request_id: string | null;
  replayed: boolean;
  created_at: Date;
}

export interface GrantState {
  grant_id: string;
  grant_type: string;
  tokens_left: number;
  priority: number;
  effective_at: string;
  expires_at: string | null;
  tags: string[] | null;
}

export interface LimitState {
  tag: string | null;
  tags: string[] | null;
  max_tokens: number;
  duration: Duration;
  window: "calendar" | "rolling";
  used: number;
  held: number;
  left: number;
  resets_at: string;
}

export interface Balance {
  user_id: string;
  plan: string;
  plan_type: string;
  next_plan: string | null;
  next_plan_at: Date | null;
  payment_status: PaymentStatus;
  quota_open_until: Date | null;
  time_zone: string;
  tokens_left: number;
  tokens_held: number;
  tokens_settled: number;
  quota_amount: number | null;
  quota_used: number | null;
  quota_held: number | null;
  quota_left: number;
  quota_resets_at: Date | null;
  grants_left: number;
  grants: GrantState[];
  restrictions: LimitState[];
  as_of: Date;
}

export interface UsageWindow {
  starts_at: Date;
  ends_at: Date;
  tokens_used: number;
  base_quota_used: number;
  grants_used: number;
  calls: number;
  groups: { group: string | null; tokens_used: number; calls: number }[] | null;
}

export interface BatchItem {
  user_id: string;
  tokens_to_consume: number;
  tag?: string;
  metadata?: Record<string, string | number>;
  request_id?: string;
  mode?: Mode;
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
  consume(tokens: number, call: Call & { mode?: Mode } = {}): Promise<Receipt> {
    return this.decide(tokens, call, false);
  }

  /** What consume() would answer. */
  check(tokens: number, call: Call & { mode?: Mode } = {}): Promise<Receipt> {
    return this.decide(tokens, call, true);
  }

  private async decide(
    tokens: number,
    { tag, at, metadata, requestId, mode = "all_or_nothing" }: Call & { mode?: Mode },
    checkOnly: boolean,
  ): Promise<Receipt> {
    const { sql, id } = this.project;
    const tagId = tag === undefined ? null : await this.project.tagId(tag);
    const [receipt] = await sql<Receipt[]>`
      select * from tollgate.consume(${id}, ${this.externalId}, ${tokens}, ${tagId},
        ${metadata ? sql.json(metadata) : null}, ${requestId ?? null}, ${at ?? null}, ${mode},
        ${checkOnly})`;
    return receipt!;
  }

  async hold(
    tokens: number,
    { tag, at, metadata, requestId, ttl = 600 }: Call & { ttl?: number } = {},
  ): Promise<HoldReceipt> {
    const { sql, id } = this.project;
    const tagId = tag === undefined ? null : await this.project.tagId(tag);
    const [receipt] = await sql<HoldReceipt[]>`
      select * from tollgate.hold(${id}, ${this.externalId}, ${tokens}, ${tagId}, ${ttl},
        ${metadata ? sql.json(metadata) : null}, ${requestId ?? null}, ${at ?? null})`;
    return receipt!;
  }

  async settle(
    holdId: string,
    tokens: number,
    { at, metadata, requestId, allowExcess = false }: Call & { allowExcess?: boolean } = {},
  ): Promise<Settlement> {
    const { sql, id } = this.project;
    const [receipt] = await sql<Settlement[]>`
      select * from tollgate.settle_hold(${id}, ${holdId}, ${tokens}, ${allowExcess},
        ${metadata ? sql.json(metadata) : null}, ${requestId ?? null}, ${at ?? null})`;
    return receipt!;
  }

  extend(holdId: string, ttl: number, { at, requestId }: Call = {}): Promise<HoldReceipt> {
    return this.changeHold(holdId, ttl, { at, requestId });
  }

  release(holdId: string, { at, requestId }: Call = {}): Promise<HoldReceipt> {
    return this.changeHold(holdId, null, { at, requestId });
  }

  private async changeHold(
    holdId: string,
    ttl: number | null,
    { at, requestId }: { at: string | undefined; requestId: string | undefined },
  ): Promise<HoldReceipt> {
    const { sql, id } = this.project;
    const [receipt] = await sql<HoldReceipt[]>`
      select * from tollgate.change_hold(${id}, ${holdId}, ${ttl}, ${requestId ?? null},
        ${at ?? null})`;
    return receipt!;
  }

  /** Refunds a consumption, by its number or its request id. */
  async refund(
    original: number | string,
    { tokens, at, metadata, requestId, regrantLapsed = false, grantExpiresAt }: Call & {
      tokens?: number;
      regrantLapsed?: boolean;
      grantExpiresAt?: string;
    } = {},
  ): Promise<Refund> {
    const { sql, id } = this.project;
    const byNumber = typeof original === "number";
    const [receipt] = await sql<Refund[]>`
      select * from tollgate.refund_tokens(${id}, ${this.externalId},
        ${byNumber ? original : null}, ${byNumber ? null : original}, ${tokens ?? null},
        ${regrantLapsed}, ${grantExpiresAt ?? null}, ${metadata ? sql.json(metadata) : null},
        ${requestId ?? null}, ${at ?? null})`;
    return receipt!;
  }

  /** Grants through the kernel. */
  async grant(
    tokens: number,
    { at, expiresAt, effectiveAt, priority = 50, tags, type = "bonus", requestId }: {
      at?: string;
      expiresAt?: string;
      effectiveAt?: string;
      priority?: number;
      tags?: string[];
      type?: string;
      requestId?: string;
    } = {},
  ) {
    const { sql, id } = this.project;
    for (const tag of tags ?? []) await this.project.tagId(tag);
    const [grant] = await sql<{ grant_id: string; grants_left: number; replayed: boolean }[]>`
      select * from tollgate.grant_tokens(${id}, ${this.externalId}, ${tokens}, ${type},
        ${expiresAt ?? null}, null, ${requestId ?? null}, ${at ?? null}, ${effectiveAt ?? null},
        ${priority}, ${tags ?? null})`;
    return grant!;
  }

  async voidGrant(
    grantId: string,
    { at, requestId }: Pick<Call, "at" | "requestId"> = {},
  ): Promise<VoidReceipt> {
    const { sql, id } = this.project;
    const [receipt] = await sql<VoidReceipt[]>`
      select * from tollgate.void_grant(${id}, ${this.externalId}, ${grantId}, null,
        ${requestId ?? null}, ${at ?? null})`;
    return receipt!;
  }

  /** Inserts a recurring grant by hand, as an owner would in Studio; answers its id. */
  async recurringGrant(
    tokens: number,
    every: Period,
    { startsAt, endsAt, validFor, priority = 50, tags, type = "bonus" }: {
      startsAt: string;
      endsAt?: string;
      validFor?: Period;
      priority?: number;
      tags?: string[];
      type?: string;
    },
  ): Promise<string> {
    const { sql, id } = this.project;
    const tagIds = tags && await Promise.all(tags.map((tag) => this.project.tagId(tag)));
    const [row] = await sql<{ id: string }[]>`
      insert into recurring_grants
        (user_id, token_amount, grant_type, every, starts_at, ends_at, valid_for, priority, tag_ids)
      values (tollgate.tracked_user_id(${id}, ${this.externalId}), ${tokens}, ${type}, ${every},
        ${startsAt}, ${endsAt ?? null}, ${validFor ?? null}, ${priority}, ${tagIds ?? null})
      returning id`;
    return row!.id;
  }

  /** Changes the account through the kernel. By hand, `update tracked_users` is always dated now. */
  async change(change: Change): Promise<AccountReceipt> {
    const { sql, id } = this.project;
    const [receipt] = await sql<AccountReceipt[]>`
      select * from tollgate.change_user(${id}, ${this.externalId}, ${change.plan ?? null},
        ${change.paymentStatus ?? null}, ${change.when ?? "now"}, ${change.quotaPolicy ?? "keep"},
        ${change.quotaOpenUntil ?? null}, ${change.billingAnchor ?? null},
        ${change.timeZone ?? null}, ${change.requestId ?? null}, ${change.at ?? null})`;
    return receipt!;
  }

  /** The balance now, or at an instant: one before the last transfer is the past. */
  async balance(at?: string): Promise<Balance> {
    const { sql, id } = this.project;
    const [balance] = await sql<Balance[]>`
      select * from tollgate.balance(
        tollgate.tracked_user_id(${id}, ${this.externalId}), ${at ?? null})`;
    return balance!;
  }
}
