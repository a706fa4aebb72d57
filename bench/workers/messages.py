"""What a worker and its parent tell each other beside the task and its result: a stop request, what to import."""

from __future__ import annotations

import threading

STOP_REQUESTED = threading.Event()  # the run ends early: timing stops, and the results so far are returned
PRELOAD_COMPILER = "TORCHDUET_PRELOAD_COMPILER"  # set to 1: the fork server imports the compiler
NOTHING = "none"  # its other value than 0: nothing of the compiler is imported, not even what records its work
OWN_THREAD = "torchduet watches its parent"  # of every worker; all others are of its workloads
PRELOAD_READY = "TORCHDUET_PRELOAD_READY"  # the fork server writes this file when it has imported everything
PRELOAD_FILES = "TORCHDUET_PRELOAD_FILES"  # files of users that the fork server imports: a JSON list of paths
PRELOAD_LIBRARIES = "TORCHDUET_PRELOAD_LIBRARIES"  # modules of packages that suites use: the same
PRELOAD_MODULES = "TORCHDUET_PRELOAD_MODULES"  # names of further modules that it imports: a JSON list
