// The load of the crash test, in a process of its own: node --import tsx load_process.ts url project clients
import { bySql, Load } from "./load.ts";

/** Runs until the server is gone, telling when `reach` more calls have been answered; or, without
 * `reach`, until the calls that are still unanswered are. */
export interface Order {
  reach?: number;
}

export type Message = { type: "reached" } | { type: "stopped"; acknowledged: number[] };

const [url, project, clients] = process.argv.slice(2);
const load = new Load(Number(clients), bySql(url!, project!));

function tell(message: Message): void {
  process.send?.(message);
}

process.on("disconnect", () => process.exit(0));
process.on("message", async ({ reach }: Order) => {
  const goal = load.acknowledged.length + (reach ?? 0);
  await load.run({
    onBreak: "stop",
    isEnough: () => reach === undefined,
    onAnswer(answers) {
      if (answers === goal) tell({ type: "reached" });
    },
  });
  tell({ type: "stopped", acknowledged: load.acknowledged });
});
