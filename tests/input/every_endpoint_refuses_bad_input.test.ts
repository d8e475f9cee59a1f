import { gzipSync } from "node:zlib";
import { beforeAll, expect, test } from "vitest";
import { z } from "zod";
import { mayBeLeftOut } from "../../supabase/functions/api/request.ts";
import type { Endpoint } from "../../supabase/functions/api/route.ts";
import { endpoints } from "../../supabase/functions/api/routes.ts";
import { contents } from "../support/contents.ts";
import type { ErrorJson } from "../support/tenant.ts";
import { forgedGrantIds, forgedHoldIds, kindOf } from "./bad_values.ts";
import { serveDatabase } from "./served_database.ts";
import { fieldsWith, withJson, World } from "./world.ts";

// Every endpoint of the route table, with every bad value of each of its fields, and with requests
// that are wrong as a whole.

const served = serveDatabase();
let world: World;
beforeAll(async () => {
  world = await World.create(served.sql);
});

interface Request {
  path: string;
  method?: string;
  body?: string | Uint8Array<ArrayBuffer> | null;
  headers?: Record<string, string>;
}

/** A request, and the answer to it: the code, and how a part of the message begins. */
interface Input extends Request {
  label: string;
  code: string;
  says: RegExp;
}

async function send({ path, method = "POST", body, headers = {} }: Request) {
  const response = await fetch(`${served.url()}/functions/v1/api${path}`, {
    method,
    headers: { authorization: `Bearer ${world.apiKey}`, ...headers },
    ...(body != null && { body }),
  });
  const text = await response.text();
  return { status: response.status, headers: response.headers, body: text };
}

const STATUS: Record<string, number> = {
  invalid_request: 400,
  unknown_grant: 404,
  unknown_hold: 404,
  method_not_allowed: 405,
  request_too_large: 413,
};

/** What is wrong with the answer to a bad input: nothing, one hopes. */
async function complaint({ label, code, says, ...request }: Input): Promise<string[]> {
  const { status, headers, body } = await send(request);
  const answer = `${label.slice(0, 60)}: ${status} ${body.slice(0, 300)}`;
  if (status !== STATUS[code]) return [`is not ${STATUS[code]}: ${answer}`];
  const { error }: ErrorJson = JSON.parse(body);
  if (error.code !== code) return [`is not ${code}: ${answer}`];
  // Several complaints are parted by semicolons; but one may quote a value that has some.
  if (![error.message, ...error.message.split("; ")].some((part) => says.test(part))) {
    return [`does not say ${says}: ${answer}`];
  }
  if (!error.hint) return [`has no hint: ${answer}`];
  if (!error.request_id || !headers.has("x-request-id")) return [`has no request id: ${answer}`];
  return [];
}

type Values = Record<string, unknown>;

