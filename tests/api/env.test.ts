import { describe, expect, it } from "vitest";
import { readEnv } from "../../supabase/functions/_shared/env.ts";

const read = (variables: Record<string, string>) => readEnv((name) => variables[name]);
const SUPABASE_URL = "http://127.0.0.1:54321";

describe("the secret key", () => {
  it.each<[string, Record<string, string>, string]>([
    ["is the default one", { SUPABASE_SECRET_KEYS: '{"other":"b","default":"a"}' }, "a"],
    ["is else the first one", { SUPABASE_SECRET_KEYS: '{"first":"b","second":"c"}' }, "b"],
    ["is else the legacy one", { SUPABASE_SERVICE_ROLE_KEY: "legacy" }, "legacy"],
    ["is the legacy one beside an empty dictionary", {
      SUPABASE_SECRET_KEYS: "{}",
      SUPABASE_SERVICE_ROLE_KEY: "legacy",
    }, "legacy"],
    ["goes before the legacy one", {
      SUPABASE_SECRET_KEYS: '{"default":"a"}',
      SUPABASE_SERVICE_ROLE_KEY: "legacy",
    }, "a"],
  ])("%s", (_, variables, secretKey) => {
    expect(read({ SUPABASE_URL, ...variables })).toEqual({ supabaseUrl: SUPABASE_URL, secretKey });
  });

  it("must be there", () => {
    expect(() => read({ SUPABASE_URL })).toThrow(/SUPABASE_SECRET_KEYS must hold a secret key/);
  });

  it.each(['{"default":"sb_secret_x"', "sb_secret_x", '"sb_secret_x"', "null"])(
    "in a broken dictionary is named, not quoted: %s",
    (text) => {
      const act = () => read({ SUPABASE_URL, SUPABASE_SECRET_KEYS: text });
      expect(act).toThrow(/^SUPABASE_SECRET_KEYS is not a JSON object/);
      expect(act).not.toThrow(/sb_secret_x/);
    },
  );
});

describe("the URL", () => {
  it.each(["", "localhost"])("must be one: %j", (url) => {
    expect(() => read({ SUPABASE_URL: url, SUPABASE_SERVICE_ROLE_KEY: "k" })).toThrow(
      /SUPABASE_URL/,
    );
  });

  it("may end with a slash", () => {
    const env = read({ SUPABASE_URL: `${SUPABASE_URL}/`, SUPABASE_SERVICE_ROLE_KEY: "k" });
    expect(env.supabaseUrl).toBe(SUPABASE_URL);
  });
});
