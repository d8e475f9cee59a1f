import { randomBytes } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { SignJWT } from "jose";
import { z } from "zod";
import type { Config } from "./config.ts";

const Secrets = z.object({
  /** Signs user JWTs (HS256). */
  jwtSecret: z.string(),
  publishableKey: z.string(),
  secretKey: z.string(),
});
type Secrets = z.infer<typeof Secrets>;

export interface Keys extends Secrets {
  /** The legacy JWT forms of the two API keys, which hosted projects still hand to functions. */
  anonKey: string;
  serviceRoleKey: string;
}

/** The keys of a stack: from config.toml where it names them, else random, kept in `file`. */
export async function loadKeys(file: string, { auth }: Config): Promise<Keys> {
  if (!existsSync(file)) {
    writeFileSync(file, JSON.stringify(randomSecrets(), null, 2) + "\n", { mode: 0o600 });
  }
  const kept = Secrets.parse(JSON.parse(readFileSync(file, "utf8")));
  const secrets: Secrets = {
    jwtSecret: auth.jwt_secret ?? kept.jwtSecret,
    publishableKey: auth.publishable_key ?? kept.publishableKey,
    secretKey: auth.secret_key ?? kept.secretKey,
  };
  const [anonKey, serviceRoleKey] = await Promise.all(
    ["anon", "service_role"].map((role) => signJwt(secrets.jwtSecret, { role }, "10y")),
  );
  if (!anonKey || !serviceRoleKey) throw new Error("unreachable: two roles give two keys");
  return { ...secrets, anonKey, serviceRoleKey };
}

function randomSecrets(): Secrets {
  const random = (bytes: number) => randomBytes(bytes).toString("base64url");
  return {
    jwtSecret: random(32),
    publishableKey: `sb_publishable_${random(24)}`,
    secretKey: `sb_secret_${random(24)}`,
  };
}

function signJwt(secret: string, claims: Record<string, unknown>, expiry: string) {
  return new SignJWT({ iss: "tollgate-local", ...claims })
    .setProtectedHeader({ alg: "HS256", typ: "JWT" })
    .setIssuedAt()
    .setExpirationTime(expiry)
    .sign(new TextEncoder().encode(secret));
}

/** The JWT that Supabase Auth would give this user. `userId` must be a uuid. */
export function signUserJwt(
  jwtSecret: string,
  userId: string,
  claims: Record<string, unknown> = {},
): Promise<string> {
  const user = { aud: "authenticated", role: "authenticated", sub: userId };
  return signJwt(jwtSecret, { ...user, ...claims }, "1h");
}
