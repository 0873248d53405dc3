import pytest

from core.errors import BadInput
from detection.models.plan import TrainingPlan
from detection.models.training import propose_version
from detection.models.versions import ModelVersion
from market.markets import SHIPPED, is_market_code


@pytest.mark.parametrize(
    ("change", "expected"),
    [("patch", "US_model-1.2.4"), ("minor", "US_model-1.3.0"), ("major", "US_model-2.0.0")],
)
def test_bump_follows_semantic_versioning(change: str, expected: str) -> None:
    assert str(ModelVersion.parse("US_model-1.2.3").bump(change)) == expected


def test_versions_are_ordered_by_number_not_by_letter() -> None:
    versions = [
        ModelVersion.parse(f"US_model-{number}")
        for number in ("0.10.0", "0.9.9", "1.0.0", "0.9.10")
    ]
    assert [str(v) for v in sorted(versions)] == [
        "US_model-0.9.9",
        "US_model-0.9.10",
        "US_model-0.10.0",
        "US_model-1.0.0",
    ]


@pytest.mark.parametrize(
    "text", ["", "US", "US_model-1.2", "us_model-1.2.3", "US_model-1.2.3 ", "../US_model-1.2.3"]
)
def test_an_invalid_version_is_refused_by_name(text: str) -> None:
    with pytest.raises(BadInput, match=r"US_model-0\.1\.0"):
        ModelVersion.parse(text)


@pytest.mark.parametrize("code", ["US", "CRYPTO", "A50", "STOXX600"])
def test_the_version_of_every_market_that_can_be_added_is_read(code: str) -> None:
    assert is_market_code(code)
    version = ModelVersion.first(code)
    assert ModelVersion.parse(str(version)) == version


def record(
    version: str, *, feature_set: str = "market14/1", **parameters: object
) -> dict[str, object]:
    return {
        "_id": version,
        "feature_set": feature_set,
        "parameters": (
            {
                "detector": "isolation_forest",
                "interval": "1d",
                "trees": 100,
                "sample": 512,
                "seed": 7,
                "threshold": {"kind": "contamination", "value": 0.01},
            }
            | parameters
        ),
    }


@pytest.mark.parametrize(
    ("lineage", "expected"),
    [
        ([], "US_model-0.1.0"),
        ([record("US_model-0.1.0")], "US_model-0.1.1"),
        ([record("US_model-0.1.0", trees=50)], "US_model-0.2.0"),
        ([record("US_model-0.1.0", threshold={"kind": "grade", "value": 75.0})], "US_model-0.2.0"),
        ([record("US_model-0.9.3", feature_set="market8/1")], "US_model-1.0.0"),
        ([record("US_model-0.10.0"), record("US_model-0.9.0", trees=50)], "US_model-0.10.1"),
    ],
)
def test_next_version_says_what_changed_since_the_latest(
    lineage: list[dict[str, object]], expected: str
) -> None:
    plan = TrainingPlan.from_options("US", markets=SHIPPED, options={"feature_set": "market14/1"})
    version, _ = propose_version(lineage, plan)
    assert str(version) == expected


def test_models_of_another_interval_do_not_say_what_changed() -> None:
    days = TrainingPlan.from_options("US", markets=SHIPPED, options={})
    minutes = TrainingPlan.from_options("US", markets=SHIPPED, interval="5m", options={})
    lineage = [
        {
            "_id": version,
            "feature_set": plan.feature_set.label,
            "parameters": plan.describe_parameters(),
        }
        for version, plan in (("US_model-0.1.0", days), ("US_model-0.2.0", minutes))
    ]
    assert [str(propose_version(lineage[:1], plan)[0]) for plan in (days, minutes)] == [
        "US_model-0.1.1",
        "US_model-0.2.0",
    ]
    assert str(propose_version(lineage, days)[0]) == "US_model-0.2.1"
