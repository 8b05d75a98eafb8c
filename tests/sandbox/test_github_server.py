"""Tests of the GitHub stand-in as a server: tokens, connections, Git over HTTPS, its process."""

from __future__ import annotations

import base64
import gzip
import json
import os
import socket
import ssl
import subprocess
import sys
from pathlib import Path
from typing import cast

import pytest

from sandbox.github.tokens import TokenFiles
from sandbox.host.certificates import Certificates
from sandbox.internet.web import ServerCertificate
from tests.sandbox.github_client import READ, REPO, WRITE, Client

pytestmark = pytest.mark.slow


def test_an_unchanged_answer_is_not_sent_again(client: Client) -> None:
    first = client.call("GET", REPO)
    second = client.call("GET", REPO, If_None_Match=first.headers["ETag"])
    assert (second.status, second.document) == (304, None)
    client.call("PATCH", REPO, {"description": "new"})
    assert client.call("GET", REPO, If_None_Match=first.headers["ETag"]).status == 200


def test_git_clones_and_pushes(client: Client, tmp_path: Path) -> None:
    work = str(tmp_path / "work")
    client.git("clone", f"{client.url()}.git", work, token=READ)
    # Git sends a push above http.postBuffer in chunks.
    (tmp_path / "work/large").write_bytes(os.urandom(3 << 20))
    client.git("-C", work, "add", ".")
    client.git("-C", work, "commit", "-m", "By git")
    refused = client.git("-C", work, "push", "origin", "main", token=READ, fails=True)
    assert "403" in refused
    client.git("-C", work, "push", "origin", "main")
    assert client.call("GET", f"{REPO}/commits/main").document["commit"]["message"] == "By git"

    client.put("a", "1")
    client.git("-C", work, "pull", "--rebase", token=READ)
    assert (tmp_path / "work/a").read_text() == "1"
    # Other clients leave out .git, or use the old protocol.
    client.git("-c", "protocol.version=0", "clone", "--depth=1", client.url(), f"{work}2")
    assert client.git("-C", f"{work}2", "rev-list", "--count", "HEAD").strip() == "1"


def test_git_can_compress_requests(client: Client) -> None:
    connection = client.connect()
    headers = {
        "Authorization": f"Bearer {READ}",
        "Content-Type": "application/x-git-upload-pack-request",
        "Content-Encoding": "gzip",
        "Git-Protocol": "version=2",
    }
    body = gzip.compress(b"0014command=ls-refs\n0000")
    for sent in (body, iter([body[:9], body[9:]])):
        connection.request("POST", "/example/tree.git/git-upload-pack", sent, headers)
        assert b" refs/heads/main\n" in connection.getresponse().read()
    connection.close()


def test_git_needs_a_token(client: Client, tmp_path: Path) -> None:
    for token in (None, "wrong"):
        said = client.git("clone", client.url(), str(tmp_path / "x"), token=token, fails=True)
        assert "could not read Username" in said
    missing = client.git("clone", client.url("example/none"), str(tmp_path / "x"), fails=True)
    assert "not found" in missing
    connection = client.connect()
    connection.request("GET", "/example/tree.git/info/refs?service=git-upload-pack")
    answer = connection.getresponse()
    answer.read()
    assert (answer.status, answer.headers["WWW-Authenticate"]) == (401, 'Basic realm="GitHub"')
    # Only the smart protocol is served, so no file of the repository can be read.
    basic = {"Authorization": f"Bearer {WRITE}"}
    for path in ("/example/tree.git/HEAD", "/example/tree.git/info/refs", "/example/tree.git"):
        connection.request("GET", path, headers=basic)
        answer = connection.getresponse()
        answer.read()
        assert answer.status == 404
    connection.close()


