"""Test the references in a tenant's kustomizations."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from fleet.kube import kustomize
from tests.check.tenant_support import FOLDER, UNCHECKED, Files, found
from tests.support import config_map, kustomization

REMOTE = "is remote, and Flux builds from the repository alone; copy it into the repository"


@pytest.fixture(autouse=True)
def nothing_is_built(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail on a build, which might use the network or read files of others."""

    def build(*_: object) -> None:
        raise AssertionError("built")

    monkeypatch.setattr(kustomize, "build", build)


@pytest.mark.parametrize(
    "base",
    [
        "https://github.com/acme/other//deploy?ref=v1",
        "HTTP://example.com/a.yaml",
        "git@github.com:acme/other",
        "github.com/acme/other?ref=v1",
        "git::https://example.com/a",
        "ssh://git@example.com/acme/other",
        "file:///srv/other",
    ],
)
@pytest.mark.parametrize("key", ["resources", "components", "bases", "Resources"])
def test_a_remote_base(key: str, base: str, checkout: Path) -> None:
    files = {f"{FOLDER}/kustomization.yaml": yaml.safe_dump({key: [base]})}
    assert found(checkout, files) == [
        f"{FOLDER}/kustomization.yaml: {key.lower()}: {base}: {REMOTE}"
    ]


@pytest.mark.parametrize(
    ("content", "reference"),
    [
        ({"patches": [{"path": "https://a.b/c"}]}, "path: https://a.b/c"),
        ({"replacements": [{"path": "https://a.b/c"}]}, "path: https://a.b/c"),
        ({"openapi": {"path": "https://a.b/c"}}, "path: https://a.b/c"),
        ({"crds": ["https://a.b/c"]}, "crds: https://a.b/c"),
        (
            {"configMapGenerator": [{"name": "a", "files": ["b=https://a.b/c"]}]},
            "files: b=https://a.b/c",
        ),
        ({"secretGenerator": [{"name": "a", "env": "https://a.b/c"}]}, "env: https://a.b/c"),
        ({"transformers": ["https://a.b/c"]}, "transformers: https://a.b/c"),
        (
            {"transformers": ["kind: PatchTransformer\npath: https://a.b/c\n"]},
            "transformers: path: https://a.b/c",
        ),
        (
            {"validators": ['{"kind": "SecretGenerator", "Files": ["https://a.b/c"]}']},
            "validators: files: https://a.b/c",
        ),
        (
            {"transformers": ["kind: ValueAddTransformer\ntargetFilePath: https://a.b/c\n"]},
            "transformers: targetfilepath: https://a.b/c",
        ),
        (
            {
                "transformers": [
                    "kind: ReplacementTransformer\nReplacements: [{path: https://a.b/c}]\n"
                ]
            },
            "transformers: path: https://a.b/c",
        ),
        ({"patches": ["https://a.b/c"]}, "patches: https://a.b/c"),
        ({"Replacements": [{"Path": "https://a.b/c"}]}, "path: https://a.b/c"),
        ({"re\u017fources": ["https://a.b/c"]}, "resources: https://a.b/c"),
        ({"resources": ["https://a.b/c\n"]}, "resources: https://a.b/c"),
        ({"transformers": ["https://a.b/c\n"]}, "transformers: https://a.b/c"),
    ],
)
def test_anything_else_remote(content: dict[str, Any], reference: str, checkout: Path) -> None:
    files = {f"{FOLDER}/kustomization.yaml": yaml.safe_dump(content)}
    assert found(checkout, files) == [f"{FOLDER}/kustomization.yaml: {reference}: {REMOTE}"]


def test_in_a_base_and_in_the_file_of_a_generator(checkout: Path) -> None:
    files = {
        f"{FOLDER}/kustomization.yaml": kustomization("../base"),
        "deploy/base/kustomization.yaml": "generators: [generator.yaml]\n",
        "deploy/base/generator.yaml": "kind: ConfigMapGenerator\nfiles: [https://a.b/c]\n",
    }
    assert found(checkout, files) == [
        "deploy/base/kustomization.yaml: generators: files: https://a.b/c: " + REMOTE,
    ]


def test_in_a_folder_without_a_kustomization(checkout: Path) -> None:
    """Flux lists folders with a kustomization, and a name of a file may look remote."""
    files = {
        f"{FOLDER}/a.yaml": config_map("a", ""),
        f"{FOLDER}/b/c/kustomization.yaml": kustomization("https://a.b/c"),
        f"{FOLDER}/git@a.b:c/d.yaml": config_map("d", ""),
    }
    assert found(checkout, files) == [
        f"{FOLDER}/b/c/kustomization.yaml: resources: https://a.b/c: {REMOTE}",
        f"{FOLDER}/kustomization.yaml: resources: git@a.b:c/d.yaml: {REMOTE}",
    ]


