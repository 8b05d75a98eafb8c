"""A shell in the working copy of a sandbox, where the commands of a platform engineer work."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from fleet import cache
from sandbox.build.parts import program
from sandbox.sandbox import Sandbox
from sandbox.sandbox_error import SandboxError

# The terminal and the language are the caller's; nothing else of the environment is.
_KEPT_VARIABLES = ("TERM", "COLORTERM", "LANG", "LC_ALL", "USER")


def environment(sandbox: Sandbox) -> dict[str, str]:
    """Return an environment in which pulumi, fleet, kubectl and git reach the sandbox alone."""
    engine = sandbox.stacks.environment()
    folders = [
        engine["PATH"].removesuffix(f"{os.pathsep}{os.defpath}"),
        str(Path(sys.executable).parent),
        str(cache.programs()),
        str(program("kubectl").parent),
        os.environ.get("PATH", os.defpath),
    ]
    kept = {name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ}
    return {
        **kept,
        **engine,
        **sandbox.github.git_environment,
        "PATH": os.pathsep.join(folders),
        "KUBECONFIG": str(sandbox.clusters.kubeconfig_file),
        "XDG_CACHE_HOME": str(cache.directory().parent),
        "PS1": r"(sandbox) \W \$ ",
    }


def run_shell(sandbox: Sandbox, command: str | None) -> int:
    """Run a command, or an interactive shell without one, and return its exit code."""
    folder = sandbox.platform_repository.folder
    if not folder.is_dir():
        raise SandboxError("no sandbox runs in this checkout; run `make sandbox` first")
    bash = shutil.which("bash")
    if bash is None:
        raise SandboxError("bash: not found; install it")
    arguments = ["--noprofile", "--norc", *(["-c", command] if command else ["-i"])]
    return subprocess.run(
        [bash, *arguments], check=False, cwd=folder, env=environment(sandbox)
    ).returncode
