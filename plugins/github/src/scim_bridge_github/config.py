"""The settings of ``connector = "github"``."""

from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr

LOCAL_HOSTS = {"localhost", "127.0.0.1"}


def _base_url(value: str) -> str:
    """Allow TLS, and this machine for tests: nothing else ever gets the token."""
    url = urlsplit(value)
    local = url.scheme == "http" and url.hostname in LOCAL_HOSTS
    if not (url.scheme == "https" or local) or not url.hostname or url.query or url.fragment or url.username:
        raise ValueError("must be an https URL without query (tests: http://localhost or 127.0.0.1)")
    return value.rstrip("/")


class GitHubConfig(BaseModel):
    """Settings of ``connector = "github"``.

    :param organization: The organisation's login, the one in its URL.
    :param token: A personal access token of one of its owners: a classic one with ``admin:org``, or a fine-grained one
        with the organisation permission "Members: read and write".
    :param base_url: Where the REST API is; of GitHub Enterprise Server ``https://HOST/api/v3``.
    :param requests_per_minute: The pace. 80 keeps within 5,000 requests an hour.
    :param invitations_per_minute: The pace of invitations alone: GitHub takes 500 requests an hour that notify people,
        and meets more by refusing everything, removals included.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    organization: Annotated[str, Field(pattern="^[A-Za-z0-9][A-Za-z0-9_-]{0,99}$")]
    token: SecretStr
    base_url: Annotated[str, AfterValidator(_base_url)] = "https://api.github.com"
    requests_per_minute: Annotated[int, Field(ge=1, le=100_000)] = 80
    invitations_per_minute: Annotated[int, Field(ge=1, le=100_000)] = 8
