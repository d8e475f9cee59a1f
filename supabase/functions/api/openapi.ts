import { z } from "zod";
import { type ErrorCode, errorKinds } from "../_shared/errors.ts";
import { IDEMPOTENCY_KEY } from "./fields.ts";
import { mayBeLeftOut } from "./request.ts";
import type { AnswerHeader, Endpoint, Route } from "./route.ts";

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

const HEADERS: Record<"x-request-id" | AnswerHeader, object> = {
  "x-request-id": {
    description: "The request_id of the call, but for spaces at its ends.",
    schema: { type: "string" },
  },
  "Retry-After": {
    description:
      "Seconds to wait before a retry: a whole number, at least 1. Only where waiting helps.",
    schema: { type: "integer", minimum: 1 },
  },
  "RateLimit-Policy": {
    description:
      "The restriction of `nearest_limit`, named by its window and its tags, percent-encoded: `q` " +
      "tokens in `w` seconds, but for windows of months, which have no fixed length; a calendar " +
      "window is shorter or longer by an hour where clocks are changed. Neither for replays nor " +
      "without a restriction. See draft-ietf-httpapi-ratelimit-headers-10.",
    schema: { type: "string" },
    example: '"day-GPT-4";q=2000;qu="tokens";w=86400',
  },
  "RateLimit": {
    description:
      "Of the same restriction: `r` tokens left; in `t` seconds all that is used now counts no more.",
    schema: { type: "string" },
    example: '"day-GPT-4";r=1500;t=48600',
  },
  "Idempotent-Replayed": {
    description: "`true` if the request_id had been applied before; else left out.",
    schema: { type: "string", enum: ["true"] },
  },
};

export function openApiDocument(endpoints: readonly Endpoint[]) {
  const schemas: Record<string, JsonSchema> = {};

  /** Adds a schema to the components under its title, and returns the reference to it. */
  function component(schema: z.ZodType, io: "input" | "output") {
    const title = schema.meta()?.title ?? "";
    schemas[title] = jsonSchema(schema, io);
    return { $ref: `#/components/schemas/${title}` };
  }

  function responses({ answers, errors, secured }: Route) {
    const documented: Record<string, unknown> = {};
    const codes = [...ERRORS_OF_ALL, ...(secured ? ERRORS_OF_SECURED : []), ...errors];
    const statuses = [
      ...Object.keys(answers).map(Number),
      ...codes.map((code) => errorKinds[code].status),
    ];
    for (const status of new Set(statuses)) {
      const answer = answers[status];
      const here = codes.filter((code) => errorKinds[code].status === status);
      const schemas = [
        ...(answer ? [component(answer.schema, "output")] : []),
        ...(here.length > 0 ? [component(ErrorBody, "output")] : []),
      ];
      documented[status] = {
        description: [
          ...(answer ? [answer.description] : []),
          ...here.map((code) => `\`${code}\`: ${errorKinds[code].meaning}`),
        ].join("\n\n"),
        headers: pick([
          "x-request-id",
          ...(answer?.headers ?? []),
          ...(status === 503 ? ["Retry-After"] as const : []),
        ]),
        content: {
          "application/json": {
            schema: schemas.length === 1 ? schemas[0] : { anyOf: schemas },
            ...(here.length > 0 && {
              examples: Object.fromEntries(
                here.map((code) => [code, { value: exampleOf(code) }]),
              ),
            }),
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
        ...(body ? [IDEMPOTENCY_KEY_HEADER] : []),
      ],
      ...(body && {
        requestBody: {
          required: !mayBeLeftOut(body),
          content: { "application/json": { schema: component(body, "input") } },
        },
      }),
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

const IDEMPOTENCY_KEY_HEADER = {
  name: "Idempotency-Key",
  in: "header",
  required: false,
  description:
    "Idempotency key of the call, 1 to 255 printable ASCII characters. The same as request_id in " +
    "a body that has one.",
  schema: { type: "string", pattern: IDEMPOTENCY_KEY.source },
};

function parameters(location: "path" | "query", fields: z.ZodObject | undefined) {
  return Object.entries(fields?.shape ?? {}).map(([name, field]) => {
    const { description, ...schema } = jsonSchema(field, "input");
    const required = !field.safeParse(undefined).success;
    return { name, in: location, required, description, schema };
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

function pick(names: readonly ("x-request-id" | AnswerHeader)[]) {
  return Object.fromEntries(names.map((name) => [name, HEADERS[name]]));
}

function exampleOf(code: ErrorCode) {
  const { meaning: message, hint } = errorKinds[code];
  return { error: { code, message, hint, request_id: "8f14e45f-ceea-467f-a9b1-3c2d1e0f5a6b" } };
}
