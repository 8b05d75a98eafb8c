"""The two sides that `pulumi up` compares before it writes anything, as plain values."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from fleet.render.place import Place


@dataclass(frozen=True, kw_only=True)
class Unreachable:
    """A cluster that did not answer, and the reason."""

    reason: str


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """A cluster as it answered.

    `uid` is the UID of its namespace kube-system. `follows` is the place that its objects
    flux-system name, None without such objects.
    """

    uid: str
    follows: Place | None = None
    claim: str = ""
    """The place for which fleet has begun to install Flux, as a text; empty without one."""
    pulled: str = ""
    """The commit that its Flux has pulled from the place, empty without one."""
    applied: str = ""
    """The revision that its root Kustomization, as it is now, has applied; empty without one."""
    installed_by_fleet: bool = False
    """Its Flux, or the part of it that is there, was installed by fleet."""
    kustomizations: Mapping[str, str] = field(default_factory=dict)
    """The paths of the Flux Kustomizations beside flux-system in its namespace, by name."""
    changing_fields: tuple[str, ...] = ()
    """The fields of the root Kustomization's spec with which it changes what it applies."""
    facts: Mapping[str, str] = field(default_factory=dict)
    """The checksum of the facts that each Flux Kustomization, as it is now, has applied."""
    messages: Mapping[str, str] = field(default_factory=dict)
    """The message of each Flux Kustomization about its last attempt."""
    controllers: tuple[str, ...] = ()
    """The namespaces that have controllers of Flux."""
    operators: tuple[str, ...] = ()
    """The FluxInstances, <namespace>/<name>, from which the Flux Operator installs Flux."""


@dataclass(frozen=True, kw_only=True)
class Branch:
    """The branch that `pulumi up` commits to, at its last commit.

    `head` is None for a branch that does not exist. `files` maps every path in the repository to
    the SHA of its blob.
    """

    repository: str
    name: str
    head: str | None = None
    files: Mapping[str, str] = field(default_factory=dict)
    texts: Mapping[str, str] = field(default_factory=dict)
    """The files below clusters/<stack> that are not as they will be written, path to text."""
    identity: str | None = None
    """The UID in the tree's identity file, None if there is no such file or it is not readable."""


@dataclass(frozen=True, kw_only=True)
class Reality:
    """The cluster that the stack's context reaches, and the branch."""

    cluster: Cluster | Unreachable
    branch: Branch
    former: Branch | None = None
    """The branch of the place that the cluster moves from, with that tree's identity."""


def blob_sha(text: str | bytes) -> str:
    """Return the SHA that Git gives to a file with this text."""
    content = text.encode() if isinstance(text, str) else text
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()  # noqa: S324 - Git's
