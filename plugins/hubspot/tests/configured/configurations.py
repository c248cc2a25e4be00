"""Configurations as operators write them, drawn: those that can be meant, and those that contradict themselves."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from random import Random
from typing import Any, NamedTuple

from plugins.hubspot.tests.configured.stock import SEATS, SETS, STRIPPED, TEAMS
from scim_bridge_hubspot.emulator import HubSpotEmulator

Settings = dict[str, Any]
BETA = "2026-09-beta"
SCIM_URL = "http://localhost/scim/v2"
ALIASES = ("Sales EMEA", "Everyone", "Interns")
PRIVILEGED = "Super Admin Lite"
"""A set that is privileged by its name; portals may or may not have it."""

FACTORS: Mapping[str, Sequence[str]] = {
    "mode": ("remove", "strip", "scim"),
    "aliases": ("none", "set", "set and teams", "teams", "set, teams and seats"),
    "seats": ("unmanaged", "fallback", "groups", "rules"),
    "rename": ("refuse", "recreate"),
    "fallback": ("none", "set"),
    "teams": ("off", "primary", "secondary"),
    "privileged": ("none", "barred", "allowed"),
    "several_roles": ("refuse", "take_over"),
    "adopt": ("always", "never"),
}
"""The parts of a configuration, and what each may be."""


def drawn(random: Random) -> dict[str, str]:
    """Return a reading of every part."""
    return {part: random.choice(list(readings)) for part, readings in FACTORS.items()}


def settings_of(parts: Mapping[str, str], random: Random) -> Settings:
    """Return a configuration that can be meant, with these readings of its parts."""
    made: Settings = {"token": HubSpotEmulator.token, "base_url": "http://localhost", "rename": parts["rename"]}
    with_seats = parts["seats"] != "unmanaged" or "seats" in parts["aliases"]
    if with_seats:
        made["api_version"] = BETA
    made |= _deprovisioning(parts["mode"], random, with_seats=with_seats)
    made["groups"] = {alias: _alias(parts["aliases"], random) for alias in ALIASES[: random.randint(1, 3)]}
    if parts["aliases"] == "none":
        made["groups"] = {}
    if parts["fallback"] == "set":
        made["fallback_permission_set"] = "Viewer"
    if parts["seats"] in {"fallback", "rules"}:
        made["fallback_seat"] = "View"
    if parts["seats"] == "groups":
        made["seats_as_groups"] = True
    if parts["seats"] == "rules":
        made["seat_rules"] = {"Sales Manager": ["Paid"]}
    if parts["teams"] != "off":
        made["teams_as_groups"] = parts["teams"]
    if parts["privileged"] != "none":
        made["privileged"] = ["sales manager"]
    if parts["privileged"] == "allowed":
        made["allow_privileged"] = ["Sales Manager"]
    made["precedence"] = random.sample(SETS, random.randint(0, len(SETS)))
    made["protected"] = ["boss@corp.example"]
    return made | {name: parts[name] for name in ("several_roles", "adopt")}


def _deprovisioning(mode: str, random: Random, *, with_seats: bool) -> Settings:
    if mode == "scim":
        return {"deprovision": mode, "scim_token": HubSpotEmulator.scim_token, "scim_url": SCIM_URL}
    if mode == "strip":
        seat = {"seat": "View"} if with_seats and random.random() < 0.5 else {}
        return {"deprovision": mode, "strip": {"permission_set": random.choice(STRIPPED), **seat}}
    return {"deprovision": mode}


def _alias(kind: str, random: Random) -> Settings:
    made: Settings = {}
    if "set" in kind:
        made["permission_set"] = random.choice(SETS[1:3])
    if "teams" in kind:
        made["primary_team"], *more = random.sample(TEAMS, random.randint(1, 3))
        made["secondary_teams"] = more
    if "seats" in kind:
        made["seats"] = random.sample(SEATS[:2], random.randint(1, 2))
    return made


class Contradiction(NamedTuple):
    """A configuration that cannot be meant. :param entries: How the two entries are written in the refusal."""

    settings: Settings
    entries: tuple[str, str]


def contradictions(valid: Settings, random: Random) -> Iterator[Contradiction]:
    """Yield what a configuration becomes by one entry that contradicts another, in each way that there is."""
    for contradict in CONTRADICTIONS:
        yield contradict(valid, random)


def _with_strip(valid: Settings, **strip: Any) -> Settings:
    left = {name: value for name, value in valid.items() if name not in {"scim_token", "scim_url"}}
    return left | {"deprovision": "strip", "strip": {"permission_set": STRIPPED[0], **strip}}


def _with_alias(valid: Settings, **grant: Any) -> Settings:
    return valid | {"groups": {**valid["groups"], "Added": grant}}


ADDED = 'groups."Added"'


def fallback_is_stripped(valid: Settings, random: Random) -> Contradiction:
    """The fallback is the set of people without access."""
    settings = _with_strip(valid) | {"fallback_permission_set": STRIPPED[0]}
    return Contradiction(settings, ("fallback_permission_set", "strip.permission_set"))


def alias_is_stripped(valid: Settings, random: Random) -> Contradiction:
    """An alias grants the set of people without access."""
    settings = _with_alias(_with_strip(valid), permission_set=STRIPPED[0])
    return Contradiction(settings, (f"{ADDED}.permission_set", "strip.permission_set"))


def alias_is_privileged(valid: Settings, random: Random) -> Contradiction:
    """An alias grants a set that must not be granted."""
    settings = _with_alias(valid, permission_set="Support") | {"privileged": [random.choice(["Support", "SUPPORT"])]}
    return Contradiction(settings, (f"{ADDED}.permission_set", "privileged"))


def fallback_is_privileged(valid: Settings, random: Random) -> Contradiction:
    """The fallback is a set that must not be granted."""
    settings = valid | {"fallback_permission_set": "Support", "privileged": ["support"]}
    return Contradiction(settings, ("fallback_permission_set", "privileged"))


def alias_is_privileged_by_name(valid: Settings, random: Random) -> Contradiction:
    """An alias grants a set whose name says that it is privileged, and no list allows it."""
    return Contradiction(_with_alias(valid, permission_set=PRIVILEGED), (f"{ADDED}.permission_set", "allow_privileged"))


def stripped_is_privileged(valid: Settings, random: Random) -> Contradiction:
    """Who loses all access would be given a set that must not be granted."""
    settings = _with_strip(valid) | {"privileged": [STRIPPED[0].lower()]}
    return Contradiction(settings, ("strip.permission_set", "privileged"))


def stripped_has_no_seat(valid: Settings, random: Random) -> Contradiction:
    """The set of people without access needs a seat that they are not left with."""
    settings = _with_strip(valid, seat="View") | {"api_version": BETA, "seat_rules": {STRIPPED[0]: ["Paid"]}}
    return Contradiction(settings, ("strip.permission_set", f'seat_rules."{STRIPPED[0]}"'))


def alias_has_no_seat(valid: Settings, random: Random) -> Contradiction:
    """An alias grants a set, and none of the seats that the set needs."""
    settings = _with_alias(valid, permission_set="Support", seats=["View"])
    settings |= {"api_version": BETA, "seat_rules": {"Support": ["Paid", "Core"]}}
    return Contradiction(settings, (f"{ADDED}.permission_set", 'seat_rules."Support"'))


def fallback_has_no_seat(valid: Settings, random: Random) -> Contradiction:
    """The fallback needs a seat that is not the fallback's."""
    settings = valid | {"api_version": BETA, "fallback_permission_set": "Viewer", "fallback_seat": "View"}
    settings |= {"seat_rules": {"Viewer": ["Paid"]}}
    return Contradiction(settings, ("fallback_permission_set", 'seat_rules."Viewer"'))


