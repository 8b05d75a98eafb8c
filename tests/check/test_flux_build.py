"""Test what Flux adds to a kustomization for its own Kustomization, with the real kustomize."""

from __future__ import annotations

from pathlib import Path

import pytest

from fleet.config import load
from fleet.inventory.build import build_cluster
from fleet.inventory.built_object import BuiltObject
from tests.check.support import APPS, check, flux_kustomization
from tests.support import config_map, definition, kustomization, manifest, stack_file, write

# These tests run programs or servers.
pytestmark = pytest.mark.slow

DEPLOYMENT = manifest(
    "apps/v1",
    "Deployment",
    "b",
    "",
    "spec:\n  replicas: ${replicas}\n  selector: {matchLabels: {a: b}}\n  template:\n"
    "    metadata: {labels: {a: b}}\n    spec: {containers: [{name: a, image: 'a:${tag:=v1}'}]}\n",
)
NAMESPACE = "  targetNamespace: common\n"


def built(checkout: Path, spec: str, text: str) -> dict[str, BuiltObject]:
    """Return the objects of apps/b by name, applied by a Flux Kustomization with `spec`."""
    write(checkout, definition("apps/a", flux_kustomization("a", spec, path="./apps/b")))
    write(checkout, definition("apps/b", text))
    write(checkout, {"Pulumi.dev.yaml": stack_file("dev", apps="a")})
    stack = load.stack(checkout, "dev")
    objects, findings = build_cluster(checkout, stack, None, checkout.parent / "copy")
    assert findings == []
    return {built.name: built for built in objects if built.path == "apps/b"}


def problems(checkout: Path, spec: str, text: str) -> list[str]:
    """Return the findings about apps/b, applied by a Flux Kustomization with `spec`."""
    files = definition("apps/a", flux_kustomization("a", spec, path="./apps/b"))
    return check(checkout, files | definition("apps/b", text), apps="a")


class TestFields:
    def test_a_namespace(self, checkout: Path) -> None:
        assert built(checkout, NAMESPACE, config_map("b", ""))["b"].namespace == "common"

    def test_names_patches_and_images(self, checkout: Path) -> None:
        spec = (
            "  namePrefix: x-\n  nameSuffix: -y\n  images: [{name: a, newTag: v2}]\n"
            "  patches:\n    - target: {kind: Deployment}\n      patch: |\n        - op: add\n"
            "          path: /metadata/labels\n          value: {c: d}\n"
        )
        found = built(checkout, spec, DEPLOYMENT.replace("a:${tag:=v1}", "a"))["x-b-y"]
        assert found.metadata["labels"] == {"c": "d"}
        (container,) = found.spec["template"]["spec"]["containers"]
        assert container["image"] == "a:v2"

    def test_components(self, checkout: Path) -> None:
        component = kustomization().replace(
            "v1beta1\nkind: Kustomization", "v1alpha1\nkind: Component"
        )
        component = component.replace("resources:", "namePrefix: x-")
        write(checkout, {"apps/c/kustomization.yaml": component})
        assert list(built(checkout, "  components: [../c]\n", config_map("b", "common"))) == ["x-b"]

    def test_a_missing_component(self, checkout: Path) -> None:
        spec = "  components: [../c]\n"
        assert problems(checkout, spec, config_map("b", "common")) == [
            "apps/b/kustomization.yaml: components: ../c: is not among the files that Flux "
            "fetches; add it"
        ]
        spec += "  ignoreMissingComponents: true\n"
        write(checkout, {"Pulumi.prod.yaml": stack_file("prod")})
        assert problems(checkout, spec, config_map("b", "common")) == []

    def test_the_same_path_twice(self, checkout: Path) -> None:
        """Each Kustomization makes other objects of the same folder."""
        files = definition("apps/b", config_map("b", ""))
        files |= {
            "apps/a/kustomization.yaml": kustomization("one.yaml", "two.yaml"),
            "apps/a/one.yaml": flux_kustomization("one", NAMESPACE, path="./apps/b"),
            "apps/a/two.yaml": flux_kustomization(
                "two", "  targetNamespace: nowhere\n", path="./apps/b"
            ),
        }
        found = check(checkout, files, apps="a")
        assert [line.partition(": namespace nowhere is not")[0] for line in found] == [
            "apps/b: ConfigMap nowhere/b",
            f"{APPS}: Kustomization flux-system/two",
        ]

    def test_fields_of_a_wrong_type(self, checkout: Path) -> None:
        spec = "  targetNamespace: [a]\n  patches: a\n  images: {}\n  components: 1\n"
        found = problems(checkout, spec, config_map("b", "common"))
        assert found
        assert all("Kustomization flux-system/a: " in line for line in found)


