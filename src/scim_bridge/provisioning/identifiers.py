"""Ids that the bridge mints."""

import secrets
import time
from uuid import UUID


def new_id() -> str:
    """Return a UUID of version 7 (RFC 9562 §5.7).

    It is never reused, and ordered by time, so that indexes grow at their end.
    """
    milliseconds = time.time_ns() // 1_000_000
    value = (milliseconds & (2**48 - 1)) << 80 | secrets.randbits(80)
    value = value & ~(0xF << 76) | 0x7 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    return str(UUID(int=value))
