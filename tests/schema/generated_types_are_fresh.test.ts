import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { generateTypes, TYPES_FILE } from "../../local/generate_types.ts";
import { useDatabase } from "../support/database.ts";

const { url } = useDatabase();

test("database.types.ts is what `npm run types` makes of the migrations", () => {
  expect(readFileSync(TYPES_FILE, "utf8")).toBe(generateTypes(url));
});
