"""The real helm, with no network, no plugins and nothing of this machine's settings."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fleet import process
from fleet.errors import CommandError
from fleet.helm import chart_files, versions

# helm-controller has these limits for all of its releases together.
TIMEOUT = 60
MEMORY = 1024
# A chart that only gives Helm something to do.
_METADATA = b"apiVersion: v2\nname: probe\nversion: 1.0.0\n"
_MATCHES = b"""\
matches:
{{- range .Values.versions }}
{{- if semverCompare $.Values.range . }}
  - {{ . | toJson }}
{{- end }}
{{- end }}
"""


@dataclass(frozen=True, kw_only=True)
class Setting:
    """A value at a path, in the notation of `helm --set`; a literal one stays as it is."""

    path: str
    value: str
    is_literal: bool

    def options(self) -> list[str]:
        """Return the options with which Helm sets the value as helm-controller does."""
        if self.is_literal:
            escaped = "".join(f"\\{sign}" if sign in "\\,[]{}" else sign for sign in self.value)
            return ["--set-string", f"{self.path}={escaped}"]
        if self.value[:1] in ("'", '"') and self.value[:1] == self.value[-1:]:
            # helm-controller removes all quotes at both ends, of either kind.
            return ["--set-string", self.path + "=" + self.value.strip("'\"")]
        return ["--set", f"{self.path}={self.value}"]


@dataclass(frozen=True, kw_only=True)
class Helm:
    """The program at a path."""

    path: str

    @property
    def identity(self) -> str:
        """A text that changes with the program; its version would take a run of it."""
        found = Path(self.path).resolve()
        status = found.stat()
        return f"{found} {status.st_size} {status.st_mtime_ns}"

    def template(
        self, chart: chart_files.Files, values: Sequence[str], options: Sequence[str]
    ) -> list[str]:
        """Return what Helm makes of a chart's templates, without and then with its CRDs.

        `options` begin with the name of the release. The second text is missing if the options
        do not have `--include-crds`, which only it is made with. Raises CommandError.
        """
        with _work_folder(chart, values) as work:
            files = [option for path in work.values for option in ("--values", path)]
            plain = [option for option in options if option != "--include-crds"]
            commands = [plain] if len(plain) == len(options) else [plain, options]
            return [
                self._run(work, "template", command[0], "chart", *command[1:], *files)
                for command in commands
            ]

    def values(self, texts: Sequence[str], setting: Setting | None = None) -> dict[str, Any]:
        """Return YAML texts merged as Helm merges files of values. Raises CommandError."""
        with _work_folder({chart_files.METADATA: _METADATA}, texts) as work:
            files = [option for path in work.values for option in ("--values", path)]
            options = ("--dry-run=client", "--output=json", *(setting.options() if setting else ()))
            release = self._run(work, "install", "probe", "chart", *options, *files)
        return json.loads(release).get("config") or {}

    def latest(self, wanted: str, texts: Sequence[str]) -> str | None:
        """Return the highest of some versions that is in a range, the first of equal ones."""
        complete = versions.complete(texts)
        chart = {chart_files.METADATA: _METADATA, "templates/matches.yaml": _MATCHES}
        values = json.dumps({"range": wanted, "versions": complete})
        (text,) = self.template(chart, [values], ["probe"])
        listed = text.partition("matches:")[2].splitlines()
        matches = [json.loads(line.partition("- ")[2]) for line in listed if "- " in line]
        return versions.highest(matches)

    def _run(self, work: _Work, *args: str) -> str:
        try:
            return process.run(
                [self.path, *args],
                timeout=TIMEOUT,
                cwd=work.folder,
                env=work.environment,
                memory=MEMORY,
            )
        except CommandError as error:
            raise type(error)(str(error).replace(f"{work.folder}/", "")) from None
        except OSError as error:
            # A value can be longer than an argument may be.
            raise CommandError(f"helm: cannot be run: {error.strerror}") from None


@dataclass(frozen=True, kw_only=True)
class _Work:
    """A folder with a chart and files of values, and the variables of a run in it."""

    folder: Path
    values: list[str]
    environment: dict[str, str]


@contextmanager
def _work_folder(chart: chart_files.Files, values: Sequence[str]) -> Iterator[_Work]:
    with tempfile.TemporaryDirectory(prefix="fleet-helm-") as name:
        folder = Path(name).resolve()
        chart_files.write(chart, folder / "chart")
        names = [f"values-{number}.yaml" for number in range(len(values))]
        for file, text in zip(names, values, strict=True):
            (folder / file).write_text(text, encoding="utf-8")
        home = folder / "home"
        (home / "plugins").mkdir(parents=True)
        variables = (
            "HOME", "HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME", "XDG_CACHE_HOME",
            "XDG_CONFIG_HOME", "XDG_DATA_HOME",
        )  # fmt: skip
        environment = {
            **dict.fromkeys(variables, str(home)),
            "HELM_PLUGINS": str(home / "plugins"),
            # Without a context Helm has no cluster to ask.
            "KUBECONFIG": str(home / "no-kubeconfig"),
        }
        yield _Work(folder=folder, values=names, environment=environment)
