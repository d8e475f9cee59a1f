import { expect, test } from "vitest";
import { useDatabase } from "../support/database.ts";
import { type Balance, type LimitState, Project } from "../support/project.ts";
import { Random, seed } from "../support/random.ts";
import * as model from "./model.ts";
import { type Ids, iso, predict, type Row, rowOf, send } from "./random_calls.ts";
import { type Request, Requests, type Single, TAGS } from "./random_requests.ts";

const { sql } = useDatabase();

const operations = Number(process.env["TOLLGATE_SOAK"] ?? 1500);

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const DURATIONS: model.Duration[] = ["1 hour", "1 day", "1 week", "1 month"];
/** The last one is the default plan's: quota is there again often. */
const PERIODS: model.Period[] = ["1 year", "1 month", "1 week", "1 day"];
/** Their clocks are never changed. */
const TIME_ZONES = {
  "UTC": 0,
  "Asia/Kolkata": 5.5 * HOUR,
  "America/Phoenix": -7 * HOUR,
  "Pacific/Kiritimati": 14 * HOUR,
};

test(`${operations} random operations match the model (TOLLGATE_SEED=${seed})`, async () => {
  const world = await World.create();
  for (let n = 1; n <= operations; n++) {
    await world.step(`operation ${n}`);
    if (n % 1000 === 0) await world.expectSameLedger();
  }
  await world.expectSameLedger();
}, 30_000 + operations * 50);

/** The database and the model of it, changed in step. */
class World {
  readonly random = new Random();
  readonly settings: model.Project = { offset: 0, tags: TAGS };
  now = Date.UTC(2030, 0, 31, 10);
  readonly accounts = new Map<string, model.Account>();
  /** Of the users to whom something happens. */
  readonly names = ["ada", "bob", "cid", "dan"];
  readonly plans = new Map<string, model.Plan>();
  readonly requests = new Requests(this.random, this.accounts);
  readonly ids: Ids = new Map();
  /** The answer to each request id that was applied. */
  readonly rows = new Map<string, Row>();

  private constructor(readonly project: Project) {}

