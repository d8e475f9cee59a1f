// Requests that are likely to be interesting: at limits, near the ends of things, repeated.

import type { Random } from "../support/random.ts";
import * as model from "./model.ts";

/** Of the project. */
export const TAGS = ["GPT-4", "GPT-5", "images"];
/** With clocks that are changed by an hour, by half, at midnight, never, and between odd offsets. */
export const TIME_ZONES = [
  "UTC",
  "America/New_York",
  "America/Santiago",
  "Asia/Kolkata",
  "Australia/Lord_Howe",
  "Europe/Berlin",
  "Pacific/Chatham",
];

export type Consume = model.Consumption & { kind: "consume"; name: string } & Keyed;

export type Request =
  | Consume
  | {
    kind: "grant";
    name: string;
    tokens: number;
    effectiveAt: number | null;
    endsAt: number;
    priority: number;
    tags: string[] | null;
  } & Keyed
  | { kind: "void"; name: string; grant: model.Grant | null } & Keyed
  | { kind: "change"; name: string } & model.Change & Keyed
  | { kind: "hold"; name: string; tokens: number; tag: string | null; ttl: number } & Keyed
  | OfHold<{ kind: "settle"; tokens: number; allowExcess: boolean }>
  | OfHold<{ kind: "extend"; ttl: number }>
  | OfHold<{ kind: "release" }>
  | {
    kind: "refund";
    name: string;
    original: number | string;
    tokens: number | null;
    regrantLapsed: boolean;
    grantEndsAt: number;
  } & Keyed
  | { kind: "batch"; items: Consume[]; allOrNothing: boolean };

export type Single = Exclude<Request, { kind: "batch" }>;

/** Duplicate: a request of before once more; mismatch: another one with its id. */
export const KINDS = [
  "consume",
  "batch",
  "hold",
  "settle",
  "extend",
  "release",
  "refund",
  "grant",
  "void",
  "change",
  "duplicate",
  "mismatch",
] as const;
export type Kind = typeof KINDS[number];

interface Keyed {
  requestId: string | null;
}

/** Of a hold by its number; null is one that does not exist. */
type OfHold<Step> = Step & { name: string; hold: number | null } & Keyed;

const SECOND = 1000;
const HOUR = 3600 * SECOND;
const DAY = 24 * HOUR;

export class Requests {
  readonly #earlier: Single[] = [];
  #lastId = 0;
  #random!: Random;

  constructor(
    readonly accounts: ReadonlyMap<string, model.Account>,
    readonly plans: ReadonlyMap<string, model.Plan>,
  ) {}

