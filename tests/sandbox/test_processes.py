"""The sandbox's processes, certificates and kubelet's part, with programs that start at once."""

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
from pathlib import Path

import pytest

from sandbox.host import certificates, processes
from sandbox.kubernetes import clusters, flux_controllers
from sandbox.kubernetes.clusters import Access
from sandbox.sandbox_error import SandboxError

ENV = {"PATH": os.defpath}
SLEEP = [sys.executable, "-c", "import time; time.sleep(60)"]
DEAF = [
    sys.executable,
    "-uc",
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf');"
    " time.sleep(60)",
]
PARENT = [
    sys.executable,
    "-uc",
    "import subprocess, time; child = subprocess.Popen(['sleep', '60']);"
    " print(child.pid); time.sleep(60)",
]


# Its main thread ends, another one goes on: what a killed program looks like for a moment.
HEADLESS = [
    sys.executable,
    "-uc",
    "import ctypes, threading, time; threading.Thread(target=time.sleep, args=(60,)).start();"
    " print('headless'); ctypes.CDLL(None).pthread_exit(None)",
]


@pytest.fixture
def state(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path
    processes.stop_all(tmp_path, grace=0.1)


def pid_of(state: Path, name: str) -> int:
    record = json.loads((state / "processes" / f"{name}.json").read_text())
    return int(record["pid"])


def wait_for_log(state: Path, name: str) -> str:
    processes.wait_until(
        state,
        [name],
        lambda: processes.log_tail(state, name) != "(empty)",
        what="log",
        seconds=5,
    )
    return processes.log_tail(state, name)


def test_a_second_ensure_changes_nothing(state: Path) -> None:
    assert processes.ensure(state, "a", SLEEP, ENV)
    pid = pid_of(state, "a")
    assert not processes.ensure(state, "a", SLEEP, ENV)
    assert pid_of(state, "a") == pid
    assert os.getsid(pid) == pid


@pytest.mark.skipif(sys.platform != "linux", reason="ps does not tell threads")
def test_a_process_runs_as_long_as_one_of_its_threads(state: Path) -> None:
    """Until then it has its ports, so nothing else can be started in its place."""
    processes.ensure(state, "a", HEADLESS, ENV)
    wait_for_log(state, "a")
    stat = Path(f"/proc/{pid_of(state, 'a')}/stat")
    deadline = time.monotonic() + 5
    while stat.read_text().rpartition(")")[2].split()[0] != "Z":
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert processes.is_running(state, "a")
    assert processes.stop_all(state) == ["a"]
    assert not processes.is_running(state, "a")


def test_changed_arguments_environment_or_files_restart(state: Path) -> None:
    file = state / "secret"
    file.write_text("one")
    processes.ensure(state, "a", SLEEP, ENV, files=[file])
    assert processes.ensure(state, "a", [*SLEEP, "more"], ENV, files=[file])
    assert processes.ensure(state, "a", [*SLEEP, "more"], {**ENV, "X": "1"}, files=[file])
    file.write_text("two")
    assert processes.ensure(state, "a", [*SLEEP, "more"], {**ENV, "X": "1"}, files=[file])
    assert processes.running(state) == ["a"]


def test_a_killed_process_is_started_again_and_keeps_its_place(state: Path) -> None:
    for name in ("first", "second"):
        processes.ensure(state, name, SLEEP, ENV)
    os.kill(pid_of(state, "first"), 9)
    time.sleep(0.05)
    assert not processes.is_running(state, "first")
    assert processes.ensure(state, "first", SLEEP, ENV)
    assert processes.running(state) == ["first", "second"]
    assert processes.stop_all(state) == ["second", "first"]
    assert processes.running(state) == []


@pytest.mark.parametrize("by_ps", [False, True])
def test_a_reused_pid_is_not_ours_and_never_signalled(
    state: Path, monkeypatch: pytest.MonkeyPatch, by_ps: bool
) -> None:
    if by_ps:
        monkeypatch.setattr(processes, "_PROC", state / "no-proc")
    processes.ensure(state, "a", SLEEP, ENV)
    assert processes.is_running(state, "a")
    file = state / "processes" / "a.json"
    record = json.loads(file.read_text())
    file.write_text(json.dumps({**record, "started": "before"}))
    assert not processes.is_running(state, "a")
    processes.stop(state, "a")
    os.kill(record["pid"], 0)
    file.write_text(json.dumps(record))
    processes.stop(state, "a")
    assert record["pid"] not in processes._processes()


def test_one_that_ignores_sigterm_is_killed(state: Path) -> None:
    processes.ensure(state, "deaf", DEAF, ENV)
    wait_for_log(state, "deaf")
    processes.stop(state, "deaf", grace=0.1)
    assert not processes.is_running(state, "deaf")


def test_children_end_with_their_parent(state: Path) -> None:
    processes.ensure(state, "parent", PARENT, ENV)
    child = int(wait_for_log(state, "parent"))
    processes.stop(state, "parent")
    assert child not in processes._processes()


def test_one_that_dies_at_once_says_why(state: Path) -> None:
    with pytest.raises(SandboxError, match=r"^bad: died; its log ends: flag --x is unknown$"):
        processes.ensure(
            state, "bad", [sys.executable, "-c", "raise SystemExit('flag --x is unknown')"], ENV
        )
    with pytest.raises(SandboxError, match="none: cannot start /no/such: No such file"):
        processes.ensure(state, "none", ["/no/such"], ENV)


def test_waiting_ends_when_time_is_up(state: Path) -> None:
    processes.ensure(state, "a", SLEEP, ENV)
    with pytest.raises(SandboxError, match=r"thing: not within 0 s; see .*a.log"):
        processes.wait_until(state, ["a"], lambda: False, what="thing", seconds=0)


def test_a_port_stays_until_somebody_else_takes_it(state: Path) -> None:
    port = processes.port(state, "a/web")
    assert processes.port(state, "a/web") == port
    assert processes.port(state, "b") != port
    with socket.create_server(("127.0.0.1", port)):
        assert processes.port(state, "a/web") != port
    port = processes.port(state, "a/web")
    processes.ensure(state, "a", SLEEP, ENV)
    with socket.create_server(("127.0.0.1", port)):
        assert processes.port(state, "a/web") == port  # taken by the process itself


def shake_hands(server: certificates.Pair, client_trust: Path, client: certificates.Pair) -> None:
    """Connect over TLS; the server wants clients of the authority `dev`."""
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


def test_clusters_do_not_accept_each_others_credentials(state: Path) -> None:
    server = certificates.server_certificate(state, "dev", "server", ["127.0.0.1", "localhost"])
    dev = certificates.client_certificate(state, "dev", "admin", ["system:masters"])
    prod = certificates.client_certificate(state, "prod", "admin", ["system:masters"])
    dev_ca = certificates.authority(state, "dev").certificate
    prod_ca = certificates.authority(state, "prod").certificate
    shake_hands(server, dev_ca, dev)
    with pytest.raises(OSError):
        shake_hands(server, dev_ca, prod)
    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(server, prod_ca, dev)


def test_certificates_are_kept_and_keys_are_private(state: Path) -> None:
    first = certificates.server_certificate(state, "sandbox", "github", ["github.com"])
    text = first.certificate.read_text()
    again = certificates.server_certificate(state, "sandbox", "github", ["github.com"])
    assert again.certificate.read_text() == text
    certificates.server_certificate(state, "sandbox", "github", ["github.com", "127.0.0.1"])
    assert first.certificate.read_text() != text
    certificates.signing_key(state, "dev")
    keys = list((state / "certificates").rglob("*.key"))
    assert len(keys) == 3
    assert {key.stat().st_mode & 0o777 for key in keys} == {0o600}
    assert certificates.ca_bundle(state).read_text().count("BEGIN CERTIFICATE") == 1


def test_a_lost_authority_replaces_what_it_signed(state: Path) -> None:
    pair = certificates.client_certificate(state, "dev", "admin")
    text = pair.certificate.read_text()
    certificates.authority(state, "dev").key.unlink()
    assert certificates.client_certificate(state, "dev", "admin").certificate.read_text() != text


def test_the_kubeconfig_names_no_current_cluster_and_verifies_each(state: Path) -> None:
    names = ("dev", "prod")
    contexts = {clusters.context(name): clusters.admin(state, name) for name in names}
    document = clusters.kubeconfig(contexts)
    assert "current-context" not in document
    assert "insecure" not in json.dumps(document)
    file = clusters.kubeconfig_file(state)
    clusters.write_kubeconfig(file, contexts)
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.read_text().count("certificate-authority-data") == 2
    assert "k3d-prod" in file.read_text()


def test_a_controllers_kubeconfig_points_at_its_token(state: Path) -> None:
    access = Access(
        server="https://127.0.0.1:1",
        authority=certificates.authority(state, "dev").certificate,
        token_file=state / "token",
    )
    document = clusters.kubeconfig({"dev": access})
    assert document["users"] == [{"name": "dev", "user": {"tokenFile": str(state / "token")}}]
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
