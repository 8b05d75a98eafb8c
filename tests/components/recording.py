"""An engine for tests: it answers like Pulumi's mocks and records every registration."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pulumi
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from pulumi.runtime import config, mocks, rpc, settings, stack

UNKNOWN = rpc.UNKNOWN
STACK_NAME = "dev"
SECRET_KEYS = (
    "github:token",
    "fleet:pullToken",
    "fleet:deployKeySeed",
    "fleet:tenantCredentials",
)
# A function of a provider: from its arguments to its result.
Answer = Callable[[Mapping[str, Any]], Mapping[str, Any]]


@dataclass(frozen=True, kw_only=True)
class Resource:
    """One registration of a resource, as the engine receives it."""

    type: str
    name: str
    urn: str
    custom: bool
    parent: str
    """The URN of the parent, empty for the stack."""
    provider: str
    """The URN of the provider, empty for a default provider."""
    dependencies: frozenset[str]
    """The URNs of the resources that it depends on."""
    inputs: Mapping[str, Any]
    """Plain values: a secret is its plain text, an unknown value is UNKNOWN."""
    secrets: frozenset[str]
    """Paths of the secret inputs, for example `stringData.password`."""
    ignore_changes: tuple[str, ...]
    retain_on_delete: bool
    protect: bool
    deleted_with: str
    """The URN of the resource that the engine deletes instead of this one, when it deletes both."""
    former_names: frozenset[str]
    """The names of its aliases."""
    import_id: str
    timeouts: Mapping[str, str]
    """Timeouts by operation, for example `create`."""
    before_delete: tuple[str, ...]
    """The names of the hooks that run before the resource is deleted."""


@dataclass(kw_only=True)
class Recording:
    """The resources that a program registered, in order, and its outputs."""

    resources: list[Resource] = field(default_factory=list)
    outputs: dict[str, Any] = field(default_factory=dict)

    def one(self, type_: str, name: str | None = None) -> Resource:
        """Return the only resource of a type, or of a type and a name."""
        (found,) = (r for r in self.resources if r.type == type_ and name in (None, r.name))
        return found

    def all(self, type_: str) -> list[Resource]:
        """Return the resources of a type."""
        return [resource for resource in self.resources if resource.type == type_]

    def by_urn(self, urn: str) -> Resource:
        """Return the resource with a URN."""
        (found,) = (resource for resource in self.resources if resource.urn == urn)
        return found

    def before(self, resource: Resource) -> set[str]:
        """Return the names of the resources that a resource depends on, also indirectly."""
        found: set[str] = set()
        todo = set(resource.dependencies)
        while todo:
            needed = self.by_urn(todo.pop())
            if needed.name not in found:
                found.add(needed.name)
                todo |= needed.dependencies
        return found


class _Mocks(mocks.Mocks):
    """Mocks that return the inputs of a resource as its outputs, without an id in a preview."""

    def __init__(
        self,
        preview: bool,
        computed: Mapping[str, Mapping[str, Any]],
        found: Mapping[str, Answer],
    ) -> None:
        self.preview = preview
        self.computed = computed
        self.found = found

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str | None, dict[str, Any]]:
        outputs = {**args.inputs, **self.computed.get(args.name, {})}
        return None if self.preview else f"{args.name}-id", outputs

    def call(self, args: mocks.MockCallArgs) -> tuple[dict[str, Any], list[tuple[str, str]]]:
        name = args.token.rpartition(":")[2]
        if name not in self.found:
            raise AssertionError(f"{args.token}: nothing is to be looked up")
        return dict(self.found[name](args.args)), []


class _Callbacks:
    """A server of hooks that no engine calls."""

    def register_resource_hook(self, hook: pulumi.ResourceHook) -> None:
        """Accept a hook."""


class _Monitor(mocks.MockMonitor):
    def __init__(
        self,
        stack: str,
        preview: bool,
        computed: Mapping[str, Mapping[str, Any]],
        found: Mapping[str, Answer],
    ) -> None:
        super().__init__(_Mocks(preview, computed, found))
        self.stack = stack
        self.recording = Recording()

    def make_urn(self, parent: str, type_: str, name: str) -> str:
        """Return a URN as the engine makes it; the mocks lose the stack on another thread."""
        if parent:
            type_ = f"{parent.split('::')[2]}${type_}"
        return f"urn:pulumi:{self.stack}::fleet::{type_}::{name}"

    def RegisterResource(self, request: Any) -> Any:  # noqa: ANN401, N802 - gRPC's name
        answer: Any = super().RegisterResource(request)  # type: ignore[no-untyped-call]
        inputs, secrets = _plain(request.object)
        self.recording.resources.append(
            Resource(
                type=request.type,
                name=request.name,
                urn=answer.urn,
                custom=request.custom,
                parent=request.parent,
                provider=request.provider.rpartition("::")[0],
                dependencies=frozenset(request.dependencies),
                inputs=inputs,
                secrets=secrets,
                ignore_changes=tuple(request.ignoreChanges),
                retain_on_delete=request.retainOnDelete,
                protect=request.protect,
                deleted_with=request.deletedWith,
                former_names=frozenset(
                    [alias.spec.name for alias in request.aliases if alias.spec.name]
                    + [urn.rpartition("::")[2] for urn in request.aliasURNs]
                    + [alias.urn.rpartition("::")[2] for alias in request.aliases if alias.urn]
                ),
                import_id=request.importId,
                timeouts=MessageToDict(request.customTimeouts),
                before_delete=tuple(request.hooks.before_delete),
            )
        )
        return answer

    def RegisterResourceOutputs(self, request: Any) -> Any:  # noqa: ANN401, N802 - gRPC's name
        if request.urn.split("::")[2] == "pulumi:pulumi:Stack":
            self.recording.outputs, _ = _plain(request.outputs)
        return super().RegisterResourceOutputs(request)  # type: ignore[no-untyped-call]


def _plain(properties: Message) -> tuple[dict[str, Any], frozenset[str]]:
    secrets: set[str] = set()

    def plain(value: object, path: tuple[str, ...]) -> object:
        if isinstance(value, dict):
            if rpc._special_sig_key in value:
                assert value[rpc._special_sig_key] == rpc._special_secret_sig
                secrets.add(".".join(path))
                return plain(value["value"], path)
            return {key: plain(item, (*path, key)) for key, item in value.items()}
        if isinstance(value, list):
            return [plain(item, (*path, str(index))) for index, item in enumerate(value)]
        return value

    found = plain(MessageToDict(properties), ())
    assert isinstance(found, dict)
    return found, frozenset(secrets)


def run(
    program: Callable[[], None],
    *,
    preview: bool = False,
    values: Mapping[str, str] | None = None,
    computed: Mapping[str, Mapping[str, Any]] | None = None,
    found: Mapping[str, Answer] | None = None,
) -> Recording:
    """Run a Pulumi program for the stack dev, with an event loop and settings of its own.

    `values` is the stack's config as the engine gives it: key with namespace to text or JSON.
    `computed` maps the name of a resource to the outputs that its provider adds; a preview does
    not know the others. `found` maps the name of a provider's function to the function.
    """
    monitor = _Monitor(STACK_NAME, preview, computed or {}, found or {})

    def inside() -> None:
        config.set_all_config(dict(values or {}), list(SECRET_KEYS))
        settings.configure(
            mocks.MockSettings(  # type: ignore[no-untyped-call]
                monitor=monitor,
                monitor_features=set(
                    monitor.GetDeploymentInfo(None).supportedFeatures  # type: ignore[no-untyped-call]
                ),
                engine=mocks.MockEngine(None),
                project="fleet",
                stack=STACK_NAME,
                dry_run=preview,
                organization=None,
            )
        )
        settings.SETTINGS.callbacks = _Callbacks()
        # A program that failed leaves outputs on a loop that is closed by now.
        settings.SETTINGS.outputs.clear()
        asyncio.run(stack.run_in_stack(program))

    contextvars.copy_context().run(inside)
    return monitor.recording


def unknown() -> pulumi.Output[str]:
    """Return an output that is unknown until `up`."""
    loop = asyncio.get_running_loop()
    value, known, secret = (loop.create_future() for _ in range(3))
    value.set_result(None)
    known.set_result(False)
    secret.set_result(False)
    return pulumi.Output(set(), value, known, secret)
