import { test } from "vitest";
import { useDatabase } from "../support/database.ts";
const { sql, connect } = useDatabase();
for (const again of [true, false])
for (const mode of ["active", "idle", "idle in transaction"]) {
  test(mode + again, async () => {
    const v = connect(1);
    const [r] = await v<{pid:number}[]>`select pg_backend_pid() as pid`;
    if (mode === "idle in transaction") await v`begin`;
    const q = mode === "active" ? v`select pg_sleep(10)`.catch((e: {code:string}) => e.code) : undefined;
    if (q) await sql`select pg_sleep(0.1)`;
    await sql`select pg_terminate_backend(${r!.pid}, 1000)`;
    console.log(mode, again, await q);
    if (again) console.log(mode, await v`select 1 as x`.catch((e: {code:string}) => e.code));
    console.log(mode, again, await Promise.race([v.end({timeout: 5}).then(() => "ended"), sql`select pg_sleep(1)`.then(() => "hang")]));
  });
}
