"""Secrets that a configuration names and does not hold: ``{ env = "NAME" }`` and ``{ file = "PATH" }``.

They are read when the configuration is, and again whenever somebody asks: a secret is replaced while the bridge runs.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scim_bridge.errors import ConfigurationError

MAX_SECRET_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Source:
    """A parsed configuration whose secrets are references still.

    :param base: What relative paths of secret files are relative to.
    """

    document: Mapping[str, Any]
    environment: Mapping[str, str]
    base: Path

    def resolved(self, *path: str) -> Any:
        """Return what stands at a path, each reference replaced by what it refers to now; ``None``: nothing does.

        :raises ConfigurationError: When a secret cannot be read; its text names the reference.
        """
        value: Any = self.document
        for key in path:
            value = value.get(key) if isinstance(value, Mapping) else None
        return self._resolved(value, path)

    def _resolved(self, value: Any, path: tuple[str, ...]) -> Any:
        if isinstance(value, list):
            return [self._resolved(item, path) for item in value]
        if not isinstance(value, Mapping):
            return value
        if len(value) == 1 and isinstance(reference := next(iter(value.values())), str):
            if "env" in value:
                return self._from_environment(reference, path)
            if "file" in value:
                return _from_file(self.base / reference, path)
        return {key: self._resolved(item, (*path, key)) for key, item in value.items()}

    def _from_environment(self, name: str, path: tuple[str, ...]) -> str:
        secret = self.environment.get(name, "")
        if not secret:
            raise ConfigurationError(f"configuration: {'.'.join(path)}: environment variable {name} is not set")
        return secret


def _from_file(file: Path, path: tuple[str, ...]) -> str:
    where = f"configuration: {'.'.join(path)}: secret file {file}"
    try:
        if file.stat().st_size > MAX_SECRET_BYTES:
            raise ConfigurationError(f"{where} is larger than {MAX_SECRET_BYTES} bytes")
        secret = file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{where} cannot be read: {type(error).__name__}") from None
    if not secret:
        raise ConfigurationError(f"{where} is empty")
    return secret
