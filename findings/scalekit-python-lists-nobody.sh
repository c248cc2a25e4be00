#!/usr/bin/env bash
# scalekit-sdk-python 2.21.0 (PyPI), Scalekit's Python SDK, whose directories are what identity providers push over SCIM, against
# a local gRPC server (the channel is given: the SDK's own wants TLS).
# Guessed: the people of a directory are listed, and whether each is active. Seen: a directory with anybody in it is an
# AttributeError, and one with a group likewise: the SDK fills classes of its own that derive from protobuf's Message without being
# one. An empty directory is listed. What it would show has no `active` in any case; that is in the detail, as JSON in a text.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"; python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check scalekit-sdk-python==2.21.0 protobuf==7.36.2 2>/dev/null
env/bin/python -W ignore - <<'PY'
from concurrent.futures import ThreadPoolExecutor

import grpc
from google import protobuf
from scalekit.directory import DirectoryClient
from scalekit.utils.directory import DirUser
from scalekit.v1.directories import directories_pb2 as messages
from scalekit.v1.directories.directories_pb2_grpc import DirectoryServiceServicer, add_DirectoryServiceServicer_to_server

people, groups = [], []


class Directories(DirectoryServiceServicer):
    def ListDirectoryUsers(self, request, context):
        return messages.ListDirectoryUsersResponse(users=people, total_size=len(people))

    def ListDirectoryGroups(self, request, context):
        return messages.ListDirectoryGroupsResponse(groups=groups, total_size=len(groups))


server = grpc.server(ThreadPoolExecutor(2))
add_DirectoryServiceServicer_to_server(Directories(), server)
port = server.add_insecure_port("127.0.0.1:0")
server.start()


class Core:
    grpc_secure_channel = grpc.insecure_channel(f"127.0.0.1:{port}")

    def grpc_exec(self, call, request):
        return call(request)


directory = DirectoryClient(Core())


def told(listing):
    try:
        return listing("org_1", "dir_1")[0].total_size
    except AttributeError as error:
        return str(error)


def both():
    return told(directory.list_directory_users), told(directory.list_directory_groups)


empty = both()
people.append(messages.DirectoryUser(id="u1", email="ada@example.com"))
groups.append(messages.DirectoryGroup(id="g1", display_name="Sales"))
full = both()
print("protobuf", protobuf.__version__, "- empty:", empty, "- one each:", full)
assert empty == (0, 0)
assert full == ("'ListDirUsersResponse' object has no attribute 'users'", "'ListDirGroupsResponse' object has no attribute 'groups'")
assert "active" not in DirUser.__slots__
server.stop(0)
print("as found")
PY
