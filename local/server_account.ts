import { existsSync, statSync } from "node:fs";
import { spawnSync } from "node:child_process";
import path from "node:path";
import { StackError } from "./errors.ts";

/** Whom the PostgreSQL server runs as: it refuses root. Without ids: whoever we are. */
export interface Account {
  uid?: number;
  gid?: number;
  /** Can this account not enter the folders by itself? */
  needsPassage?: boolean;
}

/** Root's servers run as the owner of the data; new data belongs to `postgres` or else `nobody`. */
export function accountFor(dataDir: string, binDir: string): Account {
  if (process.getuid?.() !== 0) return {};
  const owner = existsSync(dataDir) ? statSync(dataDir) : idOf("postgres") ?? idOf("nobody");
  if (!owner || owner.uid === 0) {
    throw new StackError(
      `PostgreSQL refuses to run as root, and no other account fits ${dataDir}. ` +
        `Run \`npm start\` as an ordinary user who owns this folder.`,
    );
  }
  const { uid, gid } = owner;
  const needsPassage = [path.dirname(dataDir), binDir].some((dir) => !canEnter(dir, uid, gid));
  return { uid, gid, needsPassage };
}

/** The launch options that run a program as this account. */
export function asAccount(account: Account, file: string, args: readonly string[]) {
  if (!account.needsPassage) return { file, args, uid: account.uid, gid: account.gid };
  // The repository lies in a folder that only root may enter, such as /root: `setpriv` (util-linux)
  // takes the right to pass through along.
  const setpriv = "/usr/bin/setpriv";
  if (!existsSync(setpriv)) {
    throw new StackError(
      `PostgreSQL refuses to run as root, and other users may not enter ${process.cwd()}. ` +
        `Move the repository to a folder open to all, or run \`npm start\` as an ordinary user.`,
    );
  }
  const passage = ["--inh-caps=+dac_override", "--ambient-caps=+dac_override"];
  const identity = [`--reuid=${account.uid}`, `--regid=${account.gid}`, "--clear-groups"];
  return { file: setpriv, args: [...identity, ...passage, "--", file, ...args] };
}

function idOf(name: string): { uid: number; gid: number } | undefined {
  const id = (flag: string) => spawnSync("id", [flag, name], { encoding: "utf8" });
  const [user, group] = [id("-u"), id("-g")];
  if (user.status !== 0 || group.status !== 0) return undefined;
  return { uid: Number(user.stdout), gid: Number(group.stdout) };
}

/** May this account pass through the folder and all above it? */
function canEnter(dir: string, uid: number, gid: number): boolean {
  const stat = existsSync(dir) ? statSync(dir) : undefined;
  const bit = !stat ? 0 : stat.uid === uid ? 0o100 : stat.gid === gid ? 0o010 : 0o001;
  if (stat && (stat.mode & bit) === 0) return false;
  const parent = path.dirname(dir);
  return parent === dir || canEnter(parent, uid, gid);
}
