import { expect, test } from "vitest";
import { useDatabase } from "../support/database.ts";
import { type Balance, type Change, Project, type User } from "../support/project.ts";
import { Random, seed } from "../support/random.ts";

const { sql } = useDatabase();

const SECOND = 1000;
const HOUR = 3600 * SECOND;
const DAY = 24 * HOUR;
const TAGS = ["GPT-4", "GPT-5", "Claude"];
const ZONES = ["UTC", "America/New_York", "Europe/Berlin", "Asia/Kathmandu", "Australia/Lord_Howe"];
const iso = (instant: number) => new Date(instant).toISOString();

/** A user whose random calls go on through 2031, and what the balance was said to be at many instants. */
class Walk {
  now = Date.UTC(2031, 0, 15);
  readonly said: { at: string; balance: Balance }[] = [];
  readonly holds: { id: string; tokens: number }[] = [];
  readonly consumptions: number[] = [];
  readonly grants: string[] = [];

  private constructor(readonly random: Random, readonly user: User) {}

  static async create(random: Random): Promise<Walk> {
    const project = await Project.create(sql, "America/New_York", { graceDays: 3 });
    for (const tag of TAGS) await project.tagId(tag);
    await project.plan({
      type: "pay_as_you_go",
      restrictions: [{ maxTokens: 900, duration: "1 day" }],
    }, "flex");
    await project.plan({
      quota: 500,
      period: "1 week",
      countedFrom: "calendar",
      rollover: { maxTokens: 100, periods: 2 },
      restrictions: [
        { maxTokens: 200, duration: "1 hour" },
        { tags: ["GPT-4", "Claude"], maxTokens: 600, duration: "3 days" },
      ],
    }, "weekly");
    const planId = await project.plan({
      quota: 2000,
      rollover: { maxTokens: 300, periods: 3 },
      restrictions: [
        { maxTokens: 700, duration: "1 day" },
        { tag: "GPT-4", maxTokens: 150, duration: "5 hours", window: "rolling" },
        { tags: ["GPT-4", "GPT-5"], maxTokens: 900, duration: "7 days", window: "rolling" },
        { maxTokens: 3000, duration: "1 month" },
        {
          maxTokens: 1000,
          duration: "2 days",
          startsAt: "2031-02-01T00:00:00Z",
          endsAt: "2031-03-10T12:00:00Z",
        },
      ],
    }, "monthly");
    const user = await project.user("ada", {
      planId,
      billingAnchor: "2031-01-10T09:30:00Z",
      createdAt: "2031-01-01T00:00:00Z",
    });
    await user.recurringGrant(20, "1 day", { startsAt: "2031-01-20T06:00:00Z", validFor: "1 day" });
    await user.recurringGrant(50, "1 week", {
      startsAt: "2031-01-16T23:30:00Z",
      endsAt: "2031-04-01T00:00:00Z",
      priority: 10,
    });
    return new Walk(random, user);
  }

  async step() {
    const { random } = this;
    const before = this.now;
    // Several calls at one instant, or a jump: of seconds, hours, days, or weeks with nobody there.
    if (random.integer(1, 10) > 3) {
      this.now += random.pick([
        SECOND,
        random.integer(1, 20) * 60 * SECOND,
        random.integer(1, 12 * HOUR),
        random.integer(1, 3 * DAY),
        random.integer(1, 25) === 1 ? random.integer(1, 60 * DAY) : HOUR,
      ]);
      await this.look(before);
      for (let looks = random.integer(0, 3); looks > 0; looks--) {
        await this.look(random.integer(before + 1, this.now - 1));
      }
    }
    await this.act(iso(this.now));
  }

  private async look(instant: number) {
    const at = iso(instant);
    // Changes of plan are later than the transfer before, by a microsecond at least.
    const [row] = await sql<{ is_past: boolean }[]>`
      select not_before > ${at} as is_past from user_usage where user_id = ${this.user.id!}`;
    if (!row!.is_past) this.said.push({ at, balance: await this.user.balance(at) });
  }

