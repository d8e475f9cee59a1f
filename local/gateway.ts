import http from "node:http";
import { pipeline } from "node:stream";
import { getRequestListener } from "@hono/node-server";
import { HOST } from "./ports.ts";
import type { Rest } from "./rest.ts";

/** What the gateway passes requests on to; absent until the stack is ready. */
export interface Upstreams {
  rest: Rest;
  /** Function name -> port of its Deno. */
  functions: Record<string, number>;
}

export interface Gateway {
  port: number;
  connect(upstreams: Upstreams): void;
}

const FUNCTIONS = "/functions/v1/";
/** These concern one connection, not the one behind it. */
const HOP_BY_HOP = ["connection", "keep-alive", "proxy-connection", "te", "trailer", "upgrade"];

/** One address for everything, as hosted: /rest/v1 and /auth/v1 are answered here, /functions/v1 is
 * passed on. */
export function startGateway(port: number): Promise<Gateway> {
  const agent = new http.Agent({ keepAlive: true, maxSockets: 256 });
  let upstreams: Upstreams | undefined;
  const answerRest = getRequestListener((request, env) => {
    if (!upstreams) return refuse();
    const socket = "incoming" in env ? env.incoming.socket : undefined;
    return upstreams.rest.fetch(request, { peerAddress: socket?.remoteAddress ?? null });
  });

  function passOn(request: http.IncomingMessage, response: http.ServerResponse, url: string): void {
    if (!upstreams) return send(response, 503, STARTING);
    const [name = ""] = url.slice(FUNCTIONS.length).split(/[/?]/);
    const target = Object.hasOwn(upstreams.functions, name) ? upstreams.functions[name] : undefined;
    if (target === undefined) return send(response, 404, NO_FUNCTION);
    const upstream = http.request({
      host: HOST,
      port: target,
      agent,
      method: request.method,
      path: url.slice(FUNCTIONS.length - 1),
      headers: {
        ...withoutHops(request.headers),
        "x-forwarded-for": request.socket.remoteAddress,
        "x-forwarded-host": request.headers.host ?? "", // HTTP/1.0 may leave it out.
        "x-forwarded-port": String(request.socket.localPort),
        "x-forwarded-proto": "http",
      },
    });
    upstream.on("response", (answer) => {
      response.writeHead(answer.statusCode ?? 502, withoutHops(answer.headers));
      pipeline(answer, response, () => {}); // A broken pipe concerns only this caller.
    });
    upstream.on("error", () => {
      if (response.headersSent) response.destroy();
      else send(response, 502, BAD_GATEWAY);
    });
    response.on("close", () => {
      // The answer may come before all was read: the rest would block the caller's next request.
      request.unpipe(upstream).resume();
      upstream.destroy();
    });
    request.pipe(upstream);
  }

  const server = http.createServer((request, response) => {
    const url = request.url ?? "/";
    if (url.startsWith(FUNCTIONS)) passOn(request, response, url);
    else void answerRest(request, response);
  });
  server.keepAliveTimeout = 65_000;
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, HOST, () => {
      const address = server.address();
      resolve({
        port: typeof address === "object" && address ? address.port : port,
        connect(ready) {
          upstreams = ready;
        },
      });
    });
  });
}

const STARTING = { message: "The local stack is still starting" };
const NO_FUNCTION = { code: "NOT_FOUND", message: "Requested function was not found" };
const BAD_GATEWAY = { message: "An invalid response was received from the upstream server" };

function refuse(): Response {
  return Response.json(STARTING, { status: 503 });
}

function send(response: http.ServerResponse, status: number, body: object): void {
  response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
}

function withoutHops(headers: http.IncomingHttpHeaders): http.IncomingHttpHeaders {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !HOP_BY_HOP.includes(name)));
}
