import type { Readable } from "node:stream";

/** Receives every line that any part of the stack prints. */
export type LogSink = (source: string, line: string) => void;

/** Hands over a stream line by line. */
export function forwardLines(stream: Readable, onLine: (line: string) => void): void {
  let rest = "";
  stream.setEncoding("utf8");
  stream.on("data", (chunk: string) => {
    const lines = (rest + chunk).split(/\r?\n/);
    rest = lines.pop() ?? "";
    for (const line of lines) onLine(line);
  });
  stream.on("end", () => {
    if (rest !== "") onLine(rest);
  });
}
