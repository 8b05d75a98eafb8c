"""Processes, certificates, kubeconfigs and Flux's controllers, with small programs."""

from __future__ import annotations

import base64
import json
import os
import socket
import ssl
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from sandbox.host import process_table
from sandbox.host.certificates import Certificates, Pair
from sandbox.host.processes import CLEAN_ENVIRONMENT, Command, Processes
from sandbox.kubernetes import flux_controllers
from sandbox.kubernetes.access import Access, kubeconfig, write_kubeconfig
from sandbox.sandbox import Sandbox
from sandbox.sandbox_error import SandboxError

# These tests run programs or servers.
pytestmark = pytest.mark.slow


def python(program: str) -> Command:
    return Command([sys.executable, "-uc", program], CLEAN_ENVIRONMENT)


SLEEP = python("import time; time.sleep(60)")
DEAF = python(
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf');"
    " time.sleep(60)"
)
PARENT = python(
    "import subprocess, time; child = subprocess.Popen(['sleep', '60']);"
    " print(child.pid); time.sleep(60)"
)
# Its main thread ends and another one goes on, as in a killed program for a moment.
HEADLESS = python(
    "import ctypes, threading, time; threading.Thread(target=time.sleep, args=(60,)).start();"
    " print('headless'); ctypes.CDLL(None).pthread_exit(None)"
)


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Processes]:
    processes = Processes(tmp_path)
    yield processes
    processes.stop_all(grace=0.1)


@pytest.fixture
def certificates(tmp_path: Path) -> Certificates:
    return Certificates(tmp_path / "certificates")


def wait_for_log(processes: Processes, name: str) -> str:
    processes.wait_until(
        [name], lambda: processes.log_tail(name) != "(empty)", what="log", seconds=5
    )
    return processes.log_tail(name)


def test_a_second_ensure_changes_nothing(processes: Processes) -> None:
    assert processes.ensure("a", SLEEP)
    pid = processes.pid("a")
    assert not processes.ensure("a", SLEEP)
    assert processes.pid("a") == pid
    assert os.getsid(pid) == pid


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not show the threads")
def test_a_process_runs_as_long_as_one_of_its_threads(processes: Processes) -> None:
    """A thread keeps the ports of its process, so no other program can take its place."""
    processes.ensure("a", HEADLESS)
    wait_for_log(processes, "a")
    stat = Path(f"/proc/{processes.pid('a')}/stat")
    deadline = time.monotonic() + 5
    while stat.read_text().rpartition(")")[2].split()[0] != "Z":
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert processes.is_running("a")
    assert processes.stop_all() == ["a"]
    assert not processes.is_running("a")


def test_changed_arguments_environment_or_files_restart(processes: Processes) -> None:
    file = processes.state / "secret"
    file.write_text("one")
    command = replace(SLEEP, files=[file])
    processes.ensure("a", command)
    assert not processes.ensure("a", command)
    command = replace(command, argv=[*command.argv, "more"])
    assert processes.ensure("a", command)
    command = replace(command, env={**command.env, "X": "1"})
    assert processes.ensure("a", command)
    file.write_text("two")
    assert processes.ensure("a", command)
    assert processes.running() == ["a"]


def test_a_killed_process_is_started_again_and_keeps_its_place(processes: Processes) -> None:
    for name in ("first", "second"):
        processes.ensure(name, SLEEP)
    os.kill(processes.pid("first"), 9)
    time.sleep(0.05)
    assert not processes.is_running("first")
    assert processes.ensure("first", SLEEP)
    assert processes.running() == ["first", "second"]
    assert processes.stop_all() == ["second", "first"]
    assert processes.running() == []


@pytest.mark.parametrize("proc", [True, False])
def test_a_reused_pid_is_not_ours_and_never_signalled(
    processes: Processes, monkeypatch: pytest.MonkeyPatch, proc: bool
) -> None:
    if not proc:
        monkeypatch.setattr(process_table, "_PROC", processes.state / "no-proc")
    processes.ensure("a", SLEEP)
    assert processes.is_running("a")
    file = processes.state / "processes" / "a.json"
    record = json.loads(file.read_text())
    file.write_text(json.dumps({**record, "started": "before"}))
    assert not processes.is_running("a")
    processes.stop("a")
    os.kill(record["pid"], 0)
    file.write_text(json.dumps(record))
    processes.stop("a")
    assert process_table.start_time(record["pid"]) is None


