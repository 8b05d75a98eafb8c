"""What the plugin answers to the engine."""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from collections.abc import Awaitable, Callable

from pulumi.provider.experimental import provider
from pulumi.provider.experimental.property_value import PropertyValue

from sandbox.pulumi.kubernetes_plugin import objects, values
from sandbox.pulumi.kubernetes_plugin.cluster import Cluster, MissingError
from sandbox.pulumi.kubernetes_plugin.objects import Json, Object
from sandbox.sandbox_error import SandboxError

# A line for a resource in the engine's display: URN and text.
Say = Callable[[str, str], Awaitable[None]]

_INPUTS = "__inputs"
_DEFAULT_TIMEOUT = 600.0
_POLL = 0.4
# A custom resource may come a moment before its definition is served, as may a namespace.
_RETRIES = 5
_SECRET_KEYS = frozenset({"data", "stringData"})


class InitError(SandboxError):
    """The object is there, but did not become ready: the engine is to keep it in its state."""

    def __init__(self, text: str, live: Object, properties: dict[str, PropertyValue]) -> None:
        super().__init__(text)
        self.live = live
        self.properties = properties


class KubernetesPlugin(provider.Provider):
    """Objects of one cluster, the one whose kubeconfig and context it was given."""

    def __init__(self, say: Say) -> None:
        self._say = say
        self._cluster: Cluster | None = None
        self._upsert = False
        self._force = False
        self._mutable: frozenset[str] = frozenset()

    async def check_config(self, request: provider.CheckRequest) -> provider.CheckResponse:
        """Refuse a provider that leaves open which cluster it means."""
        failures = []
        for key in ("kubeconfig", "context"):
            value = request.new_inputs.get(key, PropertyValue(None))
            if value.value in (None, ""):
                failures.append(
                    provider.CheckFailure(key, f"kubernetes provider: {key} is missing")
                )
            elif values.has_unknown({key: value}):
                # The official plugin, in strict mode, crashes on it.
                reason = f"kubernetes provider: {key} has to be known before anything is created"
                failures.append(provider.CheckFailure(key, reason))
        return provider.CheckResponse(inputs=request.new_inputs, failures=failures)

    async def diff_config(self, request: provider.DiffRequest) -> provider.DiffResponse:
        """Replace the provider, and all that is on it, when it names another cluster."""
        before, after = (
            side.get("clusterIdentifier", PropertyValue(None)).value
            for side in (request.old_state, request.new_inputs)
        )
        moved = before is not None and after is not None and before != after
        # Whether anything else differs is left to the engine: `changes` stays None.
        return provider.DiffResponse(replaces=["clusterIdentifier"] if moved else [])

    async def configure(self, request: provider.ConfigureRequest) -> provider.ConfigureResponse:
        """Remember the cluster; the first request connects, so a preview works without one."""
        config = values.plain(request.args)
        self._cluster = Cluster(config["kubeconfig"], config["context"])
        self._upsert = _flag(config, "upsertExistingObjects")
        self._force = _flag(config, "enablePatchForce")
        self._mutable = frozenset(
            kind for kind in ("ConfigMap", "Secret") if _flag(config, f"enable{kind}Mutable")
        )
        return provider.ConfigureResponse(accept_secrets=True, supports_preview=True)

    async def check(self, request: provider.CheckRequest) -> provider.CheckResponse:
        """Give the inputs their apiVersion and kind, and refuse an object without a name."""
        api_version, kind = objects.api_version_and_kind(objects.resource_type(request.urn))
        inputs = {
            "apiVersion": PropertyValue(api_version),
            "kind": PropertyValue(kind),
            **{key: value for key, value in request.new_inputs.items() if value.value is not None},
        }
        failures = []
        metadata = values.plain(inputs).get("metadata", {})
        if isinstance(metadata, dict) and not metadata.get("name"):
            failures.append(provider.CheckFailure("metadata", "metadata.name has to be given"))
        return provider.CheckResponse(inputs=inputs, failures=failures)

    async def diff(self, request: provider.DiffRequest) -> provider.DiffResponse:
        """Compare the inputs that were given (as far as still true) with the new ones."""
        if values.has_unknown(request.new_inputs):
            # Names of changed keys would be guesses; the real update compares again.
            return provider.DiffResponse(changes=True)
        old = values.plain(request.old_state)
        wanted = objects.normalized(values.plain(request.new_inputs))
        found = objects.changes(
            old[_INPUTS],
            wanted,
            ignore=request.ignore_changes,
            mutable=self._mutable,
            patch=objects.is_patch(request.urn, wanted["kind"]),
        )
        same_place = _place(old[_INPUTS]) == _place(wanted)
        return provider.DiffResponse(
            changes=bool(found),
            replaces=[change.path for change in found if change.replaces],
            delete_before_replace=same_place and any(change.replaces for change in found),
            detailed_diff={change.path: _property_diff(change) for change in found},
        )

    async def create(self, request: provider.CreateRequest) -> provider.CreateResponse:
        """Create the object, or take it over when the provider is told to, and wait for it.

        A Patch takes over its fields of an object that has to be there.
        """
        if request.preview:
            return provider.CreateResponse(properties=request.properties)
        inputs = objects.normalized(values.plain(request.properties))
        upsert = self._upsert or objects.is_patch(request.urn, inputs["kind"])
        if not upsert and await self._live(inputs) is not None:
            raise SandboxError(
                f"{inputs['kind']} {objects.object_id(inputs)} already exists: import it, or set "
                "upsertExistingObjects on the provider"
            )
        live = await self._applied(request.urn, inputs)
        properties = await self._ready(request.urn, inputs, live, request)
        return provider.CreateResponse(objects.object_id(live), properties)

    async def update(self, request: provider.UpdateRequest) -> provider.UpdateResponse:
        """Apply the new inputs and wait for the object."""
        if request.preview:
            return provider.UpdateResponse(properties=request.news)
        inputs = objects.normalized(values.plain(request.news))
        live = await self._applied(request.urn, inputs)
        return provider.UpdateResponse(await self._ready(request.urn, inputs, live, request))

    async def read(self, request: provider.ReadRequest) -> provider.ReadResponse:
        """Return the live object, and the inputs with what others changed in it."""
        recorded = values.plain(request.properties)
        given = objects.normalized(values.plain(request.inputs))
        api_version, kind = objects.api_version_and_kind(objects.resource_type(request.urn))
        namespace, name = objects.parse_id(request.resource_id)
        live = await asyncio.to_thread(
            self._connected().get,
            given.get("apiVersion", api_version),
            given.get("kind", kind),
            namespace,
            name,
        )
        if live is None:
            return provider.ReadResponse()
        inputs = objects.refreshed(given, recorded, live) if given else objects.inputs_of(live)
        return provider.ReadResponse(
            request.resource_id,
            _state(inputs, live, request.inputs),
            values.to_properties(inputs, request.inputs, whole=_secret_keys(live)),
        )

    async def delete(self, request: provider.DeleteRequest) -> None:
        """Delete the object and wait until it is gone; of a Patch, only give up its fields."""
        old = values.plain(request.properties)
        if objects.is_patch(request.urn, old["kind"]):
            await self._relinquish(request.urn, old)
            return
        where = (old["apiVersion"], old["kind"], *objects.parse_id(request.resource_id))
        cluster = self._connected()
        await asyncio.to_thread(cluster.delete, *where)
        deadline = time.monotonic() + (request.timeout or _DEFAULT_TIMEOUT)
        said = None
        while (live := await asyncio.to_thread(cluster.get, *where)) is not None:
            if live["metadata"].get("uid") != old["metadata"].get("uid"):
                return
            finalizers = live["metadata"].get("finalizers", [])
            reason = f"waiting until it is gone, finalizers: {', '.join(finalizers) or 'none'}"
            if time.monotonic() > deadline:
                raise SandboxError(f"{old['kind']} {request.resource_id}: still {reason}")
            if reason != said:
                await self._say(request.urn, reason)
                said = reason
            await asyncio.sleep(_POLL)

    def _connected(self) -> Cluster:
        if self._cluster is None:
            raise SandboxError("kubernetes provider: not configured")
        return self._cluster

    async def _live(self, inputs: Object) -> Object | None:
        return await asyncio.to_thread(
            self._connected().get,
            inputs["apiVersion"],
            inputs["kind"],
            inputs["metadata"].get("namespace"),
            inputs["metadata"]["name"],
        )

    async def _applied(self, urn: str, inputs: Object) -> Object:
        if objects.is_patch(urn, inputs["kind"]) and await self._live(inputs) is None:
            raise SandboxError(
                f"{inputs['kind']} {objects.object_id(inputs)}: is not there, and a Patch changes "
                "only what is"
            )
        annotations = inputs["metadata"].get("annotations", {})
        force = self._force or annotations.get(objects.PATCH_FORCE) == "true"
        manager = annotations.get(objects.FIELD_MANAGER) or _manager(urn)
        apply = self._connected().apply
        for attempt in range(_RETRIES):
            try:
                return await asyncio.to_thread(apply, inputs, manager=manager, force=force)
            except MissingError as error:
                await self._say(urn, f"{error}: trying again")
                await asyncio.sleep(0.5 * 2**attempt)
        return await asyncio.to_thread(apply, inputs, manager=manager, force=force)

    async def _relinquish(self, urn: str, old: Object) -> None:
        """Apply nothing as this manager: what nobody else manages goes, the rest stays."""
        if await self._live(old) is None:
            return
        place = {
            key: old["metadata"][key] for key in ("name", "namespace") if key in old["metadata"]
        }
        body = {"apiVersion": old["apiVersion"], "kind": old["kind"], "metadata": place}
        apply = self._connected().apply
        await asyncio.to_thread(apply, body, manager=_manager(urn), force=False)

    async def _ready(
        self,
        urn: str,
        inputs: Object,
        live: Object,
        request: provider.CreateRequest | provider.UpdateRequest,
    ) -> dict[str, PropertyValue]:
        """Wait for the object and return its state. Raises InitError at the deadline."""
        given = request.news if isinstance(request, provider.UpdateRequest) else request.properties
        wanted = objects.awaited(inputs)
        deadline = time.monotonic() + (request.timeout or _DEFAULT_TIMEOUT)
        said = None
        while (reason := objects.unready(live, wanted)) is not None:
            if time.monotonic() > deadline:
                text = f"{inputs['kind']} {objects.object_id(live)} is not ready: {reason}"
                raise InitError(text, live, _state(inputs, live, given))
            if reason != said:
                await self._say(urn, reason)
                said = reason
            await asyncio.sleep(_POLL)
            now = await self._live(inputs)
            if now is None:
                raise SandboxError(f"{inputs['kind']} {objects.object_id(live)} was deleted")
            live = now
        return _state(inputs, live, given)


