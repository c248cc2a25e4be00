"""The oracle of promises: every rule finds what breaks it, and lets pass what does not; the page names them all."""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from tests.faults.promises.defects import DEFECTS, FINDERS
from tests.faults.promises.record import Account, Record
from tests.faults.promises.rules import RULES, judge
from tests.unit.docs.pages import text

ADA, BOB = "ada@corp.example", "bob@corp.example"
OUT = {"Operations": [{"op": "Replace", "path": "active", "value": "False"}]}
PERSON = {"userName": ADA, "externalId": "a", "active": True}
NEW, TOMBSTONE = "ada.new@corp.example", "0f5fd9b6a5a84d5fb3e3b9a1c1d2e3f4" + ADA
IN = {"Operations": [{"op": "replace", "value": {"active": True}}]}
ACCEPTED = {"detail": "accepted; pending"}
UNACCEPTED = {"detail": "the store is not available; nothing was accepted, retry"}
HTML_404 = ("GET", "/settings/users/2026-03/k", 404, "edge")
LOOK = ("GET", "/settings/users/2026-03/k", 200, "")
LOST_LOOK = ("GET", "/settings/users/2026-03/k", 200, "lost")


class Tale:
    """A record that is written by hand: a second passes with every line."""

    def __init__(self, **accounts: Account) -> None:
        self.seconds = 0.0
        self.record = Record(self._tick, limit=(3, 10.0), strength=("Sales", "Service"))
        self.record.began(accounts)
        self.record.protected = frozenset({"ceo@corp.example"})
        self.record.privileged = frozenset({"Sales"}), 1

    def _tick(self) -> float:
        self.seconds += 1
        return self.seconds

    def ask(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        status: int = 200,
        answer: Mapping[str, Any] | None = None,
        *,
        meanwhile: Callable[[], object] = lambda: None,
        retry_after: str = "",
    ) -> "Tale":
        """Let a client ask, something happen meanwhile, and the bridge answer."""
        ask = self.record.asked(method, path, json.dumps(body).encode() if body else b"")
        assert ask is not None
        meanwhile()
        self.record.answered(ask, status, retry_after, json.dumps(answer).encode() if answer else b"")
        return self

    def created(self, name: str = ADA, id_: str = "1", status: int = 201, **rest: Any) -> "Tale":
        """Let a client create somebody."""
        body = {"userName": name, "active": True}
        answer = {"id": id_, "userName": name} if status < 300 else {}
        return self.ask("POST", "/corp/scim/v2/Users", body, status, answer, **rest)

    def grouped(self, *members: str, name: str = "Sales", status: int = 201, **rest: Any) -> "Tale":
        """Let a client create a group."""
        body = {"displayName": name, "members": [{"value": one} for one in members]}
        return self.ask("POST", "/Groups", body, status, {"id": name, "displayName": name}, **rest)

    def shows(self, by: Any = "bridge", **accounts: Account | None) -> "Tale":
        """Let accounts become others."""
        changed = {**self.record.accounts, **accounts}
        self.record.shows(by, {key: account for key, account in changed.items() if account is not None})
        return self

    def done(self) -> set[str]:
        """Return the names of the rules that are broken when everything has come to rest."""
        self.record.rested = True
        return {finding.rule for finding in judge(self.record)}


def ada(*sets: str, access: bool = True, email: str = ADA, admin: bool = False) -> Account:
    """Return Ada's account."""
    return Account(email, access, frozenset(sets), admin)


def bob(*sets: str) -> Account:
    """Return Bob's."""
    return Account(BOB, access=True, sets=frozenset(sets))


def made(tale: Tale) -> Tale:
    """Let Ada be provisioned as she should."""
    return tale.created(meanwhile=lambda: tale.shows(k=ada()))


def removed(tale: Tale) -> Tale:
    """Let Ada be removed as she should."""
    return tale.ask("PATCH", "/Users/1", OUT, meanwhile=lambda: tale.shows(k=None))


