import { readFileSync } from "node:fs";
import { connect } from "node:net";
import { setTimeout } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { stack, Tenant } from "../support/tenant.ts";

describe.runIf(stack.own)("of a body whose second half never comes", () => {
  const half = '{"user_id": "ada", ';

  test.each([
    ["with its length", "content-length: 100", half],
    ["in chunks", "transfer-encoding: chunked", `${half.length.toString(16)}\r\n${half}\r\n`],
  ])("announced %s, no 5xx is logged", async (_, header, body) => {
    const tenant = await Tenant.create({ quota: 10 });
    const { hostname, port } = new URL(stack.url);
    const logged = () => readFileSync(stack.own!.logFile, "utf8").split("BadResource").length;
    const before = logged();

    const socket = connect(Number(port), hostname);
    socket.write(
      `POST /functions/v1/api/v1/consume HTTP/1.1\r\nhost: api\r\nauthorization: Bearer ${tenant.apiKey}\r\n` +
        `${header}\r\n\r\n${body}`,
    );
    await setTimeout(300);
    socket.destroy();
    await setTimeout(500);

    expect(logged()).toBe(before);
  });
});
