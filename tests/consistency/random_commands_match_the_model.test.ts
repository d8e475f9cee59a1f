import fc from "fast-check";
import { expect, test } from "vitest";
import { useDatabase } from "../support/database.ts";
import {
  type Balance,
  configOf,
  type Duration,
  type LimitState,
  type Period,
  Project,
  type Restriction,
} from "../support/project.ts";
import { Random, seed } from "../support/random.ts";
import * as model from "./model.ts";
import { WEEKDAYS } from "../support/clocks.ts";
import { DAY, HOUR } from "./model_time.ts";
import { dateOf, iso, predict, type Row, rowOf, send, userId } from "./random_calls.ts";
import {
  type Kind,
  KINDS,
  type Request,
  Requests,
  type Single,
  TAGS,
  TIME_ZONES,
} from "./random_requests.ts";

const { sql } = useDatabase();

/** 5,000 runs by TOLLGATE_SOAK=5000. */
const RUNS = Number(process.env["TOLLGATE_SOAK"] || 300);
const TIMEOUT = 120_000 + RUNS * 1000;
/** So many at a time, each with its share of the runs. */
const STREAMS = 4;

const DURATIONS: Duration[] = [
  "1 hour",
  "5 hours",
  "36 hours",
  "1 day",
  "3 days",
  "1 week",
  "2 weeks",
  "1 month",
  "2 months",
];
const ROLLING: Duration[] = ["1 hour", "5 hours", "2 days", "1 week"];
/** The last one is the default plan's: quota is there again often. */
const PERIODS: Period[] = [
  "1 year",
  "6 months",
  "3 months",
  "1 month",
  "2 weeks",
  "1 week",
  "1 hour",
  "1 day",
];

/** What a command does: a request, an owner's edit by hand, or nothing but that time passes. */
type Deed = Kind | "edit" | "clock jump" | "holds without end";

/** Its numbers are drawn from its own seed and the state of the world, so that it can be done, or left
 * out, anywhere: fast-check finds the shortest list of commands that fails. */
class Command implements fc.AsyncCommand<object, World> {
  #said = "";

  constructor(readonly deed: Deed, readonly seed: number) {}

  check(): boolean {
    return true;
  }

  async run(_: object, world: World): Promise<void> {
    this.#said = `${this.deed}(${this.seed})`;
    await world.live(this.deed, new Random(this.seed), (what) => this.#said = what);
  }

  toString(): string {
    return this.#said;
  }
}

/** Heavier ones come more often. */
const WEIGHTS: Partial<Record<Deed, number>> = { consume: 6, hold: 3, settle: 2, edit: 4 };
const DEEDS: Deed[] = [...KINDS, "edit", "clock jump"];

/** A failure is seen again with what it printed: TOLLGATE_SEED, its path as TOLLGATE_PATH, its
 * replayPath as TOLLGATE_REPLAY_PATH, and `-t 'stream ...'`. Each stream has its own: it has a state. */
function lists() {
  const deeds = DEEDS.flatMap((deed) => Array.from({ length: WEIGHTS[deed] ?? 1 }, () => deed));
  const replayPath = process.env["TOLLGATE_REPLAY_PATH"];
  return fc.commands(
    deeds.map((deed) => fc.noShrink(fc.nat()).map((seed) => new Command(deed, seed))),
    { maxCommands: 60, size: "max", ...(replayPath && { replayPath }) },
  );
}

const streams = Array.from({ length: STREAMS }, (_, stream) => stream + 1);
test.concurrent.each(streams)(
  `stream %i of ${
    RUNS / STREAMS
  } runs of up to 60 random commands matches the model (TOLLGATE_SEED=${seed})`,
  async (stream) => {
    const property = fc.asyncProperty(fc.noShrink(fc.nat()), lists(), async (plans, commands) => {
      const world = await World.create(new Random(plans));
      await fc.asyncModelRun(() => ({ model: {}, real: world }), commands);
      await world.expectSameLedger();
    });
    const path = process.env["TOLLGATE_PATH"];
    await fc.assert(property, {
      seed: seed + stream,
      numRuns: Math.ceil(RUNS / STREAMS),
      ...(path && { path }),
      // Shrinking too ends in time to say what was found.
      interruptAfterTimeLimit: TIMEOUT - 30_000,
      markInterruptAsFailure: true,
    });
  },
  TIMEOUT,
);

test("a user can have 100 open holds, and no more", async () => {
  const world = await World.create(new Random());
  await world.live("grant", new Random(1), () => {});
  await world.live("holds without end", new Random(2), () => {});
  await world.expectSameLedger();
});

/** The database and the model of it, changed in step. */
class World {
  zoneHasChanged = false;
  readonly settings: model.Project = { timeZone: "UTC", weekStart: 1, graceDays: 0, tags: TAGS };
  now = Date.UTC(2030, 0, 31, 10);
  readonly accounts = new Map<string, model.Account>();
  /** Of the users to whom something happens. */
  readonly names = ["ada", "bob", "cid", "dan"];
  readonly plans = new Map<string, model.Plan>();
  readonly requests: Requests;
  /** The answer to each request id that was applied. */
  readonly rows = new Map<string, Row>();

