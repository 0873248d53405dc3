// The time zone shown beside UTC: none, this computer's, or the exchange's. The choice is stored in
// the browser.

const SLOT = "tapewatch.zone";
const FORMAT = { hour: "2-digit", minute: "2-digit", hourCycle: "h23" };
const DAY = { day: "numeric", month: "short" };
export const CHOICES = [
  ["utc", "UTC"],
  ["local", "and local"],
  ["exchange", "and exchange"],
];

const formats = new Map();
const zones = new Map(); // IANA names by the code of a market
let exchange = null; // of the market, where the page is about one

export function readChoice() {
  const chosen = localStorage.getItem(SLOT);
  return CHOICES.some(([name]) => name === chosen) ? chosen : "utc";
}

/** Store a choice; listeners of `zonechange` redraw the page. */
export function choose(chosen) {
  localStorage.setItem(SLOT, chosen);
  document.dispatchEvent(new Event("zonechange"));
}

/** Set the zone of this page's exchange; null on a page about several. */
export function setExchange(zone) {
  exchange = zone;
}

/** Store the zones of markets, as the API lists them. */
export function learnZones(markets) {
  for (const { code, timezone } of markets) zones.set(code, timezone);
}

/**
 * " (16:30 in New York)", the suffix of a time in UTC, for a market or for the page's; "" if none
 * is to be shown.
 */
export function writeBeside(date, market = null) {
  const choice = readChoice();
  if (choice === "local") return ` (${write(date, undefined)} local)`;
  const zone = zones.get(market) ?? exchange;
  if (choice !== "exchange" || !zone) return "";
  return ` (${write(date, zone)} in ${zone.split("/").at(-1).replaceAll("_", " ")})`;
}

/** The time, with the day if it differs from the day in UTC. */
function write(date, timeZone) {
  const [time, day] = findFormats(timeZone);
  const [, utc] = findFormats("UTC");
  const text = time.format(date);
  return day.format(date) === utc.format(date) ? text : `${day.format(date)}, ${text}`;
}

function findFormats(timeZone) {
  if (!formats.has(timeZone)) {
    const build = (fields) => new Intl.DateTimeFormat("en-GB", { ...fields, timeZone });
    formats.set(timeZone, [build(FORMAT), build(DAY)]);
  }
  return formats.get(timeZone);
}
