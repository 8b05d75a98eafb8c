"""The values of a HelmRelease, composed as helm-controller composes them."""

from __future__ import annotations

import base64
import binascii
import copy
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fleet.helm.charts import Cluster, NotRenderedError
from fleet.helm.program import Helm, Setting
from fleet.kube.fields import Fields, mapping_at, mappings_in
from fleet.kube.manifest import Manifest, object_id

_ENCRYPTED = "ENC["


@dataclass(frozen=True, kw_only=True)
class Values:
    """The values of `valuesFrom`, in order, and those of the release itself.

    A layer is a YAML text or a value at a path. `unknown` names what only the cluster has, and
    values of Secrets at a path.
    """

    layers: tuple[str | Setting, ...]
    inline: Mapping[str, Any]
    unknown: tuple[str, ...] = ()
    uses_secrets: bool = False


def of_release(release: Manifest, cluster: Cluster) -> Values:
    """Return the values of a HelmRelease. Raises NotRenderedError."""
    spec = mapping_at(release, "spec")
    namespace = object_id(release).namespace
    layers: list[str | Setting] = []
    unknown: list[str] = []
    uses_secrets = False
    for reference in mappings_in(spec.get("valuesFrom")):
        kind, name = str(reference.get("kind")), str(reference.get("name"))
        source = cluster.core((kind, namespace, name))
        text = None if source is None else _text(source, reference)
        # Helm takes a value at a path from its command line, which other users may read.
        is_shown = kind == "Secret" and bool(reference.get("targetPath"))
        is_encrypted = text is not None and text.startswith(_ENCRYPTED)
        if source is None or is_encrypted or (is_shown and text is not None):
            key = reference.get("valuesKey") or "values.yaml"
            unknown.append(f"{kind} {namespace}/{name}: {key}")
        elif text is not None:
            uses_secrets |= kind == "Secret"
            layers.append(_layer(reference, text))
    return Values(
        layers=tuple(layers),
        inline=mapping_at(spec, "values"),
        unknown=tuple(unknown),
        uses_secrets=uses_secrets,
    )


def _layer(reference: Fields, text: str) -> str | Setting:
    path = reference.get("targetPath")
    if not path:
        return text
    return Setting(path=str(path), value=text, is_literal=reference.get("literal") is True)


def _text(source: Manifest, reference: Fields) -> str | None:
    """Return the text at a key, None for an optional key that is missing.

    Raises NotRenderedError, without the text.
    """
    key = str(reference.get("valuesKey") or "values.yaml")
    found = mapping_at(source, "data").get(key)
    kind = object_id(source).kind
    if kind == "Secret":
        # The API server lets stringData win.
        plain = mapping_at(source, "stringData").get(key)
        found = plain if plain is not None else _decoded(source, found)
    if found is None and reference.get("optional") is not True:
        raise NotRenderedError(f"spec.valuesFrom: {object_id(source)} has no key {key}; add it")
    return None if found is None else str(found)


def _decoded(source: Manifest, text: object) -> str | None:
    if text is None or str(text).startswith(_ENCRYPTED):
        return None if text is None else str(text)
    try:
        return base64.b64decode(str(text)).decode()
    except (binascii.Error, UnicodeDecodeError):
        raise NotRenderedError(
            f"spec.valuesFrom: data of {object_id(source)} is no base64 of a text; correct it"
        ) from None


def files(values: Values, helm: Helm) -> list[str]:
    """Return the values as YAML texts that Helm merges in their order. Raises CommandError."""
    if any(isinstance(layer, Setting) for layer in values.layers):
        return [json.dumps(_composed(values, helm))]
    texts = [layer for layer in values.layers if isinstance(layer, str)]
    return [*texts, json.dumps(values.inline)]


def _composed(values: Values, helm: Helm) -> dict[str, Any]:
    """Return the values when some of them are set at paths.

    helm-controller merges the release's own values before each of these and once more at the end,
    and it sets a value in the mappings that both share at that moment. So a value at a path wins
    over the release's own only below a mapping that nothing was merged into before.
    """
    inline = copy.deepcopy(dict(values.inline))
    result: dict[str, Any] = {}
    for layer in values.layers:
        if isinstance(layer, Setting):
            result = merged(result, inline)
            _assign(result, helm.values([json.dumps(result)], layer))
        else:
            result = merged(result, helm.values([layer]))
    return merged(result, inline)


def merged(first: dict[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    """Return the second mapping merged over the first; the result shares their inner mappings."""
    result = dict(first)
    for key, value in second.items():
        held = result.get(key)
        both = isinstance(value, dict) and isinstance(held, dict)
        result[key] = merged(held, value) if both and isinstance(held, dict) else value
    return result


def _assign(old: Any, new: Any) -> None:  # noqa: ANN401 - two mappings, or lists of equal length
    """Give a mapping or a list the content of another one, in place."""
    for key, value in new.items() if isinstance(new, dict) else enumerate(new):
        held = old.get(key) if isinstance(old, dict) else old[key]
        mappings = isinstance(held, dict) and isinstance(value, dict)
        lists = isinstance(held, list) and isinstance(value, list) and len(held) == len(value)
        if mappings or lists:
            _assign(held, value)
        else:
            old[key] = value
