"""`python -m tests.attacks [NAME ...]`: carry out the attacks, print a table, exit with 1 if anything does not hold."""

import sys

from tests.support.attack_harness import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
