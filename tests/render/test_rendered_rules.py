"""Objects that a rendered cluster must not have."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.render.rendered_support import refusals, rendered_tree
from tests.support import config_map, definition, git_repository, kustomization, manifest

# These tests run programs or servers.
pytestmark = pytest.mark.slow

INSTEAD = ", or set fleet:definitions: referenced"
OWN_CHART = (
    "its chart is in this repository, and a change of it would reach the cluster past `pulumi up`; "
    f"publish the chart{INSTEAD}"
)
ENCRYPTED = "password: ENC[AES256_GCM,data:c2VjcmV0,iv:aXY=,tag:dGFn,type:str]\n"


def secret(more: str) -> str:
    """Return a Secret; `more` follows its metadata."""
    return manifest("v1", "Secret", "a", "common", more)


def release(chart: str) -> str:
    """Return a HelmRelease whose spec has a chart or its reference."""
    spec = f"spec:\n  interval: 5m\n  {chart}\n"
    return manifest("helm.toolkit.fluxcd.io/v2", "HelmRelease", "a", "common", spec)


def source(kind: str, spec: str) -> str:
    """Return a Flux source."""
    return manifest("source.toolkit.fluxcd.io/v1", kind, "a", "common", f"spec: {{{spec}}}\n")


def chart(version: str, kind: str = "HelmRepository", namespace: str = "") -> str:
    """Return the chart of a HelmRelease; its source is `a`."""
    within = f", namespace: {namespace}" if namespace else ""
    reference = f"{{kind: {kind}, name: a{within}}}"
    return f"chart: {{spec: {{chart: a{version}, sourceRef: {reference}}}}}"


def opened(version: str) -> str:
    """Return the problem of an open chart version."""
    return (
        f"its chart has the open {version}, and a release of the chart would reach the cluster "
        f"past `pulumi up`; name one version{INSTEAD}"
    )


def problems(checkout: Path, text: str) -> list[str]:
    """Return the refusals of an entry with this text, without its name."""
    return [
        line.removeprefix("apps/a: ")
        for line in refusals(checkout, definition("apps/a", text), apps="a")
    ]


@pytest.mark.parametrize("more", ["data: {key: dmFsdWU=}\n", "stringData: {key: value}\n"])
def test_a_plain_secret(more: str, checkout: Path) -> None:
    assert problems(checkout, secret(more)) == [
        "Secret common/a: is in plain text, and rendering would commit it; encrypt it with SOPS, "
        "or create it outside Git"
    ]


@pytest.mark.parametrize("literal", ["key=value", "key=a${domain}"])
def test_a_generated_secret_is_plain(literal: str, checkout: Path) -> None:
    files = definition("apps/a", config_map("a", "common"))
    files["apps/a/kustomization.yaml"] += (
        f"secretGenerator: [{{name: a, namespace: common, literals: ['{literal}']}}]\n"
    )
    (line,) = refusals(checkout, files, apps="a")
    assert line.startswith("apps/a: Secret common/a-")
    assert ": is in plain text, " in line


@pytest.mark.parametrize(
    "more",
    [
        "type: kubernetes.io/service-account-token\n",
        "data: {}\n",
        "stringData: {key: ''}\n",
        "stringData: {key: '${password}'}\n",
        f"data:\n  {ENCRYPTED}sops: {{encrypted_regex: ^data$, mac: abc}}\n",
    ],
)
def test_a_secret_that_says_nothing_to_a_reader(more: str, checkout: Path) -> None:
    files = definition("apps/a", secret(more))
    assert "kind: Secret" in rendered_tree(checkout, files, apps="a")["apps/a.yaml"]


OWN_REPOSITORY = "{kind: GitRepository, name: flux-system, namespace: flux-system}"


@pytest.mark.parametrize("kind", ["HelmRelease", "HelmChart"])
def test_a_chart_of_this_repository(kind: str, checkout: Path) -> None:
    spec = f"chart: charts/a, version: 1.2.3, sourceRef: {OWN_REPOSITORY}"
    text = source(kind, spec) if kind == "HelmChart" else release(f"chart: {{spec: {{{spec}}}}}")
    assert problems(checkout, text) == [f"{kind} common/a: {OWN_CHART}"]


@pytest.mark.parametrize(
    "version",
    ["", "'*'", "'>=1.2.3'", "1.2.x", "'1.2'", "'1'", "~1.2.3", "^1.2.3", "1.2.3 - 2.0.0"],
)
@pytest.mark.parametrize("kind", ["HelmRelease", "HelmChart"])
def test_an_open_chart_version(kind: str, version: str, checkout: Path) -> None:
    given = f", version: {version}" if version else ""
    spec = f"chart: a{given}, sourceRef: {{kind: HelmRepository, name: a}}"
    text = source(kind, spec) if kind == "HelmChart" else release(chart(given))
    shown = version.strip("'") or "*"
    assert problems(checkout, text) == [f"{kind} common/a: {opened(f'version {shown}')}"]


@pytest.mark.parametrize(
    "version", ["1.2.3", "v1.2.3", "1.2.3-rc.1+build", "=1.2.3", "'${version}'"]
)
def test_one_chart_version(version: str, checkout: Path) -> None:
    text = release(chart(f", version: {version}"))
    assert rendered_tree(checkout, definition("apps/a", text), apps="a")


OPEN_SOURCES = {
    "GitRepository": ["", "ref: {branch: a}", "ref: {semver: '*'}", "ref: {tag: a, semver: '1'}"],
    "OCIRepository": ["", "ref: {tag: a}", "ref: {semver: 1.x}", "ref: {tag: 1.2.3, semver: '1'}"],
    "Bucket": ["bucketName: a"],
}  # fmt: skip
PINNED_SOURCES = {
    "GitRepository": ["ref: {tag: v1}", "ref: {branch: main, commit: 0123456789abcdef}"],
    "OCIRepository": ["ref: {tag: 1.2.3}", "ref: {digest: 'sha256:ab', semver: '*'}"],
}


def reference(kind: str) -> str:
    """Return the chart of a HelmRelease that is in a source of this kind."""
    return (
        "chartRef: {kind: OCIRepository, name: a}" if kind == "OCIRepository" else chart("", kind)
    )


@pytest.mark.parametrize(
    ("kind", "spec"), [(k, s) for k, all_ in OPEN_SOURCES.items() for s in all_]
)
def test_a_chart_in_an_open_source(kind: str, spec: str, checkout: Path) -> None:
    text = release(reference(kind)) + "---\n" + source(kind, f"interval: 5m, {spec}")
    assert problems(checkout, text) == [f"HelmRelease common/a: {opened(f'source {kind} a')}"]


@pytest.mark.parametrize(
    ("kind", "spec"), [(k, s) for k, all_ in PINNED_SOURCES.items() for s in all_]
)
def test_a_chart_in_a_pinned_source(kind: str, spec: str, checkout: Path) -> None:
    """The source may be another entry's."""
    files = definition("apps/a", release(reference(kind)))
    files |= definition("apps/b", source(kind, f"interval: 5m, {spec}"))
    assert rendered_tree(checkout, files, apps="a b")