def _taken(tale: Tale) -> Tale:
    """Let Ada be put into a group and taken out again."""
    tale.grouped("1").shows(k=ada("Sales"))
    return tale.ask("PUT", "/Groups/Sales", {"members": []}, meanwhile=lambda: tale.shows(k=ada()))


def _overtaken() -> Tale:
    """Let Ada leave a group while a request that puts her in is under way, which goes last."""
    tale = made(Tale()).grouped()
    joining = tale.record.asked("PATCH", "/Groups/Sales", b'{"Operations": [{"op": "add", "path": "members",'
        b' "value": [{"value": "1"}]}]}')  # fmt: skip
    assert joining is not None
    tale.ask("PATCH", "/Groups/Sales", {"Operations": [{"op": "remove", "path": 'members[value eq "1"]'}]}, 204)
    tale.shows(k=ada("Sales"))
    tale.record.answered(joining, 204, "", b"")
    return tale


def _deleted_meanwhile() -> Tale:
    """Let Ada be put into a group by a request that came after that for her deletion, and was done before it."""
    tale = made(Tale()).grouped()
    gone = tale.record.asked("DELETE", "/Users/1", b"")
    assert gone is not None
    operations = [{"op": "add", "path": "members", "value": [{"value": "1"}]}]
    tale.ask("PATCH", "/Groups/Sales", {"Operations": operations}, 204, meanwhile=lambda: tale.shows(k=ada("Sales")))
    tale.shows(k=None).record.answered(gone, 204, "", b"")
    return tale


def _crossed(*, after: bool = False) -> Tale:
    """Let requests to remove Ada, and to let her in, be under way at once, and let her in come last.

    :param after: Whether another removal is accepted once both are answered.
    """
    tale = removed(made(Tale()))
    out = tale.record.asked("PATCH", "/Users/1", json.dumps(OUT).encode())
    assert out is not None
    tale.ask("PATCH", "/Users/1", IN, meanwhile=lambda: tale.shows(k=ada()))
    tale.record.answered(out, 429, "1", json.dumps(ACCEPTED).encode())
    return tale.ask("PATCH", "/Users/1", OUT, 429, ACCEPTED, retry_after="1") if after else tale


def _refused(path: str, *calls: tuple[Any, ...], detail: str = "no", sets: tuple[str, ...] = ()) -> Tale:
    """Let a change of Ada, or of her group, be refused after some calls."""
    tale = made(Tale(b=bob()))
    tale.shows("hand", k=ada(*sets))
    operations = [{"op": "add", "path": "title", "value": "Head"}]

    def meanwhile() -> None:
        for call in calls:
            tale.record.called(*call)

    return tale.ask("PATCH", path, {"Operations": operations}, 403, {"detail": detail}, meanwhile=meanwhile)


def _pushed_anew(*, ended: bool) -> Tale:
    """Let a group be renamed, or deleted, and its name be refused to another one while a gateway answers."""
    tale = made(Tale(b=bob())).grouped("1").shows(k=ada("Sales"))
    if ended:
        tale.ask("DELETE", "/Groups/Sales", status=204, meanwhile=lambda: tale.shows(k=ada()))
    else:
        operations = [{"op": "replace", "path": "displayName", "value": "Sales (old)"}]
        tale.ask("PATCH", "/Groups/Sales", {"Operations": operations}, status=204)
    return tale.grouped(status=400, meanwhile=lambda: tale.record.called("GET", "/settings/users/2026-03", 404, "edge"))


def _given_again() -> Tale:
    """Let Ada's removal from a group be accepted and done, her set be given by hand, and the removal be said again."""
    tale = made(Tale()).grouped("1").shows(k=ada("Sales"))
    whole = {"displayName": "Sales", "members": []}
    tale.ask("PUT", "/Groups/Sales", whole, 429, retry_after="1").shows(k=ada()).shows("hand", k=ada("Sales"))
    return tale.ask("PUT", "/Groups/Sales", whole)


