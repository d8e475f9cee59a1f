import { expect, test } from "vitest";
import { useDatabase } from "../support/database.ts";
import { type Balance, Project, type Receipt, type User } from "../support/project.ts";
import { Random, seed } from "../support/random.ts";
import * as model from "./model.ts";

const { sql } = useDatabase();

const operations = Number(process.env["TOLLGATE_SOAK"] ?? 1500);

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const TAGS = ["GPT-4", "GPT-5"];
const DURATIONS: model.Duration[] = ["1 hour", "1 day", "1 week", "1 month"];
const PERIODS: model.Period[] = ["1 day", "1 week", "1 month", "1 year"];

test(`${operations} random operations match the model (TOLLGATE_SEED=${seed})`, async () => {
  const world = await World.create();
  for (let n = 1; n <= operations; n++) {
    await world.step(`operation ${n}`);
    if (n % 1000 === 0) expect(await sql`select * from verify_ledger()`).toEqual([]);
  }
  await world.expectSameLedger();
}, 30_000 + operations * 50);

interface Request {
  kind: "consume" | "grant";
  name: string;
  tokens: number;
  tag: string | null;
  expiresAt: number | null;
  requestId: string | null;
}

/** The database and the model of it, changed in step. */
class World {
  readonly random = new Random();
  now = Date.UTC(2030, 0, 31, 10);
  readonly accounts = new Map<string, model.Account>();
  readonly users = new Map<string, User>();
  readonly plans = new Map<string, model.Plan>();
  readonly requests: Request[] = [];

  private constructor(readonly project: Project) {}

  static async create() {
    const world = new World(await Project.create(sql));
    for (const period of [...PERIODS, null]) {
      const type = period ? "subscription" : "pay_as_you_go";
      const plan: model.Plan = {
        type,
        quota: period && { amount: 500, period },
        restrictions: [],
      };
      const id = await world.project.plan({ type, ...(period && { quota: 500, period }) });
      world.plans.set(id, plan);
      await world.addRestriction(id, plan);
    }
    for (const name of ["ada", "bob", "cid", "dan"]) {
      world.users.set(name, world.project.unknownUser(name));
    }
    return world;
  }

  async step(message: string) {
    this.passTime();
    const name = this.random.pick([...this.users.keys()]);
    const account = this.accounts.get(name);
    const dice = this.random.integer(1, 100);
    if (!account || dice <= 75) await this.request(this.nextRequest(name), message);
    else await this.edit(name, account, dice - 75);
    const current = this.accounts.get(name);
    if (!current) return;
    const balance = await this.users.get(name)!.balance(this.iso(this.now));
    expect(balanceOf(balance), message).toEqual(sorted(model.balance(current, this.now)));
  }

  /** Not at all, a little, or to an instant at which something begins or ends. */
  passTime() {
    const { random } = this;
    if (random.number() < 0.4) return;
    if (random.number() < 0.6) {
      this.now += random.integer(1, 20 * 60_000);
      return;
    }
    const boundaries = DURATIONS.map((duration) => model.windowStart(duration, this.now, 1));
    for (const account of this.accounts.values()) {
      boundaries.push(model.balance(account, this.now).quotaResetsAt ?? 0);
      boundaries.push(...account.grants.map(({ expiresAt }) => expiresAt ?? 0));
    }
    const next = random.pick(boundaries.filter((at) => at > this.now && at < this.now + 40 * DAY));
    this.now = random.pick([next - 1, next, next, next + random.integer(1, HOUR)]);
  }

  nextRequest(name: string): Request {
    const { random } = this;
    if (this.requests.length > 0 && random.number() < 0.1) {
      const earlier = random.pick(this.requests.slice(-100));
      return random.number() < 0.2 ? { ...earlier, tokens: earlier.tokens + 1 } : earlier;
    }
    const request: Request = {
      kind: random.number() < 0.2 ? "grant" : "consume",
      name,
      tokens: random.integer(1, random.pick([10, 100, 1000])),
      tag: null,
      expiresAt: null,
      requestId: random.number() < 0.3 ? `request ${this.requests.length}` : null,
    };
    if (request.kind === "grant") {
      // Grants of one instant and expiry are used in the order of their random ids: avoided here.
      this.now += 1;
      const lifetime = random.pick([null, HOUR, 7 * DAY, random.integer(1, 60 * DAY)]);
      request.expiresAt = lifetime && this.now + lifetime;
    } else {
      request.tag = random.pick([null, null, ...TAGS]);
      request.tokens = this.interestingAmount(name) ?? request.tokens;
    }
    if (request.requestId) this.requests.push(request);
    return request;
  }

