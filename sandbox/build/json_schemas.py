"""The JSON Schemas of Kubernetes, Flux, Kyverno and the Gateway API, made from Go modules."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from fleet.check.json_schemas import Schema, from_crd, from_openapi, standalone
from sandbox.build import parts
from sandbox.host import files

_KUBERNETES = "k8s.io/kubernetes"
_CRD_FOLDERS = (
    ("github.com/fluxcd/source-controller", "config/crd/bases"),
    ("github.com/fluxcd/kustomize-controller", "config/crd/bases"),
    ("github.com/fluxcd/helm-controller", "config/crd/bases"),
    ("github.com/fluxcd/notification-controller", "config/crd/bases"),
    ("github.com/kyverno/kyverno", "charts/kyverno/charts/crds/templates"),
    ("sigs.k8s.io/gateway-api", "config/crd/standard"),
)


def build(out: Path) -> None:
    """Replace the folder `out` by one with all schemas. Every build gives the same bytes.

    kubeconform finds them with `-schema-location '<out>/' + fleet.check.schemas.SCHEMA_TEMPLATE`.
    """
    swagger = parts.source(_KUBERNETES) / "api" / "openapi-spec" / "swagger.json"
    definitions = from_openapi(json.loads(swagger.read_text()))
    with files.fresh_folder(out) as folder:
        for location, schema in _located_schemas(definitions):
            path = folder / location
            path.parent.mkdir(exist_ok=True)
            path.write_text(json.dumps(schema, sort_keys=True, separators=(",", ":")))


def _located_schemas(definitions: Mapping[str, Schema]) -> Iterator[tuple[str, Schema]]:
    for schema in definitions.values():
        if (kind := schema.get("x-kind")) is not None:
            yield kind, standalone(schema, definitions)
    for crd in _crds():
        for location, schema in from_crd(crd):
            yield location, standalone(schema, definitions)


def _crds() -> Iterator[Schema]:
    for module, folder in _CRD_FOLDERS:
        for path in sorted((parts.source(module) / folder).rglob("*.yaml")):
            for document in yaml.load_all(without_templating(path.read_text()), Loader=_Loader):
                if document and document["kind"] == "CustomResourceDefinition":
                    yield document


# The C loader is ten times as fast, but PyYAML can be built without it.
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def without_templating(text: str) -> str:
    """Remove the lines of a chart's template that hold only an instruction of Helm.

    The rest of a CRD template of Kyverno is the complete CRD without its labels.
    """
    return "\n".join(
        line for line in text.split("\n") if not re.fullmatch(r"\s*\{\{.*\}\}\s*", line)
    )
