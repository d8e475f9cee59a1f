import { beforeAll, expect, test } from "vitest";
import { contents } from "../support/contents.ts";
import { connectToStack } from "../support/rest.ts";
import { kindOf } from "./bad_values.ts";
import { serveDatabase } from "./served_database.ts";
import { fieldsWith, withJson, World } from "./world.ts";

// Every function that supabase.rpc() can call, with every bad value of each of its arguments.

interface Signature {
  name: string;
  arguments: string[];
  /** How many of them, the first ones, have no default. */
  withoutDefault: number;
  comment: string;
  /** Or else by signed-in users only. */
  byService: boolean;
}

const signatures = await connectToStack()<Signature[]>`
  select p.proname as name, coalesce(p.proargnames[1:p.pronargs], '{}') as arguments,
    p.pronargs - p.pronargdefaults as "withoutDefault", obj_description(p.oid) as comment,
    has_function_privilege('service_role', p.oid, 'execute') as "byService"
  from pg_proc p where p.pronamespace = 'public'::regnamespace order by p.proname`;

const served = serveDatabase();
let world: World;
let userToken: string;
beforeAll(async () => {
  world = await World.create(served.sql);
  userToken = await served.userToken(world.ownerId);
});

interface Answer {
  status: number;
  error: { code?: string; message?: string; hint?: string | null };
}

async function call({ name, byService }: Signature, body: string): Promise<Answer> {
  const response = await fetch(`${served.url()}/rest/v1/rpc/${name}`, {
    method: "POST",
    headers: {
      apikey: served.serviceKey,
      authorization: `Bearer ${byService ? served.serviceKey : userToken}`,
      "content-type": "application/json",
    },
    body,
  });
  return { status: response.status, error: await response.json() };
}

/** The codes of "Raises TG001, TG004 to TG006." */
function documentedCodes(comment: string): string[] {
  if (comment.endsWith("Raises as it does.")) {
    return documentedCodes(signatures.find(({ name }) => name === "consume_tokens")!.comment);
  }
  return [...comment.matchAll(/TG(\d{3})(?: to TG(\d{3}))?/g)].flatMap(([, first, last = first]) =>
    Array.from(
      { length: Number(last) - Number(first) + 1 },
      (_, n) => `TG${String(Number(first) + n).padStart(3, "0")}`,
    )
  );
}

/** What is wrong with an answer to a bad argument: nothing, one hopes. */
function complaint({ comment }: Signature, says: RegExp | undefined, { status, error }: Answer) {
  const { code = "", message = "", hint } = error;
  if (status < 400 || status >= 500) return "is not refused";
  if (/^22/.test(code)) return; // A cast that failed, on the way to the function.
  if (!documentedCodes(comment).includes(code)) return "is refused with an undocumented code";
  if (code === "TG001" && !says?.test(message)) return "is refused without naming the argument";
  if (!hint) return "is refused without a hint";
  return;
}

/** What is not an object of the arguments, or lacks one, or has one more. */
function wrongObjects(named: Record<string, unknown>): string[] {
  const json = JSON.stringify(named);
  return [
    ...[json.slice(0, -1), `${json} ${json}`, `[${json}`, "NaN", "{'p_project_id': 1}", "\0"],
    ...["p_at", "price", "p_project", "__proto__", "constructor"]
      .map((name) => withJson(named, name, '"2020-01-01T00:00:00Z"')),
    ...Object.keys(named).map((name) =>
      JSON.stringify(Object.fromEntries(Object.entries(named).filter(([key]) => key !== name)))
    ),
  ];
}

const itemFields = ["user_id", "tokens_to_consume", "tag", "metadata", "request_id", "mode"];

/** Lists of which one item is wrong: the cast to jsonb checks nothing of what is in them. */
function badItems(operation: string) {
  const right = { user_id: "ada", tokens_to_consume: 1 };
  const item = (label: string, says: string, field: string, json: string) => ({
    field: "items",
    label: `${field} ${label}`,
    json: `[${JSON.stringify(right)},${withJson(right, field, json)}]`,
    says: new RegExp(`^items\\[1\\]: .*(${says})`),
  });
  return [
    ...itemFields.flatMap((field) => {
      const { bad, sqlSays } = kindOf(operation, field);
      const says = sqlSays ? `${field}|${sqlSays.source}` : field;
      return bad.map(([label, json]) => item(label, says, field, json));
    }),
    ...["price", "p_at", "requestId", "Mode", "__proto__", ""].map((field) =>
      item("is unknown", `"${field}" is not a field`, field, "1")
    ),
  ];
}

const rows = signatures.map((signature) => {
  const names = signature.arguments.map((argument) => argument.replace(/^p_/, ""));
  const required = names.slice(0, signature.withoutDefault);
  required.push(...names.filter((name) => ["transfer_number", "plan"].includes(name)));
  const inputs = names.flatMap((field) => {
    const { bad, sqlSays } = kindOf(signature.name, field);
    // These hand all but the key on to a function that is in the table itself: a sample will do.
    const isHandedOn = signature.name.endsWith("_with_api_key") && field !== "key_hash";
    return bad.filter((_, n) => !isHandedOn || n % 4 === 0)
      .map(([label, json]) => ({ field, label, json, says: sqlSays }));
  });
  if (signature.name === "consume_batch") inputs.push(...badItems(signature.name));
  return { ...signature, names, required, inputs };
});

const inputsInAll = new Set(rows.flatMap(({ inputs }) => inputs.map(({ json }) => json)));

test(`there are ${inputsInAll.size} different bad arguments`, () => {
  expect(inputsInAll.size).toBeGreaterThan(150);
});

test.each(rows.map((row) => [row.name, row.inputs.length, row] as const))(
  "%s refuses %i bad arguments and changes nothing",
  async (_, __, row) => {
    const { name, names, required, inputs } = row;
    const right = await world.rightValues(name, names);
    const argumentsWith = (field: string | undefined) =>
      Object.fromEntries(fieldsWith(field, required).map((field) => [`p_${field}`, right[field]]));
    const before = await contents(served.sql);

    const complaints = await Promise.all(inputs.map(async ({ field, label, json, says }) => {
      const answer = await call(row, withJson(argumentsWith(field), `p_${field}`, json));
      const wrong = complaint(row, says, answer);
      return wrong ? [`${field} ${label} ${wrong}: ${JSON.stringify(answer).slice(0, 300)}`] : [];
    }));

    expect(complaints.flat()).toEqual([]);
    for (const body of wrongObjects(argumentsWith(undefined))) {
      const { status, error } = await call(row, body);
      expect(Math.floor(status / 100), `${body}: ${JSON.stringify(error)}`).toBe(4);
    }
    expect(await contents(served.sql)).toEqual(before);
    // The control: without the bad argument it would not have been refused.
    const { status, error } = await call(row, JSON.stringify(argumentsWith(undefined)));
    expect(status, JSON.stringify(error)).toBe(200);
  },
);
