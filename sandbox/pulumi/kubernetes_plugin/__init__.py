"""A stand-in for Pulumi's official `kubernetes` plugin.

The official plugin is published only as a release archive, on no package registry. Where it is
neither installed nor obtainable, the sandbox puts this one on the engine's PATH. The real engine
and the real `pulumi_kubernetes` SDK use it. A user with an official Pulumi never meets it.

As the official one (4.33), in what the program relies on:
- Any kind of object, built in or custom, by type token; server-side apply with a field manager;
  an object that exists is an error unless `upsertExistingObjects`; `enablePatchForce` and the
  annotation `pulumi.com/patchForce` take over fields of other managers; the annotation
  `pulumi.com/patchFieldManager` names the manager.
- What the API server or others add to an object is no difference; a field of ours that somebody
  changed is one after a refresh. Identity, roleRef, selectors, and the data of Secrets and
  ConfigMaps unless they are configured mutable, force a replacement.
- A Patch applies just the given fields of an object that somebody else creates, with a field
  manager of its own; a refresh looks at those fields, and its deletion gives them up.
- Waits for a rolled-out Deployment and for all that `pulumi.com/waitFor` names, `condition=...` or
  `jsonpath={.a.b}=value`, unless `pulumi.com/skipAwait`; deletes in the foreground and waits until
  the object is gone. Ten minutes unless customTimeouts says otherwise. What failed to become ready
  is kept in the state.
- Data of Secrets, and outputs of secret inputs, are secret.

Stricter than the official one: kubeconfig and context are always required (its strict mode); a
CustomResourceDefinition is awaited until it is established (the official one only retries); and a
Patch of an object that is not there is refused (the official one applies it, which the API server
refuses only if the kind requires other fields).

Not here: generated names, List kinds, JSONPath other than a dotted path and a value, Helm,
Kustomize and YAML resources, functions (`kubernetes:yaml:decode`), dry runs on the server in
preview, replacement of everything when a kubeconfig names another server, client-side apply,
waiting for Services, StatefulSets, DaemonSets, Jobs, Pods, Ingresses and volumes, and merging of
`ignoreChanges` with live values on update.
"""

from __future__ import annotations

import shlex
from pathlib import Path

from sandbox.host.files import CHECKOUT

PROGRAM = "pulumi-resource-kubernetes"


def install(bin_folder: Path, python: Path) -> None:
    """Write the executable that the engine starts into `bin_folder`, which is to be on its PATH.

    `python` is an interpreter with this project's development dependencies.
    """
    bin_folder.mkdir(parents=True, exist_ok=True)
    program = bin_folder / PROGRAM
    fresh = program.with_suffix(".new")
    fresh.write_text(
        "#!/bin/sh\n"
        f"PYTHONPATH={shlex.quote(str(CHECKOUT))}"
        f' exec {shlex.quote(str(python))} -m {__name__} "$@"\n'
    )
    fresh.chmod(0o755)
    fresh.replace(program)
