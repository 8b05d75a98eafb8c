"""A running GitHub stand-in and a client for the tests."""

from __future__ import annotations

import base64
import json
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPSConnection
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sandbox.github.accounts import Accounts
from sandbox.github.server import GitHubServer
from sandbox.github.store import Store
from sandbox.github.tokens import ANY, Grant, TokenFiles
from sandbox.internet.web import ServerCertificate
from tests.sandbox.server_support import run_git, serving

# The first token may do everything, the second one may read everything of the owner of REPO.
WRITE = "write-token"
READ = "read-token"
REPO = "/repos/example/tree"
_READ_GRANT = Grant(
    owner="example",
    repositories=(ANY,),
    permissions={"contents": "read", "administration": "read", "members": "read"},
)


@dataclass(frozen=True)
class Reply:
    """An answer of the API."""

    status: int
    headers: dict[str, str]
    document: Any


@dataclass(frozen=True)
class Client:
    """A client of a running stand-in, with the folders of its repositories and tokens."""

    port: int
    certificate: ServerCertificate
    directory: Path
    tokens: TokenFiles

    def connect(self) -> HTTPSConnection:
        context = ssl.create_default_context(cafile=str(self.certificate.chain))
        return HTTPSConnection("127.0.0.1", self.port, context=context, timeout=20)

    def call(
        self,
        method: str,
        path: str,
        document: object = None,
        *,
        token: str | None = WRITE,
        **headers: str,
    ) -> Reply:
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        connection = self.connect()
        try:
            body = None if document is None else json.dumps(document)
            connection.request(method, f"/api/v3{path}", body, names)
            answer = connection.getresponse()
            text = answer.read()
            return Reply(answer.status, dict(answer.headers), json.loads(text) if text else None)
        finally:
            connection.close()

    def put(self, path: str, text: str, **more: object) -> Reply:
        content = base64.b64encode(text.encode()).decode()
        body = {"message": f"Write {path}", "content": content, **more}
        return self.call("PUT", f"{REPO}/contents/{quote(path)}", body)

    def text(self, path: str, ref: str = "main") -> str:
        reply = self.call("GET", f"{REPO}/contents/{path}?ref={quote(ref, safe='')}")
        assert reply.status == 200
        return base64.b64decode(reply.document["content"]).decode()

    def git(self, *args: str, token: str | None = WRITE, fails: bool = False) -> str:
        return run_git(*args, certificate=self.certificate, token=token, fails=fails)

    def url(self, repository: str = "example/tree") -> str:
        return f"https://127.0.0.1:{self.port}/{repository}"


@contextmanager
def github(
    directory: Path, certificate: ServerCertificate, ssh_url: str = "ssh://git@127.0.0.1:22"
) -> Iterator[Client]:
    """Run a stand-in without SSH. Its repository example/tree has a first commit."""
    tokens = TokenFiles(directory.with_name("tokens"))
    tokens.save("read", READ, _READ_GRANT)
    store = Store(directory, Accounts(user="someone", token=WRITE, fine_grained=tokens))
    server = GitHubServer(0, certificate, store, ssh_url)
    with serving(server):
        client = Client(server.server_port, certificate, directory, tokens)
        made = client.call("POST", "/orgs/example/repos", {"name": "tree", "auto_init": True})
        assert made.status == 201
        yield client
