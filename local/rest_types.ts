// Workarounds for @supabase/lite 0.10.0, second part: how values become JSON.

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

const toJson = (value: unknown) =>
  typeof value === "string" && isJson(value) ? value : JSON.stringify(value);
const asIs = (value: unknown) => value;
const isoTime = (text: string) => text.replace(" ", "T").replace(/([+-]\d\d)$/, "$1:00");

// Stock prints numbers, times and bytea differently from PostgREST, which uses to_json(), and takes
// any text for a false boolean.
export const restTypes = {
  bool: { to: 16, from: [16], serialize: String, parse: (text: string) => text === "t" },
  json: { to: 114, from: [114], serialize: toJson, parse: JSON.parse },
  jsonb: { to: 3802, from: [3802], serialize: toJson, parse: JSON.parse },
  numeric: { to: 1700, from: [1700], serialize: String, parse: Number },
  timestamptz: { to: 1184, from: [1184], serialize: asIs, parse: isoTime },
  timestamp: { to: 1114, from: [1114], serialize: asIs, parse: isoTime },
  bytea: { to: 17, from: [17], serialize: asIs, parse: asIs },
};
