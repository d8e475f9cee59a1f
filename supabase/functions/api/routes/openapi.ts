import { z } from "zod";
import { openApiDocument } from "../openapi.ts";
import type { Endpoint, Route } from "../route.ts";

const OpenApiDocument = z.looseObject({
  openapi: z.literal("3.1.0"),
}).meta({ title: "OpenApiDocument", description: "An OpenAPI 3.1 document." });

/** Takes the route table as a function, because it is itself a part of that table. */
export function openapi(endpoints: () => readonly Endpoint[]): Route {
  let document: object | undefined;
  return {
    operationId: "openapi",
    summary: "This description of the API",
    description: "Needs no API key.",
    secured: false,
    answers: { 200: { description: "The document.", schema: OpenApiDocument } },
    errors: [],
    handle: () => Response.json(document ??= openApiDocument(endpoints())),
  };
}
