"""The `fleet` command: what it prints, where, and how it ends."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from fleet.config import load
from fleet.render import flux_release, tree
from tests.support import (
    MANIFESTS,
    REPOSITORY,
    Ended,
    Run,
    config_map,
    contents,
    definition,
    stack_file,
    with_manifests,
    write,
)


class TestHelp:
    def test_of_all(self, fleet: Run) -> None:
        ended = fleet("--help")
        assert (ended.code, ended.err) == (0, "")
        for command in ("render", "check", "fetch", "schema"):
            assert re.search(rf"^    {command}\s+\w", ended.out, re.MULTILINE)
        assert "pulumi up -s <stack>" in ended.out

    @pytest.mark.parametrize(
        ("command", "options"),
        [
            ("render", ["--root DIR", "--stack STACK", "--out DIR"]),
            ("check", ["--root DIR", "--json", "--tenants DIR"]),
            ("fetch", ["--root DIR"]),
            ("schema", []),
        ],
    )
    def test_of_each(self, command: str, options: list[str], fleet: Run) -> None:
        ended = fleet(command, "--help")
        assert (ended.code, ended.err) == (0, "")
        shown = re.findall(r"^  (--\w+(?: [A-Z]+)?)", ended.out, re.MULTILINE)
        assert shown == options

    @pytest.mark.parametrize("args", [(), ("aplly",), ("render", "--stak", "dev")])
    def test_wrong_usage(self, args: tuple[str, ...], fleet: Run) -> None:
        ended = fleet(*args)
        assert (ended.code, ended.out) == (2, "")
        assert ended.err.startswith("usage: fleet")

    def test_as_a_module(self) -> None:
        done = subprocess.run(
            [sys.executable, "-m", "fleet", "--help"],
            check=True,
            capture_output=True,
            text=True,
            cwd=REPOSITORY,
        )
        assert done.stdout.startswith("usage: fleet")


class TestRender:
    def test_to_the_terminal(self, checkout: Path, fleet: Run) -> None:
        """A listing in which every line of every file is there, so that two can be compared."""
        with_manifests(checkout)
        ended = fleet("render", "--root", checkout, "--stack", "dev")
        assert (ended.code, ended.err) == (0, "")
        parts = re.split(r"^=== (.*)\n", ended.out, flags=re.MULTILINE)[1:]
        files = dict(zip(parts[::2], parts[1::2], strict=True))
        assert files == tree.render(load.stack(checkout, "dev"), MANIFESTS)

    def test_to_a_folder(self, checkout: Path, tmp_path: Path, fleet: Run) -> None:
        with_manifests(checkout)
        out = tmp_path / "some" / "where"
        ended = fleet("render", "--root", checkout, "--stack", "dev", "--out", out)
        assert ended == Ended(0, "", "")
        assert contents(out) == tree.render(load.stack(checkout, "dev"), MANIFESTS)

    def test_what_an_earlier_tree_left_is_removed(
        self, checkout: Path, tmp_path: Path, fleet: Run
    ) -> None:
        out = tmp_path / "out"
        assert fleet("render", "--root", checkout, "--stack", "dev", "--out", out).code == 0
        note = out / "clusters/dev/apps/note.yaml"
        note.write_text("# a person's\n")
        stack = (checkout / "Pulumi.dev.yaml").read_text()
        (checkout / "Pulumi.dev.yaml").write_text(
            re.sub(r"fleet:apps: .*", "fleet:apps: []", stack)
        )
        assert fleet("render", "--root", checkout, "--stack", "dev", "--out", out).code == 0
        rendered = tree.render(load.stack(checkout, "dev"), None)
        assert set(contents(out)) - {"clusters/dev/flux-system/gotk-components.yaml"} == {
            *rendered,
            "clusters/dev/apps/note.yaml",
        }

    def test_all_stacks(self, checkout: Path, fleet: Run) -> None:
        with_manifests(checkout)
        ended = fleet("render", "--root", checkout)
        assert [stack.name for stack in load.stacks(checkout)] == ["dev", "prod"]
        one_by_one = [fleet("render", "--root", checkout, "--stack", s) for s in ("dev", "prod")]
        assert ended.out == "".join(one.out for one in one_by_one)

    def test_here_without_root(
        self, checkout: Path, fleet: Run, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with_manifests(checkout)
        monkeypatch.chdir(checkout)
        assert fleet("render") == fleet("render", "--root", checkout)

    def test_without_manifests_at_hand(self, checkout: Path, empty_cache: Path, fleet: Run) -> None:
        """One line, for all stacks, says how to get them; that one file is left out."""
        ended = fleet("render", "--root", checkout, "--out", checkout)
        assert not empty_cache.exists()
        assert (ended.code, ended.out) == (0, "")
        assert ended.err == (
            "Flux v2.9.2: install manifests are not at hand; run `fleet fetch` "
            "(flux-system/gotk-components.yaml is left out)\n"
        )
        for name in ("dev", "prod"):
            expected = tree.render(load.stack(checkout, name), None)
            written = contents(checkout / "clusters" / name)
            assert {f"clusters/{name}/{path}": text for path, text in written.items()} == expected

    def test_manifests_that_are_said_to_be_at_a_path(self, checkout: Path, fleet: Run) -> None:
        with_manifests(checkout)
        (checkout / "flux.yaml").unlink()
        ended = fleet("render", "--root", checkout)
        assert ended.code == 0
        assert ended.err == (
            f"fleet:flux.manifests: {checkout}/flux.yaml does not exist "
            "(flux-system/gotk-components.yaml is left out)\n"
        )

    def test_nothing_is_written_when_one_stack_is_invalid(self, checkout: Path, fleet: Run) -> None:
        write(checkout, {"Pulumi.prod.yaml": "config: {}\n"})
        before = contents(checkout)
        assert fleet("render", "--root", checkout, "--out", checkout).code == 1
        assert contents(checkout) == before

    def test_nothing_is_written_when_the_manifests_are_others(
        self, checkout: Path, fleet: Run
    ) -> None:
        more = "  fleet:flux: {version: v2.9.3, manifests: flux.yaml}\n"
        with_manifests(checkout)
        write(checkout, {"Pulumi.prod.yaml": stack_file("prod", more=more)})
        before = contents(checkout)
        ended = fleet("render", "--root", checkout, "--out", checkout)
        assert (ended.code, ended.out) == (1, "")
        assert ended.err == (
            f"{checkout}/flux.yaml: is not Flux v2.9.3; make fleet:flux.version and "
            "fleet:flux.manifests agree\n"
        )
        assert contents(checkout) == before

    def test_where_nothing_can_be_written(self, checkout: Path, fleet: Run) -> None:
        with_manifests(checkout)
        write(checkout, {"clusters": "a file\n"})
        ended = fleet("render", "--root", checkout, "--out", checkout)
        assert (ended.code, ended.out) == (1, "")
        assert re.fullmatch(r".*/clusters/dev/apps.yaml: cannot be written: .*\n", ended.err)

    def test_no_engine_no_network_no_credentials(self, checkout: Path) -> None:
        """As in a hook or on a laptop without anything: an empty environment, no PATH."""
        with_manifests(checkout)
        done = subprocess.run(
            [sys.executable, "-m", "fleet", "render", "--root", checkout],
            check=False,
            capture_output=True,
            text=True,
            cwd=REPOSITORY,
            env={"HOME": str(checkout)},
        )
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.startswith("=== clusters/dev/apps.yaml\n")

    def test_a_reader_that_stops(self, checkout: Path) -> None:
        """As `fleet render | head` does: no traceback."""
        with_manifests(checkout)
        write(checkout, {"flux.yaml": MANIFESTS + "# much\n" * 50_000})
        with subprocess.Popen(
            [sys.executable, "-m", "fleet", "render", "--root", checkout],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=REPOSITORY,
            env=dict(os.environ),
        ) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            process.stdout.readline()
            process.stdout.close()
            assert process.stderr.read() == ""
            assert process.wait(30) == 1


class TestCheck:
    def test_nothing_found(self, checkout: Path, fleet: Run) -> None:
        with_manifests(checkout)
        ended = fleet("check", "--root", checkout)
        assert (ended.code, ended.err) == (0, "")
        assert re.fullmatch(r"2 clusters, \d+ objects, 0 findings\n", ended.out)

    def test_findings(self, checkout: Path, fleet: Run) -> None:
        """One a line with file and object, then how many; exit 1."""
        with_manifests(checkout)
        write(checkout, definition("apps/foo-app/base", config_map("foo", "foo")))
        write(checkout, {"Pulumi.dev.yaml": stack_file("dev", apps="foo-app/base")})
        ended = fleet("check", "--root", checkout)
        assert (ended.code, ended.err) == (1, "")
        finding, summary = ended.out.splitlines()
        assert finding.startswith("clusters/dev/apps: ConfigMap foo/foo: namespace foo is not")
        assert summary.endswith(" 1 findings")

    def test_json(self, checkout: Path, fleet: Run) -> None:
        with_manifests(checkout)
        write(checkout, definition("apps/foo-app/base", config_map("foo", "foo")))
        write(checkout, {"Pulumi.dev.yaml": stack_file("dev", apps="foo-app/base")})
        ended = fleet("check", "--root", checkout, "--json")
        assert (ended.code, ended.err) == (1, "")
        report = json.loads(ended.out)
        assert set(report) == {"clusters", "objects", "findings", "withoutSchema"}
        assert report["clusters"] == 2
        assert report["withoutSchema"] == {}
        (finding,) = report["findings"]
        assert (finding["file"], finding["object"]) == ("clusters/dev/apps", "ConfigMap foo/foo")
        assert finding["problem"].startswith("namespace foo is not created in this cluster")

    def test_without_manifests_at_hand(self, checkout: Path, fleet: Run) -> None:
        """The rest is checked all the same."""
        with_manifests(checkout)
        (checkout / "flux.yaml").unlink()
        ended = fleet("check", "--root", checkout)
        assert ended.code == 0
        assert len(ended.err.splitlines()) == 1
        assert ended.out.endswith(" 0 findings\n")

    def test_without_kustomize(
        self, checkout: Path, empty_cache: Path, fleet: Run, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with_manifests(checkout)
        monkeypatch.setenv("PATH", str(empty_cache))
        ended = fleet("check", "--root", checkout)
        assert ended.code == 1
        said = ended.out + ended.err
        assert "kustomize: not found; put it (or kubectl) on PATH or run `make tools`" in said
        assert "Traceback" not in said
        assert len(said.splitlines()) == 1

    def test_an_invalid_stack(self, checkout: Path, fleet: Run) -> None:
        write(checkout, {"Pulumi.prod.yaml": stack_file("prod", apps="nothing")})
        ended = fleet("check", "--root", checkout, "--json")
        assert (ended.code, ended.out) == (1, "")
        assert ended.err.startswith("Pulumi.prod.yaml: fleet:apps[0]: 'nothing' has no ")

    def test_it_changes_nothing(self, checkout: Path, fleet: Run) -> None:
        with_manifests(checkout)
        before = contents(checkout)
        fleet("check", "--root", checkout)
        assert contents(checkout) == before


class TestFetch:
    def test_a_path_is_only_verified(self, checkout: Path, empty_cache: Path, fleet: Run) -> None:
        with_manifests(checkout)
        ended = fleet("fetch", "--root", checkout)
        assert (ended.code, ended.err) == (0, "")
        where, pin = ended.out.splitlines()
        assert where == f"Flux v2.9.2: {checkout}/flux.yaml"
        assert re.fullmatch(r"pin it: fleet:flux\.sha256: [0-9a-f]{64}", pin)
        assert not empty_cache.exists()

    def test_a_pinned_path(self, checkout: Path, fleet: Run) -> None:
        with_manifests(checkout)
        pin = fleet("fetch", "--root", checkout).out.splitlines()[1].rpartition(" ")[2]
        project = (checkout / "Pulumi.yaml").read_text()
        write(checkout, {"Pulumi.yaml": project.rstrip() + f"\n      sha256: {pin}\n"})
        ended = fleet("fetch", "--root", checkout)
        assert ended == Ended(0, f"Flux v2.9.2: {checkout}/flux.yaml\n", "")

    def test_a_path_that_is_not_there(self, checkout: Path, fleet: Run) -> None:
        with_manifests(checkout)
        (checkout / "flux.yaml").unlink()
        ended = fleet("fetch", "--root", checkout)
        assert (ended.code, ended.out) == (1, "")
        assert ended.err == f"fleet:flux.manifests: {checkout}/flux.yaml does not exist\n"

    def test_a_release_that_is_in_the_cache(
        self, checkout: Path, empty_cache: Path, fleet: Run
    ) -> None:
        """It is not fetched again, and `render` uses it."""
        flux = load.stack(checkout, "dev").config.flux
        path = flux_release._path(flux, checkout).relative_to(empty_cache).as_posix()
        write(empty_cache, {path: MANIFESTS})
        ended = fleet("fetch", "--root", checkout)
        assert ended.code == 0
        assert ended.out.startswith(f"Flux v2.9.2: {empty_cache}/{path}\n")
        assert "gotk-components.yaml\n# Generated" in fleet("render", "--root", checkout).out

    def test_a_release_that_cannot_be_reached(
        self, checkout: Path, empty_cache: Path, fleet: Run, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def unreachable(*_: object, **__: object) -> None:
            raise TimeoutError("timed out")

        monkeypatch.setattr("urllib.request.urlopen", unreachable)
        ended = fleet("fetch", "--root", checkout)
        assert (ended.code, ended.out) == (1, "")
        assert ended.err == (
            "https://github.com/fluxcd/flux2/releases/download/v2.9.2/install.yaml: cannot be "
            "fetched: timed out\n"
        )
        assert not list(empty_cache.rglob("*"))


def test_schema(fleet: Run) -> None:
    ended = fleet("schema")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out == (REPOSITORY / "stack.schema.json").read_text(encoding="utf-8")