/** Everything that is wrong with this endpoint's requests, given values that would be right. */
function inputsOf(endpoint: Endpoint, right: Values): Input[] {
  const { path: pattern, method, route: { operationId, body, query, params } } = endpoint;
  const path = pathOf(endpoint, right);
  const required = requiredOf(endpoint);
  const plain = pick(right, required);
  const json = JSON.stringify(plain);
  const invalid = (label: string, says: RegExp, more: Partial<Input> = {}): Input => ({
    ...{ label, code: "invalid_request", says, path, method, body: body ? json : null },
    ...more,
  });

  const verbs = ["GET", "POST", "PUT", "PATCH", "DELETE"].filter((verb) => verb !== method)
    .map((verb) =>
      invalid(verb, new RegExp(`not take ${verb}`), {
        code: "method_not_allowed",
        method: verb,
        body: verb === "GET" ? null : "{}",
      })
    );

  const others = (name: string) =>
    requiredQueryOf(endpoint).filter((pair) => !pair.startsWith(`${name}=`));
  const malformed = /^The URL holds a malformed percent-encoding/;
  const queries = query === undefined ? [] : [
    ...["offset", "p_at", "__proto__", "user_id[]", "", "select"].map((name) =>
      invalid(`?${name}`, starting(`"${name}"`, /^ is not a field/), { path: `${path}?${name}=1` })
    ),
    ...[...Object.keys(query.shape), "x"].map((name) =>
      invalid(`?${name} twice`, starting(`"${name}"`, /^ is given more than once/), {
        path: `${path}?${name}=1&${name}=1`,
      })
    ),
    ...[...Object.keys(query.shape), "x"].flatMap((name) =>
      malformedEscapes.map((escape) =>
        invalid(`?${name}=${escape}`, malformed, { path: `${path}?${name}=${escape}` })
      )
    ),
    ...Object.keys(query.shape).flatMap((name) =>
      badQueries(operationId, name).map(([value, says]) =>
        invalid(`?${name}=${value}`, starting(name, says), {
          path: `${path}?${[`${name}=${encodeURIComponent(value)}`, ...others(name)].join("&")}`,
        })
      )
    ),
  ];

  const paths = Object.keys(params?.shape ?? {}).flatMap((name) => {
    const at = (segment: string) => ({ path: pattern.replace(`:${name}`, segment) });
    const unknown = (ids: readonly string[], code: string, says: RegExp) =>
      ids.map((id) => invalid(id, says, { code, ...at(encodeURIComponent(id)) }));
    const bad = name === "user_id"
      ? badUserPaths.map((id) => invalid(id, /^user_id must be text of 1 to 255/, at(id)))
      : name === "hold_id"
      ? unknown(forgedHoldIds, "unknown_hold", /^The hold is not known/)
      : unknown(forgedGrantIds, "unknown_grant", /^The user has no such (recurring )?grant/);
    return [...bad, ...malformedEscapes.map((segment) => invalid(segment, malformed, at(segment)))];
  });
  if (!body) return [...verbs, ...queries, ...paths];

  const noJson = /^The body is not valid JSON/;
  const noObject = /^The body must be a JSON object/;
  const bodies = [
    ...notJson(json).filter((text) => text !== "" || !mayBeLeftOut(body))
      .map((text) => invalid(text, noJson, { body: text })),
    ...notUtf8(json).map(([label, bytes]) => invalid(label, noJson, { body: bytes })),
    ...formsOf(plain).map(([type, text]) =>
      invalid(type, noJson, { body: text, headers: { "content-type": type } })
    ),
    invalid("gzip", noJson, {
      body: new Uint8Array(gzipSync(json)),
      headers: { "content-encoding": "gzip" },
    }),
    ...["null", "[]", `[${json}]`, JSON.stringify(json), "1", "true", '""', "1e400"]
      .map((text) => invalid(text, noObject, { body: text })),
    invalid("10,000 nested lists", noObject, { body: "[".repeat(10_000) + "]".repeat(10_000) }),
    ...tooLarge(json, endpoint.route.maxBodyBytes ?? 64 * 1024).map(([label, text]) =>
      invalid(label, /^The body is larger than 64 KiB, or 1 MiB for a batch/, {
        code: "request_too_large",
        body: text,
      })
    ),
  ];

  const many = Object.fromEntries(Array.from({ length: 1000 }, (_, n) => [`x${n}`, n]));
  const unknown = [
    ...["price", "p_at", "project_id", "__proto__", "constructor", "toString", "", "٣"].map((
      name,
    ) =>
      invalid(`the field "${name}"`, starting(`"${name}"`, /^ is not a field of this request/), {
        body: withJson(plain, name, '{"polluted": true}'),
      })
    ),
    invalid("1,000 unknown fields", /^"x0", "x1", .* are not fields/, {
      body: JSON.stringify({ ...plain, ...many }),
    }),
  ];

  const requirements = required.flatMap((name) => [
    invalid(`no ${name}`, starting(name, /^ (is required|or .* must be given|must be a list)/), {
      body: JSON.stringify(pick(right, required.filter((other) => other !== name))),
    }),
    // Of a field given twice the last counts, as everywhere in JSON.
    invalid(`${name} twice`, starting(name, /^ must be/), {
      body: withJson(plain, name, `${JSON.stringify(right[name])},${JSON.stringify(name)}:5.5`),
    }),
  ]);

  const fields = Object.keys(body.shape).flatMap((name) => {
    const { says, bad, badInJson = [] } = kindOf(operationId, name);
    const values = pick(right, fieldsWith(name, required));
    return [...bad, ...badInJson].map(([label, json]) =>
      invalid(`${name} ${label}`, starting(name, says), { body: withJson(values, name, json) })
    );
  });

  const ofItems = itemFieldsOf(body).flatMap((name) => {
    const { says, bad, badInJson = [] } = kindOf(operationId, name);
    const [item] = right["items"] as [Values];
    return [...bad, ...badInJson].map(([label, json]) =>
      invalid(`${name} of an item ${label}`, starting(`items[1].${name}`, says), {
        body: `{"items":[${JSON.stringify(item)},${withJson(item, name, json)}]}`,
      })
    );
  });

  const keys = [
    ...["", "x".repeat(256), "é", "a\tb", "a\u0080b", "\u00a0"].map((key) =>
      invalid(`the key "${key}"`, /^The Idempotency-Key header must be 1 to 255 printable ASCII/, {
        headers: { "idempotency-key": key },
      })
    ),
    ...("request_id" in body.shape
      ? [
        invalid("two request ids", /^The Idempotency-Key header and request_id differ/, {
          body: withJson(plain, "request_id", '"a"'),
          headers: { "idempotency-key": "b" },
        }),
      ]
      : []),
  ];

  return [verbs, queries, paths, bodies, unknown, requirements, fields, ofItems, keys].flat();
}

