"""The type of a Kubernetes object."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# An object as in its YAML: apiVersion, kind, metadata, and the other fields of its kind.
Manifest = Mapping[str, Any]