def _state(inputs: Object, live: Object, given: values.Properties) -> dict[str, PropertyValue]:
    secret = _secret_keys(live)
    kept = PropertyValue(values.to_properties(inputs, given, whole=secret & inputs.keys()))
    return {**values.to_properties(live, given, whole=secret & live.keys()), _INPUTS: kept}


def _manager(urn: str) -> str:
    # One a resource: two stacks on one object must not pass for the same owner.
    return f"pulumi-kubernetes-{hashlib.sha256(urn.encode()).hexdigest()[:8]}"


def _secret_keys(live: Object) -> frozenset[str]:
    return _SECRET_KEYS if (live["apiVersion"], live["kind"]) == ("v1", "Secret") else frozenset()


def _place(inputs: Object) -> tuple[Json, ...]:
    metadata = inputs.get("metadata", {})
    return metadata.get("namespace", "default"), metadata.get("name")


def _property_diff(change: objects.Change) -> provider.PropertyDiff:
    verb = "UPDATE" if change.before and change.after else "DELETE" if change.before else "ADD"
    name = f"{verb}_REPLACE" if change.replaces else verb
    return provider.PropertyDiff(provider.PropertyDiffKind[name], input_diff=True)


def _flag(config: Object, key: str) -> bool:
    # The SDK sends booleans of a provider as JSON text.
    value = config.get(key, False)
    return value if isinstance(value, bool) else bool(json.loads(value or "false"))
