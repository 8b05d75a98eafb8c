"""`fleet render`: output, files and exit codes."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from fleet.config import load
from fleet.render import tree
from tests.support import (
    INSTALL_MANIFESTS,
    REPOSITORY,
    Ended,
    Run,
    contents,
    stack_file,
    with_manifests,
    write,
)


def test_prints_every_file(checkout: Path, fleet: Run) -> None:
    """The listing has every line of every file, so that two listings can be compared."""
    with_manifests(checkout)
    ended = fleet("render", "--root", checkout, "--stack", "dev")
    assert (ended.code, ended.err) == (0, "")
    parts = re.split(r"^=== (.*)\n", ended.out, flags=re.MULTILINE)[1:]
    files = dict(zip(parts[::2], parts[1::2], strict=True))
    assert files == tree.render(load.stack(checkout, "dev"), INSTALL_MANIFESTS)


def test_writes_every_file_below_out(checkout: Path, tmp_path: Path, fleet: Run) -> None:
    with_manifests(checkout)
    out = tmp_path / "some" / "where"
    ended = fleet("render", "--root", checkout, "--stack", "dev", "--out", out)
    assert ended == Ended(0, "", "")
    assert contents(out) == tree.render(load.stack(checkout, "dev"), INSTALL_MANIFESTS)


def test_removes_what_an_earlier_run_generated(checkout: Path, tmp_path: Path, fleet: Run) -> None:
    out = tmp_path / "out"
    assert fleet("render", "--root", checkout, "--stack", "dev", "--out", out).code == 0
    note = out / "clusters/dev/apps/note.yaml"
    note.write_text("# written by hand\n")
    stack = (checkout / "Pulumi.dev.yaml").read_text()
    (checkout / "Pulumi.dev.yaml").write_text(re.sub(r"fleet:apps: .*", "fleet:apps: []", stack))
    assert fleet("render", "--root", checkout, "--stack", "dev", "--out", out).code == 0
    rendered = tree.render(load.stack(checkout, "dev"), None)
    assert set(contents(out)) - {"clusters/dev/flux-system/gotk-components.yaml"} == {
        *rendered,
        "clusters/dev/apps/note.yaml",
    }


def test_leaves_what_it_did_not_generate(checkout: Path, tmp_path: Path, fleet: Run) -> None:
    out = tmp_path / "out"
    apps = out / "clusters/dev/apps"
    (apps / "folder.yaml").mkdir(parents=True)
    (apps / "note.yaml").write_bytes(b"\xff\xfe")
    (apps / "link.yaml").symlink_to("nowhere")
    ended = fleet("render", "--root", checkout, "--stack", "dev", "--out", out)
    assert ended.code == 0
    assert (apps / "folder.yaml").is_dir()
    assert (apps / "note.yaml").read_bytes() == b"\xff\xfe"
    assert (apps / "link.yaml").is_symlink()


@pytest.mark.parametrize("link", ["clusters", "clusters/dev", "clusters/dev/apps.yaml"])
def test_writes_nothing_through_a_link(
    link: str, checkout: Path, tmp_path: Path, fleet: Run
) -> None:
    """A pull request could have made the link."""
    with_manifests(checkout)
    outside = tmp_path / "outside"
    (outside / "dev").mkdir(parents=True)
    (outside / "file").write_text("mine")
    target = outside / "file" if link.endswith(".yaml") else outside
    (checkout / link).parent.mkdir(parents=True, exist_ok=True)
    (checkout / link).symlink_to(target)
    ended = fleet("render", "--root", checkout, "--stack", "dev", "--out", checkout)
    assert (ended.code, ended.out) == (1, "")
    assert ended.err.endswith(f" leads out of {checkout}; remove the link\n")
    assert contents(outside) == {"file": "mine"}


def test_an_empty_stack_is_no_stack(checkout: Path, fleet: Run) -> None:
    """A script with an unset variable must not render all stacks."""
    ended = fleet("render", "--root", checkout, "--stack", "", "--out", checkout / "out")
    assert ended.code == 1
    assert ended.err.startswith("Pulumi..yaml: stack name '' cannot be a folder and a DNS label; ")
    assert not (checkout / "out").exists()


@pytest.mark.parametrize("command", ["render", "check", "fetch"])
@pytest.mark.parametrize(
    ("path", "content", "problem"),
    [
        ("~nosuchuser/flux.yaml", b"", "~nosuchuser/flux.yaml: has a user without a home folder"),
        ("flux.yaml", b"# app.kubernetes.io/version: v2.9.2\n\xff", "is not UTF-8 text"),
        (f"{'a' * 255}/{'b' * 255}", None, "does not exist"),
    ],
)
def test_install_manifests_that_cannot_be_read(
    command: str, path: str, content: bytes | None, problem: str, checkout: Path, fleet: Run
) -> None:
    project = (checkout / "Pulumi.yaml").read_text() + f"      manifests: {path}\n"
    write(checkout, {"Pulumi.yaml": project})
    if content:
        (checkout / path).write_bytes(content)
    ended = fleet(command, "--root", checkout)
    assert problem in ended.err
    assert len(ended.err.splitlines()) == 1


def test_renders_all_stacks_by_default(checkout: Path, fleet: Run) -> None:
    with_manifests(checkout)
    ended = fleet("render", "--root", checkout)
    assert [stack.name for stack in load.stacks(checkout)] == ["dev", "prod"]
    one_by_one = [fleet("render", "--root", checkout, "--stack", s) for s in ("dev", "prod")]
    assert ended.out == "".join(one.out for one in one_by_one)


def test_reads_this_folder_by_default(
    checkout: Path, fleet: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_manifests(checkout)
    monkeypatch.chdir(checkout)
    assert fleet("render") == fleet("render", "--root", checkout)


def test_without_install_manifests(checkout: Path, empty_cache: Path, fleet: Run) -> None:
    """One line for all stacks names the command that gets them; that one file is left out."""
    ended = fleet("render", "--root", checkout, "--out", checkout)
    assert not empty_cache.exists()
    assert (ended.code, ended.out) == (0, "")
    assert ended.err == (
        "Flux v2.9.2: install manifests are not in the cache; run `fleet fetch` "
        "(flux-system/gotk-components.yaml is left out)\n"
    )
    for name in ("dev", "prod"):
        expected = tree.render(load.stack(checkout, name), None)
        written = contents(checkout / "clusters" / name)
        assert {f"clusters/{name}/{path}": text for path, text in written.items()} == expected


def test_without_the_file_that_flux_manifests_names(checkout: Path, fleet: Run) -> None:
    with_manifests(checkout)
    (checkout / "flux.yaml").unlink()
    ended = fleet("render", "--root", checkout)
    assert ended.code == 0
    assert ended.err == (
        f"fleet:flux.manifests: {checkout}/flux.yaml does not exist; name another file "
        "(flux-system/gotk-components.yaml is left out)\n"
    )


def test_writes_nothing_when_one_stack_is_invalid(checkout: Path, fleet: Run) -> None:
    write(checkout, {"Pulumi.prod.yaml": "config: {}\n"})
    before = contents(checkout)
    assert fleet("render", "--root", checkout, "--out", checkout).code == 1
    assert contents(checkout) == before


def test_writes_nothing_when_the_manifests_have_another_version(checkout: Path, fleet: Run) -> None:
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


def test_a_folder_that_cannot_be_written(checkout: Path, fleet: Run) -> None:
    with_manifests(checkout)
    write(checkout, {"clusters": "a file\n"})
    ended = fleet("render", "--root", checkout, "--out", checkout)
    assert (ended.code, ended.out) == (1, "")
    assert re.fullmatch(r".*/clusters/dev/apps.yaml: cannot be written: .*\n", ended.err)


def test_needs_no_environment(checkout: Path) -> None:
    """A Git hook may run it without PATH, credentials or an engine."""
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


def test_a_closed_pipe_causes_no_traceback(checkout: Path) -> None:
    """`fleet render | head` closes the pipe after ten lines."""
    with_manifests(checkout)
    write(checkout, {"flux.yaml": INSTALL_MANIFESTS + "# much\n" * 50_000})
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
