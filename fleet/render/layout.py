"""Names of the files in a cluster's tree, relative to clusters/<stack>."""

from __future__ import annotations

from fleet.config.models import Stack
from fleet.kube.kustomize import KUSTOMIZATION_FILES

KUSTOMIZATION = KUSTOMIZATION_FILES[0]
# Flux starts here and applies all other files of the tree from here.
ENTRYPOINT = KUSTOMIZATION

FLUX = "flux-system"
FLUX_LIST = f"{FLUX}/{KUSTOMIZATION}"
COMPONENTS_FILE = f"{FLUX}/gotk-components.yaml"
SYNC_FILE = f"{FLUX}/gotk-sync.yaml"
FACTS_FILE = f"{FLUX}/cluster-facts.yaml"
ACCOUNT_FILE = f"{FLUX}/platform-account.yaml"
# No kustomization lists this file, and only `pulumi up` writes it.
IDENTITY_FILE = f"{FLUX}/cluster-identity.yaml"

TENANTS = "tenants"
TENANTS_LIST = f"{TENANTS}/{KUSTOMIZATION}"
# Each tenant has a folder of its own below TENANTS, with this one file.
TENANT_FILE = "tenant.yaml"
# The folder, below a stage's, of what Flux Kustomizations of a rendered stage build.
NESTED = "kustomizations"


def tenant_path(stack: Stack, tenant: str) -> str:
    """Return the path in the repository of the file with a tenant's manifests."""
    return f"{stack.path}/{TENANTS}/{tenant}/{TENANT_FILE}"
