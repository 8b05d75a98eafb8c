"""The type of a Kubernetes object."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# An object as its YAML says it: apiVersion, kind, metadata and whatever its kind has besides.
Manifest = Mapping[str, Any]
