import { z } from "zod";
import type { Route } from "../route.ts";

const Health = z.strictObject({
  status: z.literal("ok"),
}).meta({ title: "Health", examples: [{ status: "ok" }] });

export const health: Route = {
  operationId: "health",
  summary: "Whether the API is up",
  description: "Needs no API key and asks nothing of the database.",
  secured: false,
  answers: { 200: { description: "It is up.", schema: Health } },
  errors: [],
  handle: () => Response.json({ status: "ok" }),
};
