"""What `fleet check --tenants` finds in clones of teams' repositories, with the real kustomize."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import pytest
import yaml

from fleet.check import schemas, tenant_findings
from fleet.check.run import check_stacks
from fleet.check.tenant_findings import Checked
from fleet.config import load
from fleet.errors import FleetError
from fleet.kube import kustomize
from fleet.render import flux_release
from tests.cli.test_commands import Run, with_manifests
from tests.e2e import test_tenant_attacks as attacks
from tests.e2e.conftest import Sandbox
from tests.e2e.conftest import Team as SandboxTeam
from tests.render.test_tree import TENANCY
from tests.support import REPOSITORY, config_map, kustomization, manifest, stack_file, write

FOLDER = "deploy/dev"
FILE = f"billing-apps/{FOLDER}"
WHERE = "stack dev, namespace billing-dev"
UNCHECKED = "cannot be checked here"
URL = "https://github.com/acme/billing-apps"
TOKEN = "  fleet:tenantCredentials: {billing: {token: {secure: c2VjcmV0}}}\n"  # noqa: S105 - a fixture
SECURITY = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
SECURITY |= {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
Files = Mapping[str, str | bytes | Path]
MODEST: dict[str, Any] = {"name": "a", "image": "a", "securityContext": SECURITY}


def register(checkout: Path, more: str = "", credentials: str = "", url: str = URL) -> None:
    """Make billing the one team of the stack dev."""
    team = f"name: billing, repository: {{url: {url}}}{more}"
    tenants = f"  fleet:tenants:\n    - {{{team}}}\n{credentials}"
    write(checkout, {"Pulumi.dev.yaml": stack_file("dev", more=tenants)})


def clone(checkout: Path, files: Files) -> Path:
    """Put files into billing's clone; a Path is a symbolic link. Returns the folder of clones."""
    clones = checkout.parent / "clones"
    for name, content in files.items():
        file = clones / "billing-apps" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, Path):
            file.symlink_to(content)
        else:
            file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return clones


def folder(*objects: Mapping[str, Any] | str, **more: object) -> dict[str, str]:
    """Return the files of what billing deploys to dev, and its kustomization with `more`."""
    texts = [item if isinstance(item, str) else yaml.safe_dump(item) for item in objects]
    return {
        f"{FOLDER}/kustomization.yaml": yaml.safe_dump({"resources": ["all.yaml"], **more}),
        f"{FOLDER}/all.yaml": "---\n".join(texts),
    }


def check(checkout: Path, files: Files) -> Checked:
    if "fleet:tenants" not in (checkout / "Pulumi.dev.yaml").read_text():
        register(checkout)
    return tenant_findings.check(clone(checkout, files), [load.stack(checkout, "dev")])


def found(checkout: Path, files: Files) -> list[str]:
    """Return (object and) problem of each finding in what billing deploys to dev, sorted."""
    findings = sorted(check(checkout, files).findings)
    assert {finding.file for finding in findings} <= {FILE}
    assert all(finding.problem.startswith(f"{WHERE}: ") for finding in findings)
    assert not any("\n" in str(finding) for finding in findings)
    return [str(f).removeprefix(f"{FILE}: ").replace(f"{WHERE}: ", "") for f in findings]


def thing(api: str, kind: str, name: str = "a", **content: object) -> dict[str, Any]:
    return {"apiVersion": api, "kind": kind, "metadata": {"name": name}, **content}


def workload(pod: Mapping[str, Any], kind: str = "Deployment", **spec: object) -> dict[str, Any]:
    labels = {"app": "a"}
    template = {"metadata": {"labels": labels}, "spec": pod}
    spec = {"selector": {"matchLabels": labels}, "template": template, **spec}
    return thing("apps/v1", kind, spec=spec)


def pod(**container: object) -> dict[str, Any]:
    return {"containers": [MODEST | container]}


def healthy() -> dict[str, str]:
    """Return the repository of a team as in the end-to-end tests."""
    return SandboxTeam(sandbox=cast(Sandbox, None), name="billing").files(["dev"], "1")


