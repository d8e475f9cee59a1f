// A line chart as SVG, of colours that can be read on light and on dark pages.

export interface Line {
  name: string;
  colour: string;
  /** x from 0; y above 0. */
  points: [x: number, y: number][];
}

const WIDTH = 760;
const HEIGHT = 380;
const LEFT = 70;
const RIGHT = 190;
const TOP = 48;
const BOTTOM = 56;
const INK = "#7d8590";

/** x: 0 and powers of ten, evenly apart; y: logarithmic. */
export function plot(title: string, xLabel: string, lines: Line[]): string {
  const xs = [...new Set(lines.flatMap(({ points }) => points.map(([x]) => x)))].toSorted((a, b) =>
    a - b
  );
  const ys = lines.flatMap(({ points }) => points.map(([, y]) => y));
  const lowest = Math.floor(Math.log10(Math.min(...ys)));
  const highest = Math.ceil(Math.log10(Math.max(...ys)));
  const xOf = (x: number) => LEFT + (WIDTH - LEFT - RIGHT) * xs.indexOf(x) / (xs.length - 1);
  const yOf = (y: number) =>
    TOP + (HEIGHT - TOP - BOTTOM) * (highest - Math.log10(y)) / (highest - lowest);
  const text = (x: number, y: number, content: string, rest = "") =>
    `<text x="${x.toFixed(0)}" y="${y.toFixed(0)}" ${rest}>${content}</text>`;

  const grid = Array.from({ length: highest - lowest + 1 }, (_, n) => 10 ** (lowest + n)).map((y) =>
    `<line x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${yOf(y).toFixed(0)}" y2="${
      yOf(y).toFixed(0)
    }" stroke="${INK}" stroke-opacity="0.25"/>` +
    text(LEFT - 8, yOf(y) + 4, y.toLocaleString("en"), `text-anchor="end"`)
  );
  const ticks = xs.map((x) =>
    text(xOf(x), HEIGHT - BOTTOM + 20, x.toLocaleString("en"), `text-anchor="middle"`)
  );
  // Labels of lines that end close together are moved apart.
  let lastLabel = -Infinity;
  const labels = lines.toSorted((a, b) => yOf(a.points.at(-1)![1]) - yOf(b.points.at(-1)![1]))
    .map(({ name, colour, points }) => {
      const [x, y] = points.at(-1)!;
      lastLabel = Math.max(yOf(y) + 4, lastLabel + 17);
      return text(xOf(x) + 10, lastLabel, name, `fill="${colour}"`);
    });
  const drawn = lines.map(({ colour, points }) => {
    const places = points.map(([x, y]) => `${xOf(x).toFixed(1)},${yOf(y).toFixed(1)}`);
    return `<polyline points="${
      places.join(" ")
    }" fill="none" stroke="${colour}" stroke-width="2.5"/>` +
      places.map((place) => {
        const [x, y] = place.split(",");
        return `<circle cx="${x}" cy="${y}" r="3.5" fill="${colour}"/>`;
      }).join("");
  });
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" font-family="system-ui, sans-serif" font-size="13" fill="${INK}" role="img" aria-label="${title}">`,
    text(LEFT, 24, title, `font-size="15" font-weight="600"`),
    ...grid,
    ...ticks,
    text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 10, xLabel, `text-anchor="middle"`),
    ...drawn,
    ...labels,
    "</svg>\n",
  ].join("\n");
}
