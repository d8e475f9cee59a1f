import net from "node:net";
import { errorCode } from "./errors.ts";

export const HOST = "127.0.0.1";

/** A free port. Somebody else may take it before its user binds it: users retry. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = net.createServer();
    server.once("error", reject);
    server.listen(0, HOST, () => {
      const address = server.address();
      server.close(() => {
        if (typeof address === "object" && address !== null) resolve(address.port);
        else reject(new Error("the system gave no port"));
      });
    });
  });
}

export function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = net.connect(port, HOST);
    const finish = (open: boolean) => {
      socket.destroy();
      resolve(open);
    };
    socket.once("connect", () => finish(true));
    socket.once("error", () => finish(false));
  });
}

/** Asks both ways: macOS lets us bind beside a server on 0.0.0.0, Docker's proxy may not listen yet. */
export async function isTaken(port: number): Promise<boolean> {
  if (await accepts(port)) return true;
  return new Promise((resolve, reject) => {
    const server = net.createServer();
    server.once("error", (error) => {
      if (errorCode(error) === "EADDRINUSE") resolve(true);
      else reject(error);
    });
    server.listen(port, HOST, () => server.close(() => resolve(false)));
  });
}