def _succeeded() -> Tale:
    """Let Ada be renamed as she is removed, be created anew without an answer, and her former id be used again."""
    tale = made(Tale())
    operations = [*OUT["Operations"], {"op": "Replace", "path": "userName", "value": TOMBSTONE}]
    tale.ask("PATCH", "/Users/1", {"Operations": operations}, meanwhile=lambda: tale.shows(k=None))
    return tale.created(status=429, retry_after="1").shows(k=ada()).ask("PATCH", "/Users/1", OUT)


def _buried(key: str) -> Tale:
    """Let Ada be renamed as she is removed, somebody be invited under her name, and her removal be said again."""
    tale = made(Tale())
    operations = [*OUT["Operations"], {"op": "Replace", "path": "userName", "value": TOMBSTONE}]
    tale.ask("PATCH", "/Users/1", {"Operations": operations}, meanwhile=lambda: tale.shows(k=None))
    return tale.shows("hand", **{key: ada()}).ask("DELETE", "/Users/1", status=204)


def _namesake() -> Tale:
    """Let Ada's address be changed, and somebody be invited under the old one; then end her membership and access."""
    tale = made(Tale()).grouped("1", name="Service").shows(k=ada("Service"))
    tale.shows("hand", k=ada("Service", email=NEW)).shows("hand", n=ada("Service"))
    remove = {"Operations": [{"op": "remove", "path": 'members[value eq "1"]'}]}
    tale.ask("PATCH", "/Groups/Service", remove, meanwhile=lambda: tale.shows(k=ada(email=NEW)))
    return removed(tale)


def _made_by_hand_after_a_deletion() -> Tale:
    """Let Ada be put into a group while she is deleted, and another account of hers, made by hand, be taken over."""
    tale = made(Tale())
    tale.ask("DELETE", "/Users/1", status=204, meanwhile=lambda: tale.grouped("1").shows(k=None))
    return tale.shows("hand", k2=ada("Sales")).created(id_="2", meanwhile=lambda: tale.shows(k2=ada()))


def _inherited() -> Tale:
    """Let a member's account become another User's, who is given the set by hand; then let the group be emptied."""
    tale = made(Tale()).grouped("1").shows(k=ada("Sales"))
    tale.ask("PATCH", "/Users/1", OUT, meanwhile=lambda: tale.shows(k=ada(access=False)))
    tale.created(id_="2", meanwhile=lambda: tale.shows(k=ada()))
    return tale.shows("hand", k=ada("Sales")).ask("PUT", "/Groups/Sales", {"members": []})


def _never_deleted() -> Tale:
    """Let Ada's deletion get lost on its way, let her be put into a group after it, and go on."""
    tale = made(Tale())
    tale.record.asked("DELETE", "/Users/1", b"")
    return tale.grouped("1").shows(k=ada("Sales"))


def _unanswered(tale: Tale | None = None) -> Tale:
    """Let Ada be created without an answer to the client."""
    tale = tale or Tale()
    tale.record.asked("POST", "/Users", json.dumps(PERSON).encode())
    return tale.shows(k=ada())


def _looked_up() -> Tale:
    """Let the client find out who she is when her address has been changed by hand, and put her into a group."""
    tale = _unanswered().shows("hand", k=ada(email=NEW))
    found = {"totalResults": 1, "Resources": [{"id": "1", **PERSON}]}
    tale.ask("GET", f'/Users?filter=userName%20eq%20"{ADA}"', answer=found)
    return tale.grouped("1").shows(k=ada("Sales", email=NEW))


def _lost(*calls: tuple[Any, ...], before: Tale | None = None) -> Tale:
    """Let her address be changed before her client was told, and let her be made once more and removed."""
    tale = _unanswered(before)
    for call in calls:
        tale.record.called(*call)
    tale.shows("hand", k=ada(email=NEW))
    tale.ask("POST", "/Users", PERSON, 201, {"id": "1", **PERSON}, meanwhile=lambda: tale.shows(k2=ada()))
    return tale.ask("DELETE", "/Users/1", status=204, meanwhile=lambda: tale.shows(k2=None))


