"""spark-submit entry point: `beatlake previews` with the arguments given."""

import sys

from beatlake.cli import main

if __name__ == "__main__":
    sys.exit(main(["previews", *sys.argv[1:]]))
