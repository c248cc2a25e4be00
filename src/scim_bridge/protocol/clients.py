"""What clients really send: their quirks as data, and presets that switch them.

A *quirk* is a form that the RFC does not have and a client does. Each has a name, is counted when it is met
(``scim_bridge_quirks_total``) and can be switched per connection. :mod:`scim_bridge.protocol.normalisation` rewrites
the forms; nothing behind it knows them. What scim2-models tolerates by itself is chosen by the preset's
:class:`~scim2_models.ScimPolicy`.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
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
"""Every quirk, by name. The presets in the middle column read it; their ``sources`` say of which it is known that the
client sends it, the others are read besides."""


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
    :param known: What is known of the client, and where from; empty: nothing, it is read as ``generic``.
    :param sources: Quirk → where it is said, or was seen, that this client sends it.
    :param agents: Beginnings of its User-Agent, in lower case; empty: none is known.
    :param compares: Whether it reads first and sends only what differs.
    :param repeats_creations: Whether it sends a creation again without a query when an answer was lost.
    :param mirrors: Whether it deletes whatever a list shows and it did not make.
    :param reads_additions: Whether it can read what was added to a ServiceProviderConfig since RFC 7643: ``pagination``
        (RFC 9865), ``RolesAndEntitlements``. Some that are older refuse the whole document for it. What it tells of is
        offered all the same.
    """

    name: str
    policy: ScimPolicy
    quirks: frozenset[str]
    known: str = ""
    sources: Mapping[str, str] = field(default_factory=dict)
    agents: tuple[str, ...] = ()
    compares: bool = False
    repeats_creations: bool = False
    mirrors: bool = False
    reads_additions: bool = True

    def switched(self, *, on: Iterable[str] = (), off: Iterable[str] = ()) -> Self:
        """Return the preset with quirks switched on and off.

        :raises ConnectionSettingsError: When a name is no quirk.
        """
        on, off = frozenset(on), frozenset(off)
        unknown = (on | off) - QUIRKS.keys()
        if unknown:
            raise ConnectionSettingsError(f"unknown quirk {min(unknown)!r}; quirks: {', '.join(QUIRKS)}")
        return replace(self, quirks=(self.quirks | on) - off)


def _own(name: str, known: str, sources: Mapping[str, str], *agents: str) -> ClientPreset:
    """Return the preset of a client whose forms are known: others are refused."""
    quirks = frozenset(quirk.name for quirk in QUIRKS.values() if name in quirk.clients)
    return ClientPreset(name, tolerant_policy(), quirks, known, sources, agents)


def _union(name: str, known: str = "", sources: Mapping[str, str] | None = None, *agents: str) -> ClientPreset:
    """Return the preset of a client of which single forms are known at most: all are read."""
    quirks = frozenset(QUIRKS)
    return ClientPreset(name, tolerant_policy(), quirks, known, sources or {}, agents, reads_additions=False)


_OKTA = "Okta, SCIM 2.0 reference (okta-developer-docs)"
_ENTRA_USE = "Microsoft, use-scim-to-provision-users-and-groups (entra-docs)"
_ENTRA_COMPATIBLE = "Microsoft, application-provisioning-config-problem-scim-compatibility (entra-docs)"
_ENTRA_EXPRESSIONS = "Microsoft, reference of expressions for attribute mappings (entra-docs)"
_AUTHENTIK = "goauthentik/authentik, providers/scim/clients"
_KEYCLOAK = "mitodl/keycloak-scim, sh.libre.scim.core (extension of Keycloak, which has no client of its own)"
_POCKET_ID = "pocket-id/pocket-id, scimsync/service.go"