def _renamed() -> Tale:
    """Let Ada get another userName where that makes another account."""
    tale = made(Tale())
    tale.record.moves = True
    name = "ada.new@corp.example"
    return tale.ask("PUT", "/Users/1", {"userName": name, "active": True}, 200, {"id": "1", "userName": name},
        meanwhile=lambda: tale.shows(k2=ada(email=name)))  # fmt: skip


def _listed(tale: Tale, *, active: bool | None, name: str = ADA, sales: tuple[str, ...] | None = None) -> Tale:
    """Let a client read Ada as active, inactive or not at all, and who is in the group."""
    users: list[Mapping[str, Any]] = [{"id": "1", "userName": name, "active": active}]
    members = [{"value": one} for one in sales or ()]
    groups: list[Mapping[str, Any]] = [{"id": "g", "displayName": "Sales", "members": members}]
    tale.record.lists = ([] if active is None else users, [] if sales is None else groups)
    return tale


def _used_again() -> Tale:
    """Let Ada's address be changed by hand, and after the end of her access the old one be used again."""
    tale = removed(made(Tale()).shows("hand", k=ada(email="new@corp.example")))
    tale.created(meanwhile=lambda: tale.shows(l=ada()))
    return _listed(tale, active=True)


def _adopted_and_lost(*calls: tuple[Any, ...]) -> Tale:
    """Let Ada, who was made by hand, be created and get another address by hand before she is told of, and end her."""
    tale = Tale(k=ada()).created(status=429, retry_after="1")
    for call in calls:
        tale.record.called(*call)
    tale.shows("hand", k=ada(email="new@corp.example")).created()
    return tale.ask("PATCH", "/Users/1", OUT, meanwhile=lambda: tale.shows(k=None))


