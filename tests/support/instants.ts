/** The instant one microsecond before another: Postgres knows no later one. */
export const before = (instant: string | Date) =>
  new Date(+new Date(instant) - 1).toISOString().replace("Z", "999Z");
