"""Reads of a branch, from the GitHub stand-in."""

from __future__ import annotations

import ssl
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from fleet.config import load
from fleet.config.models import Repository, Stack
from fleet.errors import FleetError
from fleet.identity import branch, github_api
from fleet.identity.github_api import Document, GitHubApi
from fleet.identity.reality import Branch, blob_sha
from fleet.render import header, identity_file, tree
from sandbox.internet.web import ServerCertificate
from tests.sandbox.github_client import READ, Client
from tests.sandbox.server_support import serving
from tests.support import PROJECT, write

# These tests run programs or servers.
pytestmark = pytest.mark.slow

UID = "aaaaaaaa-0000-4000-8000-000000000001"


@pytest.fixture
def stack(checkout: Path, client: Client) -> Stack:
    """The stack dev, in the stand-in's repository."""
    more = f"      apiUrl: https://127.0.0.1:{client.port}/\n"
    project = PROJECT.replace("acme", "example").replace("name: platform\n", f"name: tree\n{more}")
    write(checkout, {"Pulumi.yaml": project})
    return load.stack(checkout, "dev")


@pytest.fixture
def api(stack: Stack) -> GitHubApi:
    return GitHubApi(repository=stack.config.repository, token=READ)


def test_a_branch_without_a_tree(client: Client, stack: Stack, api: GitHubApi) -> None:
    head = client.call("GET", "/repos/example/tree/commits/main").document["sha"]
    assert branch.read(api, stack, tree.render(stack, None)) == Branch(
        repository="example/tree",
        name="main",
        head=head,
        files={"README.md": blob_sha(client.text("README.md"))},
    )


def test_only_texts_that_differ_are_read(client: Client, stack: Stack, api: GitHubApi) -> None:
    files = {"clusters/dev/apps.yaml": "a\n", "clusters/dev/infra.yaml": "b\n", "other.yaml": "c\n"}
    own = identity_file.path(stack)
    committed = {
        "clusters/dev/apps.yaml": "a\n",
        "clusters/dev/infra.yaml": "ä\n",
        "clusters/dev/stale/ü.yaml": "d\n",
        "clusters/dev/README.md": "e\n",
        "clusters/dev2/apps.yaml": "f\n",
        "apps/a.yaml": "g\n",
        own: identity_file.text(UID),
    }
    for path, text in committed.items():
        assert client.put(path, text).status == 201
    found = branch.read(api, stack, files)
    assert found.texts == {
        "clusters/dev/infra.yaml": "ä\n",
        "clusters/dev/stale/ü.yaml": "d\n",
    }
    assert found.identity == UID
    readme = {"README.md": blob_sha(client.text("README.md"))}
    assert found.files == {path: blob_sha(text) for path, text in committed.items()} | readme


def test_an_identity_that_was_edited(client: Client, stack: Stack, api: GitHubApi) -> None:
    own = identity_file.path(stack)
    client.put(own, header.with_header(stack.file, f"uid: {UID}\n"))
    found = branch.read(api, stack, {})
    assert (found.identity, own in found.files) == (None, True)


@pytest.mark.parametrize("name", ["team/x", "a%b"])
def test_a_branch_with_any_name(
    name: str, client: Client, checkout: Path, stack: Stack, api: GitHubApi
) -> None:
    head = client.call("GET", "/repos/example/tree/commits/main").document["sha"]
    repository = api.repository.model_copy(update={"branch": name})
    elsewhere = GitHubApi(repository=repository, token=READ)
    assert branch.read(elsewhere, stack, {}).head is None
    new = {"ref": f"refs/heads/{name}", "sha": head}
    assert client.call("POST", "/repos/example/tree/git/refs", new).status == 201
    assert branch.read(elsewhere, stack, {}).head == head


