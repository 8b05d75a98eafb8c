"""Checkouts to measure: committed, with the trees of all clusters."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from benchmarks import fleets, measuring
from benchmarks.measuring import CHECKOUT

SHIPPED = "shipped"


@dataclass(frozen=True, kw_only=True)
class Size:
    """The number of clusters, and of tenants in each; or the clusters that this checkout ships."""

    clusters: int
    tenants: int = 0
    is_shipped: bool = False

    @classmethod
    def of_text(cls, text: str) -> Size:
        """Return the size that a word names: `shipped`, `30` or `1x100`."""
        if text == SHIPPED:
            names = list(CHECKOUT.glob("Pulumi.*.yaml"))
            return cls(clusters=len(names), is_shipped=True)
        clusters, _, tenants = text.partition("x")
        return cls(clusters=int(clusters), tenants=int(tenants or 0))

    def __str__(self) -> str:
        if self.is_shipped:
            return f"{self.clusters} {SHIPPED}"
        return f"{self.clusters}x{self.tenants}" if self.tenants else str(self.clusters)


def make(root: Path, size: Size) -> None:
    """Make a checkout, render its trees and commit it all."""
    if size.is_shipped:
        for folder in ("apps", "infrastructure"):
            shutil.copytree(CHECKOUT / folder, root / folder)
        for file in CHECKOUT.glob("Pulumi*.yaml"):
            shutil.copy(file, root)
    else:
        fleets.make(root, size.clusters, size.tenants)
    render(root)


def render(root: Path) -> None:
    """Render the trees of a checkout and commit it all."""
    measuring.run(measuring.fleet("render", "--root", root, "--out", root), os.environ)
    git(root, "init", "--quiet")
    git(root, "add", "--all")
    author = ("-c", "user.name=fleet", "-c", "user.email=fleet@example.com")
    git(root, *author, "-c", "gc.auto=0", "commit", "--quiet", "--message", "Add all clusters")


def change_one_file(root: Path, size: Size, number: int) -> None:
    """Change a base that clusters share, in one file; each number makes another change."""
    if size.is_shipped:
        file = root / "apps/podinfo/base/service.yaml"
        file.write_text(file.read_text().replace("9898", str(9898 + number)))
    else:
        fleets.change_base(root, size.clusters, f"{64 + number}Mi")


def git(root: Path, *words: str) -> None:
    """Run Git in a checkout."""
    subprocess.run(["git", "-C", root, *words], check=True, stdout=subprocess.DEVNULL)
