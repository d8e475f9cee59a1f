// The report of bench/results.json: docs/performance.svg and the tables in docs/performance.md.
//   tsx bench/report.ts          makes it anew without measuring
//   tsx bench/report.ts --check  says whether it is fresh
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { plot } from "./plot.ts";
import type { Measurement, Ratio, Results } from "./results.ts";

const at = (name: string) => fileURLToPath(new URL(name, import.meta.url));
export const RESULTS = at("results.json");
const DOCUMENT = at("../docs/performance.md");
const PLOT = at("../docs/performance.svg");
const MARKED = /(<!-- figures, made by npm run bench -->\n)[^]*(<!-- end of figures -->)/;

/** Writes both files. */
export function writeReport(results: Results): void {
  writeFileSync(PLOT, historyPlot(results));
  writeFileSync(DOCUMENT, withFigures(readFileSync(DOCUMENT, "utf8"), results));
}

function withFigures(document: string, results: Results): string {
  return document.replace(MARKED, (_, begin, end) => `${begin}\n${figures(results)}\n${end}`);
}

const whole = (number: number) => Math.round(number).toLocaleString("en");
const fixed = (number: number) => number.toFixed(number < 10 ? 2 : 1);
const ratio = ({ median, lowest, highest }: Ratio) =>
  `${median.toFixed(2)} [${lowest.toFixed(2)}–${highest.toFixed(2)}]`;

/** A paragraph, broken as `deno fmt` does. */
function paragraph(text: string): string {
  const lines = [""];
  for (const word of text.split(" ")) {
    const line = lines.at(-1)!;
    if (line === "") lines[lines.length - 1] = word;
    else if (line.length + 1 + word.length <= 100) lines[lines.length - 1] = `${line} ${word}`;
    else lines.push(word);
  }
  return lines.join("\n") + "\n";
}

/** Aligned as `deno fmt` has it. */
function table(head: string[], rows: string[][]): string {
  const widths = head.map((_, column) =>
    Math.max(3, ...[head, ...rows].map((row) => row[column]!.length))
  );
  const line = (cells: string[]) =>
    `| ${cells.map((cell, column) => cell.padEnd(widths[column]!)).join(" | ")} |\n`;
  return line(head) + line(widths.map((width) => "-".repeat(width))) + rows.map(line).join("");
}

function find(measurements: Measurement[], name: string, clients: number): Measurement {
  const found = measurements.find((one) => one.name === name && one.clients === clients);
  if (!found) throw new Error(`${RESULTS} has no ${name} with ${clients} clients.`);
  return found;
}

