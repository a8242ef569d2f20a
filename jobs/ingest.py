"""spark-submit entry point: `beatlake run --only ingest` with the arguments given."""

import sys

from beatlake.cli import main

if __name__ == "__main__":
    sys.exit(main(["run", "--only", "ingest", *sys.argv[1:]]))
