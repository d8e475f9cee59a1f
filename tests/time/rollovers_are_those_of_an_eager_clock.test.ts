import { expect, test } from "vitest";
import { useDatabase } from "../support/database.ts";
import { Project, type User } from "../support/project.ts";
import { Random, seed } from "../support/random.ts";

const { sql } = useDatabase();
const random = new Random();

const START = +new Date("2031-01-01T00:00:00Z");
const PERIOD = 60;

/** A grant, or the quota of a period by its number. */
interface Pot {
  from: number;
  until: number;
  amount: number;
  used: number;
  period?: number;
}
interface Part {
  pot: Pot;
  tokens: number;
}
interface Hold {
  until: number;
  parts: Part[];
}

/** An account of an hourly quota that rolls over, as one would keep it who is there whenever an hour
 * ends. Instants are minutes. */
class EagerAccount {
  readonly pots: Pot[] = [];
  readonly holds = new Map<string, Hold>();
  #periods = 0;

  constructor(readonly quota: number, readonly maximum: number, readonly periods: number) {
    this.#begin();
  }

  #begin() {
    const from = PERIOD * this.#periods;
    const quota = { from, until: from + PERIOD, amount: this.quota, used: 0 };
    this.pots.push({ ...quota, period: this.#periods++ });
  }

  /** Lets time pass: at the end of each hour what is left becomes a grant. */
  passTo(now: number) {
    while (PERIOD * this.#periods <= now) {
      const end = PERIOD * this.#periods;
      const over = this.pots.find(({ period }) => period === this.#periods - 1)!;
      const amount = Math.min(this.maximum, this.#left(over, end));
      this.#begin();
      if (amount > 0) {
        this.pots.push({ from: end, until: end + PERIOD * this.periods, amount, used: 0 });
      }
    }
  }

  #open(now: number): Hold[] {
    return [...this.holds.values()].filter(({ until }) => until > now);
  }

  #left(pot: Pot, now: number): number {
    const held = this.#open(now).flatMap(({ parts }) => parts).filter((part) => part.pot === pot);
    return held.reduce((left, { tokens }) => left - tokens, pot.amount - pot.used);
  }

  /** What can be spent, in order: the quota, then grants by expiry. */
  #inForce(now: number): Part[] {
    return this.pots
      .filter(({ from, until }) => from <= now && now < until)
      .sort((one, other) =>
        Number(one.period === undefined) - Number(other.period === undefined) ||
        one.until - other.until
      )
      .map((pot) => ({ pot, tokens: this.#left(pot, now) }));
  }

  /** The parts that pay so many tokens, or nothing. */
  take(tokens: number, now: number): Part[] | undefined {
    let needed = tokens;
    const parts = this.#inForce(now).map(({ pot, tokens: left }) => {
      const part = { pot, tokens: Math.min(left, needed) };
      needed -= part.tokens;
      return part;
    }).filter((part) => part.tokens > 0);
    return needed > 0 ? undefined : parts;
  }

  charge(parts: Part[]) {
    for (const { pot, tokens } of parts) pot.used += tokens;
  }

  /** The first parts, of so many tokens in all. */
  static first(parts: Part[], tokens: number): Part[] {
    let needed = tokens;
    return parts.map(({ pot, tokens: of }) => {
      const part = { pot, tokens: Math.min(of, needed) };
      needed -= part.tokens;
      return part;
    });
  }

  balance(now: number) {
    const [quota, ...grants] = this.#inForce(now);
    return {
      quota_left: quota!.tokens,
      tokens_held: this.#open(now).flatMap(({ parts }) => parts)
        .reduce((sum, { tokens }) => sum + tokens, 0),
      grants: grants.filter(({ tokens }) => tokens > 0).map(({ pot, tokens }) => [
        tokens,
        pot.from,
        pot.until,
      ]),
    };
  }
}

const instantOf = (minute: number) => new Date(START + minute * 60_000).toISOString();
const minuteOf = (instant: string) => (+new Date(instant) - START) / 60_000;

async function balanceAt(user: User, minute: number) {
  const { quota_left, tokens_held, grants } = await user.balance(instantOf(minute));
  return {
    quota_left,
    tokens_held,
    grants: grants.filter(({ tokens_left }) => tokens_left > 0)
      .map(({ tokens_left, effective_at, expires_at }) => [
        tokens_left,
        minuteOf(effective_at),
        minuteOf(expires_at!),
      ]),
  };
}

test(`whoever looks, and however seldom, finds what an eager clock would have made (TOLLGATE_SEED=${seed})`, async () => {
  for (let round = 0; round < 10; round++) {
    const quota = random.pick([10, 50]);
    const account = new EagerAccount(quota, random.pick([5, 40, 1000]), random.integer(1, 4));
    const project = await Project.create(sql);
    await project.plan({
      quota,
      period: "1 hour",
      rollover: { maxTokens: account.maximum, periods: account.periods },
    });
    const user = await project.user("ada", {
      billingAnchor: instantOf(0),
      createdAt: instantOf(0),
    });
    const consumptions: { number: number; parts: Part[]; refunded: number }[] = [];

    const balances = new Map<number, Awaited<ReturnType<typeof balanceAt>>>();
    let now = 0;
    for (let step = 0; step < 40; step++) {
      // Often the very instant at which a period ends.
      now += random.pick([0, 0, 1, 10, 45, PERIOD - (now % PERIOD), random.integer(1, 300)]);
      account.passTo(now);
      const at = instantOf(now);
      const what = random.pick(["consume", "consume", "hold", "hold", "end", "refund", "read"]);
      const tokens = random.integer(1, quota);

      if (what === "consume") {
        const parts = account.take(tokens, now);
        const receipt = await user.consume(tokens, { at });
        expect(receipt.success).toBe(parts !== undefined);
        if (parts) {
          account.charge(parts);
          consumptions.push({ number: receipt.transfer_number!, parts, refunded: 0 });
        }
      } else if (what === "hold") {
        const parts = account.take(tokens, now);
        const ttl = random.pick([1, 30, 120, 600]);
        const receipt = await user.hold(tokens, { at, ttl: ttl * 60 });
        expect(receipt.success).toBe(parts !== undefined);
        if (parts) account.holds.set(receipt.hold_id, { until: now + ttl, parts });
      } else if (what === "end") {
        const open = [...account.holds].filter(([, { until }]) => until > now);
        if (open.length === 0) continue;
        const [id, { parts }] = random.pick(open);
        const held = parts.reduce((sum, part) => sum + part.tokens, 0);
        const used = random.integer(0, held);
        account.holds.delete(id);
        if (random.pick([true, false])) await user.release(id, { at });
        else {
          const charged = EagerAccount.first(parts, used);
          account.charge(charged);
          const { transfer_number } = await user.settle(id, used, { at });
          consumptions.push({ number: transfer_number!, parts: charged, refunded: 0 });
        }
      } else if (what === "refund") {
        const refundable = consumptions.filter(({ parts, refunded }) =>
          parts.reduce((sum, part) => sum + part.tokens, 0) > refunded
        );
        if (refundable.length === 0) continue;
        const consumption = random.pick(refundable);
        const total = consumption.parts.reduce((sum, part) => sum + part.tokens, 0);
        const refund = random.integer(1, total - consumption.refunded);
        const before = EagerAccount.first(consumption.parts, total - consumption.refunded);
        const after = EagerAccount.first(consumption.parts, total - consumption.refunded - refund);
        account.charge(after);
        account.charge(before.map(({ pot, tokens }) => ({ pot, tokens: -tokens })));
        consumption.refunded += refund;
        await user.refund(consumption.number, { at, tokens: refund });
      }

      balances.set(now, account.balance(now));
      expect([round, step, what, now, await balanceAt(user, now)])
        .toEqual([round, step, what, now, balances.get(now)]);
    }

    // Looking back: what was there then, whether or not anybody had looked.
    for (const [then, balance] of balances) {
      expect([round, "back", then, await balanceAt(user, then)])
        .toEqual([round, "back", then, balance]);
    }
  }
});
