// How tickers move together: the matrix as a heat map, similar tickers side by side, clusters
// framed.

import { get } from "../../lib/api.js";
import { el, fill, svg } from "../../lib/dom.js";
import { barTime, plural } from "../../lib/format.js";
import { pollRun } from "../../lib/live.js";
import { buildEmpty, buildSection } from "../../parts/states.js";

const MOST = 40;
const TRIES = 3;
const NAME = 64;
const [SMALLEST, LARGEST, SIDE] = [18, 40, 620];

export function buildCorrelations(market, interval, signal) {
  const load = async () => {
    const asked = () => get("/analysis/correlation", { market, interval, limit: MOST }, signal);
    let found = await asked();
    // If new bars come in meanwhile, the computed matrix is no longer of the present bars: ask
    // again then.
    for (let tries = 0; !found.matrix && found.run_id && tries < TRIES; tries += 1) {
      await pollRun(found.run_id, () => {}, signal);
      found = await asked();
    }
    return found;
  };
  const section = buildSection(load, (data) => drawCorrelations(data, interval), signal, 6);
  section.show();
  return el(
    "section.card",
    { "aria-label": "Correlations" },
    el("header", el("h2", "What moves together")),
    section.node,
  );
}

function drawCorrelations({ tickers, matrix, order, clusters, as_of: asOf, missing }, interval) {
  if (!matrix) {
    const text =
      missing.correlation_matrix?.reason === "too_few_tickers"
        ? "A market of fewer than two computed tickers has no correlations."
        : "They are computed when somebody with a key that may enqueue asks for them.";
    return buildEmpty("No correlations yet", text);
  }
  const size = tickers.length;
  const cell = Math.max(SMALLEST, Math.min(LARGEST, Math.floor(SIDE / size)));
  const told = el("p.muted.number", { "aria-live": "polite" }, "Point at a cell to read it.");
  const side = NAME + size * cell;
  const cells = order.flatMap((row, y) =>
    order.map((column, x) => {
      const rho = matrix[row][column];
      return svg("rect.cell", {
        x: NAME + x * cell,
        y: NAME + y * cell,
        width: cell - 1,
        height: cell - 1,
        vars: { "--rho": Math.abs(rho ?? 0).toFixed(3) },
        data: {
          sign: rho === null ? "none" : rho < 0 ? "minus" : "plus",
          pair: `${row},${column}`,
        },
      });
    }),
  );
  const names = order.map((n, place) => [
    svg(
      "text",
      { x: NAME - 6, y: NAME + place * cell + cell * 0.68, "text-anchor": "end" },
      tickers[n],
    ),
    svg(
      "text",
      {
        x: 0,
        y: 0,
        transform: `translate(${NAME + place * cell + cell * 0.62} ${NAME - 6}) rotate(-90)`,
      },
      tickers[n],
    ),
  ]);
  const picture = svg(
    "svg.heat",
    {
      viewBox: `0 0 ${side} ${side}`,
      width: side,
      height: side,
      role: "img",
      "aria-label":
        `Correlations of ${plural(size, "ticker")}; ` +
        `${describeClusters(tickers, order, clusters)}`,
    },
    cells,
    names,
    frameClusters(order, clusters, cell),
  );
  const tell = ({ target }) => {
    if (!target.dataset.pair) return;
    const [row, column] = target.dataset.pair.split(",").map(Number);
    const rho = matrix[row][column];
    fill(
      told,
      `${tickers[row]} and ${tickers[column]}: ` +
        `${rho === null ? "too few common bars" : rho.toFixed(2).replace("-", "−")}`,
    );
  };
  picture.addEventListener("pointerover", tell);
  picture.addEventListener("click", tell);
  return el(
    "div.market-body.stack.tight",
    el(
      "p.muted",
      `Returns of the last 60 bars up to ${barTime(asOf, interval)}, of the ${count(size)} ` +
        `most traded tickers.`,
    ),
    el(
      "div.scroll",
      { tabindex: 0, role: "region", "aria-label": "Heat map of correlations" },
      picture,
    ),
    told,
    el("p", describeClusters(tickers, order, clusters)),
  );
}

const count = (size) => (size === 1 ? "one" : size);

/** Squares around the neighbours of one cluster. */
function frameClusters(order, clusters, cell) {
  return listClusters(order, clusters)
    .filter(({ members }) => members.length > 1)
    .map(({ first, members }) =>
      svg("rect.frame", {
        x: NAME + first * cell - 1,
        y: NAME + first * cell - 1,
        width: members.length * cell + 1,
        height: members.length * cell + 1,
      }),
    );
}

function listClusters(order, clusters) {
  const found = [];
  order.forEach((ticker, place) => {
    const last = found.at(-1);
    if (last && last.cluster === clusters[ticker]) last.members.push(ticker);
    else found.push({ cluster: clusters[ticker], first: place, members: [ticker] });
  });
  return found;
}

function describeClusters(tickers, order, clusters) {
  const groups = listClusters(order, clusters).filter(({ members }) => members.length > 1);
  if (groups.length === 0)
    return "No cluster: no group of them is correlated by .755 or more on average.";
  const names = groups.map(({ members }) => members.map((n) => tickers[n]).join(", "));
  return `Clusters: ${names.join("; ")}.`;
}
