"""Every switch changes what its docstring says, and nothing takes a reading that does not exist."""

import inspect
import re
from typing import Any

import pytest

from scim_bridge_hubspot.emulator import HubSpotEmulator, Switches, UnknownSwitchError

from .conftest import Api, Connect

V = "/settings/users/2026-03"
EVIDENCE = re.compile("LIVE|SPEC|DOC|3P|UNVERIFIED|not confirmed|No source|Not published")
BETA = "2026-09-beta"


def test_every_switch_says_what_it_means_and_how_sure_that_is() -> None:
    """The source of each switch carries a docstring with an evidence tag."""
    source = inspect.getsource(Switches)
    for name in Switches.choices():
        meaning = source.partition(f"    {name}: ")[2].partition('"""')[2].partition('"""')[0]
        assert EVIDENCE.search(meaning), name


def test_readings_are_parsed_and_unknown_ones_refused() -> None:
    """``name=value`` assignments change switches; the message of a refusal lists what there is."""
    changed = Switches().changed(["put_mode=merge", "creator_check=true", "list_lag_reads=4"])
    assert (changed.put_mode, changed.creator_check, changed.list_lag_reads) == ("merge", True, 4)
    for wrong in ("put_mode=mix", "nothing=1", "put_mode", "list_lag_reads=many", "creator_check=maybe"):
        with pytest.raises(UnknownSwitchError, match=r"put_mode|readings"):
            Switches().changed([wrong])
    assert all(len(choices) > 1 for choices in Switches.choices().values())


async def with_role(api: Api, *, activated: bool = True) -> tuple[str, str]:
    """Make a person with a role, a primary and a secondary team and a seat; return their id and the role's."""
    hubspot = api.hubspot
    hubspot.add_seat_pool("Core Seat", 10)
    role, team, other = hubspot.add_role("Sales"), hubspot.add_team("North"), hubspot.add_team("South")
    person = hubspot.add_person(
        "ada@corp.example",
        roles=[role],
        primary_team=team,
        secondary_teams=[other],
        seats=["Core Seat"],
        activated=activated,
    )
    return person.id, role.id


CLEARING = {
    ("replace", "omit"): ({"omit", "null"}, {"empty"}),
    ("replace", "null"): ({"null"}, {"empty"}),
    ("replace", "empty"): ({"empty"}, set()),
    ("replace", "never"): (set(), {"empty"}),
    ("merge", "omit"): ({"null"}, {"empty"}),
    ("merge", "null"): ({"null"}, {"empty"}),
    ("merge", "empty"): ({"empty"}, set()),
    ("merge", "never"): (set(), {"empty"}),
}
"""For each combination: what clears a role, and what is refused."""


@pytest.mark.parametrize(("mode", "clear"), list(CLEARING))
async def test_what_takes_a_role_away(connect: Connect, mode: str, clear: str) -> None:
    """Leaving ``roleId`` out, sending null and sending an empty text each do what the two switches say."""
    clears, refused = CLEARING[mode, clear]
    bodies: dict[str, dict[str, Any]] = {"omit": {}, "null": {"roleId": None}, "empty": {"roleId": ""}}
    for form, body in bodies.items():
        api = connect(put_mode=mode, role_clear=clear)
        person_id, _ = await with_role(api)
        answer = await api.write(person_id, **body)
        assert answer.status_code == (400 if form in refused else 200), (form, answer.text)
        assert api.hubspot.snapshot()["ada@corp.example"].roles == (() if form in clears else ("Sales",)), form


@pytest.mark.parametrize(("mode", "kept"), [("replace", False), ("merge", True)])
async def test_put_mode_decides_on_teams_and_seats_that_are_left_out(connect: Connect, mode: str, kept: bool) -> None:
    """Under replace an omitted team or seat is gone, under merge it stays."""
    api = connect(put_mode=mode)
    person_id, role_id = await with_role(api)
    await api.write(person_id, BETA, roleId=role_id)
    account = api.hubspot.snapshot()["ada@corp.example"]
    expected = ("North", ("South",), ("Core Seat",)) if kept else (None, (), ())
    assert (account.primary_team, account.secondary_teams, account.seats) == expected
    assert account.roles == ("Sales",)


