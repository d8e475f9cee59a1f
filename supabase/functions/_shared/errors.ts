interface ErrorKind {
  status: number;
  /** What the database raises for it; none if only the edge function can find it. */
  sqlstate?: string;
  meaning: string;
  /** The remedy, where an error brings no better one of its own. */
  hint: string;
}

const RETRY_IS_SAFE =
  "Send the same request again with this request_id: it is never applied twice.";

/** Every error the API can answer. The only place where SQLSTATE, code and HTTP status meet. */
export const errorKinds = {
  invalid_request: {
    status: 400,
    sqlstate: "TG001",
    meaning: "A field is missing, unknown or out of range.",
    hint: "GET /v1/openapi.json describes every field.",
  },
  unknown_tag: {
    status: 400,
    sqlstate: "TG005",
    meaning: "The project has no tag of that name.",
    hint: "Check the spelling, or create the tag in the tags table.",
  },
  missing_api_key: {
    status: 401,
    meaning: "The request carries no API key.",
    hint: "Send the project's key in the header Authorization: Bearer tg_live_... (or x-api-key).",
  },
  invalid_api_key: {
    status: 401,
    sqlstate: "TG002",
    meaning: "The API key is malformed, unknown, expired or revoked.",
    hint:
      "Send a key of the project in the header Authorization: Bearer tg_live_... (or x-api-key).",
  },
  missing_scope: {
    status: 403,
    sqlstate: "TG003",
    meaning: "The API key may not do this.",
    hint: "Use a key that has the scope for this route.",
  },
  forbidden: {
    status: 403,
    sqlstate: "TG008",
    meaning: "The caller may not do this.",
    hint: "Ask an owner of the project.",
  },
  unknown_user: {
    status: 404,
    sqlstate: "TG004",
    meaning: "The project has no such user.",
    hint: "Check the user_id. Users appear on first use only if the project has a default plan.",
  },
  unknown_project: {
    status: 404,
    sqlstate: "TG009",
    meaning: "There is no such project.",
    hint: "Check the project of the API key.",
  },
  unknown_hold: {
    status: 404,
    sqlstate: "TG011",
    meaning: "The hold is not known in this project",
    hint: "Use the hold_id that the answer to the hold gave.",
  },
  unknown_transfer: {
    status: 404,
    sqlstate: "TG014",
    meaning: "The user has no such consumption.",
    hint: "Use the transfer_number or the request_id of a receipt.",
  },
  unknown_route: {
    status: 404,
    meaning: "There is no such route.",
    hint: "GET /v1/openapi.json lists the routes.",
  },
  unknown_grant: {
    status: 404,
    sqlstate: "TG016",
    meaning: "The user has no such grant, or no such recurring grant.",
    hint: "Use the grant_id or recurring_grant_id that the answer gave when it was made.",
  },
  method_not_allowed: {
    status: 405,
    meaning: "The route exists, but not for this method.",
    hint: "The Allow header lists the methods.",
  },
  hold_not_open: {
    status: 409,
    sqlstate: "TG012",
    meaning: "The hold has expired, or has been settled or released.",
    hint: "A hold ends once. To repeat the call that ended it, send its request_id.",
  },
  grant_ended: {
    status: 409,
    sqlstate: "TG017",
    meaning: "The grant has been spent or voided, or has expired.",
    hint: "Nothing is left of it to be voided.",
  },
  link_conflict: {
    status: 409,
    sqlstate: "TG010",
    meaning: "The user is linked to another auth user.",
    hint: "Unlink the user first, with auth_user_id null.",
  },
  ledger_protected: {
    status: 409,
    sqlstate: "TG007",
    meaning: "The change would break the ledger.",
    hint: "Nothing was changed.",
  },
  request_too_large: {
    status: 413,
    meaning: "The body is larger than 64 KiB, or 1 MiB for a batch.",
    hint: "Send less metadata, at most 16 KiB, or fewer items.",
  },
  idempotency_mismatch: {
    status: 422,
    sqlstate: "TG006",
    meaning: "The request_id was already applied with other parameters.",
    hint: "Repeat a request with exactly the same parameters, or use a new request_id.",
  },
  exceeds_hold: {
    status: 422,
    sqlstate: "TG013",
    meaning: "The hold has fewer tokens.",
    hint: "Settle at most what is held, or send allow_excess: true.",
  },
  exceeds_refundable: {
    status: 422,
    sqlstate: "TG015",
    meaning: "Fewer tokens of the transfer are left to refund.",
    hint: "Refund at most what is left.",
  },
  internal_error: {
    status: 500,
    meaning: "Something went wrong on our side.",
    hint: RETRY_IS_SAFE,
  },
  temporarily_unavailable: {
    status: 503,
    meaning: "The database could not answer just now.",
    hint: RETRY_IS_SAFE,
  },
} as const satisfies Record<string, ErrorKind>;

