"""What a simulated identity provider wants, what it believes, and the calls that change what it wants."""

import uuid
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from enum import StrEnum
from random import Random
from typing import ClassVar

from scim_bridge.testing.clients.session import Clock, Exchange, Session

USER = "urn:ietf:params:scim:schemas:core:2.0:User"
GROUP = "urn:ietf:params:scim:schemas:core:2.0:Group"
ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
WORK_EMAIL = 'emails[type eq "work"].value'


@dataclass(frozen=True, slots=True)
class Person:
    """A person in the identity provider's directory.

    :param id: The identity provider's own id; sent as ``externalId``.
    :param email: The work e-mail address; empty: the ``user_name``.
    :param manager: The ``id`` of another person; only the Entra ID client sends it.
    """

    id: str
    user_name: str
    given_name: str = ""
    family_name: str = ""
    email: str = ""
    display_name: str = ""
    title: str = ""
    department: str = ""
    employee_number: str = ""
    manager: str = ""

    @property
    def attributes(self) -> dict[str, str]:
        """The values that are sent, by SCIM attribute path; a value that is not there is left out."""
        values = {
            "userName": self.user_name,
            "name.givenName": self.given_name,
            "name.familyName": self.family_name,
            WORK_EMAIL: self.email or self.user_name,
            "displayName": self.display_name,
            "title": self.title,
            f"{ENTERPRISE}:department": self.department,
            f"{ENTERPRISE}:employeeNumber": self.employee_number,
        }
        return {path: value for path, value in values.items() if value}


@dataclass(slots=True)
class PushedGroup:
    """A group that the identity provider pushes.

    :param id: The identity provider's own id.
    :param members: Ids of people.
    """

    id: str
    name: str
    members: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class BelievedUser:
    """What the identity provider believes of a person at the service provider, after the answers it got.

    :param remote_id: The SCIM ``id``: the link.
    """

    remote_id: str
    active: bool
    attributes: dict[str, str] = field(default_factory=dict)
    manager: str = ""


@dataclass(slots=True)
class BelievedGroup:
    """What the identity provider believes of a group.

    :param members: Ids of people it believes to be members.
    """

    remote_id: str
    name: str
    members: set[str] = field(default_factory=set)


class Change(StrEnum):
    """What happened in the directory."""

    ASSIGN = "assign"
    UPDATE = "update"
    UNASSIGN = "unassign"
    DELETE = "delete"
    PUSH = "push"
    RENAME = "rename"
    MEMBERS = "members"
    PUSH_NOW = "push now"
    DELETE_GROUP = "delete group"


