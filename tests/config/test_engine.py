"""The checks that only `pulumi up` can make."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from fleet.config import connection, engine, load
from fleet.errors import ConfigError
from tests.support import kubeconfig, stack_file, write

# The config that the engine reads from the files of the checkout.
GIVEN: Mapping[str, object] = {
    "repository": {"owner": "acme", "name": "platform"},
    "flux": {"version": "v2.9.2"},
    "cluster": {"kubeconfig": "kubeconfig", "context": "k3d-dev"},
    "infrastructure": ["namespaces/common"],
    "apps": ["podinfo/overlays/dev"],
}


def engine_of(given: Mapping[str, object]) -> Callable[[str], str | None]:
    """Return the function with which the engine gives its values: texts, or JSON."""
    texts = {key: v if isinstance(v, str) else json.dumps(v) for key, v in given.items()}
    return texts.get


@pytest.fixture(autouse=True)
def valid_kubeconfig(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Write a kubeconfig with the contexts of both stacks, and work in the checkout."""
    monkeypatch.chdir(checkout)
    write(checkout, {"kubeconfig": kubeconfig("k3d-prod", "k3d-dev")})


def problems(
    checkout: Path,
    environ: Mapping[str, str] | None = None,
    given: Mapping[str, object] = GIVEN,
) -> tuple[str, ...]:
    stack = load.stack(checkout, "dev")
    with pytest.raises(ConfigError) as caught:
        engine.refuse_conflicts(stack, checkout, environ or {}, engine_of(given))
    return caught.value.problems


@pytest.mark.parametrize("environ", [{}, {"GITHUB_OWNER": "acme", "GITHUB_ORGANIZATION": ""}])
def test_no_conflict(environ: Mapping[str, str], checkout: Path) -> None:
    engine.refuse_conflicts(load.stack(checkout, "dev"), checkout, environ, engine_of(GIVEN))


def test_another_owner_in_the_environment(checkout: Path) -> None:
    assert problems(checkout, {"GITHUB_OWNER": "other", "GITHUB_ORGANIZATION": "third"}) == (
        "GITHUB_OWNER=other in the environment would override Pulumi.dev.yaml: "
        "fleet:repository.owner 'acme'; unset GITHUB_OWNER",
        "GITHUB_ORGANIZATION=third in the environment would override Pulumi.dev.yaml: "
        "fleet:repository.owner 'acme'; unset GITHUB_ORGANIZATION",
    )


def test_another_config_than_the_files(checkout: Path) -> None:
    assert sorted(problems(checkout, given={**GIVEN, "apps": [], "flux": None})) == [
        "Pulumi.dev.yaml: fleet:apps: differs from the value that the engine was given; "
        "set it in this file and run without --config-file",
        "Pulumi.dev.yaml: fleet:flux: differs from the value that the engine was given; "
        "set it in this file and run without --config-file",
    ]


class TestSecretsFromEsc:
    TENANTS = (
        "  fleet:tenants: [{name: billing, repository: {url: https://github.com/acme/billing}}]\n"
    )

    def problems(self, checkout: Path, more: str, given: Mapping[str, object]) -> list[str]:
        text = f"environment: [secrets]\n{stack_file('dev', more=self.TENANTS + more)}"
        write(checkout, {"Pulumi.dev.yaml": text})
        tenant = {"name": "billing", "repository": {"url": "https://github.com/acme/billing"}}
        listed = load.stack(checkout, "dev").config.esc_secrets
        known = {**GIVEN, "tenants": [tenant], **({"escSecrets": listed} if listed else {})}
        try:
            stack = load.stack(checkout, "dev")
            engine.refuse_conflicts(stack, checkout, {}, engine_of({**known, **given}))
        except ConfigError as error:
            return list(error.problems)
        return []

    def test_listed_and_supplied(self, checkout: Path) -> None:
        more = "  fleet:escSecrets: [pullToken, tenantCredentials.billing.token]\n"
        given = {"pullToken": "hunter2", "tenantCredentials": {"billing": {"token": "hunter2"}}}
        assert self.problems(checkout, more, given) == []

    def test_supplied_and_not_listed(self, checkout: Path) -> None:
        """The tree would lack the reference to the Secret."""
        given = {"pullToken": "hunter2", "tenantCredentials": {"billing": {"token": "hunter2"}}}
        assert self.problems(checkout, "", given) == [
            f"Pulumi.dev.yaml: fleet:{name}: the engine has a value that is not from this file; "
            f"add {name} to fleet:escSecrets if Pulumi ESC supplies it"
            for name in ("pullToken", "tenantCredentials.billing.token")
        ]

    def test_listed_and_not_supplied(self, checkout: Path) -> None:
        more = "  fleet:escSecrets: [deployKeySeed]\n"
        assert self.problems(checkout, more, {}) == [
            "Pulumi.dev.yaml: fleet:deployKeySeed: the engine has no value for it; set it here, "
            "or in an environment of Pulumi ESC"
        ]