def test_one_that_ignores_sigterm_is_killed(processes: Processes) -> None:
    processes.ensure("deaf", DEAF)
    wait_for_log(processes, "deaf")
    processes.stop("deaf", grace=0.1)
    assert not processes.is_running("deaf")


def test_children_end_with_their_parent(processes: Processes) -> None:
    processes.ensure("parent", PARENT)
    child = int(wait_for_log(processes, "parent"))
    processes.stop("parent")
    assert process_table.start_time(child) is None


def test_one_that_ends_later_is_named_and_one_that_was_stopped_is_not(
    processes: Processes,
) -> None:
    processes.ensure("deaf", DEAF)
    processes.ensure("parent", PARENT)
    wait_for_log(processes, "deaf")
    processes.stop("parent")
    processes.check_all()
    os.kill(processes.pid("deaf"), 9)
    while processes.is_running("deaf"):
        time.sleep(0.01)
    with pytest.raises(SandboxError, match=r"^deaf: died; its log ends: "):
        processes.check_all()


def test_one_that_dies_at_once_says_why(processes: Processes) -> None:
    with pytest.raises(SandboxError, match=r"^bad: died; its log ends: flag --x is unknown$"):
        processes.ensure("bad", python("raise SystemExit('flag --x is unknown')"))
        # On a busy machine the program needs longer than `ensure` watches it.
        processes.wait_until(["bad"], lambda: False, what="bad", seconds=30)
    with pytest.raises(SandboxError, match="none: cannot start /no/such: No such file"):
        processes.ensure("none", Command(["/no/such"], CLEAN_ENVIRONMENT))


def test_waiting_ends_when_time_is_up(processes: Processes) -> None:
    processes.ensure("a", SLEEP)
    with pytest.raises(SandboxError, match=r"thing: not ready within 0 s; see .*a.log"):
        processes.wait_until(["a"], lambda: False, what="thing", seconds=0)


def test_a_port_stays_until_somebody_else_takes_it(processes: Processes) -> None:
    port = processes.port("a/web")
    assert processes.port("a/web") == port
    assert processes.port("b") != port
    with socket.create_server(("127.0.0.1", port)):
        assert processes.port("a/web") != port
    port = processes.port("a/web")
    processes.ensure("a", SLEEP)
    with socket.create_server(("127.0.0.1", port)):
        # The socket stands for the process itself, which may use its port.
        assert processes.port("a/web") == port


def shake_hands(server: Pair, client_trust: Path, client: Pair) -> None:
    """Connect over TLS to a server that accepts clients of the authority `dev`."""
    there = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    there.load_cert_chain(server.certificate, server.key)
    there.load_verify_locations(server.certificate.parent.parent / "dev" / "ca.crt")
    there.verify_mode = ssl.CERT_REQUIRED
    here = ssl.create_default_context(cafile=str(client_trust))
    here.load_cert_chain(client.certificate, client.key)
    one, other = socket.socketpair()
    one.settimeout(5)
    other.settimeout(5)

    def serve() -> None:
        try:
            there.wrap_socket(other, server_side=True).sendall(b"hello")
        except OSError:
            other.close()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        with here.wrap_socket(one, server_hostname="127.0.0.1") as connection:
            if connection.recv(5) != b"hello":
                raise ConnectionError("refused")
    finally:
        one.close()
        thread.join()
        other.close()


def test_clusters_do_not_accept_each_others_credentials(certificates: Certificates) -> None:
    server = certificates.server_certificate("dev", "server", ["127.0.0.1", "localhost"])
    dev = certificates.client_certificate("dev", "admin", "system:masters")
    prod = certificates.client_certificate("prod", "admin", "system:masters")
    dev_ca = certificates.authority("dev").certificate
    prod_ca = certificates.authority("prod").certificate
    shake_hands(server, dev_ca, dev)
    with pytest.raises(OSError):
        shake_hands(server, dev_ca, prod)
    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(server, prod_ca, dev)


