"""Attacks with Flux's kinds, which the test creates as the administrator.

A tenant may not create these kinds. If a mistake in its rights allowed it, Flux itself would still
refuse these objects.
"""

from __future__ import annotations

import yaml

from tests.e2e.attacks import (
    NAMESPACE,
    SOURCE,
    SOURCE_NAME,
    VICTIMS_NAMESPACE,
    Attack,
    nested,
    release,
    thing,
)

PLURALS = {
    "Kustomization": "kustomizations.kustomize.toolkit.fluxcd.io",
    "GitRepository": "gitrepositories.source.toolkit.fluxcd.io",
    "HelmRelease": "helmreleases.helm.toolkit.fluxcd.io",
}
EVIL = yaml.safe_dump(thing("v1", "ConfigMap", "evil", VICTIMS_NAMESPACE, data={"a": "b"}))
CHART = {
    "chart/Chart.yaml": yaml.safe_dump({"apiVersion": "v2", "name": "evil", "version": "1.0.0"}),
    "chart/templates/evil.yaml": EVIL,
}
EVIL_FILES = {"evil/kustomization.yaml": "resources: [evil.yaml]\n", "evil/evil.yaml": EVIL} | CHART
DEFAULT_ACCOUNT_REFUSED = rf"system:serviceaccount:{NAMESPACE}:default\W.*cannot"
ATTACKS_WITH_FLUX_KINDS = [
    Attack(
        name="a sourceRef to flux-system",
        objects=(nested("nested", sourceRef={
            "kind": "GitRepository", "name": "flux-system", "namespace": "flux-system"}),),
        refused="cross-namespace references have been blocked",
    ),
    Attack(
        name="a Kustomization into another tenant's namespace",
        objects=(nested("nested"),),
        refused=rf'cannot patch resource "configmaps".* in the namespace "{VICTIMS_NAMESPACE}"',
    ),
    Attack(
        name="a Kustomization as no account",
        objects=(nested("nested", serviceAccountName=""),),
        refused=DEFAULT_ACCOUNT_REFUSED,
    ),
    Attack(
        name="a Kustomization as the platform's account",
        objects=(nested("nested", serviceAccountName="platform"),),
        refused=rf"system:serviceaccount:{NAMESPACE}:platform\W.*cannot",
    ),
    Attack(
        name="a Secret of flux-system by substituteFrom",
        objects=(nested("nested", postBuild={
            "substituteFrom": [{"kind": "Secret", "name": "flux-system"}]}),),
        refused='secrets? .*flux-system.* not found|could not find Secret.*flux-system',
    ),
    Attack(
        name="a decryption key of flux-system",
        objects=(nested("nested", decryption={
            "provider": "sops", "secretRef": {"name": "flux-system"}}),),
        refused='secrets? .*flux-system.* not found|could not find Secret.*flux-system',
    ),
    Attack(
        name="a kubeconfig of flux-system",
        objects=(nested("nested", kubeConfig={"secretRef": {"name": "flux-system"}}),),
        refused='secrets? .*flux-system.* not found|could not find Secret.*flux-system',
    ),
    Attack(
        name="a HelmRelease into another tenant's namespace",
        objects=(release(targetNamespace=VICTIMS_NAMESPACE),),
        refused=rf'cannot .*"{VICTIMS_NAMESPACE}"',
    ),
    Attack(
        name="a HelmRelease stored in flux-system",
        objects=(release(storageNamespace="flux-system"),),
        refused='cannot .*"flux-system"',
    ),
    Attack(
        name="a HelmRelease as no account",
        objects=(release(serviceAccountName=None),),
        refused=DEFAULT_ACCOUNT_REFUSED,
    ),
    Attack(
        name="a HelmRelease of a chart in flux-system",
        objects=(release(chart={"spec": {"chart": "kyverno", "sourceRef": {
            "kind": "HelmRepository", "name": "kyverno", "namespace": "flux-system"}}}),),
        refused_by="helm-controller",
        refused="cross-namespace references are not allowed",
    ),
    Attack(
        name="a Secret of flux-system by valuesFrom",
        objects=(release(valuesFrom=[{"kind": "Secret", "name": "flux-system"}]),),
        refused='secrets? .*flux-system.* not found|could not find Secret.*flux-system',
    ),
    Attack(
        name="a GitRepository of another tenant, with its own credential",
        objects=(thing(SOURCE, "GitRepository", "nested", spec={
            "interval": "1m", "url": "VICTIM", "secretRef": {"name": SOURCE_NAME}}),),
        refused="authentication required|not found|authorization",
    ),
]  # fmt: skip
