"""spark-submit entry point: `beatlake run --only aggregate` with the arguments given."""

import sys

from beatlake.cli import main

if __name__ == "__main__":
    sys.exit(main(["run", "--only", "aggregate", *sys.argv[1:]]))
