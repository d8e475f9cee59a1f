import { beforeAll, describe, expect, test } from "vitest";
import { useDatabase } from "../support/database.ts";
import { Project } from "../support/project.ts";

const { sql } = useDatabase();

type Config = Record<string, unknown>;

/** A plan of a project with 101 tags. */
let planId: string;

beforeAll(async () => {
  const project = await Project.create(sql);
  await sql`insert into tags (project_id, name)
    select ${project.id}, 'tag ' || n from generate_series(1, 101) n`;
  planId = await project.plan({});
});

async function insert(config: Config, type: "tag" | "total" = "total") {
  const [row] = await sql<
    {
      id: string;
      tags: number | null;
      duration: string;
      is_rolling: boolean;
      starts_at: string;
      ends_at: string;
    }[]
  >`
    insert into plan_restrictions (plan_id, restriction_type, restriction_config)
    values (${planId}, ${type}, ${JSON.stringify(config)}::text::jsonb)
    returning id, cardinality(tag_ids) as tags, duration::text, is_rolling,
      to_json(starts_at at time zone 'UTC') #>> '{}' as starts_at,
      to_json(ends_at at time zone 'UTC') #>> '{}' as ends_at`;
  return row!;
}

const refusal = (problem: string, hint?: string) => ({
  code: "TG001",
  message: `restriction_config ${problem}`,
  ...(hint && { hint }),
});

const total = { max_tokens: 1, duration: "1 day" };

test.each([
  "ends_on",
  "Window",
  "tag_ids",
  "tags",
  "",
  "is_rolling",
])("the unknown field %j is refused", async (field) => {
  await expect(insert({ ...total, [field]: "rolling" })).rejects.toMatchObject(
    refusal(`has an unknown field '${field}'`),
  );
});

test("of several unknown fields one is named", async () => {
  await expect(insert({ ...total, b: 1, a: 2, window: "rolling" })).rejects.toMatchObject(
    refusal("has an unknown field 'a'"),
  );
});

describe("duration", () => {
  test.each([
    ...["0 days", "00 days", "01 day", "1000 days", "-1 day", "+1 day", "1.5 hours", "1e2 hours"],
    ...[
      "1 year",
      "1 quarter",
      "1 minute",
      "90 minutes",
      "1 second",
      "1 decade",
      "hour",
      "1",
      "days",
    ],
    ...[" 1 day", "1 day ", "1  day", "1day", "1\tday", "1 day\n", "1 Day", "1 DAY", "１ day"],
    ...["1 day 2 hours", "1 day, 2 hours", "P1D", "24:00:00", "1 dayss", "1 mon", "٣ days"],
  ])("%j is refused", async (duration) => {
    await expect(insert({ ...total, duration })).rejects.toMatchObject(
      refusal(
        "needs duration, 1 to 999 hours, days, weeks or months",
        'For example "1 hour", "5 hours", "1 day", "2 weeks", "1 month".',
      ),
    );
  });

  test.each([1, null, true, ["1 day"], { days: 1 }])("%j is refused", async (duration) => {
    await expect(insert({ ...total, duration })).rejects.toMatchObject(
      refusal("needs duration, 1 to 999 hours, days, weeks or months"),
    );
  });

  test.each([
    ["1 hour", "01:00:00"],
    ["1 hours", "01:00:00"],
    ["5 hours", "05:00:00"],
    ["999 hours", "999:00:00"],
    ["1 day", "1 day"],
    ["999 day", "999 days"],
    ["2 weeks", "14 days"],
    ["999 weeks", "6993 days"],
    ["1 month", "1 mon"],
    ["12 months", "1 year"],
    ["999 months", "83 years 3 mons"],
  ])("%j is accepted", async (duration, interval) => {
    expect(await insert({ ...total, duration })).toMatchObject({ duration: interval });
  });
});

