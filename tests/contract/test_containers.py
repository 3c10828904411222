"""Dockerfile and compose.yaml, checked without Docker: rules here, the steps in tests/e2e."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import yaml

from oracle.server.settings import ENVIRONMENT_PREFIX, Settings

ROOT = Path(__file__).parents[2]
#: Read by other parts than the service.
OTHERS = {"ORACLE_MODELS"}


def instructions() -> list[str]:
    text = re.sub(r"^#.*\n", "", (ROOT / "Dockerfile").read_text(), flags=re.M)
    return [line for line in text.replace("\\\n", " ").splitlines() if line.strip()]


def bases() -> set[str]:
    """Images that are not made here."""
    made = [line.split() for line in instructions() if line.startswith("FROM")]
    return {image for _, image, *_ in made} - {name for *_, name in made}


def compose() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
    return loaded


def test_every_image_has_a_slim_base_that_the_package_supports() -> None:
    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"]
    assert wanted.startswith(">=3.11")
    assert {image.partition("@")[0] for image in bases()} == {"python:3.12-slim"}


def test_every_image_is_taken_by_its_digest() -> None:
    images = {*bases(), compose()["services"]["database"]["image"]}
    assert len(images) == 2
    for image in images:
        assert re.fullmatch(r"[a-z]+:[\w.-]+@sha256:[0-9a-f]{64}", image), image


def test_the_service_runs_as_nobody_special_and_says_how_it_is() -> None:
    lines = instructions()
    assert lines[-1] == 'CMD ["serve"]'
    assert 'ENTRYPOINT ["oracle"]' in lines
    assert "USER 10001" in lines
    assert any(line.startswith("HEALTHCHECK") and "/readyz" in line for line in lines)


def test_what_is_copied_exists_and_is_not_ignored() -> None:
    ignore = (ROOT / ".dockerignore").read_text().split()
    for line in instructions():
        if line.startswith("COPY") and "--from" not in line:
            for source in line.split()[1:-1]:
                assert (ROOT / source).exists(), source
                assert f"!{source.split('/')[0]}" in ignore, source


def test_what_is_installed_is_locked_by_hash() -> None:
    for line in instructions():
        for install in re.findall(r"pip install [^&]*", line):
            assert "--require-hashes" in install or "--no-deps" in install, install


def test_the_services_lock_has_no_tensorflow() -> None:
    assert "tensorflow" not in (ROOT / "locks/serve.txt").read_text()


def test_what_training_adds_changes_nothing_of_the_service() -> None:
    """The train image installs locks/dev.txt over locks/serve.txt."""

    def pins(name: str) -> dict[str, str]:
        text = (ROOT / "locks" / name).read_text()
        return dict(re.findall(r"^([a-z0-9.-]+)(?:\[[a-z,]+\])?==([^ ;\\]+)", text, re.M))

    added, served = pins("dev.txt"), pins("serve.txt")
    assert len(served) > 30
    assert {name: added.get(name) for name in served} == served
    assert "tensorflow" in added


def test_variables_are_settings() -> None:
    known = {ENVIRONMENT_PREFIX + name.upper() for name in Settings.model_fields} | OTHERS
    used = set(re.findall(r"\bORACLE_[A-Z_]+", "\n".join(instructions())))
    used |= set(compose()["services"]["oracle"]["environment"])
    assert used <= known


def test_compose_takes_no_default_secret_and_publishes_to_this_machine_only() -> None:
    services = compose()["services"]
    assert services["oracle"]["ports"] == ["127.0.0.1:8000:8000"]
    assert services["oracle"]["read_only"] is True
    assert "ports" not in services["database"]
    for service in services.values():
        for name, value in service["environment"].items():
            if "PASSWORD" in name or "KEYS" in name:
                assert ":?" in value


def manifests() -> dict[str, dict[str, Any]]:
    """What kubernetes.yaml declares, by kind."""
    return {one["kind"]: one for one in yaml.safe_load_all((ROOT / "kubernetes.yaml").read_text())}


def test_kubernetes_runs_replicas_without_privilege_and_with_limits() -> None:
    spec = manifests()["Deployment"]["spec"]
    pod = spec["template"]["spec"]
    (container,) = pod["containers"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert f"USER {pod['securityContext']['runAsUser']}" in instructions()
    assert pod["automountServiceAccountToken"] is False
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert container["resources"].keys() == {"requests", "limits"}
    assert {mount["name"] for mount in container["volumeMounts"]} == {
        volume["name"] for volume in pod["volumes"]
    }
    assert {mount["mountPath"] for mount in container["volumeMounts"]} == {"/data", "/tmp"}
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"].get("version")
    assert version is None or container["image"].endswith(f":{version}")


def test_kubernetes_asks_the_documented_probes_and_loses_no_request_when_it_rolls() -> None:
    found = manifests()
    spec = found["Deployment"]["spec"]
    pod = spec["template"]["spec"]
    (container,) = pod["containers"]
    probes = {name: container[f"{name}Probe"]["httpGet"] for name in ("readiness", "liveness")}
    assert {name: probe["path"] for name, probe in probes.items()} == {
        "readiness": "/readyz",
        "liveness": "/healthz",  # a database that is away must not restart the replicas
    }
    assert container["startupProbe"]["httpGet"]["path"] == "/healthz"
    assert f"EXPOSE {container['ports'][0]['containerPort']}" in instructions()
    assert spec["strategy"]["rollingUpdate"]["maxUnavailable"] == 0
    pause = container["lifecycle"]["preStop"]["sleep"]["seconds"]
    ends = Settings.model_fields["shutdown_timeout_s"].default
    assert pod["terminationGracePeriodSeconds"] > pause + ends
    # Everything finds everything by one label.
    labels = {"app.kubernetes.io/name": "som-oracle"}
    assert spec["template"]["metadata"]["labels"] == spec["selector"]["matchLabels"] == labels
    assert found["Service"]["spec"]["selector"] == labels
    budget = found["PodDisruptionBudget"]["spec"]
    assert budget["selector"]["matchLabels"] == labels
    assert budget["minAvailable"] < spec["replicas"]


def test_kubernetes_takes_settings_and_every_secret_from_a_secret() -> None:
    (container,) = manifests()["Deployment"]["spec"]["template"]["spec"]["containers"]
    known = {ENVIRONMENT_PREFIX + name.upper() for name in Settings.model_fields} | OTHERS
    for variable in container["env"]:
        assert variable["name"] in known
        assert variable.keys() == {"name", "valueFrom"}
