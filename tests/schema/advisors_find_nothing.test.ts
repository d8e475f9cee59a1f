import { execFileSync } from "node:child_process";
import { expect, test } from "vitest";
import { supabaseCli } from "../../local/binaries.ts";
import { useDatabase } from "../support/database.ts";

const { url } = useDatabase();

/** What `supabase db advisors` may report, each with the reason why it stays. */
const accepted: Record<string, string> = {
  unused_index:
    "A fresh database has not used its indexes yet; each names its query in its migration.",
};

interface Advice {
  name: string;
  level: string;
  detail: string;
}

test("supabase db advisors reports nothing, at any level, that is not accepted above", () => {
  const args = ["db", "advisors", `--remote=${url}?sslmode=disable`, "--level", "info"];
  const output = execFileSync(supabaseCli(), [...args, "--output-format", "json"], {
    stdio: ["ignore", "pipe", "ignore"],
    encoding: "utf8",
  });
  const { results } = JSON.parse(output) as { results: Advice[] };

  expect(results.filter(({ name }) => !(name in accepted))).toEqual([]);
});
