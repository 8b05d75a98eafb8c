"""The real command line of Kyverno, with no network and nothing of this machine's settings."""

from __future__ import annotations

import functools
import json
import re
import shutil
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from fleet import process
from fleet.errors import CommandError, LimitError
from fleet.kube.fields import Fields, mapping_at, mappings_in
from fleet.kube.manifest import Manifest
from fleet.policies.batches import Run
from fleet.policies.outcome import UNREAD, Outcome
from fleet.policies.subject import Place, json_of

# The outcomes of each subject, by the policy and the number of the subject in the run.
Outcomes = Mapping[tuple[str, int], Sequence[Outcome]]

NAMES = ("kyverno", "kubectl-kyverno")
_TIMEOUT = 600
_MEMORY = 2048
# Nothing listens on this port.
_NO_PROXY = "http://127.0.0.1:9"
# An empty network of its own, in which not even this machine can be reached.
_WITHOUT_NETWORK = ("unshare", "--map-root-user", "--net")
# Its log tells which policies it has left out, and its report does not.
_LEFT_OUT = re.compile(r"(skipping invalid YAML file|Non-fatal parsing error).*?error=(.*)")
_NAME_IN_RUN = re.compile(r'\\*"?p-[0-9a-f]{40}\\*"?')
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
_MESSAGE_LENGTH = 300


def find() -> Kyverno | None:
    """Return the program on PATH, or the one that `make tools` built, None if there is none."""
    found = (process.find_program(name) for name in NAMES)
    path = next((path for path in found if path), None)
    return Kyverno(path=path) if path else None


@functools.cache
def without_network() -> Sequence[str]:
    """Return the words with which a program runs without any network, none if that cannot be."""
    words = [shutil.which(_WITHOUT_NETWORK[0]) or "", *_WITHOUT_NETWORK[1:]]
    try:
        process.run([*words, "true"], timeout=10)
    except (CommandError, OSError):
        return ()
    return words


class _UnreadError(Exception):
    """Kyverno cannot read a policy or an object of a run."""

    def __init__(
        self, message: str, *, is_about_policy: bool = False, is_about_object: bool = False
    ) -> None:
        super().__init__(message)
        self.is_about_policy = is_about_policy
        self.is_about_object = is_about_object


@dataclass(frozen=True, kw_only=True)
class Kyverno:
    """The program at a path."""

    path: str

    @cached_property
    def identity(self) -> str:
        """A text that changes with the program; its version would take a run of it."""
        found = Path(self.path).resolve()
        status = found.stat()
        return f"{found} {status.st_size} {status.st_mtime_ns}"

    def judge(self, run: Run) -> Outcomes:
        """Return the outcomes of each policy of a run for each of its subjects, some empty.

        What Kyverno cannot read has the status UNREAD, and does not keep others from being judged.
        """
        try:
            return self._reported(run)
        except _UnreadError as error:
            halves = _halves(run, error)
            message = one_line(_NAME_IN_RUN.sub("it", str(error)))
        if not halves:
            numbers = range(len(run.subjects))
            unread = [Outcome("", UNREAD, message)]
            return {(policy.key, number): unread for policy in run.policies for number in numbers}
        return {
            (key, start + number): outcomes
            for start, half in halves
            for (key, number), outcomes in self.judge(half).items()
        }

    def _reported(self, run: Run) -> Outcomes:
        with tempfile.TemporaryDirectory(prefix="fleet-policies-") as name:
            folder = Path(name)
            options = _write(folder, run)
            out = self._run(folder, options)
        return _outcomes(out, run)

    def _run(self, folder: Path, options: Sequence[str]) -> str:
        # The log goes to standard error, and is read with the report.
        merged = ("/bin/sh", "-c", 'exec "$@" 2>&1', "sh")
        environment = {
            "PATH": "/usr/bin:/bin",
            "HOME": str(folder),
            **dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"), _NO_PROXY),
        }
        command = [*without_network(), *merged, self.path, "apply", *options, "-v", "3"]
        try:
            out = process.run(
                command,
                timeout=_TIMEOUT,
                accept=(0, 1),  # 1 is a violation, or an error, which the output tells
                cwd=folder,
                env=environment,
                memory=_MEMORY,
            )
        except LimitError as error:
            raise _UnreadError(_named(error), is_about_object=True) from None
        except CommandError as error:
            raise _UnreadError(_named(error)) from None
        plain = _COLOURS.sub("", out)
        if problem := _problem(plain):
            raise problem
        return plain


def _named(error: CommandError) -> str:
    """Return an error without the name of the program that starts Kyverno's."""
    return str(error).partition(": ")[2]


