import { type AddressInfo, createServer } from "node:net";
import { describe, expect, it } from "vitest";
import { connectDatabase, given } from "../../supabase/functions/_shared/database.ts";
import { SECRET_KEY } from "./app.ts";

describe("a database that does not answer", () => {
  it.each([
    ["at all", ""],
    ["beyond its headers", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"],
  ])("%s is given up at the deadline", async (_, beginning) => {
    const silent = createServer((socket) => socket.write(beginning)).listen(0, "127.0.0.1");
    await new Promise((resolve) => silent.once("listening", resolve));
    try {
      const { port } = silent.address() as AddressInfo;
      const database = connectDatabase(
        { supabaseUrl: `http://127.0.0.1:${port}`, secretKey: SECRET_KEY },
        20,
      );
      await expect(database.balance({ p_key_hash: "\\x00", p_external_user_id: "u" }))
        .rejects.toMatchObject({ code: "temporarily_unavailable", status: 503 });
    } finally {
      silent.close();
    }
  });
});

describe("optional arguments", () => {
  it("are left out where they are null or undefined, and only there", () => {
    expect(Object.keys(given({ a: null, b: undefined, c: 0, d: "", e: false }))).toEqual(
      ["c", "d", "e"],
    );
  });
});
