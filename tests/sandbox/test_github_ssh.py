"""Tests of deploy keys in the GitHub stand-in, and of Git over SSH with them."""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
import subprocess
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import asyncssh
import pytest

from sandbox.github import ssh
from sandbox.github.repositories import Repositories
from sandbox.github.repository_keys import DeployKeys
from sandbox.host.certificates import Certificates, Pair
from sandbox.internet.web import ServerCertificate
from sandbox.sandbox_error import SandboxError
from tests.sandbox.github_client import READ, Client, Reply, github

pytestmark = pytest.mark.slow

TREE, OTHER = "example/tree", "example/other"
READS = "git-upload-pack 'example/tree.git'"
WRITES = "git-receive-pack 'example/tree.git'"
DONE = b"0000"
T = TypeVar("T")


@dataclass(frozen=True)
class Hub:
    """A stand-in with two repositories, and its URL for SSH."""

    client: Client
    url: str
    host_key: Pair

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def add_key(self, repository: str, key: asyncssh.SSHKey, *, read_only: bool = True) -> Reply:
        body = {"title": "flux", "key": _public(key), "read_only": read_only}
        return self.client.call("POST", f"/repos/{repository}/keys", body)

    def known_hosts(self) -> str:
        return f"[127.0.0.1]:{self.port} {self.host_key.certificate.read_text()}\n"

    def use(
        self,
        key: asyncssh.SSHKey | None,
        do: Callable[[asyncssh.SSHClientConnection], Awaitable[T]],
        *,
        username: str = "git",
        password: str | None = None,
    ) -> T:
        """Log in and do something. Raises PermissionDenied when the key is no deploy key."""

        async def run() -> T:
            async with asyncssh.connect(
                "127.0.0.1",
                self.port,
                config=None,
                agent_path=None,
                username=username,
                password=password,
                client_keys=[key] if key else None,
                known_hosts=asyncssh.import_known_hosts(self.known_hosts()),
                server_host_key_algs=["ssh-ed25519"],
            ) as connection:
                return await do(connection)

        return asyncio.run(asyncio.wait_for(run(), 30))

    def run(
        self,
        key: asyncssh.SSHKey,
        command: str | None,
        stdin: bytes = DONE,
        env: Mapping[str, str] | None = None,
    ) -> tuple[int, bytes]:
        """Run a command; return its status and its output with its errors."""

        async def do(connection: asyncssh.SSHClientConnection) -> tuple[int, bytes]:
            running = await connection.create_process(command, encoding=None, env=env or {})
            # The server may refuse the command before it reads the input. The input stays open
            # afterwards, because Git leaves it open too.
            with suppress(BrokenPipeError):
                running.stdin.write(stdin)
            done = await running.wait()
            assert isinstance(done.stdout, bytes) and isinstance(done.stderr, bytes)
            assert done.exit_status is not None
            return done.exit_status, done.stdout + done.stderr

        return self.use(key, do)


@pytest.fixture
def hub(tmp_path: Path, certificate: ServerCertificate) -> Iterator[Hub]:
    host_key = Certificates(tmp_path).ssh_host_key("sandbox", "github")
    directory = tmp_path / "repositories"
    keys = DeployKeys(Repositories(directory))
    with (
        ssh.serving(0, host_key=host_key.key, keys=keys) as url,
        github(directory, certificate, url) as client,
    ):
        made = client.call("POST", "/orgs/example/repos", {"name": "other", "auto_init": True})
        assert made.status == 201
        yield Hub(client, url, host_key)


@pytest.fixture
def key() -> asyncssh.SSHKey:
    return asyncssh.generate_private_key("ssh-ed25519", comment="flux@dev")


