"""The programs that the sandbox runs, built once from pinned Go modules.

Each folder below `modules/` is a Go module. Go compiles a package once for all programs that have
it, and all of its dependencies, in the same versions. So most programs are in one module,
`programs`, and the others have its versions of what they share, as far as they can.

The cache keeps a build under a key of everything that changes its result, so nothing is built
twice. A build gets its final name when it is complete, so an interrupted one is made again.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from fleet import cache
from fleet.errors import CommandError
from fleet.process import run
from sandbox.sandbox_error import SandboxError

FOLDER = Path(__file__).parent / "modules"
BUILD_TIMEOUT = 40 * 60


@dataclass(frozen=True, kw_only=True)
class Part:
    """Programs that are built together, in the Go module of a folder below `modules/`.

    `programs` maps a program's file name to its Go package. `version_command` maps a program to the
    arguments that print its version; a program on PATH is used only when it prints `version`.
    With `any_version`, any program of that name on PATH is used. `unoptimized` is Go's pattern of
    packages that the compiler does not optimize. `minutes` is the part's share of the time of a
    build of all parts on two cores with an empty Go cache.
    """

    programs: Mapping[str, str]
    module: str
    version: str
    minutes: float
    version_command: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    linker_flags: str = ""
    unoptimized: str = ""
    any_version: bool = False


# `fleet` cannot do without these.
CHECK_PARTS = ("kustomize", "kubeconform", "helm")
# `fleet` judges policies with it, and says so if it is missing.
POLICY_PART = "kyverno-cli"
# The module of most programs.
_PROGRAMS = "programs"
_KUBERNETES = "k8s.io/component-base/version"
PARTS: Mapping[str, Part] = {
    "kustomize": Part(
        programs={"kustomize": "sigs.k8s.io/kustomize/kustomize/v5"},
        module=_PROGRAMS,
        version="v5.8.1",
        version_command={"kustomize": ("version",)},
        linker_flags="-X sigs.k8s.io/kustomize/api/provenance.version=v5.8.1",
        minutes=0.5,
    ),
    "kubeconform": Part(
        programs={"kubeconform": "github.com/yannh/kubeconform/cmd/kubeconform"},
        module="kubeconform",
        version="v0.7.0",
        version_command={"kubeconform": ("-v",)},
        linker_flags="-X main.version=v0.7.0",
        minutes=0.1,
    ),
    # It has the version and the dependencies of the Helm in helm-controller, so both give the
    # same objects, and the second of them to be built takes a few seconds.
    "helm": Part(
        programs={"helm": "helm.sh/helm/v4/cmd/helm"},
        module=_PROGRAMS,
        version="v4.2.2",
        version_command={"helm": ("version", "--short")},
        linker_flags="-X helm.sh/helm/v4/internal/version.version=v4.2.2",
        minutes=0.9,
    ),
    "etcd": Part(
        programs={"etcd": "go.etcd.io/etcd/server/v3"},
        module=_PROGRAMS,
        version="3.6.8",
        version_command={"etcd": ("--version",)},
        minutes=0.3,
    ),
    # Some of its packages take minutes, one after the other, so it is begun early.
    "pulumi-kubernetes": Part(
        programs={"pulumi-resource-kubernetes": "."},
        module="pulumi-kubernetes",
        version="4.25.0",
        linker_flags=(
            "-X github.com/pulumi/pulumi-kubernetes/provider/v4/pkg/version.Version=4.25.0"
        ),
        # They are 26 MB of generated code, and no resource of fleet is made by it.
        unoptimized="github.com/pulumi/pulumi-kubernetes/sdk/v4/...",
        any_version=True,
        minutes=3.5,
    ),
    "kubernetes": Part(
        programs={
            name: f"k8s.io/kubernetes/cmd/{name}"
            for name in ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl")
        },
        module="kubernetes",
        version="v1.36.2",
        version_command={
            "kube-apiserver": ("--version",),
            "kube-controller-manager": ("--version",),
            "kube-scheduler": ("--version",),
            "kubectl": ("version", "--client"),
        },
        linker_flags=(
            f"-X {_KUBERNETES}.gitVersion=v1.36.2"
            f" -X {_KUBERNETES}.gitMajor=1 -X {_KUBERNETES}.gitMinor=36"
        ),
        minutes=3.2,
    ),
    "kwok": Part(
        programs={"kwok": "sigs.k8s.io/kwok/cmd/kwok"},
        module=_PROGRAMS,
        version="v0.8.0",
        version_command={"kwok": ("--version",)},
        linker_flags="-X sigs.k8s.io/kwok/pkg/consts.Version=v0.8.0",
        minutes=0.3,
    ),
    "source-controller": Part(
        programs={"source-controller": "github.com/fluxcd/source-controller"},
        module=_PROGRAMS,
        version="v1.9.3",
        minutes=1.6,
    ),
    "kustomize-controller": Part(
        programs={"kustomize-controller": "github.com/fluxcd/kustomize-controller"},
        module=_PROGRAMS,
        version="v1.9.3",
        minutes=0.4,
    ),
    "helm-controller": Part(
        programs={"helm-controller": "github.com/fluxcd/helm-controller"},
        module=_PROGRAMS,
        version="v1.6.2",
        minutes=0.1,
    ),
    "pulumi": Part(
        programs={"pulumi": "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi"},
        module=_PROGRAMS,
        version="v3.259.0",
        version_command={"pulumi": ("version",)},
        # The Automation API refuses a program that prints no version.
        linker_flags="-X github.com/pulumi/pulumi/sdk/v3/go/common/version.Version=3.259.0",
        minutes=1.6,
    ),
    "pulumi-github": Part(
        programs={"pulumi-resource-github": "./pulumi-github"},
        module=_PROGRAMS,
        version="6.15.0",
        version_command={"pulumi-resource-github": ("--version",)},
        minutes=0.3,
    ),
    "kyverno-cli": Part(
        programs={"kubectl-kyverno": "github.com/kyverno/kyverno/cmd/cli/kubectl-kyverno"},
        module="kyverno-cli",
        version="v1.19.1",
        version_command={"kubectl-kyverno": ("version",)},
        linker_flags="-X github.com/kyverno/kyverno/pkg/version.BuildVersion=v1.19.1",
        minutes=1.5,
    ),
    "pod-security": Part(
        programs={"pod-security": "."}, module="pod-security", version="v1.36.2", minutes=0.3
    ),
    "quota-usage": Part(
        programs={"quota-usage": "."}, module="quota-usage", version="v1.36.2", minutes=0.2
    ),
    "flux-build": Part(
        programs={"flux-build": "./flux-build"}, module=_PROGRAMS, version="v1.9.3", minutes=0.2
    ),
    "flux-substitution": Part(
        programs={"flux-substitution": "./flux-substitution"},
        module=_PROGRAMS,
        version="v1.9.3",
        minutes=0.2,
    ),
}
# Only a test runs these.
TEST_PARTS = ("pod-security", "quota-usage", "flux-build", "flux-substitution")
# `make tools` builds all others, and `make sandbox` does without Kyverno's command line.
TOOL_PARTS = tuple(name for name in PARTS if name not in TEST_PARTS)
SANDBOX_PARTS = tuple(name for name in TOOL_PARTS if name != POLICY_PART)
_PART_OF = {program: name for name, part in PARTS.items() for program in part.programs}


def program(name: str) -> Path:
    """Return a program from PATH or from the cache. Raises SandboxError when neither has it."""
    part_name = _PART_OF[name]
    found = _on_path(name, PARTS[part_name])
    if found is not None:
        return found
    path = _build_folder(part_name) / name
    if not path.exists():
        target = "test" if part_name in TEST_PARTS else "tools"
        raise SandboxError(f"{name}: not built; run `make {target}`")
    return path


def build(names: tuple[str, ...], say: Callable[[str], None]) -> None:
    """Build the named parts that are neither in the cache nor on PATH.

    The parts of the module with most programs are built one after the other, so that each package
    is compiled once. Beside them, the others use a processor while a program is linked.
    """
    missing = [name for name in names if not _is_available(name)]
    for name in names:
        if name not in missing:
            _link_for_fleet(name)
    progress = _Progress(say, missing)
    # The first part is built alone, because it compiles Go's own packages for all others.
    _build_each(missing[:1], progress)
    with ThreadPoolExecutor() as pool:
        lanes = [
            pool.submit(_build_each, [name for name in missing[1:] if is_chosen(name)], progress)
            for is_chosen in (_is_in_programs, lambda name: not _is_in_programs(name))
        ]
        try:
            wait(lanes)
        except KeyboardInterrupt:
            progress.is_stopped = True
            raise
    for lane in lanes:
        lane.result()


def _is_in_programs(name: str) -> bool:
    return PARTS[name].module == _PROGRAMS


def _build_each(names: Iterable[str], progress: _Progress) -> None:
    for name in names:
        if progress.is_stopped:
            return
        with progress.of(name):
            _build(name)
        _link_for_fleet(name)


def _link_for_fleet(name: str) -> None:
    """Put the programs of a part where `fleet` finds them, if it runs them."""
    if name in (*CHECK_PARTS, POLICY_PART):
        for found in PARTS[name].programs:
            link(cache.programs() / found, program(found))


class _Progress:
    """The lines that are said while parts are built. Once it is stopped, no other is begun."""

    def __init__(self, say: Callable[[str], None], names: Iterable[str]) -> None:
        self._say = say
        self._left = {name: PARTS[name].minutes for name in names}
        self.is_stopped = False

    @contextmanager
    def of(self, name: str) -> Iterator[None]:
        """Say that a part is built. If that fails, everything is stopped."""
        left = sum(self._left.values())
        self._say(f"building {name} {PARTS[name].version} (about {left:.0f} min left for all)")
        started = time.monotonic()
        is_built = False
        try:
            with _reminder(self._say, f"still building {name}"):
                yield
            is_built = True
        finally:
            self.is_stopped |= not is_built
        self._left.pop(name)
        self._say(f"built {name} in {time.monotonic() - started:.0f} s")


def link(path: Path, target: Path) -> None:
    """Make `path` a symbolic link to `target`, in place of an earlier link."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f"{path.name}.{os.getpid()}")
    fresh.symlink_to(target)
    fresh.replace(path)


