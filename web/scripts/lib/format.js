// Values as people read them. Bars are labelled in UTC, so all times are shown in UTC, with the
// time in the reader's chosen zone beside it.

import { now } from "./clock.js";
import { isIntraday } from "./intervals.js";
import { writeBeside } from "./zone.js";

const DASH = "–";
const FEW = 100; // of shares or coins
const ISO_DAY = /^(?!0000)\d{4}-\d{2}-\d{2}$/;
const DAY = { year: "numeric", month: "short", day: "numeric", timeZone: "UTC" };
const MINUTE = { ...DAY, hour: "2-digit", minute: "2-digit", hourCycle: "h23" };
// Created at first use: each delays the first paint by some milliseconds.
const dayOf = once(() => new Intl.DateTimeFormat("en-GB", DAY));
const minute = once(() => new Intl.DateTimeFormat("en-GB", MINUTE));
const whole = once(() => new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 }));
const compact = once(
  () => new Intl.NumberFormat("en-US", { notation: "compact", maximumFractionDigits: 1 }),
);
const fixed = new Map(); // by how many digits are behind the point, at least and at most
const relative = once(() => new Intl.RelativeTimeFormat("en", { numeric: "auto" }));

/**
 * The start of a bar: a date for daily and longer intervals, else with the minute. On a page of
 * several markets `market` gives the bar's own.
 */
export function barTime(time, interval, market = null) {
  if (!time) return DASH;
  return isIntraday(interval) ? moment(time, market) : dayOf().format(new Date(time));
}

/** Whether a text is a day of the calendar, written year-month-day. */
export const isDay = (text) =>
  ISO_DAY.test(text ?? "") &&
  !Number.isNaN(Date.parse(text)) &&
  new Date(text).toISOString().startsWith(text); // some browsers read 30 February as a day of March

export const day = (time) => dayOf().format(new Date(time));
export const moment = (time, market = null) =>
  time ? `${minute().format(new Date(time))} UTC${writeBeside(new Date(time), market)}` : DASH;
export const count = (value) => (isNumber(value) ? whole().format(value) : DASH);

/** How much was traded; of parts of a coin four digits tell. */
export const amount = (value) => (value < FEW ? figure(value) : count(value));
/** The same in few letters. */
export const short = (value) =>
  value < FEW ? figure(value) : isNumber(value) ? compact().format(value) : DASH;

/**
 * A price with cents. Below 100 it gets the further digits that it has, as currencies move by
 * 0.0001. A price of pennies gets four significant digits, one of many millions no cents.
 */
export function price(value) {
  if (!isNumber(value)) return DASH;
  const digits = priceDigits(value);
  return findDigits(Math.abs(value) < 1 ? digits : Math.min(2, digits), digits)
    .format(value)
    .replace("-", "−");
}

/** How many digits a price has behind the point at the most. */
export function priceDigits(value) {
  const size = Math.abs(value);
  if (size >= 1e6) return 0;
  if (size >= 1) return size >= 100 ? 2 : size >= 10 ? 3 : 4;
  return size > 0 ? Math.min(12, Math.max(4, 3 - Math.floor(Math.log10(size)))) : 2;
}

/** A share as a percentage with its sign: 0.0312 is "+3.12 %". */
export function change(value) {
  if (!isNumber(value)) return DASH;
  const text = Math.abs(value * 100).toFixed(2);
  const sign = Number(text) === 0 ? "" : value > 0 ? "+" : "−";
  return `${sign}${text} %`;
}

/** Four significant digits. */
export function figure(value) {
  if (!isNumber(value)) return DASH;
  return Number(value.toPrecision(4))
    .toLocaleString("en-US", { maximumSignificantDigits: 4 })
    .replace("-", "−");
}

/** A grade as a whole number, rounded down: 74.96 is below 75 and must not look like 75. */
export const grade = (value) => (isNumber(value) ? whole().format(Math.floor(value)) : DASH);

/**
 * A confidence as a percentage, rounded down: a value below a limit must not look like the limit.
 */
export const confidence = (value) =>
  isNumber(value) ? `${Math.floor(100 * value + 1e-9)} %` : DASH;

/**
 * What a grade means: it is 25 times the powers of ten in "one bar in N". N is rounded down too.
 */
export function frequency(value) {
  if (!isNumber(value)) return DASH;
  if (value >= 100) return "at most one bar in 10,000";
  const bars = Math.pow(10, value / 25) + 1e-9;
  const unit = Math.pow(10, Math.floor(Math.log10(bars)) - (bars < 10 ? 0 : 1));
  return `about one bar in ${whole().format(Math.floor(bars / unit) * unit)}`;
}

export function duration(seconds) {
  if (!isNumber(seconds)) return DASH;
  if (seconds < 1) return `${Math.max(1, Math.round(seconds * 1000))} ms`;
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  const rounded = Math.round(seconds);
  if (rounded < 60) return `${rounded} s`;
  if (rounded < 3600) return `${Math.floor(rounded / 60)} min ${rounded % 60} s`;
  const minutes = Math.round(seconds / 60);
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

/** How long ago, or until when: "3 minutes ago", "in 2 hours". */
export function ago(time) {
  if (!time) return DASH;
  const seconds = (new Date(time).getTime() - now()) / 1000;
  const units = [
    ["day", 86400],
    ["hour", 3600],
    ["minute", 60],
  ];
  const found = units.find(([, size]) => Math.abs(seconds) >= size);
  if (!found) return seconds <= 0 ? "just now" : "in a moment";
  return relative().format(Math.round(seconds / found[1]), found[0]);
}

export const plural = (number, one, many = `${one}s`) =>
  `${count(number)} ${number === 1 ? one : many}`;
/** "AAPL, FB and 4 more": at most so many of the names; `total` if there are more than these. */
export const nameSome = (names, most = 5, total = names.length) =>
  names.slice(0, most).join(", ") + (total > most ? ` and ${count(total - most)} more` : "");
export const hash = (text) => (text ? text.replace(/^(sha256:)?(.{12}).*$/, "$2") : DASH);
export const words = (name) => (name ?? "").replaceAll("_", " ");

const isNumber = (value) => typeof value === "number" && Number.isFinite(value);

function findDigits(least, most) {
  const key = `${least} ${most}`;
  if (!fixed.has(key))
    fixed.set(
      key,
      new Intl.NumberFormat("en-US", { minimumFractionDigits: least, maximumFractionDigits: most }),
    );
  return fixed.get(key);
}

function once(make) {
  let made = null;
  return () => (made ??= make());
}
