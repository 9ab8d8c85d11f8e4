"""A real API server with etcd and its controllers on loopback, and the stand-in for what needs machines.

    python tests/kubernetes/cluster.py up FOLDER      writes FOLDER/kubeconfig and returns when it serves
    python tests/kubernetes/cluster.py down FOLDER

Its programs are those of scripts/kubernetes.sh. There are two accounts: `admin`, and `roller`, who has no rights yet.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import yaml

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "kubernetes.sh"
STAND_IN = Path(__file__).with_name("stand_in.py")
START_S = 300
CONTROLLERS = "daemonset,disruption,garbagecollector,namespace,replicaset,serviceaccount,statefulset"


def programs() -> Path:
    """The folder of the built programs; it need not be there."""
    done = subprocess.run([SCRIPT, "--path"], capture_output=True, text=True, check=True)
    return Path(done.stdout.strip())


def missing() -> str:
    """Why no cluster can be started here, or nothing."""
    return "" if programs().is_dir() else "no API server was built: run scripts/kubernetes.sh (make kubernetes)"


def up(folder: Path) -> None:
    """Start a cluster in a folder; on failure nothing is left running."""
    folder.mkdir(parents=True, exist_ok=True)
    try:
        _up(folder)
    except BaseException:
        down(folder)
        raise


def down(folder: Path) -> None:
    """End what `up` started, by pid, newest first."""
    file = folder / "pids"
    pids = [int(line) for line in file.read_text().split()] if file.exists() else []
    for pid in reversed(pids):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
        if not _until(lambda pid=pid: _ended(pid), 15):  # type: ignore[misc]
            os.kill(pid, signal.SIGKILL)
    file.unlink(missing_ok=True)


@contextlib.contextmanager
def running(folder: Path) -> Iterator[Path]:
    """A cluster for a while: the path of the administrator's kubeconfig."""
    up(folder)
    try:
        yield folder / "kubeconfig"
    finally:
        down(folder)


def _up(folder: Path) -> None:
    etcd, peer, api = _ports(3)
    tokens = {name: secrets.token_hex(16) for name in ("admin", "roller")}
    _private(folder / "tokens.csv", f"{tokens['admin']},admin,1,system:masters\n{tokens['roller']},roller,2\n")
    _private(folder / "service-account.key", _key())
    url, store = f"https://127.0.0.1:{api}", f"http://127.0.0.1:{etcd}"
    _start(
        folder, "etcd", f"--data-dir={folder}/etcd", f"--listen-client-urls={store}",
        f"--advertise-client-urls={store}",
        f"--listen-peer-urls=http://127.0.0.1:{peer}", f"--initial-advertise-peer-urls=http://127.0.0.1:{peer}",
        f"--initial-cluster=default=http://127.0.0.1:{peer}",
    )  # fmt: skip
    _start(
        folder, "kube-apiserver", f"--etcd-servers={store}", "--bind-address=127.0.0.1", f"--secure-port={api}",
        "--insecure-port=0", f"--cert-dir={folder}/certificates", f"--token-auth-file={folder}/tokens.csv",
        "--authorization-mode=RBAC", "--disable-admission-plugins=ServiceAccount", "--endpoint-reconciler-type=none",
        "--service-account-issuer=https://kubernetes.default.svc", "--service-cluster-ip-range=10.0.0.0/24",
        f"--service-account-key-file={folder}/service-account.key",
        f"--service-account-signing-key-file={folder}/service-account.key",
    )  # fmt: skip
    for name, token in tokens.items():
        _kubeconfig(folder / ("kubeconfig" if name == "admin" else f"kubeconfig-{name}"), folder, url, name, token)
    if not _until(lambda: _serves(folder, url, tokens["admin"]), START_S):
        raise RuntimeError(f"the API server does not serve:\n{(folder / 'kube-apiserver.log').read_text()[-2000:]}")
    _start(
        folder, "kube-controller-manager", f"--kubeconfig={folder}/kubeconfig", "--leader-elect=false",
        f"--controllers={CONTROLLERS}", "--port=0", "--secure-port=0",
        f"--service-account-private-key-file={folder}/service-account.key",
    )  # fmt: skip
    _start(folder, sys.executable, str(STAND_IN), str(folder / "kubeconfig"))


def _start(folder: Path, program: str, *arguments: str) -> None:
    path = program if "/" in program else str(programs() / program)
    with (folder / f"{Path(program).name}.log").open("w") as log:
        started = subprocess.Popen(
            [path, *arguments], stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=folder, start_new_session=True
        )
    with (folder / "pids").open("a") as file:
        file.write(f"{started.pid}\n")
    # It ends by its pid, not with this object.
    started.returncode = 0


def _kubeconfig(file: Path, folder: Path, url: str, user: str, token: str) -> None:
    cluster = {"server": url, "certificate-authority": f"{folder}/certificates/apiserver.crt"}
    _private(
        file,
        yaml.safe_dump(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "current-context": "test",
                "clusters": [{"name": "test", "cluster": cluster}],
                "users": [{"name": user, "user": {"token": token}}],
                "contexts": [{"name": "test", "context": {"cluster": "test", "user": user}}],
            }
        ),
    )


def _serves(folder: Path, url: str, token: str) -> bool:
    import ssl

    certificate = folder / "certificates" / "apiserver.crt"
    if not certificate.exists():
        return False
    request = urllib.request.Request(f"{url}/readyz", headers={"Authorization": f"Bearer {token}"})
    with contextlib.suppress(OSError, ssl.SSLError):
        context = ssl.create_default_context(cafile=str(certificate))
        with urllib.request.urlopen(request, context=context, timeout=5) as answer:
            return bool(answer.status == 200)
    return False


def _key() -> str:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption())
    return key.private_bytes(*form).decode()


def _private(file: Path, text: str) -> None:
    file.touch(mode=0o600)
    file.write_text(text)


def _ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


def _ended(pid: int) -> bool:
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def _until(look: Callable[[], bool], seconds: float) -> bool:
    end = time.monotonic() + seconds
    while not look():
        if time.monotonic() > end:
            return False
        time.sleep(0.1)
    return True


if __name__ == "__main__":
    verb, place = sys.argv[1:]
    if verb == "up":
        up(Path(place).resolve())
        print(json.dumps({"kubeconfig": str(Path(place).resolve() / "kubeconfig")}))
    else:
        down(Path(place).resolve())
