"""The run of all checks, before a change is merged.

Each cluster is built from a copy that has only what its Flux fetches and the cluster's own tree.
Nothing here needs a network or a cluster.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from fleet.check import accepted, build, cluster_rules, crds, schemas, tenant_findings
from fleet.check.findings import Report
from fleet.check.scopes import Scopes
from fleet.config import definitions
from fleet.config.models import Stack


def check_stacks(
    root: Path,
    stacks: Sequence[tuple[Stack, str | None]],
    progress: Callable[[str], None],
    clones: Path | None = None,
) -> Report:
    """Check the clusters of all stacks, given as (stack, Flux's own manifests or None).

    With `clones`, a folder of clones of tenants' repositories, check what these deploy as well.
    """
    report = Report(clusters=len(stacks))
    acceptances = accepted.read(root)
    schemas.require_programs()
    names = [stack.name for stack, _ in stacks]
    report.findings += cluster_rules.folders_without_stack(root, names)
    with tempfile.TemporaryDirectory(prefix="fleet-check-") as folder:
        repository = build.pack(root, Path(folder) / "repository")
        builds = []
        for stack, components in stacks:
            progress(f"building clusters/{stack.name}")
            builds.append((stack, build.build_in(repository, stack, components)))
        objects = [built for _, found in builds for built in found.objects]
        known_crds = [*crds.of_objects(objects), *definitions.crds(repository.copy)]
        scopes = Scopes(known_crds, schemas.folder())
        namespace_folders = definitions.namespace_folders(repository.copy)
        for stack, found in builds:
            report.findings += found.findings
            if found.is_complete:
                report.findings += cluster_rules.findings(
                    stack, found.objects, namespace_folders, scopes
                )
        if clones is not None:
            progress("building the tenants' folders")
            tenants = tenant_findings.check_tenants(clones, [stack for stack, _ in stacks])
            objects += tenants.objects
            report.findings += tenants.findings
            report.tenants, report.not_checked = tenants.checked, tenants.not_checked
        progress(f"validating {len(objects)} objects")
        findings, report.without_schema = schemas.validate(objects, Path(folder), known_crds)
        report.findings += findings
    report.objects = len(objects)
    report.findings = sorted(set(report.findings))
    accepted.apply(acceptances, report)
    return report
