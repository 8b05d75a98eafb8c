"""The credential plugin of the provider's kubeconfig, and that kubeconfig."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from fleet.config import connection
from fleet.errors import CommandError, ConfigError
from fleet.identity import cluster, credential, provider_kubeconfig, sign_in
from tests.support import REPOSITORY, write

UID, OTHER = "11111111-1111", "22222222-2222"
SERVER = {"server": "https://dev.example.com"}
AUTHORITY = base64.b64encode(b"the authority").decode()
LINE = "Pulumi.dev.yaml: fleet:cluster.context: 'k3d-dev' in {}/kubeconfig "


@pytest.fixture
def here(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make the checkout the current folder; its kubeconfig leads to the cluster UID."""
    monkeypatch.chdir(checkout)
    monkeypatch.setattr(cluster, "uid", lambda kubeconfig, context: UID)
    context(checkout, {"token": "hunter2"})
    return checkout


def context(
    root: Path, user: Mapping[str, Any], server: Mapping[str, Any] = SERVER, name: str = "k3d-dev"
) -> None:
    """Write a kubeconfig with one context."""
    document = {
        "clusters": [{"name": "c", "cluster": dict(server)}],
        "users": [{"name": "u", "user": dict(user)}],
        "contexts": [{"name": name, "context": {"cluster": "c", "user": "u"}}],
    }
    write(root, {"kubeconfig": yaml.safe_dump(document)})


def asked(server: Mapping[str, Any] = SERVER) -> dict[str, str]:
    """Return the environment in which a Kubernetes client runs a plugin."""
    spec = {"interactive": False, "cluster": {**server, "config": None}}
    info = {"apiVersion": sign_in.API_VERSION, "kind": "ExecCredential", "spec": spec}
    return {sign_in.ASKED: json.dumps(info)}


def status(root: Path, server: Mapping[str, Any] = SERVER) -> dict[str, Any]:
    """Return the credential that the plugin gives for stack dev and the cluster UID."""
    answer = credential.credential(root, "dev", UID, asked(server))
    assert answer["apiVersion"] == "client.authentication.k8s.io/v1"
    assert answer["kind"] == "ExecCredential"
    found: dict[str, Any] = answer["status"]
    return found


def refused(root: Path, server: Mapping[str, Any] = SERVER) -> str:
    with pytest.raises(ConfigError) as caught:
        credential.credential(root, "dev", UID, asked(server))
    (problem,) = caught.value.problems
    assert problem.startswith(LINE.format(root))
    return problem.removeprefix(LINE.format(root))


def inline(root: Path, stack: str = "dev") -> dict[str, Any]:
    """Return the kubeconfig of the provider."""
    text = provider_kubeconfig.render(root, stack, connection.read(root, stack), UID)
    found: dict[str, Any] = json.loads(text)
    return found


class TestCredential:
    """Credentials of the context, when it leads to the cluster."""

    def test_a_token(self, here: Path) -> None:
        assert status(here) == {"token": "hunter2"}

    def test_the_token_of_a_file_beside_the_kubeconfig(self, here: Path) -> None:
        """A file is preferred, because another program can renew it at any time."""
        write(here, {"token": "of-a-file\n"})
        context(here, {"tokenFile": "token", "token": "old"})
        assert status(here) == {"token": "of-a-file"}

    def test_a_certificate(self, here: Path) -> None:
        key = base64.b64encode(b"a key").decode()
        write(here, {"client.crt": "a certificate"})
        context(here, {"client-certificate": "client.crt", "client-key-data": key})
        assert status(here) == {
            "clientCertificateData": "a certificate",
            "clientKeyData": "a key",
        }

    def test_the_answer_of_the_contexts_own_plugin(self, here: Path) -> None:
        """The plugin gets its arguments, its variables and what it is asked for."""
        plugin = here / "plugin"
        plugin.write_text(
            f"#!{sys.executable}\n"
            "import json, os, sys\n"
            "asked = json.loads(os.environ['KUBERNETES_EXEC_INFO'])\n"
            "token = [sys.argv[1:], os.environ['ACCOUNT'], asked]\n"
            "print(json.dumps({'apiVersion': asked['apiVersion'], 'status': {'token': token}}))\n"
        )
        plugin.chmod(0o755)
        version = "client.authentication.k8s.io/v1beta1"
        context(
            here,
            {
                "exec": {
                    "apiVersion": version,
                    "command": "./plugin",
                    "args": ["--region", 1],
                    "env": [{"name": "ACCOUNT", "value": "dev"}],
                    "provideClusterInfo": True,
                }
            },
        )
        spec = {"interactive": False, "cluster": SERVER}
        asked_for = {"apiVersion": version, "kind": "ExecCredential", "spec": spec}
        assert status(here) == {"token": [["--region", "1"], "dev", asked_for]}

    def test_only_the_connection_of_the_stack_file_has_to_be_valid(self, here: Path) -> None:
        text = (here / "Pulumi.dev.yaml").read_text().replace("podinfo/overlays/dev", "gone")
        write(here, {"Pulumi.dev.yaml": text})
        assert status(here) == {"token": "hunter2"}


