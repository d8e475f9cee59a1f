import type { z } from "zod";
import { apiError } from "../_shared/errors.ts";
import type { AppContext } from "./route.ts";

/** The path parameters, decoded. */
export function readParams<Schema extends z.ZodObject>(c: AppContext, schema: Schema) {
  return parse(schema, c.req.param());
}

/** The query parameters; unknown and repeated ones are refused. */
export function readQuery<Schema extends z.ZodObject>(c: AppContext, schema: Schema) {
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
    if (!/^[\x20-\x7e]{1,255}$/.test(headerId)) {
      throw apiError(
        "invalid_request",
        "The Idempotency-Key header must be 1 to 255 printable ASCII characters.",
        "Put an id with other characters into the field request_id of the body.",
      );
    }
    c.set("requestId", headerId);
  }
  const body = parse(schema, await readJson(c));
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

async function readJson(c: AppContext): Promise<unknown> {
  try {
    // Not c.req.json(): that would silently replace bytes which are not UTF-8.
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(await c.req.arrayBuffer()));
  } catch {
    throw apiError(
      "invalid_request",
      "The body is not valid JSON.",
      "Send a JSON object, encoded as UTF-8.",
    );
  }
}

function parse<Schema extends z.ZodObject>(schema: Schema, input: unknown): z.output<Schema> {
  const result = schema.safeParse(input);
  if (result.success) return result.data;
  const { issues } = result.error;
  const complaints = new Set(issues.map(complaint));
  throw apiError("invalid_request", `${[...complaints].join("; ")}.`, hintFor(schema, issues));
}

function complaint(issue: z.core.$ZodIssue): string {
  if (issue.code === "unrecognized_keys") {
    const names = issue.keys.slice(0, 5).map(quote).join(", ");
    return `${names} ${
      issue.keys.length === 1 ? "is not a field" : "are not fields"
    } of this request`;
  }
  const [field] = issue.path;
  return field === undefined
    ? "The body must be a JSON object"
    : `${String(field)} ${issue.message}`;
}

/** The description of the first field at fault, or the list of fields to choose from. */
function hintFor(schema: z.ZodObject, issues: z.core.$ZodIssue[]): string {
  const field = issues[0]?.path[0];
  const description = field === undefined ? undefined : schema.shape[String(field)]?.description;
  if (description) return description;
  const names = Object.keys(schema.shape);
  return names.length > 0 ? `The fields are ${names.join(", ")}.` : "Leave it out.";
}

function quote(name: string): string {
  return JSON.stringify(name.slice(0, 64));
}
