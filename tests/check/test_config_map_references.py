"""Test the rules about the ConfigMaps and Secrets that objects name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from fleet.check import references
from fleet.config import load
from fleet.inventory import build
from fleet.inventory.build import ClusterBuild, Repository
from fleet.inventory.built_object import BuiltObject
from fleet.inventory.objects import Objects
from tests.check.support import flux_kustomization
from tests.support import config_map, helm_release, manifest

PATH = "clusters/dev/apps"


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """Return an empty repository."""
    root = tmp_path_factory.mktemp("empty")
    return build.pack(root, root / "copy")


def pod(spec: dict[str, Any]) -> BuiltObject:
    metadata = {"namespace": "apps", "name": "a"}
    manifest = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}
    return BuiltObject(path=PATH, manifest=manifest)


def needing(kind: str, name: str, **more: bool) -> BuiltObject:
    """Return a pod that mounts a ConfigMap or a Secret."""
    field, key = {"ConfigMap": ("configMap", "name"), "Secret": ("secret", "secretName")}[kind]
    return pod({"volumes": [{"name": "v", field: {key: name, **more}}]})


def objects(text: str) -> list[BuiltObject]:
    return [BuiltObject(path=PATH, manifest=found) for found in yaml.safe_load_all(text)]


def missing(repository: Repository, *present: BuiltObject) -> list[str]:
    """Return the ConfigMaps that the objects of a cluster lack."""
    cluster = ClusterBuild(repository=repository, objects=Objects.of(present))
    problems = [finding.problem for finding in references.missing_config_maps(cluster)]
    return [problem.split()[2].rstrip(",") for problem in problems]


@pytest.mark.parametrize(
    "spec",
    [
        {"volumes": [{"name": "v", "configMap": {"name": "b"}}]},
        {"volumes": [{"name": "v", "projected": {"sources": [{"configMap": {"name": "b"}}]}}]},
        {"containers": [{"name": "c", "envFrom": [{"configMapRef": {"name": "b"}}]}]},
        {
            "initContainers": [
                {
                    "name": "c",
                    "env": [{"name": "E", "valueFrom": {"configMapKeyRef": {"name": "b"}}}],
                }
            ]
        },
    ],
)
def test_every_form_of_reference(spec: dict[str, Any], repository: Repository) -> None:
    item = pod(spec)
    assert missing(repository, item) == ["b"]
    assert missing(repository, item, *objects(config_map("b", "other"))) == ["b"]
    assert missing(repository, item, *objects(config_map("b", "apps"))) == []


def test_the_finding_names_a_remedy(repository: Repository) -> None:
    cluster = ClusterBuild(repository=repository, objects=Objects.of([needing("ConfigMap", "b")]))
    (finding,) = references.missing_config_maps(cluster)
    assert str(finding) == (
        f"{PATH}: Pod apps/a: needs ConfigMap b, which this cluster does not have; add it, "
        "correct the name, or say optional: true"
    )


@pytest.mark.parametrize(
    "name", ["kube-root-ca.crt", "openshift-service-ca.crt", "istio-ca-root-cert", "${name}"]
)
def test_what_every_namespace_has(name: str, repository: Repository) -> None:
    assert missing(repository, needing("ConfigMap", name)) == []


def test_an_optional_reference(repository: Repository) -> None:
    assert missing(repository, needing("ConfigMap", "b", optional=True)) == []


@pytest.mark.parametrize(
    "text",
    [
        manifest("trust.cert-manager.io/v1alpha1", "Bundle", "b"),
        manifest(
            "kyverno.io/v1",
            "ClusterPolicy",
            "p",
            "",
            "spec: {rules: [{name: r, generate: {kind: ConfigMap, name: b}}]}\n",
        ),
        manifest(
            "kyverno.io/v1",
            "ClusterPolicy",
            "p",
            "",
            "spec: {rules: [{name: r, generate: {kind: ConfigMap, name: '{{ x }}-b'}}]}\n",
        ),
        manifest("policies.kyverno.io/v1", "GeneratingPolicy", "p"),
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: b\n  namespace: other\n"
        "  annotations: {reflector.v1.k8s.emberstack.com/reflection-auto-enabled: 'true'}\n",
    ],
)
def test_what_a_controller_makes(text: str, repository: Repository) -> None:
    assert missing(repository, needing("ConfigMap", "b"), *objects(text)) == []


def test_a_namespace_that_another_repository_fills(repository: Repository, checkout: Path) -> None:
    """A tenant's repository may bring the ConfigMap."""
    text = flux_kustomization("tenant", "").replace("name: flux-system}", "name: other}")
    item = needing("ConfigMap", "b")
    for namespace, is_known in (("apps", False), ("other", True)):
        found = objects(text.replace("namespace: flux-system", f"namespace: {namespace}"))
        assert missing(repository, item, *found) == (["b"] if is_known else [])
    # From here, Flux may apply to every namespace, so this is only a note.
    assert missing(repository, item, *objects(text)) == []
    cluster = ClusterBuild(repository=repository, objects=Objects.of([item, *objects(text)]))
    assert list(references.lines(references.needed([(load.stack(checkout, "dev"), cluster)]))) == [
        "the clusters need these, which are in no file: ConfigMap apps/b"
    ]
    aimed = objects(f"{text}  targetNamespace: other\n")
    assert missing(repository, item, *aimed) == ["b"]


