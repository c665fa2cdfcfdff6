"""`python -m tests.benchmarks NAME`, the same as `saas bench NAME`."""

import sys

from tests.benchmarks.command import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