def _write(folder: Path, run: Run) -> list[str]:
    """Write the files of a run; return the arguments of `kyverno apply` that name them."""
    names = []
    exceptions: list[Manifest] = []
    for number, policy in enumerate(run.policies):
        document, excepted = policy.documents
        names.append(f"policy-{number}.yaml")
        _write_documents(folder / names[-1], [document])
        exceptions += excepted
    _write_documents(folder / "objects.yaml", [subject.manifest for subject in run.subjects])
    options = [
        *names, "--resource", "objects.yaml", "--policy-report", "--output-format", "json",
    ]  # fmt: skip
    if any(policy.is_about_images for policy in run.policies):
        # It refuses to look at objects of a kind that it does not know, and ends.
        options.append("--continue-on-fail")
    views = {subject.place.namespace: subject.view for subject in run.subjects}
    if namespaces := [view.namespace for view in views.values() if view is not None]:
        values = {
            "apiVersion": "cli.kyverno.io/v1alpha1",
            "kind": "Values",
            "metadata": {"name": "values"},
            "namespaces": namespaces,
        }
        _write_documents(folder / "values.yaml", [values])
        options += ["--values-file", "values.yaml"]
    crds = {crd["metadata"]["name"]: crd for subject in run.subjects if (crd := subject.crd)}
    if crds:
        _write_documents(folder / "crds.yaml", crds.values())
        options += ["--crd-paths", "crds.yaml"]
    if exceptions:
        _write_documents(folder / "exceptions.yaml", exceptions)
        options += ["--exception", "exceptions.yaml"]
    return options


def _write_documents(file: Path, documents: Iterable[Manifest]) -> None:
    text = "\n---\n".join(json_of(document) for document in documents)
    file.write_text(f"{text}\n", encoding="utf-8", errors="surrogatepass")


def _halves(run: Run, error: _UnreadError) -> list[tuple[int, Run]]:
    """Return a failed run in two parts, each with the number of its first subject.

    A run that has nothing left to divide has none.
    """
    if len(run.policies) > 1 and not error.is_about_object:
        middle = len(run.policies) // 2
        parts = (run.policies[:middle], run.policies[middle:])
        return [(0, Run(policies=part, subjects=run.subjects)) for part in parts]
    # A policy that cannot be read fails for each object.
    if len(run.subjects) > 1 and not error.is_about_policy:
        middle = len(run.subjects) // 2
        return [
            (0, Run(policies=run.policies, subjects=run.subjects[:middle])),
            (middle, Run(policies=run.policies, subjects=run.subjects[middle:])),
        ]
    return []


def _problem(out: str) -> _UnreadError | None:
    """Return the reason why there is no complete report, None if there is one."""
    lines = [line for line in out.splitlines() if not line.startswith("{")]
    for number, line in enumerate(lines):
        if found := _LEFT_OUT.search(line):
            return _UnreadError(found[2].strip('"'), is_about_policy=True)
        if line.startswith(("Error: ", "panic: ", "fatal error: ")):
            text = "\n".join(lines[number : number + 3]).removeprefix("Error: ")
            _, is_about_policy, rest = text.partition("failed to compile policy")
            return _UnreadError(
                f"{is_about_policy}{rest}" if is_about_policy else text,
                is_about_policy=bool(is_about_policy),
                is_about_object="failed to load resources" in line,
            )
    return None


def _outcomes(out: str, run: Run) -> Outcomes:
    keys = {policy.name_in_run: policy.key for policy in run.policies}
    numbers = {subject.place: number for number, subject in enumerate(run.subjects)}
    found: dict[tuple[str, int], list[Outcome]] = {
        (key, number): [] for key in keys.values() for number in numbers.values()
    }
    for line in out.splitlines():
        for result in _results(line):
            # A policy of a namespace is reported as `namespace/name`.
            key = keys.get(str(result.get("policy")).rpartition("/")[2])
            for reference in mappings_in(result.get("resources")):
                number = numbers.get(_place(reference))
                if key is not None and number is not None:
                    found[key, number].append(_outcome(result))
    return found


def _results(line: str) -> Sequence[Fields]:
    if not line.startswith("{"):
        return []
    try:
        return mappings_in(mapping_at(json.loads(line)).get("results"))
    except ValueError:
        return []


def _place(reference: Fields) -> Place:
    return Place(
        api_version=str(reference.get("apiVersion")),
        kind=str(reference.get("kind")),
        namespace=str(reference.get("namespace") or "default"),
        name=str(reference.get("name")),
    )


def _outcome(result: Fields) -> Outcome:
    message = one_line(str(result.get("message") or ""))
    return Outcome(str(result.get("rule") or ""), str(result.get("result")), message)


def one_line(text: str) -> str:
    """Return a message on one line, a long one shortened."""
    line = " ".join(text.split())
    return line if len(line) <= _MESSAGE_LENGTH else f"{line[:_MESSAGE_LENGTH]}..."
