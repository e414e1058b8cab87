"""The Ray engine: actors, jobs, nodes and metrics. The only importer of ray."""

import os
import sys

from sweep.installation import IMPORT_LAST, SOURCE_ROOT

# In a worker, which finds the modules of tuners where the driver does: beside it, behind all that is installed
if (_folder := os.environ.get(IMPORT_LAST)) and _folder not in (*sys.path, str(SOURCE_ROOT)):
    sys.path.append(_folder)
