"""The settings of a SCIM connection: the ``config`` table in ``scim-bridge.toml``, validated before anything runs."""

from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, model_validator

LOCAL_HOSTS = frozenset({"127.0.0.1", "localhost", "::1"})
Attribute = Literal[
    "userName",
    "externalId",
    "name.formatted",
    "name.familyName",
    "name.givenName",
    "name.middleName",
    "name.honorificPrefix",
    "name.honorificSuffix",
    "displayName",
    "nickName",
    "profileUrl",
    "title",
    "userType",
    "preferredLanguage",
    "locale",
    "timezone",
    "emails",
    "phoneNumbers",
    "addresses",
    "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:employeeNumber",
    "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:costCenter",
    "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:organization",
    "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:division",
    "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department",
]
"""The attribute paths of a User that can be sent (RFC 7643 §4.1, §4.3)."""


def _base_url(value: str) -> str:
    """Allow TLS, and this machine for tests: nothing else ever gets the token."""
    url = urlsplit(value)
    local = url.scheme == "http" and url.hostname in LOCAL_HOSTS
    if not (url.scheme == "https" or local) or not url.hostname or url.query or url.fragment or url.username:
        raise ValueError("must be an https URL without query (tests: http://localhost or 127.0.0.1)")
    return value.rstrip("/")


class BasicConfig(BaseModel):
    """A user and a password (RFC 7617)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    user: Annotated[str, Field(min_length=1, pattern="^[^:]+$")]
    password: SecretStr


class OAuthConfig(BaseModel):
    """The client credentials grant of OAuth 2.0 (RFC 6749 §4.4)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    token_url: Annotated[str, AfterValidator(_base_url)]
    client_id: Annotated[str, Field(min_length=1)]
    client_secret: SecretStr
    scope: str = ""


class ScimConfig(BaseModel):
    """Settings of ``connector = "scim"``.

    :param base_url: Where the service provider's ``/Users`` is, without it.
    :param token: A bearer token; or ``basic``, or ``oauth``.
    :param attributes: The attribute paths of a User that the service provider keeps.
    :param requests_per_second: The service provider's rate limit.
    :param patch: Whether it takes PATCH; ``"auto"`` asks its ServiceProviderConfig (RFC 7643 §5).
    :param refuses_unknown_members: Whether it refuses a member of a group who is not there, so that nobody need be
        looked up before they are added. Some keep whatever they are given.
    :param inactive_is_absent: Whether it shows deactivated accounts to nobody.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    base_url: Annotated[str, AfterValidator(_base_url)]
    token: SecretStr | None = None
    basic: BasicConfig | None = None
    oauth: OAuthConfig | None = None
    attributes: frozenset[Attribute] = frozenset({"userName", "name.givenName", "name.familyName", "displayName"})
    requests_per_second: Annotated[float, Field(gt=0, le=1000)] = 10.0
    patch: bool | Literal["auto"] = "auto"
    refuses_unknown_members: bool = False
    inactive_is_absent: bool = False

    @model_validator(mode="after")
    def _one_way_to_sign(self) -> Self:
        if [self.token, self.basic, self.oauth].count(None) != 2:
            raise ValueError("needs one of token, basic and oauth")
        if "userName" not in self.attributes:
            raise ValueError("attributes: userName is always sent")
        return self
