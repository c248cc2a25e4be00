#!/usr/bin/env bash
# scim2-filter-parser 0.7.0 (PyPI).
# Guessed: "and" binds before "or" (RFC 7644 section 3.4.2.2, order of operations). Seen: both bind alike, from left to right,
# so 'a or b and c' finds other people than the RFC's reading.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"; python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check scim2-filter-parser==0.7.0 2>/dev/null
env/bin/python - <<'PY'
from scim2_filter_parser.queries import SQLQuery

columns = {(name, None, None): name for name in "abc"}
where = SQLQuery('a eq 1 or b eq 2 and c eq 3', "people", columns, []).where_sql
print(where)
assert where == "((a = {a}) OR (b = {b})) AND (c = {c})", where
print("as found")
PY
