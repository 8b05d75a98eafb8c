"""The tree of one cluster, as {path in the repository: text}.

Every text depends on the stack alone, to the byte, and in a rendered cluster on its
definitions. So a diff in Git always comes from a changed config or definition.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping, Sequence

from fleet.config.models import Stack
from fleet.config.tenant import Tenant, tenants_of
from fleet.kube.namespaces import FLUX_NAMESPACE
from fleet.kube.yaml_writer import comment
from fleet.render import entry_lists, facts, flux, layout, rendered, stages, tenant_manifests
from fleet.render.entry_lists import Pairs, kustomization
from fleet.render.header import with_header
from fleet.render.rendered import Rendered
from fleet.render.stages import Stage
from fleet.render.tree_file import TreeFile, of_body, of_manifests

# Entries of each stage, with their shared folders.
StageEntries = Mapping[Stage, Pairs]


def render(
    stack: Stack, install_manifests: str | None, definitions: Rendered = rendered.NOTHING
) -> dict[str, str]:
    """Return all files of clusters/<stack>, sorted by path.

    Without Flux's install manifests, the one file that holds them is left out. A rendered cluster
    needs its `definitions`, which `definition_build` makes.
    """
    texts = {path: file.write() for path, file in files(stack, definitions).items()}
    if install_manifests is not None:
        texts[f"{stack.path}/{layout.COMPONENTS_FILE}"] = flux.components(install_manifests)
    return {path: with_header(stack.file, texts[path]) for path in sorted(texts)}


def files(stack: Stack, definitions: Rendered = rendered.NOTHING) -> dict[str, TreeFile]:
    """Return all files of clusters/<stack> but Flux's install manifests, sorted by path."""
    entries = stages.entries_by_stage(stack)
    tenants = tenants_of(stack)
    resources = [f"./{layout.FLUX}", *(f"./{stage.value}.yaml" for stage in entries)]
    if tenants:
        resources.append(f"./{layout.TENANTS}")
    found = {
        layout.ENTRYPOINT: of_manifests(kustomization(resources)),
        **_flux_files(stack),
        **_stage_files(stack, entries, definitions),
        **{path: of_body(text) for path, text in definitions.files.items()},
        **_tenant_files(stack, tenants, entries),
    }
    return {f"{stack.path}/{path}": file for path, file in sorted(found.items())}


def _flux_files(stack: Stack) -> dict[str, TreeFile]:
    files = {
        layout.SYNC_FILE: of_manifests(*flux.sync(stack)),
        layout.ACCOUNT_FILE: of_manifests(*flux.platform_account(stack)),
    }
    listed = [layout.COMPONENTS_FILE, layout.ACCOUNT_FILE, layout.SYNC_FILE]
    if known := facts.of_stack(stack):
        files[layout.FACTS_FILE] = of_manifests(facts.config_map(known))
        listed.append(layout.FACTS_FILE)
    resources = [path.removeprefix(f"{layout.FLUX}/") for path in listed]
    listing = {**kustomization(resources), "patches": flux.flag_patches()}
    return {**files, layout.FLUX_LIST: of_manifests(listing)}


def _stage_files(stack: Stack, entries: StageEntries, definitions: Rendered) -> dict[str, TreeFile]:
    files: dict[str, TreeFile] = {}
    earlier: list[Stage] = []
    for stage, pairs in entries.items():
        files[f"{stage.value}.yaml"] = of_manifests(flux.stage_kustomization(stack, stage, earlier))
        files[f"{stage.value}/{layout.KUSTOMIZATION}"] = (
            entry_lists.rendered(pairs, definitions.resources)
            if stack.is_rendered
            else entry_lists.referenced(stack, pairs)
        )
        earlier.append(stage)
    return files


def _tenant_files(
    stack: Stack, tenants: Sequence[Tenant], present: Collection[Stage]
) -> dict[str, TreeFile]:
    files: dict[str, TreeFile] = {}
    for tenant in tenants:
        files[f"{layout.TENANTS}/{tenant.name}.yaml"] = of_manifests(
            flux.tenant_kustomization(stack, tenant, present)
        )
        files[f"{layout.TENANTS}/{tenant.name}/{layout.TENANT_FILE}"] = _tenant_file(tenant)
    if tenants:
        resources = [f"{tenant.name}.yaml" for tenant in tenants]
        files[layout.TENANTS_LIST] = of_manifests(kustomization(resources))
    return files


def _tenant_file(tenant: Tenant) -> TreeFile:
    file = of_manifests(*tenant_manifests.manifests_of(tenant))
    if tenant.in_flux_system is None:
        return file
    note = comment(f"In {FLUX_NAMESPACE}: {tenant.in_flux_system.because}")
    return dataclasses.replace(file, write=lambda: note + file.write())
