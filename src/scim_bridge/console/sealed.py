"""What a page is asked for, sealed in its URL: names stay out of histories, and of the logs of proxies."""

import base64
import hashlib
import json
from collections.abc import Mapping
from typing import Any

from cryptography.fernet import Fernet, InvalidToken


class Seal:
    """Closes and opens what links of pages carry.

    :param secret: Replicas share it; with a fresh one in each process links end with it.
    """

    def __init__(self, secret: bytes) -> None:
        self._fernet = Fernet(base64.urlsafe_b64encode(hashlib.sha256(b"console" + secret).digest()))

    def close(self, asked: Mapping[str, Any]) -> str:
        """Return what stands in a URL."""
        return self._fernet.encrypt(json.dumps(dict(asked)).encode()).decode()

    def open(self, text: str) -> dict[str, Any] | None:
        """Return what was sealed; ``None``: nothing of this bridge."""
        try:
            asked: dict[str, Any] = json.loads(self._fernet.decrypt(text.encode()))
        except (InvalidToken, ValueError):
            return None
        return asked