  /** All that is left of something, or one token more. */
  interestingAmount(name: string): number | undefined {
    const account = this.accounts.get(name);
    if (!account || this.random.number() < 0.8) return;
    const { tokensLeft, quotaLeft, restrictions } = model.balance(account, this.now);
    const amount = this.random.pick([
      tokensLeft,
      quotaLeft,
      ...restrictions.map(({ left }) => left),
    ]);
    return Math.max(1, amount + this.random.pick([0, 0, 1]));
  }

  async request(request: Request, message: string) {
    const { kind, name, tokens, tag, expiresAt, requestId } = request;
    const user = this.users.get(name)!;
    const account = this.accounts.get(name) ??
      model.newAccount([...this.plans.values()].at(-1)!, this.now);
    // Some consumptions come late, with an instant from before.
    const at = kind === "consume" && this.accounts.has(name) && this.random.number() < 0.05
      ? this.now - this.random.integer(1, 2 * HOUR)
      : this.now;
    let expected: model.Answer;
    try {
      expected = kind === "grant"
        ? model.grant(account, { tokens, expiresAt, requestId, at })
        : model.consume(account, { tokens, tag, requestId, at });
    } catch (error) {
      if (!(error instanceof model.RequestIdConflict)) throw error;
      const call = kind === "grant"
        ? this.grant(user, request, at)
        : this.consume(user, request, at);
      return expect(call, message).rejects.toMatchObject({ code: "TG006" });
    }
    // A denied first call creates no user.
    if (account.transfers.length > 0) this.accounts.set(name, account);

    if (kind === "grant") {
      expect(await this.grant(user, request, at), message).toMatchObject({
        grants_left: expected.grantsLeft,
        transfer_number: expected.transferNumber,
        replayed: expected.replayed,
        created_at: new Date(expected.at),
      });
    } else {
      const { nearest, ...rest } = expected;
      const { nearest: actual, ...answer } = answerOf(await this.consume(user, request, at));
      expect(answer, message).toEqual(rest);
      if (nearest === null) expect(actual, message).toBeNull();
      else expect(nearest, message).toContainEqual(actual);
    }
  }

  consume(user: User, { tokens, tag, requestId }: Request, at: number) {
    return user.consume(tokens, {
      at: this.iso(at),
      ...(tag && { tag }),
      ...(requestId && { requestId }),
    });
  }

  grant(user: User, { tokens, expiresAt, requestId }: Request, at: number) {
    return user.grant(tokens, {
      at: this.iso(at),
      ...(expiresAt && { expiresAt: this.iso(expiresAt) }),
      ...(requestId && { requestId }),
    });
  }

  /** An owner's edit by hand. */
  async edit(name: string, account: model.Account, dice: number) {
    const { random } = this;
    const id = sql`tollgate.tracked_user_id(${this.project.id}, ${name})`;
    const planId = [...this.plans].find(([, plan]) => plan === account.plan)![0];
    const { plan } = account;
    if (dice <= 4) {
      const [otherId, other] = random.pick([...this.plans]);
      account.plan = other;
      await sql`update tracked_users set plan_id = ${otherId} where id = ${id}`;
    } else if (dice <= 9) {
      account.payment = random.pick(["active", "active", "past_due", "canceled"]);
      await sql`update tracked_users set payment_status = ${account.payment} where id = ${id}`;
    } else if (dice <= 11) {
      account.anchor = this.now + random.pick([-1, 1]) * random.integer(1, 90 * DAY);
      await sql`update tracked_users set billing_anchor = ${new Date(account.anchor)}
        where id = ${id}`;
    } else if (dice <= 14 && plan.restrictions.length < 4) {
      await this.addRestriction(planId, plan);
    } else if (dice <= 17) {
      const gone = plan.restrictions.pop();
      if (!gone) return;
      await sql`delete from plan_restrictions where plan_id = ${planId} and id = (
        select id from plan_restrictions where plan_id = ${planId}
        order by created_at desc limit 1)`;
    } else if (dice <= 21) {
      if (!plan.quota) return;
      plan.quota = {
        amount: random.pick([0, 100, 500, 2000]),
        period: random.pick([plan.quota.period, random.pick(PERIODS)]),
      };
      await sql`update plan_quotas set token_amount = ${plan.quota.amount},
        period = ${plan.quota.period} where plan_id = ${planId}`;
    } else if (dice <= 22) {
      plan.type = random.pick(["subscription", "subscription", "pay_as_you_go"]);
      await sql`update plans set plan_type = ${plan.type} where id = ${planId}`;
    } else {
      const grant = random.pick(account.grants);
      if (!grant) return;
      grant.expiresAt = random.pick([null, this.now, this.now + random.integer(1, 7 * DAY)]);
      await sql`update user_token_grants
        set expires_at = ${grant.expiresAt && new Date(grant.expiresAt)}
        where user_id = ${id} and created_at = ${new Date(grant.createdAt)}`;
    }
  }