@dataclass(frozen=True, slots=True)
class AdminTask:
    """What failed for good and waits for an administrator.

    :param subject: The id of a person or group.
    :param status: The HTTP status; ``None`` when no whole answer came.
    """

    subject: str
    change: Change
    status: int | None
    detail: str


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is.

    :param done: Pieces of work finished in this run, failed ones included.
    :param outstanding: Pieces of work still to do, the waiting ones included.
    :param waiting: Pieces of work that wait for their next attempt.
    :param failed: Administrator's tasks so far.
    :param note: What was done last.
    """

    done: int
    outstanding: int
    waiting: int
    failed: int
    note: str


ProgressCallback = Callable[[Progress], None]


@dataclass(frozen=True, slots=True)
class ConnectionTest:
    """What the button "test connection" shows."""

    succeeded: bool
    detail: str = ""


class IdentityProvider(ABC):
    """A directory of people and groups, and a client that pushes its changes.

    The calls here only change what is wanted; :meth:`run_until_idle` sends. Wants and beliefs are public: a test
    compares them with the remote system (:func:`~scim_bridge.testing.clients.comparison.differences`).

    :param random: The source of the identifiers the identity provider makes up.
    """

    unsent: ClassVar[frozenset[str]] = frozenset()
    """Attribute paths of a person that this vendor's documented bodies do not have."""

    def __init__(self, session: Session, random: Random) -> None:
        self.session = session
        self.clock: Clock = session.clock
        self.random = random
        self.people: dict[str, Person] = {}
        self.assigned: set[str] = set()
        self.groups: dict[str, PushedGroup] = {}
        self.believed: dict[str, BelievedUser] = {}
        self.believed_groups: dict[str, BelievedGroup] = {}
        self.tasks: list[AdminTask] = []

    @property
    def exchanges(self) -> list[Exchange]:
        """Every request that was sent, in order."""
        return self.session.exchanges

    # -- What an administrator does --------------------------------------------------------------------------------

    def assign(self, person: Person) -> None:
        """Give a person access."""
        self.people[person.id] = person
        self.assigned.add(person.id)
        self._changed(person.id, Change.ASSIGN)

    def unassign(self, person: Person) -> None:
        """End a person's access."""
        self.assigned.discard(person.id)
        self._changed(person.id, Change.UNASSIGN)

    def reassign(self, person: Person) -> None:
        """Give a person access again, as the directory knows them now."""
        self.assign(self.people.get(person.id, person))

    def update(self, person: Person, **attributes: str) -> Person:
        """Change fields of a person, and return what the directory holds now."""
        self.people[person.id] = replace(self.people.get(person.id, person), **attributes)
        self._changed(person.id, Change.UPDATE)
        return self.people[person.id]

    def push_group(self, name: str, members: Iterable[Person] = ()) -> PushedGroup:
        """Begin to push a group."""
        group = PushedGroup(str(self.new_id()), name, {person.id for person in members})
        self.groups[group.id] = group
        self._changed(group.id, Change.PUSH)
        return group

    def set_members(self, name: str, members: Iterable[Person]) -> None:
        """Replace the members of a pushed group."""
        self._set_members(name, {person.id for person in members})

    def add_member(self, name: str, person: Person) -> None:
        """Add a person to a pushed group."""
        self._set_members(name, self.group(name).members | {person.id})

    def remove_member(self, name: str, person: Person) -> None:
        """Remove a person from a pushed group."""
        self._set_members(name, self.group(name).members - {person.id})

    def rename_group(self, name: str, new_name: str) -> None:
        """Rename a pushed group."""
        group = self.group(name)
        group.name = new_name
        self._changed(group.id, Change.RENAME)

    def delete_group(self, name: str) -> None:
        """Stop pushing a group, and delete it at the service provider."""
        group = self.groups.pop(self.group(name).id)
        self._changed(group.id, Change.DELETE_GROUP)

    @abstractmethod
    def admin_retry(self) -> None:
        """Resubmit what failed for good, as an administrator does with the vendor's button."""

    # -- What is sent ----------------------------------------------------------------------------------------------

    @abstractmethod
    async def test_connection(self) -> ConnectionTest:
        """Do what the vendor's button "test connection" does."""

    @abstractmethod
    async def run_until_idle(self, progress: ProgressCallback | None = None) -> None:
        """Send until there is nothing left to do without an administrator. Waiting is done on the injected clock."""

    @abstractmethod
    def _changed(self, subject: str, change: Change) -> None:
        """Take note of a change of a person or group."""

    def attributes_of(self, person: Person) -> dict[str, str]:
        """Return the values of a person that this vendor sends, by SCIM attribute path."""
        return {path: value for path, value in person.attributes.items() if path not in self.unsent}

    # -- What the vendors share ------------------------------------------------------------------------------------

    def group(self, name: str) -> PushedGroup:
        """Return a pushed group by the name it is wanted to have. :raises KeyError: when there is none."""
        for group in self.groups.values():
            if group.name == name:
                return group
        raise KeyError(name)

    def label(self, subject: str) -> str:
        """Return what people call a person or group."""
        person, group = self.people.get(subject), self.groups.get(subject)
        return person.user_name if person else group.name if group else subject

    def new_id(self) -> uuid.UUID:
        """Return an identifier of the identity provider's making."""
        return uuid.UUID(int=self.random.getrandbits(128), version=4)

    def linked_members(self, group: PushedGroup) -> set[str]:
        """Return the wanted members that the identity provider can name: those it has a link of."""
        return {person for person in group.members if person in self.believed}

    def groups_lacking(self, person: str) -> list[str]:
        """Return the pushed groups that want a person whom they are not believed to hold."""
        return [
            group.id
            for group in self.groups.values()
            if person in group.members
            and (belief := self.believed_groups.get(group.id)) is not None
            and person not in belief.members
        ]

    def _set_members(self, name: str, members: set[str]) -> None:
        group = self.group(name)
        group.members = members
        self._changed(group.id, Change.MEMBERS)
