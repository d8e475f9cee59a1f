import { z } from "zod";
import { type ErrorCode, errorKinds } from "../_shared/errors.ts";
import type { Endpoint, Route } from "./route.ts";

// The document is made from the very schemas and the route table that serve the requests.

type JsonSchema = z.core.JSONSchema.BaseSchema;

const ERRORS_OF_ALL: readonly ErrorCode[] = ["internal_error"];
const ERRORS_OF_SECURED: readonly ErrorCode[] = [
  "invalid_request",
  "missing_api_key",
  "invalid_api_key",
  "missing_scope",
  "temporarily_unavailable",
];

const ErrorBody = z.strictObject({
  error: z.strictObject({
    code: z.enum(Object.keys(errorKinds) as [ErrorCode, ...ErrorCode[]]).describe("For programs."),
    message: z.string().describe("What is wrong, for people."),
    hint: z.string().describe("What to do about it."),
    request_id: z.string().describe("Retry with this id: it is never applied twice."),
  }),
}).meta({ title: "Error" });

const HEADERS = {
  "x-request-id": {
    description:
      "The request_id of the call; all but visible ASCII characters are percent-encoded.",
    schema: { type: "string" },
  },
  "Retry-After": {
    description: "Seconds to wait before a retry: a whole number, at least 1.",
    schema: { type: "integer", minimum: 1 },
  },
};

export function openApiDocument(endpoints: readonly Endpoint[]) {
  const schemas: Record<string, JsonSchema> = {};

  /** Adds a schema to the components under its title, and returns the reference to it. */
  function component(schema: z.ZodType, io: "input" | "output") {
    const title = schema.meta()?.title ?? "";
    schemas[title] = jsonSchema(schema, io);
    return { "application/json": { schema: { $ref: `#/components/schemas/${title}` } } };
  }

  function responses({ answers, errors, secured }: Route) {
    const documented: Record<string, unknown> = {};
    for (const [status, { schema, description, headers = [] }] of Object.entries(answers)) {
      documented[status] = {
        description,
        headers: pick(["x-request-id", ...headers]),
        content: component(schema, "output"),
      };
    }
    const codes = [...ERRORS_OF_ALL, ...(secured ? ERRORS_OF_SECURED : []), ...errors];
    for (const status of new Set(codes.map((code) => errorKinds[code].status))) {
      const here = codes.filter((code) => errorKinds[code].status === status);
      documented[status] = {
        description: here.map((code) => `\`${code}\`: ${errorKinds[code].meaning}`).join("\n\n"),
        headers: pick(["x-request-id", ...(status === 503 ? ["Retry-After"] as const : [])]),
        content: {
          "application/json": {
            ...component(ErrorBody, "output")["application/json"],
            examples: Object.fromEntries(here.map((code) => [code, { value: exampleOf(code) }])),
          },
        },
      };
    }
    return documented;
  }

  function operation({ route }: Endpoint) {
    const { operationId, summary, description, secured, params, query, body } = route;
    return {
      operationId,
      summary,
      description,
      security: secured ? [{ bearer: [] }, { x_api_key: [] }] : [],
      parameters: [
        ...parameters("path", params),
        ...parameters("query", query),
        ...(body ? [IDEMPOTENCY_KEY] : []),
      ],
      ...(body && { requestBody: { required: true, content: component(body, "input") } }),
      responses: responses(route),
    };
  }

  const paths: Record<string, Record<string, unknown>> = {};
  for (const endpoint of endpoints) {
    const path = endpoint.path.replace(/:(\w+)/g, "{$1}");
    (paths[path] ??= {})[endpoint.method.toLowerCase()] = operation(endpoint);
  }

  return {
    openapi: "3.1.0",
    info: {
      title: "Tollgate",
      version: "1.0.0",
      description:
        "Real-time usage metering inside a Supabase project. Amounts are whole tokens, " +
        "times are ISO 8601. A user_id that is exactly `.` or `..` cannot be put into a URL path.",
    },
    servers: [
      {
        url: "https://{project_ref}.supabase.co/functions/v1/api",
        variables: { project_ref: { default: "your-project-ref" } },
      },
      { url: "http://127.0.0.1:54321/functions/v1/api", description: "The local stack" },
    ],
    paths,
    components: {
      schemas,
      securitySchemes: {
        bearer: { type: "http", scheme: "bearer", description: "An API key, tg_live_..." },
        x_api_key: {
          type: "apiKey",
          in: "header",
          name: "x-api-key",
          description: "The same key, where Authorization is needed for something else.",
        },
      },
    },
  };
}

const IDEMPOTENCY_KEY = {
  name: "Idempotency-Key",
  in: "header",
  required: false,
  description: "The same as request_id in the body, for ids of printable ASCII characters.",
  schema: { type: "string", minLength: 1, maxLength: 255 },
};

function parameters(location: "path" | "query", fields: z.ZodObject | undefined) {
  return Object.entries(fields?.shape ?? {}).map(([name, field]) => {
    const { description, ...schema } = jsonSchema(field, "input");
    return { name, in: location, required: location === "path", description, schema };
  });
}

function jsonSchema(schema: z.ZodType, io: "input" | "output"): JsonSchema {
  const { $schema: _, ...json } = z.toJSONSchema(schema, {
    io,
    // Metadata, which is checked by hand: its own description says what it is.
    unrepresentable: "any",
    override: ({ jsonSchema }) => {
      // Requests are closed, answers may grow: clients must not refuse a new column.
      if (io === "output" && jsonSchema.additionalProperties === false) {
        delete jsonSchema.additionalProperties;
      }
      // "format" says the same, readably.
      if (jsonSchema.format) delete jsonSchema.pattern;
    },
  });
  return json;
}

function pick(names: readonly (keyof typeof HEADERS)[]) {
  return Object.fromEntries(names.map((name) => [name, HEADERS[name]]));
}

function exampleOf(code: ErrorCode) {
  const { meaning: message, hint } = errorKinds[code];
  return { error: { code, message, hint, request_id: "8f14e45f-ceea-467f-a9b1-3c2d1e0f5a6b" } };
}
