"""Every behaviour of HubSpot that nobody has proven, as a switch with its readings.

A connector must come out right under each of them. :meth:`Switches.choices` lists the readings of every switch, so that
tests can combine them. The tags name the evidence: ``LIVE`` is a recorded probe of the real API, ``SPEC`` HubSpot's
published OpenAPI documents, ``DOC`` an official page, ``3P`` third-party code or documentation, and ``UNVERIFIED``
means that there is no evidence for one reading over the other.
"""

from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from typing import Any, Literal, Self, get_args, get_origin, get_type_hints


class UnknownSwitchError(ValueError):
    """There is no switch of this name, or it has no such reading; the message lists what there is."""


@dataclass(frozen=True, slots=True)
class Switches:
    """How HubSpot behaves where its behaviour is not proven. The defaults are the likelier or the harsher reading."""

    # -- Creation ----------------------------------------------------------------------------------------------------

    duplicate_create: Literal["400", "409"] = "409"
    """The status of a POST for an e-mail that already is a member. UNVERIFIED."""

    email_stored: Literal["lower", "as_sent"] = "lower"
    """Whether the address of a new person is kept as it was sent. UNVERIFIED; some clients compare without case, since
    two of HubSpot's APIs differ (3P, getprobo/probo)."""

    create_deactivated: Literal["reactivate", "400", "409"] = "409"
    """What a POST onto a deactivated member does. UNVERIFIED."""

    create_names: Literal["applied", "kept"] = "applied"
    """Whether a POST renames a person HubSpot already knows. Names are global (DOC); UNVERIFIED."""

    readd_activation: Literal["again", "kept"] = "again"
    """Whether a person who is added again must accept an invitation again. UNVERIFIED."""

    unknown_role: Literal["400", "404"] = "400"
    """The status for a ``roleId`` that does not exist. UNVERIFIED, presumably 400."""

    unknown_team: Literal["400", "404"] = "400"
    """The status for a team id that does not exist. UNVERIFIED, presumably 400."""

    # -- PUT ---------------------------------------------------------------------------------------------------------

    put_mode: Literal["replace", "merge"] = "replace"
    """Whether a field that a PUT omits is cleared or kept. 3P (ConductorOne/baton-hubspot) says the role is removed;
    the beta guide (DOC) says to send only what changes; LIVE notes that HubSpot does not state it."""

    role_clear: Literal["omit", "null", "empty", "never"] = "omit"
    """What takes a role away: leaving ``roleId`` out (under ``put_mode=merge``: sending ``null``), only ``null``, only
    ``""``, or nothing at all. 3P (baton-hubspot revokes by ``PUT {}``); otherwise UNVERIFIED."""

    null_clears_teams: bool = True
    """Whether ``null`` for a team field clears it, or counts as left out. 3P: one client clears so and reads back."""

    empty_seats: Literal["clear", "keep", "400"] = "clear"
    """What ``seatNames: []`` in a PUT does. UNVERIFIED."""

    several_roles_merge: Literal["kept", "first"] = "kept"
    """What a PUT without ``roleId`` leaves of several roles under ``put_mode=merge``. 3P: additional roles were dropped
    silently by a PUT that re-sent ``roleId``; without it UNVERIFIED."""

    names_unactivated: Literal["refused", "accepted", "ignored"] = "refused"
    """A PUT with names for a person who never activated: 400 ``USER_NOT_ON_ANY_HUBS``, even for a no-op. LIVE."""

    # -- Super Admins, deactivated members, removal --------------------------------------------------------------------

    super_admin_update: Literal["400", "403"] = "400"
    """The status of a PUT on a Super Admin. 3P: refused; the code is UNVERIFIED."""

    super_admin_delete: Literal["400", "403", "204"] = "400"
    """The status of a DELETE of a Super Admin. UNVERIFIED; 204 removes them."""

    super_admin_set: Literal["granted", "400"] = "granted"
    """Whether a permission set that is itself Super Admin can be assigned by the API. UNVERIFIED."""

    write_deactivated: Literal["works", "404"] = "works"
    """Whether PUT and DELETE reach a deactivated member. UNVERIFIED."""

    not_found_form: Literal["named", "uncategorised", "empty"] = "named"
    """What the 404 of a missing object looks like: with ``category`` ``OBJECT_NOT_FOUND``; with the fields of an error
    but without a category, as a missing route has it; or without a body. LIVE tells the status only; the form is
    UNVERIFIED."""

    read_deactivated: Literal["shown", "404"] = "shown"
    """Whether reading a deactivated member by id or e-mail finds them. 3P (Vanta, probo): they look active."""

    list_deactivated: Literal["shown", "hidden"] = "shown"
    """Whether the list has deactivated members. 3P: usually, "does not always list deactivated accounts" (probo)."""

    delete_unknown: Literal["404", "204"] = "404"
    """The status of a DELETE for an id HubSpot never gave. A removed one is 204 (LIVE); this is UNVERIFIED."""

    list_lag_reads: int = 1
    """How many reads of the list still show a removed user; single reads are 404 at once. LIVE (some seconds)."""

    seat_lag_creates: int = 0
    """How many creations after a removal still find its seat taken. LIVE, seen once."""

    # -- Reading -----------------------------------------------------------------------------------------------------

    email_lookup: Literal["insensitive", "sensitive"] = "insensitive"
    """Whether ``idProperty=EMAIL`` regards case. UNVERIFIED."""

    page_size_default: int = 100
    """The page size of the user list without ``limit``. Not published; 50 and 100 are in use (3P)."""

    page_size_cap: int = 100
    """The most users of a page. Not published; 100 is in use (3P)."""

    limit_over_cap: Literal["capped", "400"] = "capped"
    """What a ``limit`` above the cap does. UNVERIFIED."""

    absent_fields: Literal["omitted", "null", "empty"] = "omitted"
    """How an optional text field without a value is written. SPEC: optional; the forms differ between documents."""

    super_admin_form: Literal["boolean", "string"] = "boolean"
    """``superAdmin`` as a boolean (SPEC) or as ``"false"`` (older DOC examples)."""

    role_ids_form: Literal["present", "absent"] = "present"
    """``roleIds`` is required (SPEC); older DOC examples leave it out."""

    role_id_of_several: Literal["first", "absent"] = "first"
    """What ``roleId`` says for a person with several sets. UNVERIFIED."""

    team_members: Literal["always", "on_request"] = "always"
    """Whether ``/teams`` lists members only with ``includeMembers=true``, which one client sends (3P, UNVERIFIED)."""

    archived_owner_names: Literal["present", "empty"] = "empty"
    """Whether archived owners keep their names. 3P: "names may be empty"."""

    crm_record: Literal["at_once", "after_activation"] = "at_once"
    """When a new user gets a CRM record. LIVE: up to 20 s after creation, or only after activation."""

    crm_names: bool = False
    """Whether CRM users have ``hs_given_name`` and ``hs_family_name``. No source confirms it."""

    # -- Seats, tiers, rights ------------------------------------------------------------------------------------------

    seat_names_2026_03: Literal["ignored", "400"] = "ignored"
    """What ``seatNames`` sent to 2026-03 does, whose schemas lack it (SPEC). UNVERIFIED."""

    default_seat: Literal["assigned", "none"] = "assigned"
    """Whether a POST without ``seatNames`` gets the portal's default seat. 3P (a test double); UNVERIFIED."""

    seat_combination: Literal["decoupled", "checked"] = "decoupled"
    """Whether a set may be given with any seat (3P: since about March 2026) or needs its own."""

    billing_error: Literal["400", "403"] = "400"
    """The status when a set needs ``settings.billing.write`` and the token lacks it. 3P of 2021: 400; UNVERIFIED."""

    roles_without_sets: Literal["400", "403", "empty"] = "400"
    """``GET /roles`` without permission sets. LIVE on Free: 400 ``Account doesn't have access to roles.``"""

    teams_without_tier: Literal["empty", "400", "403"] = "empty"
    """``GET /teams`` on a portal without teams. UNVERIFIED."""

    creator_check: bool = False
    """Whether an app's token may do only what its creator may, so that a creator who is not a Super Admin cannot assign
    sets (403 ``USER_DOES_NOT_HAVE_PERMISSIONS``). UNVERIFIED for app-level tokens."""

    creator_removed: Literal["works", "403"] = "works"
    """What writes answer when the token's creator was removed or deactivated. 3P: "some calls fail"."""

    # -- Errors and limits ---------------------------------------------------------------------------------------------

    nested_messages: Literal["some", "always", "never"] = "some"
    """Which 400 bodies carry a JSON document in ``message``. LIVE for some, ``USER_NOT_ON_ANY_HUBS`` among them."""

    missing_scope_named: Literal["right", "wrong"] = "right"
    """Whether a 403 names the scope that is missing. 3P (HubSpot/hubspot-api-nodejs#268): it named a wrong one."""

    retry_after: Literal["absent", "seconds", "date"] = "absent"
    """Whether 429 answers carry ``Retry-After``. Not in the official text; reported by third parties (3P)."""

    secondly_headers: bool = False
    """Whether the older ``X-HubSpot-RateLimit-Secondly…`` headers are sent too (3P)."""

    oauth_burst: int = 110
    """Calls in 10 s of a publicly distributed OAuth app. 110, older text 100; not confirmed."""

    search_per_second: int = 5
    """CRM searches a second. 4 in older texts, 5 in current ones; UNVERIFIED."""

    # -- Credentials and versions --------------------------------------------------------------------------------------

    token_info: Literal["known", "404"] = "known"
    """Whether the token-info endpoint knows static tokens. 3P: yes for private apps; service keys UNVERIFIED."""

    service_key_scopes: Literal["offered", "withheld"] = "offered"
    """Whether service keys may hold ``settings.*`` scopes. UNVERIFIED."""

    rotate_refresh_tokens: bool = False
    """Whether a refresh gives a new refresh token and ends the old one. SPEC: the answer always carries one."""

    version_2026_09: bool = False
    """Whether ``/settings/users/2026-09`` exists, with seats. Inferred from documentation page ids; UNVERIFIED."""

    # -- HubSpot's own SCIM --------------------------------------------------------------------------------------------

    scim_role_sync: bool = False
    """Whether the SCIM app syncs roles (``roleSyncEnabled``, false unless set): a role names a permission set, matched
    exactly, case and spaces included. DOC."""

    scim_id: Literal["settings", "other"] = "settings"
    """Whether a user's SCIM id is their Settings id. UNVERIFIED."""

    scim_delete: Literal["deactivate", "remove"] = "deactivate"
    """What DELETE means in HubSpot's SCIM. UNVERIFIED; one survey says "DELETE (deactivate)"."""

    scim_roles: Literal["objects", "strings"] = "objects"
    """The shape of ``roles`` in HubSpot's SCIM. UNVERIFIED."""

    scim_filter: Literal["works", "400", "ignored"] = "works"
    """Whether HubSpot's SCIM filters by ``userName eq``. UNVERIFIED."""

    scim_patch_answer: Literal["200", "204"] = "200"
    """The status of a successful SCIM PATCH. Both are allowed (RFC 7644 §3.5.2); UNVERIFIED."""

    def __post_init__(self) -> None:
        for name, choices in self.choices().items():
            value = getattr(self, name)
            if value not in choices and not (type(value) is int and value >= 0 and type(choices[0]) is int):
                raise UnknownSwitchError(f"{name} cannot be {value!r}; readings: {', '.join(map(str, choices))}")

    @classmethod
    def choices(cls) -> dict[str, tuple[Any, ...]]:
        """Return the readings of every switch; for numbers, the values worth trying, any other from 0 on being fine."""
        return {name: readings(name, kind) for name, kind in get_type_hints(cls).items()}

    def changed(self, assignments: Iterable[str]) -> Self:
        """Return these switches with ``name=value`` assignments applied.

        :raises UnknownSwitchError: For a name or a reading that does not exist.
        """
        choices = self.choices()
        values: dict[str, Any] = {}
        for assignment in assignments:
            name, equals, text = assignment.partition("=")
            if not equals or name not in choices:
                raise UnknownSwitchError(f"no switch {name!r}; switches: {', '.join(choices)}")
            values[name] = parse(text, choices[name])
        return replace(self, **values)

    def as_mapping(self) -> dict[str, Any]:
        """Return the current reading of every switch."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


NUMBERS = {
    "list_lag_reads": (0, 1, 3),
    "seat_lag_creates": (0, 1, 3),
    "page_size_default": (100, 50),
    "page_size_cap": (100, 50),
    "oauth_burst": (110, 100),
    "search_per_second": (5, 4),
}
"""Values worth trying of the switches that are numbers."""


def readings(name: str, kind: Any) -> tuple[Any, ...]:
    """Return the readings that an annotation allows."""
    if get_origin(kind) is Literal:
        return get_args(kind)
    return (False, True) if kind is bool else NUMBERS[name]


def parse(text: str, choices: tuple[Any, ...]) -> Any:
    """Return the reading that a text names; an unknown one is returned as text, for the switches to refuse."""
    by_text = {str(choice).lower(): choice for choice in choices}
    if text.lower() in by_text:
        return by_text[text.lower()]
    return int(text) if text.isdigit() and type(choices[0]) is int else text