def test_the_api_needs_a_token(client: Client) -> None:
    assert client.call("GET", REPO, token=None).status == 401
    wrong = client.call("GET", REPO, token="wrong")  # noqa: S106
    assert (wrong.status, wrong.document["message"]) == (401, "Bad credentials")
    assert client.call("GET", REPO, token=READ).status == 200
    basic = base64.b64encode(f"x:{READ}".encode()).decode()
    assert client.call("GET", REPO, token=None, Authorization=f"Basic {basic}").status == 200
    assert client.call("GET", REPO, token=None, Authorization=f"token {READ}").status == 200
    assert client.call("GET", REPO, token=None, Authorization="Basic é").status == 401
    assert client.call("PATCH", REPO, {"description": "x"}, token=READ).status == 403
    assert client.call("GET", "/nothing").status == 404


def test_a_connection_is_reused(client: Client, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    connection = client.connect()
    headers = {"Authorization": f"Bearer {WRITE}"}
    for method, path, body in (
        ("GET", "/api/v3/orgs/example", None),
        ("GET", "/api/v3/nothing", None),
        ("GET", f"/api/v3{REPO}/contents/README.md?ref=main", None),
        ("PATCH", f"/api/v3{REPO}", "{no json"),
    ):
        connection.request(method, path, body, headers)
        connection.getresponse().read()
    used = cast("ssl.SSLSocket | None", connection.sock)
    assert used is not None
    connection.request("PATCH", f"/api/v3{REPO}", iter([b'{"descr', b'iption": "c"}']), headers)
    assert json.loads(connection.getresponse().read())["description"] == "c"
    assert connection.sock is used
    connection.close()
    lines = [line.rsplit(" ", 1) for line in capsys.readouterr().out.splitlines()]
    assert [line for line, _ in lines] == [
        "GET /api/v3/orgs/example 200",
        "GET /api/v3/nothing 404",
        "GET /api/v3/repos/example/tree/contents/README.md?ref=main 200",
        "PATCH /api/v3/repos/example/tree 400",
        "PATCH /api/v3/repos/example/tree 200",
    ]
    assert all(took.isdecimal() for _, took in lines)


def test_a_silent_client_delays_nobody(client: Client) -> None:
    with socket.create_connection(("127.0.0.1", client.port)):
        assert client.call("GET", REPO).status == 200


def test_the_stand_in_runs_as_a_process(tmp_path: Path, certificate: ServerCertificate) -> None:
    for name, token in (("token", WRITE), ("empty", "\n")):
        (tmp_path / name).write_text(token)
    command: list[str | Path] = [
        sys.executable, "-m", "sandbox.github", "--directory", tmp_path / "d", "--port", "0",
        "--certificate", certificate.chain, "--key", certificate.key,
        "--ssh-port", "0", "--ssh-host-key",
        Certificates(tmp_path).ssh_host_key("sandbox", "github").key,
        "--fine-grained-tokens", tmp_path / "tokens", "--token-file",
    ]  # fmt: skip
    root = Path(__file__).parents[2]
    with subprocess.Popen(
        [*command, tmp_path / "token"], stdout=subprocess.PIPE, text=True, cwd=root
    ) as run:
        try:
            assert run.stdout is not None
            ssh_port, port = (int(run.stdout.readline().rsplit(":", 1)[1]) for _ in range(2))
            with socket.create_connection(("127.0.0.1", ssh_port), timeout=10) as connection:
                assert connection.recv(8) == b"SSH-2.0-"
            client = Client(port, certificate, tmp_path / "d", TokenFiles(tmp_path / "tokens"))
            assert client.call("GET", "/user").document["login"] == "sandbox"
        finally:
            run.terminate()
        said = run.stdout.read()
    assert run.returncode == 0
    assert said.startswith("GET /api/v3/user 200 ") and "token" not in said
    failed = subprocess.run(
        [*command, tmp_path / "empty"],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
        cwd=root,
    )
    assert failed.returncode == 1
    assert (
        failed.stderr
        == f"sandbox.github: {tmp_path / 'empty'}: holds no token; write one into it\n"
    )
