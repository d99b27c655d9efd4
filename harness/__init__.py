"""The machinery of the benchmark: one small module per idea, none of which knows a dataset by name."""

import logging
import sys

# Where the package `kernels` is installed, libraries fetch compiled code from the hub and run it: bitsandbytes when it
# is imported on some processors, transformers in place of an attention that is not installed. So it counts as absent.
sys.modules["kernels"] = None
logging.getLogger("bitsandbytes").setLevel(logging.ERROR)  # it complains of that when it is imported
