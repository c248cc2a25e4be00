"""``scim-bridge serve`` with a planted defect: ``serve DEFECT ARGUMENT…``; ``none`` plants nothing."""

import sys

from scim_bridge.cli import main
from tests.faults.replicas.defects import DEFECTS

if __name__ == "__main__":
    defect, *arguments = sys.argv[1:]
    if defect != "none":
        DEFECTS[defect]()
    main(arguments)
