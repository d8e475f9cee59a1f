import { Receipt } from "../receipts.ts";
import type { Route } from "../route.ts";
import { consume, decide } from "./consume.ts";

export const check: Route = {
  ...consume,
  operationId: "check",
  summary: "Ask whether tokens could be consumed",
  description:
    "Answers what `POST /v1/consume` would answer to the same request now, and changes nothing: " +
    "no tokens are taken, no request_id is used up. The next call may find it otherwise: to keep " +
    "the tokens, hold them.",
  answers: {
    ...consume.answers,
    200: {
      ...consume.answers[200],
      description: "The tokens could be consumed, or have been under this request_id before.",
      schema: Receipt,
    },
  },
  handle: (c, database) => decide(c, database.check),
};
