"""The rule about images without a version of their own."""

from __future__ import annotations

from collections.abc import Iterator

from fleet.check.pods import pods_of
from fleet.check.rules import Rule, finds
from fleet.inventory.built_object import BuiltObject
from fleet.inventory.field_diff import HIDDEN
from fleet.inventory.finding import Finding
from fleet.inventory.objects import Objects
from fleet.kube.fields import mapping_at, mappings_in
from fleet.kube.manifest import Manifest
from fleet.kube.once import once_for_each

_CONTAINERS = ("initContainers", "containers", "ephemeralContainers")
_LATEST = "latest"


@finds(Rule.IMAGE_TAG)
def findings(objects: Objects) -> Iterator[Finding]:
    """Rule: an image has a digest, or a tag other than `latest`, so that a cluster keeps to it."""
    for built in objects.where(_open_images):
        for user, image in _open_images(built.manifest):
            if not built.is_unknown(image):
                shown = HIDDEN if built.holds_secrets else image
                yield built.finding(
                    f"image {shown} of {user} may be another one at each start; "
                    "name a version or a digest",
                    near=f"image: {image}",
                )


@once_for_each
def _open_images(manifest: Manifest) -> list[tuple[str, str]]:
    """Return the images without a version, each with what uses it."""
    return [
        (user, image)
        for user, image in _images(manifest)
        if isinstance(image, str) and _is_open(image)
    ]


def _images(manifest: Manifest) -> Iterator[tuple[str, object]]:
    pods = pods_of(BuiltObject(path="", manifest=manifest))
    if pods is None:
        return
    for key in _CONTAINERS:
        for container in mappings_in(pods.spec.get(key)):
            yield f"container {container.get('name')}", container.get("image")
    for volume in mappings_in(pods.spec.get("volumes")):
        yield f"volume {volume.get('name')}", mapping_at(volume, "image").get("reference")


def _is_open(image: str) -> bool:
    # A variable that nothing replaces is another mistake.
    if not image or "@" in image or "${" in image:
        return False
    # A registry may have a port.
    _, _, tag = image.rpartition("/")[2].partition(":")
    return tag in ("", _LATEST)
