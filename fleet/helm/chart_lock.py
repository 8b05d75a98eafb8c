"""The lock file of charts: which version each pin resolved to, and the checksum of its chart.

`fleet fetch` writes `charts.lock.yaml` at the root of the repository, to be committed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from fleet import files
from fleet.errors import FleetError
from fleet.helm.charts import Pin
from fleet.kube import yaml_reader, yaml_writer
from fleet.kube.fields import mapping_at

FILE = "charts.lock.yaml"
_HEADER = "`fleet fetch` writes this file. To resolve a version again, remove its entry and run it."
_SHA256 = re.compile(r"[0-9a-f]{64}")
_REQUIRED = ("source", "version", "resolved", "sha256")


@dataclass(frozen=True, kw_only=True)
class Locked:
    """The version that a pin resolved to, and the checksum of what was downloaded.

    `resolved` is a version, `tag@digest` of an OCIRepository, or a commit.
    """

    resolved: str
    sha256: str


Lock = Mapping[Pin, Locked]


def read(root: Path) -> Lock:
    """Return the lock of a repository, empty without a lock file. Raises FleetError."""
    path = root / FILE
    try:
        content = yaml_reader.document_with_unique_keys(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise FleetError(f"{FILE}: {error}") from None
    entries = content.get("charts") if isinstance(content, dict) else None
    if not isinstance(entries, list):
        raise FleetError(f"{FILE}: has no list `charts`; remove the file and run `fleet fetch`")
    return dict(_entry(number, entry) for number, entry in enumerate(entries))


def _entry(number: int, entry: object) -> tuple[Pin, Locked]:
    fields = {key: str(value) for key, value in mapping_at(entry).items()}
    problem = next((f"has no {key}" for key in _REQUIRED if not fields.get(key)), None)
    if problem is None and not _SHA256.fullmatch(fields["sha256"]):
        problem = "has a sha256 of another form"
    if problem:
        raise FleetError(
            f"{FILE}: charts[{number}]: {problem}; remove the entry and run `fleet fetch`"
        )
    pin = Pin(source=fields["source"], chart=fields.get("chart", ""), version=fields["version"])
    return pin, Locked(resolved=fields["resolved"], sha256=fields["sha256"])


def write(root: Path, lock: Lock) -> None:
    """Write the lock of a repository; without an entry there is no file. Raises FleetError."""
    path = root / FILE
    entries = [
        {
            "source": pin.source,
            **({"chart": pin.chart} if pin.chart else {}),
            "version": pin.version,
            "resolved": locked.resolved,
            "sha256": locked.sha256,
        }
        for pin, locked in sorted(lock.items())
    ]
    try:
        if entries:
            text = yaml_writer.comment(_HEADER) + yaml_writer.to_yaml({"charts": entries})
            files.write(path, text.encode())
        else:
            path.unlink(missing_ok=True)
    except OSError as error:
        raise FleetError(f"{FILE}: cannot be written: {error.strerror}") from None