function figures(results: Results): string {
  const { machine, consumption, calls, hot, history, naive, ledger, chain, edgeFunction, storage } =
    results;
  const first = consumption.filter(({ clients }) => clients === 1);
  const [none] = history;
  return [
    paragraph(
      `Measured on ${results.date} in ${
        results.minutes.toFixed(0)
      } minutes by \`${results.command}\`: ` +
        `${results.rounds} rounds of ${results.secondsEach} s each, on ${machine.cores} cores ` +
        `(${machine.cpu}), ${machine.memoryGiB} GiB; PostgreSQL ${machine.postgres}, fsync and ` +
        `synchronous_commit on; load by ${machine.generator} on the same cores. Medians ` +
        `[lowest–highest round].`,
    ),
    "### What was to be reached\n",
    reached(results),
    "### A consumption, against the floor\n",
    table(
      ["", "clients", "calls/s", "of the floor", "p50 ms", "p99 ms"],
      consumption.map((one) => [
        one.name,
        String(one.clients),
        whole(one.perSecond),
        ratio(one.ratio),
        fixed(one.p50),
        fixed(one.p99),
      ]),
    ),
    table(
      ["1 client", "WAL bytes a call", "buffers a call"],
      first.map((one) => [one.name, whole(one.walBytes), whole(results.buffers[one.name]!)]),
    ),
    "### Other calls, against a consumption with a request id\n",
    table(
      ["", "clients", "a second", "of a consumption", "p50 ms", "p99 ms", "WAL bytes"],
      calls.map((one) => [
        one.name,
        String(one.clients),
        whole(one.perSecond),
        ratio(one.ratio),
        fixed(one.p50),
        fixed(one.p99),
        whole(one.walBytes),
      ]),
    ),
    "### One hot user, 16 clients\n",
    table(
      ["", "ours, calls/s", "of spread load", "floor, calls/s", "of spread load"],
      hot.ours.map((one, index) => [
        one.name,
        whole(one.perSecond),
        ratio(one.ratio),
        whole(hot.floor[index]!.perSecond),
        ratio(hot.floor[index]!.ratio),
      ]),
    ),
    "### History of the user being hit\n",
    table(
      ["transfers", "calls/s", "of none"],
      history.map((one) => [whole(one.rows), whole(one.perSecond), ratio(one.ratio)]),
    ),
    paragraph(
      `The source document's sums (bench/naive.sql), in turns with ours without history ` +
        `(${whole(none!.perSecond)} calls/s above):`,
    ),
    table(
      ["transfers of each user", "users", "indexes", "calls/s", "times slower than ours"],
      naive.map((one) => [
        whole(one.rows),
        whole(one.users),
        one.indexed ? "the best" : "as written",
        fixed(one.perSecond),
        fixed(1 / one.ratio.median),
      ]),
    ),
    "### From HTTP to SQL, one client\n",
    table(["", "p50 ms", "p99 ms"], chain.map((one) => [one.name, fixed(one.p50), fixed(one.p99)])),
    paragraph(
      "REST and auth of the local stack are @supabase/lite, a stand-in for PostgREST and GoTrue written " +
        "in TypeScript: the first two rows tell what the edge function adds, not what hosted PostgREST takes.",
    ),
    paragraph(
      `The edge function makes ${fixed(edgeFunction.rpcsPerRequest)} RPC a request, and takes ` +
        `${
          fixed(edgeFunction.cpuMilliseconds)
        } ms of CPU for it (user and system time of the whole ` +
        `Deno process from /proc, its HTTP server and client included; median of 10 lots of 100).`,
    ),
    "### The audit\n",
    paragraph(
      `verify_ledger() takes ${fixed(ledger.seconds)} s for ${
        whole(ledger.transfers)
      } transfers of ` +
        `${whole(ledger.users)} users, and ${
          fixed(ledger.secondsByProject)
        } s when it is asked for ` +
        `their project alone ([bench/ledger.sql](../bench/ledger.sql); in memory).`,
    ),
    "### Storage\n",
    paragraph(
      `A consumption from grants with a request id adds ${
        whole(storage.bytesPerCall)
      } bytes to tables ` +
        `and indexes, besides ${
          whole(find(consumption, "from grants, with a request id", 1).walBytes)
        } ` +
        `bytes of WAL. The hot rows, under default autovacuum:`,
    ),
    table(
      ["table", "updates", "heap-only", "MiB before", "MiB after"],
      storage.hotRows.map((one) => [
        one.table,
        whole(one.updates),
        `${(100 * one.hotShare).toFixed(1)} %`,
        fixed(one.mebibytesBefore),
        fixed(one.mebibytesAfter),
      ]),
    ),
  ].join("\n");
}

