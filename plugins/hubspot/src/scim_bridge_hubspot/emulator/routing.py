"""Which handler answers a request, and what scopes the token needs for it."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from .portal import Portal
from .records import Token
from .wire import Answer, Request


@dataclass(slots=True)
class Exchange:
    """One call on its way through the emulator.

    :param params: The values of the route's path parameters.
    :param version: The API version of the path, where there are several.
    :param token: Who calls; ``None`` on routes that ask for no token.
    """

    portal: Portal
    request: Request
    params: Mapping[str, str] = field(default_factory=dict)
    version: str = ""
    token: Token | None = None

    @property
    def scopes(self) -> frozenset[str]:
        """What the token may do."""
        return self.token.scopes if self.token else frozenset()


Handler = Callable[[Exchange], Answer]


@dataclass(frozen=True, slots=True)
class Route:
    """One operation of the API.

    :param template: The path with ``{parameters}``.
    :param scopes: Any one of them will do; none means that every token will.
    :param authentication: Which token is asked for: a ``bearer`` of the API, one of the ``scim`` server, or ``none``.
    :param writes: Whether success changes something.
    :param search: Whether the CRM search's own limit counts instead of the general one.
    """

    method: str
    template: str
    handler: Handler
    scopes: tuple[str, ...] = ()
    version: str = ""
    authentication: str = "bearer"
    writes: bool = False
    search: bool = False


class Router:
    """Finds routes. Templates without parameters win, so that ``roles`` is never taken for a user id."""

    def __init__(self, routes: Iterable[Route]) -> None:
        ordered = sorted(routes, key=lambda route: route.template.count("{"))
        self._routes = [(compile_template(route.template), route) for route in ordered]
        self._found = lru_cache(maxsize=1024)(self._find)  # to try some hundred patterns takes longer than the rest

    def match(self, method: str, path: str) -> tuple[Route | None, Mapping[str, str], frozenset[str]]:
        """Return the route, its parameters, and all methods that the path knows; no methods means no such path."""
        found = self._found(path)
        methods = frozenset(route.method for route, _ in found)
        for route, params in found:
            if route.method == method:
                return route, params, methods
        return None, {}, methods

    def _find(self, path: str) -> list[tuple[Route, Mapping[str, str]]]:
        found = [(route, hit.groupdict()) for pattern, route in self._routes if (hit := pattern.fullmatch(path))]
        # A static path hides those with parameters: PUT …/roles is not an update of the user "roles".
        return [(route, params) for route, params in found if route.template == found[0][0].template]


def compile_template(template: str) -> re.Pattern[str]:
    """Return the pattern of a template; a trailing slash is optional, as clients call it both ways."""
    pattern = re.sub(r"\\{(\w+)\\}", r"(?P<\1>[^/]+)", re.escape(template.rstrip("/")))
    return re.compile(f"{pattern}/?")
