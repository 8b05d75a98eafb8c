"""The charts of HelmReleases: where Flux finds them, and what it changes in them."""

from __future__ import annotations

from typing import Any

import pytest

from fleet import cache
from fleet.helm import chart_files, chart_lock, charts
from fleet.helm.chart_lock import Locked
from fleet.helm.charts import Chart, Cluster, NotRenderedError, Pin
from fleet.kube.manifest import Manifest
from tests.helm.support import (
    HOST,
    Repository,
    chart,
    chart_of,
    names,
    packaged,
    release,
    source,
)

# These tests run programs or servers.
pytestmark = pytest.mark.slow

PIN = Pin(source=HOST, chart="demo", version="1.x")
DIGEST = f"sha256:{'0123456789ab' * 5}cdef"
REGISTRY = "oci://registry.example.com/demo"


def refusal(made: Manifest, *objects: Manifest) -> str:
    with pytest.raises(NotRenderedError) as found:
        charts.chart_of(made, Cluster(objects))
    return str(found.value)


@pytest.mark.parametrize(
    ("kind", "url", "reference", "expected"),
    [
        ("HelmRepository", f"{HOST}/", None, PIN),
        ("GitRepository", "https://example.com/a", None, "branch master"),
        ("GitRepository", "https://example.com/a", {"tag": "v1", "branch": "x"}, "tag v1"),
        ("GitRepository", "https://example.com/a", {"commit": "c", "tag": "v1"}, "commit c"),
    ],
)
def test_pins_of_sources(kind: str, url: str, reference: object, expected: str | Pin) -> None:
    made = source(kind, url, ref=reference)
    found = charts.chart_of(release(chart_of(made)), Cluster([made]))
    pin = Pin(source=url, version=expected) if isinstance(expected, str) else expected
    assert found == Chart(kind=kind, pin=pin, path="demo" if kind == "GitRepository" else "")


@pytest.mark.parametrize(
    ("reference", "version"),
    [
        (None, "tag latest"),
        ({"tag": "1.0.0", "semver": "1.x"}, "semver 1.x"),
        ({"digest": DIGEST, "tag": "1.0.0"}, f"digest {DIGEST}"),
    ],
)
def test_pins_of_an_oci_repository(reference: object, version: str) -> None:
    made = source("OCIRepository", REGISTRY, ref=reference)
    of = release(chart=None, chartRef={"kind": "OCIRepository", "name": "charts"})
    found = charts.chart_of(of, Cluster([made]))
    assert found == Chart(kind="OCIRepository", pin=Pin(source=REGISTRY, version=version))


def test_a_helm_chart_of_its_own() -> None:
    repository = source("HelmRepository", HOST)
    template = chart_of(repository)["chart"]["spec"]
    made = {**source("HelmChart", ""), "spec": {**template, "valuesFiles": ["a.yaml"]}}
    of = release(chart=None, chartRef={"kind": "HelmChart", "name": "charts"})
    found = charts.chart_of(of, Cluster([repository, made]))
    assert found == Chart(kind="HelmRepository", pin=PIN, values_files=("a.yaml",))


def test_charts_that_cannot_be_known() -> None:
    of = chart_of(source("HelmRepository", HOST))
    missing = "HelmRepository apps/charts is not in this repository; add it or correct the name"
    assert refusal(release(of)) == missing
    bucket = source("Bucket", HOST)
    assert "only the cluster has" in refusal(release(chart_of(bucket)), bucket)
    artifact = source("ExternalArtifact", HOST)
    found = refusal(release(chartRef={"kind": "ExternalArtifact", "name": "charts"}), artifact)
    assert found == "spec.chartRef names a ExternalArtifact, whose content only the cluster has"
    secret = source("HelmRepository", "https://user:t0ken@example.com")
    found = refusal(release(of), secret)
    assert "t0ken" not in found and found.startswith("the URL of the chart's source has more")


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"secretRef": {"name": "x"}}, "its source has spec.secretRef"),
        ({"provider": "aws"}, "its source has spec.provider aws"),
        ({"insecure": True}, "its source has spec.insecure"),
    ],
)
def test_private_sources(repository: Repository, more: dict[str, Any], reason: str) -> None:
    made = source("HelmRepository", HOST, **more)
    found = repository.render(release(chart_of(made)), [made]).problem
    assert found is not None
    assert found.startswith(f"{HOST}: chart demo 1.x cannot be fetched: {reason}")


def test_a_chart_from_the_cache(repository: Repository) -> None:
    made = source("HelmRepository", HOST)
    of = release(chart_of(made))
    absent = f"{HOST}: chart demo 1.x is not in charts.lock.yaml; run `fleet fetch`"
    assert repository.render(of, [made]).problem == absent

    content = packaged(chart())
    repository.lock(PIN, content)
    assert names(repository.render(of, [made])) == ["ConfigMap demo"]

    (path,) = (cache.directory() / "downloads").iterdir()
    repository.write(chart(), "charts/other")
    path.write_bytes(b"other")
    changed = release(chart_of(made), values={"a": 1})
    found = repository.render(changed, [made]).problem
    assert found is not None and ": sha256 in the cache is " in found
    assert found.endswith("; run `fleet fetch`")
    path.unlink()
    gone = f"{HOST}: chart demo 1.x is not in the cache; run `fleet fetch`"
    assert repository.render(changed, [made]).problem == gone