def test_a_deploy_key_is_created_read_and_deleted(hub: Hub, key: asyncssh.SSHKey) -> None:
    made = hub.add_key(TREE, key)
    assert made.status == 201
    path = f"/repos/{TREE}/keys/{made.document['id']}"
    read = hub.client.call("GET", path)
    assert read.document == made.document
    assert hub.client.call("GET", f"/repos/{TREE}/keys").document == [made.document]
    assert (read.document["title"], read.document["read_only"]) == ("flux", True)
    assert read.document["key"] == _public(key).removesuffix(" flux@dev") != _public(key)
    assert hub.client.call("GET", path, If_None_Match=read.headers["ETag"]).status == 304
    assert hub.client.call("GET", path.replace("tree", "other")).status == 404

    assert hub.client.call("DELETE", path, token=READ).status == 403
    assert hub.client.call("DELETE", path.replace("tree", "other")).status == 404
    assert hub.client.call("DELETE", path).status == 204
    assert hub.client.call("GET", f"/repos/{TREE}/keys").document == []
    assert hub.client.call("GET", path).status == hub.client.call("DELETE", path).status == 404
    assert hub.add_key(OTHER, key).status == 201


def test_a_key_is_registered_once(hub: Hub, key: asyncssh.SSHKey) -> None:
    assert hub.add_key(TREE, key).status == 201
    for repository in (TREE, OTHER):
        again = hub.add_key(repository, key)
        assert (again.status, again.document["message"]) == (422, "Validation Failed")
        assert again.document["errors"][0]["message"] == "key is already in use"
    assert hub.client.call("DELETE", f"/repos/{TREE}").status == 204
    assert hub.add_key(OTHER, key).status == 201


def test_a_text_that_is_no_public_key_is_refused(hub: Hub, key: asyncssh.SSHKey) -> None:
    certificate = key.generate_user_certificate(key, "git").export_certificate().decode()
    private = key.export_private_key().decode()
    cut = _public(key).split()[1][:-8]
    for text in ("", "ssh-ed25519", f"ssh-ed25519 {cut}", "ssh-rsa é", certificate, private):
        body = {"title": "flux", "key": text}
        assert hub.client.call("POST", f"/repos/{TREE}/keys", body).status == 422
    assert hub.add_key("example/none", key).status == 404
    hub.client.call("PATCH", f"/repos/{TREE}", {"archived": True})
    assert hub.add_key(TREE, key).status == 403


@pytest.mark.parametrize("kind", ["ssh-ed25519", "ecdsa-sha2-nistp256", "ssh-rsa"])
def test_a_deploy_key_gives_access_to_its_repository_and_no_other(hub: Hub, kind: str) -> None:
    ours, theirs = asyncssh.generate_private_key(kind), asyncssh.generate_private_key(kind)
    hub.add_key(TREE, ours)
    hub.add_key(OTHER, theirs)
    for path in ("example/tree.git", "/example/tree.git", "example/tree"):
        status, said = hub.run(ours, f"git-upload-pack '{path}'")
        assert status == 0 and b" refs/heads/main\n" in said
    assert hub.run(theirs, READS) == (1, b"ERROR: Repository not found.\n")
    status, said = hub.run(ours, READS, b"0014command=ls-refs\n00000000", _protocol("version=2"))
    assert status == 0 and said.startswith(b"000eversion 2\n") and b" refs/heads/main\n" in said
    # Git does not get a value that is not a version of the protocol.
    assert b"version" not in hub.run(ours, READS, DONE, _protocol("version=2:x"))[1][:20]


def test_a_client_without_a_deploy_key_is_refused(hub: Hub, key: asyncssh.SSHKey) -> None:
    with pytest.raises(asyncssh.PermissionDenied):
        hub.run(key, READS)
    number = hub.add_key(TREE, key).document["id"]
    assert hub.run(key, READS)[0] == 0
    with pytest.raises(asyncssh.PermissionDenied):
        hub.use(key, _nothing, username="root")
    for password in ("", READ):
        with pytest.raises(asyncssh.PermissionDenied):
            hub.use(None, _nothing, password=password)

    async def revoke_first(connection: asyncssh.SSHClientConnection) -> None:
        path = f"/repos/{TREE}/keys/{number}"
        assert (await asyncio.to_thread(hub.client.call, "DELETE", path)).status == 204
        late = await connection.run(READS)
        assert (late.exit_status, late.stderr) == (1, "ERROR: Repository not found.\n")

    hub.use(key, revoke_first)
    with pytest.raises(asyncssh.PermissionDenied):
        hub.run(key, READS)