  static async create() {
    const world = new World(await Project.create(sql));
    for (const tag of TAGS) await world.project.tagId(tag);
    for (const period of [null, ...PERIODS]) {
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
    return world;
  }

  async step(operation: string) {
    const { random, names } = this;
    this.passTime();
    if (random.number() < 0.01) {
      names[random.integer(0, names.length - 1)] = `user ${this.accounts.size + 1}`;
    }
    const name = random.pick(names);
    const dice = this.accounts.has(name) ? random.number() : 1;
    if (dice < 0.2) {
      await this.edit(name);
      await this.expectSameBalance(name, operation);
    } else if (dice < 0.202) await this.holdUntilDenied(name, operation);
    else await this.request(this.requests.next(names, this.now), operation);
  }

  /** Not at all, a little, or to an instant at which something begins or ends. */
  passTime() {
    const { random } = this;
    if (random.number() < 0.5) return;
    if (random.number() < 0.85) {
      this.now += random.integer(1, 10 * 60_000);
      return;
    }
    const { offset } = this.settings;
    const boundaries = DURATIONS.map((duration) =>
      model.windowStart(duration, this.now, offset, 1)
    );
    for (const name of this.names) {
      const account = this.accounts.get(name);
      if (!account) continue;
      boundaries.push(model.balance(account, this.now).quotaResetsAt ?? 0);
      boundaries.push(...account.grants.map(({ endsAt }) => endsAt));
      boundaries.push(...account.holds.map(({ expiresAt }) => expiresAt));
    }
    const coming = boundaries.filter((at) => at > this.now && at < this.now + 40 * DAY);
    const next = random.number() < 0.7 ? Math.min(...coming) : random.pick(coming);
    this.now = random.pick([next - 1, next, next, next + random.integer(1, HOUR)]);
  }

  async request(request: Request, operation: string) {
    const { random } = this;
    const single = request.kind === "batch" ? request.items : [request];
    // Grants of one instant and expiry are used in the order of their random ids: avoided here.
    const isGrant = request.kind === "grant" || request.kind === "refund";
    if (isGrant) this.now += 1;
    const accounts = new Map(single.map(({ name }) => [name, this.accountOf(name)]));
    // Some calls come late, with an instant from before.
    const isLate = !isGrant && single.every(({ name }) => this.accounts.has(name)) &&
      random.number() < 0.05;
    const at = isLate ? this.now - random.integer(1, 2 * HOUR) : this.now;
    const message = `${operation}: ${describe(request)} at ${iso(at)}`;

    const call = (checkOnly = false) => send(request, this.project, this.ids, { at, checkOnly });
    const isChecked = request.kind === "consume" && random.number() < 0.2;
    let answers: model.Answer[];
    try {
      answers = predict(request, accounts, at);
    } catch (error) {
      if (!(error instanceof model.Mistake)) throw error;
      const { code } = error;
      if (isChecked) await expect(call(true), message).rejects.toMatchObject({ code });
      await expect(call(), message).rejects.toMatchObject({ code });
      return;
    }
    const checked = isChecked && await call(true);
    const rows = await call();
    if (checked) expect(checked, message).toEqual(rows);
    expect(rows.length, message).toBe(answers.length);
    for (const [n, answer] of answers.entries()) {
      this.expectSameAnswer(single[n]!, answer, rows[n]!, message);
    }
    for (const [name, account] of accounts) {
      // A denied first call creates no user.
      if (account.transfers.length === 0) continue;
      this.accounts.set(name, account);
      await this.expectSameBalance(name, message);
    }
  }

  accountOf(name: string): model.Account {
    const plan = [...this.plans.values()].at(-1)!;
    return this.accounts.get(name) ?? model.newAccount(this.settings, plan, this.now);
  }

  expectSameAnswer(request: Single, answer: model.Answer, row: Row, message: string) {
    const { name, requestId } = request;
    const { ids } = this;
    if (answer.success && !answer.replayed) {
      if (answer.hold && row.hold_id) ids.set(answer.hold.hold, row.hold_id);
      if (answer.grant && row.grant_id) ids.set(answer.grant, row.grant_id);
    }
    expect(row, message).toMatchObject(rowOf(request, answer, ids));
    const { nearest_limit: limit } = row;
    if (limit) expect(answer.nearest, message).toContainEqual(limitOf(limit));
    else if (limit === null) expect(answer.nearest, message).toBeNull();
    if (!answer.success || requestId === null) return;
    const key = `${name}: ${requestId}`;
    if (answer.replayed) expect(row, message).toEqual({ ...this.rows.get(key), replayed: true });
    else this.rows.set(key, row);
  }

  async expectSameBalance(name: string, message: string) {
    const balance = await this.project.unknownUser(name).balance(iso(this.now));
    const expected = model.balance(this.accounts.get(name)!, this.now);
    expect(balanceOf(balance), message).toEqual(sorted(expected));
  }

  /** There may be so many at a time. */
  async holdUntilDenied(name: string, operation: string) {
    const hold = { kind: "hold", name, tokens: 1, tag: null, ttl: 86400, requestId: null } as const;
    const { holds } = this.accounts.get(name)!;
    let before;
    do {
      before = holds.length;
      await this.request(hold, operation);
    } while (holds.length > before);
  }

  /** An owner's edit by hand. */
  async edit(name: string) {
    const { random } = this;
    const dice = random.integer(1, 27);
    const account = this.accounts.get(name)!;
    const id = sql`tollgate.tracked_user_id(${this.project.id}, ${name})`;
    const { plan } = account;
    const planId = this.planId(plan);
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
    } else if (dice <= 24) {
      const [zone, offset] = random.pick(Object.entries(TIME_ZONES));
      this.settings.offset = offset;
      await sql`update projects set time_zone = ${zone} where id = ${this.project.id}`;
    } else {
      const grant = random.pick(account.grants);
      if (!grant) return;
      grant.endsAt = this.now + random.pick([Infinity, 0, random.integer(1, 7 * DAY)]);
      await sql`update user_token_grants set expires_at = ${dateOf(grant.endsAt)}
        where user_id = ${id} and id = ${this.ids.get(grant)!}`;
    }
  }

