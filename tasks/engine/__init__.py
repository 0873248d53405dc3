"""How a run is accepted, split, done in batches, recovered and finished."""
