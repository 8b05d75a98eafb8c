"""Test the folder for temporary files."""

from __future__ import annotations

from pathlib import Path

import pytest

from fleet import files


class TestTemporaryFiles:
    """They are in memory where it has space, unless the user names another folder."""

    @pytest.fixture(autouse=True)
    def memory(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("TMPDIR", "TEMP", "TMP"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setattr(files, "_MEMORY", str(tmp_path))
        monkeypatch.setattr(files, "_MIN_FREE", 1)

    def test_in_memory(self, tmp_path: Path) -> None:
        assert files.folder_in_memory() == str(tmp_path)

    def test_the_users_folder(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("TMPDIR", "/elsewhere")
        assert files.folder_in_memory() is None

    def test_too_little_space(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(files, "_MIN_FREE", 2**60)
        assert files.folder_in_memory() is None

    def test_no_such_folder(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(files, "_MEMORY", str(tmp_path / "absent"))
        assert files.folder_in_memory() is None