def source(module: str) -> Path:
    """Return the folder of a module that the sandbox reads but does not build; Go fetches it once.

    `modules/sources/go.mod` and `go.sum` pin its version and checksum.
    """
    out = run(
        ["go", "mod", "download", "-json", f"{module}@{source_version(module)}"],
        timeout=600,
        cwd=FOLDER / "sources",
        env=_go_environment(),
    )
    return Path(json.loads(out)["Dir"])


def source_version(module: str) -> str:
    """Return the pinned version of a module that the sandbox reads."""
    required = dict(
        line.split()[:2]
        for line in (FOLDER / "sources" / "go.mod").read_text().splitlines()
        if line.startswith("\t")
    )
    return required[module]


def _is_available(part_name: str) -> bool:
    part = PARTS[part_name]
    folder = _build_folder(part_name)
    return all((folder / name).exists() or _on_path(name, part) for name in part.programs)


def _on_path(name: str, part: Part) -> Path | None:
    found = shutil.which(name)
    if found is None or part.any_version:
        return Path(found) if found else None
    if name not in part.version_command:
        return None
    version = _version_output(found, part.version_command[name])
    return Path(found) if part.version.removeprefix("v") in version else None


@functools.cache
def _version_output(path: str, arguments: tuple[str, ...]) -> str:
    """Return the version that a program prints, or nothing if it fails."""
    try:
        return run([path, *arguments], timeout=20)
    except CommandError:
        return ""