async def test_a_version_without_seats_never_changes_them(connect: Connect) -> None:
    """A replacing PUT of 2026-03 leaves the seats alone."""
    api = connect()
    person_id, _ = await with_role(api)
    await api.write(person_id)
    assert api.hubspot.snapshot()["ada@corp.example"].seats == ("Core Seat",)


@pytest.mark.parametrize(("reading", "kept"), [(True, False), (False, True)])
async def test_null_for_a_team(connect: Connect, reading: bool, kept: bool) -> None:
    """Under merge, null clears a team or counts as left out."""
    api = connect(put_mode="merge", null_clears_teams=reading)
    person_id, _ = await with_role(api)
    await api.write(person_id, primaryTeamId=None, secondaryTeamIds=[])
    account = api.hubspot.snapshot()["ada@corp.example"]
    assert (account.primary_team, account.secondary_teams) == ("North" if kept else None, ())


@pytest.mark.parametrize(("reading", "status", "seats"), [("clear", 200, 0), ("keep", 200, 1), ("400", 400, 1)])
async def test_an_empty_list_of_seats(connect: Connect, reading: str, status: int, seats: int) -> None:
    """``seatNames: []`` clears, keeps or is refused."""
    api = connect(empty_seats=reading)
    person_id, _ = await with_role(api)
    assert (await api.write(person_id, BETA, seatNames=[])).status_code == status
    assert len(api.hubspot.snapshot()["ada@corp.example"].seats) == seats


@pytest.mark.parametrize(("reading", "count"), [("kept", 2), ("first", 1)])
async def test_several_roles_under_merge(connect: Connect, reading: str, count: int) -> None:
    """A PUT without ``roleId`` keeps all or the first."""
    api = connect(put_mode="merge", several_roles_merge=reading)
    roles = [api.hubspot.add_role("A"), api.hubspot.add_role("B")]
    person = api.hubspot.add_person("ada@corp.example", roles=roles)
    await api.write(person.id)
    assert len(api.hubspot.snapshot()["ada@corp.example"].roles) == count


@pytest.mark.parametrize("reading", ["400", "409"])
async def test_a_duplicate_creation(connect: Connect, reading: str) -> None:
    """The second POST for an address is refused with the status of the switch, and changes nothing."""
    api = connect(duplicate_create=reading)
    await api.made("ada@corp.example", firstName="Ada")
    assert (await api.create("Ada@corp.example", firstName="X")).status_code == int(reading)
    assert api.hubspot.snapshot()["ada@corp.example"].first_name == "Ada"


@pytest.mark.parametrize(("reading", "status"), [("reactivate", 201), ("400", 400), ("409", 409)])
async def test_a_creation_onto_a_deactivated_member(connect: Connect, reading: str, status: int) -> None:
    """It brings the member back or is refused."""
    api = connect(create_deactivated=reading)
    person_id = await api.made("ada@corp.example")
    api.hubspot.ui_deactivate("ada@corp.example")
    answer = await api.create("ada@corp.example")
    assert answer.status_code == status
    assert api.hubspot.snapshot()["ada@corp.example"].active == (status == 201)
    assert status != 201 or answer.json()["id"] == person_id


@pytest.mark.parametrize(("reading", "name"), [("applied", "New"), ("kept", "Old")])
async def test_names_of_somebody_known(connect: Connect, reading: str, name: str) -> None:
    """A creation renames a person HubSpot knows, or does not."""
    api = connect(create_names=reading)
    await api.remove(await api.made("ada@corp.example", firstName="Old"))
    await api.made("ada@corp.example", firstName="New")
    assert api.hubspot.snapshot()["ada@corp.example"].first_name == name


@pytest.mark.parametrize(("reading", "status"), [("again", 400), ("kept", 200)])
async def test_activation_of_somebody_added_again(connect: Connect, reading: str, status: int) -> None:
    """Who is added again must accept again before names can change, or need not."""
    api = connect(readd_activation=reading)
    person_id = await api.made("ada@corp.example")
    api.hubspot.ui_activate("ada@corp.example")
    await api.remove(person_id)
    await api.made("ada@corp.example")
    assert (await api.write(person_id, firstName="X")).status_code == status