export type ErrorCode = keyof typeof errorKinds;

/** What the caller sees. Details for our own log travel in `cause`, and go no further. */
export class ApiError extends Error {
  readonly status: number;

  constructor(
    readonly code: ErrorCode,
    message: string,
    readonly hint: string,
    readonly headers: Record<string, string>,
    cause?: unknown,
  ) {
    super(message, { cause });
    this.status = errorKinds[code].status;
  }
}

export function apiError(
  code: ErrorCode,
  message: string = errorKinds[code].meaning,
  hint: string = errorKinds[code].hint,
  { cause, headers }: { cause?: unknown; headers?: Record<string, string> } = {},
): ApiError {
  return new ApiError(code, message, hint, { ...headersOfStatus(code), ...headers }, cause);
}

function headersOfStatus(code: ErrorCode): Record<string, string> {
  switch (errorKinds[code].status) {
    case 401:
      return { "www-authenticate": "Bearer" };
    case 503:
      return { "retry-after": "1" };
    default:
      return {};
  }
}

const codeOfSqlstate = new Map<string | undefined, ErrorCode>(
  (Object.keys(errorKinds) as ErrorCode[]).flatMap((code) => {
    const { sqlstate }: ErrorKind = errorKinds[code];
    return sqlstate ? [[sqlstate, code]] : [];
  }),
);

// Lost connections, deadlocks and serialisation failures, exhausted resources, cancelled or
// shut-down statements, PostgREST without a connection, lock timeouts, a read-only standby.
const TRANSIENT = /^(08...|40...|53...|57...|PGRST00.|55P03|25006)$/;

/** How postgrest-js reports a failure; anything but `message` is missing if it was not JSON. */
export interface RpcFailure {
  rpc: string;
  /** HTTP status of PostgREST, or of a gateway before it; 0 if there was no answer. */
  status: number;
  code?: string | undefined;
  message: string;
  hint?: string | null;
}

/** A registered SQLSTATE is the caller's mistake; everything else is ours. */
export function databaseError({ rpc, status, code, message, hint }: RpcFailure): ApiError {
  const mistake = codeOfSqlstate.get(code);
  if (mistake) return apiError(mistake, message, hint ?? undefined);

  const transient = code ? TRANSIENT.test(code) : status === 0 || status === 429 || status >= 500;
  // Without the `details` of Postgres: they quote rows, and so the caller's data.
  const cause = { rpc, status, code, message: message.slice(0, 500) };
  return apiError(transient ? "temporarily_unavailable" : "internal_error", undefined, undefined, {
    cause,
  });
}

/** Turns whatever was thrown into the answer; a 5xx is also logged, as one line of JSON. */
export function errorResponse(thrown: unknown, requestId: string): Response {
  const error = thrown instanceof ApiError
    ? thrown
    : apiError("internal_error", undefined, undefined, { cause: thrown });
  const { code, status, message, hint, headers, cause } = error;
  if (status >= 500) {
    console.error(JSON.stringify({ code, status, request_id: requestId, cause: loggable(cause) }));
  }
  return Response.json({ error: { code, message, hint, request_id: requestId } }, {
    status,
    headers,
  });
}

function loggable(cause: unknown): unknown {
  return cause instanceof Error ? { message: cause.message, stack: cause.stack } : cause;
}
