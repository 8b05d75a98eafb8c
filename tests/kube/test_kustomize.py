"""The messages of kustomize when a build fails."""

from __future__ import annotations

from pathlib import Path

import pytest

from fleet.errors import CommandError
from fleet.kube import kustomize
from tests.support import kustomization, manifest, write


def test_a_message_has_no_content_of_objects(tmp_path: Path) -> None:
    """Two Secrets get the same name, and kustomize repeats them."""
    secrets = [
        manifest("v1", "Secret", "a", namespace, "stringData: {key: hunter2}\n")
        for namespace in ("one", "two")
    ]
    write(
        tmp_path,
        {
            "kustomization.yaml": f"{kustomization('secrets.yaml')}namespace: three\n",
            "secrets.yaml": "---\n".join(secrets),
        },
    )
    with pytest.raises(CommandError) as failed:
        kustomize.build(tmp_path, ".")
    assert "hunter2" not in str(failed.value)
    assert str(failed.value).endswith("ID conflict: [Secret three/a Secret three/a]")


@pytest.mark.parametrize(
    "text",
    [
        "secretGenerator: [{name: a, literals: [p4ssw0rd]}]\n",
        "resources: [secret.yaml]\nlabels: [{pairs: {a: b}}]\n",
    ],
)
def test_a_message_has_no_value_of_a_secret(text: str, tmp_path: Path) -> None:
    resource = "apiVersion: v1\nkind: Secret\nmetadata: {name: a, labels: p4ssw0rd}\n"
    write(tmp_path, {"a/kustomization.yaml": text, "a/secret.yaml": resource})
    with pytest.raises(CommandError) as failed:
        kustomize.build(tmp_path, "a")
    assert "p4ssw0rd" not in str(failed.value)
    assert "..." in str(failed.value)
