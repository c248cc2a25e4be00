"""``scim-bridge clients``: the presets, and what is known of the clients they are for."""

import click

from scim_bridge.cli.tables import as_json, show
from scim_bridge.protocol.clients import PRESETS, QUIRKS

COLUMNS = {"client": "Client", "agents": "User-Agent", "reads": "Reads", "known": "Known"}
FORMS = {"quirk": "Quirk", "read": "Read", "meaning": "Form", "source": "Known to be sent"}


@click.command()
@click.argument("name", required=False, type=click.Choice(list(PRESETS)))
@as_json
def clients(name: str | None, *, as_json: bool) -> None:
    """List the presets of clients, or the forms that the preset NAME reads and where they are known from."""
    if name is not None:
        chosen = PRESETS[name]
        forms = [
            {
                "quirk": quirk.name,
                "read": quirk.name in chosen.quirks,
                "meaning": quirk.meaning,
                "source": chosen.sources.get(quirk.name),
            }
            for quirk in QUIRKS.values()
        ]
        show(f"Forms of {name}", FORMS, forms, as_json=as_json)
        return
    rows = [
        {
            "client": one.name,
            "agents": one.agents,
            "reads": f"{len(one.quirks)} of {len(QUIRKS)}",
            "known": told(one.name),
        }
        for one in PRESETS.values()
    ]
    show("Presets of clients", COLUMNS, rows, as_json=as_json)


def told(name: str) -> str:
    """Return what is known of the client of a preset."""
    if name in ("generic", "strict"):
        return "no client: all that any sends" if name == "generic" else "no client: what the RFC says"
    return PRESETS[name].known or "nothing is public; read as generic"
