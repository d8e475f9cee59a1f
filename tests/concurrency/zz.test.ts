import { test } from "vitest";
import { useDatabase } from "../support/database.ts";
const { sql, connect } = useDatabase();
for (const mode of ["active", "idle", "idle in transaction"]) {
  test(mode, async () => {
    const v = connect(1);
    const [r] = await v<{pid:number}[]>`select pg_backend_pid() as pid`;
    if (mode === "idle in transaction") await v`begin`;
    const q = mode === "active" ? v`select pg_sleep(10)`.catch((e: {code:string}) => e.code) : undefined;
    if (q) await sql`select pg_sleep(0.1)`;
    await sql`select pg_terminate_backend(${r!.pid}, 1000)`;
    console.log(mode, await q);
    console.log(mode, await Promise.race([v.end().then(() => "ended"), sql`select pg_sleep(1)`.then(() => "hang")]));
  });
}
