"""The CRDs of a repository: they are the schemas of their kinds."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

from fleet.check import json_schemas
from fleet.inventory.objects import Objects
from fleet.kube.manifest import Manifest
from fleet.kube.once import distinct
from fleet.kube.scopes import CRD

# A CRD gives no fields for metadata, and any other schema at hand has more than this one needs.
_DEFINITIONS = {json_schemas.META: {"type": "object"}}


def of_objects(objects: Objects) -> Iterator[Manifest]:
    """Yield the CRDs among built objects."""
    return (built.manifest for built in objects.of_kinds(CRD[1]))


def write_schemas(crds: Iterable[Manifest], folder: Path) -> None:
    """Write the schema of each kind to the new folder `folder`; the first CRD of a kind wins."""
    folder.mkdir()
    for crd in distinct(crds):
        for location, schema in json_schemas.from_crd(crd):
            file = folder / location
            if not file.exists():
                file.parent.mkdir(exist_ok=True)
                standalone = json_schemas.standalone(schema, _DEFINITIONS)
                file.write_text(json.dumps(standalone, default=str), encoding="utf-8")
