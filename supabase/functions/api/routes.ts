import type { Endpoint } from "./route.ts";
import { balance } from "./routes/balance.ts";
import { consume } from "./routes/consume.ts";
import { grants } from "./routes/grants.ts";
import { health } from "./routes/health.ts";
import { link } from "./routes/link.ts";
import { openapi } from "./routes/openapi.ts";
import { transfers } from "./routes/transfers.ts";

// The whole API, below /functions/v1/api.
export const endpoints: readonly Endpoint[] = [
  { method: "POST", path: "/v1/consume", route: consume },
  { method: "GET", path: "/v1/users/:user_id/balance", route: balance },
  { method: "GET", path: "/v1/users/:user_id/transfers", route: transfers },
  { method: "PUT", path: "/v1/users/:user_id/link", route: link },
  { method: "POST", path: "/v1/grants", route: grants },
  { method: "GET", path: "/v1/health", route: health },
  { method: "GET", path: "/v1/openapi.json", route: openapi(() => endpoints) },
];
