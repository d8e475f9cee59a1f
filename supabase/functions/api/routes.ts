import type { Endpoint } from "./route.ts";
import { balance } from "./routes/balance.ts";
import { batch } from "./routes/batch.ts";
import { changeUser } from "./routes/change_user.ts";
import { check } from "./routes/check.ts";
import { consume } from "./routes/consume.ts";
import { endRecurringGrant } from "./routes/end_recurring_grant.ts";
import { extend } from "./routes/extend.ts";
import { grants } from "./routes/grants.ts";
import { health } from "./routes/health.ts";
import { hold } from "./routes/hold.ts";
import { link } from "./routes/link.ts";
import { openapi } from "./routes/openapi.ts";
import { recurringGrants } from "./routes/recurring_grants.ts";
import { refunds } from "./routes/refunds.ts";
import { release } from "./routes/release.ts";
import { settle } from "./routes/settle.ts";
import { transfers } from "./routes/transfers.ts";
import { usage } from "./routes/usage.ts";
import { voidGrant } from "./routes/void.ts";

// The whole API, below /functions/v1/api.
export const endpoints: readonly Endpoint[] = [
  { method: "POST", path: "/v1/consume", route: consume },
  { method: "POST", path: "/v1/consume/batch", route: batch },
  { method: "POST", path: "/v1/check", route: check },
  { method: "POST", path: "/v1/holds", route: hold },
  { method: "POST", path: "/v1/holds/:hold_id/settle", route: settle },
  { method: "POST", path: "/v1/holds/:hold_id/extend", route: extend },
  { method: "POST", path: "/v1/holds/:hold_id/release", route: release },
  { method: "POST", path: "/v1/refunds", route: refunds },
  { method: "GET", path: "/v1/users/:user_id/balance", route: balance },
  { method: "GET", path: "/v1/users/:user_id/transfers", route: transfers },
  { method: "PATCH", path: "/v1/users/:user_id", route: changeUser },
  { method: "PUT", path: "/v1/users/:user_id/link", route: link },
  { method: "POST", path: "/v1/grants", route: grants },
  { method: "POST", path: "/v1/grants/:grant_id/void", route: voidGrant },
  { method: "POST", path: "/v1/recurring-grants", route: recurringGrants },
  {
    method: "POST",
    path: "/v1/recurring-grants/:recurring_grant_id/end",
    route: endRecurringGrant,
  },
  { method: "GET", path: "/v1/usage", route: usage },
  { method: "GET", path: "/v1/health", route: health },
  { method: "GET", path: "/v1/openapi.json", route: openapi(() => endpoints) },
];