def test_only_a_key_that_can_write_pushes(hub: Hub, key: asyncssh.SSHKey) -> None:
    writer = asyncssh.generate_private_key("ssh-ed25519")
    hub.add_key(TREE, key)
    assert hub.add_key(TREE, writer, read_only=False).document["read_only"] is False
    ref = f"/repos/{TREE}/git/ref/heads"
    head = hub.client.call("GET", f"{ref}/main").document["object"]["sha"]
    status, said = hub.run(key, WRITES, _new_branch("team", head))
    assert status == 1 and b"read only" in said
    assert hub.client.call("GET", f"{ref}/team").status == 404

    status, said = hub.run(writer, WRITES, _new_branch("team", head))
    assert status == 0 and b"ok refs/heads/team" in said
    assert hub.client.call("GET", f"{ref}/team").document["object"]["sha"] == head

    hub.client.call("PATCH", f"/repos/{TREE}", {"archived": True})
    assert b"archived" in hub.run(writer, WRITES, _new_branch("late", head))[1]
    assert hub.run(writer, READS)[0] == 0


@pytest.mark.parametrize(
    "command",
    [
        None,
        "",
        "id",
        "'",
        "git-upload-pack",
        "git-upload-archive 'example/tree.git'",
        "git-upload-pack 'example/tree.git'; id",
        "git-upload-pack --help 'example/tree.git'",
        "git-upload-pack 'example/../example/tree.git'",
        "git-upload-pack '//example/tree.git'",
    ],
)
def test_nothing_but_git_is_served(hub: Hub, key: asyncssh.SSHKey, command: str | None) -> None:
    hub.add_key(TREE, key, read_only=False)
    status, said = hub.run(key, command)
    assert status == 1 and said.startswith(b"ERROR: ") and said.count(b"\n") == 1


def test_nothing_is_forwarded(hub: Hub, key: asyncssh.SSHKey) -> None:
    hub.add_key(TREE, key, read_only=False)

    async def forward(connection: asyncssh.SSHClientConnection) -> None:
        with pytest.raises(asyncssh.ChannelOpenError):
            await connection.open_connection("127.0.0.1", hub.client.port)
        with pytest.raises(asyncssh.ChannelListenError):
            await connection.forward_remote_port("127.0.0.1", 0, "127.0.0.1", hub.client.port)
        with pytest.raises(asyncssh.ChannelOpenError):
            await connection.create_process(READS, term_type="xterm")
        with pytest.raises((asyncssh.Error, EOFError)):
            await connection.start_sftp_client()

    hub.use(key, forward)


def test_the_host_key_is_ed25519_and_does_not_change(hub: Hub, tmp_path: Path) -> None:
    async def host_key(*algorithms: str) -> asyncssh.SSHKey | None:
        return await asyncssh.get_server_host_key(
            "127.0.0.1", hub.port, config=None, server_host_key_algs=algorithms or ()
        )

    found = asyncio.run(host_key())
    assert found is not None and _public(found) == hub.host_key.certificate.read_text()
    with pytest.raises(asyncssh.DisconnectError):
        asyncio.run(host_key("rsa-sha2-256", "ecdsa-sha2-nistp256"))
    before = hub.host_key.key.read_bytes()
    assert Certificates(tmp_path).ssh_host_key("sandbox", "github").key.read_bytes() == before
    assert hub.host_key.key.stat().st_mode & 0o777 == 0o600