  /** Of that kind where there is something to do it to, else one that makes it. */
  next(kind: Kind, random: Random, names: string[], now: number): Request {
    this.#random = random;
    if (kind === "batch") return this.#batch(names, now);
    const earlier = this.#earlier.length > 0 && random.pick(this.#earlier.slice(-100));
    const name = earlier ? earlier.name : random.pick(names);
    const request = earlier && kind === "duplicate"
      ? this.#varied(earlier)
      : earlier && kind === "mismatch"
      ? { ...this.#fresh(random.pick(KINDS), name, now), requestId: earlier.requestId }
      : this.#fresh(kind, random.pick(names), now);
    if (request.requestId !== null) this.#earlier.push(request);
    return request;
  }

  #batch(names: string[], now: number): Request {
    const random = this.#random;
    const items: Consume[] = [];
    const count = random.integer(1, 6);
    while (items.length < count) {
      let item = this.#consume(random.pick(names), now);
      if (items.length > 0 && random.number() < 0.15) item = this.#varied(random.pick(items));
      else if (this.#earlier.length > 0 && random.number() < 0.15) {
        const again = random.pick(this.#earlier.slice(-100));
        const { name, requestId } = again;
        item = again.kind === "consume" ? this.#varied(again) : { ...item, name, requestId };
      }
      items.push(random.number() < 0.05 ? { ...item, tag: "GPT-typo" } : item);
    }
    // What can be repeated alone: there, an unknown tag is another test's.
    this.#earlier.push(...items.filter(({ tag, requestId }) => requestId && tag !== "GPT-typo"));
    return { kind: "batch", items, allOrNothing: random.number() < 0.4 };
  }

  /** Mostly the same. */
  #varied<R extends Single>(request: R): R {
    if (this.#random.number() < 0.8) return request;
    const copy = { ...request };
    if ("ttl" in copy) copy.ttl = copy.ttl % 86400 + 1;
    else if (copy.kind === "consume" && this.#random.number() < 0.5) {
      copy.mode = copy.mode === "up_to" ? "all_or_nothing" : "up_to";
    } else if ("tokens" in copy) copy.tokens = (copy.tokens ?? 0) + 1;
    return copy;
  }

  #fresh(kind: Kind, name: string, now: number): Single {
    const random = this.#random;
    const requestId = this.#requestId();
    const account = this.accounts.get(name);
    const consume = this.#consume(name, now);
    const hold: Single = {
      kind: "hold",
      name,
      tokens: consume.tokens,
      tag: consume.tag,
      ttl: this.#ttl(),
      requestId,
    };
    switch (kind) {
      case "grant": {
        const lifetime = random.pick([Infinity, HOUR, 7 * DAY, random.integer(SECOND, 60 * DAY)]);
        const effectiveAt = random.pick([null, null, now - DAY, now + random.integer(1, 3 * DAY)]);
        return {
          kind,
          name,
          tokens: 3 * this.#amount(),
          effectiveAt,
          endsAt: Math.max(now, effectiveAt ?? now) + lifetime,
          priority: random.pick([50, 50, 50, 1, 99]),
          tags: random.pick([null, null, ["GPT-4"], ["GPT-5", "images"]]),
          requestId,
        };
      }
      case "change":
        return { kind, name, ...this.#change(now), requestId };
      case "void": {
        if (!account) return consume;
        const grant = random.number() < 0.05 ? null : random.pick(account.grants.slice(-8)) ?? null;
        return { kind, name, grant, requestId };
      }
      case "refund":
        return account && account.transfers.length > 0 ? this.#refund(name, account, now) : consume;
      case "hold":
        return hold;
      case "settle":
      case "extend":
      case "release": {
        if (!account) return hold;
        // Open, or only just expired.
        const current = model.openHolds(account, now - 1);
        const holds = random.number() < 0.9 ? current : model.holdsOf(account).slice(-10);
        if (holds.length === 0) return hold;
        const { number, tokens: held } = random.pick(holds);
        const step = { name, hold: random.number() < 0.02 ? null : number, requestId };
        if (kind === "extend") return { kind, ...step, ttl: this.#ttl() };
        if (kind === "release") return { kind, ...step };
        return {
          kind,
          ...step,
          tokens: random.pick([0, random.integer(0, held), held, held + random.integer(1, 50)]),
          allowExcess: random.number() < 0.8,
        };
      }
      default:
        return consume;
    }
  }

  #consume(name: string, now: number): Consume {
    const random = this.#random;
    return {
      kind: "consume",
      name,
      tokens: this.#boundaryAmount(name, now) ?? this.#amount(),
      tag: random.pick([null, null, ...TAGS]),
      mode: random.pick(["all_or_nothing", "all_or_nothing", "up_to"]),
      requestId: this.#requestId(),
    };
  }

  #refund(name: string, account: model.Account, now: number): Request & { kind: "refund" } {
    const random = this.#random;
    const recent = account.transfers.slice(-60);
    const paid = recent.filter(({ type }) => type === "consumption");
    const byMany = paid.filter(({ draws }) => draws.length > 1);
    const pools = [recent, paid, paid, byMany, byMany].filter((pool) => pool.length > 0);
    const original = random.pick(random.pick(pools));
    const amount = Math.abs(original.amount);
    const part = random.integer(1, Math.ceil(amount / 2));
    const lifetime = random.pick([Infinity, DAY, random.integer(SECOND, 60 * DAY)]);
    return {
      kind: "refund",
      name,
      original: random.number() < 0.02
        ? account.transfers.length + 9
        : random.number() < 0.5
        ? original.requestId ?? original.number
        : original.number,
      tokens: random.pick([null, amount + 1, part, part, part]),
      regrantLapsed: random.number() < 0.4,
      grantEndsAt: now + lifetime,
      requestId: this.#requestId(),
    };
  }

  #change(now: number): model.Change {
    const random = this.#random;
    const some = <T>(chance: number, value: T) => random.number() < chance ? value : null;
    const payment = some(
      0.4,
      random.pick(["active", "active", "trial", "past_due", "paused", "canceled"] as const),
    );
    const plan = some(0.5, random.pick([...this.plans.values()]));
    return {
      plan,
      payment,
      when: (plan || payment === "canceled") && random.number() < 0.3 ? "period_end" : "now",
      policy: random.pick(["keep", "prorate", "reset"]),
      quotaOpenUntil: some(0.15, now + random.integer(-DAY, 40 * DAY)),
      anchor: some(0.15, now + random.pick([-1, 1]) * random.integer(1, 90 * DAY)),
      // So that something is given.
      timeZone: some(plan || payment ? 0.15 : 1, random.pick(["", ...TIME_ZONES])),
    };
  }

  #requestId(): string | null {
    return this.#random.number() < 0.3 ? `request ${++this.#lastId}` : null;
  }

  #amount(): number {
    return this.#random.integer(1, this.#random.pick([10, 100, 100, 1000]));
  }

  /** All that is left of something, or one token more. */
  #boundaryAmount(name: string, now: number): number | undefined {
    const account = this.accounts.get(name);
    if (!account || this.#random.number() < 0.75) return;
    const { restrictions, ...balance } = model.balance(account, now);
    const quotaFree = (balance.quotaAmount ?? 0) - (balance.quotaUsed ?? 0);
    const amount = this.#random.pick([
      balance.tokensLeft,
      // Also where payment closes the quota.
      quotaFree - (balance.quotaHeld ?? 0) + balance.grantsLeft,
      balance.tokensSettled,
      balance.quotaLeft,
      ...restrictions.map(({ left }) => left),
    ]);
    return Math.max(1, amount + this.#random.pick([0, 0, 1]));
  }

  /** In seconds. */
  #ttl(): number {
    return this.#random.pick([1, 600, 3600, 86400, this.#random.integer(1, 86400)]);
  }
}
