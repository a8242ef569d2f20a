"""spark-submit entry point: `beatlake run` with the arguments given."""

import sys

from beatlake.cli import main

if __name__ == "__main__":
    sys.exit(main(["run", *sys.argv[1:]]))
