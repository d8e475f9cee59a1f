import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { errorCode, StackError } from "./errors.ts";

// Processes of earlier runs, which are not our children.

/** The command line of a live process (on Windows its entry in the task list), if there is one. */
export function commandLine(pid: number): string | undefined {
  switch (process.platform) {
    case "linux":
      try {
        // Empty for a process that has ended and waits to be reaped.
        return readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ") || undefined;
      } catch {
        return undefined;
      }
    case "win32": {
      const listed = outputOf("tasklist", ["/fi", `PID eq ${pid}`, "/fo", "csv", "/nh"]);
      return listed?.includes(`"${pid}"`) ? listed : undefined;
    }
    default:
      return outputOf("ps", ["-ww", "-o", "command=", "-p", String(pid)]);
  }
}

function outputOf(file: string, args: string[]): string | undefined {
  const { status, stdout } = spawnSync(file, args, { encoding: "utf8", windowsHide: true });
  return status === 0 && stdout.trim() !== "" ? stdout.trim() : undefined;
}

/** Ends a process: asks with `signal`, insists after 5 seconds. */
export async function endProcess(pid: number, signal: NodeJS.Signals): Promise<void> {
  for (const attempt of [signal, "SIGKILL"] as const) {
    try {
      process.kill(pid, attempt);
    } catch (error) {
      if (errorCode(error) === "ESRCH") return;
      throw new StackError(
        `Process ${pid} is left over from an earlier run by another user. ` +
          `End it with \`sudo kill ${pid}\`, then start again.`,
      );
    }
    const deadline = Date.now() + 5000;
    while (Date.now() < deadline) {
      if (commandLine(pid) === undefined) return;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}
