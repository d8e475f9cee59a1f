import { Hono } from "hono";
import { bodyLimit } from "hono/body-limit";
import { cors } from "hono/cors";
import type { TollgateDatabase } from "../_shared/database.ts";
import { apiError, errorResponse } from "../_shared/errors.ts";
import { refuseMalformed } from "./request.ts";
import type { AppContext, AppEnv, Endpoint } from "./route.ts";
import { endpoints } from "./routes.ts";

const MAX_BODY_BYTES = 64 * 1024;

export function createApp({ database }: { database: TollgateDatabase }) {
  const app = new Hono<AppEnv>();

  app.onError((error, c) => {
    // Deno's name for a body whose sender has gone: nobody reads this answer, nor is it our fault.
    const isCutOff = error.name === "BadResource";
    const thrown = isCutOff ? apiError("invalid_request", "The body was cut off.") : error;
    return errorResponse(thrown, c.get("requestId"));
  });
  app.notFound((c) => {
    throw apiError(
      "unknown_route",
      `There is no route ${c.req.method} ${c.req.path.slice(0, 200)}.`,
      `The routes below /functions/v1/api are ${
        endpoints.map(({ method, path }) => `${method} ${path}`).join(", ")
      }.`,
    );
  });

  app.use(async (c, next) => {
    c.set("requestId", crypto.randomUUID());
    await next();
    c.header("x-request-id", c.get("requestId"));
    c.header("cache-control", "no-store");
  });
  app.use(cors({
    origin: "*",
    allowMethods: ["GET", "HEAD", "POST", "PUT", "PATCH", "OPTIONS"],
    // Any header may be sent: without a list, those that the browser asks for are allowed.
    exposeHeaders: [
      "x-request-id",
      "retry-after",
      "ratelimit",
      "ratelimit-policy",
      "idempotent-replayed",
    ],
    maxAge: 86_400,
  }));
  app.use((c, next) => {
    refuseMalformed(c, "pathname");
    return next();
  });

  // The gateway strips /functions/v1 and leaves the function's name.
  const api = app.basePath("/api");
  for (const { method, path, route } of endpoints) {
    const limit = bodyLimit({
      maxSize: route.maxBodyBytes ?? MAX_BODY_BYTES,
      onError: () => {
        throw apiError("request_too_large");
      },
    });
    api.on(method, path, limit, (c) => route.handle(c, database));
    api.all(path, (c) => methodNotAllowed(c, method));
  }
  return app;
}

function methodNotAllowed(c: AppContext, allowed: Endpoint["method"]): never {
  const allow = allowed === "GET" ? "GET, HEAD, OPTIONS" : `${allowed}, OPTIONS`;
  throw apiError(
    "method_not_allowed",
    `This route does not take ${c.req.method}.`,
    `Use ${allowed}.`,
    { headers: { allow } },
  );
}