describe("window", () => {
  test.each(["sliding", "Rolling", "", " rolling", "fixed"])("%j is refused", async (window) => {
    await expect(insert({ ...total, window })).rejects.toMatchObject(
      refusal(
        'has a window that is neither "calendar" nor "rolling"',
        "Leave it out for the current hour, day, week or month.",
      ),
    );
  });

  test.each([1, true, null, ["rolling"], {}])("%j is refused", async (window) => {
    await expect(insert({ ...total, window })).rejects.toMatchObject(
      refusal('has a window that is neither "calendar" nor "rolling"'),
    );
  });

  test.each(["1 month", "3 months"])("rolling is refused for %s", async (duration) => {
    await expect(insert({ ...total, duration, window: "rolling" })).rejects.toMatchObject(
      refusal(
        "has a rolling window of months, which have no fixed length",
        'Use "30 days", or a calendar window.',
      ),
    );
  });

  test.each([
    ["1 hour", "rolling", true],
    ["30 days", "rolling", true],
    ["52 weeks", "rolling", true],
    ["1 day", "calendar", false],
    ["3 months", "calendar", false],
  ])("%s %s is accepted", async (duration, window, is_rolling) => {
    expect(await insert({ ...total, duration, window })).toMatchObject({ is_rolling });
  });

  test("is the calendar's if left out", async () => {
    expect(await insert(total)).toMatchObject({ is_rolling: false });
  });
});

describe.each(["starts_at", "ends_at"])("%s", (field) => {
  test.each([
    ...["2030-01-31", "2030-01-31T00:00:00", "2030-01-31 00:00", "2030-01-31T00:00:00 UTC"],
    ...["2030-02-30T00:00:00Z", "2029-02-29T00:00:00Z", "2030-13-01T00:00:00Z"],
    ...["2030-01-00T00:00:00Z", "2030-01-31T25:00:00Z", "2030-01-31T00:60:00Z"],
    ...["2030-01-31T00:00:61Z", "2030-01-31T00:00:00+25:00", "2030-01-31T00:00:00+1"],
    ...["infinity", "-infinity", "now", "tomorrow", "epoch", "", "1893456000"],
    ...["30-01-31T00:00:00Z", "2030-1-31T00:00:00Z", "2030-W05-4T00:00:00Z", "2030-031T00:00:00Z"],
    ...["2030-01-31T00:00:00Europe/Paris", " 2030-01-31T00:00:00Z", "2030-01-31T00:00:00Z\n"],
    ...["2030-01-31t00:00:00z", "２030-01-31T00:00:00Z", "0000-01-01T00:00:00Z"],
  ])("%j is refused", async (instant) => {
    await expect(insert({ ...total, [field]: instant })).rejects.toMatchObject(
      refusal(
        "needs instants with an offset for starts_at and ends_at, in ISO 8601",
        'For example "2030-01-31T00:00:00Z"; leave them out for a restriction without end.',
      ),
    );
  });

  test.each([1893456000, null, true, ["2030-01-31T00:00:00Z"], {}])(
    "%j is refused",
    async (instant) => {
      await expect(insert({ ...total, [field]: instant })).rejects.toMatchObject(
        refusal("needs instants with an offset for starts_at and ends_at, in ISO 8601"),
      );
    },
  );

  test.each([
    ["2030-01-31T00:00:00Z", "2030-01-31T00:00:00"],
    ["2030-01-31T00:00Z", "2030-01-31T00:00:00"],
    ["2030-01-31 00:00:00.123456Z", "2030-01-31T00:00:00.123456"],
    ["2030-01-31T00:00:00+05:45", "2030-01-30T18:15:00"],
    ["2030-01-31T00:00:00-0930", "2030-01-31T09:30:00"],
    ["2030-01-31T00:00:00+14", "2030-01-30T10:00:00"],
    ["2028-02-29T23:59:59Z", "2028-02-29T23:59:59"],
  ])("%j is accepted", async (instant, utc) => {
    expect(await insert({ ...total, [field]: instant })).toMatchObject({ [field]: utc });
  });

  test("is the same instant whatever the session's zone", async () => {
    const [row] = await sql.begin(async (tx) => {
      await tx`set local timezone = 'Asia/Tokyo'`;
      return tx<{ same: boolean }[]>`
        insert into plan_restrictions (plan_id, restriction_type, restriction_config)
        values (${planId}, 'total', ${sql.json({ ...total, [field]: "2030-01-31T00:00:00-05:00" })})
        returning ${sql(field)} = timestamptz '2030-01-31T05:00:00Z' as same`;
    });

    expect(row).toEqual({ same: true });
  });
});

test.each([
  ["2030-01-31T00:00:00Z", "2030-01-31T00:00:00Z"],
  ["2030-01-31T00:00:00Z", "2030-01-31T01:00:00+01:00"],
  ["2030-01-31T00:00:00Z", "2030-01-30T23:59:59.999999Z"],
])("a restriction from %s to %s is refused", async (starts_at, ends_at) => {
  await expect(insert({ ...total, starts_at, ends_at })).rejects.toMatchObject(
    refusal("has an ends_at that is not after starts_at", "Exchange them."),
  );
});

