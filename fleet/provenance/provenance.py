"""The chain that brings an object into a cluster, from the stack file to the object's own file.

Without a stack, it begins with what makes Flux apply the first folder.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from fleet.inventory import field_diff
from fleet.inventory.built_object import BuiltObject
from fleet.inventory.field_diff import FieldDifference
from fleet.inventory.model import Cluster, Fleet
from fleet.kube import substitution
from fleet.kube.fields import Fields, mapping_at, mappings_in
from fleet.kube.manifest import Manifest, ObjectId
from fleet.kube.once import id_of
from fleet.provenance import release_values
from fleet.provenance.definition_chain import DefinitionChains, object_line
from fleet.provenance.entrypoint_link import entrypoint_link
from fleet.provenance.link import Link, LinkKind
from fleet.provenance.stack_lines import StackLines
from fleet.provenance.tree_chain import TreeChain
from fleet.render import facts, layout, stages
from fleet.render.stages import Stage

_KEYS = {
    f"{Stage.INFRA.value}.yaml": "infrastructure",
    f"{Stage.POLICIES.value}.yaml": "infrastructure",
    f"{Stage.APPS.value}.yaml": "apps",
}


# The shared folder and the path of each entry of a stage.
_Entries = tuple[tuple[str, str], ...]


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """The chains of all objects of a fleet."""

    fleet: Fleet
    _trees: dict[str, TreeChain] = field(default_factory=dict)
    _own_links: dict[tuple[str, int], Link] = field(default_factory=dict)
    # The entries of each stage of a cluster.
    _entries: dict[str, dict[str, _Entries]] = field(default_factory=dict)
    _by_entries: dict[_Entries, Mapping[ObjectId, tuple[str, str]]] = field(default_factory=dict)

    @cached_property
    def definitions(self) -> DefinitionChains:
        """The chains inside the definitions."""
        return DefinitionChains(repository=self.fleet.repository)

    @cached_property
    def stack_lines(self) -> StackLines:
        """The lines of the stack files."""
        return StackLines(root=self.fleet.root)

    def entry(self, cluster: Cluster, built: BuiltObject) -> Link:
        """Return the line that puts an object into a cluster.

        It is that of a stack file, or of the nearest Flux Kustomization.
        """
        if cluster.stack is None:
            return self._applier_link(cluster, built)
        return self._stack_link(cluster, self._applied_by_flux(cluster, built))

    def definition(self, cluster: Cluster, built: BuiltObject) -> str | None:
        """Return the folder of the entry that brings an object, None if no entry does.

        In a cluster without a stack it is the folder that a Flux Kustomization applies.
        """
        if cluster.stack is None:
            return None if built.path == cluster.path else built.path
        for item in self._applied_by_flux(cluster, built):
            stage = item.path.removeprefix(f"{cluster.path}/")
            if found := self._entry_of(cluster, stage, item):
                return "/".join(found)
        return None

    def origin(self, cluster: Cluster, built: BuiltObject) -> Link:
        """Return the line on which an object begins in its own file.

        It is that of the HelmRelease for an object that helm renders, and that of the stack file
        for an object that fleet makes.
        """
        while built.release is not None:
            built = built.release
        if cluster.stack is None or not f"{built.path}/".startswith(f"{cluster.path}/"):
            return self._own_link(built, built.path)
        entry = self._entry_of(cluster, built.path.removeprefix(f"{cluster.path}/"), built)
        return self._own_link(built, "/".join(entry)) if entry else self.entry(cluster, built)

    def chain(self, cluster: Cluster, built: BuiltObject) -> tuple[Link, ...]:
        """Return all links from the stack file, or from the entrypoint, to an object."""
        appliers = self._appliers(cluster, built)
        first = appliers[0] if appliers else built
        links: list[Link] = []
        if cluster.entrypoint is None:
            links.append(self._stack_link(cluster, self._applied_by_flux(cluster, built)))
        elif first.applied_by != f"{first.namespace}/{first.name}":
            links.append(entrypoint_link(self.fleet.root, cluster.entrypoint))
            links += self._location(cluster, first, None)
        if first.applied_by == f"{first.namespace}/{first.name}" or cluster.stack is not None:
            # Flux starts with the sync, so no list has to lead to it.
            links += list(self._location(cluster, appliers[0], None))[-1:]
        for applier, item in zip(appliers, [*appliers[1:], built], strict=False):
            if item is not applier:
                links += self._location(cluster, item, applier)
        return tuple(links)

    def _tree(self, cluster: Cluster) -> TreeChain:
        if cluster.name not in self._trees:
            tree = TreeChain(cluster=cluster, definitions=self.definitions)
            self._trees[cluster.name] = tree
        return self._trees[cluster.name]

    def _appliers(self, cluster: Cluster, built: BuiltObject) -> list[BuiltObject]:
        """Return what applies an object, and what applies that, the first one first."""
        by_name = cluster.build.appliers
        found: list[BuiltObject] = []
        item = by_name.get(built.applied_by)
        while item is not None and not any(item is other for other in found):
            found.insert(0, item)
            item = by_name.get(item.applied_by)
        return found

    def _applied_by_flux(self, cluster: Cluster, built: BuiltObject) -> list[BuiltObject]:
        """Return what is above an object, and the object itself unless helm renders it."""
        found = [*self._appliers(cluster, built), built]
        return [item for item in found if not item.is_released]

    def _location(
        self, cluster: Cluster, built: BuiltObject, applier: BuiltObject | None
    ) -> Iterator[Link]:
        """Yield the links from what applies an object to the object."""
        if applier and built.is_released:
            yield from self._rendering(cluster, applier, built)
            return
        source = built.made_by or built.before_variables or built.manifest
        found = self._tree(cluster).links(built.path, source)
        if found is None:
            spec = applier.spec if applier else {}
            plain, changes = self.definitions.flux_changes(built.path, spec, source)
            if applier and changes:
                yield self._of_applier(cluster, applier, "changes what it builds", changes)
            found = list(self.definitions.links(built.path, plain))
            if applier and not found:
                yield self._of_applier(cluster, applier, "adds it by its own fields", ())
                found = list(self.definitions.component_links(built.path, spec, source))
        if applier and built.before_variables is not None:
            changes = field_diff.differences(built.before_variables, built.manifest)
            if changes:
                text = " ".join(["sets variables", *_variable_sources(applier.spec)])
                yield self._of_applier(cluster, applier, text, changes)
                yield from self._facts(cluster, applier, built.before_variables)
        is_applier = built.is_flux_kustomization and built.made_by is None
        if is_applier and found and found[-1].kind is LinkKind.OBJECT:
            text = f"{_name(built)} applies {built.spec.get('path')}"
            found[-1] = dataclasses.replace(found[-1], kind=LinkKind.KUSTOMIZATION, text=text)
        yield from found
        if built.made_by is not None and found:
            text = f"makes {built.display_name}"
            yield dataclasses.replace(found[-1], kind=LinkKind.GENERATOR, text=text, changes=())

    def _applier_link(self, cluster: Cluster, built: BuiltObject) -> Link:
        """Return the line of the nearest Flux Kustomization, which may be the object itself."""
        appliers = [
            *self._appliers(cluster, built),
            *([built] if built.is_flux_kustomization else []),
        ]
        applier = appliers[-1] if appliers else built
        return self._own_link(applier, applier.path)

    def _own_link(self, built: BuiltObject, folder: str) -> Link:
        """Return the line on which an object of a folder begins; clusters share the objects."""
        key = (folder, id(built.manifest))
        if key not in self._own_links:
            self._own_links[key] = self._found_link(built, folder)
        return self._own_links[key]

    def _found_link(self, built: BuiltObject, folder: str) -> Link:
        source = built.made_by or built.before_variables or built.manifest
        file = self.definitions.file_of(folder, source)
        path = self.fleet.repository.copy / (file or "")
        text = path.read_text("utf-8", "replace") if path.is_file() else ""
        what = f" applies {built.spec.get('path') or '.'}" if built.is_flux_kustomization else ""
        return Link(
            kind=LinkKind.KUSTOMIZATION if what else LinkKind.OBJECT,
            file=file or folder,
            line=object_line(text, id_of(source)),
            text=f"{built.display_name}{what}",
        )

    def _rendering(
        self, cluster: Cluster, release: BuiltObject, built: BuiltObject
    ) -> Iterator[Link]:
        """Yield the links from a HelmRelease to an object that helm renders for it."""
        links = list(self._location(cluster, release, None))
        file, line = (links[-1].file, links[-1].line) if links else (release.path, None)
        for effect in release_values.effects(cluster, built):
            name = field_diff.path_of(effect.path)
            needed = ", without which helm makes no such object" if effect.is_needed else ""
            patch = next((link for link in links if _sets(link, name)), None)
            yield Link(
                kind=LinkKind.CHANGE,
                file=patch.file if patch else file,
                line=patch.line if patch else self.definitions.line(file, line, effect.path),
                text=f"{name}{needed}",
                changes=effect.changes,
            )
        yield Link(
            kind=LinkKind.RELEASE,
            file=file,
            line=line,
            text=f"{_name(release)} renders {id_of(built.manifest)} from {_chart(release)}",
        )

    def _facts(self, cluster: Cluster, applier: BuiltObject, before: Manifest) -> Iterator[Link]:
        """Yield the lines of the facts that an object takes."""
        if cluster.stack is None or f"from ConfigMap {facts.CONFIG_MAP}" not in _variable_sources(
            applier.spec
        ):
            return
        names = {expression.name for expression in substitution.template(before).expressions()}
        for name in sorted(names & set(cluster.stack.config.facts)):
            yield self.stack_lines.fact(cluster, name)

    def _of_applier(
        self,
        cluster: Cluster,
        applier: BuiltObject,
        text: str,
        changes: Sequence[FieldDifference],
    ) -> Link:
        links = list(self._location(cluster, applier, None))
        return Link(
            kind=LinkKind.CHANGE,
            file=links[-1].file if links else applier.path,
            line=links[-1].line if links else None,
            text=f"{_name(applier)} {text}",
            changes=tuple(changes),
        )

    def _stack_link(self, cluster: Cluster, sequence: Sequence[BuiltObject]) -> Link:
        """Return the line of a stack file that begins a chain of objects."""
        for built in sequence:
            stage = built.path.removeprefix(f"{cluster.path}/")
            if found := self._entry_of(cluster, stage, built):
                return self.stack_lines.entry(cluster, *found)
            if stage.startswith(f"{layout.TENANTS}/"):
                return self.stack_lines.tenant(cluster, stage.split("/")[1])
        source = sequence[-1].before_variables or sequence[-1].manifest
        file = self._tree(cluster).file_of(source).removeprefix(f"{cluster.path}/")
        if file.startswith(f"{layout.TENANTS}/"):
            name = file.split("/")[1].removesuffix(".yaml")
            return self.stack_lines.tenant(cluster, name)
        if file == layout.FACTS_FILE:
            return self.stack_lines.facts(cluster)
        if file in _KEYS:
            return self.stack_lines.entries(cluster, _KEYS[file])
        return self.stack_lines.flux(cluster)

    def _entry_of(self, cluster: Cluster, stage: str, built: BuiltObject) -> tuple[str, str] | None:
        """Return the shared folder and the path of the entry of a stage that brings an object."""
        wanted = id_of(built.before_variables or built.manifest)
        if cluster.name not in self._entries:
            self._entries[cluster.name] = {
                found.value: tuple((folder, entry.path) for folder, entry in pairs)
                for found, pairs in stages.entries_by_stage(cluster.own_stack).items()
            }
        entries = self._entries[cluster.name].get(stage)
        return self._entry_by_id(entries).get(wanted) if entries else None

    def _entry_by_id(self, entries: _Entries) -> Mapping[ObjectId, tuple[str, str]]:
        """Return the first entry that brings each object; many clusters have the same entries."""
        if entries not in self._by_entries:
            found: dict[ObjectId, tuple[str, str]] = {}
            for entry in entries:
                for wanted in self.definitions.ids("/".join(entry)):
                    found.setdefault(wanted, entry)
            self._by_entries[entries] = found
        return self._by_entries[entries]


def _variable_sources(spec: Fields) -> Iterator[str]:
    """Yield the names of what has the values of a Kustomization's variables."""
    for source in mappings_in(mapping_at(spec, "postBuild").get("substituteFrom")):
        yield f"from {source.get('kind')} {source.get('name')}"


def _name(built: BuiltObject) -> str:
    return f"{built.kind} {built.namespace}/{built.name}"


def _sets(link: Link, path: str) -> bool:
    """Tell whether a patch sets the value at a path of a HelmRelease's spec, or a part of it."""
    return any(change.path.startswith(f"spec.{path}") for change in link.changes)


def _chart(release: BuiltObject) -> str:
    chart = mapping_at(release.spec, "chart", "spec")
    if chart:
        return " ".join(
            ["chart", *(str(chart[key]) for key in ("chart", "version") if key in chart)]
        )
    reference = mapping_at(release.spec, "chartRef")
    return f"the chart of {reference.get('kind')} {reference.get('name')}"
