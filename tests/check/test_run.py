"""What `fleet check` finds, with the real kustomize, kubeconform and schemas."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from fleet.check import schemas
from fleet.check.findings import Built, Finding, Report
from fleet.check.run import check_stacks
from fleet.config import load
from fleet.config.models import Flux, Stack
from fleet.errors import CommandError, FleetError
from fleet.kube import kustomize
from fleet.process import run
from fleet.render import flux, flux_release, tree
from tests.support import (
    REPOSITORY,
    config_map,
    definition,
    helm_release,
    kustomization,
    manifest,
    namespace,
    stack_file,
    write,
)

INFRA = "clusters/dev/infra"
POLICIES = "clusters/dev/policies"
APPS = "clusters/dev/apps"


def check(root: Path, files: Mapping[str, str], **lists: str) -> list[str]:
    """Return what is found in the checkout with `files` and the stack dev alone."""
    (root / "Pulumi.prod.yaml").unlink()
    write(root, {"Pulumi.dev.yaml": stack_file("dev", **lists), **files})
    stacks = [(stack, None) for stack in load.stacks(root)]
    report = check_stacks(root, stacks, lambda _: None)
    return [str(finding) for finding in report.findings]


def flux_kustomization(name: str, spec: str, path: str = "./apps/podinfo/base") -> str:
    more = (
        "spec:\n  interval: 5m\n  prune: true\n"
        f"  path: {path}\n"
        "  serviceAccountName: platform\n"
        "  sourceRef: {kind: GitRepository, name: flux-system}\n"
    )
    api = "kustomize.toolkit.fluxcd.io/v1"
    return manifest(api, "Kustomization", name, "flux-system", more + spec)


def test_nothing_is_wrong_with_the_shipped_stacks() -> None:
    stacks = load.stacks(REPOSITORY)
    report = check_stacks(REPOSITORY, [(s, None) for s in stacks], lambda _: None)
    assert report.findings == []
    assert report.without_schema == Counter()
    assert report.clusters == 3
    # Fewer would mean that something was not looked at.
    assert report.objects > 70


def test_nothing_is_wrong_with_the_small_checkout(checkout: Path) -> None:
    assert check(checkout, {}) == []


def test_every_cluster_is_looked_at(checkout: Path) -> None:
    write(checkout, {"apps/podinfo/overlays/prod/kustomization.yaml": kustomization("nothing")})
    said: list[str] = []
    stacks = [(stack, None) for stack in load.stacks(checkout)]
    report = check_stacks(checkout, stacks, said.append)
    (finding,) = report.findings
    assert finding.file == "clusters/prod/apps"
    assert said[:2] == ["building clusters/dev", "building clusters/prod"]


class TestNamespaces:
    def test_the_first_promotion_without_its_namespace(self, checkout: Path) -> None:
        """foo-app into dev, whose namespace is one of test alone."""
        files = definition("apps/foo-app/base", config_map("foo", "foo"))
        assert check(checkout, files, apps="foo-app/base") == [
            f"{APPS}: ConfigMap foo/foo: namespace foo is not created in this cluster; "
            "add its folder to fleet:infrastructure in Pulumi.dev.yaml "
            "(infrastructure/namespaces/test-only has it)"
        ]

    def test_a_namespace_that_nothing_has(self, checkout: Path) -> None:
        files = definition("apps/foo-app/base", config_map("foo", "bar"))
        (found,) = check(checkout, files, apps="foo-app/base")
        assert found.endswith("(no shared definition has it yet)")

    def test_in_a_later_stage(self, checkout: Path) -> None:
        files = definition("apps/foo-app/base", config_map("foo", "foo"))
        files |= definition("infrastructure/controllers/foo", config_map("controller", "late"))
        files |= definition("apps/late", namespace("late"))
        infrastructure = "namespaces/common controllers/foo"
        assert check(checkout, files, infrastructure=infrastructure, apps="late") == [
            f"{INFRA}: ConfigMap late/controller: namespace late comes only in a later stage; "
            "move it to namespaces/"
        ]

    def test_in_the_same_stage(self, checkout: Path) -> None:
        """Flux applies namespaces first."""
        files = definition("apps/foo-app/base", namespace("foo") + "---\n" + config_map("a", "foo"))
        assert check(checkout, files, apps="foo-app/base") == []

    @pytest.mark.parametrize("name", ["default", "kube-system", "flux-system"])
    def test_one_that_every_cluster_has(self, name: str, checkout: Path) -> None:
        assert check(checkout, definition("apps/a", config_map("a", name)), apps="a") == []

    def test_what_a_helm_release_fills(self, checkout: Path) -> None:
        release = helm_release("chart", "common", "  targetNamespace: foo\n")
        (found,) = check(checkout, definition("apps/a", release), apps="a")
        assert found.startswith(f"{APPS}: HelmRelease common/chart: namespace foo is not created")

    def test_what_a_helm_release_creates(self, checkout: Path) -> None:
        spec = "  targetNamespace: foo\n  install: {createNamespace: true}\n"
        release = helm_release("chart", "common", spec)
        assert check(checkout, definition("apps/a", release), apps="a") == []

    def test_what_a_helm_release_itself_is_in(self, checkout: Path) -> None:
        """Also when it creates the one that it fills."""
        spec = "  targetNamespace: foo\n  install: {createNamespace: true}\n"
        release = helm_release("chart", "bar", spec)
        (found,) = check(checkout, definition("apps/a", release), apps="a")
        assert found.startswith(f"{APPS}: HelmRelease bar/chart: namespace bar is not created")


class TestDelivery:
    def test_the_same_object_twice(self, checkout: Path) -> None:
        files = definition("infrastructure/controllers/podinfo", config_map("podinfo", "common"))
        assert check(checkout, files, infrastructure="namespaces/common controllers/podinfo") == [
            f"{APPS}: ConfigMap common/podinfo: is also delivered by {INFRA}; keep one, or they "
            "take turns"
        ]

    def test_the_same_object_twice_in_one_list(self, checkout: Path) -> None:
        (found,) = check(checkout, {}, apps="podinfo/base podinfo/overlays/dev")
        assert found.startswith(f"{APPS}: does not build: kustomize: exit 1: ")
        assert "podinfo" in found

    def test_the_same_name_in_another_group_is_another_object(self, checkout: Path) -> None:
        sources = [
            manifest(
                "source.toolkit.fluxcd.io/v1",
                "HelmRepository",
                "podinfo",
                "common",
                "spec: {url: 'https://charts.example.com', interval: 1h}\n",
            ),
            manifest("v1", "ConfigMap", "podinfo", "flux-system"),
        ]
        files = definition("infrastructure/controllers/a", "---\n".join(sources))
        assert check(checkout, files, infrastructure="namespaces/common controllers/a") == []

    def test_a_flux_path_within_is_built_too(self, checkout: Path) -> None:
        """A Flux Kustomization that a definition brings is followed."""
        files = definition("apps/a", flux_kustomization("a", "", path="./apps/b"))
        files |= definition("apps/b", config_map("b", "nowhere"))
        (found,) = check(checkout, files, apps="a")
        assert found.startswith("apps/b: ConfigMap nowhere/b: namespace nowhere is not created")

    def test_a_flux_path_that_does_not_exist(self, checkout: Path) -> None:
        files = definition("apps/a", flux_kustomization("a", "", path="./apps/b"))
        assert check(checkout, files, apps="a") == [
            f"{APPS}: Kustomization flux-system/a: spec.path ./apps/b does not exist for this "
            "cluster"
        ]

    def test_a_flux_path_of_another_repository_is_not_ours_to_build(self, checkout: Path) -> None:
        text = flux_kustomization("a", "", path="./deploy").replace(
            "name: flux-system}", "name: team-a}"
        )
        assert check(checkout, definition("apps/a", text), apps="a") == []

    def test_depends_on_unknown(self, checkout: Path) -> None:
        spec = "  dependsOn: [{name: infra}, {name: databases}]\n"
        files = definition("apps/a", flux_kustomization("a", spec))
        assert check(checkout, files, apps="a") == [
            f"{APPS}: Kustomization flux-system/a: dependsOn databases, which this cluster does "
            "not have"
        ]

    def test_a_helm_release_that_depends_on_an_unknown_one(self, checkout: Path) -> None:
        """A Kustomization of that name would not do."""
        text = helm_release("a", "flux-system", "  dependsOn: [{name: infra}]\n")
        assert check(checkout, definition("apps/a", text), apps="a") == [
            f"{APPS}: HelmRelease flux-system/a: dependsOn infra, which this cluster does not have"
        ]

    def test_a_helm_release_that_depends_on_another(self, checkout: Path) -> None:
        spec = "  dependsOn: [{name: b, namespace: common}]\n"
        text = helm_release("a", "flux-system", spec) + "---\n" + helm_release("b", "common", "")
        assert check(checkout, definition("apps/a", text), apps="a") == []

    def test_without_an_account_flux_may_do_nothing(self, checkout: Path) -> None:
        text = flux_kustomization("a", "") + "---\n" + helm_release("b", "common", "")
        text = text.replace("  serviceAccountName: platform\n", "")
        said = (
            "spec.serviceAccountName is missing, so Flux may do nothing for it; "
            "in flux-system name platform"
        )
        assert check(checkout, definition("apps/a", text), apps="a") == [
            f"{APPS}: HelmRelease common/b: {said}",
            f"{APPS}: Kustomization flux-system/a: {said}",
        ]

    @pytest.mark.parametrize("inside", ["chartRef", "sourceRef"])
    def test_a_source_of_another_namespace(self, inside: str, checkout: Path) -> None:
        text = helm_release("a", "common", "")
        reference = "{kind: HelmRepository, name: chart, namespace: flux-system}"
        if inside == "sourceRef":
            chart = f"chart: {{spec: {{chart: a, sourceRef: {reference}}}}}"
        else:
            chart = f"chartRef: {reference.replace('HelmRepository', 'OCIRepository')}"
        text = text.replace("chartRef: {kind: OCIRepository, name: chart}", chart)
        assert check(checkout, definition("apps/a", text), apps="a") == [
            f"{APPS}: HelmRelease common/a: {inside} is to namespace flux-system, which Flux "
            "refuses; keep the source beside it"
        ]

    def test_a_source_of_its_own_namespace_by_name(self, checkout: Path) -> None:
        text = helm_release("a", "common", "").replace("chart}", "chart, namespace: common}")
        assert check(checkout, definition("apps/a", text), apps="a") == []


class TestCheckout:
    def test_a_folder_of_no_stack(self, checkout: Path) -> None:
        files = {
            "clusters/dev/kustomization.yaml": "kept\n",
            "clusters/old/kustomization.yaml": "left over\n",
        }
        assert check(checkout, files) == [
            "clusters/old: no stack owns it; add Pulumi.old.yaml or remove the folder"
        ]

    @pytest.mark.parametrize(
        ("key", "base"),
        [
            ("resources", "https://github.com/acme/other//deploy?ref=v1"),
            ("resources", "github.com/acme/other//deploy?ref=v1"),
            ("resources", "git@github.com:acme/other"),
            ("components", "https://example.com/component"),
            ("bases", "ssh://git@example.com/acme/other"),
        ],
    )
    def test_a_remote_base(self, key: str, base: str, checkout: Path) -> None:
        """It is found before anything is built: building would fetch it."""
        text = kustomization("resource.yaml") + ("" if key == "resources" else f"{key}:\n")
        files = {
            "apps/a/kustomization.yaml": f"{text}  - {base}\n",
            "apps/a/resource.yaml": config_map("a", "common"),
        }
        assert check(checkout, files, apps="a") == [
            f"apps/a/kustomization.yaml: {key}: {base}: is remote; keep a folder here, or use a "
            "Flux source"
        ]

    def test_an_import_of_another_clusters_folder(self, checkout: Path) -> None:
        """Even if that folder is there: this cluster is built without it."""
        files = {
            "apps/a/kustomization.yaml": kustomization("../../clusters/prod/apps"),
            "clusters/prod/apps/kustomization.yaml": kustomization(),
            "Pulumi.prod.yaml": stack_file("prod"),
        }
        found = [line for line in check(checkout, files, apps="a") if line.startswith(APPS)]
        assert len(found) == 1
        assert found[0].startswith(f"{APPS}: does not build: ")
        assert "clusters/prod/apps" in found[0]

    def test_broken_yaml(self, checkout: Path) -> None:
        files = definition("apps/a", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a\n")
        (found,) = check(checkout, files, apps="a")
        assert found.startswith(f"{APPS}: does not build: ")
        assert "'apps/a'" in found
        assert "resource.yaml" in found
        assert "\n" not in found
        assert tempfile.gettempdir() not in found

    def test_a_broken_file_that_no_cluster_uses(self, checkout: Path) -> None:
        files = {"apps/a/draft.yaml": "{", "apps/a/odd.yaml": "kind: Namespace\nmetadata: odd\n"}
        files["apps/b/kustomization.yaml"] = "resources: 1\n"
        assert check(checkout, files) == []

    def test_a_missing_resource(self, checkout: Path) -> None:
        files = {"apps/a/kustomization.yaml": kustomization("nothing.yaml")}
        (found,) = check(checkout, files, apps="a")
        assert found.startswith(f"{APPS}: does not build: ")
        assert "nothing.yaml" in found


class TestObjects:
    @staticmethod
    def found(checkout: Path, text: str) -> str:
        (found,) = check(checkout, definition("apps/a", text), apps="a")
        return found

    def test_an_unknown_field(self, checkout: Path) -> None:
        text = manifest("v1", "ConfigMap", "a", "common", "dat: {}\n")
        assert self.found(checkout, text) == (
            f"{APPS}: ConfigMap common/a: additional properties 'dat' not allowed"
        )

    def test_an_unknown_nested_field(self, checkout: Path) -> None:
        spec = (
            "spec:\n  replica: 2\n  selector: {matchLabels: {app: a}}\n"
            "  template:\n    metadata: {labels: {app: a}}\n"
            "    spec: {containers: [{name: a, imag: a}]}\n"
        )
        text = manifest("apps/v1", "Deployment", "a", "common", spec)
        assert check(checkout, definition("apps/a", text), apps="a") == [
            f"{APPS}: Deployment common/a: spec.template.spec.containers.0: additional properties "
            "'imag' not allowed",
            f"{APPS}: Deployment common/a: spec: additional properties 'replica' not allowed",
        ]

    def test_a_wrong_type(self, checkout: Path) -> None:
        found = self.found(checkout, manifest("v1", "ConfigMap", "a", "common", "data: {a: 1}\n"))
        assert found.startswith(f"{APPS}: ConfigMap common/a: data.a: ")

    def test_a_missing_field(self, checkout: Path) -> None:
        text = manifest("apps/v1", "Deployment", "a", "common", "spec: {replicas: 1}\n")
        found = check(checkout, definition("apps/a", text), apps="a")
        assert found
        assert all(line.startswith(f"{APPS}: Deployment common/a: spec") for line in found)

    @pytest.mark.parametrize(
        ("api", "kind"),
        [
            ("v1", "Namespaces"),
            ("apps/v1beta1", "Deployment"),
            ("networking.k8s.io/v1", "Ingres"),
            ("kustomize.toolkit.fluxcd.io/v1beta1", "Kustomization"),
            ("policies.kyverno.io/v1", "ValidatingPolcy"),
        ],
    )
    def test_a_kind_that_is_not(self, api: str, kind: str, checkout: Path) -> None:
        found = check(checkout, definition("apps/a", manifest(api, kind, "a", "common")), apps="a")
        assert f"{APPS}: {kind} common/a: {api} has no kind {kind}; check apiVersion and kind" in (
            found
        )

    def test_a_flux_object(self, checkout: Path) -> None:
        text = flux_kustomization("a", "  dependOn: [{name: infra}]\n")
        found = self.found(checkout, text)
        assert found == (
            f"{APPS}: Kustomization flux-system/a: spec: additional properties 'dependOn' not "
            "allowed"
        )

    def test_a_kyverno_policy(self, checkout: Path) -> None:
        spec = (
            "spec:\n  validationActions: [Audit]\n"
            "  matchConstraints: {resourceRules: [{apiGroups: [''], resourcs: [pods]}]}\n"
        )
        text = manifest("policies.kyverno.io/v1", "ValidatingPolicy", "a", "", spec)
        found = self.found(checkout, text)
        assert found == (
            f"{APPS}: ValidatingPolicy a: spec.matchConstraints.resourceRules.0: "
            "additional properties 'resourcs' not allowed"
        )

    def test_a_kind_of_somebody_else_is_counted(self, checkout: Path) -> None:
        """It is no finding, but it is said."""
        (checkout / "Pulumi.prod.yaml").unlink()
        text = manifest("example.com/v1", "Thing", "a", "common", "spec: {a: '='}\n")
        write(checkout, {"Pulumi.dev.yaml": stack_file("dev", apps="a")})
        write(checkout, definition("apps/a", text))
        stack = load.stack(checkout, "dev")
        report = check_stacks(checkout, [(stack, None)], lambda _: None)
        assert report.findings == []
        assert report.summary().endswith("no schema for 1 objects (example.com/v1 Thing)")

    def test_a_bare_equals_sign_is_a_text(self, checkout: Path) -> None:
        text = manifest("v1", "ConfigMap", "a", "common", "data: {sign: =}\n")
        assert check(checkout, definition("apps/a", text), apps="a") == []


def test_components_are_checked_too(checkout: Path) -> None:
    """With Flux's manifests, the entrypoint is built as it will be in Git."""
    stack = load.stack(checkout, "dev")
    text = namespace("flux-system") + "---\n" + manifest("v1", "ConfigMap", "a", "flux-system")
    broken = text + "---\n" + manifest("v1", "ConfigMap", "b", "flux-system", "dat: {}\n")
    good, bad = (
        check_stacks(checkout, [(stack, components)], lambda _: None)
        for components in (text, broken)
    )
    assert good.findings == []
    (finding,) = bad.findings
    assert (finding.file, finding.object) == ("clusters/dev", "ConfigMap flux-system/b")
    assert bad.objects == good.objects + 1


