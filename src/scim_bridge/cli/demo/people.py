"""Who is in the demonstration."""

from random import Random

from scim_bridge.testing.clients import Person

DOMAIN = "corp.example"

HOLDER = Person(
    id="hand-1",
    user_name=f"mary.jackson@{DOMAIN}",
    given_name="Mary",
    family_name="Jackson",
    display_name="Mary Jackson",
)
"""Somebody with an account made by hand, and a permission set (``--seed-demo`` of the emulator)."""

GUEST = Person(
    id="hand-2", user_name=f"mae.jemison@{DOMAIN}", given_name="Mae", family_name="Jemison", display_name="Mae Jemison"
)
"""Somebody with an account made by hand and no permission set. Entra ID takes away no membership that it has not given,
for it never reads whom a group holds."""

BY_HAND = {"okta": HOLDER, "entra": GUEST, "generic": HOLDER}
"""Who had an account before, and is assigned by an identity provider too."""

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
    """Return so many people; the first one has an account already."""
    others = [
        Person(
            id=f"{provider}-{position:03}",
            user_name=f"{provider}.person{position:03}@{DOMAIN}",
            given_name=(given := random.choice(GIVEN)),
            family_name=(family := random.choice(FAMILY)),
            display_name=f"{given} {family}",
            title=random.choice(TITLES),
            department=random.choice(DEPARTMENTS),
            employee_number=str(10_000 + position),
        )
        for position in range(1, number)
    ]
    return [BY_HAND[provider], *others]