@pytest.mark.parametrize(
    ("reading", "status", "name"), [("refused", 400, ""), ("accepted", 200, "X"), ("ignored", 200, "")]
)
async def test_names_of_the_unactivated(connect: Connect, reading: str, status: int, name: str) -> None:
    """A PUT with names for somebody who never activated is refused, taken or ignored."""
    api = connect(names_unactivated=reading)
    person_id = await api.made("ada@corp.example")
    assert (await api.write(person_id, firstName="X")).status_code == status
    assert api.hubspot.snapshot()["ada@corp.example"].first_name == name


@pytest.mark.parametrize("status", ["400", "404"])
async def test_unknown_roles_and_teams(connect: Connect, status: str) -> None:
    """An id that nothing has is answered with the status of its switch."""
    api = connect(unknown_role=status, unknown_team=status)
    for values in ({"roleId": "1"}, {"primaryTeamId": "1"}, {"secondaryTeamIds": ["1"]}):
        assert (await api.create("ada@corp.example", **values)).status_code == int(status)


@pytest.mark.parametrize(("update", "delete"), [("400", "400"), ("403", "403"), ("400", "204")])
async def test_super_admins(connect: Connect, update: str, delete: str) -> None:
    """Updates are refused with the status of the switch; a removal is too, or happens."""
    api = connect(super_admin_update=update, super_admin_delete=delete)
    boss = api.hubspot.add_person("boss@corp.example", super_admin=True)
    assert (await api.write(boss.id)).status_code == int(update)
    assert (await api.remove(boss.id)).status_code == int(delete)
    assert ("boss@corp.example" in api.hubspot.snapshot()) == (delete != "204")


@pytest.mark.parametrize(("reading", "status"), [("granted", 200), ("400", 400)])
async def test_a_set_that_is_super_admin(connect: Connect, reading: str, status: int) -> None:
    """Assigning it makes a Super Admin, or is refused."""
    api = connect(super_admin_set=reading)
    role = api.hubspot.add_role("Root", super_admin=True)
    person_id = await api.made("ada@corp.example")
    assert (await api.write(person_id, roleId=role.id)).status_code == status
    assert api.hubspot.snapshot()["ada@corp.example"].super_admin == (status == 200)


@pytest.mark.parametrize(("write", "read", "listed"), [("works", "shown", "shown"), ("404", "404", "hidden")])
async def test_deactivated_members(connect: Connect, write: str, read: str, listed: str) -> None:
    """Reading, listing, updating and removing a deactivated member work or miss them."""
    api = connect(write_deactivated=write, read_deactivated=read, list_deactivated=listed)
    person_id = await api.made("ada@corp.example")
    api.hubspot.ui_deactivate("ada@corp.example")
    works = write == "works"
    assert (await api.read(person_id)).status_code == (200 if works else 404)
    ids = [user["id"] for user in (await api.get(V)).json()["results"]]
    assert (person_id in ids) == works
    assert (await api.write(person_id)).status_code == (200 if works else 404)
    assert (await api.remove(person_id)).status_code == (204 if works else 404)
    assert ("ada@corp.example" in api.hubspot.snapshot()) != works


async def test_lags_after_a_removal(connect: Connect) -> None:
    """The list shows a removed person for N reads; their seat stays taken for N creations."""
    api = connect(list_lag_reads=3, seat_lag_creates=2)
    api.hubspot.add_seat_pool("Core Seat", 1, default=True)
    person_id = await api.made("ada@corp.example")
    await api.remove(person_id)
    shown = [any(user["id"] == person_id for user in (await api.get(V)).json()["results"]) for _ in range(5)]
    assert shown == [True, True, True, False, False]
    assert [(await api.create("grace@corp.example")).status_code for _ in range(3)] == [400, 400, 201]


@pytest.mark.parametrize(("reading", "status"), [("insensitive", 200), ("sensitive", 404)])
async def test_email_case(connect: Connect, reading: str, status: int) -> None:
    """Reading by address regards case or does not; addresses are kept as sent when the switch says so."""
    api = connect(email_lookup=reading, email_stored="as_sent")
    await api.made("Ada@Corp.example")
    assert (await api.get(f"{V}/ada@corp.example?idProperty=EMAIL")).status_code == status
    exact = await api.get(f"{V}/Ada@Corp.example?idProperty=EMAIL")
    assert exact.json()["email"] == "Ada@Corp.example"
    assert "ada@corp.example" in api.hubspot.snapshot()


