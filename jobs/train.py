"""spark-submit entry point: `beatlake train` with the arguments given."""

import sys

from beatlake.cli import main

if __name__ == "__main__":
    sys.exit(main(["train", *sys.argv[1:]]))
