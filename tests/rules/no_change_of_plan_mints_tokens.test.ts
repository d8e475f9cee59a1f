import { describe, expect, test } from "vitest";
import { useDatabase } from "../support/database.ts";
import { type Period, Project, type User } from "../support/project.ts";
import { Random, seed } from "../support/random.ts";

const { sql } = useDatabase();

const SECOND = 1000;
const HOUR = 3600 * SECOND;
const DAY = 24 * HOUR;
const START = Date.UTC(2026, 3, 1);
const END = Date.UTC(2026, 4, 1);

const iso = (instant: number) => new Date(instant).toISOString();

interface Plan {
  name: string;
  /** 0 without one. */
  quota: number;
  /** Of its periods, in milliseconds; the month is that of April. */
  length: number;
}

/** A random user of several plans, whose time goes on by random steps through April. */
class Walk {
  now = START;
  plan: Plan;
  readonly holds: { id: string; tokens: number }[] = [];
  readonly consumptions: number[] = [];

  private constructor(readonly random: Random, readonly user: User, readonly plans: Plan[]) {
    this.plan = plans[0]!;
  }

  static async create(random: Random, periods: [Period, number][]): Promise<Walk> {
    const project = await Project.create(sql);
    const plans: Plan[] = [];
    for (let n = 0; n < 4; n++) {
      const [period, length] = random.pick(periods);
      const plan = { name: `plan ${n}`, quota: random.pick([0, 10, 100, 101, 250, 1000]), length };
      if (plan.quota === 0) await project.plan({ type: "pay_as_you_go" }, plan.name);
      else await project.plan({ quota: plan.quota, period }, plan.name);
      plans.push(plan);
    }
    const [first] = await sql<{ id: string }[]>`
      select id from plans where project_id = ${project.id} and name = 'plan 0'`;
    const user = await project.user("ada", {
      planId: first!.id,
      billingAnchor: iso(START),
      createdAt: iso(START - DAY),
    });
    return new Walk(random, user, plans);
  }

  async step(policies: readonly ("keep" | "prorate")[]) {
    const { random, user } = this;
    this.now = Math.min(
      END - SECOND,
      this.now + random.pick([0, 0, 1, SECOND, HOUR, random.integer(0, 40 * HOUR)]),
    );
    const at = iso(this.now);
    const dice = random.integer(1, 100);
    if (dice <= 25) {
      this.plan = random.pick(this.plans);
      await user.change({ plan: this.plan.name, quotaPolicy: random.pick(policies), at });
    } else if (dice <= 60) {
      const receipt = await user.consume(random.integer(1, 120), { at, mode: "up_to" });
      if (receipt.success) this.consumptions.push(receipt.transfer_number!);
    } else if (dice <= 78) {
      const { hold_id, tokens_held } = await user.hold(random.integer(1, 80), {
        at,
        ttl: random.pick([1, 3600, 86_400]),
      });
      if (hold_id) this.holds.push({ id: hold_id, tokens: tokens_held });
    } else if (dice <= 90 && this.holds.length > 0) {
      const [hold] = this.holds.splice(random.integer(0, this.holds.length - 1), 1);
      const end = random.integer(0, hold!.tokens);
      await (end > 0 ? user.settle(hold!.id, end, { at }) : user.release(hold!.id, { at }))
        .catch(expectCode("TG012")); // expired
    } else if (this.consumptions.length > 0) {
      const number = random.pick(this.consumptions);
      await user.refund(number, { tokens: random.integer(1, 30), at })
        .catch(expectCode("TG015")); // more than is left of it
    }
  }

  /** Just after the last call: changes of plan are later than what was before, by a microsecond at least. */
  get after(): string {
    return iso(this.now + 1);
  }

  async quotaLeft(): Promise<number> {
    return (await this.user.balance(this.after)).quota_left;
  }

  /** Base quota used or held since an instant, by the audit trail. */
  async used(since: number): Promise<number> {
    const [row] = await sql<{ used: number }[]>`
      select (
        coalesce(sum(t.base_quota_used), 0) + coalesce((
          select sum(s.tokens) from token_holds h, unnest(h.sources) s
          where h.user_id = ${this.user
      .id!} and h.ended_by is null and h.expires_at > ${this.after} and h.created_at >= ${
      iso(since)
    } and s.grant_id is null
        ), 0)
      )::integer as used
      from token_transfers t
      where t.user_id = ${this.user.id!} and coalesce(t.counted_at, t.created_at) >= ${iso(since)}`;
    return row!.used;
  }
}

function expectCode(code: string) {
  return (error: { code: string }) => {
    if (error.code !== code) throw error;
  };
}

describe(`random changes, consumptions, holds and refunds (TOLLGATE_SEED=${seed})`, () => {
  test.each([[["keep"]], [["prorate"]], [["keep", "prorate"]]] as const)(
    "one period pays at most the largest quota of its plans: %s",
    async (policies) => {
      const random = new Random();
      for (let walks = 0; walks < 5; walks++) {
        const walk = await Walk.create(random, [["1 month", END - START]]);
        let largest = walk.plan.quota;
        for (let steps = 0; steps < 60; steps++) {
          await walk.step(policies);
          largest = Math.max(largest, walk.plan.quota);
          expect(await walk.used(START) + await walk.quotaLeft()).toBeLessThanOrEqual(largest);
        }
      }
    },
  );

  test("a plan's own period pays at most its quota, whatever the other plans' periods", async () => {
    const random = new Random();
    for (let walks = 0; walks < 6; walks++) {
      const walk = await Walk.create(random, [
        ["1 hour", HOUR],
        ["1 day", DAY],
        ["1 week", 7 * DAY],
        ["1 month", END - START],
      ]);
      for (let steps = 0; steps < 60; steps++) {
        await walk.step(["keep"]);
        const { quota, length } = walk.plan;
        const left = await walk.quotaLeft();
        if (left === 0) continue;
        const began = START + Math.floor((walk.now + 1 - START) / length) * length;
        expect(await walk.used(began) + left).toBeLessThanOrEqual(quota);
      }
    }
  });
});
