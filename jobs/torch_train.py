"""spark-submit entry point: `beatlake train`, of `torch_resnet` unless estimators are named."""

import sys

from beatlake.cli import main

if __name__ == "__main__":
    given = sys.argv[1:]
    named = any(argument.startswith("--estimator") for argument in given)
    sys.exit(main(["train", *given, *([] if named else ["--estimator", "torch_resnet"])]))
