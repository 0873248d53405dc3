// The scheduler of periodic scans, as the API describes it.

/** What people change of it: its switch, and which watchlists there are, in which versions. */
export const describeChanges = ({ enabled, watchlists }) =>
  JSON.stringify([enabled, watchlists.map(({ name, version }) => [name, version])]);