  private async act(at: string) {
    const { random, user } = this;
    const tag = random.pick([undefined, ...TAGS]);
    const call = { at, ...(tag && { tag }) };
    const dice = random.integer(1, 100);
    if (dice <= 35) {
      const { transfer_number } = await user.consume(random.integer(1, 150), {
        ...call,
        mode: "up_to",
      });
      if (transfer_number) this.consumptions.push(transfer_number);
    } else if (dice <= 50) {
      const { hold_id, tokens_held } = await user.hold(random.integer(1, 100), {
        ...call,
        ttl: random.pick([30, 3600, 86_400]),
      });
      if (hold_id) this.holds.push({ id: hold_id, tokens: tokens_held });
    } else if (dice <= 62 && this.holds.length > 0) {
      await this.changeHold(at);
    } else if (dice <= 72 && this.consumptions.length > 0) {
      await user.refund(random.pick(this.consumptions), {
        tokens: random.integer(1, 40),
        at,
        regrantLapsed: random.pick([true, false]),
      }).catch(unless("TG015"));
    } else if (dice <= 80) {
      const effective = random.pick([0, 0, random.integer(1, 10 * DAY)]);
      const { grant_id } = await user.grant(random.integer(1, 200), {
        at,
        priority: random.pick([10, 50, 50, 90]),
        ...(effective > 0 && { effectiveAt: iso(this.now + effective) }),
        ...(random.integer(0, 1) && {
          expiresAt: iso(this.now + effective + random.integer(1, 20 * DAY)),
        }),
        ...(tag && random.integer(0, 1) && { tags: [tag] }),
      });
      this.grants.push(grant_id);
    } else if (dice <= 84 && this.grants.length > 0) {
      await user.voidGrant(random.pick(this.grants), { at }).catch(unless("TG017"));
    } else if (dice <= 98) {
      await user.change({ ...this.change(), at }).catch(unless("TG001")); // no period that ends
    } else {
      await this.changeByHand(at);
    }
  }

  private changeHold(at: string): Promise<unknown> {
    const { random, user } = this;
    const index = random.integer(0, this.holds.length - 1);
    const { id, tokens } = this.holds[index]!;
    if (random.integer(0, 2) === 0) {
      return user.extend(id, random.pick([60, 86_400]), { at }).catch(unless("TG012"));
    }
    this.holds.splice(index, 1);
    const call = random.pick([
      () => user.release(id, { at }),
      () => user.settle(id, random.integer(0, tokens), { at }),
      () => user.settle(id, tokens + 5, { at, allowExcess: true }),
    ]);
    return call().catch(unless("TG012"));
  }

  private async changeByHand(at: string) {
    // Dated just after this grant, which is in the future.
    await this.user.grant(1, { at });
    await sql`update tracked_users set
        plan_id = (select id from plans where project_id = ${this.user.project.id}
          and name = ${this.random.pick(["monthly", "weekly"])}),
        payment_status = ${this.random.pick(["active", "trial"])},
        time_zone = ${this.random.pick([null, ...ZONES])}
      where id = ${this.user.id!}`;
  }

  private change(): Change {
    const { random } = this;
    switch (random.integer(1, 5)) {
      case 1:
        return { billingAnchor: iso(this.now - random.integer(0, 40 * DAY)) };
      case 2:
        return { timeZone: random.pick(["", ...ZONES]) };
      case 3: {
        const paymentStatus = random.pick(
          ["trial", "active", "active", "active", "past_due", "paused", "canceled"] as const,
        );
        return {
          paymentStatus,
          ...(random.integer(0, 1) &&
            { quotaOpenUntil: iso(this.now + random.integer(0, 20 * DAY)) }),
          ...(paymentStatus === "canceled" && random.integer(0, 1) && { when: "period_end" }),
        };
      }
      default:
        return {
          plan: random.pick(["monthly", "monthly", "weekly", "flex"]),
          when: random.pick(["now", "now", "period_end"]),
          quotaPolicy: random.pick(["keep", "prorate", "reset"]),
        };
    }
  }
}

function unless(code: string) {
  return (error: { code: string }) => {
    if (error.code !== code) throw error;
  };
}

test(`random balances of the past are what they were (TOLLGATE_SEED=${seed})`, async () => {
  const random = new Random();
  for (let walks = 0; walks < 2; walks++) {
    const walk = await Walk.create(random);
    for (let steps = 0; steps < 150; steps++) await walk.step();
    await walk.user.grant(1, { at: iso(walk.now + 1) });

    expect(walk.said.length).toBeGreaterThan(100);
    for (const { at, balance } of walk.said) {
      expect(await walk.user.balance(at), at).toEqual(balance);
    }
  }
});
