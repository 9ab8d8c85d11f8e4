"""A real Prometheus server on loopback: with days of history made by promtool, and with a text endpoint to scrape."""

from __future__ import annotations

import contextlib
import datetime
import ipaddress
import json
import shutil
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

DAY_S = 86400
PRESENT = shutil.which("prometheus") is not None and shutil.which("promtool") is not None
WHY_NOT = "prometheus and promtool are not installed (Debian: prometheus)"
Sample = tuple[str, Mapping[str, str], float, float]
"""Metric, labels, value, seconds since the epoch."""


def history(folder: Path, samples: Iterable[Sample]) -> Path:
    """A folder of blocks with these samples."""
    by_metric: dict[str, list[tuple[str, float, float]]] = {}
    for metric, labels, value, when in samples:
        text = ",".join(f'{name}="{each}"' for name, each in labels.items())
        by_metric.setdefault(metric, []).append((text, when, value))
    lines = []
    for metric, rows in by_metric.items():
        lines.append(f"# TYPE {metric} gauge")
        lines += [f"{metric}{{{text}}} {value} {when:.3f}" for text, when, value in sorted(rows)]
    source = folder / "history.txt"
    source.write_text("\n".join([*lines, "# EOF"]) + "\n")
    blocks = folder / "data"
    command = ["promtool", "tsdb", "create-blocks-from", "openmetrics", "--max-block-duration=720h"]
    done = subprocess.run([*command, str(source), str(blocks)], capture_output=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return blocks


@contextlib.contextmanager
def running(
    folder: Path,
    *,
    data: Path | None = None,
    targets: Iterable[str] = (),
    labels: Mapping[str, str] | None = None,
    web: str | None = None,
    prefix: str = "",
    extra: Iterable[str] = (),
) -> Iterator[str]:
    """A server on a port of its own; gives its URL (http, also where `web`, its web configuration, has TLS)."""
    folder.mkdir(parents=True, exist_ok=True)
    chosen = {"targets": list(targets), "labels": dict(labels or {})}
    scrape = {"job_name": "dcgm", "scrape_interval": "1s", "scrape_timeout": "1s", "static_configs": [chosen]}
    configuration = folder / "prometheus.yml"  # JSON is YAML
    configuration.write_text(json.dumps({"scrape_configs": [scrape] if chosen["targets"] else []}))
    port = _free_port()
    command = ["prometheus", f"--config.file={configuration}", f"--storage.tsdb.path={data or folder / 'data'}"]
    command += [
        f"--web.listen-address=127.0.0.1:{port}",
        "--storage.tsdb.retention.time=3y",
        "--log.level=error",
        *extra,
    ]
    if prefix:
        command.append(f"--web.external-url=http://127.0.0.1:{port}{prefix}")
    if web is not None:
        (folder / "web.yml").write_text(web)
        command.append(f"--web.config.file={folder / 'web.yml'}")
    with (folder / "log").open("wb") as log:
        child = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        try:
            _wait(port, child, folder / "log")
            yield f"http://127.0.0.1:{port}{prefix}"
        finally:
            child.terminate()
            try:
                child.wait(20)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait(port: int, child: subprocess.Popen[bytes], log: Path) -> None:
    """Until it listens; whoever asks too early gets 503 for a moment, so until it is ready where that can be seen."""
    limit = time.monotonic() + 60
    while time.monotonic() < limit:
        assert child.poll() is None, log.read_text()
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/-/ready", timeout=5).close()
            return
        except urllib.error.HTTPError as error:
            if error.code != 503:  # it wants TLS or a password
                time.sleep(1)
                return
        except OSError:
            pass
        time.sleep(0.1)
    raise AssertionError(log.read_text())


@contextlib.contextmanager
def answering(
    text: str,
    *,
    status: int = 200,
    kind: str = "text/plain",
    location: str | None = None,
    seen: list[str | None] | None = None,
) -> Iterator[str]:
    """A web server that answers everything with this text; gives its address. `seen`: what came as Authorization."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if seen is not None:
                seen.append(self.headers.get("Authorization"))
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            self.send_response(status)
            self.send_header("Content-Type", kind)
            if location is not None:
                self.send_header("Location", location)
            self.end_headers()
            self.wfile.write(text.encode())

        do_POST = do_GET

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)


def certificate(folder: Path, *, days: int, name: str = "127.0.0.1") -> tuple[Path, Path]:
    """A self-signed certificate for an address that ends in so many days from now, and its key."""
    folder.mkdir(parents=True, exist_ok=True)
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.datetime.now(datetime.UTC)
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=365))
        .not_valid_after(now + datetime.timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(name))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    certificate_file, key_file = folder / "server.crt", folder / "server.key"
    certificate_file.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return certificate_file, key_file
