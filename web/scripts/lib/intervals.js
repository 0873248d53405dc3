// The intervals of bars, the shortest first.

export const INTERVALS = ["1m", "5m", "15m", "30m", "1h", "4h", "1d", "1w"];

/** Whether a day has several bars of the interval. */
export const isIntraday = (interval) => !/[dw]$/.test(interval);