async def test_forms_of_a_user(connect: Connect) -> None:
    """Absent values, ``superAdmin``, ``roleIds`` and ``roleId`` take the older forms when told to."""
    for reading, expected in {"null": None, "empty": ""}.items():
        api = connect(absent_fields=reading)
        assert (await api.create("ada@corp.example")).json()["firstName"] == expected
    api = connect(super_admin_form="string", role_ids_form="absent", role_id_of_several="absent")
    roles = [api.hubspot.add_role("A"), api.hubspot.add_role("B")]
    user = (await api.read(api.hubspot.add_person("ada@corp.example", roles=roles).id)).json()
    assert user["superAdmin"] == "false"
    assert "roleIds" not in user
    assert "roleId" not in user


@pytest.mark.parametrize(("reading", "status"), [("capped", 200), ("400", 400)])
async def test_page_sizes(connect: Connect, reading: str, status: int) -> None:
    """A limit above the cap is cut or refused; without a limit the switch decides."""
    api = connect(limit_over_cap=reading, page_size_default=2)
    for number in range(3):
        api.hubspot.add_person(f"person{number}@corp.example")
    assert (await api.get(f"{V}?limit=101")).status_code == status
    assert len((await api.get(V)).json()["results"]) == 2
    capped = connect(page_size_cap=1)
    capped.hubspot.add_person("ada@corp.example")
    assert len((await capped.get(f"{V}?limit=100")).json()["results"]) == 1


@pytest.mark.parametrize(("reading", "status"), [("ignored", 201), ("400", 400)])
async def test_seats_sent_to_a_version_without_them(connect: Connect, reading: str, status: int) -> None:
    """2026-03 ignores ``seatNames`` or refuses it."""
    api = connect(seat_names_2026_03=reading)
    assert (await api.create("ada@corp.example", seatNames=["Core Seat"])).status_code == status


@pytest.mark.parametrize(("reading", "seats"), [("assigned", ("Core Seat",)), ("none", ())])
async def test_the_default_seat(connect: Connect, reading: str, seats: tuple[str, ...]) -> None:
    """A creation without seats gets the default one or none."""
    api = connect(default_seat=reading)
    api.hubspot.add_seat_pool("Core Seat", 5, default=True)
    await api.made("ada@corp.example", BETA)
    assert api.hubspot.snapshot()["ada@corp.example"].seats == seats


@pytest.mark.parametrize(("reading", "status"), [("decoupled", 201), ("checked", 400)])
async def test_combinations_of_sets_and_seats(connect: Connect, reading: str, status: int) -> None:
    """A set goes with any seat, or needs its own."""
    api = connect(seat_combination=reading)
    api.hubspot.add_seat_pool("Sales Seat", 5)
    role = api.hubspot.add_role("Sales", seat="Sales Seat")
    assert (await api.create("ada@corp.example", BETA, roleId=role.id)).status_code == status
    good = await api.create("grace@corp.example", BETA, roleId=role.id, seatNames=["Sales Seat"])
    assert good.status_code == 201


@pytest.mark.parametrize("reading", ["400", "403"])
async def test_the_billing_error(connect: Connect, reading: str) -> None:
    """A billing set without the scope is refused with the status of the switch."""
    api = connect(billing_error=reading)
    role = api.hubspot.add_role("Billing", requires_billing_write=True)
    api.hubspot.add_token(api.hubspot.token, scopes=["settings.users.write"])
    assert (await api.create("ada@corp.example", roleId=role.id)).status_code == int(reading)


@pytest.mark.parametrize(("reading", "status"), [("400", 400), ("403", 403), ("empty", 200)])
async def test_portals_without_sets_and_teams(connect: Connect, reading: str, status: int) -> None:
    """A Free portal has neither: the lists are refused or empty, and no role exists."""
    api = connect("free", roles_without_sets=reading, teams_without_tier=reading)
    role = api.hubspot.add_role("Sales")
    for name in ("roles", "teams"):
        answer = await api.get(f"{V}/{name}")
        assert answer.status_code == status
        assert f"access to {name}" in answer.text or answer.json()["results"] == []
    assert (await api.create("ada@corp.example", roleId=role.id)).status_code == 400
    assert (await api.create("ada@corp.example")).status_code == 201
    assert (await api.create("third@corp.example")).status_code == 400


