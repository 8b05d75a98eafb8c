"""Random files of a tenant's repository, with the folder deploy/dev that Flux builds."""

from __future__ import annotations

import random
from typing import Any

import yaml

FOLDER = "deploy/dev"
# Plain texts that readers of YAML take for different things.
SCALARS = (
    "yes", "on", "~", "null", "true", "0o14", "014", "0x1F", "1_000", "1e3", "1.50", ".5",
    "12:30:45", "2001-01-01", "'1'", '"yes"', "=", "1:2", "+1", "-0", ".inf", "0b11", "08", "y",
    "No", "2001-01-01T00:00:00Z", "123456789012345678", "1.0", "1e400", "a b", "é", '"\\u0041"',
)  # fmt: skip
KINDS = (
    ("v1", "ConfigMap"),
    ("v1", "Secret"),
    ("v1", "Service"),
    ("apps/v1", "Deployment"),
    ("v1", "Namespace"),
    ("rbac.authorization.k8s.io/v1", "ClusterRole"),
    ("rbac.authorization.k8s.io/v1", "RoleBinding"),
    ("example.com/v1", "Widget"),
    ("v1", "ServiceAccount"),
)
NAMES = ("a", "b", "c", "d-e")


def document(chance: random.Random) -> str:
    """Return an object as YAML, rarely a malformed one."""
    api, kind = chance.choice(KINDS)
    name = chance.choice(NAMES)
    metadata = f"name: {name}"
    if chance.random() < 0.3:
        metadata += f", namespace: {chance.choice(('billing-dev', 'other', 'default'))}"
    if chance.random() < 0.2:
        metadata += ", labels: {app: a}"
    lines = [f"apiVersion: {api}", f"kind: {kind}", f"metadata: {{{metadata}}}"]
    if kind == "ConfigMap":
        lines += ["data:", f"  x: {chance.choice(SCALARS)}", "  ref: b"]
    elif kind == "Deployment":
        lines.append(
            f"spec: {{replicas: {chance.choice((1, 2))}, selector: {{matchLabels: {{app: a}}}}, "
            "template: {metadata: {labels: {app: a}}, spec: {serviceAccountName: a, containers: "
            "[{name: c, image: 'nginx:1', envFrom: [{configMapRef: {name: b}}]}]}}}"
        )
    elif kind == "RoleBinding":
        lines += [
            "roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: b}",
            "subjects: [{kind: ServiceAccount, name: a, namespace: other}]",
        ]
    elif kind == "Widget":
        lines += [f"spec: {{a: {chance.choice(SCALARS)}, list: [1, 2]}}"]
    text = "\n".join(lines) + "\n"
    odd = chance.random()
    if odd < 0.02:
        return "kind: List\napiVersion: v1\nitems:\n- " + text.rstrip().replace("\n", "\n  ") + "\n"
    if odd < 0.03:
        return text.replace("kind:", "# kind:")
    if odd < 0.04:
        return text + "metadata: {name: twice}\n"
    if odd < 0.05:
        return text + "broken: [\n"
    return text if odd > 0.07 else chance.choice(("", "# only a comment\n", "null\n"))


def documents(chance: random.Random) -> str:
    return "---\n".join(document(chance) for _ in range(chance.choice((1, 1, 1, 2, 3))))


def some(chance: random.Random, fields: dict[str, list[Any]], most: int) -> dict[str, Any]:
    names = chance.sample(sorted(fields), chance.randint(0, most))
    return {name: chance.choice(fields[name]) for name in names}