class TestRefusals:
    """Reasons for which nobody gets a credential."""

    def test_another_cluster(self, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(cluster, "uid", lambda kubeconfig, context: OTHER)
        assert refused(here) == (
            f"leads to the cluster {OTHER}, but the state of dev is for the cluster {UID}; "
            "correct the context, or run `pulumi up --run-program -s dev` if it was rebuilt"
        )

    def test_no_answer(self, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def unreachable(kubeconfig: Path, context: str) -> str:
            raise CommandError("kubectl: exit 1: refused")

        monkeypatch.setattr(cluster, "uid", unreachable)
        assert refused(here) == (
            "cannot be reached: kubectl: exit 1: refused; "
            "repair the connection and run the same command again"
        )

    @pytest.mark.parametrize(
        "used",
        [
            {"server": "https://old.example.com"},
            {**SERVER, "certificate-authority-data": AUTHORITY},
            {**SERVER, "insecure-skip-tls-verify": True},
            {**SERVER, "proxy-url": "http://proxy.example.com"},
        ],
    )
    def test_an_address_of_the_past(self, used: dict[str, Any], here: Path) -> None:
        """The address could by now be that of another cluster, or of nobody who may know it."""
        assert refused(here, used) == (
            "reaches the cluster at https://dev.example.com, but the state of dev has another "
            f"address ({used['server']}), certificate authority or proxy; "
            "run `pulumi up --run-program -s dev`"
        )

    @pytest.mark.parametrize(
        ("user", "reason"),
        [
            (
                {"username": "admin", "password": "hunter2"},
                "signs in with a password; use a token, a client certificate or an exec plugin",
            ),
            (
                {"auth-provider": {"name": "gcp"}},
                "signs in by an auth-provider, which Kubernetes has removed; use an exec plugin",
            ),
            (
                {"exec": {"apiVersion": "client.authentication.k8s.io/v1alpha1", "command": "c"}},
                "has an exec plugin of client.authentication.k8s.io/v1alpha1; "
                "use client.authentication.k8s.io/v1",
            ),
            ({}, "has no credential; give it a token, a client certificate or an exec plugin"),
        ],
    )
    def test_a_user_whose_credential_cannot_be_passed_on(
        self, user: dict[str, Any], reason: str, here: Path
    ) -> None:
        """The program refuses it too, before it writes anything."""
        context(here, user)
        assert refused(here) == reason
        with pytest.raises(ConfigError) as caught:
            inline(here)
        assert caught.value.problems == (LINE.format(here) + reason,)

    @pytest.mark.parametrize(
        ("user", "reason"),
        [
            ({"tokenFile": "token"}, "No such file or directory"),
            ({"client-certificate-data": "-"}, "client-certificate-data is not base64"),
            (
                {"exec": {"apiVersion": sign_in.API_VERSION, "command": "no-such-plugin"}},
                "no-such-plugin: not found; install it or put it on PATH",
            ),
            (
                {"exec": {"apiVersion": sign_in.API_VERSION, "command": "echo", "args": ["{}"]}},
                "echo: its answer is no ExecCredential with a status",
            ),
        ],
    )
    def test_a_credential_that_cannot_be_had(
        self, user: dict[str, Any], reason: str, here: Path
    ) -> None:
        context(here, user)
        said = refused(here)
        assert said.startswith("cannot sign in: ")
        assert reason in said

    def test_a_stack_file_without_a_connection(self, here: Path) -> None:
        write(here, {"Pulumi.dev.yaml": "config: {}\n"})
        with pytest.raises(ConfigError, match=r"^Pulumi\.dev\.yaml: fleet:cluster: "):
            credential.credential(here, "dev", UID, asked())

    def test_a_missing_stack_file(self, here: Path) -> None:
        (here / "Pulumi.dev.yaml").unlink()
        with pytest.raises(ConfigError, match=r"^Pulumi\.dev\.yaml: cannot be read"):
            credential.credential(here, "dev", UID, asked())


class TestProviderKubeconfig:
    """The text that the state keeps."""

    def test_it_has_one_context_and_no_credential(self, here: Path) -> None:
        text = json.dumps(inline(here))
        assert "hunter2" not in text
        assert str(here) not in text
        document = inline(here)
        assert document["contexts"] == [
            {"name": "k3d-dev", "context": {"cluster": "k3d-dev", "user": "k3d-dev"}}
        ]
        assert document["clusters"] == [{"name": "k3d-dev", "cluster": SERVER}]
        (user,) = document["users"]
        assert user["user"] == {
            "exec": {
                "apiVersion": "client.authentication.k8s.io/v1",
                "command": ".venv/bin/python",
                "args": ["-m", "fleet.identity.credential", "dev", UID],
                "interactiveMode": "Never",
                "provideClusterInfo": True,
                "installHint": "Run `pulumi install` in the folder of Pulumi.yaml.",
            }
        }

    def test_the_cluster_without_paths(self, here: Path) -> None:
        write(here, {"ca.crt": "the authority"})
        more = {"tls-server-name": "name", "proxy-url": "http://proxy.example.com", "x": "left out"}
        context(here, {"token": "t"}, {**SERVER, "certificate-authority": "ca.crt", **more})
        expected = {**SERVER, **more, "certificate-authority-data": AUTHORITY}
        del expected["x"]
        assert inline(here)["clusters"][0]["cluster"] == expected
        assert status(here, expected) == {"token": "t"}

    def test_impersonation_stays(self, here: Path) -> None:
        context(here, {"token": "t", "as": "admin", "as-groups": ["system:masters"]})
        user = inline(here)["users"][0]["user"]
        assert user["as"] == "admin"
        assert user["as-groups"] == ["system:masters"]

    def test_the_virtual_environment_is_that_of_the_project(self, here: Path) -> None:
        project = (here / "Pulumi.yaml").read_text()
        runtime = "runtime: {name: python, options: {virtualenv: venv}}"
        write(here, {"Pulumi.yaml": project.replace("runtime: python", runtime)})
        assert inline(here)["users"][0]["user"]["exec"]["command"] == "venv/bin/python"

    def test_a_password_in_a_proxy_url_is_refused(self, here: Path) -> None:
        proxy = {"proxy-url": "http://me:hunter2@proxy.example.com"}
        context(here, {"token": "t"}, {**SERVER, **proxy})
        with pytest.raises(ConfigError, match="would show; use HTTPS_PROXY") as caught:
            inline(here)
        assert "hunter2" not in str(caught.value)

    def test_a_missing_authority_is_one_line(self, here: Path) -> None:
        context(here, {"token": "t"}, {**SERVER, "certificate-authority": "ca.crt"})
        with pytest.raises(ConfigError, match=r"cannot be used: .*No such file"):
            inline(here)


class TestProgram:
    """The plugin as a client runs it, with a kubectl that knows one cluster."""

    @staticmethod
    def run(root: Path, uid: str) -> subprocess.CompletedProcess[str]:
        programs = root / "bin"
        programs.mkdir()
        answer = json.dumps({"metadata": {"uid": UID}})
        (programs / "kubectl").write_text(f"#!/bin/sh\necho '{answer}'\n")
        (programs / "kubectl").chmod(0o755)
        return subprocess.run(
            [sys.executable, "-m", "fleet.identity.credential", "dev", uid],
            check=False,
            capture_output=True,
            text=True,
            cwd=root,
            env={
                "PATH": f"{programs}{os.pathsep}{os.defpath}",
                "PYTHONPATH": str(REPOSITORY),
                **asked(),
            },
        )

    def test_the_cluster(self, here: Path) -> None:
        done = self.run(here, UID)
        assert (done.returncode, done.stderr) == (0, "")
        assert json.loads(done.stdout)["status"] == {"token": "hunter2"}

    def test_another_cluster(self, here: Path) -> None:
        """A client cannot use the answer, and shows its kind, which is the reason."""
        done = self.run(here, OTHER)
        assert (done.returncode, done.stderr) == (0, "")
        answer = json.loads(done.stdout)
        assert answer.keys() == {"apiVersion", "kind"}
        assert answer["kind"].startswith(f"refusal: {LINE.format(here)}")
        assert f"{UID}, but the state of dev is for the cluster {OTHER}" in answer["kind"]