async def test_the_creators_own_rights(connect: Connect) -> None:
    """A token may do what its creator may, when the switch says so."""
    api = connect(creator_check=True, creator_removed="403")
    role = api.hubspot.add_role("Sales")
    api.hubspot.add_person("maker@corp.example")
    api.hubspot.add_token("makers", creator="maker@corp.example")
    headers = {"Authorization": "Bearer makers"}
    body: dict[str, Any] = {"email": "ada@corp.example", "sendWelcomeEmail": False}
    refused = await api.post(V, headers=headers, json=body | {"roleId": role.id})
    assert (refused.status_code, refused.json()["category"]) == (403, "USER_DOES_NOT_HAVE_PERMISSIONS")
    assert (await api.post(V, headers=headers, json=body)).status_code == 201
    api.hubspot.ui_deactivate("maker@corp.example")
    assert (await api.post(V, headers=headers, json=body | {"email": "b@corp.example"})).status_code == 403
    assert (await api.create("c@corp.example", roleId=role.id)).status_code == 201


@pytest.mark.parametrize(("reading", "plain", "special"), [("some", 0, 1), ("always", 1, 1), ("never", 0, 0)])
async def test_json_inside_the_message(connect: Connect, reading: str, plain: int, special: int) -> None:
    """Some, all or no 400 bodies carry a document in their message."""
    api = connect(nested_messages=reading)
    person_id = await api.made("ada@corp.example")
    messages = [(await api.create("x")).json()["message"], (await api.write(person_id, lastName="X")).json()["message"]]
    assert [message.startswith("{") for message in messages] == [bool(plain), bool(special)]


async def test_a_scope_named_wrongly(connect: Connect) -> None:
    """A 403 may name a scope that has nothing to do with it."""
    api = connect(missing_scope_named="wrong")
    api.hubspot.add_token(api.hubspot.token, scopes=[])
    assert (await api.get(V)).json()["errors"][0]["context"]["requiredScopes"] == ["crm.objects.contacts.read"]


async def test_team_members_on_request(connect: Connect) -> None:
    """Teams list their members only when asked to, under that reading."""
    api = connect(team_members="on_request")
    person_id, _ = await with_role(api)
    north = next(team for team in (await api.get(f"{V}/teams")).json()["results"] if team["name"] == "North")
    assert north["userIds"] == []
    teams = (await api.get(f"{V}/teams?includeMembers=true")).json()["results"]
    assert next(team for team in teams if team["name"] == "North")["userIds"] == [person_id]


async def test_a_newer_version_exists_when_told(connect: Connect) -> None:
    """``/settings/users/2026-09`` is there with seats, or not at all."""
    assert (await connect().get("/settings/users/2026-09")).status_code == 404
    api = connect(version_2026_09=True)
    assert (await api.get("/settings/users/2026-09/seats")).status_code == 200
    assert (await api.create("ada@corp.example", "2026-09")).json()["seatNames"] == []


async def test_service_keys_and_token_info(connect: Connect) -> None:
    """Service keys may lack the settings scopes, and static tokens may be unknown to the token-info endpoint."""
    api = connect(service_key_scopes="withheld", token_info="404")
    api.hubspot.add_token("key", kind="service_key")
    assert (await api.get(V, headers={"Authorization": "Bearer key"})).status_code == 200
    assert (await api.get(f"{V}/teams", headers={"Authorization": "Bearer key"})).status_code == 403
    info = await api.post("/oauth/v2/private-apps/get/access-token-info", json={"tokenKey": api.hubspot.token})
    assert info.status_code == 404


async def test_an_unknown_id_can_be_removed_when_told(connect: Connect) -> None:
    """A DELETE for an id that HubSpot never gave is 404 or 204."""
    assert (await connect(delete_unknown="204").remove("1")).status_code == 204


def test_a_seed_makes_the_same_portal_and_another_seed_another() -> None:
    """Ids depend on the seed alone."""
    ids = [HubSpotEmulator(seed=seed).add_person("ada@corp.example").id for seed in (1, 1, 2)]
    assert ids[0] == ids[1] != ids[2]
