"""The files that a created repository of a tenant starts with."""

from __future__ import annotations

from pathlib import Path

import yaml

from fleet.config import load, outlines
from fleet.config.tenant import tenants_of
from fleet.kube import kustomize
from fleet.process import run
from fleet.render import starting_files
from tests.support import stack_file, write

SHARED = (
    "  fleet:repository: {owner: acme, name: platform, knownHosts: github.com ssh-rsa AAAA}\n"
    "  fleet:deployKeySeed: {secure: c2VjcmV0}\n"
)
TENANT = "{name: billing, repository: {url: ssh://git@github.com/acme/billing-apps}, %s}"


def registered(root: Path) -> list[str]:
    """Return the environments of a tenant that several stacks spell in different ways."""
    for name, more in (("dev", "create: true"), ("prod", "deployKey: 1, namespace: money")):
        text = f"{SHARED}  fleet:tenants: [{TENANT % more}]\n"
        write(root, {f"Pulumi.{name}.yaml": stack_file(name, more=text)})
    url = "ssh://git@github.com/Acme/billing-apps.git"
    entry = f"{{name: billing, repository: {{url: {url}}}"
    for name, cluster, tenants_of_it in (
        ("spelled", "{environment: eu}", f"[billing, {{name: billing}}, {entry}}}]"),
        ("own-path", "{}", f"[{entry}, path: k8s}}]"),
        (
            "elsewhere",
            "1",
            "[{name: billing, repository: {url: https://a.example/x/billing-apps}}]",
        ),
        ("odd", "{environment: ../../x}", f"[{entry}}}]"),
        ("none", "{}", "1"),
    ):
        text = f"config: {{fleet:cluster: {cluster}, fleet:tenants: {tenants_of_it}}}\n"
        write(root, {f"Pulumi.{name}.yaml": text})
    write(root, {"Pulumi.broken.yaml": "config: ["})
    (tenant,) = tenants_of(load.stack(root, "dev"))
    return starting_files.environments(outlines.read(root).values(), tenant)


def test_environments_come_from_all_stacks_with_the_repository(checkout: Path) -> None:
    assert registered(checkout) == ["dev", "eu", "prod"]


def test_each_environment_builds(checkout: Path, tmp_path: Path) -> None:
    environments = registered(checkout)
    (tenant,) = tenants_of(load.stack(checkout, "dev"))
    files = starting_files.render(tenant, environments)
    # The README explains the other files, so it is committed first.
    assert list(files) == [
        "deploy/README.md",
        *(f"deploy/{environment}/kustomization.yaml" for environment in environments),
    ]
    write(tmp_path, files)
    for environment in environments:
        built = yaml.safe_load(
            run([*kustomize.command(), tmp_path / "deploy" / environment], timeout=60)
        )
        assert (built["kind"], built["metadata"]["name"]) == ("ConfigMap", "hello")
        assert built["data"] == {"environment": environment, "team": "billing"}
