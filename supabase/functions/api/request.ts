import { z } from "zod";
import { apiError, type ErrorCode, errorKinds } from "../_shared/errors.ts";
import { IDEMPOTENCY_KEY } from "./fields.ts";
import type { AppContext } from "./route.ts";

/** What cannot be decoded would be kept as it is, or in a query be replaced: so name another user. */
export function refuseMalformed(c: AppContext, part: "pathname" | "search"): void {
  try {
    decodeURIComponent(new URL(c.req.url)[part]);
  } catch {
    throw apiError(
      "invalid_request",
      "The URL holds a malformed percent-encoding.",
      "Encode the user_id, and values of the query, as UTF-8 with encodeURIComponent().",
    );
  }
}

/** The path parameters, decoded. */
export function readParams<Schema extends z.ZodObject>(c: AppContext, schema: Schema) {
  return parse(schema, c.req.param());
}

/** The ids of the path. What cannot be an id is as unknown as one that nothing has. */
export function readIds<Schema extends z.ZodObject>(
  c: AppContext,
  schema: Schema,
  unknown: ErrorCode,
) {
  const params = schema.safeParse(c.req.param());
  if (!params.success) throw apiError(unknown);
  return params.data;
}

/** The query parameters; unknown and repeated ones are refused. */
export function readQuery<Schema extends z.ZodObject>(c: AppContext, schema: Schema) {
  refuseMalformed(c, "search");
  const query = new URL(c.req.url).searchParams;
  const repeated = [...query.keys()].find((name) => query.getAll(name).length > 1);
  if (repeated !== undefined) {
    throw apiError("invalid_request", `${quote(repeated)} is given more than once.`);
  }
  return parse(schema, Object.fromEntries(query));
}

/**
 * The JSON body, whatever its content type (a bare fetch() sends text/plain). Settles the request
 * id on the way: the caller's, from the body or the Idempotency-Key header, else the generated one.
 */
export async function readBody<Schema extends WithRequestId>(c: AppContext, schema: Schema) {
  const headerId = c.req.header("idempotency-key");
  if (headerId !== undefined) {
    if (!IDEMPOTENCY_KEY.test(headerId)) {
      throw apiError(
        "invalid_request",
        "The Idempotency-Key header must be 1 to 255 printable ASCII characters.",
        "Encode other characters, e.g. with encodeURIComponent().",
      );
    }
    c.set("requestId", headerId);
  }
  const body = parse(schema, await readJson(c, schema));
  const { request_id: bodyId } = body;
  if (bodyId != null) {
    if (headerId !== undefined && headerId !== bodyId) {
      throw apiError(
        "invalid_request",
        "The Idempotency-Key header and request_id differ.",
        "Send one of them, or both with the same value.",
      );
    }
    c.set("requestId", bodyId);
  }
  return body;
}

type WithRequestId = z.ZodObject & z.ZodType<{ request_id?: string | null | undefined }>;

async function readJson(c: AppContext, schema: z.ZodObject): Promise<unknown> {
  const bytes = await c.req.arrayBuffer();
  if (bytes.byteLength === 0 && mayBeLeftOut(schema)) return {};
  try {
    // Not c.req.json(): that would silently replace bytes which are not UTF-8.
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch {
    throw apiError(
      "invalid_request",
      "The body is not valid JSON.",
      "Send a JSON object, encoded as UTF-8 and not compressed.",
    );
  }
}

/** Whether a body has no field that must be given. */
export function mayBeLeftOut(body: z.ZodObject): boolean {
  return body.safeParse({}).success;
}

function parse<Schema extends z.ZodObject>(schema: Schema, input: unknown): z.output<Schema> {
  const result = schema.safeParse(input);
  if (result.success) return result.data;
  const { issues } = result.error;
  const complaints = [...new Set(issues.map(complaint))];
  const more = complaints.length > MAX_COMPLAINTS ? "; and more" : "";
  throw apiError(
    "invalid_request",
    `${complaints.slice(0, MAX_COMPLAINTS).join("; ")}${more}.`,
    hintFor(schema, issues[0]?.path ?? []),
  );
}

/** Every item of a batch may have its own. */
const MAX_COMPLAINTS = 10;

function complaint(issue: z.core.$ZodIssue): string {
  const place = issue.path.reduce<string>(
    (place, step) => typeof step === "number" ? `${place}[${step}]` : `${place}.${String(step)}`,
    "",
  ).slice(1);
  if (issue.code === "unrecognized_keys") {
    const names = issue.keys.slice(0, 5).map(quote).join(", ");
    return `${names} ${issue.keys.length === 1 ? "is not a field" : "are not fields"} of ${
      place || "this request"
    }`;
  }
  return place === "" ? "The body must be a JSON object" : `${place} ${issue.message}`;
}

/** The description of the field at fault, or the list of fields to choose from. */
function hintFor(schema: z.ZodObject, path: PropertyKey[]): string {
  let field: unknown = schema;
  for (const step of path) {
    if (field instanceof z.ZodObject) field = field.shape[String(step)];
    else if (field instanceof z.ZodArray) field = field.element;
  }
  if (field instanceof z.ZodObject) {
    const names = Object.keys(field.shape);
    return names.length > 0 ? `The fields are ${names.join(", ")}.` : "Leave it out.";
  }
  return field instanceof z.ZodType && field.description || errorKinds.invalid_request.hint;
}

function quote(name: string): string {
  return JSON.stringify(name.slice(0, 64));
}
