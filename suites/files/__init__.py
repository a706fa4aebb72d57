"""The package in which the files of users are modules, so that a child process finds the classes in them.

A class of ``my_suite.py`` is pickled as ``torchduet.suites.files.my_suite_1a2b3c4d.Rows``. A process that unpickles it,
such as a spawned DataLoader worker, imports this package, which finds the file: see :mod:`.finder`.
"""

from torchduet.suites.files import finder

finder.install()
