import { execFile, execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import postgres from "postgres";

/** One SQL statement; `:n` in it is a number from 1 to 1,000, drawn anew for each call. */
export type Workload = string;

export interface Load {
  /** For the report. */
  generator: string;
  /** Calls the workload on so many connections, each as fast as it can; gives each call's milliseconds. */
  run(workload: Workload, clients: number, seconds: number): Promise<number[]>;
}

/** pgbench if there is one, else this process, which then competes with the server for its cores. */
export function loadGenerator(url: string): Load {
  try {
    return { generator: execFileSync("pgbench", ["--version"], { encoding: "utf8" }).trim(), run };
  } catch {
    return { generator: "Node (no pgbench on PATH: ratios are flattered)", run: runInNode };
  }

  async function run(workload: Workload, clients: number, seconds: number): Promise<number[]> {
    const folder = mkdtempSync(path.join(tmpdir(), "tollgate-bench-"));
    try {
      const running = promisify(execFile)("pgbench", [
        ...["--no-vacuum", "--protocol", "prepared", "--file", "-"],
        ...["--log", "--log-prefix", path.join(folder, "log")],
        ...["--client", String(clients), "--jobs", String(Math.min(clients, 2))],
        ...["--time", String(seconds), url],
      ]);
      running.child.stdin!.end(`\\set n random(1, 1000)\n${workload};\n`);
      await running;
      const lines = readdirSync(folder).flatMap((name) =>
        readFileSync(path.join(folder, name), "utf8").trim().split("\n")
      );
      // client, number of the transaction, microseconds, ...
      return lines.map((line) => Number(line.split(" ")[2]) / 1000);
    } finally {
      rmSync(folder, { recursive: true });
    }
  }

  async function runInNode(
    workload: Workload,
    clients: number,
    seconds: number,
  ): Promise<number[]> {
    const sql = postgres(url, { max: clients });
    const query = workload.replaceAll(":n", "$1::text");
    const calls: number[] = [];
    const end = performance.now() + seconds * 1000;
    const client = async () => {
      for (let start = performance.now(); start < end; start = performance.now()) {
        const n = String(1 + Math.floor(Math.random() * 1000));
        await sql.unsafe(query, query === workload ? [] : [n], { prepare: true });
        calls.push(performance.now() - start);
      }
    };
    await Promise.all(Array.from({ length: clients }, client));
    await sql.end();
    return calls;
  }
}
