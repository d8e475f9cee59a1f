import { z } from "zod";
import { apiKeyHash } from "../../_shared/api_key.ts";
import { given } from "../../_shared/database.ts";
import { authUserId, requestId, userId } from "../fields.ts";
import { readBody, readParams, readQuery } from "../request.ts";
import type { Route } from "../route.ts";

const Params = z.strictObject({ user_id: userId });
const Query = z.strictObject({});
const Body = z.strictObject({ auth_user_id: authUserId, request_id: requestId }).meta({
  title: "LinkRequest",
  examples: [{ auth_user_id: "5d1c6a0e-3f0b-4b62-9d7f-2f6f0c8f2a11" }],
});

const Link = z.strictObject({ user_id: z.string(), auth_user_id: z.uuid().nullable() }).meta({
  title: "Link",
  examples: [{ user_id: "user_123", auth_user_id: "5d1c6a0e-3f0b-4b62-9d7f-2f6f0c8f2a11" }],
});

export const link: Route = {
  operationId: "linkUser",
  summary: "Let a signed-in user see the balance",
  description:
    "Links the user to a row of auth.users, who may then read this balance and these transfers " +
    "with supabase-js. To hand a user over to another auth user, unlink first.",
  secured: true,
  params: Params,
  query: Query,
  body: Body,
  answers: { 200: { description: "The link as it is now.", schema: Link } },
  errors: ["unknown_user", "link_conflict", "request_too_large"],
  async handle(c, database) {
    const keyHash = await apiKeyHash(c.req.raw.headers);
    const { user_id } = readParams(c, Params);
    readQuery(c, Query);
    const { auth_user_id } = await readBody(c, Body);
    return Response.json(
      await database.link({
        p_key_hash: keyHash,
        p_external_user_id: user_id,
        ...given({ p_auth_user_id: auth_user_id }),
      }),
    );
  },
};
