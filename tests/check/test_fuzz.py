"""Look for content of a repository that ends the check, or that makes it write outside its copy."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from fleet.check import cluster_rules
from fleet.check.scopes import Scopes
from fleet.config import load
from fleet.config.models import Stack
from fleet.errors import CommandError
from fleet.inventory import build, variables
from fleet.inventory.build import ClusterBuild, Repository
from fleet.inventory.built_object import BuiltObject
from fleet.inventory.finding import Finding
from fleet.inventory.objects import Objects
from fleet.kube import artifact, flux_build, substitution
from fleet.kube.artifact import ArtifactFolder
from fleet.kube.references import ReferenceProblem
from fleet.kube.substitution import Values
from fleet.render import flux_paths
from tests.support import FILES, config_map, kustomization, write

pytestmark = pytest.mark.slow

KEYS = (
    "resources", "bases", "components", "crds", "configurations", "generators", "transformers",
    "validators", "patches", "patchesStrategicMerge", "patchesJson6902", "replacements",
    "configMapGenerator", "secretGenerator", "openapi", "path", "files", "envs", "literals",
    "name", "target", "kind", "patch", "namespace", "images", "buildMetadata", "helmCharts",
)  # fmt: skip
TEXTS = (
    "a.yaml", ".", "..", "../..", "../b", "/tmp", "../../../outside", "link", "https://192.0.2.1/a",  # noqa: S108 - only a text
    "git@192.0.2.1:a", "github.com/a/b", "b=a.yaml", "kind: PatchTransformer\npath: /etc/hostname",
    "ConfigMap", "", "\0", "\x85", "a" * 300,
)  # fmt: skip
SPEC = (
    "path", "sourceRef", "dependsOn", "targetNamespace", "postBuild", "substitute", "kind", "name",
    "substituteFrom", "valuesFrom", "chart", "chartRef", "spec", "namespace", "install",
    "createNamespace", "namePrefix", "patches", "images", "components", "decryption",
)  # fmt: skip

texts = st.sampled_from(TEXTS) | st.text(max_size=8)
values = st.none() | st.booleans() | st.integers() | texts


def structures(keys: tuple[str, ...]) -> st.SearchStrategy[Any]:
    """Return a strategy of structures whose keys are mostly some of `keys`, in any case."""
    names = st.sampled_from([*keys, *(key.upper() for key in keys)]) | texts
    return st.recursive(
        values,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=4),
        max_leaves=8,
    )


def mappings(keys: tuple[str, ...]) -> st.SearchStrategy[dict[str, Any]]:
    """Return a strategy of mappings with some of `keys`."""
    inner = structures(keys)
    lists = st.lists(inner, max_size=3)
    return st.dictionaries(st.sampled_from(keys) | texts, inner | lists, max_size=5)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a repository, its copy, and a file outside both."""
    place = tmp_path_factory.mktemp("fuzz").resolve()
    write(place, {"outside/a.yaml": config_map("a", ""), "root/apps/a/a.yaml": "kind: A\n"})
    write(place, {"root/apps/b/kustomization.yaml": kustomization("../a/a.yaml")})
    (place / "root/apps/a/link").symlink_to(place / "outside")
    artifact.pack(place / "root", place / "copy")
    return place


@settings(max_examples=100, deadline=None)
@given(
    text=mappings(KEYS).map(yaml.safe_dump) | structures(KEYS).map(yaml.safe_dump) | st.text(),
    spec=mappings(SPEC),
)
def test_a_kustomization(text: str, spec: Mapping[str, Any], place: Path) -> None:
    (place / "copy/apps/a/kustomization.yaml").write_bytes(text.encode(errors="replace"))
    before = file_bytes(place)
    for problem in _problems(place, spec):
        found = Finding(file=problem.file, object=problem.reference, problem=problem.problem)
        assert str(found).isprintable()
    assert file_bytes(place) == before


def file_bytes(place: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in place.rglob("*") if path.is_file()}


def _problems(place: Path, spec: Mapping[str, Any]) -> list[ReferenceProblem]:
    """Return the problems of the folder apps/a, after a build if there are none."""
    folder = ArtifactFolder(
        repository=place / "root", copy=place / "copy", path="apps/a", file="apps/a"
    )
    if problems := flux_build.reference_problems(folder, spec):
        return problems
    try:
        flux_build.build(folder, spec)
    except CommandError as error:
        assert "\n" not in str(error)
    return []


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Stack:
    """Return the stack dev of the small checkout."""
    root = tmp_path_factory.mktemp("checkout")
    write(root, FILES)
    return load.stack(root, "dev")


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """Return an empty repository."""
    root = tmp_path_factory.mktemp("empty")
    return build.pack(root, root / "copy")


@settings(max_examples=200, deadline=None)
@given(
    manifests=st.lists(
        st.fixed_dictionaries(
            {
                "apiVersion": st.sampled_from(["v1", "kustomize.toolkit.fluxcd.io/v1"]) | texts,
                "kind": st.sampled_from(["Kustomization", "HelmRelease", "ConfigMap"]) | texts,
                "metadata": mappings(("name", "namespace", "annotations")) | values,
                "spec": mappings(SPEC) | values,
            }
        ),
        max_size=3,
    )
)
def test_objects(manifests: list[dict[str, Any]], stack: Stack, repository: Repository) -> None:
    """No rule fails, and each path that Flux would apply is one of the repository."""
    objects = Objects.of(BuiltObject(path="apps/a", manifest=found) for found in manifests)
    cluster = ClusterBuild(repository=repository, objects=objects)
    for found in cluster_rules.findings(stack, cluster, {}, Scopes([], Path("/nowhere"))):
        assert str(found).isprintable()
    for built in objects:
        try:
            found_values = substitution.values(
                built.spec, lambda name: variables.data_of(objects, "default", name)
            )
            for some in (found_values, Values(by_name={"a": "1"})):
                assert variables.use_of(built.path, built.spec, built.manifest, some).manifest
        except CommandError as error:
            assert "\n" not in str(error)


@given(texts | st.lists(st.sampled_from(["..", ".", "", "a", "/"])).map("/".join))
def test_a_path_of_flux(path: str) -> None:
    resolved = flux_paths.resolved_path(path)
    assert not resolved.startswith("/")
    assert ".." not in resolved.split("/")
