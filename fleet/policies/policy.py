"""A policy of Kyverno, with everything that decides about its results."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cached_property

from fleet.inventory.built_object import BuiltObject
from fleet.kube.fields import Fields, mapping_at, mappings_in
from fleet.kube.manifest import Manifest, object_id
from fleet.policies import obstacles, selectors
from fleet.policies.selectors import Labels

CEL_GROUP = "policies.kyverno.io"
OLDER_GROUP = "kyverno.io"
_VALIDATING = ("ValidatingPolicy", "NamespacedValidatingPolicy")
_IMAGES = ("ImageValidatingPolicy", "NamespacedImageValidatingPolicy")
_OLDER = ("ClusterPolicy", "Policy")
# These change objects before the other policies see them.
MUTATING = ("MutatingPolicy", "NamespacedMutatingPolicy")
# For a policy that names only pods, Kyverno makes rules for these kinds too.
_CONTROLLERS = frozenset(
    {
        ("apps", "daemonsets"), ("apps", "deployments"), ("apps", "replicasets"),
        ("apps", "statefulsets"), ("batch", "cronjobs"), ("batch", "jobs"),
    }
)  # fmt: skip
_OLDER_CONTROLLERS = frozenset(
    {
        "CronJob", "DaemonSet", "Deployment", "Job", "ReplicaSet", "ReplicationController",
        "StatefulSet",
    }
)  # fmt: skip
_AUTOGEN_PREFIX = re.compile(r"autogen-(cronjob-)?")
# The annotations that decide about the results of the older kinds.
_ANNOTATIONS = ("pod-policies.kyverno.io/autogen-controllers",)
# Two runs of a fleet that read policies in another way must not share results.
_VERSION = 1


def is_policy(built: BuiltObject) -> bool:
    """Tell whether an object is a policy that may refuse or report objects."""
    if built.group == CEL_GROUP and built.kind in (*_VALIDATING, *_IMAGES):
        mode = mapping_at(built.spec, "evaluation").get("mode") or "Kubernetes"
        return bool(mode == "Kubernetes")
    if built.group == OLDER_GROUP and built.kind in _OLDER:
        return any(
            rule.get("validate") or rule.get("verifyImages")
            for rule in mappings_in(built.spec.get("rules"))
        )
    return False


@dataclass(frozen=True, kw_only=True)
class Policy:
    """A policy and the exceptions from it that its cluster has."""

    manifest: Manifest
    exceptions: Sequence[Manifest] = ()
    _selected: dict[tuple[str, str], bool] = field(default_factory=dict, compare=False)

    @cached_property
    def kind(self) -> str:
        """The policy's kind."""
        return str(self.manifest.get("kind"))

    @property
    def is_about_images(self) -> bool:
        """Tell whether the policy verifies images."""
        return self.kind in _IMAGES

    @property
    def is_older(self) -> bool:
        """Tell whether the policy is of a kind with rules, which is not written in CEL alone."""
        return self.kind in _OLDER

    @cached_property
    def spec(self) -> Fields:
        """The policy's spec."""
        return mapping_at(self.manifest, "spec")

    @cached_property
    def obstacles(self) -> tuple[str, ...]:
        """The reasons why the policy, or some of its rules, cannot be judged from files."""
        if not self.is_older:
            return tuple(obstacles.of_cel(self.spec))
        found = {
            rule.get("name"): obstacles.of_rule(rule)
            for rule in self._rules
            if rule.get("validate") or rule.get("verifyImages")
        }
        return tuple(f"rule {name}: {reason}" for name, reason in found.items() if reason)

    @cached_property
    def _rules(self) -> list[Fields]:
        return mappings_in(self.spec.get("rules"))

    @cached_property
    def _judged_rules(self) -> list[Fields]:
        """The rules that the command line gets; a rule that changes objects is applied first."""
        return [
            rule
            for rule in self._rules
            if (rule.get("validate") or rule.get("mutate")) and not obstacles.of_rule(rule)
        ]

    @cached_property
    def is_judged(self) -> bool:
        """Tell whether anything of the policy can be judged from files."""
        if self.is_older:
            return any(rule.get("validate") for rule in self._judged_rules)
        return not self.obstacles

    @cached_property
    def content(self) -> Manifest:
        """The policy as Kyverno's command line reads it: without what no result depends on."""
        metadata = mapping_at(self.manifest, "metadata")
        kept: dict[str, object] = {}
        if self.namespace:
            kept["namespace"] = self.namespace
        spec = dict(self.spec)
        if self.is_older:
            spec["rules"] = self._judged_rules
            annotations = mapping_at(metadata, "annotations")
            kept["annotations"] = {
                key: annotations[key] for key in _ANNOTATIONS if key in annotations
            }
        else:
            spec["validationActions"] = ["Deny"]
        parts = {"apiVersion": self.manifest.get("apiVersion"), "kind": self.kind}
        return {**parts, "metadata": kept, "spec": spec}

    @cached_property
    def key(self) -> str:
        """A text that is equal for policies with the same results."""
        content = [_VERSION, self.content, [self._narrowed(found, "") for found in self.exceptions]]
        text = json.dumps(content, sort_keys=True, default=str)
        return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()

    @property
    def name_in_run(self) -> str:
        """The policy's name for the command line; policies of several clusters may share theirs."""
        return f"p-{self.key[:40]}"

    @property
    def documents(self) -> tuple[Manifest, Sequence[Manifest]]:
        """The policy and its exceptions under the name that they have in a run."""
        name = self.name_in_run
        named = {**self.content, "metadata": {**self.content["metadata"], "name": name}}
        return named, [self._narrowed(exception, name) for exception in self.exceptions]

    def _narrowed(self, exception: Manifest, name: str) -> Manifest:
        """Return an exception as one from this policy alone, which has another name."""
        spec = dict(mapping_at(exception, "spec"))
        if object_id(exception).group == CEL_GROUP:
            spec["policyRefs"] = [{"name": name, "kind": self.kind}]
        else:
            own = [entry for entry in _entries(exception) if _refers(entry, self.manifest)]
            full_name = f"{self.namespace}/{name}" if self.namespace else name
            spec["exceptions"] = [{**entry, "policyName": full_name} for entry in own]
        metadata = mapping_at(exception, "metadata")
        kept = {key: metadata[key] for key in ("name", "namespace", "labels") if key in metadata}
        parts = {key: exception.get(key) for key in ("apiVersion", "kind")}
        return {**parts, "metadata": kept, "spec": spec}

    @cached_property
    def label_keys(self) -> frozenset[str]:
        """The keys of a namespace's labels on which results depend."""
        found = [self.content, *self.exceptions]
        return frozenset(key for content in found for key in selectors.keys(content))

    @cached_property
    def needs_namespace(self) -> bool:
        """Tell whether results depend on more of a namespace than some of its labels."""
        text = json.dumps([self.content, *self.exceptions], default=str)
        return "namespaceObject" in text or any("*" in key for key in self.label_keys)

    @cached_property
    def namespace(self) -> str:
        """The only namespace that the policy is about, empty if it is about all."""
        return object_id(self.manifest).namespace

    def may_select(self, built: BuiltObject) -> bool:
        """Tell whether the policy may select an object's kind; Kyverno's program decides it."""
        kind = (built.group, built.kind)
        if kind not in self._selected:
            self._selected[kind] = self._may_select(built)
        return self._selected[kind]

    def _may_select(self, built: BuiltObject) -> bool:
        if self.is_older:
            return _may_match(self._judged_rules, built.kind)
        rules = mappings_in(mapping_at(self.spec, "matchConstraints").get("resourceRules"))
        if not rules:
            return True
        group, plural = built.group, built.plural
        if any(_names(rule, "", "pods") for rule in rules):
            controllers = mapping_at(self.spec, "autogen", "podControllers").get("controllers")
            if (group, plural) in _CONTROLLERS or _is_listed(controllers, group, plural):
                return True
        return any(_names(rule, group, plural) for rule in rules)

    @cached_property
    def may_deny(self) -> bool:
        """Tell whether the policy refuses anything."""
        if not self.is_older:
            return self._denies
        overrides = [item for rule in self._rules for item in self._overrides(rule)]
        actions = [*(item.get("action") for item in overrides), *map(self._action, self._rules)]
        return self.spec.get("admission") is not False and any(map(_is_enforced, actions))

    @cached_property
    def _denies(self) -> bool:
        actions = self.spec.get("validationActions") or ["Deny"]
        is_admission = mapping_at(self.spec, "evaluation", "admission").get("enabled") is not False
        return is_admission and isinstance(actions, list) and "Deny" in actions

    def denies(self, rule_name: str, namespace: str, labels: Labels) -> bool:
        """Tell whether the policy refuses what violates a rule in a namespace with these labels."""
        if not self.is_older:
            return self._denies
        name = _AUTOGEN_PREFIX.sub("", rule_name, count=1)
        # Kyverno shortens the names of rules that it makes.
        rules = [rule for rule in self._rules if str(rule.get("name")).startswith(name)]
        if self.spec.get("admission") is False or not rules:
            return False
        for override in self._overrides(rules[0]):
            names = override.get("namespaces")
            is_named = isinstance(names, list) and any(
                fnmatchcase(namespace, str(item)) for item in names
            )
            selector = mapping_at(override, "namespaceSelector")
            if (is_named or not names) and selectors.matches(selector, labels):
                return _is_enforced(override.get("action"))
        return _is_enforced(self._action(rules[0]))

    def _action(self, rule: Fields) -> object:
        own = mapping_at(rule, "validate").get("failureAction")
        return own or self.spec.get("validationFailureAction")

    def _overrides(self, rule: Fields) -> list[Fields]:
        own = mapping_at(rule, "validate")
        if own.get("failureAction"):
            return mappings_in(own.get("failureActionOverrides"))
        return mappings_in(self.spec.get("validationFailureActionOverrides"))


