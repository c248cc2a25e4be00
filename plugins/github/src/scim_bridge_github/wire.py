"""The parts of GitHub's answers that are looked at (its OpenAPI: ``simple-user``, ``org-membership``, ``team`` …)."""

from typing import Annotated, Literal

from pydantic import BaseModel, Field, RootModel

Id = Annotated[int, Field(gt=0)]
Login = Annotated[str, Field(pattern="^[A-Za-z0-9][A-Za-z0-9_-]{0,99}$")]
"""A login becomes a part of paths, so that one read from an answer has to have the form of one."""


class Account(BaseModel):
    """A person, or something else that has a login."""

    id: Id
    login: Login
    type: str = "User"
    inherited: bool = False
    """Of a member of a team: whether only through a child team."""


class Membership(BaseModel):
    """Somebody's membership in the organisation."""

    state: Literal["active", "pending"]
    role: str
    user: Account


class TeamMembership(BaseModel):
    """Somebody's membership in a team, child teams included."""

    state: Literal["active", "pending"]
    role: str


class Invitation(BaseModel):
    """An invitation that was not accepted yet.

    :param login: ``None`` where an address was invited that GitHub knows nobody of.
    """

    id: Id
    login: Login | None
    role: str


class Team(BaseModel):
    """A team of the organisation."""

    id: Id
    name: Annotated[str, Field(min_length=1)]


class Organization(BaseModel):
    """The organisation itself."""

    id: Id
    login: Login
    two_factor_requirement_enabled: bool | None = None


Accounts = RootModel[list[Account]]
Invitations = RootModel[list[Invitation]]
Teams = RootModel[list[Team]]
