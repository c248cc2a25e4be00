"""What is under deploy/: read by the programs it is for, where they are installed, and held to the bridge's rules."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml  # type: ignore[import-untyped] # it ships no types

from scim_bridge.config import load_settings

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
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


def test_nginx_takes_its_file(tmp_path: Path) -> None:
    """``nginx -t``, with a certificate of its own."""
    nginx = needs("nginx")
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subject = ["-subj", "/CN=scim.example.com", "-days", "1", "-nodes", "-x509"]
    run(needs("openssl"), "req", *subject, "-newkey", "rsa:2048", "-keyout", key, "-out", certificate)
    text = (DEPLOY / "nginx.conf").read_text()
    text = re.sub(r"ssl_certificate_key .*", f"ssl_certificate_key {key};", text)
    text = re.sub(r"ssl_certificate .*", f"ssl_certificate {certificate};", text)
    text = text.replace("/var/log/nginx", str(tmp_path))
    whole = tmp_path / "nginx.conf"
    whole.write_text(f"error_log stderr;\npid {tmp_path}/pid;\nevents {{}}\nhttp {{\n{text}\n}}\n")
    assert "test is successful" in run(nginx, "-t", "-c", whole)


def test_caddy_takes_its_file() -> None:
    """``caddy validate``, which opens nothing."""
    run(needs("caddy"), "validate", "--config", DEPLOY / "Caddyfile", "--adapter", "caddyfile")


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
