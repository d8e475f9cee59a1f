import { beforeAll, describe, expect, test } from "vitest";
import { useDatabase } from "../support/database.ts";
import { Project } from "../support/project.ts";

const { sql } = useDatabase();
let project: Project;

beforeAll(async () => {
  project = await Project.create(sql);
  await project.plan({ quota: 2000 });
  const [ada, grace] = [await project.user("ada"), await project.user("grace")];
  for (let call = 1; call <= 60; call++) {
    await ada.consume(call);
    await grace.consume(1);
    await ada.consume(100_000); // denied: takes no number
  }
});

const numbers = async (limit: number | null, before: number | null = null) => {
  const page = await sql<{ transfer_number: number }[]>`
    select transfer_number from get_user_transfers(${project.id}, 'ada', ${limit}, ${before})`;
  return page.map(({ transfer_number }) => transfer_number);
};

const from = (first: number, last: number) =>
  Array.from({ length: first - last + 1 }, (_, index) => first - index);

test("a user's transfers are numbered 1, 2, 3, without gaps, denials or other users", async () => {
  const transfers = await sql<{ transfer_number: number; amount: number }[]>`
    select transfer_number, amount from token_transfers
    where user_id = tollgate.tracked_user_id(${project.id}, 'ada') order by transfer_number`;

  expect(transfers).toEqual(
    from(60, 1).reverse().map((call) => ({ transfer_number: call, amount: -call })),
  );
});

test("a grant takes the next number", async () => {
  const user = await project.user("linus");
  await user.consume(10);
  await user.grant(10);
  await user.consume(10);

  expect(
    await sql`select transfer_number, amount, transaction_type, quota_left, grants_left
    from get_user_transfers(${project.id}, 'linus')`,
  ).toEqual([
    {
      transfer_number: 3,
      amount: -10,
      transaction_type: "consumption",
      quota_left: 1980,
      grants_left: 10,
    },
    {
      transfer_number: 2,
      amount: 10,
      transaction_type: "grant",
      quota_left: 1990,
      grants_left: 10,
    },
    {
      transfer_number: 1,
      amount: -10,
      transaction_type: "consumption",
      quota_left: 1990,
      grants_left: 0,
    },
  ]);
});

describe("get_user_transfers", () => {
  test("answers the newest 50 first", async () => {
    const page = await sql<{ transfer_number: number }[]>`
      select transfer_number from get_user_transfers(${project.id}, 'ada')`;

    expect(page.map(({ transfer_number }) => transfer_number)).toEqual(from(60, 11));
  });

  test("goes on below p_before", async () => {
    expect(await numbers(25)).toEqual(from(60, 36));
    expect(await numbers(25, 36)).toEqual(from(35, 11));
    expect(await numbers(25, 11)).toEqual(from(10, 1));
    expect(await numbers(25, 1)).toEqual([]);
  });

  test("pages do not shift when transfers are added", async () => {
    const page = await numbers(5, 31);
    await project.unknownUser("ada").grant(1);

    expect(await numbers(5, 31)).toEqual(page);
  });

  test.each([1, 101])("takes a limit of %d", async (limit) => {
    expect(await numbers(limit, 61)).toEqual(from(60, Math.max(1, 61 - limit)));
  });

  test.each([0, -1, 102, null])("refuses a limit of %s", async (limit) => {
    await expect(numbers(limit)).rejects.toMatchObject({
      code: "TG001",
      message: "limit must be from 1 to 101",
    });
  });

  test("answers nothing for a user without transfers", async () => {
    await project.user("quiet");

    expect(await sql`select * from get_user_transfers(${project.id}, 'quiet')`).toEqual([]);
  });
});