def test_certificates_are_kept_and_keys_are_private(certificates: Certificates) -> None:
    first = certificates.server_certificate("sandbox", "github", ["github.com"])
    text = first.certificate.read_text()
    again = certificates.server_certificate("sandbox", "github", ["github.com"])
    assert again.certificate.read_text() == text
    certificates.server_certificate("sandbox", "github", ["github.com", "127.0.0.1"])
    assert first.certificate.read_text() != text
    certificates.signing_key("dev")
    keys = list(certificates.folder.rglob("*.key"))
    assert len(keys) == 3
    assert {key.stat().st_mode & 0o777 for key in keys} == {0o600}
    assert certificates.ca_bundle.read_text().count("BEGIN CERTIFICATE") == 1


def test_a_lost_authority_replaces_what_it_signed(certificates: Certificates) -> None:
    pair = certificates.client_certificate("dev", "admin")
    text = pair.certificate.read_text()
    certificates.authority("dev").key.unlink()
    assert certificates.client_certificate("dev", "admin").certificate.read_text() != text


def test_the_kubeconfig_names_no_current_cluster_and_verifies_each(tmp_path: Path) -> None:
    sandbox = Sandbox(tmp_path)
    clusters = [sandbox.clusters.cluster(name) for name in ("dev", "prod")]
    contexts = {cluster.context: cluster.admin for cluster in clusters}
    document = kubeconfig(contexts)
    assert "current-context" not in document
    assert "insecure" not in json.dumps(document)
    file = sandbox.clusters.kubeconfig_file
    write_kubeconfig(file, contexts)
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.read_text().count("certificate-authority-data") == 2
    assert "k3d-prod" in file.read_text()


def test_a_controllers_kubeconfig_points_at_its_token(
    certificates: Certificates, tmp_path: Path
) -> None:
    access = Access(
        server="https://127.0.0.1:1",
        authority=certificates.authority("dev").certificate,
        token_file=tmp_path / "token",
    )
    document = kubeconfig({"dev": access})
    assert document["users"] == [{"name": "dev", "user": {"tokenFile": str(tmp_path / "token")}}]
    assert document["current-context"] == "dev"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("--addr=x.$(NS).svc", "--addr=x.flux-system.svc"),
        ("--addr=$(UNKNOWN)", "--addr=$(UNKNOWN)"),
        ("--addr=$$(NS)", "--addr=$(NS)"),
        ("--addr=$NS", "--addr=$NS"),
    ],
)
def test_references_are_expanded_as_a_kubelet_does(text: str, expected: str) -> None:
    assert flux_controllers.expand(text, {"NS": "flux-system"}) == expected


def test_a_containers_environment_is_its_literals_and_its_namespace() -> None:
    container = {
        "env": [
            {
                "name": "RUNTIME_NAMESPACE",
                "valueFrom": {"fieldRef": {"fieldPath": "metadata.namespace"}},
            },
            {"name": "URL", "value": "http://$(RUNTIME_NAMESPACE)/"},
            {
                "name": "GOMEMLIMIT",
                "valueFrom": {"resourceFieldRef": {"resource": "limits.memory"}},
            },
        ]
    }
    assert flux_controllers.container_environment(container) == {
        "RUNTIME_NAMESPACE": "flux-system",
        "URL": "http://flux-system/",
    }


def test_ours_override_the_manifests_arguments() -> None:
    container = {"args": ["--no-cross-namespace-refs=true", "--events-addr=http://n.$(NS)/"]}
    args = flux_controllers.arguments(container, {"NS": "flux-system"}, {"events-addr": ""})
    assert args == [
        "--no-cross-namespace-refs=true",
        "--events-addr=http://n.flux-system/",
        "--events-addr=",
    ]
    assert flux_controllers.arguments({}, {}, {}) == []


def test_a_token_is_renewed_in_time_and_when_its_account_was_replaced() -> None:
    claims = {"exp": 100 * 24 * 3600, "kubernetes.io": {"serviceaccount": {"uid": "u"}}}
    body = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    token = f"header.{body}.signature"
    assert flux_controllers.token_is_good(token, "u", now=80 * 24 * 3600)
    assert not flux_controllers.token_is_good(token, "u", now=90 * 24 * 3600)
    assert not flux_controllers.token_is_good(token, "other", now=0)
    assert not flux_controllers.token_is_good("", "u", now=0)
    assert not flux_controllers.token_is_good("a.%%%.c", "u", now=0)
