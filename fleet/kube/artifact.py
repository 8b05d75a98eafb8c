"""The artifact of a repository: a copy with only the files that Flux would fetch from it."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import stat
import tarfile
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

from fleet import process
from fleet.errors import CommandError, FleetError

GIT_TIMEOUT = 60
_IGNORE_FILE = ".sourceignore"
# source-controller leaves these out of every artifact.
_NEVER_FETCHED = (".git/", ".gitignore", ".gitmodules", ".gitattributes")
# source-controller leaves these out of a repository that has no patterns of its own.
_NOT_FETCHED_BY_DEFAULT = (
    "*.jpg", "*.jpeg", "*.gif", "*.png", "*.wmv", "*.flv", "*.tar.gz", "*.zip", ".github/",
    ".circleci/", ".travis.yml", ".gitlab-ci.yml", "appveyor.yml", ".drone.yml", "cloudbuild.yaml",
    "codeship-services.yml", "codeship-steps.yml", "**/.goreleaser.yml", "**/.sops.yaml",
    "**/.flux.yaml",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class ArtifactFolder:
    """A folder of an artifact that Flux builds.

    `repository` is the checkout as it is, `copy` the resolved path of its artifact, `path` the
    folder in both. Findings show the folder as `file`. `left_out` matches the paths of
    files that this artifact does not have. Of an artifact with `kept` folders, everything else was
    removed.
    """

    repository: Path
    copy: Path
    path: str
    file: str
    left_out: re.Pattern[str] | None = None
    kept: Sequence[str] = ()

    @property
    def folder(self) -> Path:
        """The folder in the copy."""
        return self.copy / self.path

    def absence(self, path: PurePath) -> str:
        """Return the reason why a path of the repository is not in the copy."""
        steps = [self.repository / step for step in (path, *path.parents) if step.name]
        if any(os.path.islink(step) for step in steps):  # noqa: PTH114 - accepts any name
            return "is a symbolic link, which Flux leaves out; commit what it points to"
        if self.kept and path.parts[:1] not in [(name,) for name in self.kept]:
            folders = " and ".join(f"{name}/" for name in self.kept)
            return f"is outside {folders}, and a rendered cluster is made of these; move it there"
        if self.left_out and self.left_out.fullmatch(path.as_posix()):
            return "is not part of this cluster; name a shared definition"
        if os.path.lexists(self.repository / path):
            return (
                "is ignored by .gitignore, by .sourceignore or by Flux's defaults, so Flux does "
                "not fetch it; rename it or change the pattern"
            )
        return "is not among the files that Flux fetches; add it"


def pack(repository: Path, copy: Path, left_out: re.Pattern[str] | None = None) -> None:
    """Copy the files of a repository that Flux would fetch to the new folder `copy`.

    In a checkout these are the files that Git tracks or would add, committed or not. Flux fetches
    no symbolic links and no submodules. Files whose paths `left_out` matches are not copied.
    Raises FleetError for a file that cannot be read, and CommandError for a failure of Git.
    """
    repository = repository.resolve()
    copy.mkdir(parents=True)
    try:
        folders = {""}
        for name in _plain_files(repository, left_out):
            folder = name.rpartition("/")[0]
            if folder not in folders:
                (copy / folder).mkdir(parents=True, exist_ok=True)
                folders.add(folder)
            # `shutil.copyfile` asks five times more about both files.
            with open(f"{repository}/{name}", "rb") as source, open(f"{copy}/{name}", "xb") as new:  # noqa: PTH123 - see above
                shutil.copyfileobj(source, new)
    except OSError as error:
        raise FleetError(f"{repository}: cannot be read: {error}") from None
    _remove_ignored(copy)


def _plain_files(repository: Path, left_out: re.Pattern[str] | None) -> Iterator[str]:
    """Yield the files of a repository that are no symbolic links, without those left out."""
    # Paths as texts are quicker, and a large fleet has many files.
    plain: dict[str, bool] = {}
    for name in file_names(repository):
        if left_out and left_out.fullmatch(name):
            continue
        folder = f"{repository}/{name}".rpartition("/")[0]
        if folder not in plain:
            # The path of a folder behind a symbolic link is not its own.
            plain[folder] = os.path.realpath(folder) == folder
        if plain[folder] and _is_plain_file(f"{repository}/{name}"):
            yield name


def _is_plain_file(path: str) -> bool:
    try:
        return stat.S_ISREG(os.lstat(path).st_mode)
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return False


def file_names(repository: Path) -> list[str]:
    """Return the files that are in the repository, or will be when everything is committed.

    In a checkout these are the files that Git tracks or would add; a tracked file may be missing.
    """
    repository = repository.resolve()
    is_checkout = (repository / ".git").exists()
    return _added_to_git(repository) if is_checkout else [*_all_files(repository)]


def _added_to_git(repository: Path) -> list[str]:
    """Return the files of a checkout that Git tracks, and those that it would add."""
    options = ("--cached", "--others", "--exclude-standard")
    try:
        return sorted(set(_list_files(repository / ".git", repository, *options)))
    except CommandError as error:
        raise CommandError(f"{repository}: cannot be read: {error}") from None


def _all_files(repository: Path) -> Iterator[str]:
    """Yield all files of a folder that is no checkout, without those of checkouts in it."""
    for parent, folders, files in os.walk(repository):
        if ".git" in (*folders, *files) and Path(parent) != repository:
            folders.clear()
            continue
        folders[:] = sorted(folder for folder in folders if folder != ".git")
        for file in sorted(files):
            yield (Path(parent) / file).relative_to(repository).as_posix()


def _remove_ignored(copy: Path) -> None:
    """Remove the files that source-controller leaves out.

    Git finds them, because the patterns are those of Git.
    """
    ignore_files = sorted(copy.rglob(_IGNORE_FILE))
    has_patterns = any(_has_patterns(file) for file in ignore_files if file.is_file())
    patterns = (*_NEVER_FETCHED, *(() if has_patterns else _NOT_FETCHED_BY_DEFAULT))
    with tempfile.TemporaryDirectory(prefix="fleet-git-") as folder:
        git_dir, defaults = Path(folder) / "git", Path(folder) / "patterns"
        defaults.write_text("\n".join(patterns), encoding="utf-8")
        # This is all that Git needs to take a folder for a repository, and `git init` makes more.
        (git_dir / "objects").mkdir(parents=True)
        (git_dir / "refs").mkdir()
        (git_dir / "HEAD").write_text("ref: refs/heads/main\n", encoding="utf-8")
        options = ("--others", "--ignored", f"--exclude-per-directory={_IGNORE_FILE}")
        for name in _list_files(git_dir, copy, *options, f"--exclude-from={defaults}"):
            (copy / name).unlink()


def _has_patterns(file: Path) -> bool:
    lines = file.read_bytes().splitlines()
    return any(line.strip() and not line.startswith(b"#") for line in lines)


def _list_files(git_dir: Path, work_tree: Path, *options: str) -> list[str]:
    folders = (f"--git-dir={git_dir}", f"--work-tree={work_tree}")
    names = git(work_tree, *folders, "ls-files", "-z", *options).split("\0")
    return [name for name in names if name]


def full_name(repository: Path, commit: str) -> str | None:
    """Return the full name of a commit, None if there is no such commit."""
    # The text must not be read as an option.
    revision = ("--verify", "--quiet", "--end-of-options", f"{commit}^{{commit}}")
    try:
        return git(repository, "rev-parse", *revision).strip()
    except CommandError:
        return None


def blobs(repository: Path, commit: str) -> dict[str, str]:
    """Return Git's name for the content of each file of a commit, without symbolic links."""
    found: dict[str, str] = {}
    for line in git(repository, "ls-tree", "-r", "-z", commit).split("\0"):
        details, _, path = line.partition("\t")
        if details.startswith("100"):
            found[path] = details.split()[2]
    return found