function pathOf({ path }: Endpoint, right: Values): string {
  return path.replace(/:(\w+)/, (_, name) => String(right[name]));
}

function requiredQueryOf({ route: { query, operationId } }: Endpoint): string[] {
  const names = Object.entries(query?.shape ?? {})
    .filter(([, schema]) => !schema.safeParse(undefined).success).map(([name]) => name);
  return names.map((name) => `${name}=${kindOf(operationId, name).right}`);
}

function pick(values: Values, names: readonly string[]): Values {
  return Object.fromEntries(names.map((name) => [name, values[name]]));
}

/** Beginning with the name of the field, and going on as its kind says. */
function starting(place: string, says: RegExp): RegExp {
  return new RegExp(`^${place.replace(/[.[\]]/g, "\\$&")}${says.source.replace(/^\^/, "")}`);
}

function itemFieldsOf({ shape: { items } }: z.ZodObject): string[] {
  const item = items instanceof z.ZodArray && items.element;
  return item instanceof z.ZodObject ? Object.keys(item.shape) : [];
}

function requiredOf({ route: { body, operationId } }: Endpoint): string[] {
  const names = Object.entries(body?.shape ?? {})
    .filter(([, schema]) => !schema.safeParse(undefined).success).map(([name]) => name);
  const oneOfSeveral: Record<string, string> = {
    createRefund: "transfer_number",
    changeUser: "plan",
  };
  const one = oneOfSeveral[operationId];
  return one ? [...names, one] : names;
}

/** In a query all values are text. */
function badQueries(operation: string, name: string): [text: string, says: RegExp][] {
  const numbers = badNumbers[name];
  if (numbers) return numbers.map((text) => [text, /^ must be/]);
  const { bad, badInJson = [], says } = kindOf(operation, name);
  const values = [...bad, ...badInJson].filter(([, json]) => json.startsWith('"'))
    .map(([, json]): string => JSON.parse(json));
  return values.filter((text) => !/\p{Surrogate}/u.test(text)).map((text) => [text, says]);
}

const badNumbers: Record<string, string[]> = {
  limit: [
    ...["", " ", "0", "-1", "101", "1000", "1.5", "1e1", "1e400", "+1", " 1", "0x10", "abc"],
    ...["NaN", "Infinity", "9007199254740993", "9223372036854775808", "٣", "１", "null", "[]"],
    ...["1,2", "\0", "1;drop table tags"],
  ],
  cursor: [
    ...["", " ", "0", "-1", "01", "1.5", "1e1", "+1", " 1", "1 ", "0x10", "abc", "NaN", "null"],
    ...["1000000000000000", "9007199254740993", "9223372036854775808", "1".repeat(4000), "٣"],
    ...["１", "\0", "1'--", "eyJpZCI6MX0=", "1,2", "[1]", "2030-01-15T10:30:00Z"],
  ],
};

const badUserPaths = [
  ...["%00", "a%00b", "x".repeat(256), "x".repeat(4000)],
  ...["🙂", "/", "%", "é", " "].map((character) => encodeURIComponent(character.repeat(256))),
];

const malformedEscapes = ["%", "a%", "%zz", "%C3", "%e9", "%ff", "%ED%A0%80", "%C0%80"];