test("a restriction for a microsecond is accepted, and one without an end has none", async () => {
  const starts_at = "2030-01-31T00:00:00Z";

  expect(await insert({ ...total, starts_at, ends_at: "2030-01-31T00:00:00.000001Z" }))
    .toMatchObject({ ends_at: "2030-01-31T00:00:00.000001" });
  expect(await insert(total)).toMatchObject({ starts_at: "-infinity", ends_at: "infinity" });
});

describe("tag_names", () => {
  const names = (count: number) => Array.from({ length: count }, (_, index) => `tag ${index + 1}`);
  const needed = "of type tag needs tag_name, a text, or tag_names, 1 to 100 of them";

  test.each<[string, unknown]>([
    ["no tag", []],
    ["101 tags", names(101)],
    ["a text", "tag 1"],
    ["an object", { "tag 1": 1 }],
    ["null", null],
    ["a number among texts", ["tag 1", 4]],
    ["null among texts", ["tag 1", null]],
    ["a list in the list", [["tag 1"]]],
  ])("%s: refused", async (_, tag_names) => {
    await expect(insert({ ...total, tag_names }, "tag")).rejects.toMatchObject(refusal(needed));
  });

  test.each([
    [["tag 1", "GPT-4"], "GPT-4"],
    [["tag 1", "Tag 2"], "Tag 2"],
    [["tag 1", ""], ""],
    [["tag 1", "tag 2 "], "tag 2 "],
  ])("%j: refused, naming the unknown one", async (tag_names, unknown) => {
    await expect(insert({ ...total, tag_names }, "tag")).rejects.toMatchObject(
      refusal(
        `names tag_name '${unknown}', which is not a tag of the plan's project`,
        "Insert it into tags first; names are case-sensitive.",
      ),
    );
  });

  test("a tag that is named twice: refused", async () => {
    await expect(insert({ ...total, tag_names: ["tag 1", "tag 2", "tag 1"] }, "tag"))
      .rejects.toMatchObject(refusal("names a tag twice in tag_names", "Name each tag once."));
  });

  test("another project's tag is unknown", async () => {
    await (await Project.create(sql)).tagId("Claude");

    await expect(insert({ ...total, tag_names: ["tag 1", "Claude"] }, "tag")).rejects.toMatchObject(
      refusal("names tag_name 'Claude', which is not a tag of the plan's project"),
    );
  });

  test("beside tag_name: refused, even if they say the same", async () => {
    await expect(insert({ ...total, tag_name: "tag 1", tag_names: ["tag 1"] }, "tag"))
      .rejects.toMatchObject(refusal(needed));
  });

  test("of type total: refused", async () => {
    for (const fields of [{ tag_names: ["tag 1"] }, { tag_names: null }, { tag_names: [] }]) {
      await expect(insert({ ...total, ...fields })).rejects.toMatchObject(
        refusal(
          "of type total must not have tag_name or tag_names",
          "Use restriction_type tag for some tags, or leave them out.",
        ),
      );
    }
  });

  test.each([1, 2, 100])("%i tags: accepted", async (count) => {
    expect(await insert({ ...total, tag_names: names(count) }, "tag")).toMatchObject({
      tags: count,
    });
  });
});

test("an update is checked like an insert", async () => {
  const { id } = await insert(total);
  const update = (fields: Config) =>
    sql`update plan_restrictions
      set restriction_config = restriction_config || ${JSON.stringify(fields)}::text::jsonb
      where id = ${id}`;

  await expect(update({ duration: "1 month", window: "rolling" })).rejects.toMatchObject(
    refusal("has a rolling window of months, which have no fixed length"),
  );
  await expect(update({ ends_at: "2030-01-31" })).rejects.toMatchObject({ code: "TG001" });
});

test("the columns that the config fills cannot be set beside it", async () => {
  const { id } = await insert({ ...total, ends_at: "2030-01-31T00:00:00Z" });
  const [before] = await sql`select * from plan_restrictions where id = ${id}`;

  const [after] = await sql`update plan_restrictions
    set tag_ids = '{}', max_tokens = 9, duration = '1 hour', is_rolling = true,
      starts_at = now(), ends_at = now(), counter_id = gen_random_uuid()
    where id = ${id} returning *`;

  expect(after).toEqual(before);
});
