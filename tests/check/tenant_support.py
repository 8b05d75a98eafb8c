"""A checkout with the tenant billing in the stack dev, and a clone of billing's repository."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from fleet.check import tenant_findings
from fleet.check.tenant_findings import CheckedTenants
from fleet.config import load
from tests.support import stack_file, write

FOLDER = "deploy/dev"
FILE = f"billing-apps/{FOLDER}"
WHERE = "stack dev, namespace billing-dev"
UNCHECKED = "cannot be checked here"
URL = "https://github.com/acme/billing-apps"
TOKEN = "  fleet:tenantCredentials: {billing: {token: {secure: c2VjcmV0}}}\n"  # noqa: S105 - a fixture
SECURITY = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
SECURITY |= {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
Files = Mapping[str, str | bytes | Path]
MODEST: dict[str, Any] = {"name": "a", "image": "a", "securityContext": SECURITY}


def register(checkout: Path, more: str = "", credentials: str = "", url: str = URL) -> None:
    """Make billing the only tenant of the stack dev."""
    tenant = f"name: billing, repository: {{url: {url}}}{more}"
    tenants = f"  fleet:tenants:\n    - {{{tenant}}}\n{credentials}"
    write(checkout, {"Pulumi.dev.yaml": stack_file("dev", more=tenants)})


def clone(checkout: Path, files: Files) -> Path:
    """Write files to billing's clone and return the folder of all clones."""
    clones = checkout.parent / "clones"
    write_clone(clones / "billing-apps", files)
    return clones


def write_clone(clone: Path, files: Files) -> None:
    """Write files to a clone; a Path stands for a symbolic link."""
    for name, content in files.items():
        file = clone / name
        file.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, Path):
            file.symlink_to(content)
        else:
            file.write_bytes(content if isinstance(content, bytes) else content.encode())


def folder(*objects: Mapping[str, Any] | str, **more: object) -> dict[str, str]:
    """Return files that deploy objects to dev; `more` are keys of the kustomization."""
    texts = [item if isinstance(item, str) else yaml.safe_dump(item) for item in objects]
    return {
        f"{FOLDER}/kustomization.yaml": yaml.safe_dump({"resources": ["all.yaml"], **more}),
        f"{FOLDER}/all.yaml": "---\n".join(texts),
    }


def check(checkout: Path, files: Files) -> CheckedTenants:
    """Check billing's repository with these files."""
    if "fleet:tenants" not in (checkout / "Pulumi.dev.yaml").read_text():
        register(checkout)
    return tenant_findings.check_tenants(clone(checkout, files), [load.stack(checkout, "dev")])


def found(checkout: Path, files: Files) -> list[str]:
    """Return the object and problem of each finding in billing's folder for dev, sorted."""
    findings = sorted(check(checkout, files).findings)
    assert {finding.file for finding in findings} <= {FILE}
    assert all(finding.problem.startswith(f"{WHERE}: ") for finding in findings)
    assert not any("\n" in str(finding) for finding in findings)
    return [str(f).removeprefix(f"{FILE}: ").replace(f"{WHERE}: ", "") for f in findings]


def thing(api: str, kind: str, name: str = "a", **content: object) -> dict[str, Any]:
    """Return an object."""
    return {"apiVersion": api, "kind": kind, "metadata": {"name": name}, **content}


def workload(pod: Mapping[str, Any], kind: str = "Deployment", **spec: object) -> dict[str, Any]:
    """Return a workload that makes pods with the spec `pod`."""
    labels = {"app": "a"}
    template = {"metadata": {"labels": labels}, "spec": pod}
    spec = {"selector": {"matchLabels": labels}, "template": template, **spec}
    return thing("apps/v1", kind, spec=spec)


def pod(**container: object) -> dict[str, Any]:
    """Return the spec of a pod that the level restricted allows; `container` changes it."""
    return {"containers": [MODEST | container]}