/** The targets that were set before measuring. */
function reached(
  { consumption, buffers, calls, hot, history, naive, edgeFunction }: Results,
): string {
  const withId = "from grants, with a request id";
  const slower = (rows: number, indexed: boolean, users = 1) =>
    1 /
    naive.find((one) => one.rows === rows && one.indexed === indexed && one.users === users)!.ratio
      .median;
  const share = (clients: number) => find(consumption, withId, clients).ratio.median;
  const wal = find(consumption, withId, 1).walBytes;
  const hotUser = find(hot.ours, "one user", 16);
  const ofFloor = hot.ofFloor.median;
  const readsWrite = Math.max(find(calls, "check", 1).walBytes, find(calls, "balance", 1).walBytes);
  const flat = history.at(-1)!.ratio.median;
  const of = (name: string) => find(calls, name, 1).ratio.median;
  const rows: [what: string, target: string, measured: string, isReached: boolean][] = [
    ["consume with a request id, 1 client", "0.5 of the floor", fixed(share(1)), share(1) >= 0.5],
    ["the same, 8 clients", "0.5 of the floor", fixed(share(8)), share(8) >= 0.5],
    ["1,000,000 transfers of history", "at most 1.1 times none", fixed(1 / flat), 1 / flat <= 1.1],
    [
      "the sums as written, 10,000 rows, 1 user",
      "100 times slower",
      whole(slower(10_000, false)),
      slower(10_000, false) >= 100,
    ],
    [
      "the same, 100 users with as many rows each",
      "100 times slower",
      whole(slower(10_000, false, 100)),
      slower(10_000, false, 100) >= 100,
    ],
    [
      "the sums with the best indexes, 10,000 rows",
      "5 times slower",
      fixed(slower(10_000, true)),
      slower(10_000, true) >= 5,
    ],
    [
      "one hot user, 16 clients",
      "0.4 of spread load",
      fixed(hotUser.ratio.median),
      hotUser.ratio.median >= 0.4,
    ],
    ["the same", "0.6 of the floor's hot user", fixed(ofFloor), ofFloor >= 0.6],
    [
      "an item of a batch of 1,000",
      "8 single calls",
      fixed(of("batch of 1,000, an item")),
      of("batch of 1,000, an item") >= 8,
    ],
    ["a check", "cheaper than a consumption", fixed(of("check")), of("check") > 1],
    ["a balance", "cheaper than a consumption", fixed(of("balance")), of("balance") > 1],
    // The smallest record has 24 bytes; what is less comes from the server's own processes.
    ["WAL of a check or a balance", "none (24 bytes)", whole(readsWrite), readsWrite < 24],
    [
      "RPCs of an HTTP request",
      "exactly 1",
      fixed(edgeFunction.rpcsPerRequest),
      edgeFunction.rpcsPerRequest === 1,
    ],
    ["WAL of a consumption", "at most 1,300 bytes", whole(wal), wal <= 1300],
    ["buffers of a consumption", "at most 50", whole(buffers[withId]!), buffers[withId]! <= 50],
    [
      "CPU of the edge function",
      "under 1 ms a request",
      fixed(edgeFunction.cpuMilliseconds),
      edgeFunction.cpuMilliseconds < 1,
    ],
  ];
  return table(
    ["what", "target", "measured", ""],
    rows.map(([what, target, measured, isReached]) => [
      what,
      target,
      measured,
      isReached ? "reached" : "**missed**",
    ]),
  );
}

function historyPlot({ consumption, history, naive }: Results): string {
  const floor = find(consumption, "floor", 1).perSecond;
  const sums = (indexed: boolean) =>
    naive.filter((one) => one.indexed === indexed && one.users === 1)
      .map(({ rows, perSecond }): [number, number] => [rows, perSecond]);
  return plot("Calls a second, one client, by the user's history", "transfers of the user so far", [
    {
      name: "the least metering could do",
      colour: "#8b949e",
      points: [[0, floor], [1_000_000, floor]],
    },
    {
      name: "Tollgate",
      colour: "#2f81f7",
      points: history.map(({ rows, perSecond }) => [rows, perSecond]),
    },
    { name: "sums, best indexes", colour: "#d29922", points: sums(true) },
    { name: "sums, as written", colour: "#f85149", points: sums(false) },
  ]);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const results = JSON.parse(readFileSync(RESULTS, "utf8")) as Results;
  if (!process.argv.includes("--check")) {
    writeReport(results);
  } else if (
    readFileSync(PLOT, "utf8") !== historyPlot(results) ||
    withFigures(readFileSync(DOCUMENT, "utf8"), results) !== readFileSync(DOCUMENT, "utf8")
  ) {
    console.error(
      "docs/performance.* is not that of bench/results.json: run `npx tsx bench/report.ts`.",
    );
    process.exitCode = 1;
  }
}
