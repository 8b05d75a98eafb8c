"""The check of a checkout that has only the stack dev."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from fleet.check.run import check_stacks
from fleet.config import load
from tests.support import manifest, stack_file, write

INFRA = "clusters/dev/infra"
APPS = "clusters/dev/apps"

CRD = """\
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.example.com}
spec:
  group: example.com
  scope: Namespaced
  names: {kind: Widget, plural: widgets}
  versions:
    - name: v1
      served: true
      storage: true
      schema:
        openAPIV3Schema:
          type: object
          properties:
            spec: {type: object, properties: {size: {type: integer}}}
"""


def check(root: Path, files: Mapping[str, str], **lists: str) -> list[str]:
    """Return the findings in the checkout with these files.

    `lists` are lists of the stack dev, and more keys of its cluster.
    """
    (root / "Pulumi.prod.yaml").unlink()
    write(root, {"Pulumi.dev.yaml": stack_file("dev", **lists), **files})
    stacks = [(stack, None) for stack in load.stacks(root)]
    report = check_stacks(root, stacks, lambda _: None)
    return [str(finding) for finding in report.findings]


def flux_kustomization(name: str, spec: str, path: str = "./apps/podinfo/base") -> str:
    """Return a Flux Kustomization; `spec` is more lines of its spec."""
    more = (
        "spec:\n  interval: 5m\n  prune: true\n"
        f"  path: {path}\n"
        "  serviceAccountName: platform\n"
        "  sourceRef: {kind: GitRepository, name: flux-system}\n"
    )
    api = "kustomize.toolkit.fluxcd.io/v1"
    return manifest(api, "Kustomization", name, "flux-system", more + spec)