KEPT: dict[str, Callable[[], Tale]] = {
    "an account is made and removed": lambda: removed(made(Tale())),
    "a removal is put off and done": lambda: made(Tale())
    .ask("PATCH", "/Users/1", OUT, 429, retry_after="5")
    .shows(k=None),
    "one request makes somebody and puts them into a group": lambda: Tale().grouped(name="Sales").ask("POST", "/Bulk",
        {"Operations": [{"method": "POST", "path": "/Users", "bulkId": "a", "data": {"userName": ADA}},
                        {"method": "PATCH", "path": "/Groups/Sales", "data": {"Operations": [
                            {"op": "add", "path": "members", "value": [{"value": "bulkId:a"}]}]}}]}, 200,
        {"Operations": [{"status": "201", "bulkId": "a", "location": "https://bridge/Users/1"}, {"status": "204"}]},
    ).shows(k=ada("Sales")),
    "a removed person is let in by hand": lambda: removed(made(Tale())).shows("hand", k=ada()),
    "a removed person is asked for again": lambda: removed(made(Tale())).ask("PATCH", "/Users/1", IN, 429,
        retry_after="1").shows(k=ada()),
    "two groups, and the stronger set": lambda: made(Tale())
    .grouped("1", name="Service")
    .shows(k=ada("Service"))
    .grouped("1")
    .shows(k=ada("Sales")),
    "a set given by hand goes with the account": lambda: removed(made(Tale()).shows("hand", k=ada("Sales"))),
    "a refused removal is done later": lambda: made(Tale()).ask("PATCH", "/Users/1", OUT, 409).shows(k=None),
    "the address belongs to another resource now": lambda: made(Tale())
    .ask("PATCH", "/Users/1", {"Operations": [{"op": "replace", "path": "active", "value": False}]}, 429,
        retry_after="1")
    .created(id_="2")
    .ask("DELETE", "/Users/1", status=204),
    "a soft delete gives a name up, and nobody is told of the one created under it": _succeeded,
    "somebody is invited under an address that was changed by hand": _namesake,
    "a new userName makes a new account, and the old one is removed": lambda: _renamed().shows(k=None),
    "somebody is invited under the name that a soft delete gave up": lambda: _buried("n"),
    "a set that a client took is given by hand, and the group is deleted": lambda: _taken(made(Tale()))
    .shows("hand", k=ada("Sales"))
    .ask("DELETE", "/Groups/Sales", status=204),
    "an id that is to be deleted is named as a member, and means nothing": lambda: made(Tale())
    .shows("hand", k=ada("Sales"))
    .ask("DELETE", "/Users/1", status=429, retry_after="1")
    .grouped("1")
    .ask("DELETE", "/Groups/Sales", status=204)
    .shows(k=None),
    "an id whose deletion was not accepted is named as a member, and means somebody": lambda: made(Tale())
    .ask("DELETE", "/Users/1", None, 429, UNACCEPTED, retry_after="1")
    .grouped("1")
    .shows(k=ada("Sales")),
    "a deletion that was accepted is refused in the end: the id still means somebody": lambda: made(Tale())
    .ask("DELETE", "/Users/1", status=429, retry_after="1")
    .ask("DELETE", "/Users/1", status=403)
    .ask("PATCH", "/Users/1", IN)
    .grouped("1")
    .shows(k=ada("Sales")),
    "somebody joins and leaves by requests that overlap": _overtaken,
    "somebody is let in by a request that overlaps their removal": _crossed,
    "a member's account is another User's by now, whom no client put in": _inherited,
    "whoever was put in while they were deleted is another User by now": _made_by_hand_after_a_deletion,
    "somebody is put into a group while they are being deleted": _deleted_meanwhile,
    "a removal is not taken at all": lambda: made(Tale()).ask("PATCH", "/Users/1", OUT, 429,
        {"detail": "the database is down; nothing was accepted"}, retry_after="1"),
    "a removal from a group is not taken at all": lambda: made(Tale()).grouped("1").shows(k=ada("Sales"))
        .ask("PUT", "/Groups/Sales", {"displayName": "Sales", "members": []}, 429, UNACCEPTED, retry_after="1"),
    "a refusal follows a look that came after a gateway's answer": lambda: _refused("/Users/1", HTML_404, LOOK),
    "a gateway answers about somebody else meanwhile": lambda: _refused("/Users/1",
        ("GET", "/settings/users/2026-03/b", 404, "edge"), ("POST", "/settings/users/2026-03", 404, "edge",
            b'{"email": "bob@corp.example"}')),
    "a group is refused for a member, and a gateway answers about another": lambda: _refused("/Groups/Sales",
        ("PUT", "/settings/users/2026-03/b", 401, "unauthorized"), detail=f"{ADA}: a Super Admin"),
    "HubSpot shows why somebody cannot be changed, and a gateway answers the next look": lambda: _refused("/Users/1",
        LOOK, HTML_404, sets=("Sales", "Service")),
    "a group has another name, and its former one is pushed while a gateway answers": lambda: _pushed_anew(ended=False),
    "a hand gives what an accepted removal took": _given_again,
    "an address changed by hand is another account's when it is used again": _used_again,
    "somebody is put into a group while their deletion is under way": lambda: (tale := made(Tale()))
        .ask("DELETE", "/Users/1", status=204, meanwhile=lambda: tale.grouped("1").shows(k=ada("Sales")).shows(k=None)),
    "a deletion that nobody answered never arrived: the User is seen after it": lambda: _never_deleted()
        .ask("GET", "/Users/1", answer={"id": "1", "userName": ADA}),
    "a deletion that nobody answered never arrived: the User is deleted after it": lambda: (tale := _never_deleted())
        .ask("DELETE", "/Users/1", status=204, meanwhile=lambda: tale.shows(k=None)),
    "an id is first told by a look, after the address was changed by hand": _looked_up,
    "an address is changed by hand before anybody knows that the account was found": lambda: _adopted_and_lost(LOOK),
    "an address is changed by hand before anybody knows that the account was made": _lost,
    "an address is changed by hand before anybody knows that somebody was made anew": lambda: _lost(
        before=removed(made(Tale()))),
    "an address is changed by hand, and nobody was shown the account before": lambda: _lost(HTML_404, LOST_LOOK),
    "a person whose address changed by hand is read under the client's name": lambda: _listed(
        made(Tale()).shows("hand", k=ada(email="new@corp.example")), active=True),
}  # fmt: skip
"""Tales in which every promise is kept."""


