"""The type of a Kubernetes object."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# An object as YAML or JSON has it: apiVersion, kind, metadata and the rest.
Manifest = Mapping[str, Any]