def shown_version(repository: Repository, of: Manifest, made: Manifest) -> object:
    rendering = repository.render(of, [made])
    return rendering.problem or rendering.objects[0]["data"]["chart"]


def test_the_version_of_a_chart_in_a_registry(repository: Repository) -> None:
    """helm-controller adds the digest, so that a tag that moves is seen."""
    made = source("OCIRepository", REGISTRY, ref={"tag": "1.2.0"})
    of = release(chart=None, chartRef={"kind": "OCIRepository", "name": "charts"})
    pin = Pin(source=REGISTRY, version="tag 1.2.0")
    repository.lock(pin, packaged(chart()), f"1.2.0@{DIGEST}")
    assert shown_version(repository, of, made) == "1.2.0+0123456789ab"
    repository.lock(pin, packaged(chart()), DIGEST)
    assert shown_version(repository, of, made) == "1.2.0+0123456789ab"
    repository.lock(pin, packaged(chart()), f"1.3.0@{DIGEST}")
    assert shown_version(repository, of, made) == (
        "its tag 1.3.0 differs from its version 1.2.0, which Flux refuses"
    )


def test_values_files_replace_the_defaults(repository: Repository) -> None:
    more = {"prod.yaml": "replicas: 3\nchild: {a: 1}\n", "eu.yaml": "child: {b: 2}\n"}
    made = source("HelmRepository", HOST)
    repository.lock(PIN, packaged(chart(more)))
    template = chart_of(made, valuesFiles=["prod.yaml", "./eu.yaml"])
    assert repository.values(release(template), [made]) == {
        "replicas": 3,
        "child": {"a": 1, "b": 2},
    }
    assert shown_version(repository, release(template), made) == "1.2.0+1"
    template = chart_of(made, valuesFiles=["values.yaml", "none.yaml"])
    found = repository.render(release(template), [made]).problem
    assert found == "valuesFiles: none.yaml does not exist; correct the name"
    template["chart"]["spec"]["ignoreMissingValuesFiles"] = True
    assert repository.values(release(template), [made]) == {"size": 1}


def test_a_chart_in_another_git_repository(repository: Repository) -> None:
    """Its values files are named from the root of that repository."""
    made = source("GitRepository", "https://example.com/a", ref={"tag": "v1"})
    tree = {f"demo/{path}": content for path, content in chart().items()}
    content = chart_files.packed({**tree, "shared.yaml": b"size: 7\n"})
    repository.lock(Pin(source="https://example.com/a", version="tag v1"), content, "c" * 40)
    template = chart_of(made, valuesFiles=["demo/values.yaml", "shared.yaml"])
    template["chart"]["spec"]["reconcileStrategy"] = "Revision"
    assert repository.values(release(template), [made]) == {"size": 7}
    assert shown_version(repository, release(template), made) == f"1.2.0+{'c' * 12}.1"


def test_a_version_that_ends_in_the_commit_to_come(repository: Repository) -> None:
    repository.write(chart())
    made = release()
    made["spec"]["chart"]["spec"]["reconcileStrategy"] = "Revision"
    (unknown,) = repository.render(made).unknown
    assert unknown == "the chart's version, which ends in the commit that Flux fetches"


def test_a_packaged_chart_in_the_repository(repository: Repository) -> None:
    repository.write({"demo": packaged(chart())}, "charts")
    assert names(repository.render(release())) == ["ConfigMap demo"]


def test_a_folder_without_a_chart(repository: Repository) -> None:
    assert repository.render(release()).problem == (
        "the folder charts/demo of the chart does not exist"
    )
    repository.write({"values.yaml": b""})
    assert repository.render(release()).problem == (
        "the chart has no Chart.yaml; correct its name or path"
    )


def test_names_in_an_archive_stay_in_its_folder() -> None:
    content = packaged({"a.yaml": b"1", "../../b.yaml": b"2", "templates/c.yaml": b"3"})
    assert chart_files.of_archive(content) == {"a.yaml": b"1", "templates/c.yaml": b"3"}
    for damaged in (b"no archive", content[:40], content[:30] + b"x" + content[31:]):
        with pytest.raises(NotRenderedError, match="cannot be read"):
            chart_files.of_archive(damaged)


def test_the_lock_file(repository: Repository) -> None:
    root = repository.root
    assert chart_lock.read(root) == {}
    lock = {
        PIN: Locked(resolved="1.2.0", sha256="a" * 64),
        Pin(source=REGISTRY, version="tag 1.0"): Locked(resolved="1.0", sha256="1" * 64),
    }
    chart_lock.write(root, lock)
    assert chart_lock.read(root) == lock
    chart_lock.write(root, {})
    assert not (root / chart_lock.FILE).exists()


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: b\n", "has no list `charts`; remove the file and run `fleet fetch`"),
        ("charts: [{source: a, version: b, sha256: c}]\n", "charts[0]: has no resolved"),
        (
            "charts: [{source: a, version: b, resolved: c, sha256: d}]\n",
            "charts[0]: has a sha256 of another form",
        ),
        ("charts: [\n", "is not YAML"),
    ],
)
def test_a_wrong_lock_file(repository: Repository, text: str, problem: str) -> None:
    (repository.root / chart_lock.FILE).write_text(text)
    with pytest.raises(Exception, match=r"charts\.lock\.yaml: ") as found:
        chart_lock.read(repository.root)
    assert problem in str(found.value)
