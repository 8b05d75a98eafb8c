"""The workflow of GitHub Actions for a repository with clusters, and the scripts of its check."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support import REPOSITORY

pytestmark = pytest.mark.slow

FILE = REPOSITORY / ".github/workflows/fleet.yml"
SHARED = ("apps", "infrastructure")
GIT = ("git", "-c", "user.name=a", "-c", "user.email=a@b.example")


@pytest.fixture(scope="module")
def workflow() -> Mapping[Any, Any]:
    content: Mapping[Any, Any] = yaml.safe_load(FILE.read_text())
    return content


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return a checkout of the shipped files, with a change after the branch that it goes to."""
    for folder in SHARED:
        shutil.copytree(REPOSITORY / folder, tmp_path / folder)
    for file in REPOSITORY.glob("Pulumi*.yaml"):
        shutil.copy(file, tmp_path)
    git(tmp_path, "init", "--quiet", "--initial-branch", "main")
    git(tmp_path, "add", "--all")
    git(tmp_path, "commit", "--quiet", "--message", "Start")
    git(tmp_path, "update-ref", "refs/remotes/origin/main", "HEAD")
    base = tmp_path / "apps/podinfo/base/service.yaml"
    base.write_text(base.read_text().replace("9898", "9899"))
    git(tmp_path, "commit", "--quiet", "--all", "--message", "Change the port")
    # The virtual environment that the workflow makes.
    (tmp_path / ".venv").symlink_to(sys.prefix)
    return tmp_path


def git(root: Path, *words: str) -> None:
    subprocess.run([*GIT, *words], cwd=root, check=True)


def run_step(
    workflow: Mapping[Any, Any], name: str, root: Path, **variables: str
) -> tuple[int, str]:
    """Run the script of a step as GitHub's runner does; return its exit code and its output."""
    (step,) = (step for step in workflow["jobs"]["check"]["steps"] if step.get("name") == name)
    assert set(step["env"]) == set(variables)
    done = subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]],
        cwd=root,
        env={**os.environ, **variables, "GITHUB_STEP_SUMMARY": str(root / "summary.md")},
        check=False,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    return done.returncode, done.stdout


def test_the_impact_and_the_findings_are_the_comment(
    workflow: Mapping[Any, Any], root: Path
) -> None:
    code, output = run_step(workflow, "Check and impact", root, BASE="main")
    comment = (root / "report/comment.md").read_text()
    assert code == 0, output
    assert re.match(
        r"### Impact\n\n`[0-9a-f]{40}\.\.HEAD` reaches 3 of 3 clusters: 3 changed", comment
    )
    assert comment.endswith(" 0 findings\n```\n")
    assert (root / "summary.md").read_text() == comment
    assert '"version": "2.1.0"' in (root / "report/fleet.sarif").read_text()


def test_a_finding_is_in_the_comment_and_fails_the_check(
    workflow: Mapping[Any, Any], root: Path
) -> None:
    (root / "apps/podinfo/base/service.yaml").write_text("kind: Service\n")
    git(root, "commit", "--quiet", "--all", "--message", "Break the service")
    code, _ = run_step(workflow, "Check and impact", root, BASE="main")
    assert code == 1
    assert "does not build" in (root / "report/comment.md").read_text()


@pytest.mark.parametrize(
    ("stacks", "expected"),
    [('["dev", "test", "prod"]', 0), ('["dev", "prod"]', 1), ('["dev", "test", "prod", "x"]', 1)],
)
def test_the_variable_names_all_stack_files(
    stacks: str, expected: int, workflow: Mapping[Any, Any], root: Path
) -> None:
    code, output = run_step(
        workflow, "Compare FLEET_STACKS with the stack files", root, STACKS=stacks
    )
    assert code == expected, output
    assert ("FLEET_STACKS must name" in output) is bool(expected)


def test_nothing_runs_before_the_set_up(workflow: Mapping[Any, Any]) -> None:
    jobs = workflow["jobs"]
    assert all("vars.FLEET_STACKS != ''" in jobs[name]["if"] for name in jobs.keys() - {"comment"})
    assert jobs["comment"]["needs"] == "check"


def test_a_fork_gets_no_secret(workflow: Mapping[Any, Any]) -> None:
    own = "github.event.pull_request.head.repo.full_name == github.repository"
    # YAML 1.1 reads the key `on` as true.
    assert "pull_request_target" not in workflow[True]
    for name, job in workflow["jobs"].items():
        writes = "write" in job["permissions"].values()
        if writes or "secrets." in yaml.safe_dump(job):
            assert own in job["if"] or "github.event_name != 'pull_request'" in job["if"], name
        if writes:
            assert not any("checkout" in step.get("uses", "") for step in job["steps"])


def test_the_commits_of_up_start_nothing(workflow: Mapping[Any, Any]) -> None:
    assert workflow[True]["push"] == {"branches": ["main"], "paths-ignore": ["clusters/**"]}


def test_one_up_of_a_stack_at_a_time_in_order(workflow: Mapping[Any, Any]) -> None:
    up = workflow["jobs"]["up"]
    group = "fleet-up-${{ matrix.stack }}"
    assert up["concurrency"] == {"group": group, "cancel-in-progress": False}
    assert (up["strategy"]["max-parallel"], up["strategy"]["fail-fast"]) == (1, True)
    assert up["environment"] == "${{ matrix.stack }}"


def test_every_action_is_pinned_to_a_commit(workflow: Mapping[Any, Any]) -> None:
    used = [step["uses"] for step in steps(workflow) if "uses" in step]
    assert len(used) > 5
    assert [text for text in used if not re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", text)] == []


def test_no_expression_is_part_of_a_script(workflow: Mapping[Any, Any]) -> None:
    """A branch may have any name, and the shell would run it."""
    assert [step["run"] for step in steps(workflow) if "${{" in step.get("run", "")] == []


def test_the_engine_is_that_of_the_program(workflow: Mapping[Any, Any]) -> None:
    versions = [
        step["with"]["pulumi-version"]
        for step in steps(workflow)
        if step.get("uses", "").startswith("pulumi/actions@")
    ]
    assert len(versions) == 2
    project = (REPOSITORY / "pyproject.toml").read_text()
    assert all(f'"pulumi=={version}"' in project for version in versions)


def steps(workflow: Mapping[Any, Any]) -> list[Mapping[str, Any]]:
    """Return the steps of all jobs."""
    return [step for job in workflow["jobs"].values() for step in job["steps"]]