def changed_files(repository: Path, commit: str, folder: str) -> list[str]:
    """Return the files below a folder that may differ between a commit and the checkout.

    Files that Git does not know are not among them.
    """
    options = ("--name-only", "-z", "--no-renames", "--relative", commit, "--", folder)
    names = git(repository, "--no-optional-locks", "diff-index", *options).split("\0")
    # Git looks at no file that is outside a sparse checkout, or is to be taken as unchanged.
    tagged = git(repository, "ls-files", "-v", "-z", "--", folder).split("\0")
    names += [line[2:] for line in tagged if not line.startswith("H ")]
    return [name for name in names if name]


def is_blob(content: bytes, name: str) -> bool:
    """Tell whether Git's name for a content is this one."""
    whole = b"blob %d\0%b" % (len(content), content)
    # A repository can have longer names.
    algorithm = (
        "sha256" if len(name) > hashlib.sha1(usedforsecurity=False).digest_size * 2 else "sha1"
    )
    return hashlib.new(algorithm, whole, usedforsecurity=False).hexdigest() == name


def has_files_of(repository: Path, found: Mapping[str, str], left_out: re.Pattern[str]) -> bool:
    """Tell whether a checkout has the files of a commit, `blobs`, without those left out."""
    repository = repository.resolve()
    wanted = {path: name for path, name in found.items() if not left_out.fullmatch(path)}
    present = list(_plain_files(repository, left_out))
    return wanted.keys() == set(present) and all(
        is_blob((repository / path).read_bytes(), wanted[path]) for path in present
    )


def extract(repository: Path, commit: str, folder: Path, paths: Sequence[str] = ()) -> bool:
    """Write the files of a commit to the new folder `folder`; tell whether there is such a commit.

    Git's `paths` choose some files. Symbolic links are left out, because Flux fetches none.
    """
    if full_name(repository, commit) is None:
        return False
    folder.mkdir(parents=True)
    with tempfile.TemporaryDirectory(prefix="fleet-git-") as work:
        file = Path(work) / "commit.tar"
        git(repository, "archive", "--format=tar", f"--output={file}", commit, *paths)
        with tarfile.open(file) as archive:
            for member in archive:
                content = archive.extractfile(member) if member.isfile() else None
                if content is not None:
                    path = folder / member.name
                    path.parent.mkdir(parents=True, exist_ok=True)
                    path.write_bytes(content.read())
    return True


def git(folder: Path, *args: str) -> str:
    """Run Git in a folder and return its output. Raises CommandError."""
    # A hook has the variables of the repository that it belongs to, and no other program may run.
    env = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    command = ["git", "-c", "core.fsmonitor=false", *args]
    return process.run(command, timeout=GIT_TIMEOUT, cwd=folder, env=env)
