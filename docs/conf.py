"""How the pages become a site (``make docs``). They are the Markdown files of the repository, where they stand.

The repository is Sphinx's source directory, so a link that works on the code host works on the site. A page that is not
in `CONTENTS` is a warning, and a warning ends the build.
"""

from pathlib import Path

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx

ROOT = Path(__file__).resolve().parent.parent

project = "scim-bridge"
author = "the authors of scim-bridge"
copyright = author  # noqa: A001 # Sphinx's name for it
html_title = project

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx_copybutton", "sphinxcontrib.mermaid"]
root_doc = "README"
include_patterns = ["*.md", "docs/**", "plugins/README.md", "plugins/*/README.md"]
include_patterns += ["findings/README.md", "scim-schemas/README.md", "tests/README.md"]

CONTENTS: dict[str, dict[str, list[str]]] = {
    "README": {
        "": ["docs/README"],
        "Clients": ["docs/okta", "docs/entra", "docs/accessowl"],
        "Remote systems": ["docs/hubspot", "SCIM <plugins/scim/README>", "GitHub <plugins/github/README>"],
        "Running it": ["docs/operating/README", "docs/console", "docs/security", "docs/glossary"],
        "Trusting it": ["docs/promises", "docs/evidence", "docs/hubspot-evidence", "docs/benchmarks"],
        "Connectors": ["plugins/README", "The HubSpot plugin <plugins/hubspot/README>", "docs/reference/README"],
        "Taking part": [
            "docs/architecture",
            "docs/decisions/README",
            "CONTRIBUTING",
            "SECURITY",
            "CHANGELOG",
            "tests/README",
            "scim-schemas/README",
            "findings/README",
        ],
    },
    "docs/operating/README": {
        "": [
            "settings",
            "running",
            "sizing",
            "answers",
            "commands",
            "watching",
            "runbook",
            "deciding",
            "keeping",
            "upgrade",
        ],
    },
    "docs/decisions/README": {"": ["foundations", "answers", "identity", "removals", "connectors", "left-out"]},
    "docs/reference/README": {"": ["hooks", "connectors", "models", "errors", "upstream", "testing"]},
}
"""Which pages stand below which, in order, as seen from the page."""

# -- Markdown, as the code host reads it ------------------------------------------------------------------------------

myst_enable_extensions = ["strikethrough"]
myst_heading_anchors = 6
myst_fence_as_directive = ["mermaid"]
mermaid_use_local = "mermaid/mermaid.esm.min.mjs"
mermaid_height = "auto"
mermaid_fullscreen = False
copybutton_prompt_text = r"\$ "
copybutton_prompt_is_regexp = True

# -- The reference, from docstrings -----------------------------------------------------------------------------------

autodoc_default_options = {"members": True, "exclude-members": "model_config, model_post_init"}
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_preserve_defaults = True
nitpicky = True
nitpick_ignore_regex = [
    ("py:.*", r"(?!scim_bridge\.).*"),  # no other project's site is asked for its names
    ("py:.*", r"scim_bridge\..*T"),  # a type variable
    ("py:class", r"scim_bridge\.connections\..*|.*\.Standing"),  # what the bridge and the contract call
]

# -- Pages ------------------------------------------------------------------------------------------------------------

html_theme = "furo"
html_static_path = ["static", "../.site/static"]
html_css_files = ["site.css"]
html_additional_pages = {"index": "home.html"}
templates_path = ["templates"]
html_show_sphinx = False
html_copy_source = False


def with_contents(_app: Sphinx, page: str, source: list[str]) -> None:
    """Put the pages that stand below one into the navigation: on the code host that is what links are for."""
    for caption, pages in CONTENTS.get(page, {}).items():
        lines = [f":caption: {caption}"] if caption else []
        lines += [":hidden:", "", *pages]
        source[0] += "\n".join(["", "", "```{toctree}", *lines, "```", ""])


def without_folders(_app: Sphinx, page: nodes.document) -> None:
    """Leave the words alone of a link that leads to a folder of the code: the site has none."""
    for link in [link for link in page.findall(pending_xref) if link["reftype"] == "myst"]:
        if Path(page["source"]).parent.joinpath(link["reftarget"]).is_dir():
            link.replace_self(link.children)


def without_fields(_app: Sphinx, _what: str, _name: str, documented: object, *_: object) -> tuple[str, None] | None:
    """Leave a model's signature out: its fields are SCIM's attributes, dozens of them."""
    return ("", None) if hasattr(documented, "model_fields") else None


def setup(app: Sphinx) -> None:
    """Join in."""
    app.connect("source-read", with_contents)
    app.connect("autodoc-process-signature", without_fields)
    app.connect("doctree-read", without_folders)
