// Puts foreign-platform packages back into package-lock.json. npm leaves an optional package out of
// the lock file when the registry in use lacks it, and `npm ci` then refuses the file on the platform
// concerned. An entry with the exact version and npm's platform fields is all `npm ci` needs.
//
//   tsx local/complete_lockfile.ts            adds what is missing
//   tsx local/complete_lockfile.ts --check    exits with 1 when something is missing
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { z } from "zod";

const LockedPackage = z.looseObject({
  version: z.string().optional(),
  dev: z.boolean().optional(),
  optionalDependencies: z.record(z.string(), z.string()).optional(),
});
type LockedPackage = z.infer<typeof LockedPackage>;
const Lockfile = z.looseObject({ packages: z.record(z.string(), LockedPackage) });

function isLockfile(value: unknown): value is z.infer<typeof Lockfile> {
  return Lockfile.safeParse(value).success;
}

const EXACT_VERSION = /^\d+\.\d+\.\d+(-[\w.-]+)?$/;
const SYSTEMS: Readonly<Record<string, string>> = {
  darwin: "darwin",
  linux: "linux",
  win32: "win32",
  windows: "win32",
  freebsd: "freebsd",
};
const PROCESSORS = ["x64", "arm64", "arm", "ia32", "ppc64", "s390x", "riscv64"];

/** The entry of a package that exists for one platform, told by its name; undefined for others. */
function platformEntry(
  name: string,
  version: string,
  siblings: readonly string[],
  dev: boolean | undefined,
): LockedPackage | undefined {
  const words = name.split(/[-/]/);
  const system = words.map((word) => SYSTEMS[word]).find((found) => found !== undefined);
  const cpu = words.find((word) => PROCESSORS.includes(word));
  if (!system || !cpu || !EXACT_VERSION.test(version)) return undefined;
  const libc = words.includes("musl")
    ? "musl"
    : words.some((word) => word === "gnu" || word === "glibc") || siblings.includes(`${name}-musl`)
    ? "glibc"
    : undefined;
  return {
    version,
    cpu: [cpu],
    ...(dev && { dev }),
    ...(system === "linux" && libc && { libc: [libc] }),
    optional: true,
    os: [system],
  };
}

/** Path -> entry, for each optional package that the lock file lacks. */
function missingEntries(packages: Record<string, LockedPackage>): Record<string, LockedPackage> {
  const missing: Record<string, LockedPackage> = {};
  for (const [parent, { dev, optionalDependencies = {} }] of Object.entries(packages)) {
    const siblings = Object.keys(optionalDependencies);
    for (const [name, version] of Object.entries(optionalDependencies)) {
      const places = [`node_modules/${name}`, `${parent}/node_modules/${name}`];
      if (places.some((place) => packages[place]?.version === version)) continue;
      const entry = platformEntry(name, version, siblings, dev);
      if (!entry) continue;
      // Beside its parent, unless another version already has the place at the top.
      const place = packages[`node_modules/${name}`] ? places[1] : places[0];
      if (place) missing[place] = entry;
    }
  }
  return missing;
}

const file = fileURLToPath(new URL("../package-lock.json", import.meta.url));
const lockfile: unknown = JSON.parse(readFileSync(file, "utf8"));
if (!isLockfile(lockfile)) throw new Error(`${file} is not a lock file of npm 7 or later`);
const missing = missingEntries(lockfile.packages);
const names = Object.entries(missing).map(([place, { version }]) => `  ${place} ${version}`);

if (names.length === 0) {
  console.log("package-lock.json has every platform's packages.");
} else if (process.argv.includes("--check")) {
  console.error(`package-lock.json lacks packages of other platforms:\n${names.join("\n")}`);
  console.error("Run `npx tsx local/complete_lockfile.ts` and commit the file.");
  process.exitCode = 1;
} else {
  const packages = Object.entries({ ...lockfile.packages, ...missing });
  packages.sort(([a], [b]) => a.localeCompare(b, "en"));
  lockfile.packages = Object.fromEntries(packages);
  writeFileSync(file, JSON.stringify(lockfile, null, 2) + "\n");
  console.log(`Added to package-lock.json:\n${names.join("\n")}`);
}
