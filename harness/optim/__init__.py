"""Optimizers of the project's own, beside full fine-tuning: the whole model is trained, in less memory.

Each is made with the model instead of a list of parameters. One that cannot work with every run has a `complaint`.
"""

from harness.optim.galore import GaLore
from harness.optim.lisa import LISA

OPTIMIZERS = {"GaLore": GaLore, "LISA": LISA}

__all__ = ["OPTIMIZERS", "GaLore", "LISA"]
