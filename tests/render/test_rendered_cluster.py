"""The rendering of a cluster, with the real kustomize."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from fleet.config import load
from fleet.kube import kustomize
from fleet.render import commits, definition_build, rendered_cluster, tree
from tests.render.rendered_support import refusals, rendered_tree
from tests.render.support import resources_in
from tests.support import (
    FIXTURES,
    config_map,
    contents,
    definition,
    kustomization,
    manifest,
    namespace,
    stack_file,
    write,
)

# These tests run programs or servers.
pytestmark = pytest.mark.slow

RENDERED = FIXTURES / "rendered"
GENERATED = (
    "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nnamespace: common\n"
    "configMapGenerator: [{name: settings, literals: [a=b]}]\n"
)
USER = manifest(
    "v1",
    "Pod",
    "user",
    "common",
    "spec: {containers: [{name: a, image: a, envFrom: [{configMapRef: {name: settings}}]}]}\n",
)


def nested(name: str, path: str, more: str = "") -> str:
    """Return a Flux Kustomization of this repository; `more` are lines of its spec."""
    spec = (
        f"spec:\n  interval: 5m\n  prune: true\n  path: {path}\n"
        f"  sourceRef: {{kind: GitRepository, name: flux-system}}\n{more}"
    )
    api = "kustomize.toolkit.fluxcd.io/v1"
    return manifest(api, "Kustomization", name, "flux-system", spec)


def test_golden() -> None:
    stack = load.stack(RENDERED, "edge")
    with definition_build.reader(RENDERED) as definitions:
        files = tree.render(stack, None, rendered_cluster.render(definitions, stack))
    expected = contents(RENDERED / stack.path)
    assert files == {f"{stack.path}/{path}": text for path, text in expected.items()}


def test_the_kustomizations_are_those_of_a_referenced_cluster(checkout: Path) -> None:
    """Their names and paths stay, so Flux's inventory does, and nothing is pruned."""
    rendered = rendered_tree(checkout, {}, infrastructure="namespaces/common policies/shared")
    referenced = rendered_tree(
        checkout, {}, definitions="", infrastructure="namespaces/common policies/shared"
    )
    lists = [f"{stage}/kustomization.yaml" for stage in ("infra", "policies", "apps")]
    same = {path: text for path, text in referenced.items() if path not in lists}
    assert same.items() <= rendered.items()
    assert resources_in(rendered["infra/kustomization.yaml"]) == ["namespaces/common.yaml"]
    assert resources_in(rendered["policies/kustomization.yaml"]) == ["policies/shared.yaml"]


def test_entries_are_in_the_order_of_the_stack_file(checkout: Path) -> None:
    files = definition("apps/z", config_map("z", "common"))
    files |= definition("apps/z/b", config_map("b", "common"))
    rendered = rendered_tree(checkout, files, apps="z/b podinfo/overlays/dev z")
    listed = ["z/b.yaml", "podinfo/overlays/dev.yaml", "z.yaml"]
    assert resources_in(rendered["apps/kustomization.yaml"]) == listed
    assert {f"apps/{name}" for name in listed} < set(rendered)