def test_the_commits_that_a_commit_contains(client: Client, api: GitHubApi) -> None:
    shas = [client.put(f"f{n}", "x").document["commit"]["sha"] for n in range(4)]
    new = {"ref": "refs/heads/other", "sha": shas[0]}
    client.call("POST", "/repos/example/tree/git/refs", new)
    apart = client.put("g", "x", branch="other").document["commit"]["sha"]
    assert branch.commits_since(api, shas[0], shas[3]) == set(shas[1:])
    assert branch.commits_since(api, shas[3], shas[3]) == set()
    assert branch.commits_since(api, shas[3], shas[0]) == set()
    assert branch.commits_since(api, shas[3], apart) == {apart}


def test_more_commits_than_one_answer_has(
    client: Client, api: GitHubApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(branch, "_PER_PAGE", 2)
    shas = [client.put(f"f{n}", "x").document["commit"]["sha"] for n in range(6)]
    assert branch.commits_since(api, shas[0], shas[5]) == set(shas[1:])


def test_a_tree_that_is_too_large_for_one_answer(
    client: Client, stack: Stack, api: GitHubApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    """GitHub cuts the list off at 100,000 entries or 7 MB."""
    for path in ("a/b/c.yaml", "a/d.yaml", "e.yaml"):
        client.put(path, path)
    whole = branch.read(api, stack, {}).files
    assert len(whole) == 4
    get = GitHubApi.get

    def cut(api: GitHubApi, *path: str, **query: str | int) -> Document:
        answer = get(api, *path, **query)
        if len(answer.get("tree", ())) > 2 and "recursive" in query:
            return {**answer, "tree": answer["tree"][:1], "truncated": True}
        return answer

    monkeypatch.setattr(GitHubApi, "get", cut)
    assert branch.read(api, stack, {}).files == whole


def test_a_refused_token_is_one_line(stack: Stack) -> None:
    api = GitHubApi(repository=stack.config.repository, token="wrong")  # noqa: S106 - a test's
    with pytest.raises(FleetError) as caught:
        branch.read(api, stack, {})
    assert str(caught.value) == (
        f"{stack.config.repository.api_url}api/v3/repos/example/tree/branches/main: github:token "
        "is refused with HTTP status 401; set one that may read and write the repository's contents"
    )
    assert "wrong" not in repr(api)


@pytest.mark.parametrize(
    ("host", "path", "refused"),
    [("localhost", "/elsewhere", True), ("127.0.0.1", "/moved", False)],
)
def test_a_redirect_takes_the_token_to_no_other_host(
    host: str, path: str, refused: bool, certificate: ServerCertificate, stack: Stack
) -> None:
    tokens: list[tuple[str, str | None]] = []

    class Moved(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            tokens.append((self.path, self.headers["Authorization"]))
            redirect = self.path != path
            self.send_response(301 if redirect else 200)
            if redirect:
                self.send_header("Location", f"https://{host}:{server.server_port}{path}")
            self.end_headers()
            self.wfile.write(b"" if redirect else b"{}")

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Moved)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.chain, certificate.key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    repository = stack.config.repository.model_copy(
        update={"api_url": f"https://127.0.0.1:{server.server_port}/"}
    )
    with serving(server):
        api = GitHubApi(repository=repository, token=READ)
        if refused:
            with pytest.raises(FleetError, match="redirects to the host localhost, which must not"):
                api.get("branches", "main")
        else:
            assert api.get("branches", "main") == {}
    assert {authorization for _, authorization in tokens} == {f"Bearer {READ}"}
    assert [name for name, _ in tokens if name == path] == ([] if refused else [path])


@pytest.mark.parametrize(
    ("api_url", "expected"),
    [
        (Repository(owner="a", name="b").api_url, "https://api.github.com/"),
        ("https://github.com", "https://api.github.com/"),
        ("https://acme.ghe.com/", "https://api.acme.ghe.com/"),
        ("https://api.acme.ghe.com", "https://api.acme.ghe.com/"),
        ("https://git.example.com", "https://git.example.com/api/v3/"),
        ("https://git.example.com/api/v3", "https://git.example.com/api/v3/"),
        ("https://git.example.com:8443/github/", "https://git.example.com:8443/github/api/v3/"),
    ],
)
def test_the_root_of_the_api_is_the_providers(api_url: str, expected: str) -> None:
    assert github_api.root(api_url) == expected