  planId(plan: model.Plan): string {
    return [...this.plans].find(([, candidate]) => candidate === plan)![0];
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

  /** Row by row. */
  async expectSameLedger() {
    expect(await sql`select * from verify_ledger()`).toEqual([]);
    for (const [name, account] of this.accounts) {
      const id = sql`tollgate.tracked_user_id(${this.project.id}, ${name})`;
      const at = model.notBefore(account, this.now);
      expect(
        await sql`select id, token_amount, tokens_used, expires_at, refund_of, created_at
          from user_token_grants where user_id = ${id} order by created_at`,
        name,
      ).toEqual(account.grants.map((grant) => ({
        id: this.ids.get(grant),
        token_amount: grant.tokens,
        tokens_used: grant.used,
        expires_at: dateOf(grant.endsAt),
        refund_of: grant.refund,
        created_at: new Date(grant.createdAt),
      })));
      const periods = account.periods.map(({ plan, start, endsAt, used }) => ({
        plan_id: this.planId(plan),
        period_start: new Date(start),
        period_end: new Date(endsAt),
        tokens_used: used,
      }));
      const usages = await sql`select q.plan_id, u.period_start, u.period_end, u.tokens_used
        from user_quota_usage u join plan_quotas q on q.id = u.quota_id where u.user_id = ${id}`;
      expect(new Set(usages), name).toEqual(new Set(periods));
      expect(
        await sql`select h.transfer_number, h.token_amount, g.name as tag, h.ended_by,
            tollgate.state_of(h, ${iso(at)}) as state, h.expires_at, h.created_at
          from token_holds h left join tags g on g.id = h.tag_id
          where h.user_id = ${id} order by h.transfer_number`,
        name,
      ).toEqual(account.holds.map((hold) => ({
        transfer_number: hold.number,
        token_amount: hold.tokens,
        tag: hold.tag,
        ended_by: hold.endedBy,
        state: model.holdState(account, hold, at),
        expires_at: new Date(hold.expiresAt),
        created_at: new Date(hold.createdAt),
      })));
      expect(
        await sql`select t.transfer_number, t.transaction_type, t.amount, g.name as tag,
            t.quota_left, t.grants_left, t.tokens_held, t.refers_to, t.hold_expires_at,
            t.request_id, t.created_at, coalesce(t.counted_at, t.created_at) as counted_at
          from token_transfers t left join tags g on g.id = t.tag_id
          where t.user_id = ${id} order by t.transfer_number`,
        name,
      ).toEqual(account.transfers.map((transfer) => ({
        transfer_number: transfer.number,
        transaction_type: transfer.type,
        amount: transfer.amount,
        tag: transfer.tag,
        quota_left: transfer.quotaLeft,
        grants_left: transfer.grantsLeft,
        tokens_held: transfer.tokensHeld,
        refers_to: transfer.refersTo,
        hold_expires_at: transfer.holdExpiresAt && new Date(transfer.holdExpiresAt),
        request_id: transfer.requestId,
        created_at: new Date(transfer.at),
        counted_at: new Date(transfer.countedAt),
      })));
    }
  }
}

function describe(request: Request): string {
  return JSON.stringify(
    request,
    (key, value) => key === "hold" && value ? (value as model.Hold).number : value,
  );
}

function dateOf(instant: number): Date | null {
  return instant === Infinity ? null : new Date(instant);
}

// The database's answers in the model's words ----------------------------------------------------

function balanceOf(balance: Balance): ReturnType<typeof model.balance> {
  return sorted({
    tokensLeft: balance.tokens_left,
    tokensHeld: balance.tokens_held,
    tokensSettled: balance.tokens_settled,
    quotaAmount: balance.quota_amount,
    quotaUsed: balance.quota_used,
    quotaHeld: balance.quota_held,
    quotaLeft: balance.quota_left,
    quotaResetsAt: balance.quota_resets_at && balance.quota_resets_at.getTime(),
    grantsLeft: balance.grants_left,
    restrictions: balance.restrictions.map(limitOf),
  });
}

function limitOf(limit: LimitState): model.LimitState {
  return { ...limit, resets_at: Date.parse(limit.resets_at) };
}

function sorted(balance: ReturnType<typeof model.balance>) {
  const key = ({ tag, duration, max_tokens }: model.LimitState) =>
    [tag, duration, max_tokens].join();
  const restrictions = balance.restrictions.toSorted((a, b) => key(a) < key(b) ? -1 : 1);
  return { ...balance, restrictions };
}
