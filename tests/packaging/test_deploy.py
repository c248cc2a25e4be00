"""What is under deploy/: read by the programs it is for, where they are installed, and held to the bridge's rules."""

import json
import os
import re
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml  # type: ignore[import-untyped] # it ships no types

from scim_bridge.config import load_settings

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
NOBODY = "127.0.0.250"
SCIM_PATH = r"^/[a-z0-9-]+/scim/v2(/|$)"

EXPOSED = ["/acme/scim/v2", "/acme/scim/v2/Users", "/acme/scim/v2/Users/01?x=y"]
INSIDE = ["/", "/console", "/console/people", "/metrics", "/healthz", "/readyz", "/acme/scim/v2x", "/a/b/scim/v2/Users"]


def run(*command: str | Path) -> str:
    """Run a program that judges a file; return what it said, which is no error."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def needs(program: str) -> str:
    """Return a program of the system, or skip."""
    found = shutil.which(program) or shutil.which(program, path="/usr/sbin")
    if found is None:
        pytest.skip(f"{program} is not installed on this machine")
    return found


@pytest.mark.parametrize("file", ["nginx.conf", "Caddyfile"])
def test_a_proxy_passes_scim_and_nothing_else(file: str) -> None:
    """Both have one rule for what is reached from outside, and it is the same."""
    text = (DEPLOY / file).read_text()
    assert SCIM_PATH in text
    paths = [path.partition("?")[0] for path in EXPOSED]
    assert all(re.search(SCIM_PATH, path) for path in paths)
    assert not any(re.search(SCIM_PATH, path) for path in INSIDE)
    assert "404" in text


def certificate(folder: Path) -> tuple[Path, Path]:
    """Make a certificate and its key."""
    key, made = folder / "key.pem", folder / "certificate.pem"
    subject = ["-subj", "/CN=scim.example.com", "-days", "1", "-nodes", "-x509"]
    run(needs("openssl"), "req", *subject, "-newkey", "rsa:2048", "-keyout", key, "-out", made)
    return made, key


def nginx(folder: Path, port: int) -> list[str | Path]:
    """Return the command that runs nginx with its file, which is changed in what a test cannot have."""
    program = needs("nginx")
    made, key = certificate(folder)
    text = (DEPLOY / "nginx.conf").read_text()
    text = re.sub(r"ssl_certificate_key .*", f"ssl_certificate_key {key};", text)
    text = re.sub(r"ssl_certificate .*", f"ssl_certificate {made};", text)
    text = text.replace("/var/log/nginx", str(folder)).replace("listen 443", f"listen 127.0.0.1:{port}")
    text = text.replace("127.0.0.1:8080", f"{NOBODY}:8080")
    whole = folder / "nginx.conf"
    whole.write_text(f"daemon off;\nerror_log stderr;\npid {folder}/pid;\nevents {{}}\nhttp {{\n{text}\n}}\n")
    return [program, "-c", whole]


def caddy(folder: Path, port: int) -> list[str | Path]:
    """Return the command that runs Caddy with its file, which is changed in what a test cannot have."""
    program = needs("caddy")
    made, key = certificate(folder)
    text = (DEPLOY / "Caddyfile").read_text()
    text = text.replace("{\n\tlog", "{\n\tadmin off\n\tauto_https disable_redirects\n\tlog", 1)
    site = f"https://scim.example.com:{port} {{\n\ttls {made} {key}"
    whole = folder / "Caddyfile"
    whole.write_text(text.replace("{$SCIM_HOST:scim.example.com} {", site))
    return [program, "run", "--config", whole, "--adapter", "caddyfile"]


def asked(port: int, path: str, still_runs: Callable[[], bool]) -> str:
    """Return what a proxy answers, once it listens."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    while still_runs():
        try:
            plain = socket.create_connection(("127.0.0.1", port), timeout=60)
        except ConnectionRefusedError:
            time.sleep(0.05)
            continue
        with context.wrap_socket(plain, server_hostname="scim.example.com") as secure:
            secure.sendall(f"GET {path} HTTP/1.0\r\nHost: scim.example.com\r\n\r\n".encode())
            return b"".join(iter(lambda: secure.recv(65536), b"")).decode()
    return "it ended"


@pytest.mark.parametrize("proxy", [nginx, caddy])
def test_a_proxy_before_a_bridge_that_is_down(proxy: Callable[[Path, int], list[str | Path]], tmp_path: Path) -> None:
    """What is no SCIM path is 404, SCIM is 429 with a time to come again, and no log has the query."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    home = {**os.environ, "XDG_DATA_HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path), "SCIM_BRIDGE": NOBODY}
    log = tmp_path / "output.log"
    with log.open("w") as output, subprocess.Popen(proxy(tmp_path, port), env=home, stderr=output) as running:
        try:
            inside = asked(port, "/metrics?marker", lambda: running.poll() is None)
            later = asked(port, "/acme/scim/v2/Users?filter=marker", lambda: running.poll() is None)
        finally:
            running.terminate()

    assert " 404 " in inside.splitlines()[0], log.read_text()
    assert " 429 " in later.splitlines()[0]
    assert "retry-after: 30" in later.lower()
    assert json.loads(later.partition("\r\n\r\n")[2])["status"] == "429"
    assert not [file for file in tmp_path.rglob("*log") if "marker" in file.read_text(errors="replace")]


def test_systemd_takes_the_unit_and_finds_it_closed(tmp_path: Path) -> None:
    """``systemd-analyze``: no unknown setting, and little that the service could do beyond its work."""
    analyze = needs("systemd-analyze")
    unit = tmp_path / "scim-bridge.service"
    unit.write_text((DEPLOY / unit.name).read_text().replace("/opt/scim-bridge/bin/scim-bridge", "/bin/true"))
    assert run(analyze, "verify", "--man=no", unit) == ""
    exposure = re.search(r"exposure level.*: ([0-9.]+)", run(analyze, "security", "--offline=true", unit))
    assert exposure is not None
    assert float(exposure[1]) < 2


def test_the_configuration_of_the_containers_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every secret that it names is one that compose gives the bridge, and the connection plans."""
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    bridge = compose["services"]["bridge"]
    text = (DEPLOY / "scim-bridge.toml").read_text()
    named = set(re.findall(r"/run/secrets/([a-z-]+)", text))
    assert named == set(bridge["secrets"]) <= set(compose["secrets"])
    for secret in named:
        value = "postgresql+psycopg://scim-bridge:x@postgres/scim-bridge" if secret == "database-url" else "x" * 40
        (tmp_path / secret).write_text(value)
    (tmp_path / "scim-bridge.toml").write_text(text.replace("/run/secrets/", f"{tmp_path}/"))
    monkeypatch.setenv("PUBLIC_URL", "https://scim.example.com")

    settings = load_settings(tmp_path / "scim-bridge.toml")

    assert settings.store.production
    assert settings.connections["hubspot"].mode == "plan"
    assert bridge["read_only"]
    assert bridge["cap_drop"] == ["ALL"]
    assert bridge["deploy"]["replicas"] == 2


def test_the_image_runs_as_nobody_and_has_what_the_bridge_needs() -> None:
    """Not as root; every plugin of this repository is in it; and its versions are those of the tests."""
    text = (DEPLOY / "Dockerfile").read_text()
    assert re.search(r"^USER [1-9][0-9]*$", text, re.MULTILINE)
    assert ".ci/constraints.txt" in text
    for plugin in sorted((DEPLOY.parent / "plugins").glob("*/pyproject.toml")):
        assert f"./plugins/{plugin.parent.name}" in text