  private constructor(public random: Random, readonly project: Project) {
    this.requests = new Requests(this.accounts, this.plans);
  }

  static async create(random: Random) {
    const world = new World(random, await Project.create(sql));
    for (const tag of TAGS) await world.project.tagId(tag);
    for (const period of [null, ...PERIODS]) await world.addPlan(period);
    return world;
  }

  async addPlan(period: Period | null) {
    const type = period ? "subscription" : "pay_as_you_go";
    const name = period ?? "none";
    const id = await this.project.plan({ type, ...(period && { quota: 500, period }) }, name);
    const plan: model.Plan = { name, type, quota: null, restrictions: [] };
    if (period) {
      const [row] = await sql<{ id: string }[]>`select id from plan_quotas where plan_id = ${id}`;
      plan.quota = {
        id: row!.id,
        amount: 500,
        period,
        countedFrom: "billing_anchor",
        rollover: null,
      };
      if (this.random.number() < 0.7) await this.changeQuota(id, plan.quota);
    }
    this.plans.set(id, plan);
    await this.addRestriction(id, plan);
  }

  /** `say`: what is being done. */
  async live(deed: Deed, random: Random, say: (what: string) => void) {
    this.random = random;
    const { names, now } = this;
    this.passTime(deed === "clock jump");
    if (deed === "clock jump") return say(`clock jump by ${this.now - now} ms`);
    if (random.number() < 0.01) {
      names[random.integer(0, names.length - 1)] = `user ${this.accounts.size + 1}`;
    }
    if (deed === "edit" || deed === "holds without end") {
      const name = [...this.accounts.keys()].at(random.integer(-4, -1));
      if (!name) return;
      say(`${deed}: ${name} at ${iso(this.now)}`);
      await (deed === "edit" ? this.edit(name) : this.holdUntilDenied(name));
      await this.expectSameBalance(name, deed);
    } else {
      const request = this.requests.next(deed, random, names, this.now);
      say(`${describe(request)} at ${iso(this.now)}`);
      await this.request(request);
    }
  }

  /** Not at all, a little, much, or to an instant at which something begins or ends. */
  passTime(isLong: boolean) {
    const { random } = this;
    if (!isLong && random.number() < 0.5) return;
    if (!isLong && random.number() < 0.85) {
      this.now += random.integer(1, 10 * 60_000);
      return;
    }
    if (random.number() < 0.1) {
      this.now += random.integer(1, random.pick([6 * HOUR, 3 * DAY, 3 * DAY, 40 * DAY, 120 * DAY]));
      return;
    }
    const coming = this.names.flatMap((name) => this.boundaries(name))
      .filter((at) => at > this.now && at < this.now + 40 * DAY);
    if (coming.length === 0) return;
    const next = random.number() < 0.7 ? Math.min(...coming) : random.pick(coming);
    this.now = random.pick([next - 1, next, next, next + random.integer(1, HOUR)]);
  }

  boundaries(name: string): number[] {
    const account = this.accounts.get(name);
    if (!account) return [];
    const { next, quotaOpenUntil } = model.settingsAt(account, this.now);
    const { quotaResetsAt, restrictions } = model.balance(account, this.now);
    return [
      quotaResetsAt ?? 0,
      quotaOpenUntil ?? 0,
      next?.at ?? 0,
      ...restrictions.map(({ resets_at }) => resets_at),
      ...model.limitsAt(account, this.now).map(({ endsAt }) => endsAt),
      ...account.grants.flatMap(({ effectiveAt, endsAt }) => [effectiveAt, endsAt]),
      ...account.recurring.map((recurring) => model.nextDue(account, recurring, this.now)),
      ...model.openHolds(account, this.now).map(({ expiresAt }) => expiresAt),
    ];
  }

