"""Methods that PEFT does not ship, a file each, registered under PEFT's own maps when this package is imported.

A file here that registers a config is a method; no list names them. `tuner/` attaches, saves and loads all of them,
`parts/` has the modules that they put into the base model.
"""

import importlib
import pkgutil

for _file in pkgutil.iter_modules(__path__, f"{__name__}."):
    importlib.import_module(_file.name)
