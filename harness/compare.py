"""`python -m harness.compare A B`: is the difference real? harness/result/compare.py says."""

import sys

from harness.result.compare import main

if __name__ == "__main__":
    sys.exit(main())
