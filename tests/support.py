"""A small valid checkout that tests change, and the result of a command in it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

REPOSITORY = Path(__file__).parents[1]
FIXTURES = Path(__file__).parent / "fixtures"
# A checkout with tenants and its rendered tree. The shipped stacks have no tenants.
TENANCY = FIXTURES / "tenancy"

PROJECT = """\
name: fleet
runtime: python
config:
  fleet:repository:
    value:
      owner: acme
      name: platform
  fleet:flux:
    value:
      version: v2.9.2
"""


def stack_file(
    name: str, infrastructure: str = "", apps: str = "", more: str = "", cluster: str = ""
) -> str:
    """Return a valid stack file; the lists are entries separated by blanks.

    `more` are further lines, and `cluster` further keys of the cluster, after a comma.
    """
    lists = "".join(
        f"  fleet:{key}: [{', '.join(entries.split())}]\n"
        for key, entries in (
            ("infrastructure", infrastructure or "namespaces/common"),
            ("apps", apps or f"podinfo/overlays/{name}"),
        )
    )
    connection = f"kubeconfig: kubeconfig, context: k3d-{name}"
    return f"config:\n  fleet:cluster: {{{connection}{cluster}}}\n{lists}{more}"


def kubeconfig(*contexts: str) -> str:
    """Return a kubeconfig in which a context, its cluster and its user have the same name."""
    return yaml.safe_dump(
        {
            "contexts": [{"name": c, "context": {"cluster": c, "user": c}} for c in contexts],
            "clusters": [
                {"name": c, "cluster": {"server": f"https://{c}.example.com"}} for c in contexts
            ],
            "users": [{"name": c, "user": {"token": f"token-of-{c}"}} for c in contexts],
        }
    )


def kustomization(*resources: str) -> str:
    """Return a kustomization.yaml that lists `resources`."""
    listed = "".join(f"  - {resource}\n" for resource in resources)
    return f"apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources:\n{listed}"


def manifest(api_version: str, kind: str, name: str, namespace: str = "", more: str = "") -> str:
    """Return one Kubernetes object as YAML; `more` follows its metadata."""
    inside = f"  namespace: {namespace}\n" if namespace else ""
    return f"apiVersion: {api_version}\nkind: {kind}\nmetadata:\n  name: {name}\n{inside}{more}"


def definition(folder: str, text: str) -> dict[str, str]:
    """Return the files of a shared definition that has `text` as its one resource."""
    return {
        f"{folder}/kustomization.yaml": kustomization("resource.yaml"),
        f"{folder}/resource.yaml": text,
    }


def namespace(name: str) -> str:
    """Return a Namespace."""
    return manifest("v1", "Namespace", name)


def config_map(name: str, namespace: str) -> str:
    """Return a ConfigMap."""
    return manifest("v1", "ConfigMap", name, namespace, "data:\n  key: value\n")


def helm_release(name: str, namespace: str, spec: str) -> str:
    """Return a HelmRelease and its chart's source; `spec` is more lines of its spec."""
    more = (
        "spec:\n  interval: 5m\n  serviceAccountName: platform\n"
        f"  chartRef: {{kind: OCIRepository, name: {name}}}\n"
    )
    source = "spec: {interval: 5m, url: oci://charts.example.com/chart}\n"
    return "---\n".join(
        [
            manifest("helm.toolkit.fluxcd.io/v2", "HelmRelease", name, namespace, more + spec),
            manifest("source.toolkit.fluxcd.io/v1", "OCIRepository", name, namespace, source),
        ]
    )


def git_repository(name: str, namespace: str) -> str:
    """Return a Flux GitRepository."""
    spec = "spec: {interval: 5m, url: 'https://github.com/acme/other'}\n"
    return manifest("source.toolkit.fluxcd.io/v1", "GitRepository", name, namespace, spec)


FILES: Mapping[str, str] = {
    "Pulumi.yaml": PROJECT,
    "Pulumi.dev.yaml": stack_file("dev"),
    "Pulumi.prod.yaml": stack_file("prod"),
    **definition("infrastructure/namespaces/common", namespace("common")),
    **definition("infrastructure/namespaces/test-only", namespace("foo")),
    **definition("infrastructure/policies/shared", config_map("policy", "common")),
    **definition("apps/podinfo/base", config_map("podinfo", "common")),
    **{
        f"apps/podinfo/overlays/{environment}/kustomization.yaml": kustomization("../../base")
        for environment in ("dev", "test", "prod")
    },
}

# `fleet check` says this about the definitions in FILES that no cluster uses.
UNUSED = (
    "no cluster uses these yet: apps/podinfo/overlays/test, infrastructure/namespaces/test-only, "
    "infrastructure/policies/shared\n"
)

# `fleet` accepts this text as Flux's install manifests of the version in PROJECT.
INSTALL_MANIFESTS = (
    "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: flux-system\n"
    "  labels:\n    app.kubernetes.io/version: v2.9.2\n"
)

Write = Callable[[Mapping[str, str]], Path]


def write(root: Path, files: Mapping[str, str]) -> None:
    """Write files, path below `root` to text."""
    for path, text in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text, encoding="utf-8")


def with_manifests(root: Path) -> None:
    """Give a checkout install manifests of its own, in flux.yaml."""
    project = (root / "Pulumi.yaml").read_text()
    project = project.replace("v2.9.2\n", "v2.9.2\n      manifests: flux.yaml\n")
    write(root, {"Pulumi.yaml": project, "flux.yaml": INSTALL_MANIFESTS})


def contents(root: Path) -> dict[str, str]:
    """Return all files below `root`, path to text."""
    return {
        path.relative_to(root).as_posix(): path.read_text(encoding="utf-8")
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


@dataclass(frozen=True)
class Ended:
    """The exit code of a `fleet` command, and its two outputs."""

    code: int
    out: str
    err: str


# Runs a `fleet` command in the process of the test.
Run = Callable[..., Ended]