  async request(request: Request) {
    const { random } = this;
    const single = request.kind === "batch" ? request.items : [request];
    // Grants of one instant and expiry are used in the order of their random ids, and two plans that
    // begin at one instant are another test's: avoided here.
    const isAlone = ["grant", "refund", "void", "change"].includes(request.kind);
    if (isAlone) this.now += 1;
    const accounts = new Map(
      single.map((request) => [request.name, this.accountOf(request)] as const),
    );
    // Some calls come late, with an instant from before.
    const isLate = !isAlone && single.every(({ name }) => this.accounts.has(name)) &&
      random.number() < 0.05;
    // Not before a recurring grant was agreed on: what is not there is not written down.
    const agreed = [...accounts.values()].flatMap(({ recurring }) =>
      recurring.map(({ createdAt }) => createdAt)
    );
    const at = isLate ? Math.max(this.now - random.integer(1, 2 * HOUR), ...agreed) : this.now;
    const message = `${describe(request)} at ${iso(at)}`;

    const call = (checkOnly = false) => send(request, this.project, { at, checkOnly });
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

  accountOf(request: Single): model.Account {
    const { name } = request;
    const given = request.kind === "change" ? request.plan : null;
    const plan = given ?? [...this.plans.values()].at(-1)!;
    return this.accounts.get(name) ??
      model.newAccount(userId(this.project.id, name), this.settings, plan, this.now);
  }

  expectSameAnswer(request: Single, answer: model.Answer, row: Row, message: string) {
    const { name, requestId } = request;
    if (answer.grant?.id === "" && row.grant_id) answer.grant.id = row.grant_id;
    expect(row, message).toMatchObject(rowOf(request, answer));
    const { nearest_limit: limit } = row;
    if (limit) expect(answer.nearest, message).toContainEqual(limitOf(limit));
    else if (limit === null) expect(answer.nearest, message).toBeNull();
    if (!answer.success || requestId === null) return;
    const key = `${name}: ${requestId}`;
    if (answer.replayed) expect(row, message).toEqual({ ...this.rows.get(key), replayed: true });
    else this.rows.set(key, row);
  }

  /** Now, and as of an instant of the past. */
  async expectSameBalance(name: string, message: string) {
    const { random } = this;
    const account = this.accounts.get(name)!;
    const user = this.project.unknownUser(name);
    expect(balanceOf(await user.balance(iso(this.now))), message)
      .toEqual(expectedBalance(model.balance(account, this.now)));
    const last = account.transfers.at(-1)!.at;
    if (random.number() > 0.25 || last === account.createdAt) return;
    const at = random.number() < 0.5 ? random.integer(account.createdAt, last - 1) : Math.max(
      account.createdAt,
      random.pick(account.transfers.slice(-30)).at - random.pick([0, 1]),
    );
    if (at >= last || this.hasMoved(account)) return;
    const then = model.balance(account, at);
    const found = balanceOf(await user.balance(iso(at)));
    // When a period was to end that a change of plan has ended since is told by today's anchor.
    if (then.isCutShort) found.quotaResetsAt = dateOf(then.quotaResetsAt);
    expect(found, `${message}, as of ${iso(at)}`).toEqual(expectedBalance(then));
  }

  /** By other clocks recurring grants were due at other instants: the past is told by those of its end. */
  hasMoved({ recurring, transfers }: model.Account): boolean {
    return recurring.length > 0 && (this.zoneHasChanged ||
      transfers.some(({ change }) => change && change.before.timeZone !== change.after.timeZone));
  }

  /** A user can have so many open holds, and no more. */
  async holdUntilDenied(name: string) {
    const hold = { kind: "hold", name, tokens: 1, tag: null, ttl: 86400, requestId: null } as const;
    const account = this.accounts.get(name)!;
    let before;
    do {
      before = model.holdsOf(account).length;
      await this.request(hold);
    } while (model.holdsOf(account).length > before);
  }

  /** An owner's edit by hand. */
  async edit(name: string) {
    const { random, settings, project } = this;
    const dice = random.integer(1, 31);
    const account = this.accounts.get(name)!;
    const { plan } = model.settingsAt(account, this.now);
    const planId = this.planId(plan);
    if (dice <= 6) {
      if (plan.restrictions.length < 5) await this.addRestriction(planId, plan);
    } else if (dice <= 9) {
      const gone = plan.restrictions.pop();
      if (!gone) return;
      await sql`delete from plan_restrictions where plan_id = ${planId} and id = (
        select id from plan_restrictions where plan_id = ${planId}
        order by created_at desc limit 1)`;
    } else if (dice <= 12) {
      if (plan.quota) await this.changeQuota(planId, plan.quota);
    } else if (dice <= 13) {
      plan.type = random.pick(["subscription", "subscription", "pay_as_you_go"]);
      await sql`update plans set plan_type = ${plan.type} where id = ${planId}`;
    } else if (dice <= 16) {
      settings.timeZone = random.pick(TIME_ZONES);
      this.zoneHasChanged = true;
      settings.weekStart = random.integer(1, 7);
      settings.graceDays = random.pick([0, 2, 7]);
      await sql`update projects set time_zone = ${settings.timeZone},
        week_start = ${WEEKDAYS[settings.weekStart - 1]!}, grace_days = ${settings.graceDays}
        where id = ${project.id}`;
    } else if (dice <= 20) {
      const grant = random.pick(account.grants);
      if (!grant) return;
      grant.endsAt = model.notBefore(
        account,
        this.now + random.pick([Infinity, 0, -DAY, random.integer(1, 7 * DAY)]),
      );
      await sql`update user_token_grants set expires_at = ${dateOf(grant.endsAt)}
        where user_id = ${account.id} and id = ${grant.id}`;
    } else if (dice <= 24) {
      if (account.recurring.length < 3) await this.addRecurringGrant(name, account);
    } else if (dice <= 27) {
      const recurring = random.pick(account.recurring);
      if (!recurring) return;
      const endsAt = this.now + random.pick([0, random.integer(-2 * DAY, 30 * DAY), Infinity]);
      recurring.endsAt = Math.max(recurring.startsAt, endsAt);
      await sql`update recurring_grants set ends_at = ${dateOf(recurring.endsAt)}
        where user_id = ${account.id} and id = ${recurring.id}`;
    } else if (dice <= 30) {
      await this.editRestriction(planId, plan);
    } else {
      await this.deleteQuota(planId, plan);
    }
  }

  planId(plan: model.Plan): string {
    return [...this.plans].find(([, candidate]) => candidate === plan)![0];
  }

  async changeQuota(planId: string, quota: model.Quota) {
    const { random } = this;
    const { period, countedFrom } = quota;
    Object.assign(quota, {
      amount: random.pick([0, 100, 500, 2000]),
      period: random.pick([period, period, random.pick(PERIODS)]),
      countedFrom: random.pick([countedFrom, "billing_anchor", "calendar"]),
      rollover: random.pick([null, {
        maxTokens: random.pick([50, 1000]),
        periods: random.integer(1, 3),
      }]),
    });
    await sql`update plan_quotas set token_amount = ${quota.amount}, period = ${quota.period},
        counted_from = ${quota.countedFrom},
        rollover_max_tokens = ${quota.rollover?.maxTokens ?? null},
        rollover_periods = ${quota.rollover?.periods ?? null}
      where plan_id = ${planId}`;
  }

  randomRestriction(): model.Restriction {
    const { random } = this;
    const tags = random.pick([null, ["GPT-4"], ["GPT-5"], ["GPT-4", "GPT-5"], ["GPT-4", "images"]]);
    const window = random.pick(["calendar", "rolling"] as const);
    const startsAt = this.now + random.integer(-DAY, DAY);
    const isBetween = random.number() < 0.3;
    return {
      tags,
      isOfOneTag: tags?.length === 1,
      maxTokens: random.pick([50, 300, 1000, 5000, random.number() < 0.3 ? 0 : 3000]),
      duration: random.pick(window === "rolling" ? ROLLING : DURATIONS),
      window,
      startsAt: isBetween ? startsAt : -Infinity,
      endsAt: isBetween ? startsAt + random.integer(1, 7 * DAY) : Infinity,
    };
  }

  async addRestriction(planId: string, plan: model.Plan) {
    const restriction = this.randomRestriction();
    plan.restrictions.push(restriction);
    await this.project.restrict(planId, termsOf(restriction));
  }

  /** Of its maximum alone, or of all that it is. */
  async editRestriction(planId: string, plan: model.Plan) {
    const { random } = this;
    if (plan.restrictions.length === 0) return;
    const number = random.integer(0, plan.restrictions.length - 1);
    const restriction = plan.restrictions[number]!;
    const { maxTokens, ...others } = this.randomRestriction();
    Object.assign(restriction, { maxTokens }, random.pick([{}, others]));
    const config = sql.json(configOf(termsOf(restriction)));
    await sql`update plan_restrictions
      set restriction_type = ${restriction.tags ? "tag" : "total"}, restriction_config = ${config}
      where id = (select id from plan_restrictions where plan_id = ${planId}
        order by created_at offset ${number} limit 1)`;
  }

  /** One that nobody has used, and often makes another. */
  async deleteQuota(planId: string, plan: model.Plan) {
    const { quota } = plan;
    if (!quota) return;
    try {
      await sql`delete from plan_quotas where plan_id = ${planId}`;
    } catch (error) {
      expect(error).toMatchObject({ code: "TG007" });
      return;
    }
    plan.quota = null;
    if (this.random.number() < 0.3) return;
    const [row] = await sql<{ id: string }[]>`
      insert into plan_quotas (plan_id, token_amount) values (${planId}, 500) returning id`;
    plan.quota = { ...quota, id: row!.id };
    await this.changeQuota(planId, plan.quota);
  }

  async addRecurringGrant(name: string, account: model.Account) {
    const { random } = this;
    const terms = {
      tokens: random.pick([7, 60, 300]),
      every: random.pick<Period>(["1 day", "1 week", "1 week", "2 weeks", "1 month", "3 months"]),
      startsAt: this.now + random.integer(-10 * DAY, 5 * DAY),
      validFor: random.pick<Period | null>([null, "1 hour", "1 day", "1 week", "1 month"]),
      priority: random.pick([50, 50, 10]),
    };
    const endsAt = random.pick([Infinity, terms.startsAt + random.integer(0, 60 * DAY)]);
    const { startsAt, tokens, every, validFor, priority } = terms;
    const id = await this.project.unknownUser(name).recurringGrant(tokens, every, {
      startsAt: iso(startsAt),
      ...(endsAt < Infinity && { endsAt: iso(endsAt) }),
      ...(validFor && { validFor }),
      priority,
    });
    await sql.begin(async (tx) => {
      // Made in the world's time, which is not that of the clock.
      await tx`set local role tollgate_kernel`;
      await tx`update recurring_grants set created_at = ${dateOf(this.now)} where id = ${id}`;
    });
    account.recurring.push({ id, ...terms, endsAt, createdAt: this.now, settled: 0 });
  }

  /** Row by row. */
  async expectSameLedger() {
    expect(await sql`select * from verify_ledger(${this.project.id})`).toEqual([]);
    for (const [name, account] of this.accounts) {
      const { id } = account;
      const at = model.notBefore(account, this.now);
      const taken = model.takenOf(account, Infinity);
      expect(
        await sql`select id, grant_type, token_amount, tokens_used, priority, effective_at,
            coalesce(voided_at, expires_at) as ends_at, created_at,
            recurring_grant_id as origin, array(select t.name from tags t where t.id = any(tag_ids) order by t.name) as tags
          from user_token_grants where user_id = ${id} order by id`,
        name,
      ).toEqual(
        account.grants.toSorted((a, b) => a.id < b.id ? -1 : 1).map((grant) => ({
          id: grant.id,
          grant_type: grant.type,
          token_amount: grant.tokens,
          tokens_used: taken(grant),
          priority: grant.priority,
          effective_at: new Date(grant.effectiveAt),
          ends_at: dateOf(model.endOf(account, grant)),
          created_at: new Date(grant.createdAt),
          origin: grant.origin,
          tags: grant.tags ?? [],
        })),
      );
      const periods = model.begunPeriods(account).map((period) => ({
        plan_id: this.planId(period.plan),
        period_start: new Date(period.start),
        period_end: new Date(model.endOf(account, period)),
        fixed_size: period.fixedSize,
        tokens_used: taken(period),
      }));
      const usages = await sql`select q.plan_id, u.period_start, u.period_end,
          case when u.is_fixed then u.token_amount end as fixed_size, u.tokens_used
        from user_quota_usage u join plan_quotas q on q.id = u.quota_id where u.user_id = ${id}`;
      const inOrder = (rows: unknown[]) => rows.map((row) => JSON.stringify(row)).toSorted();
      expect(inOrder(usages), name).toEqual(inOrder(periods));
      expect(
        await sql`select h.transfer_number, h.token_amount, g.name as tag, h.ended_by,
            tollgate.state_of(h, ${iso(at)}) as state, h.expires_at, h.created_at
          from token_holds h left join tags g on g.id = h.tag_id
          where h.user_id = ${id} order by h.transfer_number`,
        name,
      ).toEqual(
        model.holdsOf(account).map((hold) => ({
          transfer_number: hold.number,
          token_amount: hold.tokens,
          tag: hold.tag,
          ended_by: hold.endedBy,
          state: model.holdState(account, hold, at),
          expires_at: new Date(hold.expiresAt),
          created_at: new Date(hold.createdAt),
        })),
      );
      expect(
        await sql`select t.transfer_number, t.transaction_type, t.amount, g.name as tag,
            t.user_token_grants_id as grant_id, t.quota_left, t.grants_left, t.tokens_held,
            t.refers_to, t.hold_expires_at, t.request_id, t.created_at,
            coalesce(t.counted_at, t.created_at) as counted_at
          from token_transfers t left join tags g on g.id = t.tag_id
          where t.user_id = ${id} order by t.transfer_number`,
        name,
      ).toEqual(account.transfers.map((transfer) => ({
        transfer_number: transfer.number,
        transaction_type: transfer.type,
        amount: transfer.amount,
        tag: transfer.tag,
        grant_id: transfer.grant && transfer.grant.id,
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

function termsOf(restriction: model.Restriction): Restriction {
  const { tags, isOfOneTag, maxTokens, duration, window, startsAt, endsAt } = restriction;
  return {
    ...(tags && (isOfOneTag ? { tag: tags[0]! } : { tags })),
    maxTokens,
    duration,
    window,
    ...(endsAt < Infinity && { startsAt: iso(startsAt), endsAt: iso(endsAt) }),
  };
}

function describe(request: Request): string {
  return JSON.stringify(request, (key, value) => {
    if (key === "plan" && value) return (value as model.Plan).name;
    if (key === "grant" && value) return (value as model.Grant).id;
    return value;
  });
}

// The database's answers in the model's words ----------------------------------------------------

/** As a balance of the database says it. */
function expectedBalance({ grants, isCutShort: _, ...balance }: ReturnType<typeof model.balance>) {
  return {
    ...balance,
    nextPlanAt: dateOf(balance.nextPlanAt),
    quotaOpenUntil: dateOf(balance.quotaOpenUntil),
    quotaResetsAt: dateOf(balance.quotaResetsAt),
    grants: grants.map(({ grant, left }) => ({
      grant_id: grant.id,
      grant_type: grant.type,
      tokens_left: left,
      priority: grant.priority,
      effective_at: new Date(grant.effectiveAt),
      expires_at: dateOf(grant.endsAt),
      tags: grant.tags,
    })),
    restrictions: inOneOrder(balance.restrictions),
  };
}

function balanceOf(balance: Balance): ReturnType<typeof expectedBalance> {
  return {
    plan: balance.plan,
    nextPlan: balance.next_plan,
    nextPlanAt: balance.next_plan_at,
    payment: balance.payment_status,
    quotaOpenUntil: balance.quota_open_until,
    timeZone: balance.time_zone,
    tokensLeft: balance.tokens_left,
    tokensHeld: balance.tokens_held,
    tokensSettled: balance.tokens_settled,
    quotaAmount: balance.quota_amount,
    quotaUsed: balance.quota_used,
    quotaHeld: balance.quota_held,
    quotaLeft: balance.quota_left,
    quotaResetsAt: balance.quota_resets_at,
    grantsLeft: balance.grants_left,
    grants: balance.grants.map((grant) => ({
      ...grant,
      grant_type: grant.grant_type as model.Grant["type"],
      effective_at: new Date(grant.effective_at),
      expires_at: grant.expires_at === null ? null : new Date(grant.expires_at),
    })),
    restrictions: inOneOrder(balance.restrictions.map(limitOf)),
  };
}

function limitOf(limit: LimitState): model.LimitState {
  return { ...limit, resets_at: Date.parse(limit.resets_at) };
}

function inOneOrder(limits: model.LimitState[]): model.LimitState[] {
  const key = ({ tags, duration, window, max_tokens, resets_at }: model.LimitState) =>
    JSON.stringify([tags, duration, window, max_tokens, resets_at]);
  return limits.toSorted((a, b) => key(a) < key(b) ? -1 : 1);
}
