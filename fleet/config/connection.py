"""The connection of a stack to its cluster, as the stack file names it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from fleet.config import local_paths, stack_files, valid_parts
from fleet.config.keys import key_at
from fleet.config.models import Cluster, Stack
from fleet.config.problem import problem
from fleet.errors import ConfigError
from fleet.kube import kubeconfig

_KUBECONFIG = key_at(("cluster", "kubeconfig"))
_CONTEXT = key_at(("cluster", "context"))


@dataclass(frozen=True, kw_only=True)
class Connection:
    """The kubeconfig and the context of a stack, and the stack's own file."""

    file: str
    cluster: Cluster

    def path(self) -> Path:
        """Return the absolute path of the kubeconfig file. Raises ConfigError."""
        try:
            return local_paths.expanded(self.cluster.kubeconfig).absolute()
        except ValueError as error:
            raise ConfigError([problem(self.file, _KUBECONFIG, str(error))]) from None

    def context(self) -> kubeconfig.Context:
        """Return the context as the kubeconfig file has it. Raises ConfigError."""
        path, name = self.path(), self.cluster.context
        try:
            content = kubeconfig.read(path)
        except OSError as error:
            text = f"{path}: {error.strerror}; name a file that can be read"
            raise ConfigError([problem(self.file, _KUBECONFIG, text)]) from None
        except ValueError:
            text = f"{path}: is not a kubeconfig file; name one"
            raise ConfigError([problem(self.file, _KUBECONFIG, text)]) from None
        names = kubeconfig.context_names(content)
        if not names:
            text = f"{path}: has no contexts; name another kubeconfig"
            raise ConfigError([problem(self.file, _KUBECONFIG, text)])
        if name not in names:
            text = f"{name!r} is not in {path}; name a context of it: {', '.join(names)}"
            raise ConfigError([problem(self.file, _CONTEXT, text)])
        try:
            return kubeconfig.context(path, content, name)
        except ValueError as error:
            raise ConfigError([self.problem(f"{error}; name a complete context")]) from None

    def problem(self, text: str) -> str:
        """Return a problem of the context: its file, then the conflict and one action."""
        return problem(self.file, _CONTEXT, f"{self.cluster.context!r} in {self.path()} {text}")


def of(stack: Stack) -> Connection:
    """Return the connection of a stack."""
    return Connection(file=stack.file, cluster=stack.config.cluster)


def read(root: Path, stack: str) -> Connection:
    """Read only the connection of a stack, so the rest of its file may be wrong.

    A state has the former name of a renamed stack until the next `up`. Raises ConfigError.
    """
    file = stack_files.own_file(_present_name(root, stack))
    own = stack_files.own(root, file)
    if own.values is None:
        raise ConfigError(own.problems)
    found = valid_parts.validate(own.values, {}, file)
    cluster = found.get("cluster", Cluster)
    if cluster is None:
        about = f"{file}: {key_at(('cluster',))}"
        raise ConfigError([line for line in found.problems if line.startswith(about)])
    return Connection(file=file, cluster=cluster)


def _present_name(root: Path, stack: str) -> str:
    """Return the name of a stack, which is another one when a stack file says that it moves."""
    if not (root / stack_files.own_file(stack)).is_file():
        for name in stack_files.names(root):
            values = stack_files.own(root, stack_files.own_file(name)).values or {}
            cluster = values.get("cluster")
            former = cluster.get("movesFrom") if isinstance(cluster, dict) else None
            if isinstance(former, dict) and former.get("stack") == stack:
                return name
    return stack
