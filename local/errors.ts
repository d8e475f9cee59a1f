/** A failure the reader can do something about: shown as one clear line, without a stack trace. */
export class StackError extends Error {
  override readonly name = "StackError";
}

/** The system error code (`EACCES`, `EADDRINUSE`, ...) of a caught value, if it has one. */
export function errorCode(error: unknown): string | undefined {
  if (typeof error !== "object" || error === null || !("code" in error)) return undefined;
  return typeof error.code === "string" ? error.code : undefined;
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
