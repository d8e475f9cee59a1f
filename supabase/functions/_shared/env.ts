/** The settings of the edge functions. Supabase provides all of them, hosted and local. */
export interface Env {
  supabaseUrl: string;
  /** Acts as service_role: never leaves the function, never appears in a log. */
  secretKey: string;
}

/** Reads every setting in one place; throws at start, naming the variable to set. */
export function readEnv(read: (name: string) => string | undefined): Env {
  const supabaseUrl = read("SUPABASE_URL");
  if (!supabaseUrl || !URL.canParse(supabaseUrl)) {
    throw new Error("SUPABASE_URL must hold the URL of the project, e.g. http://127.0.0.1:54321");
  }
  const secretKey = firstSecretKey(read("SUPABASE_SECRET_KEYS")) ||
    read("SUPABASE_SERVICE_ROLE_KEY");
  if (!secretKey) {
    throw new Error(
      'SUPABASE_SECRET_KEYS must hold a secret key as JSON, e.g. {"default":"sb_secret_..."} ' +
        "(or SUPABASE_SERVICE_ROLE_KEY the legacy key)",
    );
  }
  return { supabaseUrl: supabaseUrl.replace(/\/+$/, ""), secretKey };
}

/** SUPABASE_SECRET_KEYS is a dictionary of named keys: the one named default, else the first. */
function firstSecretKey(dictionary: string | undefined): string | undefined {
  if (!dictionary) return undefined;
  const keys = new Map<string, unknown>(Object.entries(parseDictionary(dictionary)));
  const key = keys.get("default") ?? keys.values().next().value;
  return typeof key === "string" ? key : undefined;
}

function parseDictionary(text: string): object {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === "object" && value !== null) return value;
  } catch {
    // Falls through: the parser's own message would quote the key.
  }
  throw new Error('SUPABASE_SECRET_KEYS is not a JSON object like {"default":"sb_secret_..."}');
}
