"""What clients really send: their quirks as data, and presets that switch them.

A *quirk* is a form that the RFC does not have and a client does. Each has a name, is counted when it is met
(``scim_bridge_quirks_total``) and can be switched per connection. :mod:`scim_bridge.protocol.normalisation` rewrites
the forms; nothing behind it knows them. What scim2-models tolerates by itself is chosen by the preset's
:class:`~scim2_models.ScimPolicy`.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any, Self

from scim2_models import ScimPolicy

from scim_bridge.errors import ConnectionSettingsError
from scim_bridge.store.comparison import comparison_key


@dataclass(frozen=True, slots=True)
class Quirk:
    """A form that a client sends and the RFC does not have.

    :param name: What settings and counters call it.
    :param meaning: The form, and what it is read as.
    :param clients: Presets that switch it on besides ``generic``, which switches on all.
    """

    name: str
    meaning: str
    clients: frozenset[str]


def _quirks(table: Iterable[tuple[str, str, str]]) -> dict[str, Quirk]:
    return {name: Quirk(name, meaning, frozenset(clients.split())) for name, clients, meaning in table}


QUIRKS = _quirks(
    (
        ("missing_schemas", "okta entra", "a body without `schemas` is of the type its endpoint serves"),
        ("schema_urn_spelling", "okta entra", "a schema URN in another case is the one it differs from by case only"),
        ("legacy_schema_urn", "okta entra", "`urn:scim:schemas:core:2.0` and the misspelt `…enterprise:2.0User`"),
        ("unknown_schema_urn", "okta entra", "an unknown URN in `schemas` (Entra's ADSCIM one) is left out"),
        ("password", "okta entra strict", "`password` is dropped: it reaches neither the store nor a remote system"),
        ("bare_extension_attribute", "entra", "`manager` outside its extension is the extension's attribute"),
        ("dotted_extension_path", "entra", "`…enterprise:2.0:User.department` is `…enterprise:2.0:User:department`"),
        ("string_for_complex", "entra", '`manager: "id"` is `manager: {"value": "id"}`'),
        ("list_for_single_value", "entra", "a list of one element for a single-valued attribute is the element"),
        ("object_for_list", "okta entra", "an object for a multi-valued attribute is a list of one element"),
        ("empty_complex", "entra", '`manager: ""` and `manager: {"value": ""}` remove it'),
        ("null_active", "okta entra", "`active: null` changes nothing: neither activates nor deactivates"),
        ("read_only_in_value", "okta entra", "`id`, `meta`, `groups`, `schemas` in a value without path are ignored"),
        ("null_members", "okta", "`members: null` in a PATCH value without path is not given"),
        ("member_display", "okta entra", "a change of a member's `display`, `type` or `$ref` changes nothing"),
        ("member_by_filter", "okta entra", '`replace` of `members[value eq "x"].value` by the same value adds x'),
        ("complex_in_filter", "entra", '`manager eq "id"` compares `manager.value`'),
        ("boolean_string", "okta entra", '`active: "False"` is `false`; "off", "y" or 1 are neither'),
        ("operation_case", "entra", '`op: "Replace"` is `replace`'),
        ("empty_value", "okta entra", "an empty text for a boolean, date, number or reference is no value"),
        ("text_for_values", "okta entra", '`roles: "Admin"` and `roles: ["Admin"]` are `roles: [{"value": "Admin"}]`'),
        ("json_in_value", "entra", "a role whose `value` is a JSON text is what that text's `value` says"),
        ("remove_with_value", "okta entra", "a PATCH `remove` with a value removes that value, not all"),
        (
            "unknown_attribute",
            "okta entra",
            "an attribute that no schema has is left out; alone in a PATCH it is refused",
        ),
        ("unquoted_filter_value", "okta entra", "`userName eq ada@example.com` compares with a text, in paths too"),
        ("boolean_string_in_filter", "entra", '`active eq "True"` compares with `true`, in paths too'),
    )
)
"""Every quirk, by name. The clients in the middle column were recorded or documented to send it."""


def tolerant_policy() -> ScimPolicy:
    """Return the policy of every preset but ``strict``."""
    return ScimPolicy(
        unknown=ScimPolicy.Unknown.ignore,
        remove_value_as_filter=ScimPolicy.RemoveValue.apply,
        unmatched_path_filter=ScimPolicy.UnmatchedPathFilter.create,
        comparison_key=comparison_key,
    )


@dataclass(frozen=True, slots=True)
class ClientPreset:
    """How a kind of client is understood.

    :param name: What a configuration file says: ``client = "okta"``.
    :param policy: What scim2-models tolerates.
    :param quirks: Names of the quirks that are rewritten; others are refused as the RFC says.
    :param compares: Whether it reads first and sends only what differs.
    :param repeats_creations: Whether it sends a creation again without a query when an answer was lost.
    :param reads_pagination: Whether it can read ``pagination`` (RFC 9865) in a ServiceProviderConfig. Some that are
        older refuse the whole document for it. Cursors are offered all the same.
    """

    name: str
    policy: ScimPolicy
    quirks: frozenset[str]
    compares: bool = False
    repeats_creations: bool = False
    reads_pagination: bool = True

    def switched(self, *, on: Iterable[str] = (), off: Iterable[str] = ()) -> Self:
        """Return the preset with quirks switched on and off.

        :raises ConnectionSettingsError: When a name is no quirk.
        """
        on, off = frozenset(on), frozenset(off)
        unknown = (on | off) - QUIRKS.keys()
        if unknown:
            raise ConnectionSettingsError(f"unknown quirk {min(unknown)!r}; quirks: {', '.join(QUIRKS)}")
        return replace(self, quirks=(self.quirks | on) - off)


def _preset(name: str) -> ClientPreset:
    return ClientPreset(name, tolerant_policy(), frozenset(q.name for q in QUIRKS.values() if name in q.clients))


PRESETS: dict[str, ClientPreset] = {
    "okta": _preset("okta"),
    "entra": replace(_preset("entra"), compares=True, repeats_creations=True),
    "generic": ClientPreset("generic", tolerant_policy(), frozenset(QUIRKS), reads_pagination=False),
    "strict": ClientPreset("strict", ScimPolicy(comparison_key=comparison_key), frozenset({"password"})),
}
"""The presets. ``generic`` understands the union of all clients; ``strict`` holds clients to the RFC."""


def preset(name: str) -> ClientPreset:
    """Return the preset of a name.

    :raises ConnectionSettingsError: When there is none; the message lists them.
    """
    if name not in PRESETS:
        raise ConnectionSettingsError(f"unknown client {name!r}; clients: {', '.join(PRESETS)}")
    return PRESETS[name]


class Quirks:
    """The quirks switched on for a connection, and the counter of those met.

    :param enabled: Their names.
    :param count: Called with the name of each quirk that is met.
    """

    def __init__(self, enabled: Iterable[str], count: Callable[[str], Any] = lambda _: None) -> None:
        self._enabled = frozenset(enabled)
        self._count = count

    def take(self, name: str) -> bool:
        """Tell whether a quirk just met is to be rewritten, and count it if so."""
        if name not in self._enabled:
            return False
        self._count(name)
        return True