  async addRestriction(planId: string, plan: model.Plan) {
    const { random } = this;
    const restriction = {
      tag: random.pick([null, ...TAGS]),
      maxTokens: random.pick([50, 300, 1000, 5000]),
      duration: random.pick(DURATIONS),
    };
    plan.restrictions.push(restriction);
    const { tag, ...limit } = restriction;
    await this.project.restrict(planId, { ...(tag && { tag }), ...limit });
  }

  /** Grant by grant and transfer by transfer. */
  async expectSameLedger() {
    for (const [name, account] of this.accounts) {
      const id = sql`tollgate.tracked_user_id(${this.project.id}, ${name})`;
      expect(
        await sql`select token_amount as tokens, tokens_used as used, expires_at, created_at
          from user_token_grants where user_id = ${id} order by created_at`,
      ).toEqual(account.grants.map(({ tokens, used, expiresAt, createdAt }) => ({
        tokens,
        used,
        expires_at: expiresAt && new Date(expiresAt),
        created_at: new Date(createdAt),
      })));
      expect(
        await sql`select t.transfer_number, t.amount, g.name as tag, t.created_at
          from token_transfers t left join tags g on g.id = t.tag_id
          where t.user_id = ${id} order by t.transfer_number`,
      ).toEqual(account.transfers.map(({ amount, tag, at }, index) => ({
        transfer_number: index + 1,
        amount,
        tag,
        created_at: new Date(at),
      })));
    }
  }

  iso(instant: number): string {
    return new Date(instant).toISOString();
  }
}

// The database's answers in the model's words ----------------------------------------------------

function answerOf(receipt: Receipt) {
  const nearest = receipt.nearest_limit as Balance["restrictions"][number] | null;
  return {
    success: receipt.success,
    reason: receipt.reason,
    retryAt: receipt.retry_at && receipt.retry_at.getTime(),
    fromQuota: receipt.base_quota_used,
    fromGrants: receipt.grants_used,
    quotaLeft: receipt.quota_left,
    grantsLeft: receipt.grants_left,
    nearest: nearest && { ...nearest, resets_at: Date.parse(nearest.resets_at) },
    transferNumber: receipt.transfer_number,
    replayed: receipt.replayed,
    at: receipt.created_at.getTime(),
  };
}

function balanceOf(balance: Balance): ReturnType<typeof model.balance> {
  return sorted({
    tokensLeft: balance.tokens_left,
    quotaAmount: balance.quota_amount,
    quotaUsed: balance.quota_used,
    quotaLeft: balance.quota_left,
    quotaResetsAt: balance.quota_resets_at && balance.quota_resets_at.getTime(),
    grantsLeft: balance.grants_left,
    restrictions: balance.restrictions.map((limit) => ({
      ...limit,
      resets_at: Date.parse(limit.resets_at),
    })),
  });
}

function sorted(balance: ReturnType<typeof model.balance>) {
  const key = ({ tag, duration, max_tokens }: model.LimitState) =>
    [tag, duration, max_tokens].join();
  const restrictions = balance.restrictions.toSorted((a, b) => key(a) < key(b) ? -1 : 1);
  return { ...balance, restrictions };
}
