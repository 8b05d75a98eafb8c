"""What `fleet check` finds out before anything is merged: does every cluster's tree hold?

Each cluster is built in a copy that holds the shared definitions and its own tree only, so that
nothing of another cluster can be part of it unnoticed. Nothing here needs a network or a cluster.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from fleet.check import build, cluster_rules, schemas, tenant_findings
from fleet.check.findings import Built, Report
from fleet.config import definitions
from fleet.config.models import Stack


def check_stacks(
    root: Path,
    stacks: Sequence[tuple[Stack, str | None]],
    progress: Callable[[str], None],
    clones: Path | None = None,
) -> Report:
    """Build and validate the trees of all stacks, given as (stack, Flux's components or None).

    With `clones`, a folder of clones of teams' repositories, also what these would deploy.
    """
    report = Report(clusters=len(stacks))
    report.findings += sorted(
        cluster_rules.stray_clusters(root, [stack.name for stack, _ in stacks])
    )
    report.findings += sorted(cluster_rules.remote_bases(root))
    if report.findings:
        # Building would go to the network.
        return report
    schemas.require()
    homes = definitions.namespace_folders(root)
    objects: list[Built] = []
    with tempfile.TemporaryDirectory(prefix="fleet-check-") as folder:
        for stack, components in stacks:
            progress(f"building clusters/{stack.name}")
            built, findings = build.build_cluster(
                root, stack, components, Path(folder) / stack.name
            )
            objects += built
            report.findings += findings
            report.findings += cluster_rules.duplicates(stack, built)
            report.findings += cluster_rules.missing_namespaces(stack, built, homes)
            report.findings += cluster_rules.missing_dependencies(built)
            report.findings += cluster_rules.refused_by_lockdown(built)
        if clones is not None:
            progress("building what teams would deploy")
            tenants = tenant_findings.check(clones, [stack for stack, _ in stacks])
            objects += tenants.objects
            report.findings += tenants.findings
            report.tenants, report.not_checked = tenants.checked, tenants.not_checked
        progress(f"validating {len(objects)} objects")
        report.objects = len(objects)
        schemas.validate(objects, Path(folder), report)
    report.findings = sorted(set(report.findings))
    return report
