"""The program as `pulumi up` runs it."""

from __future__ import annotations

import json
import os
import runpy
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pulumi
import pytest
import yaml

from fleet import process
from fleet.config import load
from fleet.kube import kustomize
from fleet.render import commits, identity_file, tree
from tests.components.helpers import (
    ACCOUNT,
    APPLY_WAVES,
    CONNECTION,
    FILE,
    FLUX,
    FLUX_SYNC,
    GITHUB,
    GITHUB_CONNECTION,
    KUBERNETES,
    MANIFESTS,
    PULL,
    PULLED,
    SECRET,
    STACK,
    SYNC,
    TENANT,
    TREE,
    UID,
    as_applied,
    engine_config,
    names,
    run_program,
)
from tests.components.recording import Recording, run
from tests.support import REPOSITORY, stack_file, write


class TestProgram:
    """Tests that run `__main__.py` as `pulumi up -s dev` does."""

    TOKEN = "hunter2"  # noqa: S105 - a test's

    def record(
        self,
        root: Path,
        *,
        preview: bool = False,
        pull_token: str = "",
        given: Mapping[str, object] | None = None,
    ) -> Recording:
        """Run the program with the config of the files; `given` replaces keys of it."""
        values = engine_config(root) | {"github:token": self.TOKEN}
        if pull_token:
            values["fleet:pullToken"] = pull_token
        values |= {f"fleet:{key}": json.dumps(value) for key, value in (given or {}).items()}
        return run_program(values, preview=preview)

    @pytest.mark.parametrize("preview", [False, True])
    def test_the_resources(self, preview: bool, here: Path) -> None:
        recording = self.record(here, preview=preview)
        kinds = {r.type: r.name for r in recording.resources if not r.custom}
        assert kinds == {
            STACK: "fleet-dev",
            **dict.fromkeys((CONNECTION, GITHUB_CONNECTION, TREE, FLUX, FLUX_SYNC), "dev"),
        }
        stack = load.stack(here, "dev")
        identity = {identity_file.path(stack): identity_file.text(UID)}
        files = tree.render(stack, MANIFESTS) | identity
        assert sorted(names(recording.all(FILE))) == sorted(files)
        assert {f.name: f.inputs["content"] for f in recording.all(FILE)} == files
        messages = commits.commit_messages(stack, files)
        assert {f.name: f.inputs["commitMessage"] for f in recording.all(FILE)} == messages
        applied = [r for r in recording.resources if r.type.startswith("kubernetes:")]
        assert {r.name for r in applied} == set().union(*APPLY_WAVES, ACCOUNT, SYNC, {PULLED})
        assert len(recording.resources) == len(kinds) + 2 + len(files) + len(applied)

    def test_every_resource_is_in_a_component_and_has_an_explicit_provider(
        self, here: Path
    ) -> None:
        recording = self.record(here)
        providers = {
            "github": recording.one(GITHUB).urn,
            "kubernetes": recording.one(KUBERNETES).urn,
        }
        for resource in recording.resources:
            if not resource.custom:
                continue
            assert recording.by_urn(resource.parent).type in (
                CONNECTION,
                GITHUB_CONNECTION,
                TREE,
                FLUX,
                FLUX_SYNC,
            )
            package = resource.type.partition(":")[0]
            if package != "pulumi":
                assert resource.provider == providers[package], resource.name

    def test_the_order(self, here: Path) -> None:
        """Flux has to pull when every file is committed, the entrypoint last."""
        recording = self.record(here)
        files = set(names(recording.all(FILE)))
        entrypoint = recording.one(FILE, "clusters/dev/kustomization.yaml")
        assert [r.name for r in recording.resources if r.protect] == [PULLED]
        assert recording.before(entrypoint) == files - {entrypoint.name}
        apps = recording.one(FILE, "clusters/dev/apps.yaml")
        assert "clusters/dev/apps/kustomization.yaml" in recording.before(apps)
        root = recording.one("kubernetes:kustomize.toolkit.fluxcd.io/v1:Kustomization")
        pull = recording.one(PULL)
        assert {d for d in pull.dependencies if recording.by_urn(d).name in files} == {
            file.urn for file in recording.all(FILE)
        }
        assert recording.before(pull) == files | set().union(*APPLY_WAVES, ACCOUNT) | {SYNC[0]}
        assert recording.before(root) == recording.before(pull) | {PULLED}
        # Objects that do not need Git must not wait for it.
        deployment = recording.one("kubernetes:apps/v1:Deployment")
        assert not recording.before(deployment) & files

    def test_the_same_documents_as_in_the_tree(self, here: Path) -> None:
        recording = self.record(here)
        write(here, tree.render(load.stack(here, "dev"), MANIFESTS))
        folder = here / "clusters/dev/flux-system"
        in_git = list(yaml.safe_load_all(process.run([*kustomize.command(), folder], timeout=60)))
        applied = [
            dict(r.inputs)
            for r in recording.resources
            if r.type.startswith("kubernetes:") and r.type != PULL
        ]
        assert sorted(applied, key=identity) == sorted(map(as_applied, in_git), key=identity)

    def test_the_connection_is_that_of_the_stack_file(self, here: Path) -> None:
        inputs = self.record(here).one(KUBERNETES).inputs
        kubeconfig = json.loads(inputs["kubeconfig"])
        (cluster,), (user,) = kubeconfig["clusters"], kubeconfig["users"]
        assert cluster["cluster"] == {"server": "https://k3d-dev.example.com"}
        assert user["user"]["exec"]["args"] == ["-m", "fleet.identity.credential", "dev", UID]
        assert inputs["context"] == "k3d-dev"
        assert inputs["clusterIdentifier"] == "dev"

    def test_secrets_stay_secret(self, here: Path) -> None:
        more = "  fleet:pullToken: {secure: c2VjcmV0}\n"
        write(here, {"Pulumi.dev.yaml": stack_file("dev", more=more)})
        recording = self.record(here, pull_token="pull-hunter2")  # noqa: S106 - a test's
        assert recording.one(GITHUB).secrets == {"token"}
        secret = recording.one(SECRET)
        assert secret.inputs["stringData"] == {"username": "git", "password": "pull-hunter2"}
        assert any(path.startswith("stringData") for path in secret.secrets)
        for resource in recording.resources:
            if resource.type not in (GITHUB, SECRET):
                assert "hunter2" not in str(resource), resource.name
        assert "hunter2" not in str(recording.outputs)
        source = recording.one("kubernetes:source.toolkit.fluxcd.io/v1:GitRepository")
        assert source.inputs["spec"]["secretRef"] == {"name": "flux-system"}

    def test_a_pull_token_from_esc(self, here: Path) -> None:
        """Without the list, the tree would have no reference to the Secret."""
        text = f"environment: [secrets]\n{stack_file('dev')}"
        write(here, {"Pulumi.dev.yaml": text})
        with pytest.raises(pulumi.RunError, match=r"add pullToken to fleet:escSecrets"):
            self.record(here, pull_token="pull-hunter2")  # noqa: S106 - a test's
        write(here, {"Pulumi.dev.yaml": f"{text}  fleet:escSecrets: [pullToken]\n"})
        recording = self.record(here, pull_token="pull-hunter2")  # noqa: S106 - a test's
        assert "pull-hunter2" in recording.one(SECRET).inputs["stringData"].values()
        sync = recording.one(FILE, "clusters/dev/flux-system/gotk-sync.yaml").inputs["content"]
        source, _ = yaml.safe_load_all(sync)
        assert source["spec"]["secretRef"] == {"name": "flux-system"}

    TENANTS = (
        "  fleet:tenants:\n"
        "    - {name: billing, repository: {url: https://github.com/acme/billing}}\n"
        "    - {name: legacy, repository: {url: https://github.com/acme/legacy},"
        " inFluxSystem: {because: it was there}}\n"
        "    - {name: public, repository: {url: https://github.com/acme/public}}\n"
        "  fleet:tenantCredentials:\n"
        "    billing: {token: {secure: c2VjcmV0}}\n"
        "    legacy: {token: {secure: c2VjcmV0}}\n"
    )

    @pytest.mark.parametrize("preview", [False, True])
    def test_tenants(self, preview: bool, here: Path) -> None:
        """The credentials of a tenant must exist before its file does, and be in no file."""
        write(here, {"Pulumi.dev.yaml": stack_file("dev", more=self.TENANTS)})
        recording = self.record(
            here,
            preview=preview,
            given={
                "tenantCredentials": {
                    "billing": {"token": "billing-hunter2"},
                    "legacy": {"token": "legacy-hunter2"},
                }
            },
        )
        assert sorted(names(recording.all(TENANT))) == ["billing", "legacy", "public"]
        found = {r.name: r for r in recording.all(SECRET)}
        assert {name: r.inputs["stringData"]["password"] for name, r in found.items()} == {
            "billing/Secret/billing-dev/billing-repo": "billing-hunter2",
            "legacy/Secret/flux-system/legacy-repo": "legacy-hunter2",
        }
        for name, secret in found.items():
            assert "stringData" in secret.secrets
            tenant = name.partition("/")[0]
            file = recording.one(FILE, f"clusters/dev/tenants/{tenant}/tenant.yaml")
            assert name in recording.before(file)
            # A failure in one tenant must not keep the files of another from being committed.
            other = recording.one(FILE, "clusters/dev/tenants/public/tenant.yaml")
            assert name not in recording.before(other)
        assert [file for file in recording.all(FILE) if file.secrets] == []
        others = [r for r in recording.resources if r.type != SECRET]
        assert "-hunter2" not in str(others)
        applied = recording.one("kubernetes:core/v1:Namespace", "billing/Namespace/billing-dev")
        text = recording.one(FILE, "clusters/dev/tenants/billing/tenant.yaml").inputs["content"]
        assert dict(applied.inputs) == as_applied(next(yaml.safe_load_all(text)), "tenant-billing")

    PUBLIC = (
        "  fleet:tenants:\n"
        "    - {name: a, repository: {url: https://github.com/acme/a}}\n"
        "    - {name: b, repository: {url: https://github.com/acme/b}}\n"
    )

    @pytest.mark.parametrize(
        "changed",
        [
            {"more": PUBLIC[: PUBLIC.index("    - {name: b")]},
            {"more": ""},
            {"more": PUBLIC, "infrastructure": "namespaces/common"},
        ],
    )
    def test_flux_pulls_what_only_removes_something(
        self, changed: dict[str, str], here: Path
    ) -> None:
        """Remove one tenant of several, all tenants, or a stage: a list that stays changes."""

        def record() -> tuple[Mapping[str, Any], dict[str, Any]]:
            recording = self.record(here)
            contents = {file.name: file.inputs["content"] for file in recording.all(FILE)}
            return recording.one(PULL).inputs, contents

        policies = {"infrastructure": "namespaces/common policies/shared"}
        write(here, {"Pulumi.dev.yaml": stack_file("dev", **policies, more=self.PUBLIC)})
        pull, before = record()
        assert record() == (pull, before)
        write(here, {"Pulumi.dev.yaml": stack_file("dev", **{**policies, **changed})})
        pull_after, after = record()
        assert after.keys() < before.keys()
        assert [path for path in after if after[path] != before[path]]
        assert pull_after != pull

    def test_outputs(self, here: Path) -> None:
        kubectl = f"kubectl --kubeconfig {here}/kubeconfig --context k3d-dev"
        assert self.record(here).outputs == {
            "path": "clusters/dev",
            "repository": "acme/platform",
            "branch": "main",
            "context": "k3d-dev",
            "fluxVersion": "v2.9.2",
            "look": {
                "sync": f"{kubectl} -n flux-system get gitrepositories,kustomizations",
                "releases": f"{kubectl} get helmreleases -A",
                "workloads": f"{kubectl} get deployments,daemonsets -A",
                "tenants": f"{kubectl} get namespaces -l platform.example.com/tenant",
            },
        }

    def refused(self, here: Path, given: Mapping[str, object] | None = None) -> str:
        with pytest.raises(pulumi.RunError) as caught:
            self.record(here, given=given)
        # The engine shows the text of a RunError and of its cause; the user needs one of them.
        assert caught.value.__suppress_context__
        return str(caught.value)

    def test_an_invalid_stack_is_one_line(self, here: Path) -> None:
        write(here, {"Pulumi.dev.yaml": stack_file("dev", apps="podinfo/overlays/prod")})
        said = self.refused(here)
        assert said.startswith(
            "Pulumi.dev.yaml: fleet:apps[0]: 'podinfo/overlays/prod' is for prod"
        )
        assert "\n" not in said

    def test_another_cluster_behind_the_kubeconfig_is_refused(self, here: Path) -> None:
        write(here, {"kubeconfig": "contexts: [{name: k3d-prod}]"})
        assert self.refused(here).endswith("name a context of it: k3d-prod")

    def test_an_ambient_owner_is_refused(self, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("GITHUB_OWNER", "other")
        assert self.refused(here).endswith("unset GITHUB_OWNER")

    def test_another_config_than_the_files_is_refused(self, here: Path) -> None:
        assert self.refused(here, {"apps": ["podinfo/base"]}) == (
            "Pulumi.dev.yaml: fleet:apps: differs from the value that the engine was given; "
            "set it in this file and run without --config-file"
        )

    def test_missing_manifests_are_one_line(self, here: Path) -> None:
        (here / "flux.yaml").unlink()
        assert self.refused(here) == (
            f"fleet:flux.manifests: {here / 'flux.yaml'} does not exist; name another file"
        )

    def test_nothing_is_registered_before_all_is_validated(self, here: Path) -> None:
        (here / "flux.yaml").unlink()
        recordings: list[Recording] = []

        def program() -> None:
            with pytest.raises(pulumi.RunError):
                runpy.run_path(str(REPOSITORY / "__main__.py"), run_name="__main__")

        recordings.append(run(program))
        assert [r.type for r in recordings[0].resources] == [STACK]

    def test_a_missing_token_is_one_line(self, here: Path) -> None:
        with pytest.raises(pulumi.RunError, match=r"github:token"):
            run_program(engine_config(here))


def test_only_components_and_the_program_import_pulumi() -> None:
    """Run a `fleet` command without Pulumi, because people may use it where it is not installed."""
    code = (
        "import sys; sys.modules['pulumi'] = None; "
        "import fleet.cli.main, fleet.check.run, fleet.config.stack_schema; "
        "fleet.cli.main.main(['schema'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        check=False,
        capture_output=True,
        text=True,
        cwd=REPOSITORY,
        env={"PATH": os.environ["PATH"]},
    )
    assert done.returncode == 0, done.stderr


def identity(document: Mapping[str, Any]) -> tuple[str, str]:
    return document["kind"], document["metadata"]["name"]
