#!/usr/bin/env bash
# scim2-filter-parser 0.7.0 (PyPI). RFC 7644 section 3.4.2.2: a compared value is any JSON literal.
# Guessed: numbers, null and booleans arrive as such. Seen: one digit is a number, two digits are a syntax error, so are signs,
# fractions and an escaped quotation mark; null arrives as the text NULL, true as TRUE, and "true" in quotes as TRUE as well.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"; python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check scim2-filter-parser==0.7.0 2>/dev/null
env/bin/python - <<'PY'
from scim2_filter_parser.queries import SQLQuery


def value(literal):
    try:
        query = SQLQuery(f"a eq {literal}", "people", {("a", None, None): "a"}, [])
        return query.params_dict["a"]
    except Exception as error:
        return type(error).__name__


seen = {literal: value(literal) for literal in ("5", "12", "-1", "1.5", r'"a \"b\""', "null", "true", '"true"')}
for literal, result in seen.items():
    print(f"{literal:10} {result!r}")
assert list(seen.values()) == ["5", "SCIMParserError", "ValueError", "ValueError", "SCIMParserError", "NULL", "TRUE", "TRUE"]
print("as found")
PY
