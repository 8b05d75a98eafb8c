"""A rendered cluster gets a change of a shared definition by its own `up` only."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from fleet.cli import main
from fleet.kube import namespaces
from fleet.render import flux
from tests.e2e.sandbox import Sandbox
from tests.e2e.support import eventually

pytestmark = pytest.mark.long
CLUSTERS = ["dev", "prod"]
MINUTES = 6
BASE = "apps/podinfo/base/deployment.yaml"
RENDERED = "clusters/prod/apps/podinfo/overlays/prod.yaml"


def podinfo_image(sandbox: Sandbox, cluster: str) -> str:
    """Return the image of podinfo in a cluster."""
    found = sandbox.get(cluster, "deployment", "team-x", "podinfo")
    assert found is not None
    image: str = found["spec"]["template"]["spec"]["containers"][0]["image"]
    return image


def set_version(sandbox: Sandbox, version: str) -> None:
    """Merge another version of podinfo into the base that all clusters share."""
    sandbox.platform_repository.pull()
    file = sandbox.root / BASE
    lines = file.read_text().splitlines()
    lines = [
        f"{line.partition('podinfo:')[0]}podinfo:{version}" if "image: " in line else line
        for line in lines
    ]
    file.write_text("\n".join(lines) + "\n")
    sandbox.platform_repository.push(f"podinfo {version}")


def pull(sandbox: Sandbox, cluster: str) -> None:
    """Have Flux pull now, and wait until all stages are Ready at the head of the branch."""
    sandbox.reconcile(cluster, "gitrepository", namespaces.FLUX_NAMESPACE, flux.SYNC_NAME)
    sandbox.report.wait_converged([cluster], sandbox.head(), 180)


@pytest.fixture(scope="module", autouse=True)
def rendered(sandbox: Sandbox) -> Iterator[None]:
    """Render prod, which was referenced before."""
    before = sandbox.workloads("prod")
    head = sandbox.head()
    sandbox.configure("prod", definitions="rendered")
    sandbox.up("prod")
    print("", *sandbox.commits(head), sep="\n")
    assert sandbox.workloads("prod") == before
    yield
    before = sandbox.workloads("prod")
    sandbox.configure("prod", definitions="referenced")
    sandbox.up("prod")
    assert not list((sandbox.root / "clusters/prod/apps").rglob("podinfo*"))
    assert sandbox.workloads("prod") == before


def test_switching_changes_no_object(sandbox: Sandbox) -> None:
    """The tree has the objects, and a second `up` changes nothing; the fixture looks at objects."""
    sandbox.platform_repository.pull()
    text = (sandbox.root / "clusters/prod/apps/kustomization.yaml").read_text()
    assert text.endswith("resources:\n  - common.yaml\n  - podinfo/overlays/prod.yaml\n")
    assert "kind: Deployment" in (sandbox.root / RENDERED).read_text()
    assert [outcome.unchanged for outcome in sandbox.up("prod")] == [True]


def test_a_shared_base_reaches_prod_by_its_own_up_only(
    sandbox: Sandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    """The accident: a base is edited for dev, and prod builds on the same base."""
    old = podinfo_image(sandbox, "prod")
    workloads = sandbox.workloads("prod")
    set_version(sandbox, "6.9.9")
    new = f"{old.partition('podinfo:')[0]}podinfo:6.9.9"
    pull(sandbox, "dev")
    pull(sandbox, "prod")
    assert podinfo_image(sandbox, "dev") == new
    assert sandbox.workloads("prod") == workloads

    # `up` of another cluster does not deliver it either.
    sandbox.up("dev")
    assert sandbox.workloads("prod") == workloads
    capsys.readouterr()
    assert main.main(["check", "--root", str(sandbox.root)]) == 0
    said = capsys.readouterr().err
    assert "clusters/prod: is behind its definitions in 1 of" in said
    print(said)

    preview = sandbox.stacks.run_pulumi("preview", "--diff", "--stack", "prod")
    print(preview)
    assert re.findall(r"RepositoryFile::(clusters/\S+)]", preview) == [RENDERED]
    lines = [line.split(maxsplit=1) for line in preview.splitlines() if "image: " in line]
    assert lines == [["-", f"- image: {old}"], ["+", f"- image: {new}"]]
    assert sandbox.workloads("prod") == workloads

    head = sandbox.head()
    sandbox.up("prod")
    assert sandbox.commits(head) == ["prod: apps/podinfo/overlays/prod.yaml"]
    eventually(lambda: podinfo_image(sandbox, "prod") == new)
    changed = {
        name
        for name, version in sandbox.workloads("prod").items()
        if workloads.get(name) != version
    }
    assert changed == {"deployments team-x/podinfo"}


def test_an_entry_that_leaves_takes_its_file_along(sandbox: Sandbox) -> None:
    """The list loses the entry first, and Flux prunes its objects; the others stay."""
    apps = sandbox.entries("prod", "apps")
    before = sandbox.workloads("prod")
    sandbox.configure("prod", apps=["common"])
    head = sandbox.head()
    sandbox.up("prod")
    commits = sandbox.commits(head)
    assert commits[0] == "prod: apps/kustomization.yaml (common)"
    assert len(commits) == 2
    assert not (sandbox.root / RENDERED).exists()
    eventually(lambda: sandbox.get("prod", "deployment", "team-x", "podinfo") is None)
    left = sandbox.workloads("prod")
    assert left == {name: version for name, version in before.items() if name in left}
    sandbox.configure("prod", apps=apps)
    sandbox.up("prod")
    eventually(lambda: sandbox.replicas("prod", "team-x") == {"podinfo": 3})