@pytest.mark.parametrize(
    ("key", "other"),
    [
        ("resources", "Resources"),
        ("resources", "re\u017fources"),
        ("configMapGenerator", "configmapgenerator"),
        ("replacements", "REPLACEMENTS"),
    ],
)
def test_two_keys_that_are_one(key: str, other: str, checkout: Path) -> None:
    text = yaml.safe_dump({key: ["https://a.b/c"], other: []}, sort_keys=False)
    assert found(checkout, {f"{FOLDER}/kustomization.yaml": text}) == [
        f"{FOLDER}/kustomization.yaml: {UNCHECKED}: key {other} is set twice, in "
        "different cases; keep one"
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("resources: [!!binary aHR0cHM6Ly9hLmIvYw==]\n", "tag tag:yaml.org,2002:binary in "),
        ("resources: [https://a.b/c]\nresources: []\n", "a key is there twice in "),
        ("x: &x {resources: [https://a.b/c]}\n<<: *x\n", "merge key << in "),
        ("x: &x {resources: [https://a.b/c]}\n! '<<': *x\n", "merge key << in "),
    ],
)
def test_yaml_that_programs_read_differently(text: str, said: str, checkout: Path) -> None:
    (problem,) = found(checkout, {f"{FOLDER}/kustomization.yaml": text})
    assert problem.startswith(
        f"{FOLDER}/kustomization.yaml: {UNCHECKED}: kustomization.yaml: {said}"
    )


@pytest.mark.parametrize("name", ["1:30", "10", "yes", "1e3"])
def test_a_folder_whose_name_may_be_no_text(name: str, checkout: Path) -> None:
    files = {
        f"{FOLDER}/kustomization.yaml": f"resources: [{name}]\n",
        f"{FOLDER}/{name}/kustomization.yaml": kustomization("https://a.b/c"),
    }
    assert found(checkout, files) == [
        f"{FOLDER}/{name}/kustomization.yaml: resources: https://a.b/c: {REMOTE}"
    ]


def test_the_configuration_of_plugins_in_a_folder(checkout: Path) -> None:
    """Its content may come from a component and change by patches, so it is not followed."""
    files = {
        f"{FOLDER}/kustomization.yaml": "generators: [g]\n",
        f"{FOLDER}/g/kustomization.yaml": "components: [c]\n",
        f"{FOLDER}/g/c/kustomization.yaml": kustomization("c.yaml"),
        f"{FOLDER}/g/c/c.yaml": "kind: ConfigMapGenerator\nfiles: [/etc/hostname]\n",
    }
    assert found(checkout, files) == [
        f"{FOLDER}/kustomization.yaml: generators: g: {UNCHECKED}: is a folder; name the files "
        "in it"
    ]


@pytest.mark.parametrize("kind", ["List", "ConfigMapList", "HelmChartInflationGenerator"])
@pytest.mark.parametrize("key", ["generators", "transformers", "validators"])
def test_the_configuration_of_any_other_plugin(key: str, kind: str, checkout: Path) -> None:
    text = yaml.safe_dump(
        {"kind": kind, "items": [{"kind": "ConfigMapGenerator", "files": ["/etc/hostname"]}]}
    )
    said = f"{UNCHECKED}: kind {kind} is not a built-in plugin of kustomize; remove it"
    where = f"{FOLDER}/kustomization.yaml: {key}"
    files = {f"{FOLDER}/kustomization.yaml": yaml.safe_dump({key: [text]})}
    assert found(checkout, files) == [f"{where}: {said}"]
    files = {
        f"{FOLDER}/kustomization.yaml": yaml.safe_dump({key: ["g.yaml"]}),
        f"{FOLDER}/g.yaml": f"---\n---\n{text}",
    }
    assert found(checkout, files) == [f"{where}: {FOLDER}/g.yaml: {said}"]


@pytest.mark.parametrize(
    "name", ["--- {kind: ConfigMapGenerator, files: [/etc/hostname]}", "g\n.yaml", "g .yaml"]
)
def test_a_file_or_the_content_itself(name: str, checkout: Path) -> None:
    files = {
        f"{FOLDER}/kustomization.yaml": yaml.safe_dump({"generators": [name]}),
        f"{FOLDER}/{name}": "",
    }
    (said,) = found(checkout, files)
    assert said.endswith(f"{UNCHECKED}: may be read as content instead of a file name; rename it")


@pytest.mark.parametrize("text", ["../../../other", "/etc/passwd", "../../../clone-of-other"])
def test_outside_the_repository(text: str, checkout: Path) -> None:
    files = {f"{FOLDER}/kustomization.yaml": kustomization(text)}
    assert found(checkout, files) == [
        f"{FOLDER}/kustomization.yaml: resources: {text}: is outside the repository, which "
        "Flux refuses; name a file or folder inside it"
    ]


@pytest.mark.parametrize("text", ["a" * 300, "a\0b", "a\nb", "{" + "a" * 300])
def test_no_name_of_a_file(text: str, checkout: Path) -> None:
    files = {f"{FOLDER}/kustomization.yaml": yaml.safe_dump({"resources": [text]})}
    (said,) = found(checkout, files)
    assert said.endswith("is not among the files that Flux fetches; add it")


def test_a_symbolic_link(checkout: Path) -> None:
    """Flux leaves out links to files and folders of the repository too."""
    files: Files = {
        "a.yaml": config_map("a", ""),
        "base/a.yaml": config_map("a", ""),
        f"{FOLDER}/kustomization.yaml": kustomization("a.yaml", "base/a.yaml"),
        f"{FOLDER}/a.yaml": Path("../../a.yaml"),
        f"{FOLDER}/base": Path("../../base"),
    }
    problem = "is a symbolic link, which Flux leaves out; commit what it points to"
    assert found(checkout, files) == [
        f"{FOLDER}/kustomization.yaml: resources: {text}: {problem}"
        for text in ("a.yaml", "base/a.yaml")
    ]


def test_a_missing_file(checkout: Path) -> None:
    assert found(checkout, {f"{FOLDER}/kustomization.yaml": kustomization("a.yaml")}) == [
        f"{FOLDER}/kustomization.yaml: resources: a.yaml: is not among the files that Flux "
        "fetches; add it"
    ]
