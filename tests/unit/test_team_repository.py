"""What a repository starts with that fleet makes for a team."""

from __future__ import annotations

from pathlib import Path

import yaml

from fleet import config, team_repository, tenants, tools
from fleet.commands import run
from tests.unit.support import stack_file, write

SHARED = (
    "  fleet:repository: {owner: acme, name: platform, knownHosts: github.com ssh-rsa AAAA}\n"
    "  fleet:deployKeySeed: {secure: c2VjcmV0}\n"
)
TEAM = "{name: billing, repository: {url: ssh://git@github.com/acme/billing-apps}, %s}"


def registered(root: Path) -> dict[str, str]:
    """Return the namespaces of a team that two stacks have, and a namesake of another's."""
    for name, more in (("dev", "create: true"), ("prod", "deployKey: 1, namespace: money")):
        text = f"{SHARED}  fleet:tenants: [{TEAM % more}]\n"
        write(root, {f"Pulumi.{name}.yaml": stack_file(name, more=text)})
    other = "[{name: billing, repository: {url: https://github.com/other/billing-apps}}]"
    text = stack_file("dev", more=f"  fleet:tenants: {other}\n").replace("k3d-dev", "k3d-eu")
    text = text.replace("podinfo/overlays/dev", "podinfo/base")
    write(root, {"Pulumi.eu.yaml": text})
    write(
        root, {"Pulumi.broken.yaml": "config: [", "Pulumi.odd.yaml": "config: {fleet:tenants: 1}"}
    )
    (team,) = tenants.teams(config.load(root, "dev"))
    return team_repository.environments(config.all_own(root), team)


def test_environments_are_those_of_all_stacks_that_have_the_repository(checkout: Path) -> None:
    assert registered(checkout) == {"dev": "billing-dev", "prod": "money"}


def test_there_is_something_to_deploy_in_each(checkout: Path, tmp_path: Path) -> None:
    namespaces = registered(checkout)
    (team,) = tenants.teams(config.load(checkout, "dev"))
    files = team_repository.starting_files(team, namespaces)
    assert list(files) == [
        "deploy/README.md",
        "deploy/dev/kustomization.yaml",
        "deploy/prod/kustomization.yaml",
    ]
    write(tmp_path, files)
    for environment, namespace in namespaces.items():
        built = yaml.safe_load(
            run([*tools.kustomize(), tmp_path / "deploy" / environment], timeout=60)
        )
        assert (built["kind"], built["metadata"]["name"]) == ("ConfigMap", "hello")
        assert built["data"] == {"environment": environment, "team": "billing"}
        assert f"| `deploy/{environment}` | `{namespace}` |" in files["deploy/README.md"]
