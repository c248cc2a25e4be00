"""Who is in the demonstration."""

import itertools
from collections.abc import Iterator
from random import Random

from scim_bridge.testing.clients import Person

DOMAIN = "corp.example"

BY_HAND = ("Mary", "Jackson")
"""Somebody who was given an account in HubSpot by hand before; every identity provider assigns her too."""

GIVEN = (
    *("Ada", "Agnes", "Ana", "Anders", "Björn", "Chen", "Dorothy", "Edsger", "Elif", "Emma", "Farid", "Frances"),
    *("Hana", "Hedy", "Ines", "Jonas", "Kateryna", "Katherine", "Leila", "Linus", "Lucía", "Margaret", "Mateo"),
    *("Noor", "Olga", "Paul", "Priya", "Radia", "Rosa", "Sofia", "Tomás", "Yuki"),
)
FAMILY = (
    *("Abebe", "Bauer", "Bjørnson", "Costa", "Dubois", "Fischer", "García", "Hamilton", "Ivanova", "Jansen"),
    *("Johnson", "Kaya", "Keller", "Kowalska", "Lamarr", "Lindqvist", "Meyer", "Nakamura", "Novák", "O'Brien"),
    *("Okafor", "Perlman", "Rossi", "Sato", "Schneider", "Silva", "Vaughan", "Wilson", "Yildiz", "Zhang"),
)
DEPARTMENTS = ("Sales", "Marketing", "Customer Success", "Finance", "Operations")
TITLES = ("Account Executive", "Analyst", "Consultant", "Manager", "Specialist", "Team Lead")


def people_of(provider: str, number: int, random: Random) -> list[Person]:
    """Return so many people; the first one is who has an account by hand."""
    names = itertools.chain([BY_HAND], _names(random))
    return [
        Person(
            id=f"{provider}-{position:03}",
            user_name=f"{provider}.person{position:03}@{DOMAIN}" if position else f"mary.jackson@{DOMAIN}",
            given_name=given,
            family_name=family,
            display_name=f"{given} {family}",
            title=random.choice(TITLES),
            department=random.choice(DEPARTMENTS),
            employee_number=str(10_000 + position),
        )
        for position, (given, family) in enumerate(itertools.islice(names, number))
    ]


def _names(random: Random) -> Iterator[tuple[str, str]]:
    while True:
        yield random.choice(GIVEN), random.choice(FAMILY)