def test_a_release_that_is_not_rendered(repository: Repository) -> None:
    item = needing("ConfigMap", "b")
    for namespace, found in (("apps", []), ("other", ["b"])):
        release = objects(helm_release("r", namespace, ""))
        assert missing(repository, item, *release) == found


class TestSecrets:
    def named(self, repository: Repository, root: Path, *present: BuiltObject) -> list[str]:
        """Return the note about Secrets."""
        cluster = ClusterBuild(repository=repository, objects=Objects.of(present))
        return list(references.lines(references.needed([(load.stack(root, "dev"), cluster)])))

    def test_they_are_named_and_are_no_finding(
        self, repository: Repository, checkout: Path
    ) -> None:
        item = needing("Secret", "b")
        assert missing(repository, item) == []
        assert self.named(repository, checkout, item, item) == [
            "the clusters need these, which are in no file: Secret apps/b"
        ]

    @pytest.mark.parametrize(
        "text",
        [
            manifest("v1", "Secret", "b", "apps"),
            manifest("bitnami.com/v1alpha1", "SealedSecret", "b", "apps"),
            manifest("external-secrets.io/v1", "ExternalSecret", "b", "apps"),
            manifest(
                "external-secrets.io/v1",
                "ExternalSecret",
                "x",
                "apps",
                "spec: {target: {name: b}}\n",
            ),
            manifest("cert-manager.io/v1", "Certificate", "x", "apps", "spec: {secretName: b}\n"),
            "apiVersion: networking.k8s.io/v1\nkind: Ingress\n"
            "metadata: {name: i, namespace: apps, annotations: {cert-manager.io/issuer: x}}\n"
            "spec: {tls: [{secretName: b}]}\n",
        ],
    )
    def test_that_are_made(self, text: str, repository: Repository, checkout: Path) -> None:
        assert self.named(repository, checkout, needing("Secret", "b"), *objects(text)) == []

    def test_of_other_kinds(self, repository: Repository, checkout: Path) -> None:
        ingress = manifest(
            "networking.k8s.io/v1", "Ingress", "i", "apps", "spec: {tls: [{secretName: tls}]}\n"
        )
        account = manifest(
            "v1", "ServiceAccount", "s", "apps", "imagePullSecrets: [{name: pull}]\n"
        )
        found = [*objects(ingress), *objects(account)]
        (line,) = self.named(repository, checkout, *found)
        assert line.endswith(": Secret apps/pull, Secret apps/tls")

    def test_that_the_program_makes(self, repository: Repository, checkout: Path) -> None:
        text = manifest(
            "source.toolkit.fluxcd.io/v1",
            "GitRepository",
            "flux-system",
            "flux-system",
            "spec: {secretRef: {name: flux-system}}\n",
        )
        (source,) = objects(text)
        own = BuiltObject(path="clusters/dev", manifest=source.manifest)
        assert self.named(repository, checkout, own) == []
        assert len(self.named(repository, checkout, source)) == 1
