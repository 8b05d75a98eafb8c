"""The chart repository that the sandbox serves, from small charts instead of the modules."""

from __future__ import annotations

import hashlib
import tarfile
from pathlib import Path
from typing import Any

import pytest
import yaml

from sandbox.build import parts, public_sources
from tests.support import write

CHART = """\
name: kyverno
version: 3.0.0
dependencies:
  - {name: crds, version: 3.0.0}
  - {name: kyverno-api, version: 0.0.1, repository: "https://kyverno.example.com"}
  - {name: elsewhere, version: 0.0.2, repository: "https://elsewhere.example.com"}
"""


def kyverno_chart(folder: Path) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the index's entry of Kyverno's chart and the files in its archive."""
    index = yaml.safe_load((folder / "kyverno/index.yaml").read_text())
    (entry,) = index["entries"]["kyverno"]
    (url,) = entry["urls"]
    archive = folder / "kyverno" / url
    assert entry["digest"] == hashlib.sha256(archive.read_bytes()).hexdigest()
    with tarfile.open(archive) as opened:
        members = {member.name: opened.extractfile(member) for member in opened}
        return entry, {name: file.read().decode() for name, file in members.items() if file}


@pytest.fixture
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    modules = {
        public_sources.KYVERNO: tmp_path / "kyverno",
        "github.com/kyverno/api": tmp_path / "api",
    }
    write(
        modules[public_sources.KYVERNO] / "charts/kyverno",
        {"Chart.yaml": CHART, "Chart.lock": "", "charts/crds/Chart.yaml": "name: crds\n"},
    )
    write(
        modules["github.com/kyverno/api"] / "charts/kyverno-api",
        {
            "Chart.yaml": "name: kyverno-api\nversion: v0.0.0\n",
            "templates/crds/a.yaml": "kind: A\n",
        },
    )
    monkeypatch.setattr(parts, "source", modules.__getitem__)


@pytest.mark.usefixtures("modules")
def test_kyvernos_chart_has_each_subchart_that_it_lists(tmp_path: Path) -> None:
    public_sources.build_charts(tmp_path / "site")
    entry, files = kyverno_chart(tmp_path / "site")
    listed = yaml.safe_load(files["kyverno/Chart.yaml"])["dependencies"]
    assert [each["name"] for each in listed] == ["crds", "kyverno-api"]
    assert entry["dependencies"] == listed
    assert sorted(files) == [
        "kyverno/Chart.yaml",
        "kyverno/charts/crds/Chart.yaml",
        "kyverno/charts/kyverno-api/Chart.yaml",
        "kyverno/charts/kyverno-api/templates/crds/a.yaml",
    ]
    subchart = yaml.safe_load(files["kyverno/charts/kyverno-api/Chart.yaml"])
    assert subchart == {"name": "kyverno-api", "version": "0.0.1"}


@pytest.mark.usefixtures("modules")
def test_a_second_build_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        public_sources.build_charts(tmp_path / name)
    one, two = (tmp_path / name / "kyverno/kyverno-3.0.0.tgz" for name in ("one", "two"))
    assert one.read_bytes() == two.read_bytes()
