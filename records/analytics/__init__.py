"""What analytics computed: snapshots of series, the overview of the latest, markets, sets."""