def _sources(part: Part) -> Iterator[Path]:
    """Yield the files of this repository that decide what a build makes."""
    folder = FOLDER / part.module
    yield from (folder / "go.mod", folder / "go.sum")
    if any(package.startswith(".") for package in part.programs.values()):
        yield from sorted(folder.rglob("*.go"))


def _build_folder(part_name: str) -> Path:
    part = PARTS[part_name]
    digest = hashlib.sha256()
    for file in _sources(part):
        digest.update(str(file.relative_to(FOLDER)).encode() + b"\0" + file.read_bytes())
    digest.update(repr((sorted(part.programs.items()), _flags(part))).encode())
    return cache.directory() / "parts" / f"{part_name}-{digest.hexdigest()[:12]}"


@contextmanager
def _reminder(say: Callable[[str], None], text: str) -> Iterator[None]:
    """Say a text every half minute, because the compiler prints nothing for minutes."""
    done = threading.Event()

    def remind() -> None:
        while not done.wait(30):
            say(text)

    thread = threading.Thread(target=remind, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _build(part_name: str) -> None:
    part = PARTS[part_name]
    folder = _build_folder(part_name)
    unfinished = folder.with_name(f"{folder.name}.{os.getpid()}")
    unfinished.mkdir(parents=True, exist_ok=True)
    try:
        # Go names each of several programs as its package, and one program as it is told.
        target = unfinished if len(part.programs) > 1 else unfinished / next(iter(part.programs))
        run(
            ["go", "build", *_flags(part), "-o", target, *part.programs.values()],
            timeout=BUILD_TIMEOUT,
            cwd=FOLDER / part.module,
            env=_go_environment(),
        )
        shutil.rmtree(folder, ignore_errors=True)
        unfinished.rename(folder)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _flags(part: Part) -> list[str]:
    """Return the flags of `go build`. If one changes, all that have it are built again."""
    # The linker leaves out what a debugger needs, so the compiler need not make it.
    flags = ["-gcflags=all=-dwarf=false"]
    if part.unoptimized:
        flags.append(f"-gcflags={part.unoptimized}=-dwarf=false -N -l")
    return [
        *("-trimpath", "-mod=readonly", "-buildvcs=false", *flags),
        # Google's client of Cloud Storage does without gRPC then.
        "-tags=disable_grpc_modules",
        f"-ldflags=-s -w {part.linker_flags}",
    ]


def _go_environment() -> dict[str, str]:
    # A Go workspace or GOFLAGS of the user would change the result. The compiler needs a tenth less
    # of the processor if it collects its garbage seldom, and at most some hundred MB more.
    return {**os.environ, "GOWORK": "off", "GOFLAGS": "", "CGO_ENABLED": "0", "GOGC": "400"}