def test_a_chart_in_a_source_that_no_entry_has(checkout: Path) -> None:
    (line,) = problems(checkout, release(reference("OCIRepository")))
    assert line == f"HelmRelease common/a: {opened('source OCIRepository a')}"


@pytest.mark.parametrize(
    "url",
    ["https://github.com/acme/platform", "https://GitHub.com/acme/platform.git", "ssh://git@github.com/acme/platform"],
)  # fmt: skip
def test_this_repository_under_another_name(url: str, checkout: Path) -> None:
    text = git_repository("a", "common").replace("https://github.com/acme/other", url)
    assert problems(checkout, text) == [
        "GitRepository common/a: follows this repository under another name, past `pulumi up`; "
        "use flux-system, or name a tag or commit in spec.ref"
    ]
    pinned = text.replace("interval: 5m", "interval: 5m, ref: {tag: v1}")
    assert rendered_tree(checkout, definition("apps/a", pinned), apps="a")


def test_another_repository_is_a_matter_of_its_team(checkout: Path) -> None:
    files = definition("apps/a", git_repository("a", "common"))
    assert rendered_tree(checkout, files, apps="a")


@pytest.mark.parametrize("generator", ["secretGenerator", "configMapGenerator"])
@pytest.mark.parametrize(
    "key", ["files: [secret.env]", "files: [a=secret.env]", "envs: [secret.env]"]
)
def test_an_encrypted_input_of_a_generator(generator: str, key: str, checkout: Path) -> None:
    files = definition("apps/b", config_map("a", "common"))
    files["apps/b/kustomization.yaml"] += f"{generator}: [{{name: a, namespace: common, {key}}}]\n"
    files["apps/b/secret.env"] = ENCRYPTED.replace(": ", "=")
    # The definition itself only lists the folder that has the generator.
    files["apps/a/kustomization.yaml"] = kustomization("../b")
    (line,) = refusals(checkout, files, apps="a")
    assert line.startswith("apps/b/kustomization.yaml: ")
    assert line.endswith(
        "secret.env: is encrypted, and only Flux could decrypt it before the build; make it a "
        "Secret that SOPS encrypts, and list it below resources"
    )


def test_an_encrypted_patch(checkout: Path) -> None:
    files = definition("apps/a", config_map("a", "common"))
    files["apps/a/kustomization.yaml"] += "patches: [{path: patch.yaml}]\n"
    files["apps/a/patch.yaml"] = config_map("a", "common").replace("key: value\n", ENCRYPTED)
    (line,) = refusals(checkout, files, apps="a")
    assert line.startswith("apps/a/kustomization.yaml: path: patch.yaml: is encrypted, ")
