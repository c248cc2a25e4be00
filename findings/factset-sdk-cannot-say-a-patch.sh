#!/usr/bin/env bash
# fds.sdk.ProcuretoPayAPISCIM 0.26.0 (PyPI: fds-sdk-procuretopayapiscim), FactSet's SDK for its SCIM API.
# Guessed: a PATCH is made of its models, as every other request. Seen: no value can be given. The model of a value is any of
# boolean, number and text (as the API describes it), and takes none of them: a plain value is of the wrong type, and the model
# takes no argument and refuses to be empty. With the type checks off (`_check_type=False`, underscored) the right JSON is sent.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"; python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check fds-sdk-procuretopayapiscim==0.26.0 2>/dev/null
cat > run.py <<'PY'
from fds.sdk.ProcuretoPayAPISCIM import ApiClient, ApiTypeError, ApiValueError
from fds.sdk.ProcuretoPayAPISCIM.model.patch import Patch
from fds.sdk.ProcuretoPayAPISCIM.model.patch_operation import PatchOperation
from fds.sdk.ProcuretoPayAPISCIM.model.patch_operation_value import PatchOperationValue


def sent(value, **options):
    try:
        made = value() if callable(value) else value
        operation = PatchOperation(op="replace", path="name.familyName", value=made, **options)
        body = Patch(schemas=["urn:ietf:params:scim:api:messages:2.0:PatchOp"], operations=[operation])
        return ApiClient.sanitize_for_serialization(body)["Operations"][0]["value"]
    except (ApiTypeError, ApiValueError) as error:
        return type(error).__name__


seen = {
    "plain text": sent("Byron"),
    "plain boolean": sent(False),
    "model of a text": sent(lambda: PatchOperationValue("Byron")),
    "model of nothing": sent(PatchOperationValue),
    "model with a keyword": sent(lambda: PatchOperationValue(value="Byron")),
    "text, checks off": sent("Byron", _check_type=False),
}
print(seen)
assert list(seen.values()) == ["ApiTypeError", "ApiTypeError", "ApiTypeError", "ApiValueError", "ApiValueError", "Byron"]
PY
venv/bin/python run.py && echo "as found"
