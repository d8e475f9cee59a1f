// The process that answers HTTP: gateway, REST and auth. Apart from the process that runs the stack,
// so that whatever @supabase/lite prints can be captured, and tests do not share its event loop.
import { getAuthSchemaSql } from "@supabase/lite";
import type { ApiServerMessage, ApiServerOrder } from "./api_server_client.ts";
import { messageOf } from "./errors.ts";
import { startGateway } from "./gateway.ts";
import { createRest } from "./rest.ts";

function report(message: ApiServerMessage): void {
  process.send?.(message);
}

// The channel closes when the stack's process ends, however it ends.
process.on("disconnect", () => process.exit(0));

try {
  const gateway = await startGateway(Number(process.argv[2] ?? 0));
  process.on("message", ({ rest: settings, functions }: ApiServerOrder) => {
    createRest(settings).then((rest) => {
      gateway.connect({ rest, functions });
      report({ type: "ready" });
    }).catch((error: unknown) => report({ type: "failed", message: messageOf(error) }));
  });
  report({ type: "listening", port: gateway.port, authSchema: getAuthSchemaSql() });
} catch (error) {
  report({ type: "failed", message: messageOf(error) });
}