PATCH = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {patched: 'yes'}\n"
JSON_PATCH = "- {op: add, path: /metadata/annotations, value: {p: q}}\n"
FIELDS: dict[str, list[Any]] = {
    "namespace": ["billing-dev", "other", "", None],
    "namePrefix": ["x-"],
    "nameSuffix": ["-y"],
    "commonLabels": [{"team": "billing"}],
    "commonAnnotations": [{"note": "a"}],
    "labels": [
        [{"pairs": {"tier": "t"}}],
        [{"pairs": {"tier": "t"}, "includeSelectors": True}],
        [{"pairs": {"tier": "t"}, "includeTemplates": True}],
    ],
    "images": [[{"name": "nginx", "newTag": "2"}], [{"name": "nginx", "newName": "a.example/n"}]],
    "replicas": [[{"name": "a", "count": 3}], [{"name": "nobody", "count": 3}]],
    "configMapGenerator": [
        [{"name": "g", "literals": ["k=v"]}],
        [{"name": "g", "files": ["extra.txt"], "namespace": "other"}],
        [{"name": "a", "behavior": "merge", "literals": ["k=v"]}],
        [{"name": "g", "envs": ["../base/extra.env"], "options": {"disableNameSuffixHash": True}}],
    ],
    "secretGenerator": [[{"name": "s", "literals": ["p=1"], "type": "Opaque"}]],
    "generatorOptions": [{"disableNameSuffixHash": True}, {"labels": {"g": "1"}}],
    "patches": [
        [{"patch": PATCH}],
        [{"patch": JSON_PATCH, "target": {"kind": "ConfigMap"}}],
        [{"path": "patch.yaml"}],
        [{"path": "../base/patch.yaml", "target": {"kind": "Deployment", "name": ".*"}}],
        [{"patch": "$patch: delete\n" + PATCH}],
    ],
    "patchesStrategicMerge": [["patch.yaml"], [PATCH]],
    "patchesJson6902": [
        [{"target": {"version": "v1", "kind": "ConfigMap", "name": "a"}, "patch": JSON_PATCH}]
    ],
    "components": [["../component"]],
    "replacements": [
        [
            {
                "source": {"kind": "ConfigMap", "name": "a", "fieldPath": "data.x"},
                "targets": [{"select": {"kind": "ConfigMap"}, "fieldPaths": ["data.ref"]}],
            }
        ]
    ],
    "buildMetadata": [["originAnnotations"], []],
    "sortOptions": [{"order": "legacy"}, {"order": "fifo"}],
    "transformers": [
        [
            "apiVersion: builtin\nkind: NamespaceTransformer\n"
            "metadata: {name: t, namespace: other}\n"
            "setRoleBindingSubjects: allServiceAccounts\n"
        ]
    ],
    "crds": [[]],
    "unknown": [1],
    "apiVersion": ["kustomize.config.k8s.io/v1beta1"],
    "kind": ["Kustomization", "Component"],
}


def kustomization(chance: random.Random, resources: list[str], most: int) -> str:
    """Return a kustomization, rarely with keys in another case or with a mistake."""
    content: dict[str, Any] = {"resources": resources} if resources or chance.random() < 0.5 else {}
    content |= some(chance, FIELDS, most)
    odd = chance.random()
    if odd < 0.04:
        content = {key.upper() if chance.random() < 0.3 else key: v for key, v in content.items()}
    text = yaml.safe_dump(content) if content else ""
    if odd > 0.98:
        text += "namePrefix: twice-\n"
    return text


def random_files(chance: random.Random) -> dict[str, str]:
    """Return the files of a repository by path."""
    files = {
        "deploy/base/base.yaml": documents(chance),
        "deploy/base/patch.yaml": JSON_PATCH,
        "deploy/base/extra.env": "E=1\n",
        "deploy/component/kustomization.yaml": (
            "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\nnamePrefix: k-\n"
        ),
        f"{FOLDER}/patch.yaml": PATCH,
        f"{FOLDER}/extra.txt": "text\n",
        f"{FOLDER}/one.yaml": documents(chance),
    }
    if chance.random() < 0.9:
        files["deploy/base/kustomization.yaml"] = kustomization(chance, ["base.yaml"], 1)
    resources = ["one.yaml"]
    if chance.random() < 0.4:
        files[f"{FOLDER}/two.yml"] = documents(chance)
        resources.append("two.yml")
    if chance.random() < 0.4:
        resources.append("../base")
    if chance.random() < 0.3:
        files[f"{FOLDER}/sub/three.yaml"] = documents(chance)
        if chance.random() < 0.7:
            files[f"{FOLDER}/sub/kustomization.yml"] = kustomization(chance, ["three.yaml"], 1)
        resources.append(chance.choice(("sub", "sub", "sub/three.yaml")))
    if chance.random() < 0.05:
        resources.append(chance.choice(("missing.yaml", "../../..", "extra.txt", "one.yaml")))
    if chance.random() < 0.8:
        name = chance.choice(("kustomization.yaml",) * 4 + ("kustomization.yml", "Kustomization"))
        most = chance.choice((0, 1, 2, 3))
        files[f"{FOLDER}/{name}"] = kustomization(
            chance, resources if chance.random() < 0.95 else [], most
        )
    if chance.random() < 0.02:
        files[f"{FOLDER}/kustomization.yml"] = kustomization(chance, resources, 0)
    return files
