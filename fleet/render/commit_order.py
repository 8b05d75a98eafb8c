"""The order in which the files of a tree are committed, after the tree that is committed now.

GitHub's provider commits file by file, and Flux sees every commit, so each commit has to be a valid
tree. What later stages need is added before they are, and removed after they are.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum, auto

from fleet.config.models import Stack
from fleet.errors import FleetError
from fleet.kube.manifest import ObjectId, object_id
from fleet.render import commits, facts, header, layout, rendered_moves
from fleet.render.stages import Stage

# Returns all objects of a shared folder, None if there is no such folder.
ObjectsOf = Callable[[str], Collection[ObjectId] | None]

_RESOURCES = "resources:\n"
_STAGES = [stage.value for stage in Stage]
# Tenants wait for the stages before apps; nothing waits for apps or for tenants.
_RANKS = {name: rank for rank, name in enumerate(_STAGES)} | {
    layout.TENANTS: _STAGES.index(Stage.APPS.value)
}


@dataclass(frozen=True, kw_only=True)
class Commit:
    """One commit: a file of the tree, and the text that it gets."""

    path: str
    text: str


def commit_waves(
    stack: Stack, files: Mapping[str, str], former: Mapping[str, str], objects_of: ObjectsOf
) -> list[list[Commit]]:
    """Return the commits that turn the `former` tree into `files`, in waves.

    Commits of one wave may be made in any order. A file that does not change is in a wave as well.
    A list of entries is committed twice if it both gets and loses entries while later stages do the
    same: first with all of them, at the end without those that leave.
    Raises FleetError if no order is safe.
    """
    change = _TreeChange(stack=stack, files=files, former=former, objects_of=objects_of)
    steps = change.steps()
    ordered = list(change.ordered(steps))
    firsts, lasts = _texts_of_facts(stack, files, former)
    paths = {commit.path for wave in ordered for commit in wave} | (lasts.keys() - firsts.keys())
    others = commits.path_waves(stack, files.keys() - paths)
    texts = {**files, **firsts}
    waves = [[Commit(path=path, text=texts[path]) for path in wave] for wave in others]
    last = [Commit(path=path, text=text) for path, text in lasts.items()]
    return [*waves, *(wave for wave in [*ordered, last] if wave)]


def _texts_of_facts(
    stack: Stack, files: Mapping[str, str], former: Mapping[str, str]
) -> tuple[dict[str, str], dict[str, str]]:
    """Return the texts that files have before the stages change, and those that they get after.

    The stages need the facts that leave until they have changed.
    """
    path = f"{stack.path}/{layout.FACTS_FILE}"
    if path not in files:
        listing = f"{stack.path}/{layout.FLUX_LIST}"
        return {}, {listing: files[listing]} if path in former else {}
    first, *last = facts.texts_to_commit(stack, former.get(path), files[path])
    return {path: first}, dict.fromkeys([path], last[0]) if last else {}


class _Kind(Enum):
    """The kind of a step, which decides what it waits for."""

    LIST = auto()  # The list of a stage, or a file that it names.
    PRESENCE = auto()  # The entrypoint, which gets or loses a stage.
    KUSTOMIZATION = auto()  # A Flux Kustomization whose dependencies have changed.


@dataclass(frozen=True, kw_only=True)
class _Step:
    """A change that Flux sees: objects of one stage (or the tenants) come, go or both."""

    kind: _Kind
    stage: str
    commits: tuple[Commit, ...] = ()
    comes: bool = False
    goes: bool = False

    @property
    def rank(self) -> int:
        """The rank of the stage among all; stages of equal ranks do not need each other."""
        return _RANKS[self.stage]

    def precedes(self, other: _Step) -> bool:
        """Tell whether a commit with both steps the other way round may not be a valid tree."""
        if self.kind is _Kind.KUSTOMIZATION:
            # It must not depend on a stage that is gone, and is to wait before its stage grows.
            is_dependency = other.kind is _Kind.PRESENCE and other.rank < self.rank
            is_own_list = other.kind is _Kind.LIST and other.stage == self.stage
            return (is_dependency and other.goes) or (is_own_list and other.comes)
        if other.kind is _Kind.KUSTOMIZATION:
            return self.kind is _Kind.PRESENCE and self.comes and self.rank < other.rank
        if (self.kind, self.stage) == (other.kind, other.stage):
            return self.comes and not self.goes and other.goes
        comes_before = self.comes and other.comes and self.rank < other.rank
        return comes_before or (self.goes and other.goes and self.rank > other.rank)


@dataclass(frozen=True, kw_only=True)
class _List:
    """A list of the tree, now and later: the lines of each resource, with their comment."""

    path: str
    former: Mapping[str, str]
    new: Mapping[str, str]

    @property
    def gained(self) -> list[str]:
        return [item for item in self.new if item not in self.former]

    @property
    def lost(self) -> list[str]:
        return [item for item in self.former if item not in self.new]


@dataclass(frozen=True, kw_only=True)
class _TreeChange:
    """The change from the tree that is committed to the new one."""

    stack: Stack
    files: Mapping[str, str]
    former: Mapping[str, str]
    objects_of: ObjectsOf

    def steps(self) -> list[_Step]:
        """Return everything that changes for Flux, in no order."""
        presence = self._list(self.entrypoint)
        changed = {
            stage: self._list(f"{self.stack.path}/{stage}/{layout.KUSTOMIZATION}")
            for stage in _RANKS
            if _resource(stage) in presence.former and _resource(stage) in presence.new
        }
        steps = [
            _Step(kind=_Kind.PRESENCE, stage=stage, comes=comes, goes=not comes)
            for stage in _RANKS
            for comes, items in ((True, presence.gained), (False, presence.lost))
            if _resource(stage) in items
        ]
        for stage, entries in changed.items():
            steps += self._steps_of_files(stage, entries)
        comings = [(_RANKS[stage], bool(entries.gained)) for stage, entries in changed.items()]
        comings += [(step.rank, True) for step in steps if step.comes]
        goings = [(_RANKS[stage], bool(entries.lost)) for stage, entries in changed.items()]
        goings += [(step.rank, True) for step in steps if step.goes]
        for stage, entries in changed.items():
            later = [
                any(found and rank > _RANKS[stage] for rank, found in ranks)
                for ranks in (comings, goings)
            ]
            steps += self._steps_of_list(stage, entries, in_two=all(later))
        return steps

    @property
    def entrypoint(self) -> str:
        return f"{self.stack.path}/{layout.ENTRYPOINT}"

    def ordered(self, steps: Collection[_Step]) -> Iterator[list[Commit]]:
        """Yield the commits of all steps in waves; the entrypoint as seldom as possible."""
        todo, listed = list(steps), self._list(self.entrypoint)
        visible = {stage for stage in _RANKS if _resource(stage) in listed.former}
        while todo:
            ready = _ready(todo)
            now = [step for step in ready if step.kind is not _Kind.PRESENCE]
            if now:
                todo = [step for step in todo if step not in now]
                yield [commit for step in now for commit in step.commits]
                continue
            if not ready:
                raise AssertionError("two steps wait for each other")
            while presence := [step for step in _ready(todo) if step.kind is _Kind.PRESENCE]:
                todo = [step for step in todo if step not in presence]
                visible |= {step.stage for step in presence if step.comes}
                visible -= {step.stage for step in presence if step.goes}
            yield [Commit(path=self.entrypoint, text=self._entrypoint_with(visible))]

    def _entrypoint_with(self, visible: Collection[str]) -> str:
        """Return the entrypoint that lists these stages and nothing else that comes and goes."""
        listed = self._list(self.entrypoint)
        hidden = {_resource(stage) for stage in _RANKS if stage not in visible}
        shown = {_resource(stage) for stage in visible}
        if shown <= listed.new.keys() and not hidden & listed.new.keys():
            return self.files[self.entrypoint]
        lines = [text for item, text in listed.new.items() if item not in hidden]
        lines += [listed.former[item] for item in listed.lost if item in shown]
        return self._text(self.entrypoint, lines)

    def _steps_of_files(self, stage: str, entries: _List) -> Iterator[_Step]:
        """Yield the steps of the files that change and that Flux already sees, without the list."""
        folder = f"{self.stack.path}/{stage}"
        kustomizations = {f"{folder}.yaml"}
        if stage == layout.TENANTS:
            kustomizations = {f"{folder}/{item}" for item in entries.new}
        changed = [
            Commit(path=path, text=text)
            for path, text in self.files.items()
            if self.former.get(path, text) != text and path != entries.path
        ]
        waiting = tuple(commit for commit in changed if commit.path in kustomizations)
        if waiting:
            yield _Step(kind=_Kind.KUSTOMIZATION, stage=stage, commits=waiting)
        in_folder = [commit for commit in changed if commit.path.startswith(f"{folder}/")]
        if named := tuple(commit for commit in in_folder if commit not in waiting):
            yield _Step(kind=_Kind.LIST, stage=stage, commits=named, comes=True)

    def _steps_of_list(self, stage: str, entries: _List, *, in_two: bool) -> Iterator[_Step]:
        comes, goes = bool(entries.gained), bool(entries.lost)
        text = self.files[entries.path]
        first = self._first_text(entries) if comes and goes and in_two else text
        if first != text:
            for commit, is_first in ((first, True), (text, False)):
                change = (Commit(path=entries.path, text=commit),)
                yield _Step(
                    kind=_Kind.LIST, stage=stage, commits=change, comes=is_first, goes=not is_first
                )
        elif comes or goes:
            # An entry that is replaced by one with the same objects takes nothing away.
            goes = goes and not (comes and in_two)
            change = (Commit(path=entries.path, text=text),)
            yield _Step(kind=_Kind.LIST, stage=stage, commits=change, comes=comes, goes=goes)

    def _first_text(self, entries: _List) -> str:
        """Return the list with all that comes and all that goes.

        kustomize refuses a list that has an object twice. So entries that share objects replace
        each other at once: now if no object goes, and in the second commit if none comes.
        """
        lost, gained = (self._objects(entries, items) for items in (entries.lost, entries.gained))
        # An entry without a folder goes now, because no tree that lists it is valid.
        items = [*entries.new, *(item for item in entries.lost if item in lost)]
        for going, coming in _replacements(lost, gained):
            before = {name for item in going for name in lost[item]}
            after = {name for item in coming for name in gained[item]}
            if before - after and after - before:
                raise FleetError(
                    f"{self.stack.file}: {_folder(entries, sorted(going)[0])}: is replaced, and "
                    f"later stages get and lose entries too, so {min(before - after)} could go "
                    "before what needs it; replace it in a run of its own"
                )
            left_out = coming if before - after else going
            items = [item for item in items if item not in left_out]
        lines = {**entries.former, **entries.new}
        return self._text(entries.path, [lines[item] for item in items])

    def _objects(self, entries: _List, items: Collection[str]) -> dict[str, Collection[ObjectId]]:
        """Return all objects by entry, of those entries whose folder exists."""
        found = {item: self._objects_at(_folder(entries, item)) for item in items}
        return {item: names for item, names in found.items() if names is not None}

    def _objects_at(self, path: str) -> Collection[ObjectId] | None:
        """Return the objects of a rendered file, or of a shared folder."""
        text = self.files.get(path) or self.former.get(path)
        if text is None:
            return self.objects_of(path)
        return {object_id(manifest) for manifest in rendered_moves.manifests_in(text)}

    def _list(self, path: str) -> _List:
        return _List(
            path=path,
            former=_resources(self.former.get(path, "")),
            new=_resources(self.files.get(path, "")),
        )

    def _text(self, path: str, lines: Collection[str]) -> str:
        text = self.files[path]
        start = text.index("apiVersion:")
        head = text[start : text.index(_RESOURCES) + len(_RESOURCES)]
        return header.with_header(self.stack.file, head + "".join(lines))


def _ready(steps: Collection[_Step]) -> list[_Step]:
    """Return the steps that need not wait for any other one."""
    return [
        step
        for step in steps
        if not any(other is not step and other.precedes(step) for other in steps)
    ]


def _replacements(
    lost: Mapping[str, Collection[ObjectId]], gained: Mapping[str, Collection[ObjectId]]
) -> Iterator[tuple[set[str], set[str]]]:
    """Yield groups of entries that go and come with the same objects."""
    todo = dict(lost)
    while todo:
        going, coming = {todo.popitem()[0]}, set[str]()
        while True:
            objects = {name for item in going for name in lost[item]}
            coming = {item for item in gained if not objects.isdisjoint(gained[item])}
            objects = {name for item in coming for name in gained[item]}
            more = {item for item in todo if not objects.isdisjoint(lost[item])}
            if not more:
                break
            going |= more
            todo = {item: names for item, names in todo.items() if item not in more}
        if coming:
            yield going, coming


def _resource(stage: str) -> str:
    """Return the resource of the entrypoint that stands for a stage or the tenants."""
    return f"./{stage}" if stage == layout.TENANTS else f"./{stage}.yaml"


def _folder(entries: _List, item: str) -> str:
    return posixpath.normpath(f"{posixpath.dirname(entries.path)}/{item}")


def _resources(text: str) -> dict[str, str]:
    """Return the resources of a list that fleet has generated, each with its lines."""
    found: dict[str, str] = {}
    lines = ""
    for line in text.partition(_RESOURCES)[2].splitlines(keepends=True):
        lines += line
        if line.startswith("  - "):
            found[line[4:].strip()] = lines
            lines = ""
    return found
