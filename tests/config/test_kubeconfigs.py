"""Two stacks on one cluster, told from kubeconfig files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from fleet.config import load
from fleet.errors import ConfigError
from tests.support import stack_file, write

SAME = (
    "Pulumi.dev.yaml: fleet:cluster.context: 'k3d-dev' is also the cluster of Pulumi.prod.yaml; "
    "keep one stack for each cluster"
)


def kubeconfig(**clusters: dict[str, Any]) -> str:
    """Return a kubeconfig with a context, a cluster and a user for each name."""
    users = {name: cluster.pop("user", {}) for name, cluster in clusters.items()}
    return json.dumps(
        {
            "contexts": [
                {"name": f"k3d-{name}", "context": {"cluster": name, "user": name}}
                for name in clusters
            ],
            "clusters": [{"name": name, "cluster": item} for name, item in clusters.items()],
            "users": [{"name": name, "user": user} for name, user in users.items()],
        }
    )


def problems(checkout: Path) -> tuple[str, ...]:
    try:
        load.stack(checkout, "dev")
    except ConfigError as error:
        return error.problems
    return ()


@pytest.mark.parametrize(
    "other", ["./kubeconfig", "x/../kubeconfig", "link", "{root}/kubeconfig", "~/kubeconfig"]
)
def test_one_file_has_many_paths(
    other: str, checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file need not be on this machine."""
    monkeypatch.setenv("HOME", str(checkout))
    (checkout / "link").symlink_to("kubeconfig")
    text = stack_file("prod").replace("k3d-prod", "k3d-dev")
    path = other.format(root=checkout)
    text = text.replace("kubeconfig: kubeconfig", f"kubeconfig: {path}")
    write(checkout, {"Pulumi.prod.yaml": text})
    assert problems(checkout) == (SAME,)


def test_two_files_may_have_the_same_context(checkout: Path) -> None:
    text = stack_file("prod").replace("k3d-prod", "k3d-dev")
    text = text.replace("kubeconfig: kubeconfig", "kubeconfig: other")
    write(checkout, {"Pulumi.prod.yaml": text})
    assert problems(checkout) == ()


@pytest.mark.parametrize(
    ("dev", "prod", "is_same"),
    [
        ({"server": "https://one:6443"}, {"server": "https://two:6443"}, False),
        ({"server": "https://one:6443"}, {"server": "https://ONE:6443/"}, True),
        ({"server": "https://one"}, {"server": "https://one:443/"}, True),
        ({"server": "https://one:1"}, {"server": "https://one:2"}, False),
        # A proxy has many clusters behind one host.
        ({"server": "https://one/k8s/a"}, {"server": "https://one/k8s/b"}, False),
        (
            {"server": "https://one", "tls-server-name": "a"},
            {"server": "https://one", "tls-server-name": "b"},
            False,
        ),
        (
            {"server": "https://one", "user": {"exec": {"args": ["--cluster=a"]}}},
            {"server": "https://one", "user": {"exec": {"args": ["--cluster=b"]}}},
            False,
        ),
        (
            {"server": "https://one", "user": {"token": "a"}},
            {"server": "https://one", "user": {"token": "b"}},
            True,
        ),
        ({"server": "https://one:x"}, {"server": "https://one:x"}, True),
        ({}, {}, False),
        ({"server": 1}, {"server": 1}, False),
    ],
)
def test_one_server_is_one_cluster(
    dev: dict[str, Any], prod: dict[str, Any], is_same: bool, checkout: Path
) -> None:
    text = stack_file("prod").replace("kubeconfig: kubeconfig", "kubeconfig: other")
    write(
        checkout,
        {
            "Pulumi.prod.yaml": text,
            "kubeconfig": kubeconfig(dev=dev),
            "other": kubeconfig(prod=prod),
        },
    )
    assert problems(checkout) == ((SAME,) if is_same else ())


@pytest.mark.parametrize(
    "content", ["", "[", "[]", "{contexts: 1}", "{contexts: [1, {name: k3d-dev, context: 1}]}"]
)
def test_a_file_that_is_no_kubeconfig_tells_nothing(content: str, checkout: Path) -> None:
    write(checkout, {"kubeconfig": content})
    assert problems(checkout) == ()