def test_all_problems_at_once(checkout: Path) -> None:
    write(checkout, {"kubeconfig": "contexts: [{name: k3d-prod}]"})
    found = problems(checkout, {"GITHUB_OWNER": "other"}, {**GIVEN, "apps": []})
    assert [line.partition(": ")[2].partition(": ")[0] for line in found] == [
        "fleet:repository.owner 'acme'; unset GITHUB_OWNER",
        "fleet:apps",
        "fleet:cluster.context",
    ]


class TestKubeconfig:
    @staticmethod
    def refused(checkout: Path, text: str | None, path: str = "kubeconfig") -> str:
        """Return the problem of a kubeconfig file with a text; None stands for no file."""
        write(checkout, {"Pulumi.dev.yaml": text_with_kubeconfig(path)})
        (checkout / "kubeconfig").unlink()
        if text is not None:
            write(checkout, {path: text})
        cluster = {"kubeconfig": path, "context": "k3d-dev"}
        (problem,) = problems(checkout, given={**GIVEN, "cluster": cluster})
        return problem

    def test_the_context_exists(self, checkout: Path) -> None:
        stack = load.stack(checkout, "dev")
        engine.refuse_conflicts(stack, checkout, {}, engine_of(GIVEN))
        assert connection.of(stack).path() == checkout / "kubeconfig"

    def test_home(self, checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HOME", str(checkout))
        write(checkout, {"Pulumi.dev.yaml": text_with_kubeconfig("~/.kube/config")})
        stack = load.stack(checkout, "dev")
        assert connection.of(stack).path() == checkout / ".kube/config"

    def test_the_context_does_not_exist(self, checkout: Path) -> None:
        """The current context of the file is no substitute."""
        text = "current-context: k3d-prod\ncontexts: [{name: k3d-prod}, {name: minikube}]"
        assert self.refused(checkout, text) == (
            f"Pulumi.dev.yaml: fleet:cluster.context: 'k3d-dev' is not in {checkout}/kubeconfig; "
            "name a context of it: k3d-prod, minikube"
        )

    @pytest.mark.parametrize("text", ["", "contexts: 1", "[]", "contexts: [1]"])
    def test_no_contexts(self, text: str, checkout: Path) -> None:
        assert self.refused(checkout, text).endswith("has no contexts; name another kubeconfig")

    @pytest.mark.parametrize(
        ("text", "missing"),
        [
            ("clusters: [{name: c, cluster: {}}]", "has no user 'u' below users"),
            ("users: [{name: u, user: {}}]", "has no cluster 'c' below clusters"),
        ],
    )
    def test_half_a_context(self, text: str, missing: str, checkout: Path) -> None:
        """Such a context would make kubectl ask the server on localhost:8080."""
        context = "contexts: [{name: k3d-dev, context: {cluster: c, user: u}}]"
        assert self.refused(checkout, f"{context}\n{text}") == (
            f"Pulumi.dev.yaml: fleet:cluster.context: 'k3d-dev' in {checkout}/kubeconfig "
            f"{missing}; name a complete context"
        )

    def test_no_file(self, checkout: Path) -> None:
        assert self.refused(checkout, None) == (
            f"Pulumi.dev.yaml: fleet:cluster.kubeconfig: {checkout}/kubeconfig: "
            "No such file or directory; name a file that can be read"
        )

    def test_no_kubeconfig(self, checkout: Path) -> None:
        assert self.refused(checkout, "{") == (
            f"Pulumi.dev.yaml: fleet:cluster.kubeconfig: {checkout}/kubeconfig: "
            "is not a kubeconfig file; name one"
        )

    def test_the_home_of_an_unknown_user(self, checkout: Path) -> None:
        assert self.refused(checkout, None, "~nobody-has-this-name/config") == (
            "Pulumi.dev.yaml: fleet:cluster.kubeconfig: ~nobody-has-this-name/config: "
            "has a user without a home folder; write the whole path"
        )


def text_with_kubeconfig(path: str) -> str:
    return stack_file("dev").replace("kubeconfig: kubeconfig", f"kubeconfig: {path}")
