"""fleet's judgement of random clusters against one plain `kyverno apply` for each cluster."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from fleet import cache, process
from fleet.inventory.build import ClusterBuild
from fleet.policies import judgement, program
from fleet.policies.program import Kyverno
from tests.policies.support import cluster, deployment, namespace, pod
from tests.support import REPOSITORY

pytestmark = pytest.mark.slow

FOLDER = REPOSITORY / "infrastructure/policies/kyverno"
CLUSTERS = 3
OBJECTS = 24
# The namespaces that the shipped policies leave out, and others.
SPACES = ("common", "shop", "kube-system", "flux-system")
Failures = set[tuple[str, str, str, str]]


def shipped() -> Iterator[Mapping[str, Any]]:
    """Yield every shipped policy that needs no registry, as it is in its file."""
    for file in sorted(FOLDER.glob("*/**/*.yaml")):
        for content in yaml.safe_load_all(file.read_text()):
            if content["kind"] == "ValidatingPolicy":
                yield content


def an_object(rng: random.Random, name: str) -> dict[str, Any]:
    """Return a random pod, Deployment, CronJob or Ingress; about half of them violate a policy."""
    space = rng.choice(SPACES)
    if rng.random() < 0.2:
        rules = [{"host": rng.choice(["a.example.com", "*.example.com", "b.example.org"])}]
        metadata = {"name": name, "namespace": space}
        api = {"apiVersion": "networking.k8s.io/v1", "kind": "Ingress"}
        return {**api, "metadata": metadata, "spec": {"rules": rules}}
    container: dict[str, Any] = {
        "name": "a",
        "image": rng.choice(["a", "a:latest", "a:1", f"a@sha256:{'0' * 64}"]),
        "resources": rng.choice(
            [
                {"requests": {"cpu": "1", "memory": "1Mi"}, "limits": {"memory": "1Mi"}},
                {"requests": {"cpu": "1", "memory": "1Mi"}},
                {},
            ]
        ),
    }
    if rng.random() < 0.3:
        container["securityContext"] = {"privileged": rng.random() < 0.5}
    spec: dict[str, Any] = {"containers": [container]}
    if rng.random() < 0.3:
        volume: dict[str, Any] = rng.choice([{"hostPath": {"path": "/"}}, {"emptyDir": {}}])
        spec["volumes"] = [{"name": "v", **volume}]
    kind = rng.choice(["Pod", "Deployment", "CronJob"])
    if kind == "Pod":
        return pod(name, space, **spec)
    found = deployment(name, space, **spec)
    if kind == "CronJob":
        job = {"spec": {"template": found["spec"]["template"]}}
        found["apiVersion"], found["kind"] = "batch/v1", "CronJob"
        found["spec"] = {"schedule": "* * * * *", "jobTemplate": job}
    return found


def plain(kyverno: Kyverno, folder: Path, objects: list[dict[str, Any]]) -> Failures:
    """Return what `kyverno apply` alone says fails, with all policies and all objects."""
    folder.mkdir()
    (folder / "policies.yaml").write_text(yaml.safe_dump_all(shipped()))
    (folder / "objects.yaml").write_text(yaml.safe_dump_all(objects))
    selectors = [{"name": name, "labels": {"kubernetes.io/metadata.name": name}} for name in SPACES]
    values = {
        "apiVersion": "cli.kyverno.io/v1alpha1",
        "kind": "Values",
        "metadata": {"name": "v"},
        "namespaceSelector": selectors,
    }
    (folder / "values.yaml").write_text(yaml.safe_dump(values))
    out = process.run(
        [
            kyverno.path, "apply", "policies.yaml", "--resource", "objects.yaml",
            "--values-file", "values.yaml", "--policy-report", "--output-format", "json",
        ],
        timeout=300,
        accept=(0, 1),
        cwd=folder,
        env={"HOME": str(folder), "HTTPS_PROXY": "http://127.0.0.1:9"},
    )  # fmt: skip
    return {
        (
            result["policy"],
            subject["kind"],
            f"{subject['namespace']}/{subject['name']}",
            result["message"],
        )
        for line in out.splitlines()
        if line.startswith("{")
        for result in json.loads(line)["results"]
        for subject in result["resources"]
        if result["result"] in ("fail", "error")
    }


def of_fleet(clusters: list[ClusterBuild]) -> list[Failures]:
    """Return what fleet says fails in each cluster."""
    return [
        {
            (
                verdict.policy.name,
                verdict.object.kind,
                f"{verdict.object.namespace}/{verdict.object.name}",
                verdict.message,
            )
            for verdict in (*found.refused, *found.reported)
        }
        for found in judgement.judge(clusters, lambda _: None, with_audit=True)
    ]


def test_fleet_says_what_kyverno_says_about_the_whole_cluster(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kyverno = program.find()
    if kyverno is None:
        pytest.skip("kyverno: not found")
    monkeypatch.setattr(cache, "judged", lambda key: tmp_path / "judged" / key)
    rng = random.Random(11)  # noqa: S311 - no secret
    shared = [an_object(rng, f"shared-{number}") for number in range(OBJECTS // 2)]
    own = [
        [an_object(rng, f"own-{number}") for number in range(OBJECTS // 2)] for _ in range(CLUSTERS)
    ]
    spaces = [namespace(name) for name in SPACES]
    clusters = [cluster(tmp_path, *spaces, *shipped(), *shared, *objects) for objects in own]
    expected = [
        {
            (*failure[:3], failure[3].removesuffix("."))
            for failure in plain(kyverno, tmp_path / f"plain-{number}", [*shared, *objects])
        }
        for number, objects in enumerate(own)
    ]
    assert all(len(found) > OBJECTS // 2 for found in expected)
    assert of_fleet(clusters) == expected
    # The second time nothing is asked, and the answers are the same.
    monkeypatch.setattr(Kyverno, "judge", lambda *_: pytest.fail("judged again"))
    assert of_fleet(clusters) == expected