class TestVariables:
    def test_values(self, checkout: Path) -> None:
        """The value of a variable may be a number."""
        spec = NAMESPACE + "  postBuild: {substitute: {replicas: '3'}}\n"
        assert problems(checkout, spec, DEPLOYMENT) == []
        write(checkout, {"Pulumi.prod.yaml": stack_file("prod")})
        found = built(checkout, spec, DEPLOYMENT)["b"]
        assert found.spec["replicas"] == 3
        assert found.spec["template"]["spec"]["containers"][0]["image"] == "a:v1"

    def test_a_wrong_value(self, checkout: Path) -> None:
        spec = NAMESPACE + "  postBuild: {substitute: {replicas: many}}\n"
        (found,) = problems(checkout, spec, DEPLOYMENT)
        assert found.startswith("apps/b: Deployment common/b: spec.replicas: got string")

    def test_an_undefined_variable_stays(self, checkout: Path) -> None:
        """Flux applies nothing then, and a rule reports the variable."""
        spec = NAMESPACE + "  postBuild: {substitute: {other: a}}\n"
        found = built(checkout, spec, DEPLOYMENT)["b"]
        assert found.spec["replicas"] == "${replicas}"
        assert found.is_unknown(found.spec["replicas"])

    def test_without_postbuild_a_variable_is_a_text(self, checkout: Path) -> None:
        (found,) = problems(checkout, NAMESPACE, DEPLOYMENT)
        assert found.startswith("apps/b: Deployment common/b: spec.replicas: got string")

    def test_values_of_a_config_map(self, checkout: Path) -> None:
        values = "data: {replicas: '4'}\n"
        write(checkout, {"infrastructure/values/kustomization.yaml": kustomization("v.yaml")})
        text = manifest("v1", "ConfigMap", "values", "flux-system", values)
        write(checkout, {"infrastructure/values/v.yaml": text})
        spec = "  postBuild: {substituteFrom: [{kind: ConfigMap, name: values}]}\n"
        assert built_with_values(checkout, spec)["b"].spec["replicas"] == 4

    def test_values_that_only_the_cluster_has(self, checkout: Path) -> None:
        """Everything else of the object is still checked."""
        source = "{kind: Secret, name: values}"
        spec = NAMESPACE + f"  postBuild: {{substituteFrom: [{source}]}}\n"
        text = DEPLOYMENT + "---\n" + config_map("c", "").replace("\ndata:", "\ndat:")
        assert problems(checkout, spec, text) == [
            "apps/b: ConfigMap common/c: additional properties 'dat' not allowed"
        ]

    @pytest.mark.parametrize(
        ("data", "expected"),
        [
            ("$${x}", "${x}"),
            ("${x}${x}", "11"),
            ("${y:-2}", "2"),
            ("${y:=${x}}", "1"),
            ("${x^^}${#x}", "11"),
            ("$x", "$x"),
        ],
    )
    def test_forms(self, data: str, expected: str, checkout: Path) -> None:
        text = manifest("v1", "ConfigMap", "b", "", f"data: {{key: 'a{data}'}}\n")
        spec = NAMESPACE + "  postBuild: {substitute: {x: '1'}}\n"
        assert built(checkout, spec, text)["b"].manifest["data"] == {"key": f"a{expected}"}

    def test_an_object_without_variables(self, checkout: Path) -> None:
        mark = "  annotations: {kustomize.toolkit.fluxcd.io/substitute: disabled}\n"
        text = manifest("v1", "ConfigMap", "b", "", mark + "data: {key: '${x}'}\n")
        spec = NAMESPACE + "  postBuild: {substitute: {x: '1'}}\n"
        assert built(checkout, spec, text)["b"].manifest["data"] == {"key": "${x}"}

    @pytest.mark.parametrize(
        ("substitute", "said"),
        [
            ("{my-name: a}", "postBuild: my-name is not the name of a variable; use letters"),
            ("{x: '- a: ['}", "with the variables of postBuild: "),
        ],
    )
    def test_what_flux_refuses(self, substitute: str, said: str, checkout: Path) -> None:
        text = manifest("v1", "ConfigMap", "b", "", "data: {key: '${x}'}\n")
        spec = NAMESPACE + f"  postBuild: {{substitute: {substitute}}}\n"
        (found,) = problems(checkout, spec, text)
        assert found.startswith(f"apps/b: does not build: {said}")

    def test_a_kustomization_that_always_changes_itself(self, checkout: Path) -> None:
        spec = "  postBuild: {substitute: {x: 'a${x}'}}\n"
        text = flux_kustomization("a", spec, path="./apps/b")
        found = problems(checkout, spec, text)
        assert "apps/b: is below 10 other paths of Flux; apply it from a path above" in found


def built_with_values(checkout: Path, spec: str) -> dict[str, BuiltObject]:
    """Return the objects of apps/b when the cluster also has infrastructure/values."""
    write(checkout, definition("apps/a", flux_kustomization("a", NAMESPACE + spec, "./apps/b")))
    write(checkout, definition("apps/b", DEPLOYMENT))
    lists = {"infrastructure": "namespaces/common values", "apps": "a"}
    write(checkout, {"Pulumi.dev.yaml": stack_file("dev", **lists)})
    stack = load.stack(checkout, "dev")
    objects, findings = build_cluster(checkout, stack, None, checkout.parent / "copy")
    assert findings == []
    return {built.name: built for built in objects if built.path == "apps/b"}