function notJson(json: string): string[] {
  return [
    ...["", "{", " \n ", json.slice(0, -1), json.slice(1), `${json}${json}`, `${json},`],
    ...[`${json} // one`, "{'user_id': 'ada'}", '{"user_id": "ada",}', "{user_id: 1}", "undefined"],
    ...["NaN", '{"tokens": NaN}', '{"tokens": Infinity}', '{"tokens": 01}', '{"tokens": 0x1}'],
    ...['{"tokens": +1}', '{"tokens": .5}', '{"tokens": 1_000}', '{"tokens": ٣}', "\0", "<a>1</a>"],
    ...['{"user_id": "a\0da"}', '{"user_id": "a\nb"}', String.raw`{"user_id": "\x41"}`],
    ...[String.raw`{"user_id": "\u00"}`, "[".repeat(10_000), '{"a":'.repeat(10_000)],
  ];
}

function notUtf8(json: string): [label: string, bytes: Uint8Array<ArrayBuffer>][] {
  const bytes = (text: string, encoding: "latin1" | "utf16le") =>
    new Uint8Array(Buffer.from(text, encoding));
  return [
    ["Latin-1", bytes('{"user_id": "é"}', "latin1")],
    ["UTF-16", bytes(json, "utf16le")],
    ["an overlong NUL", bytes('{"user_id": "\xc0\x80"}', "latin1")],
    ["a surrogate in UTF-8", bytes('{"user_id": "\xed\xa0\x80"}', "latin1")],
  ];
}

function formsOf(values: Record<string, unknown>): [type: string, body: string][] {
  const fields = Object.entries({ ...values, x: 1 });
  return [
    ["application/x-www-form-urlencoded", fields.map((pair) => pair.join("=")).join("&")],
    [
      "multipart/form-data; boundary=b",
      fields.map(([name, value]) =>
        `--b\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n${String(value)}\r\n`
      ).join("") + "--b--\r\n",
    ],
    ["application/xml", `<consume>${fields.map(([name]) => `<${name}/>`).join("")}</consume>`],
    ["text/yaml", fields.map((pair) => pair.join(": ")).join("\n")],
    [
      "application/x-ndjson",
      fields.map((pair) => JSON.stringify(Object.fromEntries([pair]))).join("\n") + "\n{}",
    ],
  ];
}

function tooLarge(json: string, most: number): [string, string][] {
  return [
    ["1 byte too many of white space", json + " ".repeat(most + 1 - json.length)],
    ["1 byte too many of no JSON", "x".repeat(most + 1)],
    ["10 MB", "x".repeat(10_000_000)],
  ];
}

const rows = endpoints.map((endpoint) => {
  const { method, path, route: { operationId, body, params } } = endpoint;
  const fields = [
    ...[body, params].flatMap((fields) => Object.keys(fields?.shape ?? {})),
    ...requiredOf(endpoint),
  ];
  const examples = Object.fromEntries(
    fields.map((field) => [field, kindOf(operationId, field).right]),
  );
  return [method, path, inputsOf(endpoint, examples).length, endpoint, fields] as const;
});

test.each(rows)(
  "%s %s refuses %i bad inputs, says why, and changes nothing",
  async (method, _, __, endpoint, fields) => {
    const right = await world.rightValues(endpoint.route.operationId, fields);
    const inputs = inputsOf(endpoint, right);
    const before = await contents(served.sql);

    const complaints: string[][] = [];
    for (let n = 0; n < inputs.length; n += 16) {
      complaints.push(...await Promise.all(inputs.slice(n, n + 16).map(complaint)));
    }

    expect(complaints.flat()).toEqual([]);
    expect(await contents(served.sql)).toEqual(before);
    // The control: without anything wrong it would not have been refused.
    const answer = await send({
      path: `${pathOf(endpoint, right)}?${requiredQueryOf(endpoint).join("&")}`,
      method,
      body: endpoint.route.body ? JSON.stringify(pick(right, requiredOf(endpoint))) : null,
    });
    expect([200, 201], answer.body).toContain(answer.status);
  },
);

test("a body that is streamed, without a length, is cut off as well", async () => {
  const body = new Blob([" ".repeat(100_000)]).stream();
  const init = { method: "POST", body, duplex: "half" }; // A name that the DOM's types do not know.

  const { status } = await fetch(`${served.url()}/functions/v1/api/v1/consume`, {
    ...init,
    headers: { authorization: `Bearer ${world.apiKey}` },
  });

  expect(status).toBe(413);
});
