"""Files that a tenant's own repository starts with, when fleet creates it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from fleet.config.git_urls import same_repository
from fleet.config.outlines import StackOutline
from fleet.config.tenant import Tenant
from fleet.config.tenant_models import default_folder


def environments(stacks: Iterable[StackOutline], tenant: Tenant) -> list[str]:
    """Return the environments of all stacks with this tenant in this repository, sorted.

    A stack in which the tenant has a path of its own is left out.
    """
    repository = same_repository(tenant.repository.url)
    return sorted(
        {
            stack.environment
            for stack in stacks
            for other in stack.tenants
            if stack.environment is not None
            and (other.name, other.repository) == (tenant.name, repository)
            and not other.has_own_path
        }
    )


def render(tenant: Tenant, environments: Sequence[str]) -> dict[str, str]:
    """Return {path: text}: a README, and a kustomization for each environment.

    Each kustomization generates a ConfigMap, so that Flux has an object to apply and is ready.
    """
    kustomizations = {
        f"{default_folder(environment)}/kustomization.yaml": _KUSTOMIZATION.format(
            environment=environment, tenant=tenant.name
        )
        for environment in environments
    }
    return {"deploy/README.md": _README, **kustomizations}


_KUSTOMIZATION = """\
# Name your manifests below `resources:`, and remove the generator.
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
configMapGenerator:
- name: hello
  literals:
  - environment={environment}
  - team={tenant}
generatorOptions:
  disableNameSuffixHash: true
"""
_README = """# What runs where

Each folder here is an environment: what is pushed to it is applied by Flux within a minute, to a
namespace of your own in the clusters of that environment. The platform team knows its name.

Put Deployments, Services, ConfigMaps and the like beside a folder's `kustomization.yaml`, and name
them there below `resources:`. No manifest needs a namespace. A Deployment's pods run as non-root,
without privileges, and within the limits that the platform team has set for the namespace.
"""
