"""The things that clusters have: apps, controllers, policies, namespaces, tenants, objects."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property

from fleet.config.tenant import tenants_of
from fleet.inventory.built_object import BuiltObject
from fleet.inventory.model import Cluster, Fleet
from fleet.kube.manifest import Manifest, ObjectId
from fleet.kube.once import id_of, once_for_each
from fleet.provenance.link import Link
from fleet.provenance.provenance import Provenance
from fleet.questions import aspects, flux_things
from fleet.questions.aspects import Aspect, Aspects
from fleet.questions.flux_things import FLUX
from fleet.render import layout

_CONTROLLERS = "controllers"


class ThingType(str, Enum):
    """The types of things, in the order in which they are shown."""

    APP = "app"
    CONTROLLER = "controller"
    POLICY = "policy"
    NAMESPACE = "namespace"
    TENANT = "tenant"
    IMAGE = "image"
    OBJECT = "object"


@dataclass(frozen=True, kw_only=True, order=True)
class Thing:
    """A thing that clusters may have. The name of an object has its kind: `Kind/namespace/name`."""

    type: ThingType
    name: str


@dataclass(frozen=True, kw_only=True)
class Presence:
    """A thing in one cluster: its objects and its aspects.

    `definitions` are the folders of the entries that bring it.
    """

    cluster: Cluster
    objects: tuple[BuiltObject, ...]
    aspects: Aspects
    definitions: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Things:
    """The things of all clusters of a fleet."""

    fleet: Fleet
    provenance: Provenance
    _by_cluster: dict[str, _ClusterThings] = field(default_factory=dict)
    _texts: dict[int, tuple[object, str]] = field(default_factory=dict)

    def of_cluster(self, cluster: Cluster) -> _ClusterThings:
        """Return the things of one cluster."""
        if cluster.name not in self._by_cluster:
            self._by_cluster[cluster.name] = _ClusterThings(cluster=cluster, things=self)
        return self._by_cluster[cluster.name]

    def presences(self, thing: Thing) -> dict[str, Presence]:
        """Return a thing by the names of the clusters that have it."""
        found = {
            name: self.of_cluster(cluster).presence(thing)
            for name, cluster in self.fleet.clusters.items()
        }
        return {name: presence for name, presence in found.items() if presence is not None}

    def sources(self, thing: Thing, presence: Presence) -> tuple[Link, ...]:
        """Return the lines of stack files that put a thing into a cluster."""
        return tuple(self.of_cluster(presence.cluster).sources(thing, presence.objects))

    def all_of(self, kind: ThingType) -> list[Thing]:
        """Return all things of a type that any cluster has, sorted by name."""
        names = {
            name
            for cluster in self.fleet.clusters.values()
            for name in self.of_cluster(cluster).of_type(kind)
        }
        return [Thing(type=kind, name=name) for name in sorted(names)]

    def text_of(self, cluster: Cluster, built: BuiltObject) -> str:
        """Return a text that is equal for equal objects, whichever tree they are in.

        Values of variables do not count: they are what clusters of one overlay differ by.
        """
        manifest = built.before_variables or built.manifest
        found = self._texts.get(id(manifest))
        if found is None:
            text = json.dumps(manifest, sort_keys=True, default=str)
            if built.is_flux_kustomization:
                text = text.replace(f"./{cluster.path}/", "./")
            found = self._texts[id(manifest)] = (manifest, text)
        return found[1]


@dataclass(frozen=True, kw_only=True)
class _ClusterThings:
    """The things of one cluster."""

    cluster: Cluster
    things: Things
    _found: dict[ThingType, Mapping[str, tuple[BuiltObject, ...]]] = field(default_factory=dict)

    def of_type(self, kind: ThingType) -> Mapping[str, tuple[BuiltObject, ...]]:
        """Return the objects of all things of a type, by name."""
        if kind not in self._found:
            self._found[kind] = self._things(kind)
        return self._found[kind]

    def _things(self, kind: ThingType) -> Mapping[str, tuple[BuiltObject, ...]]:
        if self.cluster.stack is None and kind in _WITHOUT_STACK:
            return _WITHOUT_STACK[kind](self.cluster)
        if kind is ThingType.APP:
            return self._of_entries("apps", 0)
        if kind is ThingType.CONTROLLER:
            return {**self._of_entries("infrastructure", 1), **self._flux()}
        if kind is ThingType.TENANT:
            return self._tenants()
        return self._of_objects(_NAMES[kind])

    def presence(self, thing: Thing) -> Presence | None:
        """Return a thing if the cluster has it."""
        objects = self.of_type(thing.type).get(thing.name)
        if objects is None:
            return None
        return Presence(
            cluster=self.cluster,
            objects=objects,
            aspects=self._aspects(thing, objects),
            definitions=tuple(self._definitions(thing, objects)),
        )

    def _definitions(self, thing: Thing, objects: Sequence[BuiltObject]) -> Iterator[str]:
        if entries := self._entries_of(thing):
            yield from ("/".join(entry) for entry in entries)
            return
        found = (self.things.provenance.definition(self.cluster, built) for built in objects)
        yield from dict.fromkeys(folder for folder in found if folder is not None)

    def _aspects(self, thing: Thing, objects: Sequence[BuiltObject]) -> Aspects:
        found = aspects.of_objects(objects)
        if thing.type is ThingType.TENANT:
            (tenant,) = (
                item for item in tenants_of(self.cluster.own_stack) if item.name == thing.name
            )
            return {Aspect.NAMESPACE: (tenant.namespace,), Aspect.PATH: (tenant.path,)}
        if thing == Thing(type=ThingType.CONTROLLER, name=FLUX):
            return {Aspect.VERSION: tuple(flux_things.versions(self.cluster, objects))}
        if thing.type is ThingType.IMAGE:
            return {key: found[key] for key in (Aspect.NAMESPACE, Aspect.IMAGE) if key in found}
        if thing.type is ThingType.POLICY:
            found[Aspect.COPIES] = tuple(self._copies(thing))
        else:
            found[Aspect.ENTRY] = self._entry_paths(thing, objects)
        return {aspect: found[aspect] for aspect in Aspect if found.get(aspect)}

    def _entry_paths(self, thing: Thing, objects: Sequence[BuiltObject]) -> tuple[str, ...]:
        """Return the entries of a thing, or the folders of an app in a cluster without a stack."""
        if self.cluster.stack is None:
            return flux_things.paths(objects) if thing.type is ThingType.APP else ()
        return tuple(path for _, path in self._entries_of(thing))

    def _copies(self, thing: Thing) -> Iterator[str]:
        """Yield the other policies that are made from the same one, with their actions."""
        file = self._policy_files.get(thing.name)
        for name, (other, *_) in self.of_type(ThingType.POLICY).items():
            is_copy = thing.name in name or name in thing.name
            if name != thing.name and is_copy and file and self._policy_files[name] == file:
                actions = aspects.of_objects([other]).get(Aspect.ACTION, ())
                yield " ".join([name, *actions])

    @cached_property
    def _policy_files(self) -> Mapping[str, str | None]:
        """The file that each policy is made from, None if no definition brings it."""
        provenance = self.things.provenance
        found: dict[str, str | None] = {}
        for name, (built, *_) in self.of_type(ThingType.POLICY).items():
            folder = provenance.definition(self.cluster, built)
            source = built.before_variables or built.manifest
            found[name] = folder and provenance.definitions.file_of(folder, source)
        return found

    def _entries_of(self, thing: Thing) -> list[tuple[str, str]]:
        """Return the shared folder and the path of the entries that are a thing."""
        if self.cluster.stack is None:
            return []
        if thing.type is ThingType.APP:
            return [("apps", path) for path in self._paths("apps", 0, thing.name)]
        if thing.type is ThingType.CONTROLLER:
            paths = self._paths("infrastructure", 1, thing.name)
            return [("infrastructure", path) for path in paths]
        return []

    def sources(self, thing: Thing, objects: Sequence[BuiltObject]) -> Iterator[Link]:
        """Yield the lines that put a thing into the cluster."""
        lines = self.things.provenance.stack_lines
        entries = self._entries_of(thing)
        if thing.type is ThingType.TENANT:
            yield lines.tenant(self.cluster, thing.name)
        elif self.cluster.stack and thing == Thing(type=ThingType.CONTROLLER, name=FLUX):
            yield lines.flux(self.cluster)
        elif entries:
            yield from (lines.entry(self.cluster, *entry) for entry in entries)
        else:
            links = (self.things.provenance.entry(self.cluster, built) for built in objects)
            yield from dict.fromkeys(links)

    def _paths(self, folder: str, position: int, name: str | None = None) -> list[str]:
        """Return the entries below a shared folder, maybe only those with a name at a position."""
        entries = [entry.path for entry in getattr(self.cluster.own_stack.config, folder)]
        found = [path for path in entries if position == 0 or path.startswith(f"{_CONTROLLERS}/")]
        return [path for path in found if name in (None, path.split("/")[position])]

    def _of_entries(self, folder: str, position: int) -> dict[str, tuple[BuiltObject, ...]]:
        found: dict[str, dict[int, BuiltObject]] = {}
        for path in self._paths(folder, position):
            name = path.split("/")[position]
            for built in self._brought_by(f"{folder}/{path}"):
                found.setdefault(name, {})[id(built)] = built
            found.setdefault(name, {})
        return {name: tuple(objects.values()) for name, objects in found.items()}

    def _brought_by(self, folder: str) -> Iterator[BuiltObject]:
        """Yield the objects of a definition, and what the objects of Flux among them apply."""
        todo = [
            built
            for wanted in self.things.provenance.definitions.ids(folder)
            for built in self._in_stages.get(wanted, ())
        ]
        names = set[str]()
        while todo:
            yield from todo
            added = {item.applier_name for item in todo if item.is_flux_applier}
            added -= names
            names |= added
            todo = [item for name in sorted(added) for item in self._by_applier.get(name, ())]

    @cached_property
    def _in_stages(self) -> Mapping[ObjectId, list[BuiltObject]]:
        found: dict[ObjectId, list[BuiltObject]] = {}
        for built in self.cluster.objects:
            if built.path.startswith(f"{self.cluster.path}/"):
                source = built.before_variables
                key = id_of(built.manifest if source is None else source)
                found.setdefault(key, []).append(built)
        return found

    @cached_property
    def _by_applier(self) -> Mapping[str, list[BuiltObject]]:
        found: dict[str, list[BuiltObject]] = {}
        for built in self.cluster.objects:
            found.setdefault(built.applied_by, []).append(built)
        return found

    def _flux(self) -> dict[str, tuple[BuiltObject, ...]]:
        folder = self.cluster.path
        return {FLUX: tuple(built for built in self.cluster.objects if built.path == folder)}

    def _of_objects(
        self, names: Callable[[Manifest], Sequence[str]]
    ) -> dict[str, tuple[BuiltObject, ...]]:
        found: dict[str, list[BuiltObject]] = {}
        for built in self.cluster.objects:
            for name in names(built.manifest):
                found.setdefault(name, []).append(built)
        return {name: tuple(objects) for name, objects in found.items()}

    def _tenants(self) -> dict[str, tuple[BuiltObject, ...]]:
        folder = f"{self.cluster.path}/{layout.TENANTS}"
        return {
            tenant.name: tuple(self._by_path.get(f"{folder}/{tenant.name}", ()))
            for tenant in self.cluster.own_stack.config.tenants
        }

    @cached_property
    def _by_path(self) -> Mapping[str, list[BuiltObject]]:
        found: dict[str, list[BuiltObject]] = {}
        for built in self.cluster.objects:
            found.setdefault(built.path, []).append(built)
        return found


def name_of(found: ObjectId) -> str:
    """Return the name of an object as a thing: `Kind/namespace/name`, or `Kind/name`."""
    return "/".join(part for part in (found.kind, found.namespace, found.name) if part)


@once_for_each
def _policy_names(manifest: Manifest) -> Sequence[str]:
    built = BuiltObject(path="", manifest=manifest)
    return [built.name] if aspects.is_policy(built) else []


@once_for_each
def _namespace_names(manifest: Manifest) -> Sequence[str]:
    built = BuiltObject(path="", manifest=manifest)
    is_namespace = (built.api_version, built.kind) == ("v1", "Namespace")
    return [built.name] if is_namespace else []


@once_for_each
def _images(manifest: Manifest) -> Sequence[str]:
    return list(dict.fromkeys(aspects.images(BuiltObject(path="", manifest=manifest))))


@once_for_each
def _object_names(manifest: Manifest) -> Sequence[str]:
    return [name_of(id_of(manifest))]


# The names that an object has as a thing of a type.
_NAMES: Mapping[ThingType, Callable[[Manifest], Sequence[str]]] = {
    ThingType.POLICY: _policy_names,
    ThingType.NAMESPACE: _namespace_names,
    ThingType.IMAGE: _images,
    ThingType.OBJECT: _object_names,
}
# The things of a cluster without a stack that stack files decide elsewhere.
_WITHOUT_STACK: Mapping[ThingType, Callable[[Cluster], flux_things.Found]] = {
    ThingType.APP: flux_things.apps,
    ThingType.CONTROLLER: flux_things.controllers,
    ThingType.TENANT: flux_things.tenants,
}
