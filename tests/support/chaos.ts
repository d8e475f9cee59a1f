/** Is this the long run? `TOLLGATE_CHAOS=1 npm test -- tests/load tests/faults` has storms of full size
 * and 20 crashes; without it they are as short as a suite that is run all day allows. */
export const chaos = process.env["TOLLGATE_CHAOS"] !== undefined;

/** The figures of a long run, for its report. */
export function report(what: string, figures: object): void {
  if (chaos) console.log(`${what}: ${JSON.stringify(figures)}`);
}
