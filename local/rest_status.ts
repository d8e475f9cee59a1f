/** PostgREST's table of HTTP statuses for SQLSTATEs:
 * https://docs.postgrest.org/en/v13/references/errors.html#http-status-codes */
export function restStatus(code: string, message: string): number {
  if (code === "21000") return message.includes("requires a WHERE clause") ? 400 : 500;
  if (code === "42883") return message.startsWith("function xmlagg(") ? 406 : 404;
  return BY_CODE[code] ?? BY_CLASS[code.slice(0, 2)] ?? 400;
}

const BY_CODE: Readonly<Record<string, number>> = {
  "23503": 409,
  "23505": 409,
  "25006": 405,
  "42P01": 404,
  "42P17": 500,
  "53400": 500,
  "57P01": 503,
  "P0001": 400,
};

const BY_CLASS: Readonly<Record<string, number>> = {
  "08": 503,
  "09": 500,
  "0L": 403,
  "0P": 403,
  "25": 500,
  "28": 403,
  "2D": 500,
  "38": 500,
  "39": 500,
  "3B": 500,
  "40": 500,
  "53": 503,
  "54": 500,
  "55": 500,
  "57": 500,
  "58": 500,
  "F0": 500,
  "HV": 500,
  "P0": 500,
  "XX": 500,
};