@pytest.mark.parametrize("tale", KEPT.values(), ids=KEPT)
def test_a_promise_that_is_kept_is_no_finding(tale: Callable[[], Tale]) -> None:
    """What people do by hand, what is put off, and what two groups come to, breaks nothing."""
    assert tale().done() == set()


def _slow(tale: Tale) -> Tale:
    for _ in range(4):
        tale.record.called("GET", "/settings/users/2026-03", 200, "")
    return tale


def _logged(tale: Tale) -> Tale:
    tale.record.secrets.add(ADA)
    tale.record.lines.append(f"INFO removed {ADA.title()}")
    return tale


def _moved(tale: Tale, *sets: str) -> Tale:
    """Let Ada's address be changed by hand, and somebody be added by hand under the old one."""
    return tale.shows("hand", k=ada(email="new@corp.example")).shows("hand", l=ada(*sets))


BROKEN: list[tuple[str, Callable[[], Tale]]] = [
    ("removed-is-out", lambda: made(Tale()).ask("PATCH", "/Users/1", OUT)),
    ("removed-is-out", lambda: made(Tale()).ask("PUT", "/Users/1", {"userName": ADA, "active": False})),
    ("removed-is-out", lambda: made(Tale()).ask("DELETE", "/Users/1", status=204)),
    ("removed-is-out", lambda: _buried("k")),
    ("removed-is-out", lambda: made(Tale()).ask("POST", "/Bulk",
        {"Operations": [{"method": "PATCH", "path": "/Users/1", "data": OUT}]}, 200,
        {"Operations": [{"status": "200", "location": "https://bridge/Users/1"}]})),
    ("removed-is-out", lambda: removed(made(Tale())).shows("hand", k=ada()).ask("DELETE", "/Users/1", status=204)),
    ("removed-is-out", lambda: made(Tale()).shows("hand", k=ada(email="new@corp.example"))
        .ask("PATCH", "/Users/1", OUT)),
    ("left-is-left", lambda: made(Tale()).grouped("1").shows(k=ada("Sales")).ask("PATCH", "/Groups/Sales",
        {"Operations": [{"op": "remove", "path": 'members[value eq "1"]'}]}, 204)),
    ("left-is-left", lambda: made(Tale()).grouped("1").shows(k=ada("Sales")).ask("PUT", "/Groups/Sales",
        {"displayName": "Sales", "members": []})),
    ("left-is-left", lambda: made(Tale()).grouped("1").shows(k=ada("Sales")).ask("DELETE", "/Groups/Sales",
        status=204)),
    ("left-is-left", lambda: _taken(made(Tale())).grouped("1").shows("hand", k=ada("Sales"))
        .ask("DELETE", "/Groups/Sales", status=204)),
    ("nothing-unasked", lambda: Tale().shows(k=ada())),
    ("nothing-unasked", lambda: made(Tale()).ask("DELETE", "/Users/1", status=429, retry_after="1").grouped("1")
        .shows(k=ada("Sales")).shows(k=None)),
    ("nothing-unasked", lambda: made(Tale()).ask("DELETE", "/Users/1", status=403)
        .ask("DELETE", "/Users/1", status=429, retry_after="1").grouped("1").shows(k=ada("Sales")).shows(k=None)),
    ("nothing-unasked", lambda: removed(made(Tale())).shows(k=ada())),
    ("nothing-unasked", lambda: made(Tale()).grouped("2").shows(k=ada("Sales"))),
    ("nothing-unasked", lambda: made(Tale()).grouped("1").shows(k=ada("Sales")).ask("DELETE", "/Groups/Sales",
        status=429, retry_after="1").shows(k=ada()).ask("DELETE", "/Groups/Sales", status=204).shows(k=ada("Sales"))),
    ("nothing-unasked", lambda: (tale := Tale(k=ada("Sales")).shows("hand", k=None))
        .created(meanwhile=lambda: tale.shows(k=ada("Sales")))),
    ("hand-removal-stays", lambda: made(Tale()).shows("hand", k=None).grouped().shows(k=ada())),
    ("named-only", lambda: Tale(b=bob("Sales")).grouped("1").shows(b=bob())),
    ("named-only", lambda: made(Tale()).shows(k=None)),
    ("named-only", lambda: made(Tale()).grouped("1").shows(k=ada("Sales")).shows(k=ada())),
    ("named-only", _adopted_and_lost),
    ("admins-untouched", lambda: removed(made(Tale(k=ada(admin=True))))),
    ("admins-untouched", lambda: Tale(c=Account("ceo@corp.example", access=True)).shows(c=None)),
    ("admins-untouched", lambda: made(Tale()).shows(k=ada(admin=True))),
    ("guard-kept", lambda: made(Tale(b=bob())).grouped("1", "2").shows(k=ada("Sales"), b=bob("Sales"))),
    ("one-person-one-account", lambda: made(Tale()).shows("hand", k=ada(email="ada.new@corp.example"))
        .ask("PATCH", "/Users/1", IN).shows(k2=ada())),
    ("one-person-one-account", lambda: _lost(LOOK)),
    ("one-person-one-account", lambda: (tale := _unanswered()).shows("hand", k=ada("Sales"))
        .created(meanwhile=lambda: tale.shows(k2=ada()))),
    ("one-person-one-account", lambda: _listed(_renamed(), active=True, name="ada.new@corp.example")),
    ("named-only", lambda: _renamed().shows(k=None, k2=None)),
    ("refusal-leaves-nothing", lambda: (tale := Tale()).created(status=409, meanwhile=lambda: tale.shows(k=ada()))),
    ("one-name-one-id", lambda: Tale().ask("GET", "/Users", answer={"Resources": [
        {"id": "1", "userName": ADA}, {"id": "2", "userName": ADA.upper()}]})),
    ("one-id-one-person", lambda: Tale().ask("POST", "/Users", {"userName": ADA, "externalId": "a"}, 201, {"id": "1"})
        .ask("POST", "/Users", {"userName": ADA, "externalId": "b"}, 201, {"id": "1"})),
    ("not-absent-then-taken", lambda: Tale(k=ada()).ask("GET", f'/Users?filter=userName%20eq%20"{ADA}"',
        answer={"totalResults": 0, "Resources": []}).created(status=409)),
    ("transient-is-429", lambda: Tale().created(status=503, retry_after="5")),
    ("transient-is-429", lambda: Tale().created(status=429, retry_after="Wed, 21 Oct 2026 07:28:00 GMT")),
    ("road-is-no-refusal", lambda: (tale := Tale()).created(status=400,
        meanwhile=lambda: tale.record.called("GET", f"/settings/users/2026-03/{ADA}", 404, "edge"))),
    ("road-is-no-refusal", lambda: (tale := Tale()).created(status=400, meanwhile=lambda: tale.record.called(
        "POST", "/settings/users/2026-03", 404, "edge", b'{"email": "ada@corp.example"}'))),
    ("road-is-no-refusal", lambda: _refused("/Users/1", HTML_404)),
    ("road-is-no-refusal", lambda: _refused("/Users/1", LOOK, ("GET", "/crm/owners/2026-03", 403, "edge"))),
    ("road-is-no-refusal", lambda: _refused("/Groups/Sales", LOOK, HTML_404, detail=f"{ADA}: no such account")),
    ("road-is-no-refusal", lambda: _pushed_anew(ended=True)),
    ("limit-kept", lambda: _slow(Tale())),
    ("logs-are-clean", lambda: _logged(Tale())),
    ("accepted-is-done", lambda: made(Tale()).ask("DELETE", "/Users/1", status=429, retry_after="1")),
    ("accepted-is-done", lambda: _crossed(after=True)),
    ("accepted-is-done", lambda: made(Tale().created(status=429, retry_after="1")).ask("PATCH", "/Users/1", OUT, 429,
        ACCEPTED, retry_after="1")),
    ("accepted-is-done", lambda: made(Tale()).ask("PATCH", "/Users/1", OUT, 429, ACCEPTED, retry_after="1")
        .ask("PATCH", "/Users/1", IN, 400)),
    ("accepted-is-done", lambda: made(Tale()).grouped("1").shows(k=ada("Sales")).ask("PATCH", "/Groups/Sales",
        {"Operations": [{"op": "Remove", "path": "members", "value": [{"value": "1"}]}]}, 429, retry_after="1")),
    ("accepted-is-done", lambda: made(Tale()).grouped("1").shows(k=ada("Sales")).ask("PUT", "/Groups/Sales",
        {"displayName": "Sales", "members": []}, 429, retry_after="1")),
    ("claimed-stays", lambda: Tale(k=ada(access=False)).created()),
    ("reads-are-true", lambda: _listed(made(Tale()), active=False)),
    ("reads-are-true", lambda: _listed(removed(made(Tale())), active=True)),
    ("reads-are-true", lambda: _listed(made(Tale()), active=None)),
    ("reads-are-true", lambda: _listed(_moved(made(Tale())), active=False)),
    ("reads-are-true", lambda: _listed(made(Tale()).shows("hand", k=ada("Sales")), active=True, sales=())),
    ("reads-are-true", lambda: _listed(made(Tale()), active=True, sales=("1",))),
]  # fmt: skip
"""Tales in which a promise is broken, with the rule that has to say so."""


