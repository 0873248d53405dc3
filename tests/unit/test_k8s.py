"""The manifests are valid for Kubernetes, and start what docker-compose.yml starts."""

import shlex
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

ROOT = Path(__file__).parent.parent.parent
FOLDER = ROOT / "deploy" / "k8s"
MANIFESTS = [
    manifest
    for path in sorted(FOLDER.glob("*.yaml"))
    for manifest in yaml.safe_load_all(path.read_text())
    if path.name != "kustomization.yaml"
]
NATIVE = [manifest for manifest in MANIFESTS if manifest["apiVersion"] != "keda.sh/v1alpha1"]
DEPLOYMENTS = {
    m["metadata"]["name"]: m["spec"]["template"]["spec"]
    for m in MANIFESTS
    if m["kind"] == "Deployment"
}
SERVICES = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
# Beat's folder in Compose, and that of its pod, which keeps nothing.
BEAT_FOLDERS = ("/var/lib/tapewatch/beat", "/tmp")  # noqa: S108 - the pod has its /tmp to itself
SERVICE_OF = {
    "api": "api",
    "worker": "worker",
    "control": "worker-control",
    "feed": "feed",
    "beat": "beat",
}


@pytest.mark.parametrize("manifest", NATIVE, ids=lambda m: f"{m['kind']} {m['metadata']['name']}")
def test_kubernetes_knows_every_field(manifest: dict[str, Any]) -> None:
    kubernetes_validate.validate(manifest, "1.31", strict=True)


def test_every_file_is_applied_or_named_as_optional() -> None:
    listed = (FOLDER / "kustomization.yaml").read_text()
    for path in FOLDER.glob("*.yaml"):
        assert path.name in listed or path.name == "kustomization.yaml"


@pytest.mark.parametrize("name", [name for name in SERVICE_OF if name != "beat"])
def test_pods_run_the_commands_of_the_compose_services(name: str) -> None:
    (container,) = DEPLOYMENTS[name]["containers"]
    assert container["command"] == shlex.split(SERVICES[SERVICE_OF[name]]["command"])


@pytest.mark.parametrize("name", ["worker", "control", "feed", "beat"])
def test_pods_have_the_health_checks_of_the_compose_services(name: str) -> None:
    (container,) = DEPLOYMENTS[name]["containers"]
    check = SERVICES[SERVICE_OF[name]]["healthcheck"]["test"].replace("$$", "$")
    assert container["livenessProbe"]["exec"]["command"] == [
        "sh",
        "-c",
        check.replace(*BEAT_FOLDERS),
    ]


def test_beat_runs_as_in_compose_except_for_its_folder() -> None:
    (container,) = DEPLOYMENTS["beat"]["containers"]
    assert container["command"] == shlex.split(SERVICES["beat"]["command"].replace(*BEAT_FOLDERS))


def test_the_readiness_of_the_api_is_the_route_that_compose_checks() -> None:
    (container,) = DEPLOYMENTS["api"]["containers"]
    assert container["readinessProbe"]["httpGet"]["path"] in SERVICES["api"]["healthcheck"]["test"]
    # A restart would not create a key.
    assert container["livenessProbe"]["httpGet"]["path"] == "/healthz"


@pytest.mark.parametrize("name", DEPLOYMENTS)
def test_pods_are_probed_limited_and_without_rights(name: str) -> None:
    pod = DEPLOYMENTS[name]
    (container,) = pod["containers"]
    assert container["livenessProbe"]
    for each in (container, *pod.get("initContainers", [])):
        assert each["resources"]["limits"]["memory"]
        assert each["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    assert all("emptyDir" in volumes[mount["name"]] for mount in container["volumeMounts"])
    assert BEAT_FOLDERS[1] in {mount["mountPath"] for mount in container["volumeMounts"]}
    assert pod["securityContext"] == {
        "runAsNonRoot": True,
        "runAsUser": 10001,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    assert "useradd --uid 10001" in (ROOT / "Dockerfile").read_text()


@pytest.mark.parametrize("name", ["worker", "control"])
def test_workers_have_as_much_time_to_end_as_in_compose(name: str) -> None:
    seconds = DEPLOYMENTS[name]["terminationGracePeriodSeconds"]
    assert f"{seconds}s" == SERVICES[SERVICE_OF[name]]["stop_grace_period"]


def test_workers_are_scaled_by_the_work_that_waits() -> None:
    (scaled,) = [manifest for manifest in MANIFESTS if manifest["kind"] == "ScaledObject"]
    assert scaled["spec"]["scaleTargetRef"]["name"] in DEPLOYMENTS
    (trigger,) = scaled["spec"]["triggers"]
    assert trigger["metadata"]["query"] == 'max(tapewatch_batches{state="pending"})'


@pytest.mark.parametrize("name", ["api", "worker"])
def test_pods_that_compute_start_with_the_kernels_compiled_in_the_image(name: str) -> None:
    folder = "/var/lib/tapewatch/numba"
    assert f"NUMBA_CACHE_DIR={folder}" in (ROOT / "Dockerfile").read_text()
    (container,), (first,) = DEPLOYMENTS[name]["containers"], DEPLOYMENTS[name]["initContainers"]
    assert first["image"] == container["image"]
    ((_, _, source, target), (mount,)) = first["command"], first["volumeMounts"]
    assert (source, target) == (f"{folder}/.", mount["mountPath"])
    assert {"name": mount["name"], "mountPath": folder} in container["volumeMounts"]