class TestPrograms:
    """Their absence is one clear line."""

    @pytest.fixture(autouse=True)
    def nothing_at_hand(self, empty_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PATH", str(empty_cache))

    def test_absent(self) -> None:
        with pytest.raises(CommandError, match=r"^kustomize: not found; put it .*`make tools`$"):
            kustomize.kustomize()
        with pytest.raises(CommandError, match=r"^kubeconform: not found; put it .*`make tools`$"):
            schemas.kubeconform()
        with pytest.raises(CommandError, match=r"^JSON schemas: not at hand; run `make tools`$"):
            schemas.folder()

    def test_kubectl_does_as_well(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "kubectl").write_text("#!/bin/sh\n")
        (tmp_path / "kubectl").chmod(0o755)
        monkeypatch.setenv("PATH", str(tmp_path))
        assert kustomize.kustomize() == [str(tmp_path / "kubectl"), "kustomize"]

    def test_what_was_built_is_used(self, empty_cache: Path) -> None:
        built = empty_cache / "bin" / "kustomize"
        write(empty_cache, {"bin/kustomize": ""})
        assert kustomize.kustomize() == [str(built), "build"]


class TestReport:
    FINDING = Finding(file="clusters/dev", object="ConfigMap a", problem="is wrong")

    def test_a_finding_is_one_line(self) -> None:
        assert str(self.FINDING) == "clusters/dev: ConfigMap a: is wrong"
        whole = Finding(file="clusters/dev", object="", problem="does not build")
        assert str(whole) == "clusters/dev: does not build"

    def test_for_people_and_programs(self) -> None:
        report = Report(clusters=2, objects=3, findings=[self.FINDING])
        assert report.summary() == "2 clusters, 3 objects, 1 findings"
        assert report.as_dict() == {
            "clusters": 2,
            "objects": 3,
            "findings": [{"file": "clusters/dev", "object": "ConfigMap a", "problem": "is wrong"}],
            "withoutSchema": {},
        }

    @pytest.mark.parametrize(
        ("content", "name"),
        [
            ({"kind": "A", "metadata": {"name": "b", "namespace": "c"}}, "A c/b"),
            ({"kind": "A", "metadata": {"name": "b"}}, "A b"),
            ({}, "object without kind "),
            ({"metadata": "odd"}, "object without kind "),
        ],
    )
    def test_names(self, content: dict[str, Any], name: str) -> None:
        assert Built(path="clusters/dev", content=content).name == name


class TestFluxManifests:
    TEXT = "metadata:\n  labels:\n    app.kubernetes.io/version: v2.9.2\n"

    @staticmethod
    def flux(checkout: Path, spec: str = "") -> Flux:
        more = f"  fleet:flux: {{version: v2.9.2, manifests: flux.yaml{spec}}}\n"
        write(checkout, {"Pulumi.dev.yaml": stack_file("dev", more=more)})
        return load.stack(checkout, "dev").config.flux

    def refused(self, checkout: Path, spec: str = "") -> str:
        with pytest.raises(FleetError) as caught:
            flux_release.read(self.flux(checkout, spec), checkout)
        assert "\n" not in str(caught.value)
        return str(caught.value)

    def test_read(self, checkout: Path) -> None:
        write(checkout, {"flux.yaml": self.TEXT})
        checksum = flux_release.checksum(checkout / "flux.yaml")
        assert flux_release.read(self.flux(checkout), checkout) == self.TEXT
        pinned = self.flux(checkout, f", sha256: {checksum}")
        assert flux_release.read(pinned, checkout) == self.TEXT

    def test_another_checksum(self, checkout: Path) -> None:
        write(checkout, {"flux.yaml": self.TEXT})
        assert "find out who is right" in self.refused(checkout, f", sha256: {'a' * 64}")

    @pytest.mark.parametrize("found", ["v2.9.1", "v2.9.20", "v2.9.2-rc.1"])
    def test_another_version(self, found: str, checkout: Path) -> None:
        write(checkout, {"flux.yaml": self.TEXT.replace("v2.9.2", found)})
        assert "is not Flux v2.9.2" in self.refused(checkout)

    def test_a_folder(self, checkout: Path) -> None:
        (checkout / "flux.yaml").mkdir()
        assert self.refused(checkout).endswith("Is a directory; name a file")

    def test_where_the_release_is_kept(self, checkout: Path, empty_cache: Path) -> None:
        """Another source's manifests are not this one's, though of the same version."""
        write(empty_cache, {"flux/v2.9.2-from-modules.yaml": "made here"})
        flux = load.stack(checkout, "dev").config.flux
        assert flux_release.url(flux) == (
            "https://github.com/fluxcd/flux2/releases/download/v2.9.2/install.yaml"
        )
        with pytest.raises(flux_release.ManifestsMissingError, match="run `fleet fetch`"):
            flux_release.read(flux, checkout)
        assert flux_release.read_for_review(flux, checkout) == "made here"

    def test_waves(self) -> None:
        kinds = ["Deployment", "ClusterRole", "CustomResourceDefinition", "Service", "Namespace"]
        text = "---\n".join(manifest("v1", kind, kind.lower()) for kind in kinds)
        waves = flux.apply_waves(flux.with_flags(f"---\n{text}---\n"))
        assert [[document["kind"] for document in wave] for wave in waves] == [
            ["CustomResourceDefinition", "Namespace"],
            ["ClusterRole", "Service"],
            ["Deployment"],
        ]

    def test_with_flags(self, tmp_path: Path) -> None:
        """What is planted is what kustomize makes of the tree; nothing else is touched."""
        stack = load.stack(REPOSITORY, "dev")
        manifests = flux_release.read_for_review(stack.config.flux, REPOSITORY)
        write(tmp_path, tree.render(stack, manifests))
        text = run([*kustomize.kustomize(), f"{stack.path}/flux-system"], timeout=60, cwd=tmp_path)
        built = list(yaml.load_all(text, Loader=yaml.CSafeLoader))
        planted = [
            *flux.with_flags(manifests),
            *flux.platform_account(),
            *flux.sync(stack),
        ]

        def key(item: dict[str, Any]) -> tuple[str, str]:
            return item["kind"], item["metadata"]["name"]

        assert sorted(planted, key=key) == sorted(built, key=key)
        upstream = [item for item in yaml.load_all(manifests, Loader=yaml.CSafeLoader) if item]
        changed = {
            item["metadata"]["name"]: item["spec"]["template"]["spec"]["containers"][0]["args"]
            for item in flux.with_flags(manifests)
            if item not in upstream
        }
        assert {name: args[-4:] for name, args in changed.items()} == {
            "kustomize-controller": list(flux.FLAGS),
            "helm-controller": [
                "--enable-leader-election",
                "--no-cross-namespace-refs=true",
                "--default-service-account=default",
                "--requeue-dependency=5s",
            ],
            "notification-controller": [
                "--log-level=info",
                "--log-encoding=json",
                "--enable-leader-election",
                "--no-cross-namespace-refs=true",
            ],
        }


def test_the_copy_that_is_checked_is_the_tree_that_is_committed(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No second rendering that could differ."""
    rendered: list[str] = []
    render = tree.render

    def record(stack: Stack, components: str | None) -> dict[str, str]:
        rendered.append(stack.name)
        return render(stack, components)

    monkeypatch.setattr(tree, "render", record)
    assert check(checkout, {}) == []
    assert rendered == ["dev"]
