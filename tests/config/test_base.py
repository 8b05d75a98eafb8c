"""Tests of the texts in fleet/config/base.py."""

from __future__ import annotations

import subprocess

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from fleet.config.base import Branch, KnownHosts

BRANCH: TypeAdapter[str] = TypeAdapter(Branch)
KNOWN_HOSTS: TypeAdapter[str] = TypeAdapter(KnownHosts)
PARTS = [
    "a",
    "B2",
    ".",
    "..",
    "/",
    "//",
    "-",
    "_",
    ".lock",
    "lock",
    "@{",
    "HEAD",
    "~",
    "^",
    " ",
    "x",
]


@given(st.lists(st.sampled_from(PARTS), min_size=1, max_size=5).map("".join))
@example("release/1.2")
@example("a.lock/b")
@example("a/.b")
def test_git_allows_every_branch_that_is_accepted(branch: str) -> None:
    try:
        BRANCH.validate_python(branch)
    except ValidationError:
        return
    done = subprocess.run(
        ["git", "check-ref-format", f"refs/heads/{branch}"], check=False, capture_output=True
    )
    assert done.returncode == 0, branch


@pytest.mark.parametrize("branch", ["main", "release/1.2", "feature/a_b-c", "1e3", "a" * 200])
def test_branches_that_are_fine(branch: str) -> None:
    assert BRANCH.validate_python(branch) == branch


@pytest.mark.parametrize(
    "branch", ["a..b", "a//b", "a/", "a.", "a.lock", "a.lock/b", "a/.b", "-a", "a@{1}", "a" * 201]
)
def test_branches_that_git_refuses(branch: str) -> None:
    with pytest.raises(ValidationError, match="must be a branch that Git allows"):
        BRANCH.validate_python(branch)


@pytest.mark.parametrize(
    "text",
    [
        "github.com ssh-ed25519 AAAA",
        "github.com ssh-ed25519 AAAA\ngithub.com ecdsa-sha2-nistp256 AAAA=\n",
        "# GitHub\n\ngithub.com,140.82.121.3 ssh-rsa AAAA== a comment\n",
        "[127.0.0.1]:2222 sk-ssh-ed25519@openssh.com AAAA",
        "|1|abc=|def= ssh-rsa AAAA",
        "@cert-authority *.example.com ssh-rsa AAAA",
    ],
)
def test_known_hosts_have_any_number_of_lines(text: str) -> None:
    """GitHub has several keys."""
    assert KNOWN_HOSTS.validate_python(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n",
        "# only a comment",
        "github.com",
        "github.com ssh-rsa",
        "ssh-rsa AAAA",
        "github.com ssh-rsa AAAA\u2028github.com ssh-rsa AAAA",
        "github.com ssh-rsa AAAA\r\n",
        "-----BEGIN OPENSSH PRIVATE KEY-----\nhunter2\n-----END OPENSSH PRIVATE KEY-----",
    ],
)
def test_other_lines_are_no_known_hosts(text: str) -> None:
    with pytest.raises(ValidationError, match="must be lines of known_hosts"):
        KNOWN_HOSTS.validate_python(text)
