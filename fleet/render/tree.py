"""The tree of one cluster: from decisions to `{path: text}`, and nothing else.

Every text is a function of the stack alone, byte for byte, so a change in Git is a change in a
decision.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from fleet.config.models import Entry, Stack
from fleet.config.tenant import Tenant, tenants_of
from fleet.kube import namespaces, yaml_writer
from fleet.render import flux, layout, stages, tenant_manifests
from fleet.render.layout import (
    ACCOUNT_FILE,
    COMPONENTS_FILE,
    ENTRYPOINT,
    SYNC_FILE,
    TENANT_FILE,
    TENANTS,
)


def render(stack: Stack, components: str | None) -> dict[str, str]:
    """Return the files of `clusters/<stack>`, path in the repository to text, sorted.

    `components` is Flux's install manifests; without them that one file is left out.
    """
    files: dict[str, str] = {}
    if components is not None:
        files[COMPONENTS_FILE] = components
    files[SYNC_FILE] = yaml_writer.to_yaml(*flux.sync(stack))
    files[ACCOUNT_FILE] = yaml_writer.to_yaml(*flux.platform_account())
    files["flux-system/kustomization.yaml"] = _kustomization(
        [file.rpartition("/")[2] for file in (COMPONENTS_FILE, ACCOUNT_FILE, SYNC_FILE)]
    ) + yaml_writer.to_yaml({"patches": flux.flag_patches()})
    earlier: list[str] = []
    staged = stages.entries_by_stage(stack)
    for stage, pairs in staged.items():
        files[f"{stage.value}/kustomization.yaml"] = _entries(pairs, stack)
        files[f"{stage.value}.yaml"] = yaml_writer.to_yaml(
            flux.stage_kustomization(stack, stage, earlier)
        )
        earlier.append(stage.value)
    delivered = [f"./{stage.value}.yaml" for stage in staged]
    if found := tenants_of(stack):
        for tenant in found:
            files[f"{TENANTS}/{tenant.name}.yaml"] = yaml_writer.to_yaml(
                flux.tenant_kustomization(stack, staged, tenant)
            )
            files[f"{TENANTS}/{tenant.name}/{TENANT_FILE}"] = _tenant(tenant)
        files[f"{TENANTS}/{ENTRYPOINT}"] = _kustomization(
            [f"{tenant.name}.yaml" for tenant in found]
        )
        delivered.append(f"./{TENANTS}")
    files[ENTRYPOINT] = _kustomization(["./flux-system", *delivered])
    return {
        f"{stack.path}/{path}": layout.header(stack) + text for path, text in sorted(files.items())
    }


def _tenant(tenant: Tenant) -> str:
    text = yaml_writer.to_yaml(*tenant_manifests.documents(tenant))
    if tenant.in_flux_system is not None:
        return f"# In {namespaces.FLUX_NAMESPACE}: {tenant.in_flux_system.because}\n{text}"
    return text


def _entries(pairs: Sequence[tuple[str, Entry]], stack: Stack) -> str:
    # From clusters/<stack>/<stage> up to the root of the repository.
    up = "../" * (stack.path.count("/") + 2)
    return _kustomization(
        [f"{up}{folder}/{entry.path}" for folder, entry in pairs],
        {f"{up}{folder}/{e.path}": e.because for folder, e in pairs if e.because},
    )


def _kustomization(resources: Sequence[str], comments: Mapping[str, str] | None = None) -> str:
    lines = [
        "apiVersion: kustomize.config.k8s.io/v1beta1",
        "kind: Kustomization",
        "resources:",
    ]
    for resource in resources:
        if comments and resource in comments:
            lines.append(f"  # {comments[resource]}")
        lines.append(f"  - {resource}")
    return "\n".join(lines) + "\n"