def set_without_any_seat(valid: Settings, random: Random) -> Contradiction:
    """An alias grants a set that a rule lets nobody have."""
    settings = _with_alias(valid, permission_set="Support") | {"api_version": BETA, "seat_rules": {"Support": []}}
    return Contradiction(settings, (f"{ADDED}.permission_set", 'seat_rules."Support"'))


def listed_twice(valid: Settings, random: Random) -> Contradiction:
    """A set claims two places in the precedence."""
    settings = valid | {"precedence": ["Sales", "Marketing", "Sales"]}
    return Contradiction(settings, ('"Sales" is first', '"Sales" is again'))


def aliases_of_one_name(valid: Settings, random: Random) -> Contradiction:
    """Two aliases differ in nothing that a displayName is compared by."""
    settings = valid | {"groups": {"Added": {"permission_set": "Support"}, "ADDED": {"permission_set": "Sales"}}}
    return Contradiction(settings, (ADDED, 'groups."ADDED"'))


def seats_of_a_version_without(valid: Settings, random: Random) -> Contradiction:
    """Seats are named, and the version of the API cannot write them."""
    without = {name: value for name, value in valid.items() if name not in {"api_version", "seat_rules"}}
    without |= {"groups": {}, "fallback_seat": None, "seats_as_groups": False}
    without = _with_strip(without) if "strip" in without else without
    entry, settings = random.choice(
        [
            (f"{ADDED}.seats", _with_alias(without, seats=["Paid"])),
            ("fallback_seat", without | {"fallback_seat": "View"}),
            ("seats_as_groups", without | {"seats_as_groups": True}),
            ("strip.seat", _with_strip(without, seat="View")),
            ("seat_rules", without | {"seat_rules": {"Sales": ["Paid"]}}),
        ]
    )
    return Contradiction(settings, (entry, "api_version"))


def strip_without_its_mode(valid: Settings, random: Random) -> Contradiction:
    """People are not stripped, and it is said what they are left with."""
    left = {name: value for name, value in valid.items() if name not in {"scim_token", "scim_url"}}
    settings = left | {"deprovision": "remove", "strip": {"permission_set": STRIPPED[0]}}
    return Contradiction(settings, ("deprovision", "strip"))


def scim_without_its_token(valid: Settings, random: Random) -> Contradiction:
    """HubSpot's SCIM is to be used, without a token."""
    left = {name: value for name, value in valid.items() if name not in {"scim_token", "strip"}}
    return Contradiction(left | {"deprovision": "scim"}, ("deprovision", "scim_token"))


def two_credentials(valid: Settings, random: Random) -> Contradiction:
    """Both ways to be somebody."""
    oauth = {"client_id": "c", "client_secret": "s", "refresh_token": "r"}
    return Contradiction(valid | {"oauth": oauth}, ("token", "oauth"))


CONTRADICTIONS: tuple[Callable[[Settings, Random], Contradiction], ...] = (
    fallback_is_stripped,
    alias_is_stripped,
    alias_is_privileged,
    fallback_is_privileged,
    alias_is_privileged_by_name,
    stripped_is_privileged,
    stripped_has_no_seat,
    alias_has_no_seat,
    fallback_has_no_seat,
    set_without_any_seat,
    listed_twice,
    aliases_of_one_name,
    seats_of_a_version_without,
    strip_without_its_mode,
    scim_without_its_token,
    two_credentials,
)
