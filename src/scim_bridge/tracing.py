"""Opens what tells a collector, as it is configured."""

from typing import TYPE_CHECKING

from scim_bridge.config import Settings
from scim_bridge.errors import ConfigurationError

if TYPE_CHECKING:
    from scim_bridge.server.spans import Spans


def spans_of(settings: Settings) -> "Spans | None":
    """Return what tells a collector, where there is one.

    :raises ConfigurationError: When the extra is not installed.
    """
    if (to := settings.tracing) is None:
        return None
    try:
        from scim_bridge.server.spans import Spans  # the SDK takes 30 MiB, and a tenth of a second
    except ImportError:
        raise ConfigurationError('[tracing] needs the extra otel: pip install "scim-bridge[otel]"') from None
    headers = {name: secret.get_secret_value() for name, secret in to.headers.items()}
    return Spans(to.url, headers, service=to.service, share=to.share)
