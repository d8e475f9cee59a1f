// More of them: TOLLGATE_CHAOS=1 npm test -- tests/load tests/faults
import postgres from "postgres";
import { expect, test } from "vitest";
import { chaos, report } from "../support/chaos.ts";
import { type TestSql, types, useDatabase } from "../support/database.ts";
import { createMutant, WITHOUT_REPLAYS } from "../support/mutant.ts";
import { Project } from "../support/project.ts";
import { Random, seed } from "../support/random.ts";
import { audit, bySql, FLAWLESS, LOAD, Load } from "./load.ts";

const { sql, url } = useDatabase();

const CLIENTS = 8;
const CALLS = chaos ? 20_000 : 1_500;
const TIMEOUT = chaos ? 600_000 : 30_000;

/** Terminates backends at random all through the load, some of them between commit and answer. */
async function terminateAmidLoad(sql: TestSql, url: string) {
  const random = new Random();
  const project = await Project.create(sql);
  await project.plan({ quota: 1_000_000 });
  const load = new Load(CLIENTS, bySql(url, project.id));
  const terminations: Promise<unknown[]>[] = [];
  let next = 1;
  await load.run({
    onBreak: "repeat",
    isEnough: () => load.acknowledged.length >= CALLS,
    losesAnswer: () => random.integer(1, 50) === 1,
    onAnswer(answers) {
      if (answers < next) return;
      next = answers + random.integer(1, 30);
      terminations.push(
        sql`select pg_terminate_backend(pid) from (
          select pid from pg_stat_activity
          where datname = current_database() and application_name = ${LOAD} and state = 'active'
          order by random() limit ${random.integer(1, 3)}) as victim`.execute(),
      );
    },
  });
  const terminated = (await Promise.all(terminations)).flat().length;
  await load.end();
  const { acknowledged, broken, replays } = load;
  report("terminated backends", { acknowledged: acknowledged.length, terminated, broken, replays });
  return { load, ...await audit(sql, project.id, acknowledged) };
}

test(
  `${CALLS} calls whose backends are terminated at random are recorded once each, as acknowledged (TOLLGATE_SEED=${seed})`,
  async () => {
    const { load, ...found } = await terminateAmidLoad(sql, url);

    expect(found).toEqual(FLAWLESS);
    // Calls were cut off both after and before their commit.
    expect(load.replays).toBeGreaterThan(0);
    expect(load.broken).toBeGreaterThan(load.replays);
  },
  TIMEOUT,
);

test(
  `without replays the calls whose answers are lost are recorded twice (TOLLGATE_SEED=${seed})`,
  async () => {
    const mutant = await createMutant(WITHOUT_REPLAYS);
    const own = postgres(mutant, { max: 1, types, onnotice() {} });
    const { doubled } = await terminateAmidLoad(own, mutant);
    await own.end();

    expect(doubled.length).toBeGreaterThan(0);
  },
  TIMEOUT,
);
