"""The configuration of Prometheus and Grafana in `deploy/`: it loads, its alerts fire, and it uses
only figures that exist.
"""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.operations.conftest import Service
from tests.processes import ROOT
from tests.scraping import read_samples

PROMETHEUS = ROOT / "deploy" / "prometheus"
GRAFANA = ROOT / "deploy" / "grafana"
DASHBOARD: dict[str, Any] = json.loads((GRAFANA / "dashboards" / "tapewatch.json").read_text())
RULES: list[dict[str, Any]] = yaml.safe_load((PROMETHEUS / "alerts.yml").read_text())["groups"][0][
    "rules"
]
TARGETS = [target for panel in DASHBOARD["panels"] for target in panel.get("targets", [])]
EXPRESSIONS = [rule["expr"] for rule in RULES] + [target["expr"] for target in TARGETS]
SELECTOR = re.compile(r"(tapewatch_\w+)(?:\{([^}]*)\})?")
EQUAL = re.compile(r'(\w+)="([^"]*)"')
SEVERITIES = {"info", "warning", "critical"}


def run_promtool(*arguments: str, folder: Path = PROMETHEUS) -> None:
    promtool = shutil.which("promtool")
    assert promtool, (
        "promtool is missing: it comes with Debian's package prometheus"
        " (apt-get install prometheus)"
    )
    answer = subprocess.run(
        [promtool, *arguments], cwd=folder, capture_output=True, text=True, check=False
    )
    assert answer.returncode == 0, answer.stdout + answer.stderr


def find_anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {
        re.sub(r"[^\w\- ]", "", heading).strip().lower().replace(" ", "-") for heading in headings
    }


@pytest.mark.parametrize("name", ["prometheus.yml", "compose.yml"])
def test_prometheus_accepts_the_configuration(name: str) -> None:
    run_promtool("check", "config", name)


def test_prometheus_accepts_the_configuration_with_a_key(tmp_path: Path) -> None:
    for file in PROMETHEUS.iterdir():
        shutil.copy(file, tmp_path)
    (tmp_path / "tapewatch.key").write_text("tw_key")
    config = tmp_path / "prometheus.yml"
    config.write_text(re.sub(r"# (authorization:|  credentials_file)", r"\1", config.read_text()))
    assert "\n    authorization:\n      credentials_file: tapewatch.key\n" in config.read_text()
    run_promtool("check", "config", "prometheus.yml", folder=tmp_path)


def test_compose_gives_prometheus_its_key(tmp_path: Path) -> None:
    """Runs the script with which the container starts, up to Prometheus itself."""
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]["prometheus"]
    (script,) = compose["command"]
    # Replace the container's own folder first, because the repository may lie below a folder of
    # that name.
    script = script.replace("$$", "$").replace("/tmp/", f"{tmp_path}/")  # noqa: S108
    script = script.replace("/etc/tapewatch", str(PROMETHEUS)).partition("exec")[0] + "true"
    path = os.environ["PATH"]
    subprocess.run(["sh", "-c", script], env={"PATH": path, "PROMETHEUS_KEY": "k_1"}, check=True)
    assert "credentials: k_1" in (tmp_path / "prometheus.yml").read_text()
    run_promtool("check", "config", "prometheus.yml", folder=tmp_path)


@pytest.mark.slow
def test_alerts_fire_when_they_should_and_no_other_fires() -> None:
    run_promtool("test", "rules", "alerts_test.yml")


def test_every_alert_is_tested() -> None:
    tested = set(re.findall(r"Tapewatch\w+", (PROMETHEUS / "alerts_test.yml").read_text()))
    assert tested == {rule["alert"] for rule in RULES}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_every_alert_says_what_happened_and_what_to_do(rule: dict[str, Any]) -> None:
    assert rule["labels"]["severity"] in SEVERITIES
    assert rule["annotations"].keys() == {"summary", "action", "runbook_url"}
    page, _, anchor = rule["annotations"]["runbook_url"].partition("#")
    assert anchor == rule["alert"].lower()
    assert anchor in find_anchors(ROOT / page)


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_every_figure_that_is_queried_is_served_by_the_running_service(
    service: Service, expression: str
) -> None:
    samples = read_samples(service.read("/metrics"))
    asked = SELECTOR.findall(expression)
    assert asked or "up{" in expression
    for name, matchers in asked:
        wanted = set(EQUAL.findall(matchers))
        assert any(sample[0] == name and wanted <= set(sample[1:]) for sample in samples), (
            name,
            matchers,
        )


def test_every_figure_of_the_service_is_on_the_dashboard(service: Service) -> None:
    shown = {name for expression in EXPRESSIONS for name, _ in SELECTOR.findall(expression)}
    offered = {
        sample[0]
        for sample in read_samples(service.read("/metrics"))
        if sample[0].startswith("tapewatch_")
    }
    assert {name for name in offered if not name.endswith(("_sum", "_count", "_created"))} <= shown


def test_the_dashboard_uses_the_provisioned_data_source() -> None:
    (source,) = yaml.safe_load((GRAFANA / "provisioning/datasources/prometheus.yml").read_text())[
        "datasources"
    ]
    (provider,) = yaml.safe_load((GRAFANA / "provisioning/dashboards/tapewatch.yml").read_text())[
        "providers"
    ]
    assert {target["datasource"]["uid"] for target in TARGETS} == {source["uid"]}
    assert provider["type"] == "file"
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(ids) == len(set(ids))
