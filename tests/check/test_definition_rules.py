"""Test the rules about folders of definitions: charts, and folders without a kustomization."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from fleet.check import flux_rules
from fleet.inventory.built_object import BuiltObject
from fleet.inventory.objects import Objects
from tests.check.support import flux_kustomization
from tests.support import config_map, definition, kustomization, manifest, write


def released(chart: str, source: str = "flux-system") -> BuiltObject:
    """Return a HelmRelease of a chart in a Git repository."""
    reference = f"{{kind: GitRepository, name: {source}}}"
    spec = f"spec: {{chart: {{spec: {{chart: {chart}, sourceRef: {reference}}}}}}}\n"
    text = manifest("helm.toolkit.fluxcd.io/v2", "HelmRelease", "a", "flux-system", spec)
    return BuiltObject(path="clusters/dev/apps", manifest=yaml.safe_load(text))


class TestCharts:
    @pytest.mark.parametrize(
        ("chart", "is_there"),
        [
            ("./charts/a", True),
            ("charts/a", True),
            ("charts/a-1.0.0.tgz", True),
            ("./charts/b", False),
            # A folder alone is no chart.
            ("./charts", False),
            ("a" * 5000, False),
        ],
    )
    def test_in_this_repository(self, chart: str, is_there: bool, tmp_path: Path) -> None:
        write(tmp_path, {"charts/a/Chart.yaml": "name: a\n", "charts/a-1.0.0.tgz": "packed"})
        found = [str(item) for item in flux_rules.missing_charts([released(chart)], tmp_path)]
        line = (
            f"clusters/dev/apps: HelmRelease flux-system/a: chart {chart} is not in this "
            "repository; add it or correct it"
        )
        assert found == ([] if is_there else [line])

    def test_in_another_repository(self, tmp_path: Path) -> None:
        assert list(flux_rules.missing_charts([released("./b", "other")], tmp_path)) == []

    def test_of_a_helm_chart(self, tmp_path: Path) -> None:
        spec = "spec: {chart: ./b, sourceRef: {kind: GitRepository, name: flux-system}}\n"
        api = "source.toolkit.fluxcd.io/v1"
        found = yaml.safe_load(manifest(api, "HelmChart", "a", "flux-system", spec))
        built = BuiltObject(path="apps/a", manifest=found)
        assert len(list(flux_rules.missing_charts([built], tmp_path))) == 1


class TestImplicitMembership:
    def found(self, root: Path, path: str) -> list[str]:
        text = flux_kustomization("a", "", path=path)
        built = BuiltObject(path="clusters/dev/apps", manifest=yaml.safe_load(text))
        return [item.problem for item in flux_rules.implicit_memberships([built], root)]

    @pytest.mark.parametrize("path", ["./apps", "apps", "./apps/"])
    def test_a_folder_of_definitions(self, path: str, tmp_path: Path) -> None:
        """A new definition in this folder would reach the cluster, and no line names it."""
        write(tmp_path, definition("apps/b", config_map("b", "common")))
        write(tmp_path, definition("apps/c", config_map("c", "common")))
        assert self.found(tmp_path, path) == [
            "spec.path apps has no kustomization.yaml, so Flux applies whatever is below it "
            "(b, c); add one that names each folder"
        ]
        write(tmp_path, {"apps/kustomization.yaml": kustomization("b", "c")})
        assert self.found(tmp_path, path) == []

    def test_a_definition_of_plain_files(self, tmp_path: Path) -> None:
        write(tmp_path, {"apps/b/more/resource.yaml": config_map("b", "common")})
        assert self.found(tmp_path, "./apps/b") == []

    @pytest.mark.parametrize("path", ["./nothing", "a" * 5000])
    def test_no_folder(self, path: str, tmp_path: Path) -> None:
        assert self.found(tmp_path, path) == []


@pytest.mark.parametrize(
    ("api", "kind", "key", "named"),
    [
        ("notification.toolkit.fluxcd.io/v1beta3", "Alert", "providerRef", "Provider"),
        ("image.toolkit.fluxcd.io/v1", "ImagePolicy", "imageRepositoryRef", "ImageRepository"),
    ],
)
def test_references_that_name_no_kind(api: str, kind: str, key: str, named: str) -> None:
    text = manifest(api, kind, "a", "apps", f"spec: {{{key}: {{name: b}}}}\n")
    built = BuiltObject(path="apps/a", manifest=yaml.safe_load(text))
    (found,) = flux_rules.missing_sources(Objects.of([built]), [built])
    assert found.problem.startswith(f"{key} names {named} b, which this cluster does not have")
    other = yaml.safe_load(manifest(api, named, "b", "apps"))
    both = Objects.of([built, BuiltObject(path="", manifest=other)])
    assert list(flux_rules.missing_sources(both, both)) == []