PRESETS: dict[str, ClientPreset] = {
    one.name: one
    for one in (
        _own(
            "okta",
            f"{_OKTA}: PATCH for `active` and groups, PUT else; 429 with whole seconds is retried",
            {
                "password": f"{_OKTA}: a creation has a placeholder",
                "read_only_in_value": f"{_OKTA}: a group is renamed with its `id` in the value",
                "null_members": f"{_OKTA}: a group is renamed without its members",
                "member_display": "scimgateway#95: PUT of a group with `display: null`",
                "text_for_values": "Okta support, HubSpot provisioning: roles are an array of strings",
            },
            "okta scim",
        ),
        replace(
            _own(
                "entra",
                f"{_ENTRA_USE}: filters of `eq` and `and`, PATCH for all changes, groups without their members",
                {
                    "operation_case": f"{_ENTRA_COMPATIBLE}: `Add`, `Replace`, `Remove`",
                    "boolean_string": f'{_ENTRA_COMPATIBLE}: `"False"`',
                    "remove_with_value": f"{_ENTRA_COMPATIBLE}: members are removed with their values",
                    "unknown_schema_urn": f"{_ENTRA_USE}: a group is made with the ADSCIM URN",
                    "legacy_schema_urn": f"{_ENTRA_USE}: `…enterprise:2.0User`",
                    "bare_extension_attribute": f"{_ENTRA_USE}: the path `manager`",
                    "list_for_single_value": f"{_ENTRA_USE}: `manager` is a list of one",
                    "complex_in_filter": f'{_ENTRA_USE}: `id eq "X" and manager eq "Y"`',
                    "unquoted_filter_value": f"{_ENTRA_USE}: `externalId eq jyoung`",
                    "json_in_value": f"{_ENTRA_EXPRESSIONS}: AppRoleAssignmentsComplex",
                    "boolean_string_in_filter": f'{_ENTRA_EXPRESSIONS}: `roles[primary eq "True"].value`',
                },
            ),
            compares=True,
            repeats_creations=True,
        ),
        _union(
            "onelogin",
            "authentik#11249, recorded: the body is a template that an administrator edits; PUT of people, a stray `?`",
            {"legacy_schema_urn": "authentik#11249: `urn:scim:schemas:core:2.0`"},
        ),
        _union("jumpcloud", "JumpCloud support: Test connection makes and deletes a person and a group"),
        _union(
            "google",
            "pond/scimitar#142, recorded: `application/json` in and out, which cannot be changed",
            {},
            "google-auto-provisioning",
        ),
        _union("ping", "PingOne and PingFederate documentation: matched by `userName eq` or `emails eq`"),
        _union(
            "sailpoint",
            "SailPoint, SCIM 2.0 connector: PATCH, or PUT with HttpPatchSupport = false; reads all of discovery",
        ),
        _union(
            "authentik",
            f"{_AUTHENTIK}: PUT of people, PATCH of groups; a 404 makes it create anew",
            {
                "read_only_in_value": f"{_AUTHENTIK}/groups.py: a group's value has its `id`",
                "remove_with_value": f"{_AUTHENTIK}/groups.py: members are removed with their values",
            },
            "authentik@",
        ),
        _union("keycloak", f"{_KEYCLOAK}: PUT of whole people and groups; may delete whom it does not know"),
        replace(
            _union("pocket-id", f"{_POCKET_ID}: PUT of whole people and groups; deletes what a list shows besides"),
            mirrors=True,
        ),
        _union("accessowl"),
        _union("generic"),
        ClientPreset("strict", ScimPolicy(comparison_key=comparison_key), frozenset({"password"})),
    )
}
"""The presets. ``generic`` understands the union of all clients; ``strict`` holds clients to the RFC."""

FORMS: Mapping[str, str] = {"operation_case": "entra"}
"""Quirk → the one client that is known to send it."""


def preset(name: str) -> ClientPreset:
    """Return the preset of a name.

    :raises ConnectionSettingsError: When there is none; the message lists them.
    """
    if name not in PRESETS:
        raise ConnectionSettingsError(f"unknown client {name!r}; clients: {', '.join(PRESETS)}")
    return PRESETS[name]


class Recognition:
    """Tells the operator, once a process, when requests come from another client than the configured one.

    :param configured: The name of the connection's preset.
    :param tell: Called with the name of the preset that the requests look like.
    """

    def __init__(self, configured: str, tell: Callable[[str], Any]) -> None:
        self._told = {configured}
        self._tell = tell
        self._last: str | None = None

    def agent(self, user_agent: str | None) -> None:
        """Look at a User-Agent."""
        if user_agent is None or user_agent == self._last:
            return
        self._last = user_agent
        seen = user_agent.lower()
        for one in PRESETS.values():
            if one.agents and seen.startswith(one.agents):
                self._once(one.name)

    def form(self, quirk: str) -> None:
        """Look at a form that was met."""
        if quirk in FORMS:
            self._once(FORMS[quirk])

    def _once(self, name: str) -> None:
        if name not in self._told:
            self._told.add(name)
            self._tell(name)


class Quirks:
    """The quirks switched on for a connection, and the counter of those met.

    :param enabled: Their names.
    :param count: Called with the name of each quirk that is met.
    :param met: Called with it also when it is refused.
    """

    def __init__(
        self,
        enabled: Iterable[str],
        count: Callable[[str], Any] = lambda _: None,
        met: Callable[[str], Any] = lambda _: None,
    ) -> None:
        self._enabled = frozenset(enabled)
        self._count = count
        self._met = met

    def take(self, name: str) -> bool:
        """Tell whether a quirk just met is to be rewritten, and count it if so."""
        self._met(name)
        if name not in self._enabled:
            return False
        self._count(name)
        return True