@pytest.mark.parametrize(("rule", "tale"), BROKEN, ids=[f"{number}-{rule}" for number, (rule, _) in enumerate(BROKEN)])
def test_a_promise_that_is_broken_is_found(rule: str, tale: Callable[[], Tale]) -> None:
    """The rule of that promise finds it, whatever others find besides."""
    assert rule in tale().done()


def test_every_rule_has_a_tale_that_breaks_it() -> None:
    """A rule that nothing breaks proves nothing."""
    assert {rule for rule, _ in BROKEN} == set(RULES)


def test_the_page_names_every_rule_once_and_a_test_for_each() -> None:
    """``docs/promises.md`` has a row for each rule, and no other; the tests it names are held to exist elsewhere."""
    rows = re.findall(r"^\| .+? \| `([a-z0-9-]+)` \|.*\|(.*)\|$", text("docs/promises.md"), re.MULTILINE)
    assert [rule for rule, _ in rows] == list(RULES)
    assert all("::test_" in tests for _, tests in rows)


def test_what_is_open_is_told_by_its_rule_and_seed() -> None:
    """Each row of the open names one of the promises' rules, and the history that breaks it."""
    _, _, section = text("docs/promises.md").partition("\n## Open\n")
    rows = re.findall(r"^\| `([a-z0-9-]+)` \| (\d+) \|", section, re.MULTILINE)
    assert {rule for rule, _ in rows} <= set(RULES)
    assert len(rows) == section.count("\n| `")


def test_every_defect_of_the_edges_names_the_rule_that_finds_it() -> None:
    """The rule is one of the promises'."""
    assert FINDERS.keys() == DEFECTS.keys()
    assert set(FINDERS.values()) <= set(RULES)