@pytest.mark.usefixtures("no_builds")
def test_a_definition_is_built_once_for_all_clusters(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    builds: list[str] = []
    build = kustomize.build

    def counted(root: Path, path: str, *options: str) -> str:
        builds.append(path)
        return build(root, path, *options)

    monkeypatch.setattr(kustomize, "build", counted)
    for name in ("dev", "prod"):
        text = stack_file(name, apps="podinfo/base", more="  fleet:definitions: rendered\n")
        write(checkout, {f"Pulumi.{name}.yaml": text})
    with definition_build.reader(checkout) as definitions:
        for stack in load.stacks(checkout):
            rendered_cluster.render(definitions, stack)
    assert builds.count("apps/podinfo/base") == 1
    assert len(builds) == 2 + 2 * 4


def test_a_referenced_cluster_needs_no_kustomize(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def build(*_: object) -> str:
        raise AssertionError("built")

    monkeypatch.setattr(kustomize, "build", build)
    assert "apps/podinfo/overlays/dev.yaml" not in rendered_tree(checkout, {}, definitions="")


def test_without_kustomize_one_line_says_so(
    checkout: Path, monkeypatch: pytest.MonkeyPatch, empty_cache: Path
) -> None:
    (empty_cache / "bin").mkdir(parents=True)
    programs = checkout.parent / "programs"
    programs.mkdir()
    (programs / "git").symlink_to(str(shutil.which("git")))
    monkeypatch.setenv("PATH", str(programs))
    (line,) = {text.partition(": ")[2] for text in refusals(checkout, {})}
    assert line == (
        "does not build: kustomize: not found; put it (or kubectl) on PATH or run "
        "`make check-tools`"
    )


def test_a_generated_name_that_its_own_entry_refers_to(checkout: Path) -> None:
    files = {"apps/a/kustomization.yaml": GENERATED + "resources: [user.yaml]\n"}
    files["apps/a/user.yaml"] = USER
    text = rendered_tree(checkout, files, apps="a")["apps/a.yaml"]
    assert text.count("name: settings-") == 2


def test_a_generated_name_that_another_entry_refers_to_is_refused(checkout: Path) -> None:
    files = {"apps/a/kustomization.yaml": GENERATED} | definition("apps/b", USER)
    (line,) = refusals(checkout, files, apps="a b")
    name = "settings-4h2mbtbbt6"
    assert line == (
        "clusters/dev/apps: Pod common/user: spec.containers[0].envFrom[0].configMapRef.name is "
        f"{name} when all entries are built together, the name of ConfigMap common/{name} of "
        "apps/a, and settings when each is built alone, so it cannot be rendered; set "
        "disableNameSuffixHash: true for a generated name, or set fleet:definitions: referenced"
    )
    fixed = GENERATED + "generatorOptions: {disableNameSuffixHash: true}\n"
    files["apps/a/kustomization.yaml"] = fixed
    assert "name: settings\n" in rendered_tree(checkout, files, apps="a b")["apps/b.yaml"]


def test_an_object_of_two_entries_is_refused(checkout: Path) -> None:
    (line,) = refusals(checkout, {}, apps="podinfo/base podinfo/overlays/dev")
    assert line.startswith("clusters/dev/apps: does not build: kustomize: exit 1: ")
    assert "already registered id" in line


def test_all_problems_are_reported_at_once(checkout: Path) -> None:
    files = {"apps/a/kustomization.yaml": kustomization("missing.yaml")}
    files |= {"apps/b/kustomization.yaml": kustomization("https://example.com/b.yaml")}
    lines = refusals(checkout, files, apps="a b")
    assert [line.partition(": ")[0] for line in lines] == [
        "apps/a/kustomization.yaml",
        "apps/b/kustomization.yaml",
    ]


def test_files_outside_the_definitions_are_refused(checkout: Path) -> None:
    """They are not compared with the branch."""
    files = {"shared/a.yaml": config_map("a", "common")}
    files["apps/a/kustomization.yaml"] = kustomization("../../shared/a.yaml")
    assert refusals(checkout, files, apps="a") == [
        "apps/a/kustomization.yaml: resources: ../../shared/a.yaml: is outside apps/ and "
        "infrastructure/, and a rendered cluster is made of these; move it there"
    ]


def test_a_folder_that_is_named_like_the_list_is_refused(checkout: Path) -> None:
    files = definition("apps/kustomization", config_map("a", "common"))
    assert refusals(checkout, files, apps="kustomization") == [
        "Pulumi.dev.yaml: two entries would be rendered to apps/kustomization.yaml; rename one of "
        "the folders"
    ]


def test_a_large_entry_is_listed_object_by_object(checkout: Path) -> None:
    texts = [config_map(name, "common").replace("value", "x" * 500_000) for name in ("a", "b")]
    files = definition("apps/a", "---\n".join(texts))
    rendered = rendered_tree(checkout, files, apps="a")
    listed = ["a/configmap_common_a.yaml", "a/configmap_common_b.yaml"]
    assert resources_in(rendered["apps/kustomization.yaml"]) == listed


def test_variables_are_left_to_flux(checkout: Path) -> None:
    text = config_map("a", "common").replace("value", "'${domain:=example.com} $${x} 8${n}'")
    rendered = rendered_tree(checkout, definition("apps/a", text), apps="a")
    assert "key: ${domain:=example.com} $${x} 8${n}\n" in rendered["apps/a.yaml"]


class TestNested:
    """Flux Kustomizations of this repository in a definition."""

    FOLDER = "apps/kustomizations/flux-system/a"

    def test_it_applies_what_is_rendered_of_its_path(self, checkout: Path) -> None:
        files = definition("apps/a", nested("a", "./apps/b", "  targetNamespace: common\n"))
        files |= definition("apps/b", config_map("b", ""))
        rendered = rendered_tree(checkout, files, apps="a")
        assert f"path: ./clusters/dev/{self.FOLDER}\n" in rendered["apps/a.yaml"]
        assert "targetNamespace: common\n" in rendered["apps/a.yaml"]
        assert resources_in(rendered[f"{self.FOLDER}/kustomization.yaml"]) == ["objects.yaml"]
        assert "name: b\n" in rendered[f"{self.FOLDER}/objects.yaml"]

    def test_a_path_without_a_kustomization(self, checkout: Path) -> None:
        """Flux generates one, with all YAML files below the path."""
        files = definition("apps/a", nested("a", "apps/b/"))
        files |= {"apps/b/x/one.yaml": namespace("one"), "apps/b/two.yml": namespace("two")}
        text = rendered_tree(checkout, files, apps="a")[f"{self.FOLDER}/objects.yaml"]
        assert "name: one\n" in text
        assert "name: two\n" in text

    def test_components_are_rendered_with_the_path(self, checkout: Path) -> None:
        component = (
            "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\n"
            "patches:\n  - target: {kind: ConfigMap}\n"
            """    patch: '[{"op": "add", "path": "/data/c", "value": "d"}]'\n"""
        )
        files = definition("apps/a", nested("a", "./apps/b", "  components: [../c]\n"))
        files |= definition("apps/b", config_map("b", "common"))
        files["apps/c/kustomization.yaml"] = component
        rendered = rendered_tree(checkout, files, apps="a")
        assert "  c: d\n" in rendered[f"{self.FOLDER}/objects.yaml"]
        assert "components" not in rendered["apps/a.yaml"]

    def test_one_inside_another(self, checkout: Path) -> None:
        files = definition("apps/a", nested("a", "./apps/b"))
        files |= definition("apps/b", nested("b", "./apps/c"))
        files |= definition("apps/c", config_map("c", "common"))
        rendered = rendered_tree(checkout, files, apps="a")
        inner = f"{self.FOLDER}/kustomizations/flux-system/b"
        assert f"path: ./clusters/dev/{inner}\n" in rendered[f"{self.FOLDER}/objects.yaml"]
        assert "name: c\n" in rendered[f"{inner}/objects.yaml"]

    def test_one_that_contains_itself(self, checkout: Path) -> None:
        files = definition("apps/a", nested("a", "./apps/a"))
        rendered = rendered_tree(checkout, files, apps="a")
        assert f"path: ./clusters/dev/{self.FOLDER}\n" in rendered[f"{self.FOLDER}/objects.yaml"]

    def test_a_path_that_does_not_exist_is_refused(self, checkout: Path) -> None:
        files = definition("apps/a", nested("a", "./apps/${environment}"))
        assert refusals(checkout, files, apps="a") == [
            "apps/a: Kustomization flux-system/a: spec.path apps/${environment} does not exist "
            "below apps/ or infrastructure/; correct it"
        ]

    def test_a_name_prefix_that_would_be_added_to_another_is_refused(self, checkout: Path) -> None:
        """Flux replaces the prefix of the folder's own kustomization, and not that of its text."""
        files = definition("apps/a", nested("a", "./apps/b", "  namePrefix: outer-\n"))
        files |= definition("apps/b", config_map("b", "common"))
        files["apps/b/kustomization.yaml"] += "namePrefix: inner-\n"
        lines = refusals(checkout, files, apps="a")
        assert len(lines) == 2
        assert all("apps/b: ConfigMap common/outer-" in line for line in lines)

    def test_one_of_another_repository_stays_as_it_is(self, checkout: Path) -> None:
        text = nested("a", "./deploy").replace("name: flux-system}", "name: other}")
        rendered = rendered_tree(checkout, definition("apps/a", text), apps="a")
        assert "path: ./deploy\n" in rendered["apps/a.yaml"]

    def test_what_it_applies_is_committed_before_it(self, checkout: Path) -> None:
        files = definition("apps/a", nested("a", "./apps/b"))
        files |= definition("apps/b", config_map("b", "common"))
        paths = [f"clusters/dev/{path}" for path in rendered_tree(checkout, files, apps="a")]
        stack = load.stack(checkout, "dev")
        waves = [*map(set, commits.path_waves(stack, paths))]
        order = [
            f"{self.FOLDER}/objects.yaml",
            "apps/a.yaml",
            "apps/kustomization.yaml",
            "apps.yaml",
            "kustomization.yaml",
        ]
        numbers = [
            number
            for path in order
            for number, wave in enumerate(waves)
            if f"clusters/dev/{path}" in wave
        ]
        assert numbers == [0, 1, 2, 3, 4]
