import { expect, test } from "vitest";
import { useDatabase } from "../support/database.ts";
import { Project } from "../support/project.ts";

const { sql } = useDatabase();

test("a recurring grant is due by the user's new clocks at once", async () => {
  const project = await Project.create(sql);
  await project.plan({ type: "pay_as_you_go" });
  const user = await project.user("ada");
  await user.recurringGrant(5, "1 month", { startsAt: "2031-03-01T12:00:00Z" });
  await user.grant(1, { at: "2031-03-02T00:00:00Z" });

  // There, summer time has begun by April: noon UTC of March 1st is 7 o'clock, and that is 11 UTC then.
  await user.change({ timeZone: "America/New_York", at: "2031-03-03T00:00:00Z" });

  expect(await user.balance("2031-04-01T10:59:59Z")).toMatchObject({ grants_left: 6 });
  expect(await user.balance("2031-04-01T11:00:00Z")).toMatchObject({ grants_left: 11 });
  await user.consume(1, { at: "2031-04-01T11:30:00Z" });
  expect(await user.balance("2031-04-01T12:30:00Z")).toMatchObject({ grants_left: 10 });
});

test("a grace time is of days of 24 hours, whatever the session's time zone", async () => {
  const project = await Project.create(sql, "UTC", { graceDays: 2 });
  await project.plan({ quota: 10 });
  const connection = await sql.reserve();
  try {
    // Clocks are set forward there on March 9th 2031.
    await connection`set time zone 'America/New_York'`;
    const receipt = await project.on(connection).unknownUser("ada")
      .change({ paymentStatus: "past_due", at: "2031-03-08T12:00:00Z" });
    expect(receipt.quota_open_until).toEqual(new Date("2031-03-10T12:00:00Z"));
  } finally {
    await connection`reset time zone`;
    connection.release();
  }
});