class TestBuild:
    def test_a_healthy_team(self, checkout: Path) -> None:
        result = check(checkout, healthy())
        assert result.findings == []
        assert (result.checked, result.not_checked) == (1, [])
        assert [(built.path, built.name) for built in result.objects] == [
            (FILE, "ConfigMap billing-dev/app"),
            (FILE, "Deployment billing-dev/app"),
        ]

    def test_the_clone_is_left_as_it_is(self, checkout: Path) -> None:
        files = healthy() | {"app.sh": "echo\n"}
        del files[f"{FOLDER}/kustomization.yaml"]
        check(checkout, files)
        root = checkout.parent / "clones" / "billing-apps"
        left = {
            p.relative_to(root).as_posix(): p.read_text() for p in root.rglob("*") if p.is_file()
        }
        assert left == files

    def test_the_path_is_missing(self, checkout: Path) -> None:
        assert found(checkout, {"deploy/test/kustomization.yaml": kustomization("a.yaml")}) == [
            "deploy/dev is not in what Flux fetches of the clone; add it, or ask the platform for "
            "another path"
        ]

    def test_the_path_is_a_symbolic_link(self, checkout: Path) -> None:
        files: Files = {"app/a.yaml": config_map("a", ""), FOLDER: Path("../app")}
        assert found(checkout, files) == [
            "deploy/dev is a symbolic link, which Flux leaves out; commit what it points to, or "
            "ask the platform for another path"
        ]

    def test_another_path(self, checkout: Path) -> None:
        register(checkout, more=", path: ./")
        result = check(checkout, {"a.yaml": config_map("a", "")})
        assert [(built.path, built.name) for built in result.objects] == [
            ("billing-apps", "ConfigMap billing-dev/a")
        ]

    def test_broken(self, checkout: Path) -> None:
        (said,) = found(checkout, folder("kind: ConfigMap\nmetadata: {name: a\n"))
        assert said.startswith("does not build: kustomize: exit 1: ")
        assert "all.yaml" in said
        assert str(checkout.parent) not in said
        assert "/fleet-tenants-" not in said

    def test_a_kustomization_that_is_none(self, checkout: Path) -> None:
        (said,) = found(checkout, {f"{FOLDER}/kustomization.yaml": "resources: [a\n"})
        where = f"{FOLDER}/kustomization.yaml: {UNCHECKED}: kustomization.yaml"
        assert said.startswith(f"{where}: while parsing ")
        assert found(checkout, {f"{FOLDER}/kustomization.yaml": "- a\n"}) == [
            f"{where} is not one mapping"
        ]

    def test_a_kustomization_that_is_a_folder(self, checkout: Path) -> None:
        files = {f"{FOLDER}/kustomization.yaml/a.yaml": config_map("a", "")}
        assert found(checkout, files) == ["does not build: kustomization.yaml is no file"]

    @pytest.mark.parametrize(
        "broken",
        [
            "resources: " + "[" * 100_000,
            "resources: " + "[" * 3000 + "]" * 3000,
            "a0: &a0 []\n" + "".join(f"a{i}: &a{i} [*a{i - 1}]\n" for i in range(1, 2000)),
            "a: &a [*a]\n",
            "a: !!bool maybe\n",
            "a: !!int ''\n",
            "a: " + "1:" * 300 + "1.0\n",
            "a: 0b_\n",
            b"\xff\xfe\0",
        ],
    )
    def test_no_file_of_a_team_ends_the_check(self, broken: str | bytes, checkout: Path) -> None:
        """Neither a kustomization nor the configuration of a plugin."""
        assert len(found(checkout, {f"{FOLDER}/kustomization.yaml": broken})) == 1
        files = {f"{FOLDER}/kustomization.yaml": "transformers: [a.yaml]\n"}
        assert len(found(checkout, {**files, f"{FOLDER}/a.yaml": broken})) == 1

    def test_a_manifest_too_deep(self, checkout: Path) -> None:
        """That kustomize builds: what it returns is the team's as well."""
        deep = "[" * 3000 + "]" * 3000
        (said,) = found(checkout, folder(manifest("v1", "A", "a", "", f"a: {deep}\n")))
        assert said == "does not build: kustomize's output: is nested more than 100 deep"

    def test_keys_in_any_case(self, checkout: Path) -> None:
        """As kustomize takes them."""
        files = folder(config_map("a", ""), Namespace="billing-dev", commonLabels={"A": "b"})
        result = check(checkout, files)
        assert result.findings == []
        assert [built.name for built in result.objects] == ["ConfigMap billing-dev/a"]

    def test_without_a_kustomization(self, checkout: Path) -> None:
        """Flux lists what is there, folders with a kustomization of their own as one."""
        files = {
            f"{FOLDER}/a.yaml": config_map("a", ""),
            f"{FOLDER}/README.md": "# A\n",
            f"{FOLDER}/b/b.yml": config_map("b", ""),
            f"{FOLDER}/c/kustomization.yaml": kustomization("c.yaml"),
            f"{FOLDER}/c/c.yaml": config_map("c", ""),
            f"{FOLDER}/c/not-listed.yaml": config_map("d", ""),
        }
        result = check(checkout, files)
        assert result.findings == []
        assert [built.metadata["name"] for built in result.objects] == ["a", "b", "c"]

    @pytest.mark.parametrize("content", ["resources: []\n", "namespace: billing-dev\n"])
    def test_nothing_any_more(self, content: str, checkout: Path) -> None:
        """Flux removes what was there."""
        result = check(checkout, {f"{FOLDER}/kustomization.yaml": content})
        assert (result.objects, result.findings) == ([], [])
        assert check(checkout, {f"{FOLDER}/kustomization.yaml": "", "a": ""}).findings == []

    def test_what_flux_does_not_fetch(self, checkout: Path) -> None:
        files: Files = {
            ".git/config": "broken",
            ".github/workflow.yaml": "on: push\n",
            "module/.git": "gitdir: elsewhere\n",
            "module/a.yaml": "broken",
            "cloudbuild.yaml": "steps: []\n",
            "link.yaml": Path("/etc/hostname"),
            "a.yaml": config_map("a", ""),
        }
        register(checkout, more=", path: ./")
        result = check(checkout, files)
        assert result.findings == []
        assert len(result.objects) == 1

    def test_a_base_within_the_repository(self, checkout: Path) -> None:
        files = {
            "base/kustomization.yaml": kustomization("a.yaml"),
            "base/a.yaml": config_map("a", ""),
            "config/a.txt": "a\n",
            f"{FOLDER}/kustomization.yaml": kustomization("../../base")
            + "configMapGenerator: [{name: b, files: [a=../../config/a.txt], literals: [c=//d]}]\n"
            + "commonLabels: {env: dev}\n",
        }
        result = check(checkout, files)
        assert result.findings == []
        assert len(result.objects) == 2

    def test_what_stands_in_the_kustomization_itself(self, checkout: Path) -> None:
        labels = "apiVersion: builtin\nkind: LabelTransformer\nmetadata: {name: a}\n"
        labels += "labels: {a: b}\nfieldSpecs: [{path: metadata/labels, create: true}]\n"
        inline = json.dumps({**thing("v1", "ConfigMap"), "data": {"key": "a" * 300}})
        files = folder(config_map("a", ""), transformers=[labels], patchesStrategicMerge=[inline])
        (built,) = check(checkout, files).objects
        assert built.metadata["labels"] == {"a": "b"}
        assert built.content["data"] == {"key": "a" * 300}

    def test_a_clone_that_cannot_be_read(
        self, checkout: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(*_: object, **__: object) -> None:
            raise PermissionError(13, "Permission denied", "a.yaml")

        monkeypatch.setattr("shutil.copytree", refuse)
        with pytest.raises(FleetError, match=r"billing-apps: cannot be read: .*Permission denied"):
            check(checkout, healthy())

    def test_a_date_is_a_text(self, checkout: Path) -> None:
        """As in Kubernetes; this one is no day."""
        text = manifest("v1", "ConfigMap", "a", "", "data: {a: 2026-99-99}\n")
        (built,) = check(checkout, folder(text)).objects
        assert built.content["data"] == {"a": "2026-99-99"}


class TestReferences:
    REMOTE = "is remote, and Flux takes nothing from elsewhere; copy it into the repository"

    @pytest.fixture(autouse=True)
    def nothing_is_built(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """For that might go to the network, or read what is not the team's."""

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
    def test_a_remote_base(self, key: str, base: str, checkout: Path) -> None:
        files = {f"{FOLDER}/kustomization.yaml": yaml.safe_dump({key: [base]})}
        assert found(checkout, files) == [
            f"{FOLDER}/kustomization.yaml: {key.lower()}: {base}: {self.REMOTE}"
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
    def test_anything_else_remote(
        self, content: dict[str, Any], reference: str, checkout: Path
    ) -> None:
        files = {f"{FOLDER}/kustomization.yaml": yaml.safe_dump(content)}
        assert found(checkout, files) == [
            f"{FOLDER}/kustomization.yaml: {reference}: {self.REMOTE}"
        ]

    def test_in_a_base_and_in_the_file_of_a_generator(self, checkout: Path) -> None:
        files = {
            f"{FOLDER}/kustomization.yaml": kustomization("../base"),
            "deploy/base/kustomization.yaml": "generators: [generator.yaml]\n",
            "deploy/base/generator.yaml": "kind: ConfigMapGenerator\nfiles: [https://a.b/c]\n",
        }
        assert found(checkout, files) == [
            "deploy/base/kustomization.yaml: generators: files: https://a.b/c: " + self.REMOTE,
        ]

    def test_in_what_flux_lists(self, checkout: Path) -> None:
        """Without a kustomization, folders that have one, and whatever their names are."""
        files = {
            f"{FOLDER}/a.yaml": config_map("a", ""),
            f"{FOLDER}/b/c/kustomization.yaml": kustomization("https://a.b/c"),
            f"{FOLDER}/git@a.b:c/d.yaml": config_map("d", ""),
        }
        assert found(checkout, files) == [
            f"{FOLDER}/b/c/kustomization.yaml: resources: https://a.b/c: {self.REMOTE}",
            f"{FOLDER}/kustomization.yaml: resources: git@a.b:c/d.yaml: {self.REMOTE}",
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
    def test_two_keys_that_are_one(self, key: str, other: str, checkout: Path) -> None:
        text = yaml.safe_dump({key: ["https://a.b/c"], other: []}, sort_keys=False)
        assert found(checkout, {f"{FOLDER}/kustomization.yaml": text}) == [
            f"{FOLDER}/kustomization.yaml: {UNCHECKED}: key {other} is there twice, in "
            "another case; keep one"
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
    def test_what_programs_read_differently(self, text: str, said: str, checkout: Path) -> None:
        (problem,) = found(checkout, {f"{FOLDER}/kustomization.yaml": text})
        assert problem.startswith(
            f"{FOLDER}/kustomization.yaml: {UNCHECKED}: kustomization.yaml: {said}"
        )

    @pytest.mark.parametrize("name", ["1:30", "10", "yes", "1e3"])
    def test_a_folder_whose_name_may_be_no_text(self, name: str, checkout: Path) -> None:
        files = {
            f"{FOLDER}/kustomization.yaml": f"resources: [{name}]\n",
            f"{FOLDER}/{name}/kustomization.yaml": kustomization("https://a.b/c"),
        }
        assert found(checkout, files) == [
            f"{FOLDER}/{name}/kustomization.yaml: resources: https://a.b/c: {self.REMOTE}"
        ]

    def test_the_configuration_of_plugins_in_a_folder(self, checkout: Path) -> None:
        """What is in it may come from a component, and be changed by patches."""
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
    def test_the_configuration_of_any_other_plugin(
        self, key: str, kind: str, checkout: Path
    ) -> None:
        text = yaml.safe_dump(
            {"kind": kind, "items": [{"kind": "ConfigMapGenerator", "files": ["/etc/hostname"]}]}
        )
        said = f"{UNCHECKED}: kind {kind} is no plugin of kustomize's own; remove it"
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
    def test_a_file_or_the_content_itself(self, name: str, checkout: Path) -> None:
        files = {
            f"{FOLDER}/kustomization.yaml": yaml.safe_dump({"generators": [name]}),
            f"{FOLDER}/{name}": "",
        }
        (said,) = found(checkout, files)
        assert said.endswith(f"{UNCHECKED}: may be no file, but the content itself; rename it")

    @pytest.mark.parametrize("text", ["../../../other", "/etc/passwd", "../../../clone-of-other"])
    def test_outside_the_repository(self, text: str, checkout: Path) -> None:
        files = {f"{FOLDER}/kustomization.yaml": kustomization(text)}
        assert found(checkout, files) == [
            f"{FOLDER}/kustomization.yaml: resources: {text}: leaves the repository, which Flux "
            "refuses; name something within it"
        ]

    @pytest.mark.parametrize("text", ["a" * 300, "a\0b", "a\nb", "{" + "a" * 300])
    def test_no_name_of_a_file(self, text: str, checkout: Path) -> None:
        files = {f"{FOLDER}/kustomization.yaml": yaml.safe_dump({"resources": [text]})}
        (said,) = found(checkout, files)
        assert said.endswith("is not in what Flux fetches of the clone; add it")

    def test_a_symbolic_link(self, checkout: Path) -> None:
        """Also to a file of the repository itself, and a folder on the way."""
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

    def test_what_is_not_there(self, checkout: Path) -> None:
        assert found(checkout, {f"{FOLDER}/kustomization.yaml": kustomization("a.yaml")}) == [
            f"{FOLDER}/kustomization.yaml: resources: a.yaml: is not in what Flux fetches of the "
            "clone; add it"
        ]


class TestNamespaces:
    def test_of_an_object(self, checkout: Path) -> None:
        objects = [config_map("a", "billing-dev"), config_map("b", "flux-system")]
        result = check(checkout, folder(*objects))
        assert [built.name for built in result.objects] == [
            "ConfigMap billing-dev/a",
            "ConfigMap billing-dev/b",
        ]
        assert [str(finding) for finding in result.findings] == [
            f"{FILE}: ConfigMap flux-system/b: {WHERE}: names namespace flux-system; Flux puts it "
            "into billing-dev; remove metadata.namespace"
        ]

    def test_of_the_kustomization(self, checkout: Path) -> None:
        """One finding, not one for each object."""
        files = folder(config_map("a", ""), config_map("b", ""), namespace="billing")
        assert found(checkout, files) == [
            "namespace: billing: Flux puts all into billing-dev instead; remove it"
        ]

    def test_two_that_become_one(self, checkout: Path) -> None:
        """Said without what is in them."""
        secret = manifest("v1", "Secret", "a", "one", "stringData: {a: hidden}\n")
        result = found(checkout, folder(secret, secret.replace("one", "billing-dev")))
        assert result == [
            "Secret one/a: is Secret billing-dev/a once both are in one namespace; remove or "
            "rename one",
            "Secret one/a: names namespace one; Flux puts it into billing-dev; remove "
            "metadata.namespace",
        ]

    def test_the_teams_own_transformer_comes_after_flux(self, checkout: Path) -> None:
        transformer = (
            "apiVersion: builtin\nkind: NamespaceTransformer\n"
            "metadata: {name: a, namespace: flux-system}\n"
        )
        files = folder(config_map("a", ""), transformers=[transformer])
        assert found(checkout, files) == [
            "ConfigMap flux-system/a: ends up in namespace flux-system, where the team has no "
            "rights; keep it here",
            "ConfigMap flux-system/a: names namespace flux-system; Flux puts it into billing-dev; "
            "remove metadata.namespace",
        ]


class TestKinds:
    NEVER = "are the platform's, and refused to the team; remove it"
    NOT_YET = "; remove it, or ask the platform for another role or for extraKinds"

    @pytest.mark.parametrize(
        ("api", "kind", "said"),
        [
            (attacks.RBAC, "ClusterRole", f"clusterroles.{attacks.RBAC[:-3]} {NEVER}"),
            (attacks.RBAC, "RoleBinding", f"rolebindings.{attacks.RBAC[:-3]} {NEVER}"),
            ("v1", "Namespace", f"namespaces {NEVER}"),
            ("v1", "LimitRange", f"limitranges {NEVER}"),
            ("networking.k8s.io/v1", "NetworkPolicy", f"networkpolicies.networking.k8s.io {NEVER}"),
            (attacks.HELM, "HelmRelease", f"helmreleases.helm.toolkit.fluxcd.io {NEVER}"),
            ("v1", "ServiceAccount", f"the team's role has no serviceaccounts{NOT_YET}"),
            ("apps/v1", "DaemonSet", f"the team's role has no daemonsets.apps{NOT_YET}"),
            (
                "networking.k8s.io/v1",
                "Ingress",
                f"the team's role has no ingresses.networking.k8s.io{NOT_YET}",
            ),
            # The group counts, not only the name.
            (
                "example.com/v1",
                "ConfigMap",
                f"the team's role has no configmaps.example.com{NOT_YET}",
            ),
        ],
    )
    def test_that_its_role_does_not_have(
        self, api: str, kind: str, said: str, checkout: Path
    ) -> None:
        (line,) = found(checkout, folder(thing(api, kind)))
        assert line.endswith(f": {said}")
        assert line.startswith(f"{kind} ")

    def test_what_it_may_only_see(self, checkout: Path) -> None:
        """Reading alone applies nothing."""
        (said,) = found(checkout, folder(thing("v1", "Pod", spec=pod())))
        assert "has no pods" in said

    def test_more_kinds(self, checkout: Path) -> None:
        extra = (
            ", role: published, extraKinds: [{apiGroup: '', resources: [pods, serviceaccounts]}]"
        )
        register(checkout, more=extra)
        objects = [
            thing("v1", "Pod", spec=pod() | {"serviceAccountName": "b"}),
            thing("v1", "ServiceAccount", "b"),
            thing("networking.k8s.io/v1", "Ingress"),
            thing("gateway.networking.k8s.io/v1", "HTTPRoute"),
        ]
        assert found(checkout, folder(*objects)) == []

    def test_a_pod_by_itself_is_refused_as_a_whole(self, checkout: Path) -> None:
        register(checkout, more=", extraKinds: [{apiGroup: '', resources: [pods]}]")
        broken = thing("v1", "Pod", spec=pod(securityContext=SECURITY | {"privileged": True}))
        (said,) = found(checkout, folder(broken))
        assert said.startswith("Pod billing-dev/a: refused: Pod Security restricted: ")

    def test_a_kind_of_the_whole_cluster(self, checkout: Path) -> None:
        """No role of a namespace gives rights to it."""
        extra = ", extraKinds: [{apiGroup: storage.k8s.io, resources: [storageclasses]}]"
        register(checkout, more=extra)
        assert found(checkout, folder(thing("storage.k8s.io/v1", "StorageClass"))) == [
            "StorageClass a: storageclasses.storage.k8s.io are of the whole cluster, where the "
            "team has no rights; remove it"
        ]

    def test_line_breaks_stay_out_of_what_is_told(self, checkout: Path) -> None:
        broken = pod() | {"priorityClassName": "a", "serviceAccountName": "b\nc: d"}
        (said,) = found(checkout, folder(workload(broken)))
        assert "ServiceAccount b c: d;" in said

    def test_the_fences_own(self, checkout: Path) -> None:
        """Whatever kinds the team may have."""
        register(checkout, more=", extraKinds: [{apiGroup: '', resources: [serviceaccounts]}]")
        assert found(checkout, folder(thing("v1", "ServiceAccount", "tenant"))) == [
            "ServiceAccount billing-dev/tenant: is part of the team's fence, which the platform "
            "keeps; remove it"
        ]

    def test_what_is_refused_uses_nothing(self, checkout: Path) -> None:
        big = workload(pod(), kind="DaemonSet", replicas=1000)
        assert len(found(checkout, folder(big))) == 1

    # The kinds whose plural is not just an s more; a test must know them by itself.
    PLURALS: Mapping[str, str] = {
        "backendtlspolicy": "backendtlspolicies",
        "cleanuppolicy": "cleanuppolicies",
        "clustercleanuppolicy": "clustercleanuppolicies",
        "clusterpolicy": "clusterpolicies",
        "componentstatus": "componentstatuses",
        "csistoragecapacity": "csistoragecapacities",
        "deletingpolicy": "deletingpolicies",
        "deviceclass": "deviceclasses",
        "endpoints": "endpoints",
        "gatewayclass": "gatewayclasses",
        "generatingpolicy": "generatingpolicies",
        "gitrepository": "gitrepositories",
        "globalcontextentry": "globalcontextentries",
        "helmrepository": "helmrepositories",
        "imagevalidatingpolicy": "imagevalidatingpolicies",
        "ingress": "ingresses",
        "ingressclass": "ingressclasses",
        "ipaddress": "ipaddresses",
        "mutatingadmissionpolicy": "mutatingadmissionpolicies",
        "mutatingpolicy": "mutatingpolicies",
        "namespaceddeletingpolicy": "namespaceddeletingpolicies",
        "namespacedgeneratingpolicy": "namespacedgeneratingpolicies",
        "namespacedimagevalidatingpolicy": "namespacedimagevalidatingpolicies",
        "namespacedmutatingpolicy": "namespacedmutatingpolicies",
        "namespacedvalidatingpolicy": "namespacedvalidatingpolicies",
        "networkpolicy": "networkpolicies",
        "ocirepository": "ocirepositories",
        "policy": "policies",
        "priorityclass": "priorityclasses",
        "runtimeclass": "runtimeclasses",
        "storageclass": "storageclasses",
        "validatingadmissionpolicy": "validatingadmissionpolicies",
        "validatingpolicy": "validatingpolicies",
        "volumeattributesclass": "volumeattributesclasses",
    }

    def test_plurals_of_all_kinds(self) -> None:
        named = {file.name.rpartition("_")[0] for file in schemas.folder().rglob("*.json")}
        kinds = named - {"status", "apiversions", "apigroup"}  # answers, not objects
        assert {"gateway", "httproute", "deployment", "kustomization", *self.PLURALS} <= kinds
        for kind in kinds:
            assert tenant_findings.plural(kind) == self.PLURALS.get(kind, f"{kind}s")

    def test_plurals_as_crds_say(self) -> None:
        stack = load.stack(REPOSITORY, "dev")
        text = flux_release.read_for_review(stack.config.flux, REPOSITORY)
        documents = yaml.load_all(text, Loader=yaml.CSafeLoader)
        names = [
            item["spec"]["names"]
            for item in documents
            if item and item["kind"] == "CustomResourceDefinition"
        ]
        assert len(names) > 8
        for name in names:
            assert tenant_findings.plural(name["kind"]) == name["plural"]


class TestPods:
    @pytest.mark.parametrize(
        ("api", "kind"),
        [("apps/v1", "Deployment"), ("apps/v1", "StatefulSet"), ("batch/v1", "Job"),
         ("batch/v1", "CronJob")],
    )  # fmt: skip
    def test_pod_security(self, api: str, kind: str, checkout: Path) -> None:
        """Kubernetes judges the pods, not what makes them."""
        spec: dict[str, Any] = {"template": {"spec": pod() | {"hostNetwork": True}}}
        spec = {"jobTemplate": {"spec": spec}} if kind == "CronJob" else spec
        assert found(checkout, folder(thing(api, kind, spec=spec))) == [
            f"{kind} billing-dev/a: accepted, but its pods are refused: Pod Security restricted: "
            "the pod has hostNetwork: true; remove it"
        ]

    def test_the_teams_own_level(self, checkout: Path) -> None:
        plain = workload({"containers": [{"name": "a", "image": "a"}]})
        assert len(found(checkout, folder(plain))) == 4
        register(checkout, more=", podSecurity: baseline")
        assert found(checkout, folder(plain)) == []

    def test_limits(self, checkout: Path) -> None:
        register(checkout, more=", limits: {max: {memory: 128Mi}, default: {memory: 64Mi}}")
        asked = workload(pod(resources={"limits": {"memory": "256Mi"}}))
        assert found(checkout, folder(asked)) == [
            "Deployment billing-dev/a: accepted, but its pods are refused: container a: "
            "limits.memory 256Mi is more than the 128Mi of one container; lower it"
        ]

    @pytest.mark.parametrize("name", ["system-node-critical", "system-cluster-critical"])
    def test_priority(self, name: str, checkout: Path) -> None:
        assert found(checkout, folder(workload(pod() | {"priorityClassName": name}))) == [
            "Deployment billing-dev/a: accepted, but its pods are refused: priorityClassName "
            f"{name} is for the cluster's own pods; remove it"
        ]
        assert found(checkout, folder(workload(pod() | {"priorityClassName": "low"}))) == []

    def test_an_account_that_nobody_makes(self, checkout: Path) -> None:
        assert found(checkout, folder(workload(pod() | {"serviceAccountName": "b"}))) == [
            "Deployment billing-dev/a: accepted, but its pods are refused: the namespace has no "
            "ServiceAccount b; remove serviceAccountName"
        ]
        for account in ("tenant", "default"):
            own = workload(pod() | {"serviceAccountName": account})
            assert found(checkout, folder(own)) == []

    def test_quota(self, checkout: Path) -> None:
        """Over all objects, with what the namespace's defaults add."""
        register(checkout, more=", quota: {requests.cpu: 100m}")
        objects = [workload(pod(), replicas=2), workload(pod(), kind="StatefulSet")]
        assert found(checkout, folder(*objects)) == [
            "ResourceQuota tenant: 0.15 requests.cpu in all (Deployment billing-dev/a: 0.1, "
            "StatefulSet billing-dev/a: 0.05), and the quota is 100m; Kubernetes accepts the "
            "workloads and refuses the pods beyond it; need less, or ask the platform for more"
        ]

    @pytest.mark.parametrize(
        ("kind", "credentials", "held"),
        [("ConfigMap", "", True), ("Secret", TOKEN, True), ("Secret", "", False)],
    )
    def test_quota_of_what_the_platform_has_there(
        self, kind: str, credentials: str, held: bool, checkout: Path
    ) -> None:
        """kube-root-ca.crt, and with what Flux reads the repository."""
        register(checkout, more=f", quota: {{{kind.lower()}s: 1}}", credentials=credentials)
        said = found(checkout, folder(thing("v1", kind)))
        assert ["1 of them the platform's" in line for line in said] == ([True] if held else [])


class TestTeams:
    def stack(self) -> Any:  # noqa: ANN401 - what check takes
        return load.stack(TENANCY, "prod-us-east-1")

    def test_each_by_its_own_fence(self, tmp_path: Path) -> None:
        """Two teams may do what the third may not, and one has its wiring elsewhere."""
        ingress = manifest("networking.k8s.io/v1", "Ingress", "a")
        for name, path in (
            ("audit", "manifests/production"),
            ("billing", "deploy/prod"),
            ("legacy", "deploy/prod"),
        ):
            write(tmp_path, {f"{name}-apps/{path}/a.yaml": ingress})
        result = tenant_findings.check(tmp_path, [self.stack()])
        assert (result.checked, result.not_checked) == (3, [])
        assert [(finding.file, finding.object) for finding in sorted(result.findings)] == [
            ("billing-apps/deploy/prod", "Ingress billing-prod/a"),
            ("legacy-apps/deploy/prod", "Ingress legacy-prod/a"),
        ]

    def test_one_without_a_clone(self, tmp_path: Path) -> None:
        write(tmp_path, {"billing-apps/deploy/prod/a.yaml": config_map("a", "")})
        result = tenant_findings.check(tmp_path, [self.stack(), self.stack()])
        assert result.findings == []
        assert (result.checked, len(result.objects)) == (2, 2)
        assert result.not_checked == [
            f"{name}: no clone in {tmp_path}/{name}-apps, not checked"
            for name in ("audit", "legacy")
        ]

    @pytest.mark.parametrize(
        "url", [f"{URL}.git", f"{URL}/", "ssh://git@github.com:22/acme/billing-apps.git"]
    )
    def test_the_folder_is_as_git_names_it(self, url: str, checkout: Path) -> None:
        register(
            checkout,
            credentials=TOKEN.replace("{token: {secure: c2VjcmV0}}", "{privateKey: {secure: c2Vj"
                                      "cmV0}, knownHosts: a}") if "ssh" in url else "",
            url=url,
        )  # fmt: skip
        assert check(checkout, healthy()).checked == 1

    def test_one_folder_for_two_repositories(self, tmp_path: Path, checkout: Path) -> None:
        teams = "".join(
            f"    - {{name: {name}, repository: {{url: https://github.com/{name}/apps}}}}\n"
            for name in ("one", "two")
        )
        more = f"  fleet:tenants:\n{teams}"
        write(checkout, {"Pulumi.dev.yaml": stack_file("dev", more=more)})
        (tmp_path / "apps").mkdir()
        result = tenant_findings.check(tmp_path, [load.stack(checkout, "dev")])
        assert (result.checked, result.findings) == (0, [])
        assert result.not_checked == [
            f"{name}: {tmp_path}/apps may be one of https://github.com/one/apps and "
            "https://github.com/two/apps, not checked"
            for name in ("one", "two")
        ]


class TestCommand:
    @pytest.fixture(autouse=True)
    def registered(self, checkout: Path) -> None:
        with_manifests(checkout)
        register(checkout)

    def test_nothing_found(self, checkout: Path, fleet: Run) -> None:
        ended = fleet("check", "--root", checkout, "--tenants", clone(checkout, healthy()))
        assert (ended.code, ended.err) == (0, "")
        clusters, teams, _, findings = ended.out.split(", ")
        assert (clusters, teams, findings) == ("2 clusters", "1 teams", "0 findings\n")

    def test_without_the_option_nothing_is_different(self, checkout: Path, fleet: Run) -> None:
        clone(checkout, folder("broken"))
        ended = fleet("check", "--root", checkout, "--json")
        assert (ended.code, ended.err) == (0, "")
        assert set(json.loads(ended.out)) == {"clusters", "objects", "findings", "withoutSchema"}

    def test_findings(self, checkout: Path, fleet: Run) -> None:
        """Those of schemas too; always in the same order."""
        objects: list[Mapping[str, Any] | str] = [
            thing("v1", "Namespace", "b"),
            manifest("v1", "ConfigMap", "a", "", "dat: {}\n"),
        ]
        clones = clone(checkout, folder(*objects))
        args = ("check", "--root", checkout, "--tenants", clones)
        ended = fleet(*args)
        assert (ended.code, ended.err) == (1, "")
        assert ended.out.splitlines()[:-1] == [
            f"{FILE}: ConfigMap billing-dev/a: additional properties 'dat' not allowed",
            f"{FILE}: Namespace billing-dev: {WHERE}: namespaces are the platform's, and refused "
            "to the team; remove it",
        ]
        assert ended.out.endswith(" 2 findings\n")
        assert fleet(*args) == ended

    def test_json(self, checkout: Path, fleet: Run) -> None:
        clones = clone(checkout, folder(config_map("a", "b")))
        ended = fleet("check", "--root", checkout, "--tenants", clones, "--json")
        assert (ended.code, ended.err) == (1, "")
        report = json.loads(ended.out)
        assert (report["teams"], report["notChecked"]) == (1, [])
        (finding,) = report["findings"]
        assert (finding["file"], finding["object"]) == (FILE, "ConfigMap b/a")

    def test_no_clone(self, checkout: Path, tmp_path: Path, fleet: Run) -> None:
        """It is said, on standard error and to programs, and is no finding."""
        line = f"billing: no clone in {tmp_path}/billing-apps, not checked"
        args = ("check", "--root", checkout, "--tenants", tmp_path)
        ended = fleet(*args)
        assert (ended.code, ended.err) == (0, f"{line}\n")
        assert ", 0 teams, " in ended.out
        ended = fleet(*args, "--json")
        report = json.loads(ended.out)
        assert (report["teams"], report["notChecked"]) == (0, [line])

    def test_no_folder(self, checkout: Path, fleet: Run) -> None:
        ended = fleet("check", "--root", checkout, "--tenants", checkout / "none")
        assert (ended.code, ended.out) == (1, "")
        assert ended.err == (
            f"--tenants {checkout}/none: is no folder; name the one with teams' clones\n"
        )


# All of the attack suite that a clone tells. It does not tell what a push of 100 MB does to others,
# nor what a running pod could do; of Flux's kinds, which no team can have, it tells that alone.
ATTACKS = [
    *attacks.ATTACKS,
    attacks.Attack(name="a remote base", resources=("file:///srv/base?ref=main",)),
    attacks.Attack(name="a file by http", resources=("http://127.0.0.1:8080/evil.yaml",)),
    attacks.Attack(
        name="the fence in the inventory",
        objects=(
            attacks.marked(
                attacks.thing("v1", "ServiceAccount", attacks.ACCOUNT),
                annotations={"kustomize.toolkit.fluxcd.io/reconcile": "disabled"},
            ),
        ),
    ),
]


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
def test_what_a_hostile_team_tries_is_found_before_it_is_pushed(
    attack: attacks.Attack, checkout: Path, tmp_path: Path
) -> None:
    """Beside an app that is in order, and nothing else is found in it."""
    more = (
        "  fleet:tenants:\n    - {name: mallory, repository: {url: https://a.example/m/mallory}}\n"
    )
    write(checkout, {"Pulumi.dev.yaml": stack_file("dev", more=more)})
    team = SandboxTeam(sandbox=cast(Sandbox, None), name=attacks.HOSTILE)
    for name, content in attacks._files(team, attack).items():
        file = tmp_path / "clones" / "mallory" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, Path):
            file.symlink_to(content)
        else:
            file.write_text(str(content))
    result = tenant_findings.check(tmp_path / "clones", [load.stack(checkout, "dev")])
    assert result.findings
    names = {
        *(f"{item['kind']} " for item in attack.objects),
        *(f"{attacks.FOLDER}/kustomization.yaml: resources: {r}" for r in attack.resources),
        "ResourceQuota tenant",
    }
    for finding in result.findings:
        assert finding.file == f"mallory/{attacks.FOLDER}"
        assert any(finding.object.startswith(name) for name in names)


def test_schemas_hold_for_what_teams_deploy(checkout: Path) -> None:
    register(checkout)
    clones = clone(checkout, folder(thing("apps/v1", "Deploymnt")))
    stack = load.stack(checkout, "dev")
    (checkout / "Pulumi.prod.yaml").unlink()
    report = check_stacks(checkout, [(stack, None)], lambda _: None, clones)
    assert [f.problem for f in report.findings if "no kind" in f.problem] == [
        "apps/v1 has no kind Deploymnt; check apiVersion and kind"
    ]
