import { expect, test } from "vitest";
import { supabase } from "../../local/supabase_cli.ts";
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
  const target = `--remote=${url}?sslmode=disable`;
  const output = supabase("db", "advisors", target, "--level", "info", "--output-format", "json");
  const { results } = JSON.parse(output) as { results: Advice[] };

  expect(results.filter(({ name }) => !(name in accepted))).toEqual([]);
});
