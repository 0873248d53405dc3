"""Parses the text of /metrics."""

from typing import Any

from prometheus_client.parser import text_string_to_metric_families

Samples = dict[tuple[Any, ...], float]


def read_samples(text: str) -> Samples:
    """Return the value of each sample by its name and label values, which are sorted by label
    name.
    """
    return {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
