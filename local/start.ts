// `npm start`. Here only the check that this Node can run the rest, whose packages need a newer one.
const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
if (major > 20 || (major === 20 && minor >= 19)) {
  const { start } = await import("./start_command.ts");
  await start(process.argv.slice(2));
} else {
  console.error(
    `✗ Tollgate needs Node 20.19 or newer, this is ${process.versions.node}. ` +
      `Install a current one from https://nodejs.org, then run \`npm ci\` again.`,
  );
  process.exitCode = 1;
}
