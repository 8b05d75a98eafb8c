"""The version of the project, which a release writes in two files."""

from __future__ import annotations

import re

from tests.support import REPOSITORY


def test_the_changelog_begins_with_the_version_of_the_project() -> None:
    project = (REPOSITORY / "pyproject.toml").read_text()
    changelog = (REPOSITORY / "CHANGELOG.md").read_text()
    versions = re.findall(r"^## (\d\S*) - \d{4}-\d\d-\d\d$", changelog, re.MULTILINE)
    assert f'version = "{versions[0]}"\n' in project