def _is_enforced(action: object) -> bool:
    return str(action).lower() == "enforce"


def _names(rule: Fields, group: str, plural: str) -> bool:
    """Tell whether a rule names a kind, or may do so."""
    groups, resources = rule.get("apiGroups"), rule.get("resources")
    if not isinstance(groups, list) or not isinstance(resources, list):
        return True
    return bool({"*", group} & {*groups}) and bool({"*", "*/*", plural} & {*resources})


def _may_match(rules: Sequence[Fields], kind: str) -> bool:
    """Tell whether a rule of the older kinds names a kind, as `Pod` or `apps/v1/Deployment`."""
    for rule in rules:
        match = mapping_at(rule, "match")
        filters = [match, *mappings_in(match.get("any")), *mappings_in(match.get("all"))]
        kinds = [mapping_at(part, "resources").get("kinds") for part in filters]
        names = [str(name) for found in kinds if isinstance(found, list) for name in found]
        parts = {part for name in names for part in re.split(r"[/.]", name)}
        if "Pod" in parts:
            parts |= _OLDER_CONTROLLERS
        if not names or any(fnmatchcase(kind, part) for part in parts):
            return True
    return False


def _is_listed(controllers: object, group: str, plural: str) -> bool:
    """Tell whether a list of controllers has a kind, as `jobsets.v1.example.com`."""
    names = [str(name) for name in controllers] if isinstance(controllers, list) else []
    return any(name.startswith(f"{plural}.") and name.endswith(f".{group}") for name in names)


def _entries(exception: Manifest) -> list[Fields]:
    spec = mapping_at(exception, "spec")
    return mappings_in(spec.get("policyRefs")) or mappings_in(spec.get("exceptions"))


def is_excepted(exception: Manifest, policy: Manifest) -> bool:
    """Tell whether an exception names a policy."""
    is_cel = object_id(policy).group == CEL_GROUP
    same_group = (object_id(exception).group == CEL_GROUP) == is_cel
    return same_group and any(_refers(entry, policy) for entry in _entries(exception))


def _refers(entry: Fields, policy: Manifest) -> bool:
    """Tell whether an entry of an exception names a policy."""
    found = object_id(policy)
    if found.group == CEL_GROUP:
        return (entry.get("name"), entry.get("kind")) == (found.name, found.kind)
    name = f"{found.namespace}/{found.name}" if found.namespace else found.name
    return bool(entry.get("policyName") == name)