def test_git_waits_for_its_client_and_ends_when_it_leaves(
    hub: Hub, key: asyncssh.SSHKey, capsys: pytest.CaptureFixture[str]
) -> None:
    hub.add_key(TREE, key)
    # The file is larger than all buffers between Git and its client.
    commit = hub.client.put("large", os.urandom(8 << 20).hex()).document["commit"]["sha"]
    capsys.readouterr()

    async def read_a_little(connection: asyncssh.SSHClientConnection) -> str:
        running = await connection.create_process(READS, encoding=None)
        running.stdin.write(f"0032want {commit}\n00000009done\n".encode())
        await running.stdout.read(4)
        await asyncio.sleep(1)
        said = capsys.readouterr().out
        connection.abort()
        return said

    assert hub.use(key, read_a_little) == ""
    said, deadline = "", time.monotonic() + 10
    while "\n" not in said and time.monotonic() < deadline:
        time.sleep(0.02)
        said += capsys.readouterr().out
    assert said.startswith(f"SSH {READS} ") and not said.startswith(f"SSH {READS} 0 ")


@pytest.mark.skipif(shutil.which("ssh") is None, reason="no ssh client")
def test_git_clones_and_pushes_over_ssh(hub: Hub, key: asyncssh.SSHKey, tmp_path: Path) -> None:
    hub.add_key(TREE, key, read_only=False)
    identity, known_hosts = tmp_path / "identity", tmp_path / "known_hosts"
    identity.touch(0o600)
    identity.write_bytes(key.export_private_key())
    known_hosts.write_text(hub.known_hosts())
    command = (
        f"ssh -F none -i {identity} -o IdentitiesOnly=yes -o IdentityAgent=none -o BatchMode=yes"
        f" -o UserKnownHostsFile={known_hosts} -o StrictHostKeyChecking=yes"
    )
    work = tmp_path / "work"

    def git(*args: str) -> str:
        return subprocess.run(
            ["git", "-c", "user.name=a", "-c", "user.email=a@example.com", *args],
            env={**os.environ, "GIT_SSH_COMMAND": command, "GIT_CONFIG_GLOBAL": os.devnull},
            capture_output=True, text=True, check=True, timeout=60,
        ).stdout  # fmt: skip

    url = hub.client.call("GET", f"/repos/{TREE}").document["ssh_url"]
    assert url == f"ssh://git@127.0.0.1:{hub.port}/example/tree.git"
    git("clone", url, str(work))
    # The file is larger than every buffer between Git and its client.
    (work / "large").write_bytes(os.urandom(8 << 20))
    git("-C", str(work), "add", ".")
    git("-C", str(work), "commit", "-m", "Over SSH")
    git("-C", str(work), "push", "origin", "main")
    made = hub.client.call("GET", f"/repos/{TREE}/commits/main").document
    assert made["commit"]["message"] == "Over SSH"
    git("clone", "--depth=1", url, str(tmp_path / "again"))
    assert (tmp_path / "again/large").read_bytes() == (work / "large").read_bytes()


def test_a_host_key_that_is_no_key_is_an_error_of_one_line(hub: Hub, tmp_path: Path) -> None:
    file = tmp_path / "nothing"
    file.write_text("nothing")
    keys = DeployKeys(Repositories(tmp_path / "none"))
    with pytest.raises(SandboxError, match="holds no private key"):
        ssh.serving(0, host_key=file, keys=keys).__enter__()
    with pytest.raises(OSError, match="in use"):
        ssh.serving(hub.port, host_key=hub.host_key.key, keys=keys).__enter__()


async def _nothing(connection: asyncssh.SSHClientConnection) -> None:
    """Do nothing after the login."""


def _public(key: asyncssh.SSHKey) -> str:
    return key.export_public_key().decode().strip()


def _protocol(version: str) -> dict[str, str]:
    return {"GIT_PROTOCOL": version}


def _new_branch(name: str, commit: str) -> bytes:
    """Return the input of receive-pack that creates a branch at an existing commit."""
    command = f"{'0' * 40} {commit} refs/heads/{name}\0report-status".encode()
    pack = b"PACK" + (2).to_bytes(4, "big") + (0).to_bytes(4, "big")
    digest = hashlib.sha1(pack, usedforsecurity=False).digest()
    return f"{len(command) + 4:04x}".encode() + command + b"0000" + pack + digest
