"""The branch that a cluster pulls: what `up` needs on it, and what its token may do there."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sandbox.platform_repository import READS_THE_TREE, WRITES_THE_TREE
from sandbox.sandbox_error import SandboxError
from tests.e2e.sandbox import Sandbox
from tests.support import definition, manifest, write

pytestmark = pytest.mark.long
CLUSTER = "dev"
CLUSTERS = [CLUSTER]
MINUTES = 3
APP = "apps/greeting"
CONFIG_MAP = manifest("v1", "ConfigMap", "greeting", "team-x", "data: {text: hello}\n")


def test_an_app_that_was_not_pushed_is_refused(sandbox: Sandbox) -> None:
    """Nothing is written until it is pushed; then the same command goes on."""
    git = sandbox.platform_repository.git
    # The first refresh takes annotations of Pulumi's own out of the state's inputs.
    assert sandbox.stacks.up([CLUSTER])[0].unchanged
    sandbox.platform_repository.pull()
    write(sandbox.root, definition(APP, CONFIG_MAP))
    git("add", "--all")
    git("commit", "--quiet", "--message=A greeting")
    sandbox.configure(CLUSTER, apps=[*sandbox.entries(CLUSTER, "apps"), "greeting"])
    before = (sandbox.head(), sandbox.snapshot(CLUSTER), _resources(sandbox))
    refusal = (
        "Pulumi.dev.yaml: fleet:apps[2]: 'greeting' needs apps/greeting/kustomization.yaml, not on "
        "main of platform-team/fleet, which the cluster pulls; push it"
    )
    with pytest.raises(SandboxError) as caught:
        sandbox.stacks.up([CLUSTER])
    print(f"\n{caught.value}")
    assert refusal in str(caught.value)
    assert refusal in _preview(sandbox, accept=range(1, 256))
    assert (sandbox.head(), sandbox.snapshot(CLUSTER), _resources(sandbox)) == before

    git("push", "--quiet", "origin", "HEAD:main")
    sandbox.up(CLUSTER)
    assert _greeting(sandbox) == "hello"


def test_an_edit_that_was_not_pushed_is_said(sandbox: Sandbox) -> None:
    """The cluster keeps what is on the branch, and the run says so."""
    warning = (
        "Pulumi.dev.yaml: fleet:apps[2]: 'greeting' has apps/greeting/resource.yaml in another "
        "form on main of platform-team/fleet, which is what the cluster gets"
    )
    sandbox.platform_repository.pull()
    assert warning not in _preview(sandbox)
    write(sandbox.root, {f"{APP}/resource.yaml": CONFIG_MAP.replace("hello", "goodbye")})
    assert warning in _preview(sandbox)
    assert all(outcome.unchanged for outcome in sandbox.up(CLUSTER))
    assert _greeting(sandbox) == "hello"
    sandbox.platform_repository.push("Say goodbye")
    assert warning not in _preview(sandbox)


def test_a_token_that_may_only_read_writes_nothing(sandbox: Sandbox) -> None:
    """The same command goes on as soon as it has exactly the documented permission."""
    sandbox.platform_repository.change_token(READS_THE_TREE)
    apps = sandbox.entries(CLUSTER, "apps")
    sandbox.configure(CLUSTER, apps=[entry for entry in apps if entry != "greeting"])
    head = sandbox.head()
    with pytest.raises(SandboxError) as caught:
        sandbox.stacks.up([CLUSTER])
    print(f"\n{caught.value}")
    assert "403 Resource not accessible by personal access token" in str(caught.value)
    assert sandbox.head() == head
    sandbox.platform_repository.change_token(WRITES_THE_TREE)
    sandbox.up(CLUSTER)
    assert len(sandbox.commits(head)) == 1


def _preview(sandbox: Sandbox, accept: range = range(1)) -> str:
    args = ("preview", "--stack", CLUSTER, "--color", "never")
    return sandbox.stacks.run_pulumi(*args, accept=accept)


def _resources(sandbox: Sandbox) -> dict[str, Any]:
    """Return the inputs in the state by URN.

    The refresh before the program may change outputs, and secrets are encrypted anew each time.
    """
    args = ("stack", "export", "--show-secrets", "--stack", CLUSTER)
    exported = sandbox.stacks.run_pulumi(*args)
    resources = json.loads(exported)["deployment"]["resources"]
    return {resource["urn"]: resource.get("inputs") for resource in resources}


def _greeting(sandbox: Sandbox) -> str:
    found = sandbox.get(CLUSTER, "configmap", "team-x", "greeting")
    assert found is not None
    text: str = found["data"]["text"]
    return text
