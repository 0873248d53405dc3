// The scheduler of periodic scans, as the API describes it.

/** What people can change: the switch, and the watchlists with their versions. */
export const describeChanges = ({ enabled, watchlists }) =>
  JSON.stringify([enabled, watchlists.map(({ name, version }) => [name, version])]);
