import { once } from "node:events";
import net from "node:net";
import { expect, test } from "vitest";
import { callApi, stack } from "../support/tenant.ts";

// Only our own gateway: a hosted one speaks TLS.
test.runIf(stack.own)("a refused body of 20 MB does not block the next request", async () => {
  await callApi("/v1/health"); // The first answer of a function is slow; this is about early ones.
  const { port, hostname } = new URL(stack.url);
  const socket = net.connect(Number(port), hostname);
  const body = "x".repeat(20_000_000);
  const head = (line: string) => `${line} HTTP/1.1\r\nhost: ${hostname}\r\n`;

  socket.write(
    `${head("POST /functions/v1/api/v1/consume")}content-length: ${body.length}\r\n\r\n${body}` +
      `${head("GET /functions/v1/api/v1/health")}connection: close\r\n\r\n`,
  );
  let answers = "";
  socket.setEncoding("utf8").on("data", (chunk: string) => answers += chunk);
  await once(socket, "close");

  expect(answers.match(/HTTP\/1.1 \d+/g)).toEqual(["HTTP/1.1 413", "HTTP/1.1 200"]);
});
