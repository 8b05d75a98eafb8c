"""The run of all checks, before a change is merged.

Each cluster is built in a copy that has only the shared definitions and the cluster's own tree, so
that a reference to another cluster's folder is found. Nothing here needs a network or a cluster.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from fleet.check import cluster_rules, schemas, tenant_findings
from fleet.check.build import build_cluster
from fleet.check.built_object import BuiltObject
from fleet.check.findings import Report
from fleet.config import definitions
from fleet.config.models import Stack


def check_stacks(
    root: Path,
    stacks: Sequence[tuple[Stack, str | None]],
    progress: Callable[[str], None],
    clones: Path | None = None,
    schema_locations: Sequence[str] = (),
) -> Report:
    """Check the clusters of all stacks, given as (stack, Flux's own manifests or None).

    With `clones`, a folder of clones of tenants' repositories, check what these deploy as well.
    Other `schema_locations` replace the schemas that `fleet fetch` made.
    """
    report = Report(clusters=len(stacks))
    report.findings += sorted(
        cluster_rules.folders_without_stack(root, [stack.name for stack, _ in stacks])
    )
    report.findings += sorted(cluster_rules.remote_bases(root))
    if report.findings:
        # A build would fetch remote bases from the network.
        return report
    schemas.require_programs()
    locations = schemas.locations(schema_locations)
    definition_folders = definitions.namespace_folders(root)
    objects: list[BuiltObject] = []
    with tempfile.TemporaryDirectory(prefix="fleet-check-") as folder:
        for stack, components in stacks:
            progress(f"building clusters/{stack.name}")
            build = build_cluster(root, stack, components, Path(folder) / stack.name)
            objects += build.objects
            report.findings += build.findings
            report.findings += cluster_rules.findings(stack, build.objects, definition_folders)
        if clones is not None:
            progress("building the tenants' folders")
            tenants = tenant_findings.check_tenants(clones, [stack for stack, _ in stacks])
            objects += tenants.objects
            report.findings += tenants.findings
            report.tenants, report.not_checked = tenants.checked, tenants.not_checked
        progress(f"validating {len(objects)} objects")
        findings, report.without_schema = schemas.validate(objects, Path(folder), locations)
        report.findings += findings
    report.objects = len(objects)
    report.findings = sorted(set(report.findings))
    return report
